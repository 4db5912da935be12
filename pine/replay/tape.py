"""Steps from trades: DBN files through the hub's own aggregation, once for all strategies of a replay."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from pine.core.bar import Bar
from pine.core.calendar import scheduled_hours
from pine.core.errors import DataError, PineError
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import to_datetime
from pine.feeds.steps import MarketEvent, Step
from pine.history.manifest import Interval, joined
from pine.replay.holes import Hole, Timed, find_holes, whole
from pine.replay.steps import assemble

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.hub.aggregator import Closed
    from pine.hub.bulk import Survey
    from pine.hub.root import Lead

AT_ONCE: Final = 5_000
"""Boundaries in one file of the spool."""
TOLD: Final = 3
_SUFFIX: Final = ".dbn.zst"

Leads = Mapping[str, Mapping[int, str]]
"""Contract by root and start of session in ns."""


@frozen
class Spool:
    """What closed at each boundary, in files that several processes may read.

    Attributes
    ----------
    folder
        Where they are.
    begin, end
        From when, and until when, ns.
    holes
        Where the files lack minutes of a root although trading was scheduled.
    """

    folder: Path
    begin: int
    end: int
    holes: Mapping[str, Sequence[Interval]]

    def steps(self, rules: Mapping[str, SessionRule], begin: int, end: int, also: Sequence[int] = ()) -> Iterator[Step]:
        """Yield the steps ``begin < t <= end`` (ns) of some symbols."""
        wanted = sorted({at for at in also if begin < at <= end})
        for path in sorted(self.folder.glob("*.steps")):
            with path.open("rb") as file:
                bars, events, last = pickle.load(file)  # noqa: S301  # our own, just written, in a folder of our own
            due = [at for at in wanted if at <= last]
            wanted = wanted[len(due) :]
            own = [bar for bar in bars if bar.symbol in rules]
            for step in assemble(rules, whole(own, self.holes, rules), events, due):
                if begin < step.ts <= end:
                    yield step


def tape_files(folder: Path, begin: int | None, end: int | None) -> list[Path]:
    """Return the files of the hub's tape that can hold something between two times in ns.

    Raises
    ------
    PineError
        If there are none.
    """
    found = sorted(path for path in folder.glob(f"*{_SUFFIX}"))
    if not found:
        raise PineError(f"{folder}: found no tape, expected files *{_SUFFIX}; a hub writes them (hub.tape)")
    names = [path.name.removesuffix(_SUFFIX) for path in found]
    chosen = [
        path
        for path, name, following in zip(found, names, [*names[1:], ""], strict=True)
        if (begin is None or not following or following > _named(begin)) and (end is None or name <= _named(end))
    ]
    if not chosen:
        raise PineError(f"{folder}: found {names[0]} to {names[-1]}, expected files of the time asked for")
    return chosen


def spool(
    config: "Config",
    paths: Sequence[Path],
    symbols: Iterable[str],
    leads: Leads,
    folder: Path,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Spool:
    """Aggregate trades into a spool.

    Parameters
    ----------
    config
        Roots, sessions and how the hub makes bars.
    paths
        DBN files in any order.
    symbols
        The roots that are wanted.
    leads
        Leads that are known already.
    folder
        Where to put it; empty.
    on_bytes
        Told how much was read.

    Raises
    ------
    DataError
        If a file is damaged, two overlap, or a root is in none.
    """
    from pine.hub.bulk import Builder, survey

    wanted = set(symbols)
    found = survey(paths)
    found = survey(paths, *_rounded(config, wanted, found.begin, found.end)) if found.sources else found
    held = {root for source in found.sources for root in source.roots}
    if missing := sorted(wanted - held):
        raise DataError(
            f"{', '.join(map(str, paths[:TOLD]))}{' …' if len(paths) > TOLD else ''}: "
            f"found {', '.join(sorted(held)) or 'no root'}, expected {', '.join(missing)} too"
        )
    builder = Builder(config, on_bytes)
    holes: dict[str, list[Interval]] = {symbol: [] for symbol in wanted}
    writer = _Writer(folder, wanted)
    for run in found.runs:
        for symbol in wanted:
            holes[symbol] += _holes(symbol, config.session_rule(symbol), run)
        floor = run.begin - run.begin % NS_PER_MINUTE
        writer.due([_gap(symbol, hole, floor) for symbol in wanted for hole in holes[symbol]])
        roots = config.instruments
        known = {root: _leads(root, leads.get(root, {}), config.session_rule(root), run.begin) for root in roots}
        for closed in builder.build(run, _until(config, wanted, run), known, {}):
            writer.put(closed)
    writer.close()
    return Spool(folder, found.begin - found.begin % NS_PER_MINUTE, writer.reached, holes)


class _Writer:
    """Puts what closes into numbered files."""

    def __init__(self, folder: Path, symbols: set[str]) -> None:
        self._folder = folder
        self._symbols = symbols
        self._bars: list[Bar] = []
        self._events: list[Timed] = []
        self._gaps: list[Timed] = []
        self._told: set[tuple[int, str]] = set()  # by first minute and root
        self._count = self._files = 0
        self.reached = 0

    def due(self, gaps: Iterable[Timed]) -> None:
        """Take events that take effect when their time has come."""
        fresh = [gap for gap in gaps if _mark(gap) not in self._told]
        self._told |= set(map(_mark, fresh))
        self._gaps = sorted([*self._gaps, *fresh], key=lambda gap: gap[0])

    def put(self, closed: "Iterable[Closed]") -> None:
        for item in closed:
            while self._gaps and self._gaps[0][0] <= item.boundary:
                self._events.append(self._gaps.pop(0))
            self._bars += [bar for bar in item.bars if bar.symbol in self._symbols]
            self._events += [
                (item.boundary, MarketEvent(event.kind, event.symbol, event.details))
                for event in item.events
                if event.symbol in self._symbols
            ]
            self.reached = item.boundary
            self._count += 1
            if self._count >= AT_ONCE:
                self.close()

    def close(self) -> None:
        with (self._folder / f"{self._files:06}.steps").open("wb") as file:
            pickle.dump((self._bars, self._events, self.reached), file, pickle.HIGHEST_PROTOCOL)
        self._files += 1
        self._bars, self._events, self._count = [], [], 0


def _gap(symbol: str, hole: Interval, since: int) -> Timed:
    return Hole(symbol, *hole).as_gap(since)


def _mark(gap: Timed) -> tuple[int, str]:
    return gap[1].details["first_minute"], gap[1].symbol


def _holes(symbol: str, rule: SessionRule, run: "Survey") -> list[Interval]:
    """Return the minutes that some files lack from the session in which they begin on."""
    held = [(begin + -begin % NS_PER_MINUTE, end - end % NS_PER_MINUTE) for begin, end in joined(run.held(symbol))]
    within = (session_begin(run.begin, rule), run.end)
    return [(hole.begin, hole.end) for hole in find_holes(symbol, rule, within, held, ())]


def _rounded(config: "Config", symbols: Iterable[str], begin: int, end: int) -> tuple[int | None, int | None]:
    """Return whole minutes for files that begin in the first minute of a session and end in its last; else nothing.

    Files often say that they begin with their first trade and end with their last.
    """
    rules = [config.session_rule(symbol) for symbol in symbols]
    opened = all(_is_short((session_begin(begin, rule), begin, rule.group)) for rule in rules)
    closed = all(_is_short((end, session(end - 1, rule).end, rule.group)) for rule in rules)
    return begin - begin % NS_PER_MINUTE if opened else None, end + -end % NS_PER_MINUTE if closed else None


def _is_short(span: tuple[int, int, str]) -> bool:
    begin, end, group = span
    return scheduled_hours(group, begin, end) * NS_PER_HOUR < NS_PER_MINUTE


def _until(config: "Config", symbols: Iterable[str], run: "Survey") -> int:
    """Return until when nothing more was traded: to the close if nothing is scheduled before it."""
    until = run.end
    for symbol in symbols:
        rule = config.session_rule(symbol)
        end = session(run.end - 1, rule).end
        if not scheduled_hours(rule.group, run.end, end):
            until = max(until, end)
    return until


def _leads(root: str, known: Mapping[int, str], rule: SessionRule, begin: int) -> "dict[int, Lead]":
    """Return the leads that can matter to trades from a time on: from the session before theirs.

    What led a session of long ago says nothing of a market that nobody has watched since.
    """
    from pine.core.contract import parse_contract
    from pine.history.leads import look_back
    from pine.hub.root import Lead

    first = look_back(session_begin(begin, rule), 1, rule)

    return {
        start: Lead(root, start, parse_contract(raw, to_datetime(start).date(), [root]), raw)
        for start, raw in known.items()
        if start >= first
    }


def _named(ts: int) -> str:
    return f"{to_datetime(ts):%Y-%m-%dT%H-%M}"
