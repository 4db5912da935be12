"""What Prometheus can read: one table of metrics, each computed from the facts of a look at the moment of a scrape."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import redis
from attrs import define, field, frozen

from pine.bus.connection import VISIT_SECONDS, connect
from pine.bus.ending import stop_on_end
from pine.core.config import Config
from pine.core.config.secret import masked
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import Clock, parse_time
from pine.ops.status import Observer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

Labels = tuple[str, ...]
Sample = tuple[Labels, float]

PATIENCE_S: Final = 5.0
"""Seconds that a scrape waits for the one before it; Prometheus gives up after ten."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

log = get_logger(__name__)


@frozen
class Scrape:
    """What is known at the moment of a scrape.

    Attributes
    ----------
    facts
        What `Observer.look` returned; nothing while the server is away.
    now
        Wall time in ns.
    took_s
        How long the look took.
    """

    facts: Mapping[str, Any] | None
    now: int
    took_s: float


@frozen
class Metric:
    """One metric: what it is called, means and is labelled with, and where its samples come from."""

    name: str
    help: str
    labels: Labels
    samples: Callable[[Mapping[str, Any], int], Iterable[Sample]]
    kind: Literal["gauge", "counter"] = "gauge"


def _number(value: object) -> float | None:
    """Return a fact as a number; nothing if it is none."""
    if isinstance(value, bool | int | float):
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return float(value)  # type: ignore[arg-type]  # what cannot be read is left out
    return None


def _some(labels: Labels, value: object) -> Iterator[Sample]:
    number = _number(value)
    if number is not None:
        yield labels, number


def _time(labels: Labels, text: object) -> Iterator[Sample]:
    if isinstance(text, str) and text:
        with contextlib.suppress(ValueError):
            yield labels, parse_time(text) / NS_PER_SECOND


