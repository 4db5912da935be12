"""What is missing is found, priced and bought once; what could not be had is named; nothing paid for is lost."""

from pathlib import Path

import pytest
from books import snapshot
from market import publish

from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import TooDear, Unreachable
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history import purchases
from pine.history.answer import History
from pine.history.archive import Archive
from pine.history.backfill import Backfill, Filled, Missing
from pine.history.manifest import bars_table
from pine.history.purchases import HistoricalBars
from pine.sandbox.history import HistoryServer

from .conftest import HubBars, Serve, configured, source

FIRST = parse_time("2024-03-03T23:00")
"""When the generated market opens; the vendor's data begins on that day."""
BEGIN, END = parse_time("2024-03-05T23:00"), parse_time("2024-03-13T23:00")
"""Six sessions, with a weekend and a roll."""
MINUTE, HOUR, DAY = Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY


def backfill(config: Config, client: Client | None = None) -> Backfill:
    gateway = config.databento.historical_gateway
    assert gateway is not None
    history = History.of(config, client, source(gateway, max_cost_usd=config.databento.max_cost_usd))
    assert isinstance(history.historical, HistoricalBars)
    return Backfill(history, history.historical)


def run(
    config: Config, begin: int = BEGIN, end: int | None = END, client: Client | None = None
) -> tuple[Missing, Filled]:
    work = backfill(config, client)
    (missing,) = work.survey(["ES"], begin, end)
    (filled,) = work.fill([missing], work.shop.source.budget())
    return missing, filled


def sold(server: HistoryServer) -> list[str]:
    asked = [r["fields"] for r in server.requests if r["endpoint"] == "timeseries.get_range"]
    return [f"{fields['schema']} {fields['symbols']}" for fields in asked]


def between(hub: HubBars, begin: int, end: int) -> list[Bar]:
    return [bar for bar in hub.bars if begin <= bar.start < end]


def test_everything_missing_is_bought_over_a_roll_and_a_second_time_nothing(
    serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path / "desk")
    missing, filled = run(config)
    assert (missing.holes, missing.beyond, missing.sessions) == (((BEGIN, END),), (), 6)
    assert not missing.price.exact
    archive = Archive.of(config)
    assert archive.bars("ES", MINUTE) == between(hub, BEGIN, END)
    assert len({bar.contract_symbol for bar in archive.bars("ES", MINUTE)}) == 2
    assert (filled.bars, filled.left, filled.reason) == (len(between(hub, BEGIN, END)), (), "")
    assert 0 < filled.cost <= missing.price.dollars
    assert archive.covered("ES", MINUTE) == [(BEGIN, END)]
    before, count = snapshot(config.data_dir / "archive"), len(sold(server))
    missing, filled = run(config)
    assert (missing.holes, missing.price.dollars, filled) == ((), 0, Filled("ES"))
    assert (snapshot(config.data_dir / "archive"), len(sold(server))) == (before, count)
    for timeframe in (HOUR, DAY):
        answer = History.of(config, None).bars("ES", timeframe, BEGIN, END)
        closed = [bar for item in hub.closed for bar in item.bars if bar.timeframe is timeframe]
        assert answer.holes == ()
        assert list(answer.bars) == [bar for bar in closed if BEGIN <= bar.start < END]


def test_only_holes_are_bought_and_bars_that_are_there_stay(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path / "desk")
    hole = (BEGIN + 5 * NS_PER_HOUR + 7 * NS_PER_MINUTE, BEGIN + 6 * NS_PER_HOUR)
    for begin, end in ((BEGIN, hole[0]), (hole[1], BEGIN + NS_PER_DAY)):
        Archive.of(config).add_bars("ES", MINUTE, between(hub, begin, end), begin, end, "import")
    missing, filled = run(config, BEGIN, BEGIN + NS_PER_DAY)
    assert (missing.holes, missing.sessions) == ((hole,), 1)
    assert missing.price.exact  # the lead shows in what is there
    assert missing.price.dollars == pytest.approx(filled.cost)
    assert len(sold(server)) == 1
    rows = Archive.of(config).frame(bars_table("ES", MINUTE))
    assert set(rows["source"]) == {"import", "historical"}
    assert Archive.of(config).bars("ES", MINUTE) == between(hub, BEGIN, BEGIN + NS_PER_DAY)
    assert Archive.of(config).verify() == []


def test_what_the_streams_have_is_not_bought(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path)
    late = parse_time("2024-03-07T05:20")
    publish(client, config, [item for item in hub.closed if item.boundary > late])
    missing, filled = run(config, BEGIN, END, client)
    assert missing.holes == ((BEGIN, late),)
    assert filled.left == ()
    assert Archive.of(config).bars("ES", MINUTE) == between(hub, BEGIN, late)
    answer = History.of(config, client).bars("ES", MINUTE, BEGIN, END)
    assert (list(answer.bars), answer.holes) == (between(hub, BEGIN, END), ())


