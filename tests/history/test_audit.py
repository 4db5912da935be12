"""A record that equals the vendor's is found equal, any other value is named; what was bought for it is no record."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest
from attrs import evolve
from books import archive_at, seal, snapshot
from market import publish

from pine.bus import keys
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import TooDear
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.answer import History
from pine.history.archive import Archive
from pine.history.audit import Audit, Lost, Report, session_on
from pine.history.comparison import Comparison
from pine.history.historical import HistoricalSource
from pine.history.manifest import Interval
from pine.history.recorded import Record
from pine.hub.aggregator import Closed
from pine.hub.lead import choose_lead
from pine.sandbox.history import HistoryServer

from .conftest import HubBars, Serve, configured, source
from .test_sources import lose

DAY = date(2024, 3, 7)
BEGIN, END = parse_time("2024-03-06T23:00"), parse_time("2024-03-07T23:00")
ROLLED = date(2024, 3, 13)
LATER = parse_time("2030-01-01")
MINUTE = Timeframe.MINUTE
T = parse_time("2024-03-07T14:00")


def audit(config: Config, client: Client | None, **more: object) -> Audit:
    shop = source(config.databento.historical_gateway or "", max_cost_usd=config.databento.max_cost_usd)
    return Audit(config.session_rule, Record.of(config, client), Comparison(shop, Archive.of(config)), **more)  # type: ignore[arg-type]


def report(config: Config, client: Client | None, day: date = DAY, now: int = LATER, **more: object) -> Report:
    work = audit(config, client, **more)
    here, away = work.sessions(["ES"], day, now)
    (found,) = [*away, *work.run(here, lambda _: None)]
    return found


def sold(server: HistoryServer) -> int:
    return sum(request["endpoint"] == "timeseries.get_range" for request in server.requests)


def changed(
    closed: Sequence[Closed], change: Callable[[Bar], Bar | None], timeframe: Timeframe = MINUTE
) -> list[Closed]:
    """Return what a hub published with some bars changed or left out."""
    return [
        evolve(
            item,
            bars=tuple(
                new
                for bar in item.bars
                if (new := change(bar) if bar.timeframe is timeframe and bar.start < END else bar) is not None
            ),
        )
        for item in closed
    ]


def minutes(hub: HubBars) -> list[Bar]:
    return [bar for bar in hub.bars if BEGIN <= bar.start < END]


# Equal


@pytest.mark.parametrize("day", [DAY, ROLLED])
def test_what_a_hub_published_equals_what_the_vendor_has(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path, day: date
) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path)
    publish(client, config, hub.closed)
    found = report(config, client, day)
    assert (found.verdict, found.mismatches, found.notes) == ("equal", (), ())
    assert {count.equal == count.recorded == count.vendor > 0 for count in found.counts.values()} == {True}
    assert found.counts[Timeframe.DAY].equal == 1
    assert found.volume[0] == found.volume[1] > 0
    assert found.cost > 0
    count = sold(server)
    assert count == 2  # minutes, and the volumes of the session before
    again = report(config, client, day)
    assert (evolve(again, cost=found.cost), again.cost, sold(server)) == (found, 0, count)


def test_what_was_bought_to_compare_is_never_the_record(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, hub.closed)
    assert report(config, client).verdict == "equal"
    archive = Archive.of(config)
    assert archive.verify() == []
    assert (archive.bars("ES", MINUTE), archive.covered("ES", MINUTE)) == ([], [])
    assert History.of(config, None).bars("ES", MINUTE, BEGIN, END).holes == ((BEGIN, END),)
    kept = {path.split("/")[0] for path in snapshot(tmp_path / "archive")}
    assert kept == {"vendor_bars", "vendor_volumes", "manifest"}
    seal(client, config, archive)
    apart = archive_at(tmp_path / "apart", config)
    client.xgroup_destroy(keys.bars("ES", MINUTE), keys.ARCHIVE)  # type: ignore[attr-defined]
    seal(client, config, apart)
    mine, other = snapshot(tmp_path / "archive"), snapshot(tmp_path / "apart")
    assert {path: mine[path] for path in other} == other  # what is sealed is as if nothing had been compared


def test_sessions_that_were_sealed_are_compared_without_a_server(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, hub.closed)
    seal(client, config, Archive.of(config))
    found = report(config, None)
    assert (found.verdict, found.mismatches) == ("equal", ())
    assert found.counts[MINUTE].equal == len(minutes(hub))


def test_what_is_kept_needs_no_vendor(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, hub.closed)
    first = report(config, client)
    gone = configured("https://127.0.0.1:1", tmp_path)
    assert evolve(report(gone, client), cost=first.cost) == first


# Different


def test_each_value_that_differs_is_named_with_both(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    old = next(bar for bar in minutes(hub) if bar.start >= T)
    new = evolve(old, high=old.high + 1, close=old.high + 1)
    publish(client, config, changed(hub.closed, lambda bar: new if bar == old else bar))
    found = report(config, client)
    assert found.verdict == "different"
    facts = [(m.timeframe, m.start, m.kind, m.field, m.recorded, m.vendor, m.late) for m in found.mismatches]
    assert facts == [
        (MINUTE, old.start, "different", "high", new.high, old.high, False),
        (MINUTE, old.start, "different", "close", new.close, old.close, False),
    ]
    assert found.counts[MINUTE].equal == found.counts[MINUTE].vendor - 1


def test_bars_that_are_missing_or_too_many_are_named(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    starts = {bar.start for bar in hub.bars}
    lost = next(bar for bar in minutes(hub) if bar.start >= T and bar.start + NS_PER_MINUTE not in starts)
    moved = evolve(lost, start=lost.start + NS_PER_MINUTE)
    publish(client, config, changed(hub.closed, lambda bar: moved if bar == lost else bar))
    found = report(config, client)
    assert [(m.start, m.kind, m.recorded, m.vendor) for m in found.mismatches] == [
        (lost.start, "missing", None, lost.volume),
        (moved.start, "extra", moved.volume, None),
    ]
    assert found.volume[0] == found.volume[1]


def test_a_bar_of_another_contract_and_an_hour_that_is_no_fold_are_named(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    old = next(bar for bar in minutes(hub) if bar.start >= T)
    closed = changed(hub.closed, lambda bar: evolve(bar, contract_symbol="ESM4") if bar == old else bar)
    hour = next(bar for item in closed for bar in item.bars if bar.timeframe is Timeframe.HOUR and bar.start == T)
    publish(client, config, changed(closed, lambda b: evolve(b, volume=1) if b == hour else b, Timeframe.HOUR))
    found = report(config, client)
    assert [(m.timeframe, m.kind, m.field, m.recorded, m.vendor) for m in found.mismatches] == [
        (MINUTE, "contract", "contract_symbol", "ESM4", "ESH4"),
        (Timeframe.HOUR, "different", "volume", 1, hour.volume),
    ]


def test_a_lead_that_the_volumes_do_not_give_is_named_and_the_bars_are_compared_with_it(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path)
    publish(client, config, hub.closed)
    at = str(BEGIN // 1_000_000)
    client.hset(keys.lead("ES"), at, "ESM4")  # type: ignore[attr-defined]
    found = report(config, client)
    first = found.mismatches[0]
    assert (first.kind, first.recorded, first.vendor) == ("lead", "ESM4", "ESH4")
    assert {m.kind for m in found.mismatches[1:]} <= {"contract", "missing", "extra"}
    asked = [r["fields"]["symbols"] for r in server.requests if r["endpoint"] == "timeseries.get_range"]
    assert asked == ["ES.FUT", "ESM4"]


def with_hole(client: Client, config: Config, hub: HubBars, hole: Interval) -> list[Bar]:
    """Publish what a hub that lost an hour's minutes publishes; return them."""
    publish(client, config, [item for item in hub.closed if item.boundary <= hole[0]])
    lose(client, "ES", hole)
    rest = [item for item in hub.closed if item.boundary > hole[1]]
    within = {Timeframe.HOUR: T, Timeframe.DAY: BEGIN}
    publish(
        client,
        config,
        [evolve(i, bars=tuple(b for b in i.bars if within.get(b.timeframe) != b.start)) for i in rest],
    )
    return [bar for bar in minutes(hub) if hole[0] <= bar.start < hole[1]]


