"""Configuration: one YAML file, checked as a whole before anything starts."""

from pine.core.config.duration import Duration
from pine.core.config.loader import load_config
from pine.core.config.schema import (
    BusConfig,
    Config,
    DatabentoConfig,
    Execution,
    HubConfig,
    InstrumentConfig,
    OrdersConfig,
    SessionConfig,
    StrategyConfig,
    StrategyInstrument,
    TradedInstrument,
)
from pine.core.config.secret import Secret

__all__ = [
    "BusConfig",
    "Config",
    "DatabentoConfig",
    "Duration",
    "Execution",
    "HubConfig",
    "InstrumentConfig",
    "OrdersConfig",
    "Secret",
    "SessionConfig",
    "StrategyConfig",
    "StrategyInstrument",
    "TradedInstrument",
    "load_config",
]
