"""Steps made of bars and events from anywhere but a hub's clock."""

from collections.abc import Iterable, Iterator, Mapping

from pine.core.bar import Bar
from pine.core.period import SessionRule
from pine.core.timeframe import Timeframe
from pine.feeds.steps import MarketEvent, Step
from pine.replay.holes import Timed
from pine.replay.recorder import closing_step


def assemble(
    rules: Mapping[str, SessionRule], bars: Iterable[Bar], events: Iterable[Timed], also: Iterable[int] = ()
) -> Iterator[Step]:
    """Yield a step for every boundary at which a bar closes or an event takes effect, in order.

    A boundary of the hub's clock at which nothing closes changes nothing, so it needs no step.

    Parameters
    ----------
    rules
        Session rule of each symbol, in the strategy's order; bars and events of others are left out.
    bars
        Of any timeframe, those of one symbol and timeframe in order.
    events
        Those of one step in the order in which they take effect.
    also
        Further boundaries, in ns.
    """
    places = {symbol: n for n, symbol in enumerate(rules)}
    minutes: dict[int, list[Bar]] = {}
    longer: dict[int, list[Bar]] = {}
    happened: dict[int, list[MarketEvent]] = {}
    for bar in bars:
        if bar.symbol in places:
            into = minutes if bar.timeframe is Timeframe.MINUTE else longer
            into.setdefault(closing_step(bar, rules[bar.symbol]), []).append(bar)
    for ts, event in events:
        if event.symbol in places:
            happened.setdefault(ts, []).append(event)
    for ts in sorted({*minutes, *longer, *happened, *also}):
        own, other = minutes.get(ts, ()), longer.get(ts, ())
        if len(own) > 1:
            own = sorted(own, key=lambda bar: places[bar.symbol])
        if len(other) > 1:
            other = sorted(other, key=lambda bar: (places[bar.symbol], bar.timeframe is Timeframe.DAY))
        yield Step(ts, 0, own, other, happened.get(ts, ()))


def chained(steps: Iterable[Step], begin: int) -> Iterator[Step]:
    """Yield steps that know the one before; those after `begin` (ns) are live."""
    previous = 0
    for step in steps:
        yield Step(step.ts, previous, step.minutes, step.longer, step.events, step.ts > begin)
        previous = step.ts
