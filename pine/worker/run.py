"""The worker process of one strategy."""

import contextlib
import difflib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import redis
from attrs import define

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import connect, patiently, revive
from pine.bus.ending import stop_on_end
from pine.bus.heartbeat import STOPPED
from pine.bus.lease import Lease
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import PineError, UnknownSymbol, WentBack
from pine.core.log import get_logger
from pine.feeds.warmup import WarmUp
from pine.orders.desk import Desk
from pine.orders.portfolio import Portfolio
from pine.strategies.judge import Standards, standards_of
from pine.strategies.models.origin import refuse_generated
from pine.strategies.risk import RiskRules
from pine.worker.coldstart import ColdStart, Progress
from pine.worker.live import LiveSource
from pine.worker.provenance import provenance

if TYPE_CHECKING:
    from pine.worker.engine import Engine, StepSource

COURIER_PAUSE: Final = 5.0
RESTART_PAUSE: Final = 1.0

log = get_logger(__name__)


def make_desk(config: Config, strategy: str) -> Desk:
    """Return a fresh account of a strategy with its limits."""
    setting = config.strategies[strategy]
    traded = config.traded[strategy]
    portfolio = Portfolio(setting.starting_cash, config.desk_session)
    return Desk(strategy, portfolio, traded, RiskRules(setting.max_positions, setting.daily_stop_loss))


def run_worker(
    config: Config,
    strategy: str,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    starts_courier: bool = True,
) -> int:
    """Run a strategy until SIGINT or SIGTERM; return the exit code.

    Parameters
    ----------
    config, strategy
        What to run.
    on_progress
        Told how far the history of a first start has come; without it that is in the log.
    starts_courier
        Whether its courier is this process's to start, and nobody else's.

    Raises
    ------
    WarmUpMissing
        If history that the strategy is to be fed before its first step cannot be had.
    PineError
        If the strategy is unknown or disabled, a symbol is not registered by any hub, or the streams contradict.
    """
    check_strategy(config, strategy)
    webhook = config.strategies[strategy].webhook
    if webhook:
        webhook.reveal()
    standards = make_standards(config, strategy)
    if webhook:
        refuse_generated(strategy, standards.fleet, webhook)
    client = connect(config)
    stop = stop_on_end()

    def waiting(holder: str) -> None:
        log.warning("waiting", lease_held_by=holder)

    lease = Lease.acquire(client, f"worker:{strategy}", waiting, stop, on_away=partial(revive, config, stop.is_set))
    if lease is None:
        return 0
    lease.keep()
    attendant = CourierAttendant(config, strategy, client, stop, starts=starts_courier)

    def look() -> dict[str, Any]:
        return {**attendant.look(), "no_entries": dict(standards.fleet.problems)}

    try:
        while not stop.is_set():
            try:
                _work(config, strategy, standards, client, lease, stop, look, on_progress)
            except WentBack as error:
                log.warning("starting again from what the server holds", reason=str(error))
                stop.wait(RESTART_PAUSE)
                patiently(lambda: _still_ours(lease), config, stop)
            else:
                break
        return 0
    finally:
        lease.release()


def _still_ours(lease: Lease) -> None:
    """Renew a lease that the server may have lost; raise `Fenced` if it went to another process."""
    lease.renew()
    lease.check()


def check_strategy(config: Config, strategy: str) -> None:
    """Raise `PineError` unless a strategy is configured and enabled."""
    check_name(config, strategy)
    if not config.strategies[strategy].enabled:
        raise PineError(f"strategy {strategy} is disabled; set strategies.{strategy}.enabled to true")


