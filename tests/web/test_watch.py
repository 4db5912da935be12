"""One picture for everybody: what is in it, and that it survives a server that comes and goes."""

import time
from pathlib import Path

import orjson
import pytest
from market import closed_bars, configure, publish

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.timeframe import Timeframe
from pine.core.times import parse_time
from pine.orders.entries import Control, Intent, Origin, encode
from pine.web.records import BARS
from pine.web.view import head, rows
from pine.web.watch import Watcher

from .conftest import STEPS, TEXT

NOW = parse_time("2024-03-05T15:00")


def watcher_of(config: Config) -> Watcher:
    watcher = Watcher(config, lambda: NOW)
    watcher.look()
    return watcher


def bars(watcher: Watcher, symbol: str = "ES", timeframe: Timeframe = Timeframe.MINUTE) -> list[int]:
    watcher.bars(symbol, timeframe)
    watcher.look()
    return [bar.start for bar in watcher.bars(symbol, timeframe) or ()]


def minutes(count: int) -> list[int]:
    closed = closed_bars()[:count]
    return [bar.start for c in closed for bar in c.bars if (bar.symbol, bar.timeframe.value) == ("ES", "1min")]


def test_strategies_orders_and_bars_are_in_the_picture(config: Config) -> None:
    watcher = watcher_of(config)
    picture = watcher.picture
    assert not picture.away
    one, idle = rows(picture, config)
    assert (one.name, one.state.text, one.lag.text) == ("one", "not running", "0 steps")
    assert (idle.state.text, idle.positions.text, idle.lag.text) == ("not running", "flat", "not begun")
    fills = [order for order in picture.orders["one"] if order["fill"] is not None]
    assert len(fills) > 3
    assert {order["state"] for order in fills} == {"paper only"}
    assert {order["entry"] for order in fills if order["action"] == "exit"} < {order["intent"] for order in fills}
    assert picture.orders["idle"] == ()
    assert bars(watcher) == minutes(STEPS)[-BARS:]


def test_bars_that_are_added_join_those_that_were_read(client: Client, config: Config) -> None:
    watcher = watcher_of(config)
    bars(watcher)
    publish(client, config, closed_bars()[STEPS : STEPS + 30])
    assert bars(watcher) == minutes(STEPS + 30)[-BARS:]


def test_bars_are_not_read_for_nobody(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watcher_of(config)
    bars(watcher)
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: later)
    watcher.look()
    assert watcher.picture.charts == {}


def test_what_operators_and_the_market_did_is_listed_newest_first(client: Client, config: Config) -> None:
    watcher = watcher_of(config)
    last = streams.ms_of(streams.last_id(client, keys.CLOCK) or "")
    writer = Writer(client, "worker:one", 1)
    for n, asked in enumerate([Control("halt", "lunch", "anna", "1-0"), Control("resume", "back", "bob", "2-0")]):
        writer.append(keys.ledger("one"), streams.entry_id(last + 60_000 * n, 900), {"entry": encode(asked)})
    writer.commit()
    event = {"kind": "gap", "symbol": "ES", "first_minute": NOW, "last_minute": NOW}
    client.xadd(keys.EVENTS, {"event": orjson.dumps(event)}, id=f"{last + 120_000}-0")
    watcher.look()
    told = [(one.kind, one.where, one.text) for one in watcher.picture.happened[:3]]
    assert told == [
        ("gap", "ES", "03-05 15:00 to 03-05 15:01"),
        ("resume", "one", "bob: back"),
        ("halt", "one", "anna: lunch"),
    ]


def test_a_server_that_goes_is_told_and_one_that_returns_is_seen_again(server: EmbeddedServer, config: Config) -> None:
    watcher = watcher_of(config)
    before = rows(watcher.picture, config)[0]
    assert watcher.healthy()
    server.stop()
    watcher.look()
    assert not watcher.healthy()
    assert "no server runs" in watcher.picture.facts["problems"][0]
    assert head(watcher.picture)["server"].text == "away"
    away = rows(watcher.picture, config)[0]
    assert (away.state.text, away.positions, away.pnl) == ("not known", before.positions, before.pnl)
    server.ensure()
    watcher.look()
    assert watcher.healthy()
    assert rows(watcher.picture, config)[0] == before
    assert bars(watcher) == minutes(STEPS)[-BARS:]


def test_without_any_server_strategies_are_not_known(tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    watcher = watcher_of(config)
    assert [row.state.text for row in rows(watcher.picture, config)] == ["not known", "not known"]
    assert not (tmp_path / "data").exists()


def test_an_empty_server_and_a_ledger_that_cannot_be_read_end_nothing(client: Client, config: Config) -> None:
    for key in client.scan_iter():
        client.delete(key)  # type: ignore[attr-defined]
    watcher = watcher_of(config)
    assert bars(watcher) == []
    assert head(watcher.picture)["watermark"].text == "–"
    client.xadd(keys.ledger("one"), {"entry": b"nonsense"})
    watcher.look()
    assert "nonsense" in watcher.picture.facts["problems"][0]
    client.delete(keys.ledger("one"))  # type: ignore[attr-defined]
    watcher.look()
    assert not watcher.picture.away


def test_the_bar_of_the_daily_stop_says_how_much_of_it_is_lost(config: Config) -> None:
    watcher = watcher_of(config)
    facts = watcher.picture.facts["strategies"]["one"]
    for pnl, used in ((-1250.0, 0.5), (-9999.0, 1.0), (800.0, 0.0)):
        facts["day_pnl"] = pnl
        assert rows(watcher.picture, config)[0].used == used


def test_an_unknown_outcome_is_red(client: Client, config: Config) -> None:
    writer = Writer(client, "worker:idle", 1)
    intent = Intent("idle-1", NOW, "ES", "buy", "ESH4", "ESH2024", 1, 5100.0, "IBS entry")
    for n, entry in enumerate([Origin(0, 0), intent]):
        writer.append(keys.ledger("idle"), streams.entry_id(1000, n), {"entry": encode(entry)})
    writer.commit()
    fields = {"intent": "idle-1", "state": "unknown", "status": "", "text": "", "at": "1"}
    client.xadd(keys.deliveries("idle"), fields)
    idle = rows(watcher_of(config).picture, config)[1]
    assert (idle.courier.text, idle.courier.tone) == ("not running · 1 unknown", "bad")
