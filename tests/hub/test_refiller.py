"""A named hole is refilled as soon as its minutes are in the archive; why it is not yet, is said."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.core.bar import Bar
from pine.core.config import Config, load_config
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.history.refill import KIND
from pine.hub import refiller
from pine.hub.aggregator import Event
from pine.hub.filler import why_not
from pine.hub.refiller import Refiller
from pine.strategies.catalog import PARAMS

BEGIN = parse_time("2024-03-05T14:00")
LAST = BEGIN + 9 * NS_PER_MINUTE


@define
class Announced:
    """Stands where the aggregator takes what is to be published."""

    events: list[Event] = field(factory=list)

    def announce(self, event: Event, newest: int) -> None:
        self.events.append(event)


def configured(folder: Path, url: str, more: str) -> Config:
    path = folder / "pine.yaml"
    path.write_text(f"data_dir: data\nbus: {{url: '{url}'}}\ninstruments: {{ES: {{}}}}\n{more}\n")
    return load_config(path, PARAMS, {})


def lose(client: Client) -> None:
    gap = {"kind": "gap", "symbol": "ES", "first_minute": BEGIN, "last_minute": LAST}
    identifier = streams.entry_id((LAST + 2 * NS_PER_MINUTE) // NS_PER_MS)
    client.xadd(keys.EVENTS, {"fence": "1", "event": orjson.dumps(gap)}, id=identifier)


async def eventually(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("hub: {fill_gaps: false}", "hub.fill_gaps is false"),
        ("databento: {gateway: 127.0.0.1:1}", "databento.historical_gateway: found none"),
    ],
)
def test_where_nothing_may_be_bought_the_reason_is_said_and_the_archive_is_looked_into_all_the_time(
    server: EmbeddedServer,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    more: str,
    reason: str,
) -> None:
    monkeypatch.setattr(refiller, "LOOK_SECONDS", 0.01)
    config = configured(tmp_path, server.url, more)
    lose(client)
    announced = Announced()
    work = Refiller(config, announced, why_not(config))  # type: ignore[arg-type]
    bars = [Bar("ES", Timeframe.MINUTE, BEGIN, 1.0, 1.0, 1.0, 1.0, 1, 7, "ESH4")]

    async def until_refilled() -> None:
        task = asyncio.create_task(work.run())
        await eventually(lambda: work.reason)
        assert reason in work.reason
        assert announced.events == []
        Archive.of(config).add_bars("ES", Timeframe.MINUTE, bars, BEGIN, LAST + NS_PER_MINUTE, "import")
        await eventually(lambda: announced.events)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(until_refilled())
    (event,) = announced.events
    assert (event.kind, event.symbol, event.details["minutes"]) == (KIND, "ES", 1)
    assert [record.message for record in caplog.records] == ["gap not filled yet"]
    assert reason in caplog.records[0].fields["reason"]
