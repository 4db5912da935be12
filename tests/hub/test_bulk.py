"""Bars from files: those of the live hub, whatever the files are cut into; nothing twice, nothing of half a file."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from files import CONFIG, archived, configured, in_order, live_bars, made_market, of_version, write

from pine.core.bar import fold
from pine.core.errors import ArchiveDiffers, DataError
from pine.core.period import period
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.history.archive import Archive
from pine.hub import imports
from pine.hub.dbn import OHLCV
from pine.hub.imports import import_files

MARKET = made_market()
SYMBOLS = MARKET.symbols
TRADES = MARKET.trades
BEGIN = int(TRADES["ts_recv"][0]) // NS_PER_DAY * NS_PER_DAY
END = (int(TRADES["ts_recv"][-1]) // NS_PER_DAY + 1) * NS_PER_DAY
LIVE = live_bars(MARKET)


def snapshot(config):
    folder = config.data_dir / "archive"
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


# Far from a roll: which contract leads in the part of a session is then beyond doubt.
CALM = made_market("2024-01-08")
CALM_BEGIN = int(CALM.trades["ts_recv"][0]) // NS_PER_DAY * NS_PER_DAY
CALM_LIVE = {timeframe: [b for b in bars if b.symbol == "ES"] for timeframe, bars in live_bars(CALM).items()}
ONLY_ES = CONFIG.replace(", GC: {}", "")


@pytest.fixture
def config(tmp_path):
    return configured(tmp_path / "desk")


@pytest.fixture
def whole(tmp_path):
    return write(tmp_path / "whole.dbn.zst", TRADES, SYMBOLS, BEGIN, END)


@pytest.fixture
def parts(tmp_path):
    """Three files that are cut within sessions and hours."""
    cuts = [BEGIN, BEGIN + 37 * NS_PER_HOUR + 17 * NS_PER_MINUTE, BEGIN + 3 * NS_PER_DAY + 5 * NS_PER_HOUR, END]
    return [write(tmp_path / f"{n}.dbn.zst", TRADES, SYMBOLS, *pair) for n, pair in enumerate(pairwise(cuts))]


def test_bars_volumes_and_leads_are_those_of_the_live_hub(config, whole) -> None:
    done = import_files(config, [whole])
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(LIVE[timeframe])
    assert len(LIVE[Timeframe.DAY]) == 10
    archive = Archive.of(config)
    leads = list(archive.leads("ES").values())
    assert leads[0] == "ESH4"
    assert leads[-1] == "ESM4"
    traded = sum(int(row) for row in archive.frame(_volumes("ES"))["total"])
    ids = [n for n, name in SYMBOLS.items() if name.startswith("ES") and "-" not in name]
    assert traded == int(TRADES["size"][np.isin(TRADES["instrument_id"], ids)].sum())
    assert done.counts["trades"] == len(TRADES)


def _volumes(symbol):
    from pine.history.manifest import Table

    return Table("volumes", (("symbol", symbol),))


def test_a_second_time_nothing_changes(config, whole) -> None:
    import_files(config, [whole])
    before = snapshot(config)
    done = import_files(config, [whole])
    assert snapshot(config) == before
    assert {added.added + added.replaced for tables in done.added.values() for added in tables.values()} == {0}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_parts_given_together_in_any_order_are_one(config, parts, whole, tmp_path, order) -> None:
    import_files(config, [parts[n] for n in order])
    other = configured(tmp_path / "other")
    import_files(other, [whole])
    assert snapshot(config) == snapshot(other)


def test_parts_given_one_after_the_other_are_one(config, parts, whole, tmp_path) -> None:
    for part in parts:
        import_files(config, [part])
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(LIVE[timeframe])
    other = configured(tmp_path / "other")
    import_files(other, [whole])
    assert snapshot(config) == snapshot(other)


def test_files_of_different_roots_at_the_same_time_are_merged(config, whole, tmp_path) -> None:
    files = []
    for root in ("ES", "GC"):
        mine = {number: name for number, name in SYMBOLS.items() if name.startswith(root)}
        own = TRADES[np.isin(TRADES["instrument_id"], list(mine))]
        files.append(write(tmp_path / f"{root}.dbn.zst", own, mine, BEGIN, END, parents=(f"{root}.FUT",)))
    import_files(config, files)
    other = configured(tmp_path / "other")
    import_files(other, [whole])
    assert snapshot(config) == snapshot(other)


def test_what_is_not_wholly_in_the_files_makes_no_bar_and_is_not_covered(tmp_path) -> None:
    config = configured(tmp_path / "desk", ONLY_ES)
    begin = CALM_BEGIN + 2 * NS_PER_DAY + 10 * NS_PER_HOUR + 20 * NS_PER_MINUTE + 30 * 10**9
    end = begin + 26 * NS_PER_HOUR
    import_files(config, [write(tmp_path / "some.dbn.zst", CALM.trades, CALM.symbols, begin, end)])
    archive = Archive.of(config)
    first, last = begin + 30 * 10**9, end - 30 * 10**9
    assert archive.covered("ES", Timeframe.MINUTE) == [(first, last)]
    assert archive.covered("ES", Timeframe.HOUR) == [
        (first - first % NS_PER_HOUR + NS_PER_HOUR, last - last % NS_PER_HOUR)
    ]
    assert archive.covered("ES", Timeframe.DAY) == []
    for timeframe, length in ((Timeframe.MINUTE, NS_PER_MINUTE), (Timeframe.HOUR, NS_PER_HOUR)):
        expected = [b for b in CALM_LIVE[timeframe] if b.start >= begin and b.start + length <= end]
        assert in_order(archived(config, timeframe)) == in_order(expected)
    assert archived(config, Timeframe.DAY) == []


def test_a_hole_between_files_breaks_only_the_periods_around_it(tmp_path) -> None:
    config = configured(tmp_path / "desk", ONLY_ES)
    begin, end = CALM_BEGIN, int(CALM.trades["ts_recv"][-1]) // NS_PER_DAY * NS_PER_DAY + NS_PER_DAY
    hole = (begin + 37 * NS_PER_HOUR + 17 * NS_PER_MINUTE, begin + 3 * NS_PER_DAY + 5 * NS_PER_HOUR)
    pieces = ((begin, hole[0]), (hole[1], end))
    files = [write(tmp_path / f"{n}.dbn.zst", CALM.trades, CALM.symbols, *piece) for n, piece in enumerate(pieces)]
    import_files(config, files)
    minutes = [b for b in CALM_LIVE[Timeframe.MINUTE] if not hole[0] <= b.start < hole[1]]
    assert in_order(archived(config, Timeframe.MINUTE)) == in_order(minutes)
    hours = [b for b in CALM_LIVE[Timeframe.HOUR] if not hole[0] - NS_PER_HOUR < b.start < hole[1]]
    assert in_order(archived(config, Timeframe.HOUR)) == in_order(hours)
    days = [b for b in CALM_LIVE[Timeframe.DAY] if not hole[0] - NS_PER_DAY < b.start < hole[1]]
    assert in_order(archived(config, Timeframe.DAY)) == in_order(days)
    assert 0 < len(days) < len(CALM_LIVE[Timeframe.DAY])


def test_what_the_header_does_not_say_can_be_said(config, tmp_path) -> None:
    tight = write(
        tmp_path / "tight.dbn.zst",
        TRADES,
        SYMBOLS,
        int(TRADES["ts_recv"][0]),
        int(TRADES["ts_recv"][-1]) + 1,
    )
    import_files(config, [tight], begin=BEGIN, end=END)
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(LIVE[timeframe])


def test_the_same_file_twice_counts_once_and_is_told(config, whole, tmp_path) -> None:
    copy = tmp_path / "copy.dbn.zst"
    copy.write_bytes(whole.read_bytes())
    done = import_files(config, [whole, copy])
    assert done.repeated == ((copy, whole),)
    assert done.counts["trades"] == len(TRADES)


def test_files_that_overlap_are_refused_with_both_names_and_the_time(config, whole, tmp_path) -> None:
    again = write(tmp_path / "again.dbn.zst", TRADES, SYMBOLS, BEGIN + NS_PER_DAY, END)
    with pytest.raises(DataError) as told:
        import_files(config, [whole, again])
    assert all(word in str(told.value) for word in (str(whole), str(again), "ES", "2024-03-11T00:00"))
    assert not (config.data_dir / "archive").exists()


@pytest.mark.parametrize("cut", [40, 4000, -1, -5000])
def test_a_file_that_is_cut_short_leaves_nothing_behind(config, parts, cut) -> None:
    parts[1].write_bytes(parts[1].read_bytes()[:cut])
    with pytest.raises(DataError, match=str(parts[1])):
        import_files(config, parts)
    assert not (config.data_dir / "archive").exists() or snapshot(config) == {}


def test_a_damaged_file_is_named(config, parts) -> None:
    damaged = bytearray(parts[2].read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    parts[2].write_bytes(damaged)
    with pytest.raises(DataError, match=str(parts[2])):
        import_files(config, parts)
    assert not (config.data_dir / "archive").exists() or snapshot(config) == {}


def test_a_record_cut_in_two_without_compression_is_found(config, whole) -> None:
    plain = of_version(whole, 3)
    plain.write_bytes(plain.read_bytes()[:-7])
    with pytest.raises(DataError, match="41 bytes at the end"):
        import_files(config, [plain])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_of_every_version_give_the_same(config, whole, tmp_path, version) -> None:
    import_files(config, [of_version(whole, version)])
    other = configured(tmp_path / "other")
    import_files(other, [whole])
    assert snapshot(config) == snapshot(other)


def test_other_roots_are_left_out_and_counted(tmp_path, whole) -> None:
    config = configured(tmp_path / "desk", ONLY_ES)
    done = import_files(config, [whole])
    gold = [n for n, name in SYMBOLS.items() if name.startswith("GC") and "-" not in name]
    assert done.counts["root_not_configured"] == np.isin(TRADES["instrument_id"], gold).sum()
    assert in_order(archived(config, Timeframe.HOUR)) == [b for b in LIVE[Timeframe.HOUR] if b.symbol == "ES"]


def test_without_a_configured_root_the_roots_are_named(tmp_path, whole) -> None:
    config = configured(tmp_path / "desk", "data_dir: data\ninstruments: {CL: {}}\n")
    with pytest.raises(DataError, match=r"found ES, GC, expected one of the configured instruments CL"):
        import_files(config, [whole])


@pytest.mark.parametrize(("schema", "width"), [("ohlcv-1s", 10**9), ("ohlcv-1m", NS_PER_MINUTE)])
def test_short_bars_give_the_same_bars_as_their_trades(config, tmp_path, schema, width) -> None:
    short = write(tmp_path / "short.dbn.zst", _ohlcv(schema, width), SYMBOLS, BEGIN, END, schema=schema)
    import_files(config, [short])
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(LIVE[timeframe])


def _ohlcv(schema: str, width: int):
    made: dict[tuple[int, int], list[int]] = {}
    columns = (TRADES[name].tolist() for name in ("ts_recv", "instrument_id", "price", "size"))
    for ts, number, price, size in zip(*columns, strict=True):
        key = (ts - ts % width, number)
        known = made.setdefault(key, [price, price, price, price, 0])
        known[1:] = [max(known[1], price), min(known[2], price), price, known[4] + size]
    rows = np.zeros(len(made), OHLCV)
    rows["length"], rows["rtype"], rows["publisher_id"] = 14, 32 if schema == "ohlcv-1s" else 33, 1
    for row, ((ts, number), values) in zip(rows, sorted(made.items()), strict=True):
        row["ts_event"], row["instrument_id"] = ts, number
        row["open"], row["high"], row["low"], row["close"], row["volume"] = values
    return rows


def test_a_bar_that_the_archive_has_differently_is_refused_before_anything_is_written(config, whole, tmp_path) -> None:
    import_files(config, [whole])
    before = snapshot(config)
    other = TRADES.copy()
    at = len(other) - 5
    while "-" in SYMBOLS[int(other["instrument_id"][at])]:
        at -= 1
    other["size"][at] += 1
    changed = write(tmp_path / "changed.dbn.zst", other, SYMBOLS, BEGIN, END)
    with pytest.raises(ArchiveDiffers):
        import_files(config, [changed])
    assert snapshot(config) == before


def test_what_is_too_much_for_memory_waits_on_disk(config, whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(imports, "MOST_IN_MEMORY", 100)
    import_files(config, [whole])
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(LIVE[timeframe])


def test_what_is_published_live_takes_the_place_of_imported_volumes_and_leads(config, whole) -> None:
    import_files(config, [whole])
    archive = Archive.of(config)
    table = _volumes("ES")
    part = archive.manifest(table).parts[0]
    assert not part.content.sealed
    (first, _), *_ = archive.volumes("ES")
    archive.seal(table, part.slot, [(first, {b"volume": b'{"ESH4":1}'})])
    assert next(archive.volumes("ES")) == (first, {b"volume": b'{"ESH4":1}'})
    with pytest.raises(ArchiveDiffers):
        archive.add_entries(table, [(first, {b"volume": b'{"ESH4":2}'})])
    assert archive.manifest(table).parts[0].content.rows == part.content.rows


def test_other_files_take_the_place_of_what_is_there_with_their_volumes(config, whole, tmp_path) -> None:
    other = TRADES.copy()
    other["size"] += 1
    import_files(config, [write(tmp_path / "other.dbn.zst", other, SYMBOLS, BEGIN, END)])
    with pytest.raises(ArchiveDiffers):
        import_files(config, [whole])
    import_files(config, [whole], replace=True)
    fresh = configured(tmp_path / "fresh")
    import_files(fresh, [whole])
    assert snapshot(config) == snapshot(fresh)
    done = import_files(config, [whole], replace=True)
    assert {added.added + added.replaced for tables in done.added.values() for added in tables.values()} == {0}


def test_hours_and_days_around_replaced_minutes_are_made_anew(config, whole, tmp_path) -> None:
    import_files(config, [whole])
    first = BEGIN + NS_PER_DAY + 10 * NS_PER_HOUR + NS_PER_HOUR // 2
    dearer = TRADES.copy()
    dearer["price"] += 500 * 10**9
    part = write(tmp_path / "part.dbn.zst", dearer, SYMBOLS, first, first + NS_PER_HOUR)
    import_files(config, [part], replace=True)
    archive = Archive.of(config)
    for symbol in ("ES", "GC"):
        minutes = archive.bars(symbol, Timeframe.MINUTE)
        rule = config.session_rule(symbol)
        for timeframe in (Timeframe.HOUR, Timeframe.DAY):
            of = defaultdict(list)
            for bar in minutes:
                of[period(timeframe, bar.start, rule).start].append(bar)
            bars = archive.bars(symbol, timeframe)
            assert bars == [fold(of[bar.start], timeframe, bar.start) for bar in bars]
    assert archive.verify() == []


def test_a_file_that_is_not_in_order_is_refused(config, tmp_path) -> None:
    mixed = np.random.default_rng(1).permutation(TRADES)
    with pytest.raises(DataError, match="later than their minute, expected files in order of time"):
        import_files(config, [write(tmp_path / "mixed.dbn.zst", mixed, SYMBOLS, BEGIN, END)])
    assert not (config.data_dir / "archive").exists()
