"""Configuration: one YAML file, checked as a whole before anything starts."""

from pine.core.config.duration import Duration
from pine.core.config.loader import load_config
from pine.core.config.schema import (
    MOST_SESSIONS,
    PAIRS,
    STAND_INS,
    Adjust,
    BusConfig,
    Config,
    DatabentoConfig,
    Execution,
    FilterConfig,
    HubConfig,
    InstrumentConfig,
    OrdersConfig,
    Policy,
    SessionConfig,
    StrategyConfig,
    StrategyInstrument,
    TradedInstrument,
    WarmUpConfig,
)
from pine.core.config.secret import Secret

__all__ = [
    "MOST_SESSIONS",
    "PAIRS",
    "STAND_INS",
    "Adjust",
    "BusConfig",
    "Config",
    "DatabentoConfig",
    "Duration",
    "Execution",
    "FilterConfig",
    "HubConfig",
    "InstrumentConfig",
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
