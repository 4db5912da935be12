"""What can be configured, with types, defaults and bounds."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import asdict, evolve, field, frozen, validators

from pine.core.config.duration import Duration
from pine.core.config.quoted import quoted
from pine.core.config.secret import Secret
from pine.core.contract import root_of_parent
from pine.core.instruments import SPECS, spec
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import Timeframe

RETENTION: Final = Duration.parse("30d")
RETENTION_MAX: Final = Duration.parse("90d")

_DATASET: Final = re.compile(r"[A-Z0-9]+\.[A-Z0-9]+")
_CALLABLE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_POSITIVE: Any = validators.gt(0)
_POSITIVE_FINITE: Any = [validators.gt(0), validators.lt(math.inf)]
_AMOUNT: Any = [validators.ge(0), validators.lt(math.inf)]
_OPTIONAL_POSITIVE: Any = validators.optional(validators.gt(0))


def _known_root(_instance: object, _attribute: Any, value: str) -> None:
    if value not in SPECS:
        raise ValueError(f"found {quoted(value)}, expected a known root: {', '.join(sorted(SPECS))}")


def _session_close(_instance: object, _attribute: Any, value: str) -> None:
    SessionClose.parse(value)


def _dataset(_instance: object, _attribute: Any, value: str) -> None:
    if not _DATASET.fullmatch(value):
        raise ValueError(f"found {quoted(value)}, expected the code of a dataset such as GLBX.MDP3")


def _gateway(_instance: object, _attribute: Any, value: str | None) -> None:
    if value is not None:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"found {quoted(value)}, expected HOST:PORT such as 127.0.0.1:13000")


def _https_gateway(_instance: object, _attribute: Any, value: str | None) -> None:
    if value is not None:
        scheme, _, address = value.partition("://")
        host, _, port = address.rpartition(":")
        if scheme != "https" or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"found {quoted(value)}, expected https://HOST:PORT such as https://127.0.0.1:13443")


def _bus_url(_instance: object, _attribute: Any, value: str) -> None:
    if value != "embedded" and not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected embedded, or a URL that begins with redis://, rediss:// or unix://")


@frozen
class DatabentoConfig:
    """The account and the way to the live gateway.

    Attributes
    ----------
    gateway
        ``host:port`` of another gateway, for the sandbox; without it the dataset's own.
    heartbeat_interval_s
        Seconds of silence after which the gateway speaks up; the vendor's minimum is 5.
    historical_gateway
        ``https://host:port`` of another Historical API, for the sandbox; without it the vendor's own, or, with
        `gateway`, none. Its certificate is trusted by the environment variable ``REQUESTS_CA_BUNDLE``.
    max_cost_usd
        Dollars that one command may spend at the Historical API; what is dearer is not bought.
    """

    api_key: Secret = field(factory=lambda: Secret(where="databento.api_key"))
    dataset: str = field(default="GLBX.MDP3", validator=_dataset)
    gateway: str | None = field(default=None, validator=_gateway)
    heartbeat_interval_s: int = field(default=5, validator=[validators.ge(5), validators.le(1800)])
    historical_gateway: str | None = field(default=None, validator=_https_gateway)
    max_cost_usd: float = field(default=5.0, validator=_AMOUNT)


@frozen
class BusConfig:
    """The stream server.

    Attributes
    ----------
    url
        ``embedded``, or the URL of any Redis 7+ or Valkey 8+.
    fsync
        Of the embedded server: ``always`` has every acknowledged entry on disk, ``everysec`` may lose the last
        second in a power cut, and nothing when a process is killed.
    """

    url: str = field(default="embedded", validator=_bus_url, repr=False)
    fsync: Literal["always", "everysec"] = "always"


def _an_hour_at_least(_instance: object, _attribute: Any, value: Duration) -> None:
    if value < Duration.parse("1h"):
        raise ValueError(f"found {value}, expected at least 1h")


@frozen
class TapeConfig:
    """The hub's record of what it received.

    Attributes
    ----------
    keep
        Event time after which its files are removed.
    """

    keep: Duration = field(default=RETENTION, validator=_an_hour_at_least)


@frozen
class HubConfig:
    """How trades become bars.

    Attributes
    ----------
    lateness_ms
        How long after its end, in event time, a minute stays open for trades still under way.
    bar_clock
        Which time of a trade decides its minute: when Databento received it (as in its own bars), or when it
        happened (as in the legacy system).
    fill_quiet_minutes
        Whether minutes without a trade become flat bars of volume zero inside an open session.
    clock
        ``wall`` for real markets; ``tape`` takes the present from the data, for recorded or generated markets.
    frozen_after_s
        Seconds without any trade in an open market after which a connection that is otherwise alive is made anew;
        ``null`` never does that.
    tape
        What is kept of what was received; nothing for ``off``.
    fill_gaps
        Whether minutes that the gateway does not replay any more are bought from Databento Historical.
    gap_wait_s
        Seconds for which the hub publishes nothing newer while it asks for them; after that they are named as a
        gap, and filled in the archive later. 0 does not wait.
    """

    lateness_ms: int = field(default=250, validator=[validators.ge(0), validators.le(60_000)])
    bar_clock: Literal["ts_recv", "ts_event"] = "ts_recv"
    fill_quiet_minutes: bool = False
    clock: Literal["wall", "tape"] = "wall"
    frozen_after_s: int | None = field(default=300, validator=_OPTIONAL_POSITIVE)
    tape: TapeConfig | None = field(factory=TapeConfig)
    fill_gaps: bool = True
    gap_wait_s: int = field(default=120, validator=validators.ge(0))


@frozen
class SessionConfig:
    """The daily close of a group of instruments."""

    close: str = field(default="23:00", validator=_session_close)
    short_session: Literal["merge", "separate"] = "merge"


@frozen
class Execution:
    """What is really traded on an instrument's bars, such as micros: root and number of contracts."""

    root: str = field(validator=_known_root)
    size: int = field(default=1, validator=_POSITIVE)


