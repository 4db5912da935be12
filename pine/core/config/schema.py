"""What can be configured, with types, defaults and bounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import asdict, evolve, field, frozen

from pine.core.config.desk import AlertsConfig, ArchiveConfig, DashboardConfig, MetricsConfig, OrdersConfig
from pine.core.config.duration import Duration
from pine.core.config.market import (
    RETENTION,
    RETENTION_MAX,
    BusConfig,
    DatabentoConfig,
    HubConfig,
    InstrumentConfig,
    SessionConfig,
)
from pine.core.config.quoted import quoted
from pine.core.config.strategy import StrategyConfig, StrategyWarmUp, TradedInstrument, WarmUpConfig
from pine.core.contract import root_of_parent
from pine.core.instruments import spec
from pine.core.period import SessionClose, SessionRule

PAIRS: Final[Mapping[str, str]] = {
    "ES": "NQ",
    "NQ": "ES",
    "RTY": "YM",
    "YM": "RTY",
    "GC": "SI",
    "SI": "GC",
    "HG": "SI",
    "CL": "NG",
    "NG": "CL",
    "6A": "6E",
    "6B": "6E",
    "6E": "6A",
}
"""Whose partner is whose, where the configuration says nothing else."""
STAND_INS: Final[Mapping[str, str]] = {"TLT": "ZB"}
"""Whose bars are read for a symbol that no exchange feed has."""


@frozen
class Config:
    """The whole configuration.

    Attributes
    ----------
    path
        The file it came from.
    data_dir
        Folder for everything pine writes; a relative one is taken from the file's.
    strategy_folder
        Folder of strategy types of one's own; a relative one is taken from the file's.
    retention
        How much event time of market data and flight records stays on the streams at least.
    retention_max
        How far, in event time, a strategy that is not enabled may be behind before it holds nothing back any more.
    warm_up
        What strategies are fed before their first live step; nothing for ``off``.
    models
        Folder of the models, relative to the file: ``models/<strategy>/<SYMBOL>.json``.
    pairs
        The partner of each root, for features that read ``@pair``.
    stand_ins
        Root whose bars are read for a symbol that is not there itself.
    heartbeats
        Folder of the heartbeat files, relative to the file; by default one for this desk in ``/var/run/pine`` where
        that can be written, else ``heartbeats`` in ``data_dir``.
    """

    path: Path
    data_dir: Path
    databento: DatabentoConfig = field(factory=DatabentoConfig)
    bus: BusConfig = field(factory=BusConfig)
    hub: HubConfig = field(factory=HubConfig)
    sessions: dict[str, SessionConfig] = field(factory=dict)
    orders: OrdersConfig = field(factory=OrdersConfig)
    archive: ArchiveConfig = field(factory=ArchiveConfig)
    instruments: dict[str, InstrumentConfig] = field(factory=dict)
    strategies: dict[str, StrategyConfig] = field(factory=dict)
    traded: dict[str, dict[str, TradedInstrument]] = field(factory=dict)
    strategy_folder: Path = Path()
    retention: Duration = RETENTION
    retention_max: Duration = RETENTION_MAX
    warm_up: WarmUpConfig | None = field(factory=WarmUpConfig)
    models: str = "models"
    pairs: dict[str, str] = field(factory=lambda: dict(PAIRS))
    stand_ins: dict[str, str] = field(factory=lambda: dict(STAND_INS))
    alerts: AlertsConfig = field(factory=AlertsConfig)
    metrics: MetricsConfig = field(factory=MetricsConfig)
    dashboard: DashboardConfig = field(factory=DashboardConfig)
    heartbeats: str | None = None

    @property
    def models_folder(self) -> Path:
        """Absolute folder of the models."""
        return self.path.parent / Path(self.models).expanduser()

    def reads(self, strategy: str) -> tuple[str, ...]:
        """Return the roots whose bars a strategy reads: those that it trades, then its references."""
        return tuple(dict.fromkeys([*self.traded[strategy], *self.strategies[strategy].references]))

    def rules_of(self, strategy: str) -> dict[str, SessionRule]:
        """Return the session rule of each root that a strategy reads, in its order."""
        return {symbol: self.session_rule(symbol) for symbol in self.reads(strategy)}

    def warm_up_of(self, strategy: str) -> WarmUpConfig | None:
        """Return what a strategy is fed before its first live step; nothing if that is off.

        What the strategy sets goes over the general setting, or over the defaults where that is off.
        """
        own = self.strategies[strategy].warm_up
        if own is None or (own == StrategyWarmUp() and self.warm_up is None):
            return None
        changes = {name: value for name, value in asdict(own).items() if value is not None}
        return evolve(self.warm_up or WarmUpConfig(), **changes)

    @property
    def archive_location(self) -> str:
        """Absolute folder, or URL, of the archive."""
        location = self.archive.location
        return location if "://" in location else str(self.data_dir / Path(location).expanduser())

    def parent(self, symbol: str) -> str:
        """Return the Databento parent symbol of a configured root."""
        return self.instruments[symbol].parent or f"{symbol}.FUT"

    def session_rule(self, symbol: str) -> SessionRule:
        """Return how the sessions of a root follow each other."""
        return self._rule(spec(symbol).group)

    def _rule(self, group: str) -> SessionRule:
        setting = self.sessions.get(group) or self.sessions.get("default") or SessionConfig()
        return SessionRule(SessionClose.parse(setting.close), group, setting.short_session == "merge")

    @property
    def desk_session(self) -> SessionRule:
        """The session by which a strategy's day of profit and loss is counted: the default group's."""
        setting = self.sessions.get("default") or SessionConfig()
        return SessionRule(SessionClose.parse(setting.close), "equity", setting.short_session == "merge")


def check_parent(symbol: str, parent: str | None) -> str | None:
    """Return what is wrong with a parent symbol of a root, or nothing."""
    if parent is not None and root_of_parent(parent) != symbol:
        return f"found {quoted(parent)}, expected {symbol}.FUT"
    return None
