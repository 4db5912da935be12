"""What features read, and how much of it until each has a value."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from pine.core.timeframe import Timeframe
from pine.strategies.features.places import Places
from pine.strategies.features.resolve import Resolved, resolve_all


@frozen
class Needs:
    """What a set of features needs.

    Attributes
    ----------
    symbols
        Symbols whose bars are read, stand-ins resolved: those traded first, in their order, then the others sorted.
    timeframes
        Timeframes that are read, the shortest first.
    bars
        By timeframe, how many bars until every feature has a value, at least.
    unavailable
        By canonical address, why it can never have a value; the reason names the instruments it holds for.
    """

    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    bars: Mapping[Timeframe, int]
    unavailable: Mapping[str, str]


def needs(wanted: Mapping[str, Sequence[str]], places: Places, known: Container[str] | None = None) -> Needs:
    """Return what features need.

    Parameters
    ----------
    wanted
        Addresses by traded symbol.
    places
        What ``pair`` means, and which symbols are fed by another one's bars.
    known
        Symbols that have bars; nothing if every symbol may. What reads another one is unavailable.

    Raises
    ------
    FeatureError
        If an address cannot be read.
    """
    return summed(wanted, places, *resolve_all(wanted, places, known))


def summed(
    wanted: Iterable[str], places: Places, found: Mapping[Any, Resolved], unavailable: Mapping[str, str]
) -> Needs:
    """Return what resolved features need together; `wanted` are the traded symbols in their order."""
    read = {(each.symbol, each.timeframe) for top in found.values() for each in top.all()}
    symbols = {symbol for symbol, _ in read}
    traded = dict.fromkeys(places.stand_ins.get(symbol, symbol) for symbol in wanted)
    bars: dict[Timeframe, int] = {}
    for top in found.values():
        for timeframe, count in top.bars().items():
            bars[timeframe] = max(count, bars.get(timeframe, 0))
    return Needs(
        symbols=(*(symbol for symbol in traded if symbol in symbols), *sorted(symbols - traded.keys())),
        timeframes=tuple(timeframe for timeframe in Timeframe if timeframe in bars),
        bars={timeframe: bars[timeframe] for timeframe in Timeframe if timeframe in bars},
        unavailable=unavailable,
    )