def test_what_the_vendor_does_not_have_is_named_where_trading_was_scheduled(
    serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    until = BEGIN + 90 * NS_PER_MINUTE
    server = serve(until=until)
    config = configured(server.gateway, tmp_path)
    missing, filled = run(config, FIRST - 30 * NS_PER_DAY, END)
    data_begin = parse_time("2024-03-03")
    assert missing.holes == ((data_begin, until),)
    assert missing.beyond == filled.left == ((FIRST - 30 * NS_PER_DAY, data_begin), (until, END))
    missing, filled = run(config, FIRST - NS_PER_DAY, None)  # the Saturday before has nothing to miss
    assert (missing.holes, missing.beyond, filled) == ((), (), Filled("ES"))


def test_minutes_that_are_cut_by_the_question_are_left_out(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    missing, _ = run(config, BEGIN + 1, BEGIN + NS_PER_HOUR + 1)
    assert missing.holes == ((BEGIN + NS_PER_MINUTE, BEGIN + NS_PER_HOUR + NS_PER_MINUTE),)


def test_too_dear_altogether_buys_no_minute(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    free = configured(serve().gateway, tmp_path / "free")
    _, filled = run(free)
    server = serve()
    config = configured(server.gateway, tmp_path / "desk", max_cost_usd=filled.cost * 0.99)
    with pytest.raises(TooDear, match=r"for the minutes that are missing, after \$0\.\d+ for the volumes"):
        run(config)
    assert {name.split()[0] for name in sold(server)} == {"ohlcv-1h"}
    assert Archive.of(config).bars("ES", MINUTE) == []
    enough = configured(server.gateway, tmp_path / "desk", max_cost_usd=filled.cost * 1.01)
    assert run(enough)[1].left == ()


def test_a_month_that_is_kept_is_not_lost_with_the_next_one(
    serve: Serve, hub: HubBars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases, "MONTH", NS_PER_DAY)
    server = serve("sound@get_range", "sound@get_range", "sound@get_range", "403@get_range")
    config = configured(server.gateway, tmp_path / "desk")
    missing, filled = run(config)
    kept = BEGIN + 2 * NS_PER_DAY
    assert filled.left == ((kept, END),)
    assert "refused with 403 license_not_found" in filled.reason
    assert Archive.of(config).bars("ES", MINUTE) == between(hub, BEGIN, kept)
    assert Archive.of(config).verify() == []
    missing, filled = run(config)
    assert (missing.holes, filled.left) == (((kept, END),), ())
    other = configured(server.gateway, tmp_path / "other")
    run(other)
    assert snapshot(config.data_dir / "archive") == snapshot(other.data_dir / "archive")


def test_a_vendor_that_is_lost_on_the_way_ends_it_all(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve("sound@get_range", *["500@get_range"] * 6)
    config = configured(server.gateway, tmp_path / "desk")
    with pytest.raises(Unreachable, match="gave up after 6 attempts"):
        run(config)
    assert not (config.data_dir / "archive").exists()


def test_a_root_that_is_refused_does_not_hold_up_the_next(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    work = backfill(config)
    found = list(work.survey(["GC", "ES"], BEGIN, END))
    gold, spoos = work.fill(found, work.shop.source.budget())
    assert gold.left == ((BEGIN, END),)
    assert "GC.FUT" in gold.reason
    assert "symbology_invalid_request" in gold.reason
    assert (spoos.left, spoos.reason) == ((), "")
    assert Archive.of(config).bars("ES", MINUTE) == between(hub, BEGIN, END)


def test_volumes_of_holes_that_are_near_each_other_are_bought_once(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    shop = backfill(configured(server.gateway, tmp_path)).shop
    holes = [(BEGIN, BEGIN + NS_PER_DAY), (BEGIN + NS_PER_DAY + NS_PER_HOUR, BEGIN + 2 * NS_PER_DAY)]
    leads = shop.decide("ES", holes, shop.source.budget())
    assert leads.items() <= dict(hub.leads).items()
    assert len(leads) == 2
    assert sold(server) == ["ohlcv-1h ES.FUT"]


def test_a_time_without_scheduled_trading_is_neither_missing_nor_paid_for(
    serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    server = serve()
    saturday = parse_time("2024-03-09T00:00")
    missing, filled = run(configured(server.gateway, tmp_path), saturday, saturday + NS_PER_DAY)
    assert (missing.holes, filled) == ((), Filled("ES"))
    assert sold(server) == []