HOLE = (T, T + 40 * NS_PER_MINUTE)


def test_a_hole_that_the_hub_names_is_told_apart_from_differences_refilled_or_not(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    lost = with_hole(client, config, hub, HOLE)
    found = report(config, client)
    assert (found.verdict, found.mismatches) == ("incomplete", ())
    assert found.holes == (Lost(*HOLE, len(lost), refilled=False),)
    archive = Archive.of(config)
    seal(client, config, archive)
    assert report(config, None).holes == found.holes
    half = lost[: len(lost) // 2]
    archive.add_bars("ES", MINUTE, half, HOLE[0], half[-1].start + NS_PER_MINUTE, "historical")
    assert report(config, client).holes == found.holes
    archive.add_bars("ES", MINUTE, lost, *HOLE, "historical")
    assert History.of(config, None).bars("ES", MINUTE, BEGIN, END).holes == ()
    for where in (client, None):
        found = report(config, where)
        assert (found.verdict, found.mismatches) == ("equal", ())
        assert found.holes == (Lost(*HOLE, len(lost), refilled=True),)


def test_a_difference_beside_a_hole_is_a_difference(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    old = next(bar for bar in minutes(hub) if bar.start >= HOLE[1])
    new = evolve(old, close=old.low, low=old.low - 1)
    with_hole(client, config, evolve(hub, closed=changed(hub.closed, lambda bar: new if bar == old else bar)), HOLE)
    found = report(config, client)
    assert found.verdict == "different"
    assert {m.start for m in found.mismatches} == {old.start}
    assert not found.holes[0].refilled


def test_late_trades_are_named_where_they_can_be_the_reason(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    old = next(bar for bar in minutes(hub) if bar.start >= T and bar.volume > 1)
    less = evolve(old, volume=old.volume - 1)
    publish(client, config, changed(hub.closed, lambda bar: less if bar == old else bar))
    (one,) = report(config, client).mismatches
    assert (one.field, one.late) == ("volume", True)
    assert "no hub runs that could say" in " ".join(report(config, client).notes)
    client.hset(keys.heartbeat(keys.HUB), "counts", b'{"late": 3}')  # type: ignore[attr-defined]
    found = report(config, client)
    assert (found.verdict, found.mismatches[0].late) == ("different", True)
    assert "the hub has left out 3 since its start" in " ".join(found.notes)
    client.hset(keys.heartbeat(keys.HUB), "counts", b"{}")  # type: ignore[attr-defined]
    found = report(config, client)
    assert (found.mismatches[0].late, found.notes) == (False, ())


def test_settings_that_make_other_bars_are_said(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, hub.closed)
    found = report(config, client, bar_clock="ts_event", fill_quiet_minutes=True)
    assert found.verdict == "equal"
    assert [note.partition(":")[0] for note in found.notes] == [
        "hub.bar_clock is ts_event",
        "hub.fill_quiet_minutes",
    ]


# Not compared


@pytest.mark.parametrize(
    ("day", "now", "reason"),
    [
        (date(2024, 3, 10), LATER, "no session of ES with scheduled trading ends on 2024-03-10; the nearest end on "
         "2024-03-08 and 2024-03-11"),
        (DAY, END - 1, "is not over before 2024-03-07T23:00:00"),
        (date(2024, 2, 8), LATER, "no hub has recorded it; the record begins at 2024-03-0"),
        (date(2024, 3, 14), LATER, "the record ends at 2024-03-14T"),
        (date(2024, 6, 6), LATER, "no hub has recorded it; the record ends at 2024-03-14T"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_why_and_asks_nobody(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path, day: date, now: int, reason: str
) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path)
    publish(client, config, [item for item in hub.closed if item.boundary < parse_time("2024-03-14T20:00")])
    found = report(config, client, day, now)
    assert found.verdict == "not compared"
    assert reason in found.reason
    assert server.requests == []


def test_on_the_tapes_clock_a_session_is_over_when_the_record_is_past_it(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, [item for item in hub.closed if item.boundary < parse_time("2024-03-14T20:00")])
    found = report(config, client, date(2024, 3, 14), clock="tape")
    assert found.reason.startswith("the session is not over before 2024-03-14T23:00:00+00:00; by the tape, which is")
    assert found.reason.endswith("it is 2024-03-14T19:59:00+00:00")
    work = audit(config, client, clock="tape")
    assert work.last_day(["ES"], LATER) == ROLLED
    assert report(config, client, ROLLED, clock="tape").verdict == "equal"


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2024-03-07T22:59", date(2024, 3, 6)),
        ("2024-03-07T23:00", DAY),
        ("2024-03-10T12:00", date(2024, 3, 8)),  # a Sunday
        ("2024-03-11T12:00", date(2024, 3, 8)),
    ],
)
def test_the_last_session_is_the_newest_that_is_over(tmp_path: Path, now: str, day: date) -> None:
    assert audit(configured("https://127.0.0.1:1", tmp_path), None).last_day(["ES", "GC"], parse_time(now)) == day


def test_imported_and_bought_bars_are_no_record(serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path)
    Archive.of(config).add_bars("ES", MINUTE, minutes(hub), BEGIN, END, "import")
    found = report(config, None)
    assert (found.verdict, found.reason, sold(server)) == ("not compared", "no hub has recorded it", 0)


def test_what_the_vendor_does_not_have_yet_is_said(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve(until=END - 2 * NS_PER_HOUR)
    config = configured(server.gateway, tmp_path)
    publish(client, config, hub.closed)
    found = report(config, client)
    assert found.verdict == "not compared"
    assert "Databento has minutes until 2024-03-07T21:00:00+00:00, not yet until the session's end" in found.reason
    assert sold(server) == 0


def test_where_nothing_is_scheduled_any_more_the_vendor_need_not_have_come_to_the_sessions_end(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    server = serve(until=parse_time("2024-03-08T22:10"))  # trading ends on Fridays at 22:00
    config = configured(server.gateway, tmp_path)
    publish(client, config, hub.closed)
    assert report(config, client, date(2024, 3, 8)).verdict == "equal"
    count = sold(server)
    assert report(config, client, date(2024, 3, 8)).cost == 0
    assert sold(server) == count


def test_where_the_vendors_data_begins_the_lead_is_not_checked_and_that_is_said(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve().gateway, tmp_path)
    publish(client, config, hub.closed)
    found = report(config, client, date(2024, 3, 4))
    assert found.verdict == "equal"
    (note,) = found.notes
    assert note.startswith("whether ESH4 was the lead was not checked")


def test_too_dear_altogether_buys_nothing(client: Client, serve: Serve, hub: HubBars, tmp_path: Path) -> None:
    server = serve()
    config = configured(server.gateway, tmp_path, max_cost_usd=0.0001)
    publish(client, config, hub.closed)
    with pytest.raises(TooDear, match="for comparing 1 sessions, expected at most"):
        report(config, client)
    assert sold(server) == 0


def test_what_the_vendor_refuses_of_one_root_is_its_reason(
    client: Client, serve: Serve, hub: HubBars, tmp_path: Path
) -> None:
    config = configured(serve("403@get_range").gateway, tmp_path)
    publish(client, config, hub.closed)
    found = report(config, client)
    assert found.verdict == "not compared"
    assert "refused with 403" in found.reason
    assert not (tmp_path / "archive").exists()
    assert report(config, client).verdict == "equal"


# Which session a day names


@pytest.mark.parametrize(
    ("close", "day", "begin", "end"),
    [
        ("23:00", "2024-03-05", "2024-03-04T23:00", "2024-03-05T23:00"),
        ("17:00 America/Chicago", "2024-03-05", "2024-03-04T23:00", "2024-03-05T23:00"),
        ("17:00 America/Chicago", "2024-07-02", "2024-07-01T22:00", "2024-07-02T22:00"),
        ("00:00", "2024-03-05", "2024-03-05T00:00", "2024-03-06T00:00"),
        ("23:00", "2024-06-10", "2024-06-09T23:00", "2024-06-10T23:00"),
    ],
)
def test_a_session_is_named_after_the_day_of_its_last_moment(close: str, day: str, begin: str, end: str) -> None:
    found = session_on(date.fromisoformat(day), SessionRule(SessionClose.parse(close)))
    assert found is not None
    assert (found.start, found.end) == (parse_time(begin), parse_time(end))


def test_a_short_session_that_belongs_to_the_next_one_has_no_name() -> None:
    assert session_on(date(2024, 6, 9), SessionRule()) is None
    assert session_on(date(2024, 6, 9), SessionRule(merge_short=False)) is not None


def test_the_source_is_asked_for_nothing_before_it_must(tmp_path: Path) -> None:
    config = configured(None, tmp_path)
    shop = Comparison(HistoricalSource(config, choose_lead), Archive.of(config))
    work = Audit(config.session_rule, Record.of(config, None), shop)
    here, away = work.sessions(["ES", "GC"], DAY, LATER)
    assert (here, [r.verdict for r in away]) == ([], ["not compared"] * 2)
