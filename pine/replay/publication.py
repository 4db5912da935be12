"""What the plans of several strategies take, put in one order as a hub closes it."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.feeds.steps import MarketEvent, Step
from pine.hub.aggregator import Closed, Event

_RANK: Final = {timeframe: n for n, timeframe in enumerate(Timeframe)}


def closed_of(steps: Sequence[Iterator[Step]], boundaries: Sequence[int]) -> Iterator[Closed]:
    """Yield what closes at each boundary at which any of several strategies has a step.

    Parameters
    ----------
    steps
        Of each strategy, in order of time.
    boundaries
        Further boundaries in ns, at which something may begin though nothing closes.
    """
    bare = (Step(at, 0, (), (), ()) for at in sorted(set(boundaries)))
    merged = heapq.merge(bare, *steps, key=lambda step: step.ts)
    for boundary, together in groupby(merged, key=lambda step: step.ts):
        yield _closed(boundary, list(together))


def _closed(boundary: int, together: Sequence[Step]) -> Closed:
    bars: Mapping[tuple[str, Timeframe], Bar] = {
        (bar.symbol, bar.timeframe): bar for step in together for bar in (*step.minutes, *step.longer)
    }
    events: list[MarketEvent] = []
    for step in together:
        events += [event for event in step.events if event not in events]
    return Closed(
        boundary,
        {},
        tuple(sorted(bars.values(), key=lambda bar: _RANK[bar.timeframe])),
        tuple(Event(event.kind, event.symbol, event.details) for event in events),
        (),
    )
