"""Settings of where data comes from, how it becomes bars, and what is traded on them."""

from typing import Any, Final, Literal

from attrs import field, frozen, validators

from pine.core.config.bounds import (
    AMOUNT,
    OPTIONAL_POSITIVE,
    POSITIVE,
    an_hour_at_least,
    bus_url,
    dataset_code,
    gateway_address,
    https_gateway,
    known_root,
    replica_count,
    session_close,
)
from pine.core.config.duration import Duration
from pine.core.config.secret import Secret

RETENTION: Final = Duration.parse("30d")
RETENTION_MAX: Final = Duration.parse("90d")


@frozen
class DatabentoConfig:
    """The account and the way to the live gateway.

    Attributes
    ----------
    api_key
        The key of the account: for the hub, and for whatever buys.
    dataset
        Its code at Databento.
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
    dataset: str = field(default="GLBX.MDP3", validator=dataset_code)
    gateway: str | None = field(default=None, validator=gateway_address)
    heartbeat_interval_s: int = field(default=5, validator=[validators.ge(5), validators.le(1800)])
    historical_gateway: str | None = field(default=None, validator=https_gateway)
    max_cost_usd: float = field(default=5.0, validator=AMOUNT)

    @property
    def live_gateway(self) -> tuple[str, int]:
        """Host and port of the live gateway."""
        host, _, port = (
            self.gateway or f"{self.dataset.lower().replace('.', '-')}.lsg.databento.com:13000"
        ).rpartition(":")
        return host, int(port)


@frozen
class BusConfig:
    """The stream server.

    Attributes
    ----------
    url
        ``embedded``, or the URL of any Redis 7+ or Valkey 8+, or of Sentinels that know its master.
    fsync
        Of the embedded server: ``always`` has every acknowledged entry on disk, ``everysec`` may lose the last
        second in a power cut, and nothing when a process is killed.
    replicas
        How many replicas must have an entry before pine goes on from it; what was acknowledged is then not lost when
        one of them takes over.
    """

    url: str = field(default="embedded", validator=bus_url, repr=False)
    fsync: Literal["always", "everysec"] = "always"
    replicas: int = field(default=0, validator=replica_count)


@frozen
class TapeConfig:
    """The hub's record of what it received.

    Attributes
    ----------
    keep
        Event time after which its files are removed.
    """

    keep: Duration = field(default=RETENTION, validator=an_hour_at_least)


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
    frozen_after_s: int | None = field(default=300, validator=OPTIONAL_POSITIVE)
    tape: TapeConfig | None = field(factory=TapeConfig)
    fill_gaps: bool = True
    gap_wait_s: int = field(default=120, validator=validators.ge(0))


@frozen
class SessionConfig:
    """The daily close of a group of instruments.

    Attributes
    ----------
    close
        When the trading day ends: ``"23:00"`` is UTC all year, ``"17:00 America/Chicago"`` follows daylight saving.
    short_session
        Whether a session of less than four scheduled hours (Sunday 22 to 23 UTC in summer) belongs to the next one, or
        is a day of its own.
    """

    close: str = field(default="23:00", validator=session_close)
    short_session: Literal["merge", "separate"] = "merge"


@frozen
class Execution:
    """What is really traded on an instrument's bars, such as micros.

    Attributes
    ----------
    root
        A contract on the same price.
    size
        Contracts of it per entry.
    """

    root: str = field(validator=known_root)
    size: int = field(default=1, validator=POSITIVE)


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
    size: int = field(default=1, validator=POSITIVE)
    commission: float = field(default=1.25, validator=AMOUNT)
    execution: Execution | None = None
    params: dict[str, Any] = field(factory=dict)