@frozen
class InstrumentConfig:
    """Settings of one root for every strategy that uses it.

    Attributes
    ----------
    parent
        Databento's parent symbol; ``ROOT.FUT`` if left out.
    size
        Contracts per entry.
    commission
        Dollars per contract and side.
    execution
        What is traded instead of the root itself.
    params
        Strategy parameters for this instrument.
    """

    parent: str | None = None
    size: int = field(default=1, validator=_POSITIVE)
    commission: float = field(default=1.25, validator=_AMOUNT)
    execution: Execution | None = None
    params: dict[str, Any] = field(factory=dict)


def _finite(_instance: object, _attribute: Any, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"found {value}, expected a finite number")


@frozen
class FilterConfig:
    """A condition that a feature must meet before the strategy may enter.

    Attributes
    ----------
    feature
        Address such as ``rsi(2)@daily``; without a condition, the name of a ready-made filter.
    between, above, below, equals
        The condition, one of them: within both bounds (included), beyond a number, or one of some numbers. All finite.
    """

    feature: str
    between: tuple[float, float] | None = None
    above: float | None = field(default=None, validator=_finite)
    below: float | None = field(default=None, validator=_finite)
    equals: tuple[float, ...] | None = None


@frozen
class StrategyInstrument:
    """What one strategy sets differently for one of its instruments; left out means as in ``instruments``.

    `filters` come on top of the strategy's own.
    """

    size: int | None = field(default=None, validator=_OPTIONAL_POSITIVE)
    commission: float | None = field(
        default=None, validator=validators.optional(validators.and_(validators.ge(0), validators.lt(math.inf)))
    )
    execution: Execution | None = None
    params: dict[str, Any] = field(factory=dict)
    filters: list[FilterConfig] = field(factory=list)


MOST_SESSIONS: Final = 5_000
"""Of history, for warm-up."""
_SESSIONS: Any = [validators.ge(0), validators.le(MOST_SESSIONS)]


@frozen
class WarmUpConfig:
    """The history that a strategy is fed before its first live step.

    Attributes
    ----------
    daily, hourly, minute
        How many finished sessions, those with scheduled trading, the bars of each timeframe go back; the session
        under way comes on top. Only timeframes that the strategy reads are loaded.
    buy
        Whether minutes that neither streams nor archive have may be bought from Databento Historical.
    features
        Whether bars go back further where a feature needs more of them until it has a value.
    """

    daily: int = field(default=252, validator=_SESSIONS)
    hourly: int = field(default=15, validator=_SESSIONS)
    minute: int = field(default=1, validator=_SESSIONS)
    buy: bool = True
    features: bool = True

    def sessions(self, timeframe: Timeframe) -> int:
        """Return how many finished sessions the bars of a timeframe go back."""
        return {Timeframe.DAY: self.daily, Timeframe.HOUR: self.hourly, Timeframe.MINUTE: self.minute}[timeframe]


_OPTIONAL_SESSIONS: Any = validators.optional(validators.and_(*_SESSIONS))


@frozen
class StrategyWarmUp:
    """What one strategy sets differently of ``warm_up``; left out means as there."""

    daily: int | None = field(default=None, validator=_OPTIONAL_SESSIONS)
    hourly: int | None = field(default=None, validator=_OPTIONAL_SESSIONS)
    minute: int | None = field(default=None, validator=_OPTIONAL_SESSIONS)
    buy: bool | None = None
    features: bool | None = None


Adjust = Literal["none", "difference", "ratio"]
Policy = Literal["none", "optional", "required"]

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


