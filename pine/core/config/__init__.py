"""Configuration: one YAML file, checked as a whole before anything starts."""

from pine.core.config.bounds import MOST_SESSIONS
from pine.core.config.desk import Alerting, AlertsConfig, ArchiveConfig, DashboardConfig, MetricsConfig, OrdersConfig
from pine.core.config.duration import Duration
from pine.core.config.loader import load_config
from pine.core.config.market import BusConfig, DatabentoConfig, Execution, HubConfig, InstrumentConfig, SessionConfig
from pine.core.config.schema import PAIRS, STAND_INS, Config
from pine.core.config.secret import Secret
from pine.core.config.strategy import (
    Adjust,
    FilterConfig,
    Policy,
    StrategyConfig,
    StrategyInstrument,
    TradedInstrument,
    WarmUpConfig,
)

__all__ = [
    "MOST_SESSIONS",
    "PAIRS",
    "STAND_INS",
    "Adjust",
    "Alerting",
    "AlertsConfig",
    "ArchiveConfig",
    "BusConfig",
    "Config",
    "DashboardConfig",
    "DatabentoConfig",
    "Duration",
    "Execution",
    "FilterConfig",
    "HubConfig",
    "InstrumentConfig",
    "MetricsConfig",
    "OrdersConfig",
    "Policy",
    "Secret",
    "SessionConfig",
    "StrategyConfig",
    "StrategyInstrument",
    "TradedInstrument",
    "WarmUpConfig",
    "load_config",
]
