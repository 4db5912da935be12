"""The reference over Databento's own live client, against a gateway that plays a tape."""

import threading
from pathlib import Path

import pytest
from waiting import until

from pine.core.config import Config
from pine.core.errors import KeyRefused
from pine.legacy.record import MemoryRecorder
from pine.legacy.subscriber import Subscriber
from pine.legacy.system import LegacySystem
from pine.sandbox.background import GatewayThread
from pine.sandbox.faults import Fault, faulty_session
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.session import Session
from pine.sandbox.tape import Tape

from .both import CONFIG, configure, end_of, reference

KEY = "db-" + "s" * 29


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return generate_market(["ES", "GC", "6E"], 1, seed=7, trades_per_day=500)


@pytest.fixture(scope="module")
def tape(market: GeneratedMarket) -> Tape:
    return Tape.of_trades(market.trades, market.symbols)


def configured(folder: Path, port: int, key: str = KEY) -> Config:
    databento = f'databento: {{api_key: {key}, gateway: "127.0.0.1:{port}"}}\n'
    return configure(folder, text=databento + CONFIG)


def live(config: Config, market: GeneratedMarket, **options: object) -> tuple[MemoryRecorder, Subscriber, LegacySystem]:
    """Run over the gateway until everything that the tape closes is decided on."""
    stop = threading.Event()
    system = LegacySystem(config, "near", **options)  # type: ignore[arg-type]
    subscriber = Subscriber(config, "near", stop)
    last = end_of(market) // 60_000_000_000 * 60_000_000_000 - 60_000_000_000

    def watch() -> None:
        until(lambda: stop.is_set() or system.aggregator.closed_until >= last, "the tape ends")
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        system.run_with(subscriber.produce, stop)
    finally:
        stop.set()
        watcher.join()
    assert isinstance(system.recorder, MemoryRecorder)
    return system.recorder, subscriber, system


def test_live_and_offline_give_the_same_record(market: GeneratedMarket, tape: Tape, tmp_path: Path) -> None:
    with GatewayThread(Gateway(tape)) as gateway:
        config = configured(tmp_path, gateway.port)
        record, _, _ = live(config, market)
    assert record == reference(config, "near", market)
    assert len(record.fills) > 5


def test_queues_of_one_item_change_nothing_but_are_counted(market: GeneratedMarket, tape: Tape, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    with GatewayThread(Gateway(tape)) as gateway:
        config = configured(tmp_path, gateway.port)
        record, subscriber, system = live(
            config, market, queue_size=1, on_overflow=lambda symbol, count: told.append((symbol, count))
        )
    assert record == reference(config, "near", market)
    assert subscriber.connections == 1
    assert sum(system.fanout.overflows.values()) == len(told) > 0


@pytest.mark.parametrize(
    "fault",
    ["fin:20000", "reset:40000", "garbage:30000", "error:50000", "silence:25000", "refuse", "hangup-before-metadata"],
)
def test_a_lost_connection_changes_nothing(
    market: GeneratedMarket, tape: Tape, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pine.legacy.subscriber.BACKOFF_S", (0.05,))
    monkeypatch.setattr("pine.legacy.subscriber.SILENT_HEARTBEATS", 0.2)
    monkeypatch.setattr("pine.legacy.subscriber.CONNECT_S", 1.0)
    session: type[Session] = faulty_session([Fault.parse(fault)])
    with GatewayThread(Gateway(tape, session=session)) as gateway:
        config = configured(tmp_path, gateway.port)
        record, subscriber, _ = live(config, market)
    assert subscriber.connections == (1 if fault == "refuse" else 2)
    assert record == reference(config, "near", market)


def test_a_key_that_was_never_accepted_ends_the_run(market: GeneratedMarket, tape: Tape, tmp_path: Path) -> None:
    with GatewayThread(Gateway(tape, key="db-" + "x" * 29)) as gateway:
        config = configured(tmp_path, gateway.port)
        with pytest.raises(KeyRefused, match=r"databento\.api_key: the gateway refused it"):
            live(config, market)


def test_what_the_strategy_raises_ends_the_run(
    market: GeneratedMarket, tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pine.legacy.ibs import LegacyIbs

    def fail(self: LegacyIbs, bar: object) -> None:
        raise ValueError("a faulty rule")

    monkeypatch.setattr(LegacyIbs, "on_bar", fail)
    with GatewayThread(Gateway(tape)) as gateway:
        config = configured(tmp_path, gateway.port)
        with pytest.raises(ValueError, match="a faulty rule"):
            live(config, market)