def _scorer(_instance: object, _attribute: Any, value: str | None) -> None:
    if value is not None and not _CALLABLE.fullmatch(value):
        raise ValueError(f"found {quoted(value)}, expected module:callable such as my_models:score")


@frozen
class StrategyConfig:
    """One strategy with its money, limits and webhook.

    Attributes
    ----------
    starting_cash
        Dollars on the paper account at the start.
    max_positions
        Most instruments in which a position may be open or on its way at once.
    daily_stop_loss
        Realised loss of one session, in dollars, after which nothing new is entered until the next.
    params
        Parameters of the strategy type, for all its instruments.
    warm_up
        What it sets differently of the general ``warm_up``; nothing for ``off``.
    adjust
        How bars of earlier contracts are shifted at a roll, for what the strategy sees.
    references
        Roots that are read and not traded, beyond `instruments`.
    features
        Addresses of features that are written down at every entry that is asked for; what a model is trained on.
    filters
        Conditions that must hold for an entry, in the order in which they are asked.
    model
        Whether entries need a model's consent: not at all; where there is a model; or always, so that an
        instrument without one is not entered.
    scorer
        ``module:callable`` that scores instead of xgboost.
    """

    type: str
    enabled: bool = True
    webhook: Secret = field(factory=Secret)
    starting_cash: float = field(default=150_000.0, validator=_POSITIVE_FINITE)
    max_positions: int = field(default=2, validator=_POSITIVE)
    daily_stop_loss: float = field(default=2_500.0, validator=_POSITIVE_FINITE)
    params: dict[str, Any] = field(factory=dict)
    instruments: dict[str, StrategyInstrument] = field(factory=dict, validator=validators.min_len(1))
    warm_up: StrategyWarmUp | None = field(factory=StrategyWarmUp)
    adjust: Adjust = "none"
    references: list[str] = field(factory=list)
    features: list[str] = field(factory=list)
    filters: list[FilterConfig] = field(factory=list)
    model: Policy = "none"
    scorer: str | None = field(default=None, validator=_scorer)


@frozen
class OrdersConfig:
    """How intents are posted.

    Attributes
    ----------
    entry_max_age_s
        An entry older than this when its turn comes is not posted any more; ``null`` posts at any age.
    stale_after_s
        No entry is posted while the newest trade of any instrument is older than this in an open market; ``null``
        posts on data of any age.
    timeout_s
        How long the webhook may take to answer.
    retries
        How often the post of an entry is tried again at most.
    per_minute, per_hour
        The vendor's limits on webhooks of one strategy; ``null`` for none.
    """

    entry_max_age_s: int | None = field(default=120, validator=_OPTIONAL_POSITIVE)
    stale_after_s: int | None = field(default=120, validator=_OPTIONAL_POSITIVE)
    timeout_s: float = field(default=10.0, validator=_POSITIVE_FINITE)
    retries: int = field(default=8, validator=validators.ge(0))
    per_minute: int | None = field(default=60, validator=_OPTIONAL_POSITIVE)
    per_hour: int | None = field(default=500, validator=_OPTIONAL_POSITIVE)


def folder_mistake(text: str) -> str | None:
    """Return what is wrong with the path of a folder, or nothing."""
    if "\0" in text:
        return "found a path with a NUL in it, expected a folder"
    try:
        Path(text).expanduser()
    except RuntimeError as error:
        return f"found {quoted(text)}, expected a folder: {error}"
    return None


def _location(_instance: object, _attribute: Any, value: str) -> None:
    protocol, separator, _ = value.partition("://")
    if not value or (not separator and folder_mistake(value)):  # not shown: it may hold a password
        raise ValueError("expected a folder, or a URL such as s3://bucket/pine")
    if separator:
        from fsspec import available_protocols

        if protocol not in available_protocols():
            raise ValueError(
                f"expected a folder, or a URL that fsspec knows, such as s3://bucket/pine; {protocol}:// is none"
            )


@frozen
class ArchiveConfig:
    """Where finished sessions are kept.

    Attributes
    ----------
    location
        A folder, relative to ``data_dir``, or any URL that fsspec opens; it may hold a password.
    """

    location: str = field(default="archive", validator=_location, repr=False)


@frozen
class TradedInstrument:
    """One instrument as one strategy trades it, all layers of configuration merged.

    Attributes
    ----------
    symbol
        Root whose bars are read.
    root
        Root that is traded.
    size
        Contracts of `root` per entry.
    point_value
        Dollars per price point of one contract of `root`.
    params
        The strategy type's own parameter object.
    """

    symbol: str
    root: str
    size: int
    commission: float
    point_value: float
    params: Any


@frozen
class Config:
    """The whole configuration.

    Attributes
    ----------
    path
        The file it came from.
    data_dir
        Absolute folder that holds everything pine writes.
    strategy_folder
        Absolute folder in which strategy types of the user's own are found.
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
