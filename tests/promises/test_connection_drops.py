"""Whatever the gateway does to a connection, the bars are those of an unbroken one."""

import subprocess
import sys
from pathlib import Path

import pytest

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.sandbox.background import GatewayThread
from pine.sandbox.faults import EARLY, LATE, Fault, faulty_session
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.session import Session
from pine.sandbox.tape import Tape

CONFIG = """
data_dir: data
databento: {{api_key: db-sandbox, gateway: "127.0.0.1:{port}"}}
hub: {{clock: tape}}
instruments: {{ES: {{}}, GC: {{}}}}
"""
END = 1709596800_000_000_000  # 2024-03-05T00:00Z: the session has closed, and the next one been open for an hour
HASTE = """
from pine.hub import supervisor
supervisor.AUTH_TIMEOUT, supervisor.SILENT_HEARTBEATS, supervisor.FIRST_BACKOFF = 2.0, 1, 0.05
from pine.cli.main import main
main()
"""
"""A hub that gives up and tries again sooner."""


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return generate_market(["ES", "GC"], 1, 3, trades_per_day=3000)


def bars(
    folder: Path,
    market: GeneratedMarket,
    faults: list[Fault],
    session: type[Session] | None = None,
    *,
    lost: int | None = None,
    haste: bool = False,
) -> dict[str, list]:
    """Run a real hub against a gateway with faults, each of which it must meet, and return its streams."""
    folder.mkdir()
    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    tape = Tape.of_trades(market.trades, market.symbols)
    with GatewayThread(Gateway(tape, session=session or faulty_session(faults))) as gateway:
        (folder / "pine.yaml").write_text(CONFIG.format(port=gateway.port))
        program = ["-c", HASTE] if haste else ["-m", "pine"]
        command = [sys.executable, *program, "hub", "-c", str(folder / "pine.yaml")]
        with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as hub:
            try:
                wait(client, hub)
            finally:
                hub.terminate()
    said = (folder / "log").read_text()
    assert hub.returncode == 0, said
    assert said.count("connection lost") == (len(faults) if lost is None else lost), said
    names = [keys.CLOCK, keys.EVENTS]
    names += [f"market:{s}:{kind}" for s in ("ES", "GC") for kind in ("1min", "hourly", "daily", "volume")]
    last = str(END // 1_000_000)
    found = {name: list(streams.read_range(client, name, last=last)) for name in names}
    client.close()
    server.stop()
    return found


def wait(client: Client, hub: subprocess.Popen) -> None:
    """Wait until the hub has published the day after the tape."""
    from threading import Event

    for _ in range(900):
        newest = streams.last_id(client, keys.CLOCK)
        if hub.poll() is not None or (newest and streams.ms_of(newest) * 1_000_000 >= END):
            return
        Event().wait(0.1)
    pytest.fail("the hub does not come to the end of the tape")


@pytest.fixture(scope="module")
def unbroken(market: GeneratedMarket, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    found = bars(tmp_path_factory.mktemp("unbroken") / "run", market, [])
    assert len(found["market:ES:1min"]) > 500
    assert [len(found[f"market:{symbol}:daily"]) for symbol in ("ES", "GC")] == [1, 1]
    return found


def test_connections_lost_before_the_stream_are_made_again(
    market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert bars(tmp_path / "run", market, [Fault(manner) for manner in EARLY], haste=True) == unbroken


IN_TURN = {
    "lost": (Fault("fin", 0), Fault("reset", 70_001), Fault("silence", 50_000), Fault("fin", 40_003)),
    "refused": (Fault("error", 100_003), Fault("garbage", 60_001), Fault("fin", 30_000), Fault("garbage", 0)),
}
"""Every manner, at the beginning and in the middle; after garbage the hub looks at every record."""


@pytest.mark.parametrize("faults", IN_TURN.values(), ids=IN_TURN)
def test_a_stream_that_breaks_off_is_replayed_and_its_bars_are_those_of_an_unbroken_one(
    faults: tuple[Fault, ...], market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert {fault.manner for one in IN_TURN.values() for fault in one} == {*LATE}
    assert bars(tmp_path / "run", market, list(faults), haste=True) == unbroken


@pytest.mark.long
@pytest.mark.parametrize("manner", EARLY)
def test_a_connection_lost_before_the_stream_is_made_again(
    manner: str, market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert bars(tmp_path / "run", market, [Fault(manner)]) == unbroken


@pytest.mark.long
@pytest.mark.parametrize(("manner", "after"), [*((manner, 100_003) for manner in LATE), ("fin", 0), ("garbage", 0)])
def test_a_stream_that_breaks_off_once_is_replayed(
    manner: str, after: int, market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert bars(tmp_path / "run", market, [Fault(manner, after)]) == unbroken


@pytest.mark.long
def test_one_fault_after_the_other(market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path) -> None:
    faults = [Fault("fin", 50_000), Fault("reset", 70_001), Fault("garbage", 1), Fault("error", 200_000)]
    assert bars(tmp_path / "run", market, faults) == unbroken


def test_a_record_that_cannot_be_decoded_costs_only_itself(
    market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    """The replay brings it again; the hub leaves it out and goes on."""

    class Planted(Session):
        async def open_stream(self) -> None:
            await super().open_stream()
            await self.wire.send(bytes([6, 0xEE]) + bytes(22))

    assert bars(tmp_path / "run", market, [], Planted, lost=1, haste=True) == unbroken
