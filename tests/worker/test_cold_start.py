"""A new strategy starts with its history, wherever that comes from, and is shown what it would have been shown live."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import backtrader as bt
import orjson
import pytest
import sessions
from market import publish
from sessions import (
    NOT_BUYING,
    ROOTS,
    START,
    STREAMS,
    after,
    bare,
    config_of,
    fill_archive,
    historical,
    life,
    publish_until,
    start,
    until,
)

from pine.bus import keys
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.history.leads import look_back
from pine.orders.entries import Intent
from pine.orders.ledger import read_ledger
from pine.strategies.base import BaseStrategy
from pine.worker import engine as engine_module


def test_the_market_of_these_tests_leads_to_entries_and_exits(warmed: dict[str, list]) -> None:
    kinds = [orjson.loads(fields[b"entry"])["kind"] for _, fields in warmed[keys.ledger("one")]]
    assert kinds[0] == "origin"
    assert kinds.count("intent") >= 10
    assert len(warmed[keys.flight("one")]) >= 20


def test_with_the_archive_alone_it_is_the_same(client: Client, tmp_path: Path, warmed: dict[str, list]) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config)
    publish(client, config, bare())
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == warmed
    assert run.engine.alerts == []


def test_with_databento_historical_alone_it_is_the_same(
    client: Client, tmp_path: Path, warmed: dict[str, list], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        with caplog.at_level("INFO"):
            run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == warmed
    said = [r.fields for r in caplog.records if r.getMessage() == "buying history"]
    assert {fields["symbol"] for fields in said} == set(ROOTS)
    assert all("$" in fields["price"] for fields in said)
    kept = Archive.of(config).covered("ES", Timeframe.MINUTE)
    assert kept[-1:] == [(kept[-1][0], START)], "what was bought is in the archive"


def test_with_a_part_from_each_it_is_the_same(
    client: Client, tmp_path: Path, warmed: dict[str, list], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuesday = parse_time("2024-03-12T23:00")
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        archive = Archive.of(config)
        for symbol in ROOTS:
            rule = config.session_rule(symbol)
            begin, end = parse_time("2024-03-07T23:00"), session_begin(parse_time("2024-03-12T12:00"), rule)
            minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if begin <= bar.start < end]
            archive.add_bars(symbol, Timeframe.MINUTE, minutes, begin, end, "import")
        publish(client, config, [item for item in until() if item.boundary > tuesday])
        run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == warmed


class Looking(BaseStrategy):
    """Writes down what it is shown, and when; reads every timeframe."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = tuple(Timeframe)
    shown: ClassVar[list[tuple[float, list[Bar], dict[str, float]]]]

    def next(self) -> None:
        lines = {data._name: data.datetime[0] for data in self.datas if len(data)}
        self.shown.append((bt.num2date(self.datetime[0]), list(self.surroundings.fresh()), lines))
        super().next()

    def on_bar(self, bar: Bar) -> None:
        """Try to trade: nothing may come of it."""
        self.surroundings.enter(bar.symbol, "always", {})


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Callable[[], type[Looking]]:
    def make() -> type[Looking]:
        kind = type("Shown", (Looking,), {"shown": [], "__module__": __name__})
        for module in (engine_module, sessions):
            monkeypatch.setattr(module, "strategy_class", lambda _: kind)
        return kind

    return make


def test_it_is_shown_what_it_would_have_been_shown_live(
    client: Client, tmp_path: Path, looking: Callable[[], type[Looking]]
) -> None:
    """The same bars, together, in the same order, on lines with the same times; only not from before its sessions."""
    reach = {Timeframe.DAY: 4, Timeframe.HOUR: 3, Timeframe.MINUTE: 2}
    config = config_of(tmp_path, "{daily: 4, hourly: 3, minute: 2, buy: false}")
    publish_until(client, config)
    cold = looking()
    run = start(client, config)
    run.stop.clear()
    publish(client, config, after(hours=1))
    run.until_caught_up()
    everything = looking()
    off = config_of(tmp_path / "off", "off")
    client.delete(*STREAMS)  # type: ignore[attr-defined]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    rule = config.session_rule("ES")
    begin = session_begin(START, rule)
    first = {timeframe: look_back(begin, count, rule) for timeframe, count in reach.items()}
    for stream in (keys.CLOCK, *(keys.bars(s, t) for s in ROOTS for t in Timeframe)):
        client.xtrim(stream, minid=look_back(begin, 5, rule) // NS_PER_MS)  # type: ignore[attr-defined]
    start(client, off).until_caught_up()
    reduced = [
        (at, [bar for bar in bars if bar.start >= first[bar.timeframe]], lines) for at, bars, lines in everything.shown
    ]
    wanted = [entry for entry in reduced if entry[1]]
    assert [entry[:2] for entry in cold.shown] == [entry[:2] for entry in wanted]
    assert cold.shown[-1] == wanted[-1]
    together = [{(bar.symbol, bar.timeframe) for bar in bars} for _, bars, _ in cold.shown]
    assert any(len(bars) == 4 for bars in together), "hours and minutes of both"
    assert any({(symbol, Timeframe.DAY) for symbol in ROOTS} <= bars for bars in together)
    assert [e for _, e in read_ledger(client, "one") if isinstance(e, Intent)] == []


def test_skipping_what_no_rule_sees_makes_no_difference(
    client: Client, tmp_path: Path, warmed: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config, skip=False)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == warmed
