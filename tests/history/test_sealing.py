"""Whatever was on the streams is in the archive, once, and however often and whenever it was sealed."""

from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import orjson
import pytest
from attrs import evolve
from books import NAME, Books, append, archive_at, seal, snapshot, sparse_market
from hypothesis import given
from hypothesis import strategies as st
from market import CONFIG, begin, closed_bars, configure, publish, record

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import ArchiveDiffers, ArchiveError, DataError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.history import sealer
from pine.history.answer import History
from pine.history.archive import Archive
from pine.history.manifest import Table, bars_table
from pine.history.sealer import Sealer
from pine.history.sources import ArchiveBars
from pine.history.store import open_store
from pine.hub.aggregator import Event
from pine.ops.trim import trim

SYMBOLS = ("ES", "GC", "6E")
FIRST = 1709506800 * 10**9
"""2024-03-03T23:00Z, when the generated market opens."""
SECOND = FIRST + NS_PER_DAY
THIRD = SECOND + NS_PER_DAY


def published(client: Client, symbol: str, timeframe: Timeframe, end: int) -> list[Bar]:
    found = streams.read_range(client, keys.bars(symbol, timeframe), "-", str(end // NS_PER_MS - 1))
    return [Bar.from_json(fields[b"bar"]) for _, fields in found]


def edge(client: Client, stream: str) -> str:
    return streams.group_info(client, stream, keys.ARCHIVE)["last-delivered-id"].decode()


def test_two_finished_sessions_are_read_back_as_they_were_on_the_streams(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, NAME)
    publish(client, config, closed_bars(silence=26))
    run.until_caught_up()
    archive = Archive.of(config)
    seal(client, config, archive)
    for symbol in SYMBOLS:
        for timeframe in Timeframe:
            assert archive.bars(symbol, timeframe) == published(client, symbol, timeframe, THIRD)
        assert list(archive.volumes(symbol)) == record(client, keys.volume(symbol))
        leads = {int(name) * NS_PER_MS: value.decode() for name, value in client.hgetall(keys.lead(symbol)).items()}
        assert archive.leads(symbol, end=THIRD + 1) == {s: contract for s, contract in leads.items() if s <= THIRD}
    assert list(archive.events()) == record(client, keys.EVENTS)
    sealed = list(archive.clock())
    assert sealed == record(client, keys.CLOCK)[: len(sealed)]
    assert len(list(archive.clock(end=THIRD + 1))) == len(
        list(streams.read_range(client, keys.CLOCK, last=str(THIRD // NS_PER_MS)))
    )
    for read, stream in ((archive.ledger, keys.ledger(NAME)), (archive.flights, keys.flight(NAME))):
        found = list(read(NAME))
        assert len(found) > 20
        assert found == record(client, stream)
    assert archive.verify() == []


def test_the_group_of_every_stream_stands_at_what_is_sealed(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars(silence=26))
    archive = Archive.of(config)
    seal(client, config, archive)
    for symbol in SYMBOLS:
        for stream in (keys.bars(symbol, Timeframe.MINUTE), keys.volume(symbol)):
            assert edge(client, stream) == streams.last_id(client, stream)
            info = streams.group_info(client, stream, keys.ARCHIVE)
            assert (info["lag"], info["pending"]) == (0, 0)
    last = archive.manifest(Table("clock")).sealed_to
    assert edge(client, keys.CLOCK) == last
    assert streams.ms_of(last or "") < streams.ms_of(streams.last_id(client, keys.CLOCK) or "")


def test_a_session_under_way_is_left_on_the_stream(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    half = [item for item in closed_bars(silence=26) if item.boundary < SECOND + NS_PER_HOUR]
    archive = Archive.of(config)
    publish(client, config, [item for item in half if item.boundary < SECOND])
    assert seal(client, config, archive) == []
    assert edge(client, keys.bars("ES", Timeframe.MINUTE)) == "0-0"
    publish(client, config, [item for item in half if item.boundary == SECOND])
    assert {found.session for found in seal(client, config, archive)} == {"2024-03-04"}
    publish(client, config, [item for item in half if item.boundary > SECOND])
    assert seal(client, config, archive) == []
    assert archive.bars("ES", Timeframe.MINUTE) == published(client, "ES", Timeframe.MINUTE, SECOND)
    assert archive.covered("ES", Timeframe.MINUTE) == [(FIRST, SECOND)]
    assert archive.bars("ES", Timeframe.MINUTE, FIRST + NS_PER_HOUR, FIRST + 2 * NS_PER_HOUR) == [
        bar
        for bar in published(client, "ES", Timeframe.MINUTE, SECOND)
        if FIRST + NS_PER_HOUR <= bar.start < FIRST + 2 * NS_PER_HOUR
    ]


def test_a_session_without_a_trade_is_covered_and_has_no_file(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars(silence=26))
    archive = Archive.of(config)
    seal(client, config, archive)
    assert archive.covered("6E", Timeframe.MINUTE) == [(FIRST, THIRD + NS_PER_DAY)]
    assert archive.bars("6E", Timeframe.MINUTE, THIRD) == []
    assert archive.manifest(bars_table("6E", Timeframe.MINUTE)).parts[-1].content.sha256 is None


def test_a_hole_is_not_covered_nor_the_hour_and_the_day_over_it(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    hole = (FIRST + 90 * NS_PER_MINUTE, FIRST + 100 * NS_PER_MINUTE)
    gap = {"kind": "gap", "symbol": "ES", "first_minute": hole[0], "last_minute": hole[1] - NS_PER_MINUTE}
    closed = closed_bars(silence=26)
    publish(client, config, [item for item in closed if item.boundary <= hole[0]])
    append(
        client, keys.EVENTS, [(streams.entry_id((hole[1] + NS_PER_MINUTE) // NS_PER_MS), {"event": orjson.dumps(gap)})]
    )
    publish(client, config, [item for item in closed if item.boundary > hole[1]])
    archive = Archive.of(config)
    seal(client, config, archive)
    end = THIRD + NS_PER_DAY
    assert archive.covered("ES", Timeframe.MINUTE) == [(FIRST, hole[0]), (hole[1], end)]
    assert archive.covered("ES", Timeframe.HOUR) == [(FIRST, FIRST + NS_PER_HOUR), (FIRST + 2 * NS_PER_HOUR, end)]
    assert archive.covered("ES", Timeframe.DAY) == [(SECOND, end)]
    assert archive.covered("GC", Timeframe.MINUTE) == [(FIRST, end)]


def test_before_a_hub_first_published_a_root_nothing_is_covered(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    noon = FIRST + 12 * NS_PER_HOUR
    publish(client, config, [item for item in closed_bars(silence=26) if item.boundary > noon])
    archive = Archive.of(config)
    seal(client, config, archive)
    assert archive.covered("ES", Timeframe.MINUTE) == [(noon, THIRD + NS_PER_DAY)]


def test_a_root_that_is_not_configured_any_more_is_covered_up_to_its_last_entry(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars(silence=26))
    text = (tmp_path / "pine.yaml").read_text().replace(", 6E: {}", "").replace("GC, ES, 6E", "GC, ES")
    archive = Archive.of(config)
    seal(client, configure(tmp_path, text), archive)
    last = published(client, "6E", Timeframe.MINUTE, THIRD)[-1].start + NS_PER_MINUTE
    assert archive.covered("6E", Timeframe.MINUTE) == [(FIRST, last)]


def test_trimming_between_two_looks_changes_nothing(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    closed = closed_bars(silence=26)
    archive, undisturbed = archive_at(tmp_path / "a", config), archive_at(tmp_path / "b", config)
    publish(client, config, [item for item in closed if item.boundary < SECOND + 3 * NS_PER_HOUR])
    seal(client, config, archive)
    seal(client, config, undisturbed)
    publish(client, config, [item for item in closed if item.boundary >= SECOND + 3 * NS_PER_HOUR])
    seal(client, config, undisturbed)
    for key in client.keys("market:*"):  # type: ignore[attr-defined]
        if key.decode() != keys.SYMBOLS and not key.endswith(b":lead"):
            reached = archive.manifest(_table_of(key.decode())).sealed_to
            client.xtrim(key, minid=f"{streams.ms_of(reached or '0') + 1}", approximate=False)  # type: ignore[attr-defined]
    seal(client, config, archive)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_what_is_sealed_may_be_trimmed_and_archive_and_streams_together_hold_everything(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, f"retention: 1d\nretention_max: 1d\n{CONFIG}")
    publish(client, config, closed_bars(silence=26))
    everything = published(client, "ES", Timeframe.MINUTE, THIRD)
    assert trim(client, config)["removed"] == 0
    archive = Archive.of(config)
    seal(client, config, archive)
    assert trim(client, config)["removed"] > 0
    left = published(client, "ES", Timeframe.MINUTE, THIRD)
    assert 0 < len(left) < len(everything)
    assert archive.bars("ES", Timeframe.MINUTE, end=left[0].start) + left == everything


def _table_of(key: str) -> Table:
    match keys.split(key):
        case ("market", symbol, "volume"):
            return Table("volumes", (("symbol", symbol),))
        case ("market", symbol, timeframe):
            return bars_table(symbol, Timeframe(timeframe))
        case (_, kind):
            return Table(kind)
    raise AssertionError(key)


def test_a_request_booked_at_the_last_step_long_after_the_close_is_in_the_archive(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    books = Books(client)
    market = sparse_market()
    publish(client, config, [item for item in market if item.boundary <= SECOND])
    books.work(10_000)
    archive = Archive.of(config)
    seal(client, config, archive)
    assert len(list(archive.ledger(NAME))) == 1  # its origin: the session is over on the market, not in the books
    books.control()
    publish(client, config, [item for item in market if item.boundary > SECOND][:2])
    seal(client, config, archive)
    assert len(list(archive.ledger(NAME))) == 1
    books.read()
    seal(client, config, archive)
    books.control()
    assert len(list(archive.ledger(NAME))) == 1  # delivered is not acknowledged
    client.xack(keys.CLOCK, NAME, *[i for i, _ in streams.read_range(client, keys.CLOCK)])  # type: ignore[attr-defined]
    seal(client, config, archive)
    found = list(archive.ledger(NAME))
    assert found == record(client, keys.ledger(NAME))
    assert [orjson.loads(fields[b"entry"])["kind"] for _, fields in found][-2:] == ["control", "control"]


def test_what_comes_late_into_a_sealed_session_is_added_to_it(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    books = Books(client)
    day = FIRST // NS_PER_MS
    publish(client, config, sparse_market()[:5])
    books.deliver(day)
    archive = Archive.of(config)
    seal(client, config, archive)
    books.deliver(day + 1)  # as if the server's clock had been set back
    assert [(s.table, s.rows) for s in seal(client, config, archive)] == [(f"deliveries/strategy={NAME}", 1)]
    assert list(archive.deliveries(NAME)) == record(client, keys.deliveries(NAME))
    assert archive.verify() == []
    assert edge(client, keys.deliveries(NAME)) == streams.last_id(client, keys.deliveries(NAME))


def test_deliveries_of_today_are_not_sealed_today(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    client.xadd(keys.deliveries(NAME), {"intent": "i", "state": "posted"})
    archive = Archive.of(config)
    assert seal(client, config, archive) == []
    assert edge(client, keys.deliveries(NAME)) == "0-0"


def test_a_lost_group_or_another_location_only_costs_reading(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    archive = archive_at(tmp_path / "a", config)
    seal(client, config, archive)
    before = snapshot(tmp_path / "a")
    stream = keys.bars("ES", Timeframe.MINUTE)
    client.xgroup_destroy(stream, keys.ARCHIVE)  # type: ignore[attr-defined]
    assert seal(client, config, archive) != []
    assert edge(client, stream) == archive.manifest(bars_table("ES", Timeframe.MINUTE)).sealed_to
    seal(client, config, archive_at(tmp_path / "b", config))
    assert before == snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_stream_that_contradicts_the_archive_is_named_and_nothing_is_overwritten(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    archive = archive_at(tmp_path / "a", config)
    seal(client, config, archive)
    before = snapshot(tmp_path / "a")
    stream = keys.bars("ES", Timeframe.HOUR)
    entries = record(client, stream)
    client.delete(stream)  # type: ignore[attr-defined]
    changed = orjson.loads(entries[3][1][b"bar"]) | {"volume": 7}
    entries[3] = (entries[3][0], {b"bar": orjson.dumps(changed)})
    append(client, stream, [(i, {"bar": fields[b"bar"]}) for i, fields in entries])
    with pytest.raises(ArchiveDiffers, match=r"bars/symbol=ES/timeframe=hourly 2024-03-04T02:00.*volume=7"):
        seal(client, config, archive)
    assert snapshot(tmp_path / "a") == before


BEFORE_ALL = f"{FIRST // NS_PER_MS}-0"
WRONG = {
    "entry": lambda client: client.xadd("market:GC:hourly", {"bar": "{}"}, BEFORE_ALL),
    "no bar": lambda client: client.xadd("market:GC:hourly", {"other": "{}"}, BEFORE_ALL),
    "volume": lambda client: client.xadd("market:GC:volume", {"volume": '{"GCJ4": "x"}'}, BEFORE_ALL),
    "lead": lambda client: client.hset("market:GC:lead", "abc", "GCJ4"),
}


@pytest.mark.parametrize("wrong", [*WRONG, "manifest"])
def test_what_is_wrong_with_one_table_is_raised_and_keeps_no_other_from_being_sealed(
    wrong: str, client: Client, tmp_path: Path
) -> None:
    """Whole backlogs of them, at the first look."""
    config = configure(tmp_path)
    WRONG.get(wrong, lambda _: None)(client)
    market = [item for item in sparse_market() if item.boundary > FIRST + 2 * NS_PER_HOUR]
    publish(client, config, market)
    archive = archive_at(tmp_path / "a", config)
    bad = {"entry": "hourly", "no bar": "hourly", "volume": "volume", "lead": "lead", "manifest": "1min"}[wrong]
    if wrong == "manifest":
        path = tmp_path / "a" / bars_table("GC", Timeframe.MINUTE).manifest
        path.parent.mkdir(parents=True)
        path.write_text("no manifest")
    with pytest.raises((DataError, ArchiveError, TypeError, ValueError)):
        seal(client, config, archive)
    for symbol in SYMBOLS:
        for timeframe in Timeframe:
            if (symbol, timeframe.value) != ("GC", bad):
                assert archive.bars(symbol, timeframe) == published(client, symbol, timeframe, THIRD)
                stream = keys.bars(symbol, timeframe)
                assert edge(client, stream) == archive.manifest(bars_table(symbol, timeframe)).sealed_to
        if (symbol, "volume") != ("GC", bad):
            assert list(archive.volumes(symbol)) == record(client, keys.volume(symbol))
    if bad in ("hourly", "volume"):
        assert edge(client, f"market:GC:{bad}") == "0-0"


def test_a_key_that_the_server_names_twice_is_sealed_once(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    names = list(client.scan_iter())
    monkeypatch.setattr(client, "scan_iter", lambda **_: iter([*names, *names]))
    archive = archive_at(tmp_path / "a", config)
    assert len({(one.table, one.session) for one in seal(client, config, archive)}) > 20
    assert archive.verify() == []


@pytest.mark.parametrize(("together", "most"), [(1, 10**9), (3, 10**9), (100, 1)])
def test_how_many_tables_are_sealed_together_makes_no_difference(
    together: int, most: int, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    told = seal(client, config, archive_at(tmp_path / "a", config))
    monkeypatch.setattr(sealer, "TOGETHER", together)
    monkeypatch.setattr(sealer, "MOST_BYTES", most)
    again = seal(client, config, archive_at(tmp_path / "b", config))
    assert [(one.table, one.session) for one in again] == [(one.table, one.session) for one in told]
    assert snapshot(tmp_path / "b") == snapshot(tmp_path / "a")


def test_a_sign_of_life_is_given_after_every_file(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    lease = Lease.try_acquire(client, keys.ARCHIVE, "test")
    assert isinstance(lease, Lease)
    told: list[tuple[str, int, int]] = []
    Sealer(config, client, lease, archive_at(tmp_path / "a", config)).look(lambda *each: told.append(each))
    files = [path for path in snapshot(tmp_path / "a") if path.endswith(".parquet")]
    assert len([path for path, _, _ in told if not path]) > 2 * len(files)
    done = [n for _, n, _ in told]
    assert done == sorted(done)
    assert told[-1] == ("", told[0][2], told[0][2])


def test_an_archive_behind_a_url_holds_the_same_bytes(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    local, remote = archive_at(tmp_path / "a", config), archive_at(open_store("memory://pine/here"), config)
    seal(client, config, local)
    seal(client, config, remote)
    system = fsspec.filesystem("memory")
    found = {path.removeprefix("/pine/here/"): system.cat_file(path) for path in system.find("/pine/here")}
    assert found == snapshot(tmp_path / "a")
    for symbol in SYMBOLS:
        assert remote.bars(symbol, Timeframe.MINUTE, SECOND) == local.bars(symbol, Timeframe.MINUTE, SECOND)
    assert remote.verify() == []
    assert remote.tables() == local.tables()


# Any number of runs at any moments


MOVES = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 60)),
    st.tuples(st.just("work"), st.integers(1, 60)),
    st.tuples(st.just("control"), st.just(0)),
    st.tuples(st.just("deliver"), st.integers(0, 72)),
    st.tuples(st.just("seal"), st.just(0)),
)


@pytest.mark.examples(4, long=12)
@given(st.lists(MOVES, max_size=25))
def test_any_number_of_runs_at_any_moments_makes_the_same_archive(
    kept: tuple[Client, Config], moves: list[tuple[str, int]]
) -> None:
    client, config = kept
    client.flushall()  # type: ignore[attr-defined]
    with TemporaryDirectory() as name:
        often, once = (Path(name) / part for part in ("often", "once"))
        archive = archive_at(often, config)
        books = Books(client)
        market = list(sparse_market())
        for move, size in [*moves, ("publish", len(market)), ("work", 10_000), ("seal", 0)]:
            if move == "publish":
                publish(client, config, market[:size])
                del market[:size]
            elif move == "work":
                books.work(size)
            elif move == "control":
                books.control()
            elif move == "deliver":
                books.deliver(FIRST // NS_PER_MS + size * 3_600_000)
            else:
                seal(client, config, archive)
        whole = archive_at(once, config)
        seal(client, config, whole)
        assert snapshot(often) == snapshot(once)
        assert archive.verify() == []
        for read, stream in (
            (whole.ledger, keys.ledger),
            (whole.flights, keys.flight),
            (whole.deliveries, keys.deliveries),
        ):
            found = list(read(NAME))
            assert found == record(client, stream(NAME))[: len(found)]
            if found:
                assert edge(client, stream(NAME)) == found[-1][0]


def test_a_session_is_the_same_whether_its_hole_was_filled_before_or_after_it_was_sealed(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first, end = FIRST + 5 * NS_PER_HOUR + 20 * NS_PER_MINUTE, FIRST + 7 * NS_PER_HOUR + 10 * NS_PER_MINUTE

    def lost(bar: Bar) -> bool:
        length = {Timeframe.MINUTE: NS_PER_MINUTE, Timeframe.HOUR: NS_PER_HOUR, Timeframe.DAY: NS_PER_DAY}
        return bar.symbol == "ES" and bar.start < end and first < bar.start + length[bar.timeframe]

    whole = closed_bars(silence=26)
    gap = Event("gap", "ES", {"first_minute": first, "last_minute": end - NS_PER_MINUTE})
    seen = [evolve(item, bars=tuple(bar for bar in item.bars if not lost(bar))) for item in whole]
    at = next(n for n, item in enumerate(seen) if item.boundary > end)
    seen[at] = evolve(seen[at], events=(gap, *seen[at].events))
    publish(client, config, seen)
    bars = [bar for item in whole for bar in item.bars]
    minutes = [bar for bar in bars if lost(bar) and bar.timeframe is Timeframe.MINUTE]
    before, after = archive_at(tmp_path / "before", config), archive_at(tmp_path / "after", config)
    before.add_bars("ES", Timeframe.MINUTE, minutes, first, end, "historical")
    seal(client, config, before)
    seal(client, config, after)
    assert after.bars("ES", Timeframe.DAY, FIRST, SECOND) == []
    after.add_bars("ES", Timeframe.MINUTE, minutes, first, end, "historical")
    assert snapshot(tmp_path / "before") == snapshot(tmp_path / "after")
    assert before.verify() == []
    history = History(config.session_rule, None, ArchiveBars(after))
    for timeframe in Timeframe:
        answer = history.bars("ES", timeframe, FIRST, THIRD)
        assert answer.holes == ()
        expected = [bar for bar in bars if (bar.symbol, bar.timeframe) == ("ES", timeframe) and bar.start < THIRD]
        assert list(answer.bars) == expected
