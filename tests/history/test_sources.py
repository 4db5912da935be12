"""What real streams, a real archive and a vendor's stand-in cover and hold, and one answer over all three."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from attrs import evolve
from books import append, archive_at, seal
from hypothesis import given
from hypothesis import strategies as st
from market import CONFIG, closed_bars, configure, publish

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import DataError, SourcesDiffer, TooDear
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import parse_time
from pine.history.answer import Answer, History
from pine.history.archive import Archive
from pine.history.manifest import Interval, common, joined, without
from pine.history.purchases import HistoricalBars
from pine.history.sources import ArchiveBars, StreamBars
from pine.history.store import LocalStore
from pine.hub.aggregator import Closed
from pine.ops.trim import trim
from pine.sandbox.history import HistoryServer

from .conftest import HubBars, Serve, configured, source

FIRST = parse_time("2024-03-03T23:00")
"""When the generated market opens."""
SECOND = FIRST + NS_PER_DAY
THIRD = SECOND + NS_PER_DAY
MINUTE, HOUR, DAY = Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY


def of(market: Sequence[Closed], symbol: str, timeframe: Timeframe) -> tuple[Bar, ...]:
    """Return the bars that a hub published."""
    bars = (bar for item in market for bar in item.bars)
    return tuple(bar for bar in bars if (bar.symbol, bar.timeframe) == (symbol, timeframe))


def without_root(item: Closed, symbol: str) -> Closed:
    """Return what a hub that does not know a root publishes."""
    return evolve(
        item,
        volumes={name: volume for name, volume in item.volumes.items() if name != symbol},
        bars=tuple(bar for bar in item.bars if bar.symbol != symbol),
        leads=tuple(lead for lead in item.leads if lead.symbol != symbol),
    )


def stream_bars(client: Client, config: Config) -> StreamBars:
    return StreamBars(client, config.session_rule, frozenset(config.instruments))


def lose(client: Client, symbol: str, hole: Interval) -> None:
    """Publish a gap, where the hub would."""
    gap = {"kind": "gap", "symbol": symbol, "first_minute": hole[0], "last_minute": hole[1] - NS_PER_MINUTE}
    append(
        client, keys.EVENTS, [(streams.entry_id((hole[1] + NS_PER_MINUTE) // NS_PER_MS), {"event": orjson.dumps(gap)})]
    )


def test_the_streams_cover_from_the_clocks_first_entry_to_its_last(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    until = SECOND + 2 * NS_PER_HOUR + 17 * NS_PER_MINUTE
    publish(client, config, [item for item in closed_bars() if item.boundary <= until])
    found = stream_bars(client, config)
    assert found.covered("ES", MINUTE) == ((FIRST, until),)
    assert found.covered("ES", HOUR) == ((FIRST, SECOND + 2 * NS_PER_HOUR),)
    assert found.covered("ES", DAY) == ((FIRST, SECOND),)
    assert found.covered("NQ", MINUTE) == ()


def test_a_root_that_came_later_is_covered_from_its_first_entry(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    late = SECOND + 10 * NS_PER_HOUR
    until = [item for item in closed_bars() if item.boundary <= late + 3 * NS_PER_HOUR]
    publish(client, config, [without_root(item, "GC") if item.boundary <= late else item for item in until])
    found = stream_bars(client, config)
    (covered,) = found.covered("GC", MINUTE)
    first = next(iter(client.xrange(keys.volume("GC"), count=1)))[0]
    assert late <= covered[0] == streams.ms_of(first) * NS_PER_MS
    assert found.covered("GC", DAY) == ()
    assert found.covered("ES", MINUTE)[0][0] == FIRST


def test_a_root_that_nobody_publishes_any_more_is_covered_up_to_its_last_entry(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars())
    (covered,) = StreamBars(client, config.session_rule, frozenset({"GC"})).covered("ES", MINUTE)
    last = max(
        streams.ms_of(streams.last_id(client, name) or "0") for name in (keys.bars("ES", MINUTE), keys.volume("ES"))
    )
    assert covered == (FIRST, last * NS_PER_MS + NS_PER_MINUTE)


def test_a_hole_on_the_streams_is_named_with_its_hour_and_its_day(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    hole = (FIRST + 90 * NS_PER_MINUTE, FIRST + 100 * NS_PER_MINUTE)
    publish(client, config, [item for item in closed_bars() if item.boundary <= hole[0]])
    lose(client, "ES", hole)
    publish(client, config, [item for item in closed_bars() if item.boundary > hole[1]])
    history = History.of(config, client)
    assert history.bars("ES", MINUTE, FIRST, THIRD).holes == (hole,)
    assert history.bars("ES", HOUR, FIRST, THIRD).holes == ((FIRST + NS_PER_HOUR, FIRST + 2 * NS_PER_HOUR),)
    assert history.bars("ES", DAY, FIRST, THIRD).holes == ((FIRST, SECOND),)
    assert history.bars("GC", MINUTE, FIRST, THIRD).holes == ()


def test_trimmed_streams_cover_from_their_first_session_and_the_archive_what_was_before(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, f"retention: 1d\nretention_max: 1d\n{CONFIG}")
    publish(client, config, closed_bars())
    whole = {(s, t): History.of(config, client).bars(s, t) for s in ("ES", "GC", "6E") for t in Timeframe}
    seal(client, config, Archive.of(config))
    assert trim(client, config)["removed"] > 0
    found = stream_bars(client, config)
    assert found.covered("ES", MINUTE)[0][0] in (SECOND, THIRD)
    assert found.covered("ES", DAY)[0][0] in (SECOND, THIRD)
    for (symbol, timeframe), before in whole.items():
        assert before.bars == of(closed_bars(), symbol, timeframe)
        assert History.of(config, client).bars(symbol, timeframe, before.begin, before.end) == before
    elsewhere = archive_at(tmp_path / "elsewhere", config)
    begin = found.covered("ES", MINUTE)[0][0]
    seal(client, config, elsewhere)
    assert {elsewhere.covered("ES", timeframe)[0][0] for timeframe in Timeframe} == {begin}


def test_streams_and_archive_that_disagree_are_told_with_both_sides(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars())
    archive = Archive.of(config)
    seal(client, config, archive)
    bar = of(closed_bars(), "ES", HOUR)[3]
    archive.add_bars("ES", HOUR, [evolve(bar, volume=1)], bar.start, bar.start + NS_PER_HOUR, "import", replace=True)
    with pytest.raises(SourcesDiffer, match=r"T02:00.*on the streams, and .*volume=1,.* in the archive"):
        History.of(config, client).bars("ES", HOUR)
    archive.add_bars("ES", HOUR, [], bar.start, bar.start + NS_PER_HOUR, "import", replace=True)
    with pytest.raises(SourcesDiffer, match=r"on the streams, and no bar in the archive"):
        History.of(config, client).bars("ES", HOUR)


def test_an_entry_that_stands_under_another_time_is_refused(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    bar = of(closed_bars(), "ES", MINUTE)[0]
    client.xadd(keys.bars("ES", MINUTE), {"bar": bar.to_json()}, f"{bar.start // NS_PER_MS + 1}-0")
    with pytest.raises(DataError, match="expected one of that stream and time"):
        History.of(config, client).bars("ES", MINUTE)


# Any split over real streams and a real archive


def times(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most).map(lambda n: FIRST + n * NS_PER_MINUTE)


@pytest.mark.examples(4, long=10)
@given(times(900), times(2 * 1440), times(2 * 1440), st.integers(1, 90), st.lists(st.tuples(times(2880), times(2880))))
def test_any_split_over_streams_and_archive_answers_the_same_bars_or_names_the_hole(
    kept: tuple[Client, Config], begin: int, end: int, lost: int, length: int, pairs: list[Interval]
) -> None:
    client, config = kept
    client.flushall()  # type: ignore[attr-defined]
    begin, end = min(begin, end), max(begin, end) + NS_PER_MINUTE
    hole = (lost, lost + length * NS_PER_MINUTE)
    market = [item for item in closed_bars() if begin < item.boundary <= end]
    publish(client, config, [item for item in market if item.boundary <= hole[0]])
    lose(client, "ES", hole)
    publish(client, config, [item for item in market if item.boundary > hole[1]])
    truth = {timeframe: of(closed_bars(), "ES", timeframe) for timeframe in Timeframe}
    with TemporaryDirectory() as folder:
        archive = archive_at(Path(folder), config)
        for a, b in joined((min(pair), max(pair)) for pair in pairs):
            archive.add_bars("ES", MINUTE, [bar for bar in truth[MINUTE] if a <= bar.start < b], a, b, "import")
        history = History(config.session_rule, stream_bars(client, config), ArchiveBars(archive))
        known = joined([*history.streams.covered("ES", MINUTE), *archive.covered("ES", MINUTE)])  # type: ignore[union-attr]
        published = [item for item in market if item.boundary <= hole[0] or item.boundary > hole[1]]
        if any("ES" in item.volumes for item in published):
            reached = [(published[0].boundary - NS_PER_MINUTE, published[-1].boundary)]
            assert common(without(reached, [hole]), without([(FIRST, THIRD)], known)) == ()
        for timeframe, step in ((MINUTE, NS_PER_MINUTE), (HOUR, NS_PER_HOUR), (DAY, NS_PER_DAY)):
            answer = history.bars("ES", timeframe, FIRST, THIRD)
            whole = [t for t in range(FIRST, THIRD, step) if any(a <= t and t + step <= b for a, b in known)]
            assert answer.holes == without([(FIRST, THIRD)], [(t, t + step) for t in whole])
            certain = tuple(bar for bar in answer.bars if bar.start in set(whole))
            assert certain == tuple(bar for bar in truth[timeframe] if bar.start in set(whole))
            assert set(answer.bars) <= set(truth[timeframe])
            assert timeframe is not MINUTE or answer.bars == certain


# With a vendor

TUESDAY = parse_time("2024-03-05T14:00")
FRIDAY = parse_time("2024-03-08T10:00")
PARTS = [
    (parse_time("2024-03-05T14:00"), parse_time("2024-03-06T03:30")),
    (parse_time("2024-03-06T04:10"), parse_time("2024-03-07T23:00")),
]
"""What is imported; between and after it there are holes."""


def paid(server: HistoryServer, hub: HubBars, folder: Path, *, leads: bool = True, **databento: object) -> History:
    """A history with an archive and the stand-in, and no streams."""
    config = configured(server.gateway, folder)
    archive = Archive(LocalStore(folder), config.session_rule, config.desk_session)
    shop = HistoricalBars(
        source(server.gateway, **databento), archive, config.session_rule, [lambda _: dict(hub.leads) if leads else {}]
    )
    return History(config.session_rule, None, ArchiveBars(archive), shop)


def imported(history: History, hub: HubBars) -> History:
    assert isinstance(history.archive, ArchiveBars)
    for begin, end in PARTS:
        bars = [bar for bar in hub.bars if begin <= bar.start < end]
        history.archive.archive.add_bars("ES", MINUTE, bars, begin, end, "import")
    return history


def minutes(hub: HubBars, begin: int, end: int) -> tuple[Bar, ...]:
    return tuple(bar for bar in hub.bars if begin <= bar.start < end)


def sold(server: HistoryServer) -> int:
    return sum(request["endpoint"] == "timeseries.get_range" for request in server.requests)


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_what_is_missing_is_bought_once_and_kept(
    serve: Serve, hub: HubBars, tmp_path: Path, timeframe: Timeframe
) -> None:
    server = serve()
    history = imported(paid(server, hub, tmp_path / "a"), hub)
    free = history.bars("ES", timeframe, TUESDAY, FRIDAY)
    assert free.holes
    assert (sold(server), free.cost) == (0, 0)
    price = history.price("ES", timeframe, TUESDAY, FRIDAY)
    assert sold(server) == 0
    bought = history.bars("ES", timeframe, TUESDAY, FRIDAY, buy=True)
    assert price is not None
    assert price.exact
    assert bought.cost > 0
    assert price.dollars == pytest.approx(bought.cost)
    assert bought.holes == ()
    if timeframe is MINUTE:
        assert bought.bars == minutes(hub, TUESDAY, FRIDAY)
    everything = History(history.rule, None, ArchiveBars(whole_archive(hub, tmp_path / "b", history)))
    assert bought.bars == everything.bars("ES", timeframe, TUESDAY, FRIDAY).bars
    count = sold(server)
    again = history.bars("ES", timeframe, TUESDAY, FRIDAY, buy=True)
    assert (again.bars, again.holes, again.cost, sold(server)) == (bought.bars, (), 0, count)
    assert history.price("ES", timeframe, TUESDAY, FRIDAY) is None
    assert history.bars("ES", timeframe, TUESDAY, FRIDAY).bars == bought.bars


def whole_archive(hub: HubBars, folder: Path, history: History) -> Archive:
    """An archive with every minute that the hub published."""
    archive = Archive(LocalStore(folder), history.rule, history.rule("ES"))
    archive.add_bars("ES", MINUTE, hub.bars, FIRST, parse_time("2024-03-15"), "import")
    return archive


def test_the_price_of_unknown_leads_is_at_most_what_is_said(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    history = paid(server, hub, tmp_path, leads=False)
    price = history.price("ES", HOUR, TUESDAY, FRIDAY)
    bought = history.bars("ES", HOUR, TUESDAY, FRIDAY, buy=True)
    assert price is not None
    assert not price.exact
    assert 0 < bought.cost <= price.dollars
    assert bought.holes == ()


def test_leads_show_in_minutes_that_were_bought_before(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    history = paid(server, hub, tmp_path, leads=False)
    history.bars("ES", MINUTE, TUESDAY, TUESDAY + 3 * NS_PER_HOUR, buy=True)
    count = sold(server)
    later = history.bars("ES", MINUTE, TUESDAY, TUESDAY + 4 * NS_PER_HOUR, buy=True)
    assert later.bars == minutes(hub, TUESDAY, TUESDAY + 4 * NS_PER_HOUR)
    assert sold(server) == count + 1  # no volumes again


def test_several_holes_that_are_too_dear_together_are_not_bought_at_all(
    serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    server = serve()
    price = imported(paid(server, hub, tmp_path), hub).price("ES", MINUTE, TUESDAY, FRIDAY)
    assert price is not None
    dear = paid(server, hub, tmp_path, max_cost_usd=price.dollars * 0.99)
    with pytest.raises(TooDear, match="for 2 holes of ES, expected at most"):
        dear.bars("ES", MINUTE, TUESDAY, FRIDAY, buy=True)
    assert sold(server) == 0


def test_beyond_what_is_sold_the_hole_stays(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    until = TUESDAY + 90 * NS_PER_MINUTE
    server = serve(until=until)
    history = paid(server, hub, tmp_path)
    answer = history.bars("ES", HOUR, TUESDAY, TUESDAY + 5 * NS_PER_HOUR, buy=True)
    assert answer.holes == ((TUESDAY + NS_PER_HOUR, TUESDAY + 5 * NS_PER_HOUR),)
    assert len(answer.bars) == 1
    answer = history.bars("ES", MINUTE, TUESDAY, TUESDAY + 5 * NS_PER_HOUR, buy=True)
    assert answer.holes == ((until, TUESDAY + 5 * NS_PER_HOUR),)


def test_streams_archive_and_vendor_together_answer_as_an_unbroken_hub(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    """A hub began late and had a gap, the archive has some days, the vendor the rest."""
    server = serve()
    config = configured(server.gateway, tmp_path)
    late, hole = parse_time("2024-03-06T23:00"), (parse_time("2024-03-07T05:20"), parse_time("2024-03-07T06:10"))
    publish(client, config, [item for item in hub.closed if late < item.boundary <= hole[0]])
    lose(client, "ES", hole)
    publish(client, config, [item for item in hub.closed if hole[1] < item.boundary])
    archive = Archive.of(config)
    seal(client, config, archive)
    begin, end = parse_time("2024-03-05T23:00"), parse_time("2024-03-08T23:00")
    history = History.of(config, client, source(server.gateway))
    for timeframe in Timeframe:
        free = history.bars("ES", timeframe, begin, end)
        lost = {MINUTE: hole, HOUR: (hole[0] - 20 * NS_PER_MINUTE, hole[1] + 50 * NS_PER_MINUTE)}
        # The day after the late begin is the one of the gap: for days it is one hole.
        assert free.holes == (((begin, late), lost[timeframe]) if timeframe in lost else ((begin, late + NS_PER_DAY),))
    for timeframe in (DAY, HOUR, MINUTE):
        answer: Answer = history.bars("ES", timeframe, begin, end, buy=True)
        assert answer.holes == ()
        expected = of(hub.closed, "ES", timeframe)
        assert answer.bars == tuple(bar for bar in expected if begin <= bar.start < end)
        assert (answer.cost > 0) == (timeframe is DAY)  # the days have bought what the others need
