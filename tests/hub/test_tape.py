"""The hub's tape: whole files of what was received, nothing twice, and never in the hub's way."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import databento
import numpy as np
import pytest
from attrs import evolve
from files import archived, configured, in_order, live_bars
from house import END, House, at, house
from waiting import until

from pine.bus import keys, streams
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.hub import tape as tapes
from pine.hub.clock import TapeClock
from pine.hub.dbn import Records, read_header, read_records
from pine.hub.imports import import_files
from pine.hub.tape import Tape
from pine.hub.tapefiles import Feed, Part, TapeFolder
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape as Reel

MARKET = generate_market(["ES", "GC"], 1, seed=11, trades_per_day=3000)
TRADES = MARKET.trades
FIRST = int(TRADES["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dbn.zst"))


def taped(folder: Path) -> Records:
    runs = [piece for path in files(folder) for piece in read_records(path) if isinstance(piece, np.ndarray)]
    return np.concatenate(runs)


def written(folder: Path) -> int:
    """Return the newest time, in ns, in the file that is being written; 0 if there is none at the moment."""
    newest = 0
    for path in folder.glob("*.part"):
        try:
            for piece in read_records(path, unfinished=True):
                if isinstance(piece, np.ndarray) and len(piece):
                    newest = max(newest, int(piece["ts_recv"].max()))
        except DataError:
            if path.exists():  # else it was completed between two looks
                raise
    return newest


@contextmanager
def recording(config: Config) -> Iterator[Tape]:
    clock = TapeClock()
    tape = Tape(config, clock)
    with tape.running():
        yield tape


def receive(tape: Tape, trades: Records, floor: int, names: bool = True) -> None:
    """Let a connection bring trades."""
    tape.begin(floor)
    for number, name in MARKET.symbols.items():
        tape.name(number, name)
    for batch in np.array_split(trades, 20):
        tape.add(batch)


def idle(tape: Tape) -> bool:
    """Tell whether everything is written that came."""
    assert tape._writer is not None
    return not len(tape._waiting) and tape._writer._reached >= tape._reached


def since(ts: int) -> Records:
    return TRADES[TRADES["ts_recv"] >= ts]


def before(ts: int) -> Records:
    return TRADES[TRADES["ts_recv"] < ts]


@pytest.fixture
def config(tmp_path) -> Config:
    return configured(tmp_path)


@pytest.fixture
def folder(config) -> Path:
    return config.data_dir / "tape"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves the file open
def test_every_hour_is_a_file_that_the_vendors_client_reads(config, folder) -> None:
    with recording(config) as tape:
        receive(tape, TRADES, 0)
    assert taped(folder).tobytes() == TRADES.tobytes()
    for path in files(folder):
        store = databento.DBNStore.from_file(path)
        assert len(store.to_ndarray()) == len(list(store))
        assert (store.dataset, str(store.schema), store.symbols) == ("GLBX.MDP3", "trades", ["ES.FUT", "GC.FUT"])
        assert set(store.mappings) == set(MARKET.symbols.values())
    header = read_header(files(folder)[1])
    assert (header.begin, header.end) == (FIRST + NS_PER_HOUR, FIRST + 2 * NS_PER_HOUR)
    assert [path.suffix for path in folder.iterdir() if path.name != "lock"] == [".zst"] * len(files(folder))


def test_an_import_of_the_tape_is_what_the_hub_published_and_it_plays_again(config, folder) -> None:
    with recording(config) as tape:
        receive(tape, TRADES, 0)
        tape.end_replay()
        tape.heartbeat(int(TRADES["ts_recv"][-1]) + 3 * NS_PER_HOUR)
    import_files(config, files(folder))
    live = live_bars(MARKET)
    for timeframe in Timeframe:
        assert in_order(archived(config, timeframe)) == in_order(live[timeframe])
    assert len(Reel.load(files(folder))) == len(TRADES)


@pytest.mark.parametrize("back", [0, 1, 90])
def test_what_a_reconnect_replays_is_there_once(config, folder, back) -> None:
    cut = FIRST + 5 * NS_PER_HOUR + 20 * NS_PER_MINUTE + 12_345
    floor = (cut - back * NS_PER_MINUTE) // NS_PER_MINUTE * NS_PER_MINUTE
    with recording(config) as tape:
        receive(tape, before(cut), 0)
        receive(tape, since(floor - NS_PER_MINUTE), floor)
    assert taped(folder).tobytes() == TRADES.tobytes()


def test_a_replay_that_is_cut_off_takes_nothing_away(config, folder) -> None:
    cut = FIRST + 5 * NS_PER_HOUR + 50 * NS_PER_MINUTE
    floor = cut - 40 * NS_PER_MINUTE
    with recording(config) as tape:
        receive(tape, before(cut), 0)
        receive(tape, before(floor + 10 * NS_PER_MINUTE)[len(before(floor)) :], floor)
    assert taped(folder).tobytes() == before(cut).tobytes()


def test_hours_without_a_trade_have_a_file_that_says_so(config, folder) -> None:
    with recording(config) as tape:
        receive(tape, before(FIRST + NS_PER_HOUR), FIRST)
        tape.end_replay()
        tape.heartbeat(FIRST + 4 * NS_PER_HOUR)
    ends = [(read_header(path).begin, read_header(path).end) for path in files(folder)]
    assert ends[:3] == [(FIRST + n * NS_PER_HOUR, FIRST + (n + 1) * NS_PER_HOUR) for n in range(3)]


def test_old_files_are_removed(tmp_path) -> None:
    config = configured(tmp_path, "data_dir: data\nhub: {clock: tape, tape: {keep: 3h}}\ninstruments: {ES: {}}\n")
    with recording(config) as tape:
        receive(tape, TRADES, 0)
    assert len(files(config.data_dir / "tape")) == 4


def test_off_writes_nothing(tmp_path) -> None:
    config = configured(tmp_path, "data_dir: data\nhub: {tape: off}\ninstruments: {ES: {}}\n")
    with recording(config) as tape:
        receive(tape, TRADES, 0)
        assert tape.state == "off"
    assert not (config.data_dir / "tape").exists()


def test_a_full_disk_is_told_once_and_the_tape_goes_on_with_a_later_minute(config, folder, monkeypatch, caplog) -> None:
    full = threading.Event()
    write = Part.add

    def add(part: Part, trades: Records) -> None:
        if full.is_set():
            write(part, trades[: len(trades) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(part, trades)

    monkeypatch.setattr(Part, "add", add)
    cuts = [FIRST + n * NS_PER_HOUR for n in (4, 8)]
    with recording(config) as tape:
        receive(tape, before(cuts[0]), 0)
        until(lambda: idle(tape), "the first part is written")
        full.set()
        for batch in np.array_split(before(cuts[1])[len(before(cuts[0])) :], 10):
            tape.add(batch)
        until(lambda: idle(tape), "all of it came to nothing")
        assert tape.state == "failing"
        full.clear()
        for batch in np.array_split(since(cuts[1]), 10):
            tape.add(batch)
    said = [record.getMessage() for record in caplog.records]
    assert [text.partition(";")[0] for text in said] == ["tape: cannot be written", "tape: is written again"]
    found = taped(folder)
    assert found[: len(before(cuts[0]))].tobytes() == before(cuts[0]).tobytes()
    last = since(cuts[1] + NS_PER_HOUR)
    assert found[-len(last) :].tobytes() == last.tobytes()
    for path in files(folder):
        header = read_header(path)
        held = (TRADES["ts_recv"] >= header.begin) & (TRADES["ts_recv"] < header.end)
        (mine,) = [piece for piece in read_records(path) if isinstance(piece, np.ndarray)] or [TRADES[:0]]
        assert mine.tobytes() == TRADES[held].tobytes()  # what a file says to hold it holds


def test_a_disk_that_does_not_keep_up_costs_the_tape_and_not_the_hub(config, folder, monkeypatch, caplog) -> None:
    slow = threading.Event()
    write = Part.add

    def add(part: Part, trades: Records) -> None:
        slow.wait()
        write(part, trades)

    monkeypatch.setattr(Part, "add", add)
    monkeypatch.setattr(tapes, "MAX_WAITING", 400)
    half = FIRST + 11 * NS_PER_HOUR
    with recording(config) as tape:
        receive(tape, before(half), 0)  # returns, although nothing is written
        for batch in np.array_split(before(half), 40):
            tape.add(batch)
        assert "does not keep up" in caplog.text
        slow.set()
        until(lambda: idle(tape), "the disk has caught up")
        for batch in np.array_split(since(half), 8):
            tape.add(batch)
            until(lambda: idle(tape), "the disk keeps up")
    last = since(half + 3 * NS_PER_HOUR)
    assert taped(folder)[-len(last) :].tobytes() == last.tobytes()


def test_an_unfinished_file_is_completed_and_one_that_cannot_be_read_is_set_aside(folder) -> None:
    feed = Feed("GLBX.MDP3", ("ES.FUT", "GC.FUT"))
    folder.mkdir(parents=True)
    part = Part.create(folder, FIRST, feed, MARKET.symbols)
    part.add(before(FIRST + NS_PER_HOUR))
    part.close()
    with part.path.open("ab") as file:
        file.write(TRADES[:1].tobytes()[:30])  # the kill came while it was written
    (folder / "2024-03-01T00-00.dbn.part").write_bytes(b"rubbish of a disk")
    (folder / "2024-03-01T01-00.dbn.part").touch()
    TapeFolder(folder, feed, 10**18).recover()
    assert taped(folder).tobytes() == before(FIRST + NS_PER_HOUR).tobytes()
    assert [p.name for p in folder.iterdir() if "part" in p.name] == ["2024-03-01T00-00.dbn.part.unreadable"]


def test_two_hubs_do_not_write_one_tape(config, folder) -> None:
    with recording(config) as one, recording(config) as other:
        receive(one, TRADES, 0)
        until(lambda: other.state == "failing", "the second one cannot")
    assert taped(folder).tobytes() == TRADES.tobytes()


def published(desk: House) -> list[Bar]:
    names = [keys.bars(symbol, timeframe) for symbol in ("ES", "GC") for timeframe in Timeframe]
    return [
        Bar.from_json(streams.field_of(name, fields, "bar"))
        for name in names
        for _, fields in streams.read_range(desk.client, name)
    ]


def test_a_hub_that_is_killed_while_it_writes_leaves_a_tape_without_a_hole(tmp_path) -> None:
    """Killed three times at any moment; nothing is doubled by the replays, and an import gives what was published."""
    market: GeneratedMarket = generate_market(["ES", "GC"], 2, seed=11, trades_per_day=6000)
    folder = tmp_path / "data" / "tape"
    with house(tmp_path, Reel.of_trades(market.trades, market.symbols), webhooks=False) as desk:
        for moment in ("2024-03-04T03:30", "2024-03-04T09:17", "2024-03-04T16:41"):
            hub = desk.hub()
            desk.play(at(moment))
            desk.published(at(moment) - NS_PER_HOUR)
            # Hours pass in seconds here: a tape that is further behind than an hour is not asked for again.
            until(lambda moment=moment: written(folder) > at(moment) - NS_PER_HOUR // 2, "it writes")
            desk.bury(hub, keys.HUB)
            for path in files(folder):
                assert len(databento.DBNStore.from_bytes(path.read_bytes()).to_ndarray())
            assert len(list(folder.glob("*.part"))) <= 1
        hub = desk.hub()
        desk.play(END)
        desk.published(END)
        assert hub.stop() == 0
        bars = published(desk)
        other = evolve(desk.config, data_dir=tmp_path / "other")
    sent = market.trades[market.trades["ts_recv"] < END]
    assert taped(folder)[: len(sent)].tobytes() == sent.tobytes()
    import_files(other, files(folder))
    found = [bar for timeframe in Timeframe for bar in archived(other, timeframe)]
    key = lambda bar: (bar.symbol, bar.timeframe.value, bar.start)  # noqa: E731
    assert sorted(found, key=key) == sorted(bars, key=key)
