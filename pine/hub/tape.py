"""The hub's tape: what it received, as DBN files, written by a thread that nobody waits for."""

import contextlib
import fcntl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

import numpy as np
from attrs import define, field, frozen

from pine.core.config import Config
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import isoformat
from pine.hub.aggregator import HEARTBEAT_DOUBT
from pine.hub.clock import HubClock
from pine.hub.dbn import Records
from pine.hub.tapefiles import Feed, Part, TapeFolder

MAX_WAITING: Final = 1_000_000
"""Trades that may wait to be written, 48 bytes each."""
REACH_BACK: Final = NS_PER_HOUR
"""How far before the hub's own need the gateway is asked for what a killed hub did not come to write."""
END_SECONDS: Final = 30.0

log = get_logger(__name__)


@frozen
class _Begin:
    """From here on everything comes; ids are mapped anew after a new connection. Floor in ns, 0 for the first trade."""

    floor: int
    fresh: bool


@frozen(eq=False)
class _Batch:
    """Trades, what is new of what ids stand for, and the time (ns) up to which a record's own time is believed."""

    trades: Records
    names: Mapping[int, str]
    believable: int


@frozen
class _Passed:
    """Event time in ns that was reached without a trade."""

    ts: int


_Item = _Begin | _Batch | _Passed


