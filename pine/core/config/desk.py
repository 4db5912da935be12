"""Settings of orders, the archive, and of what the people at the desk see."""

from typing import Final, Literal, get_args

from attrs import field, frozen, validators

from pine.core.config.bounds import (
    OPTIONAL_POSITIVE,
    PORT,
    POSITIVE_FINITE,
    archive_place,
    time_of_day,
)
from pine.core.config.secret import Secret


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

    entry_max_age_s: int | None = field(default=120, validator=OPTIONAL_POSITIVE)
    stale_after_s: int | None = field(default=120, validator=OPTIONAL_POSITIVE)
    timeout_s: float = field(default=10.0, validator=POSITIVE_FINITE)
    retries: int = field(default=8, validator=validators.ge(0))
    per_minute: int | None = field(default=60, validator=OPTIONAL_POSITIVE)
    per_hour: int | None = field(default=500, validator=OPTIONAL_POSITIVE)


@frozen
class ArchiveConfig:
    """Where finished sessions are kept.

    Attributes
    ----------
    location
        A folder, relative to ``data_dir``, or any URL that fsspec opens; it may hold a password.
    """

    location: str = field(default="archive", validator=archive_place, repr=False)


Alerting = Literal[
    "worker_down",
    "hub_down",
    "stale_data",
    "gap",
    "stop_loss",
    "halt",
    "delivery",
    "disagreement",
    "positions",
    "late_trades",
    "entry",
    "exit",
]
"""What somebody can be told of."""

USUAL_ALERTS: Final = tuple(kind for kind in get_args(Alerting) if kind not in ("entry", "exit"))


@frozen
class AlertsConfig:
    """Who is told when something happens that a person should know.

    Attributes
    ----------
    urls
        Where to, as apprise writes it: ``discord://…``, ``slack://…``, ``mailto://…``; each may hold a password. One
        whose variable is empty is left out.
    on
        What is told.
    per_hour
        Most messages in any hour; what is beyond is counted and told as one when there is room again.
    daily_summary
        Time of day in UTC at which a summary of every strategy's day is sent; ``null`` for none.
    """

    urls: list[Secret] = field(factory=list)
    on: list[Alerting] = field(factory=lambda: list(USUAL_ALERTS))
    per_hour: int = field(default=30, validator=validators.ge(1))
    daily_summary: str | None = field(default="23:05", validator=time_of_day)


@frozen
class MetricsConfig:
    """The endpoint that Prometheus reads.

    Attributes
    ----------
    host, port
        Where it listens: this machine only, unless the host says otherwise.
    """

    host: str = "127.0.0.1"
    port: int = field(default=9464, validator=PORT)


@frozen
class DashboardConfig:
    """The page for the people at the desk.

    Attributes
    ----------
    host, port
        Where it listens: this machine only, unless the host says otherwise; then a token is required.
    token
        Who knows it may look and act; asked for once per browser.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8787, validator=PORT)
    token: Secret = field(factory=lambda: Secret(where="dashboard.token"))
