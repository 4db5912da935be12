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
END = 1709676000_000_000_000  # 2024-03-05T22:00Z, before the tail of heartbeats ends


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return generate_market(["ES", "GC"], 1, 3, trades_per_day=3000)


def bars(
    folder: Path, market: GeneratedMarket, faults: list[Fault], session: type[Session] | None = None
) -> dict[str, list]:
    """Run a real hub against a gateway with faults and return its streams."""
    folder.mkdir()
    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    tape = Tape.of_trades(market.trades, market.symbols)
    with GatewayThread(Gateway(tape, session=session or faulty_session(faults))) as gateway:
        (folder / "pine.yaml").write_text(CONFIG.format(port=gateway.port))
        command = [sys.executable, "-m", "pine", "hub", "-c", str(folder / "pine.yaml")]
        with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as hub:
            try:
                wait(client, hub)
            finally:
                hub.terminate()
    assert hub.returncode == 0, (folder / "log").read_text()
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
    return found


@pytest.mark.parametrize("manner", EARLY)
def test_a_connection_lost_before_the_stream_is_made_again(
    manner: str, market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert bars(tmp_path / "run", market, [Fault(manner)]) == unbroken


@pytest.mark.parametrize(("manner", "after"), [*((manner, 100_003) for manner in LATE), ("fin", 0), ("garbage", 0)])
def test_a_stream_that_breaks_off_is_replayed_and_its_bars_are_those_of_an_unbroken_one(
    manner: str, after: int, market: GeneratedMarket, unbroken: dict[str, list], tmp_path: Path
) -> None:
    assert bars(tmp_path / "run", market, [Fault(manner, after)]) == unbroken


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

    assert bars(tmp_path / "run", market, [], Planted) == unbroken
