"""From an address and an instrument to what must be computed, and on whose bars."""

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.strategies.features.address import DEFAULT_TIMEFRAME, PAIR, Address, parse_address, parse_input
from pine.strategies.features.definition import Feature
from pine.strategies.features.places import Places
from pine.strategies.features.registry import FEATURES


class Unavailable(PineError):
    """What an address reads does not exist; the message says why."""


@frozen(cache_hash=True)
class Resolved:
    """One feature of one symbol and timeframe; equal ones are computed once.

    Attributes
    ----------
    name
        The definition's.
    values
        Its parameters that are numbers or words; those that are features stand in `inputs`.
    symbol
        Whose bars advance it, stand-ins resolved.
    inputs
        What it reads.
    """

    name: str
    values: tuple[Any, ...]
    symbol: str
    timeframe: Timeframe
    inputs: tuple["Resolved", ...]
    address: Address = field(eq=False, repr=False)

    def make(self) -> Feature:
        """Return a new state of it, which has seen no bar."""
        return make(self.address)

    def all(self) -> Iterator["Resolved"]:
        """Iterate over it and everything it reads, inputs first, each once."""
        return iter(_walked(self, {}))

    def bars(self) -> dict[Timeframe, int]:
        """Return how many bars of each timeframe it takes until there is a value, at least."""
        needs: dict[Resolved, dict[Timeframe, int]] = {}
        for each in self.all():
            needed = needs[each] = {each.timeframe: 1}
            for read in each.inputs:
                for timeframe, count in needs[read].items():
                    needed[timeframe] = max(count, needed.get(timeframe, 1))
            needed[each.timeframe] += _read(each.address)[1] - 1
        return needs[self]

    @property
    def recursive(self) -> bool:
        """Whether its value depends on every bar since the first."""
        return any(FEATURES[each.name].recursive for each in self.all())


def resolve(address: Address, symbol: str, places: Places, known: Container[str] | None = None) -> Resolved:
    """Return what an address means for an instrument.

    Parameters
    ----------
    address
        What `parse_address` returned.
    symbol
        The instrument, as it is traded.
    places
        What ``pair`` means, and which symbols are fed by another one's bars.
    known
        Symbols that have bars; nothing if every symbol may.

    Raises
    ------
    Unavailable
        If it can never have a value.
    """
    return _resolve(address, symbol, DEFAULT_TIMEFRAME, places, known, {})


def _walked(top: Resolved, found: dict[Resolved, None]) -> dict[Resolved, None]:
    if top not in found:
        for read in top.inputs:
            _walked(read, found)
        found[top] = None
    return found


def resolve_all(
    wanted: Mapping[str, Sequence[str]], places: Places, known: Container[str] | None
) -> tuple[dict[tuple[str, Address], Resolved], dict[str, str]]:
    """Return what every wanted address means by instrument, and why others can never have a value."""
    found: dict[tuple[str, Address], Resolved] = {}
    reasons: dict[str, list[str]] = {}
    for symbol, texts in wanted.items():
        for text in texts:
            address = parse_address(text)
            try:
                found[symbol, address] = resolve(address, symbol, places, known)
            except Unavailable as error:
                said = reasons.setdefault(str(address), [])
                said += [str(error)] if str(error) not in said else []
    return found, {address: "; ".join(said) for address, said in reasons.items()}


def make(address: Address) -> Feature:
    """Return a new state of a feature, which has seen no bar."""
    definition: Any = FEATURES[address.name]
    arguments = {name: str(value) if isinstance(value, Address) else value for name, value in address.arguments}
    made: Feature = definition(**arguments)
    return made


@lru_cache(maxsize=4096)
def _read(address: Address) -> tuple[tuple[Address, ...], int]:
    """Return what an address reads, and how often that must have had values."""
    found = make(address)
    return tuple(parse_input(text) for text in found.inputs), found.span


def _resolve(
    address: Address,
    symbol: str,
    timeframe: Timeframe,
    places: Places,
    known: Container[str] | None,
    met: dict[tuple[Address, str, Timeframe], Resolved],
) -> Resolved:
    """Return what an address means inside one of a symbol and timeframe; what stands there twice is met once."""
    place = (address, symbol, timeframe)
    if place in met:
        return met[place]
    spoken = _symbol(address, symbol, places)
    fed = places.stand_ins.get(spoken, spoken)
    if known is not None and fed not in known:
        raise Unavailable(f"{spoken} is not configured" + (f" (it is fed by {fed})" if fed != spoken else ""))
    own = address.timeframe or timeframe
    met[place] = Resolved(
        address.name,
        tuple(value for _, value in address.arguments if not isinstance(value, Address)),
        fed,
        own,
        tuple(_resolve(read, spoken, own, places, known, met) for read in _read(address)[0]),
        address,
    )
    return met[place]


def _symbol(address: Address, symbol: str, places: Places) -> str:
    if address.symbol != PAIR:
        return address.symbol or symbol
    if symbol not in places.pairs:
        raise Unavailable(f"{symbol} has no pair")
    return places.pairs[symbol]