def _hub(*path: str) -> Callable[[Mapping[str, Any], int], Iterable[Sample]]:
    """Return what picks one fact of the hub."""

    def pick(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
        yield from _some((), _dig(facts["hub"], path))

    return pick


def _server(name: str) -> Callable[[Mapping[str, Any], int], Iterable[Sample]]:
    return lambda facts, _: _some((), facts["server"][name])


def _strategies(*path: str) -> Callable[[Mapping[str, Any], int], Iterable[Sample]]:
    """Return what picks one fact of every strategy."""

    def pick(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
        for name, strategy in facts["strategies"].items():
            yield from _some((name,), _dig(strategy, path))

    return pick


def _dig(place: Mapping[str, Any], path: Labels) -> object:
    for name in path[:-1]:
        place = place.get(name) or {}
    return place.get(path[-1])


def _roles(facts: Mapping[str, Any]) -> Iterator[tuple[Labels, bool, Mapping[str, Any]]]:
    """Yield role and strategy of every process that should or may run, whether it does, and its heartbeat."""
    for role in ("hub", "archive", "alerts"):
        yield (role, ""), facts[role]["running"], facts[role]["heartbeat"]
    for name, strategy in facts["strategies"].items():
        courier = strategy["courier"]
        yield ("worker", name), strategy["worker"]["running"], strategy["heartbeat"]
        if courier["state"] != "paper only":
            yield ("courier", name), courier["state"] == "running", courier["heartbeat"]


def _running(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for labels, running, _ in _roles(facts):
        yield labels, float(running)


def _heartbeat_age(facts: Mapping[str, Any], now: int) -> Iterator[Sample]:
    for labels, _, beat in _roles(facts):
        for _, at in _time(labels, beat.get("updated_at")):
            yield labels, max(now / NS_PER_SECOND - at, 0.0)


def _uptime(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for labels, _, beat in _roles(facts):
        yield from _some(labels, beat.get("uptime_s"))


def _enabled(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        yield (name,), float(strategy["enabled"])


def _halted(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        yield (name,), float(strategy["halted"] is not None)


def _positions(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        for position in strategy["positions"]:
            yield (name, position["contract"]), position["quantity"]


def _sent(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        for position in strategy.get("sent") or ():
            yield (name, position["contract"]), position["quantity"]


def _deliveries(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        for state, count in sorted(strategy["courier"]["intents"].items()):
            yield (name, state.replace(" ", "_")), count


def _unknown(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        yield (name,), len(strategy["courier"]["unknown"])


def _overdue(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        yield (name,), len(strategy["courier"]["overdue"])


def _step_seconds(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        for quantile, field_name in (("0.5", "step_ms_p50"), ("0.99", "step_ms_p99")):
            for _, milliseconds in _some((), strategy["heartbeat"].get(field_name)):
                yield (name, quantile), milliseconds / 1000


def _last_steps(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for name, strategy in facts["strategies"].items():
        yield from _time((name,), strategy["last_step"])


def _last_minutes(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for symbol, known in facts["symbols"].items():
        yield from _time((symbol,), known["last_minute"])


def _bars(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for symbol, known in facts["symbols"].items():
        for timeframe, count in known["bars"].items():
            yield (symbol, timeframe), count


def _counts(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    for kind, count in sorted(facts["hub"]["counts"].items()):
        if kind not in ("trades", "bars"):
            yield (kind,), count


def _server_info(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    server = facts["server"]
    yield (server["version"], server["fsync"] or "not known"), 1


def _kill_switch(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    yield (), float(facts["kill_switch"] is not None)


def _problems(facts: Mapping[str, Any], _now: int) -> Iterator[Sample]:
    yield (), len(facts["problems"])


STRATEGY: Final = ("strategy",)
ROLE: Final = ("role", "strategy")

METRICS: Final = (
    Metric("pine_process_up", "1 while a process holds its role.", ROLE, _running),
    Metric("pine_process_heartbeat_age_seconds", "Age of its last sign of life.", ROLE, _heartbeat_age),
    Metric("pine_process_uptime_seconds", "How long it has run; of those that tell.", ROLE, _uptime),
    Metric("pine_problems", "What pine status says is wrong, in number.", (), _problems),
    Metric("pine_kill_switch", "1 while POLICY_KILLSWITCH blocks entries.", (), _kill_switch),
    Metric("pine_market_open", "1 while the market of a configured root is open.", (), _hub("market_open")),
    Metric("pine_data_age_seconds", "Age of the newest trade; not on a tape.", (), _hub("data_age_s")),
    Metric("pine_data_stale", "1 if that is too old in an open market.", (), _hub("stale")),
    Metric(
        "pine_hub_watermark_timestamp_seconds",
        "Event time up to which the hub holds all trades to be in, since 1970.",
        (),
        lambda facts, _: _time((), facts["hub"]["watermark"]),
    ),
    Metric(
        "pine_hub_last_step_timestamp_seconds",
        "Event time of the newest clock entry, since 1970.",
        (),
        lambda facts, _: _time((), facts["hub"]["last_step"]),
    ),
    Metric(
        "pine_hub_connections", "Live connections of the hub since its start.", (), _hub("heartbeat", "connections")
    ),
    Metric(
        "pine_hub_unpublished_minutes",
        "Minute boundaries that wait for the server.",
        (),
        _hub("heartbeat", "unpublished"),
    ),
    Metric("pine_hub_unfilled_gaps", "Holes that are not filled yet.", (), _hub("heartbeat", "unfilled")),
    Metric(
        "pine_hub_trades_total",
        "Trades of configured roots since the hub's start.",
        (),
        _hub("counts", "trades"),
        "counter",
    ),
    Metric(
        "pine_hub_bars_total",
        "Bars published since the hub's start.",
        (),
        _hub("heartbeat", "bars"),
        "counter",
    ),
    Metric(
        "pine_hub_left_out_total",
        "Records left out of bars, and other events, by kind: late, spread, gap, reset, …",
        ("kind",),
        _counts,
        "counter",
    ),
    Metric("pine_stream_bars", "Bars on the stream of a root.", ("symbol", "timeframe"), _bars),
    Metric(
        "pine_stream_last_minute_timestamp_seconds",
        "Start of a root's newest minute bar, since 1970.",
        ("symbol",),
        _last_minutes,
    ),
    Metric("pine_strategy_enabled", "1 if its worker should run.", STRATEGY, _enabled),
    Metric("pine_strategy_lag_steps", "Steps that it has not acknowledged.", STRATEGY, _strategies("lag")),
    Metric("pine_strategy_lag_seconds", "The same in event time.", STRATEGY, _strategies("lag_s")),
    Metric(
        "pine_strategy_last_step_timestamp_seconds",
        "Event time of its last acknowledged step, since 1970.",
        STRATEGY,
        _last_steps,
    ),
    Metric(
        "pine_strategy_step_duration_seconds",
        "From a clock entry's arrival at the worker to its commit, quantiles of the newest 1,000 steps.",
        ("strategy", "quantile"),
        _step_seconds,
    ),
    Metric(
        "pine_strategy_position_contracts",
        "Open position on paper, short below 0.",
        ("strategy", "contract"),
        _positions,
    ),
    Metric(
        "pine_strategy_sent_contracts",
        "The same as far as it was posted.",
        ("strategy", "contract"),
        _sent,
    ),
    Metric("pine_strategy_cash_dollars", "Cash on paper.", STRATEGY, _strategies("cash")),
    Metric("pine_strategy_day_pnl_dollars", "Realised in the present session.", STRATEGY, _strategies("day_pnl")),
    Metric("pine_strategy_realised_dollars", "Realised since its start.", STRATEGY, _strategies("realised")),
    Metric(
        "pine_strategy_daily_stop_dollars",
        "Loss of a session from which nothing is entered.",
        STRATEGY,
        _strategies("daily_stop_loss"),
    ),
    Metric("pine_strategy_halted", "1 while it is halted.", STRATEGY, _halted),
    Metric(
        "pine_strategy_trades",
        "Trades closed on paper; one that is voided counts no more.",
        STRATEGY,
        _strategies("trades"),
    ),
    Metric(
        "pine_strategy_alerts_total",
        "What its engine found wrong since the worker's start.",
        STRATEGY,
        _strategies("heartbeat", "alerts"),
        "counter",
    ),
    Metric(
        "pine_strategy_disagreements_total",
        "Bars that hub and worker built differently since the worker's start.",
        STRATEGY,
        _strategies("heartbeat", "disagreements"),
        "counter",
    ),
    Metric("pine_strategy_intents", "Intents by the state of their delivery.", ("strategy", "state"), _deliveries),
    Metric("pine_strategy_owed_intents", "Intents still to be posted.", STRATEGY, _strategies("courier", "owed")),
    Metric("pine_strategy_overdue_exits", "Exits owed for more than 30 s.", STRATEGY, _overdue),
    Metric("pine_strategy_unknown_intents", "Intents whose outcome is unknown.", STRATEGY, _unknown),
    Metric("pine_alerts_waiting_messages", "Alerts on their way.", (), lambda f, _: _some((), _beat(f, "undelivered"))),
    Metric("pine_alerts_held_messages", "Alerts held back by the limit.", (), lambda f, _: _some((), _beat(f, "held"))),
    Metric("pine_server_memory_bytes", "Memory of the stream server.", (), _server("memory_bytes")),
    Metric("pine_server_keys", "Keys on it.", (), _server("keys")),
    Metric("pine_server_uptime_seconds", "How long it has run.", (), _server("uptime_s")),
    Metric("pine_server_info", "Always 1.", ("version", "fsync"), _server_info),
)
"""Everything that is there while the server answers."""

UP: Final = Metric(
    "pine_up", "1 if the stream server could be asked; without it nothing else is told.", (), lambda *_: ()
)
DURATION: Final = Metric("pine_scrape_duration_seconds", "How long this look took.", (), lambda *_: ())


def _beat(facts: Mapping[str, Any], name: str) -> object:
    return facts["alerts"]["heartbeat"].get(name)


def families(scrape: Scrape) -> "Iterator[Family]":
    """Yield what a scrape answers."""
    yield _family(UP, [((), float(scrape.facts is not None))])
    yield _family(DURATION, [((), scrape.took_s)])
    if scrape.facts is not None:
        for metric in METRICS:
            yield _family(metric, metric.samples(scrape.facts, scrape.now))


def _family(metric: Metric, samples: Iterable[Sample]) -> "Family":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


@define(eq=False)
class Collector:
    """Looks at the server whenever it is asked; one at a time.

    Parameters
    ----------
    config
        What should run.
    on_trouble
        Told why the server cannot be asked, once, and with nothing when it can again.
    clock
        Tells the wall time in ns.
    """

    config: Config
    on_trouble: Callable[[Exception | None], None]
    clock: Clock = time.time_ns
    _observer: Observer | None = None
    _lock: threading.Lock = field(factory=threading.Lock)
    _trouble: Exception | None = None

    def collect(self) -> "Iterator[Family]":
        """Yield every metric; prometheus_client asks for this at each scrape."""
        began = time.monotonic()
        facts = None
        if self._lock.acquire(timeout=PATIENCE_S):  # else a look before this one waits for a server that hangs
            try:
                facts = self._look()
            finally:
                self._lock.release()
        yield from families(Scrape(facts, self.clock(), time.monotonic() - began))

    def _look(self) -> Mapping[str, Any] | None:
        """Return the facts; nothing while the server is away, or holds something that cannot be read."""
        trouble: Exception | None = None
        facts = None
        try:
            if self._observer is None:
                self._observer = Observer(self.config, connect(self.config, start=False, silence=VISIT_SECONDS))
            facts = self._observer.look(self.clock())
        except (PineError, redis.RedisError) as error:
            trouble = error
        if trouble is not None:
            self._observer = None
        if (trouble is None) != (self._trouble is None):
            self.on_trouble(trouble)
        self._trouble = trouble
        return facts


def _log(trouble: Exception | None) -> None:
    if trouble is None:
        log.info("the server answers again")
    else:
        log.warning("the server cannot be asked", reason=masked(str(trouble)))


def registry(config: Config, on_trouble: Callable[[Exception | None], None] = _log) -> "CollectorRegistry":
    """Return a registry with pine's metrics alone; `on_trouble` as in `Collector`."""
    from prometheus_client import CollectorRegistry

    found = CollectorRegistry(auto_describe=False)
    found.register(_Described(Collector(config, on_trouble)))
    return found


@frozen
class _Described:
    """A collector that says what it will yield without looking at a server."""

    collector: Collector

    def describe(self) -> "Iterable[Family]":
        return [_family(metric, ()) for metric in (UP, DURATION, *METRICS)]

    def collect(self) -> "Iterator[Family]":
        return self.collector.collect()


def exposition(config: Config, on_trouble: Callable[[Exception | None], None] = _log) -> str:
    """Return one scrape as text; `on_trouble` as in `Collector`."""
    from prometheus_client import generate_latest

    return generate_latest(registry(config, on_trouble)).decode()


@contextlib.contextmanager
def serving(config: Config) -> Iterator[str]:
    """Answer scrapes for as long as the block lasts, at the address that is returned.

    Raises
    ------
    PineError
        If the address is taken or is none.
    """
    from prometheus_client import start_http_server

    host, port = config.metrics.host, config.metrics.port
    try:
        server, thread = start_http_server(port, host, registry(config))
    except OSError as error:
        raise PineError(f"metrics: {host}:{port} cannot be listened on: {error.strerror or error}") from None
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_metrics(config: Config) -> int:
    """Answer scrapes until SIGINT or SIGTERM; return the exit code. Starts no server.

    Raises
    ------
    PineError
        If the address is taken or is none.
    """
    stop = stop_on_end()
    with serving(config) as url:
        if config.metrics.host not in LOOPBACK:
            log.warning("metrics hold positions and profit, and anybody who can reach this address can read them")
        log.info("metrics started", url=url)
        stop.wait()
    return 0