def check_name(config: Config, strategy: str) -> None:
    """Raise `PineError`, with the nearest name, unless a strategy is configured."""
    if strategy not in config.strategies:
        near = difflib.get_close_matches(strategy, config.strategies, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        known = ", ".join(config.strategies) or "none"
        raise PineError(f"strategy {strategy!r} is not configured; {hint}configured are: {known}")


def _work(
    config: Config,
    strategy: str,
    standards: Standards,
    client: Client,
    lease: Lease,
    stop: threading.Event,
    on_beat: Callable[[], dict[str, Any]],
    on_progress: Callable[[Progress], None] | None,
) -> None:
    desk = make_desk(config, strategy)
    asked = config.warm_up_of(strategy)
    asked = None if asked is None else standards.reach(asked)
    source = LiveSource(
        config=config,
        strategy=strategy,
        client=client,
        lease=lease,
        desk=desk,
        stop=stop,
        provenance=provenance(config, strategy, standards.fleet.digest()),
        on_beat=on_beat,
        asked=asked,
    )
    new = asked is not None and patiently(source.is_new, config, stop)
    history = _warm_up(source, standards, on_progress) if new else None
    if stop.is_set():
        return
    patiently(lambda: source.open(history), config, stop)
    if stop.is_set():
        return
    if not config.strategies[strategy].webhook:
        log.warning("no webhook is configured: paper only", strategy=strategy)
    for symbol, problem in standards.fleet.problems.items():
        log.error("no entries", symbol=symbol, reason=problem)
    patiently(lambda: await_symbols(client, list(config.reads(strategy)), stop, source), config, stop)

    engine = make_engine(config, strategy, desk, source, source.reach, standards)
    source.vitals.alerts = engine.alerts
    engine.run()
    with contextlib.suppress(redis.RedisError):  # everything is written; the server may be gone first
        source.vitals.beat(STOPPED)
    log.info("worker stopped", steps=engine.steps, decided=engine.engine_steps, alerts=len(engine.alerts))


def make_engine(
    config: Config, strategy: str, desk: Desk, source: "StepSource", reach: WarmUpConfig, standards: Standards
) -> "Engine":
    """Return the engine of a strategy as it is configured, the same for a worker and for a replay."""
    from pine.worker.engine import Engine  # imports Backtrader

    setting = config.strategies[strategy]
    rules = config.rules_of(strategy)
    return Engine(setting.type, desk, rules, source, reach=reach, adjust=setting.adjust, standards=standards)


def make_standards(config: Config, strategy: str) -> Standards:
    """Return what a strategy's entries are judged by; loads its class and its models."""
    from pine.strategies.catalog import strategy_class  # imports Backtrader

    return standards_of(config, strategy, strategy_class(config.strategies[strategy].type).features)


def _warm_up(source: LiveSource, standards: Standards, on_progress: Callable[[Progress], None] | None) -> WarmUp | None:
    """Return what a new strategy is fed first; nothing if it is time to stop."""
    from pine.strategies.catalog import strategy_class  # imports Backtrader

    config, strategy, stop = source.config, source.strategy, source.stop
    symbols = list(config.reads(strategy))
    patiently(lambda: await_symbols(source.client, symbols, stop, source), config, stop)
    asked = source.asked or WarmUpConfig()
    timeframes = standards.timeframes(strategy_class(config.strategies[strategy].type).timeframes)

    def beat(status: str) -> None:
        source.lease.check()
        with contextlib.suppress(redis.RedisError):  # the answers will show whether the server is gone
            source.vitals.sign(status)

    start = ColdStart(config, strategy, source.client, timeframes, asked, stop, beat, on_progress)
    return patiently(start.run, config, stop)


def await_symbols(client: Client, symbols: list[str], stop: threading.Event, source: LiveSource) -> None:
    """Wait until a hub has registered its symbols.

    Raises
    ------
    UnknownSymbol
        If a hub has, and one of ours is not among them.
    """
    told = False
    while not stop.is_set():
        registered = {name.decode() for name in client.hkeys(keys.SYMBOLS)}
        missing = [symbol for symbol in symbols if symbol not in registered]
        if not missing:
            if told:
                log.info("a hub has registered its symbols", symbols=",".join(symbols))
            return
        if registered:
            near = difflib.get_close_matches(missing[0], sorted(registered), n=3, cutoff=0.3) or sorted(registered)
            raise UnknownSymbol(
                f"no hub has registered {', '.join(missing)}; near names are {', '.join(near)}. Add it to instruments "
                "and restart the hub"
            )
        if not told:
            log.info("waiting for a hub to register its symbols", symbols=",".join(symbols))
            told = True
        source.vitals.beat("waiting for the hub")
        stop.wait(0.1)


@define
class CourierAttendant:
    """Starts the strategy's courier, and again if it is gone; the courier outlives its worker.

    It logs where this process does, or into the file `log`. Where somebody else starts it, this one only looks.
    """

    config: Config
    strategy: str
    client: Client
    stop: threading.Event
    log: Path | None = None
    starts: bool = True
    _started_at: float = -COURIER_PAUSE
    _process: subprocess.Popen[bytes] | None = None

    def look(self) -> dict[str, Any]:
        """Make sure that a courier runs if there is a webhook; return a fact for the heartbeat."""
        if not self.config.strategies[self.strategy].webhook:
            return {"courier": "paper only"}
        if self._process is not None:
            self._process.poll()
        if self.client.exists(keys.lease(f"courier:{self.strategy}")):
            return {"courier": "running"}
        if self.stop.is_set() or not self.starts:
            return {"courier": "not running"}
        if time.monotonic() - self._started_at >= COURIER_PAUSE:
            self._started_at = time.monotonic()
            command = [
                sys.executable,
                "-P",  # nothing in the present folder may stand in front of what pine imports
                "-m",
                "pine",
                "-c",
                str(self.config.path),
                "courier",
                self.strategy,
                "--with-worker",
            ]
            self._process = self._begin(command)
        return {"courier": "starting"}

    def _begin(self, command: list[str]) -> subprocess.Popen[bytes]:
        if self.log is None:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
