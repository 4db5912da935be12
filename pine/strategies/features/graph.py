"""The graph of features: each advanced once per completed bar of its symbol and timeframe, shared by all who ask."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from attrs import define

from pine.core.bar import Bar
from pine.core.config.quoted import quoted
from pine.core.errors import DataError, FeatureError
from pine.core.period import SessionRule, period
from pine.core.timeframe import Timeframe
from pine.strategies.features.address import Address, near, parse_address
from pine.strategies.features.definition import BarFeature, ClockFeature, Feature
from pine.strategies.features.needs import Needs, summed
from pine.strategies.features.places import Places
from pine.strategies.features.resolve import Resolved, resolve_all

Place = tuple[str, Timeframe]

_NEVER: Final = -(2**63)


@define(eq=False)
class _Node:
    """One feature of one place, and its newest value."""

    feature: Feature
    place: Place
    inputs: tuple["_Node", ...]
    value: float | None = None

    def advance(self, bar: Bar, closed: int) -> None:
        """Take a completed bar of the place."""
        try:
            value = self._next(bar, closed)
        except OverflowError:
            value = None
        self.value = value if value is not None and math.isfinite(value) else None

    def _next(self, bar: Bar, closed: int) -> float | None:
        if isinstance(self.feature, BarFeature):
            return self.feature(bar)
        if isinstance(self.feature, ClockFeature):
            return self.feature(closed)
        read = [node.value for node in self.inputs]
        return None if None in read else self.feature(*read)


class FeatureSet:
    """The features that a strategy asked for, of every instrument it trades.

    Parameters
    ----------
    wanted
        Addresses by traded symbol.
    rules
        Sessions of every symbol that has bars. A feature that reads another symbol never has a value.
    places
        What ``pair`` means, and which symbols are fed by another one's bars.

    Raises
    ------
    FeatureError
        If an address cannot be read.
    """

    needs: Needs

    def __init__(self, wanted: Mapping[str, Sequence[str]], rules: Mapping[str, SessionRule], places: Places) -> None:
        self._rules = dict(rules)
        self._wanted = {symbol: frozenset(map(parse_address, texts)) for symbol, texts in wanted.items()}
        self._nodes: dict[Resolved, _Node] = {}
        found, unavailable = resolve_all(wanted, places, rules)
        self.needs = summed(wanted, places, found, unavailable)
        self._tops = {key: self._node(resolved) for key, resolved in found.items()}
        self._newest = {node.place: _NEVER for node in self._nodes.values()}

    def update(self, bars: Iterable[Bar]) -> None:
        """Take all bars, of any symbol and timeframe, that close at one instant; those not needed are ignored.

        Bars of several instants may come in one call; they are taken one instant after the other.

        Raises
        ------
        DataError
            If a bar is not newer than the newest of its symbol and timeframe; none of the call is taken then.
        """
        instants = self._instants(bars)
        for closed, group in instants:
            for node in self._nodes.values():
                bar = group.get(node.place)
                if bar is not None:
                    node.advance(bar, closed)

    def value(self, symbol: str, address: str) -> float | None:
        """Return a feature's newest value, or nothing if it has none.

        Raises
        ------
        FeatureError
            If it was not among those wanted.
        """
        found = parse_address(address)
        top = self._tops.get((symbol, found))
        if top is not None:
            return top.value
        self._check_wanted(symbol, found)
        return None

    def row(self, symbol: str, addresses: Sequence[str]) -> list[float | None]:
        """Return the newest values of some features in their order."""
        return [self.value(symbol, address) for address in addresses]

    def _node(self, resolved: Resolved) -> _Node:
        """Return the one node of a feature; inputs come into the graph before what reads them."""
        found = self._nodes.get(resolved)
        if found is None:
            inputs = tuple(self._node(read) for read in resolved.inputs)
            found = _Node(resolved.make(), (resolved.symbol, resolved.timeframe), inputs)
            self._nodes[resolved] = found
        return found

    def _instants(self, bars: Iterable[Bar]) -> list[tuple[int, dict[Place, Bar]]]:
        """Return the needed bars by the instant of their close, having checked that each advances its place."""
        timed = [(self._closed(bar), bar) for bar in bars if (bar.symbol, bar.timeframe) in self._newest]
        timed.sort(key=lambda each: each[0])
        newest: dict[Place, int] = {}
        for _, bar in timed:
            place = (bar.symbol, bar.timeframe)
            before = newest.get(place, self._newest[place])
            if bar.start <= before:
                raise DataError(f"features: found {bar} after the one of {before}, expected bars in order, each once")
            newest[place] = bar.start
        self._newest.update(newest)
        return list(_grouped(timed))

    def _closed(self, bar: Bar) -> int:
        return period(bar.timeframe, bar.start, self._rules[bar.symbol]).end

    def _check_wanted(self, symbol: str, address: Address) -> None:
        if address not in self._wanted.get(symbol, frozenset()):
            known = map(str, self._wanted.get(symbol, ()))
            raise FeatureError(
                f"feature {quoted(str(address))} of {symbol} was not asked for; {near(str(address), known)}"
            )


def _grouped(timed: list[tuple[int, Bar]]) -> Iterator[tuple[int, dict[Place, Bar]]]:
    for closed, group in groupby(timed, key=lambda each: each[0]):
        yield closed, {(bar.symbol, bar.timeframe): bar for _, bar in group}