@define(eq=False)
class _Waiting:
    """What the hub has received and the thread has not taken."""

    _items: deque[_Item] = field(factory=deque)
    _changed: threading.Condition = field(factory=threading.Condition)
    _over: bool = False
    trades: int = 0

    def put(self, item: _Item) -> bool:
        """Add something; return whether there was room for its trades."""
        count = len(item.trades) if isinstance(item, _Batch) else 0
        with self._changed:
            if count and self.trades and self.trades + count > MAX_WAITING:
                return False
            self.trades += count
            self._items.append(item)
            self._changed.notify()
        return True

    def end(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def take(self) -> list[_Item]:
        """Wait for something and return all there is, batches that follow each other joined; nothing at the end."""
        with self._changed:
            while not self._items and not self._over:
                self._changed.wait()
            items = list(self._items)
            self._items.clear()
            self.trades = 0
        return _joined(items)

    def __len__(self) -> int:
        return len(self._items)


def _joined(items: Sequence[_Item]) -> list[_Item]:
    joined: list[_Item] = []
    run: list[_Batch] = []
    for item in [*items, None]:
        if run and not (isinstance(item, _Batch) and not item.names):
            trades = np.concatenate([batch.trades for batch in run]) if len(run) > 1 else run[0].trades
            joined.append(_Batch(trades, run[0].names, run[-1].believable))
            run = []
        if isinstance(item, _Batch):
            run.append(item)
        elif item is not None:
            joined.append(item)
    return joined


class Tape:
    """Writes what the hub receives; drops, and says so, rather than let the hub wait or end.

    Parameters
    ----------
    config
        Where to write, and how long it is kept.
    clock
        The hub's, which bounds what times are believed.

    Attributes
    ----------
    state
        ``on``, ``off`` by the configuration, or ``failing`` while nothing can be written.
    """

    def __init__(self, config: Config, clock: HubClock) -> None:
        feed = Feed(config.databento.dataset, tuple(config.parent(symbol) for symbol in config.instruments))
        self._clock = clock
        self._writer: _Writer | None = None
        if config.hub.tape is not None:
            self._writer = _Writer(TapeFolder(config.data_dir / "tape", feed, config.hub.tape.keep.ns))
        self._waiting = _Waiting()
        self._reached = 0
        self._told_hour = 0
        self._missed = 0
        self._hole = False
        self._live = False
        self._fresh = True
        self._names: dict[int, str] = {}
        self._new_names: dict[int, str] = {}

    @property
    def state(self) -> str:
        """What `pine status` tells."""
        if self._writer is None:
            return "off"
        return "failing" if self._writer.failing else "on"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Complete what a killed hub left, write from now on, and end with whole files."""
        if self._writer is None:
            yield
            return
        self._reached = self._writer.open()
        thread = threading.Thread(target=self._writer.work, args=(self._waiting,), name="tape", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._waiting.end()
            thread.join(END_SECONDS)

    def since(self, needed: int, earliest: int) -> int:
        """Return from which minute, in ns, the gateway must be asked so that the tape has no hole.

        Parameters
        ----------
        needed
            What the hub needs itself; 0 for everything.
        earliest
            What the gateway has.
        """
        if self._writer is None or self._writer.failing:
            return needed
        own = self._reached - self._reached % NS_PER_MINUTE
        return own if max(needed - REACH_BACK, earliest) <= own < needed else needed

    def begin(self, floor: int) -> None:
        """Begin a connection that brings everything from `floor` (ns) on; from there it replaces what came before."""
        self._live = False
        self._fresh = True
        self._names, self._new_names = {}, {}
        self._missed = floor - 1
        self._start(floor)

    def end_replay(self) -> None:
        """Take heartbeats for the passing of time from now on."""
        self._live = True

    def name(self, instrument_id: int, symbol: str) -> None:
        """Take what an instrument id stands for."""
        self._names[instrument_id] = self._new_names[instrument_id] = symbol

    def heartbeat(self, ts: int) -> None:
        """Take the passing of time (ns)."""
        hour = (ts - HEARTBEAT_DOUBT) // NS_PER_HOUR
        if self._live and not self._hole and hour > self._told_hour and ts <= self._believable():
            self._told_hour = hour
            self._put(_Passed(ts - HEARTBEAT_DOUBT))

    def add(self, trades: Records) -> None:
        """Take a batch in the order in which it came; if the disk does not keep up it is left out of the tape."""
        if self._writer is None or not len(trades):
            return
        limit = self._believable()
        times = trades["ts_recv"].astype(np.int64)
        sound = times[(times > 0) & (times <= limit)]
        newest = int(sound.max()) if len(sound) else 0
        if self._hole and self._waiting.trades < MAX_WAITING // 2:
            self._start(self._missed - self._missed % NS_PER_MINUTE + NS_PER_MINUTE)
        if not self._hole and self._put(_Batch(trades, self._new_names, limit)):
            self._new_names = {}
            self._reached = max(self._reached, newest)
            self._told_hour = max(self._told_hour, newest // NS_PER_HOUR)
            return
        if not self._hole:
            log.error("tape: the disk does not keep up; left out", **{"from": isoformat(newest)})
        self._hole = True
        self._missed = max(self._missed, newest)

    def _start(self, floor: int) -> None:
        """Begin anew."""
        self._put(_Begin(floor, self._fresh))
        self._hole = self._fresh = False
        self._new_names = dict(self._names)

    def _believable(self) -> int:
        return int(self._clock.believable(np.array([self._reached]))[0])

    def _put(self, item: _Item) -> bool:
        return self._writer is None or self._waiting.put(item)


@define(eq=False)
class _Writer:
    """The thread's side: cuts what comes into hours.

    Attributes
    ----------
    failing
        Whether nothing is written, because that did not work; it is tried again with every minute of trades.
    """

    folder: TapeFolder
    failing: bool = False
    _broken: bool = False
    _lock: IO[str] | None = None
    _part: Part | None = None
    _names: dict[int, str] = field(factory=dict)
    _floor: int = 0
    _reached: int = 0
    _retry_at: int = 0

    def open(self) -> int:
        """Complete what was left; return up to when, in ns, there is a tape without a hole at its end, or 0."""
        try:
            return self._recover()
        except OSError as error:
            self._fail(error)
            return 0

    def work(self, waiting: _Waiting) -> None:
        """Write until nothing more comes; whatever goes wrong, go on."""
        while items := waiting.take():
            for item in items if not self._broken else ():
                self._guarded(lambda item=item: self._take(item))  # type: ignore[misc]
        self._guarded(lambda: self._finish(None))
        if self._lock is not None:
            self._lock.close()

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except OSError as error:
            self._fail(error)
        except Exception:
            self.failing = self._broken = True
            self._abandon()
            log.exception("tape: nothing more is written")

    def _take(self, item: _Item) -> None:
        if isinstance(item, _Begin):
            self._begin(item)
        elif isinstance(item, _Batch):
            self._add(item)
        elif isinstance(item, _Passed) and not self.failing and item.ts > self._reached:
            self._pass_to(item.ts)

    def _recover(self) -> int:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            lock = (self.folder.path / "lock").open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                raise
            self._lock = lock
        return self.folder.recover()

    def _begin(self, item: _Begin) -> None:
        self._floor, self._reached = item.floor, max(item.floor - 1, 0)
        if item.fresh:
            self._names.clear()
        if not self.failing:
            self._finish(None)

    def _name(self, names: Mapping[int, str]) -> None:
        if any(self._names.get(number, name) != name for number, name in names.items()) and self._part is not None:
            self._finish(self._reached)  # one file cannot say that an id stood for two symbols
            self._floor = self._reached - self._reached % NS_PER_MINUTE + NS_PER_MINUTE
        for number, name in names.items():
            if self._part is not None and number not in self._names:
                self._part.name(number, name)
            self._names[number] = name

    def _add(self, batch: _Batch) -> None:
        """Write trades to the files of their hours; one that claims an impossible time stays where it stands."""
        self._name(batch.names)
        times = batch.trades["ts_recv"].astype(np.int64)
        sound = np.where((times > 0) & (times <= batch.believable), times, 0)
        passed = np.maximum.accumulate(np.maximum(sound, self._reached))
        newest = int(passed[-1])
        if self.failing and not self._may_try_again(newest):
            self._reached = newest
            return
        at = int(np.searchsorted(passed, self._floor)) if self._floor else 0
        if not self._floor and newest:
            self._floor = int(passed[0]) - int(passed[0]) % NS_PER_MINUTE
        try:
            while at < len(passed):
                part = self._part_for(int(passed[at]))
                until = int(np.searchsorted(passed, part.limit))
                part.add(batch.trades[at:until])
                at = until
        finally:
            self._reached = newest
        if self.failing and self._part is not None:
            self.failing = False
            log.warning("tape: is written again", **{"from": isoformat(self._floor)})

    def _part_for(self, ts: int) -> Part:
        """Return the file of the hour that holds an instant; hours without a trade get one too."""
        if self._part is None:
            self._part = Part.create(self.folder.path, self._floor, self.folder.feed, self._names)
        while ts >= self._part.limit:
            self._floor = self._part.limit
            self._finish(self._part.limit)
            self._part = Part.create(self.folder.path, self._floor, self.folder.feed, self._names)
        return self._part

    def _pass_to(self, ts: int) -> None:
        self._reached = ts
        if self._floor and ts >= self._floor:
            self._part_for(ts)

    def _finish(self, end: int | None) -> None:
        """Make a whole file of the one that is being written."""
        if self._part is None:
            return
        part, self._part = self._part, None
        part.close()
        self.folder.finish(part.path, end)

    def _fail(self, error: OSError) -> None:
        """Say it once, and write nothing until the next minute of trades."""
        if not self.failing:
            fields: dict[str, Any] = {"folder": str(self.folder.path), "why": error.strerror or str(error)}
            log.error("tape: cannot be written; the hub goes on without it", **fields)
        self.failing = True
        self._abandon()
        self._retry_at = self._reached - self._reached % NS_PER_MINUTE + NS_PER_MINUTE

    def _abandon(self) -> None:
        """Leave the file as it is; it is completed when writing works again."""
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.close()
        self._part = None

    def _may_try_again(self, newest: int) -> bool:
        """Get ready to take up writing with the next whole minute, at most once for each."""
        if newest < self._retry_at:
            return False
        try:
            self._recover()
        except OSError as error:
            self._reached = newest
            self._fail(error)
            return False
        self._floor = max(self._floor, self._reached - self._reached % NS_PER_MINUTE + NS_PER_MINUTE)
        return True
