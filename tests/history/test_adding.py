"""Bars from elsewhere: kept bit for bit, left alone where they are equal, refused where they are not."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from books import archive_at, seal, snapshot, sparse_market
from hypothesis import given, settings
from hypothesis import strategies as st
from market import configure, publish

from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.errors import ArchiveDiffers, ArchiveError
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.history.archive import Archive
from pine.history.manifest import bars_table
from pine.history.merging import Added
from pine.history.store import LocalStore, open_store

BEGIN = 1709506800 * 10**9
"""2024-03-03T23:00Z, the beginning of a session."""
END = BEGIN + 3 * NS_PER_DAY
MINUTE, HOUR = Timeframe.MINUTE, Timeframe.HOUR


def bar(minute: int, close: float = 5000.25, volume: int = 3) -> Bar:
    return Bar("ES", MINUTE, BEGIN + minute * NS_PER_MINUTE, close, close, close, close, volume, 7, "ESH4")


@pytest.fixture(params=["folder", "url"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    rule = SessionRule()
    if request.param == "folder":
        yield Archive(LocalStore(tmp_path / "archive"), lambda _: rule, rule)
    else:
        yield Archive(open_store(f"memory://{tmp_path}"), lambda _: rule, rule)


prices = st.floats(-1e12, 1e12)


@given(st.dictionaries(st.integers(0, 3 * 1440 - 1), st.tuples(prices, prices, st.integers(0, 2**62)), min_size=1))
@settings(max_examples=40)
def test_any_bars_come_back_bit_for_bit(found: dict[int, tuple[float, float, int]]) -> None:
    rule = SessionRule()
    bars = []
    for minute, (one, other, volume) in sorted(found.items()):
        low, high = min(one, other), max(one, other)
        bars.append(Bar("6E", MINUTE, BEGIN + minute * NS_PER_MINUTE, low, high, low, one, volume, 2**32 - 1, "6EH4"))
    store = open_store("memory://any")
    store.system.store.clear()  # type: ignore[attr-defined]
    archive = Archive(store, lambda _: rule, rule)
    assert archive.add_bars("6E", MINUTE, bars, BEGIN, END, "import") == Added(added=len(bars))
    back = archive.bars("6E", MINUTE)
    assert back == bars
    assert [math.copysign(1, b.open) for b in back] == [math.copysign(1, b.open) for b in bars]
    assert archive.covered("6E", MINUTE) == [(BEGIN, END)]


def test_equal_bars_are_left_alone_and_new_ones_are_added(archive: Archive) -> None:
    first, second = [bar(1), bar(5)], [bar(10), bar(1500)]
    archive.add_bars("ES", MINUTE, first, BEGIN, bar(9).start, "import")
    again = archive.add_bars("ES", MINUTE, first, BEGIN, bar(9).start, "historical")
    assert again == Added(equal=2)
    more = archive.add_bars("ES", MINUTE, first + second, BEGIN, END, "historical")
    assert more == Added(added=2, equal=2)
    assert archive.bars("ES", MINUTE) == first + second
    assert archive.frame(bars_table("ES", MINUTE))["source"].to_list() == ["import"] * 2 + ["historical"] * 2
    assert archive.covered("ES", MINUTE) == [(BEGIN, END)]
    assert archive.verify() == []


@pytest.mark.parametrize(
    ("given_bars", "told"),
    [
        ([bar(1), bar(5, close=5000.5)], r"23:05:00.*5000\.25.*\(import\).*5000\.5"),
        ([bar(1), bar(3), bar(5)], r"23:03:00.*found no bar in the archive"),
        ([bar(1)], r"23:05:00.*and no bar to be added"),
    ],
    ids=["different", "one more", "one less"],
)
def test_different_bars_are_refused_with_the_first_difference_and_nothing_is_written(
    archive: Archive, given_bars: list[Bar], told: str
) -> None:
    archive.add_bars("ES", MINUTE, [bar(1), bar(5)], BEGIN, bar(9).start, "import")
    with pytest.raises(ArchiveDiffers, match=told):
        archive.add_bars("ES", MINUTE, [*given_bars, bar(3000)], BEGIN, END, "historical")
    assert archive.bars("ES", MINUTE) == [bar(1), bar(5)]
    assert archive.covered("ES", MINUTE) == [(BEGIN, bar(9).start)]
    archive.add_bars("ES", MINUTE, [*given_bars, bar(3000)], BEGIN, END, "historical", replace=True)
    assert archive.bars("ES", MINUTE) == [*given_bars, bar(3000)]
    assert archive.verify() == []


def test_replacing_everything_by_nothing_leaves_no_file(archive: Archive) -> None:
    archive.add_bars("ES", MINUTE, [bar(1)], BEGIN, END, "import")
    assert archive.add_bars("ES", MINUTE, [], BEGIN, END, "import", replace=True) == Added(replaced=1)
    assert archive.bars("ES", MINUTE) == []
    assert archive.covered("ES", MINUTE) == [(BEGIN, END)]
    assert archive.verify() == []


@pytest.mark.parametrize(
    "bars",
    [[bar(5), bar(1)], [bar(1), bar(1)], [bar(-1)], [bar(5000)]],
    ids=["order", "twice", "before", "after"],
)
def test_bars_that_do_not_fit_the_interval_are_refused(archive: Archive, bars: list[Bar]) -> None:
    with pytest.raises(ValueError, match="found Bar"):
        archive.add_bars("ES", MINUTE, bars, BEGIN, END, "import")
    assert archive.tables() == []


def test_bars_of_another_symbol_and_an_unknown_source_are_refused(archive: Archive) -> None:
    with pytest.raises(ValueError, match="expected GC 1min"):
        archive.add_bars("GC", MINUTE, [bar(1)], BEGIN, END, "import")
    with pytest.raises(ValueError, match="expected one of import, historical"):
        archive.add_bars("ES", MINUTE, [bar(1)], BEGIN, END, "live")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="interval"):
        archive.add_bars("ES", MINUTE, [], END, BEGIN, "import")


def test_a_hole_in_a_live_session_can_be_filled_and_the_rest_must_agree(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    market = [item for item in sparse_market() if item.boundary > BEGIN + 10 * NS_PER_HOUR]
    publish(client, config, market)
    archive = archive_at(tmp_path / "a", config)
    seal(client, config, archive)
    begin, _ = archive.covered("ES", HOUR)[0]
    assert begin > BEGIN
    live = archive.bars("ES", HOUR)
    early = [Bar("ES", HOUR, BEGIN + n * NS_PER_HOUR, 5.0, 6.0, 4.0, 5.5, 9, 7, "ESH4") for n in range(3)]
    assert archive.add_bars("ES", HOUR, early, BEGIN, begin, "historical").added == 3
    assert archive.bars("ES", HOUR) == early + live
    assert archive.covered("ES", HOUR)[0][0] == BEGIN
    wrong = Bar("ES", HOUR, live[2].start, 5.0, 6.0, 4.0, 5.5, 9, 7, "ESH4")
    with pytest.raises(ArchiveDiffers, match=r"\(live\)"):
        archive.add_bars("ES", HOUR, [wrong], wrong.start, wrong.start + NS_PER_HOUR, "historical")
    before = snapshot(tmp_path / "a")
    assert seal(client, config, archive) == []
    assert snapshot(tmp_path / "a") == before


def test_what_was_published_live_takes_the_place_of_what_was_imported_before(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    archive, only_live = archive_at(tmp_path / "a", config), archive_at(tmp_path / "b", config)
    wrong = Bar("ES", HOUR, BEGIN, 5.0, 6.0, 4.0, 5.5, 9, 7, "ESH4")
    archive.add_bars("ES", HOUR, [wrong], BEGIN, BEGIN + NS_PER_HOUR, "import")
    publish(client, config, sparse_market())
    seal(client, config, archive)
    seal(client, config, only_live)
    assert archive.bars("ES", HOUR) == only_live.bars("ES", HOUR)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_changed_session_close_begins_where_the_old_sessions_end(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    rules = [SessionRule(), SessionRule(SessionClose.parse("22:00"))]
    old, new = (Archive(store, lambda _, rule=rule: rule, rule) for rule in rules)
    old.add_bars("ES", MINUTE, [bar(1)], BEGIN, BEGIN + NS_PER_DAY, "import")
    later = [bar(1440), bar(2 * 1440 - 30), bar(2 * 1440 + 5)]
    new.add_bars("ES", MINUTE, [bar(1), *later], BEGIN, END, "import")
    assert new.bars("ES", MINUTE) == [bar(1), *later]
    parts = new.manifest(bars_table("ES", MINUTE)).parts
    assert [(p.slot.begin, p.slot.end) for p in parts][:2] == [
        (BEGIN, BEGIN + NS_PER_DAY),
        (BEGIN + NS_PER_DAY, BEGIN + 2 * NS_PER_DAY - NS_PER_HOUR),
    ]
    assert len({p.slot.file for p in parts}) == len(parts)
    assert new.verify() == []


def test_the_folders_read_as_one_table_with_polars(tmp_path: Path) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(1), bar(1500)], BEGIN, END, "import")
    euro = Bar("6E", MINUTE, BEGIN, 1.1, 1.1, 1.1, 1.1, 3, 8, "6EH4")
    archive.add_bars("6E", MINUTE, [euro], BEGIN, END, "import")
    frame = pl.scan_parquet(tmp_path / "bars").filter(symbol="6E", month="2024-03").collect()
    assert frame.select("symbol", "timeframe", "month", "close", "contract_symbol").rows() == [
        ("6E", "1min", "2024-03", 1.1, "6EH4")
    ]
    assert frame.schema["timestamp"] == pl.Datetime("ns", "UTC")


def test_the_example_for_polars_in_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path / "pine-data" / "archive"), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(60, 5000.25), bar(61, 5001.0)], BEGIN, END, "import")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "archive.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    exec(example, {})  # noqa: S102
    assert "5001.0" in capsys.readouterr().out


def test_only_files_that_can_hold_some_are_read(tmp_path: Path) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(1), bar(1441), bar(2881)], BEGIN, END, "import")
    for part in archive.manifest(bars_table("ES", MINUTE)).parts[::2]:
        (tmp_path / part.slot.file).write_bytes(b"not a Parquet file")
    assert archive.bars("ES", MINUTE, BEGIN + NS_PER_DAY, BEGIN + 2 * NS_PER_DAY - 1) == [bar(1441)]


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(1)], BEGIN, END, "import")
    (file,) = (tmp_path / "bars").rglob("*.parquet")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.unlink()
    with pytest.raises(ArchiveError, match="bars/symbol=ES/timeframe=1min"):
        archive.bars("ES", MINUTE)
    with pytest.raises(ArchiveError, match=file.name):
        archive.add_bars("ES", MINUTE, [bar(1), bar(3000)], BEGIN, END, "import")
    assert {difference.path for difference in archive.verify()} == {file.relative_to(tmp_path).as_posix()}


def test_a_manifest_of_another_shape_is_told(tmp_path: Path) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path), lambda _: rule, rule)
    path = tmp_path / bars_table("ES", MINUTE).manifest
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "sessions": ["x"]}')
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive.bars("ES", MINUTE)


def test_what_somebody_is_writing_at_the_moment_is_no_difference(tmp_path: Path) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path / "archive"), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(1)], BEGIN, END, "import")
    placed = tmp_path / "archive" / f"{bars_table('ES', MINUTE).path}" / "half.parquet"
    looked = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with archive.store.writing():
            placed.write_bytes(b"half of it")
            verifying = pool.submit(archive.verify, lambda _: looked.set())
            assert looked.wait(60)
            assert not verifying.done()
            placed.unlink()
        assert verifying.result(60) == []
    placed.write_bytes(b"left behind")
    assert [wrong.path for wrong in archive.verify()] == [placed.relative_to(tmp_path / "archive").as_posix()]


def test_what_a_file_manager_leaves_behind_is_no_difference(tmp_path: Path) -> None:
    rule = SessionRule()
    archive = Archive(LocalStore(tmp_path / "archive"), lambda _: rule, rule)
    archive.add_bars("ES", MINUTE, [bar(1)], BEGIN, END, "import")
    (tmp_path / "archive" / "bars" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "archive" / "tmp" / "folder").mkdir(parents=True)
    archive.add_bars("ES", MINUTE, [bar(1), bar(2)], BEGIN, BEGIN + 3 * NS_PER_MINUTE, "import", replace=True)
    assert archive.verify() == []
