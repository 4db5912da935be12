"""Which records a session gets, and what has to be said between them."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.sandbox import messages
from pine.sandbox.control import RefusalError, SubscriptionRequest
from pine.sandbox.records import RTYPES
from pine.sandbox.reel import Block
from pine.sandbox.symbology import ALL_SYMBOLS
from pine.sandbox.tape import Indices, Tape

Inserts = Sequence[tuple[int, bytes]]
"""Messages to send between records, each with the number of picked records that come before it."""


@frozen(eq=False)
class Route:
    """One subscription, resolved.

    Attributes
    ----------
    request
        What the client asked for.
    rtype
        Type of the records wanted.
    wanted
        For each instrument of the tape whether it is wanted.
    labels
        The subscribed symbol under which each wanted instrument was found.
    unresolved
        Symbols that stand for nothing on the tape.
    """

    request: SubscriptionRequest
    rtype: int
    wanted: NDArray[np.bool_]
    labels: dict[int, str]
    unresolved: tuple[str, ...]


def resolve(tape: Tape, request: SubscriptionRequest) -> Route:
    """Find the instruments of a subscription.

    Raises
    ------
    RefusalError
        If the tape has no records of the schema.
    """
    if request.schema not in tape.schemas:
        raise RefusalError(
            f"Schema {request.schema} is not available, this gateway has {', '.join(sorted(tape.schemas))}"
        )
    labels: dict[int, str] = {}
    unresolved = []
    for symbol in request.symbols:
        found = tape.symbols.resolve(request.stype, symbol)
        if not found:
            unresolved.append(symbol)
        for at in found:
            labels.setdefault(at, tape.instruments[at].symbol if symbol == ALL_SYMBOLS else symbol)
    wanted = np.zeros(len(tape.instruments), np.bool_)
    wanted[list(labels)] = True
    return Route(request, RTYPES[request.schema], wanted, labels, tuple(unresolved))


class Router:
    """The subscriptions of one session.

    Parameters
    ----------
    tape
        What is being played.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._routes: list[Route] = []

    def add(self, route: Route) -> None:
        """Let the session have the records of one more subscription."""
        self._routes.append(route)

    @property
    def start(self) -> int | None:
        """Earliest event time in ns that any subscription asks for, ``None`` if all begin with the present."""
        starts = [route.request.start for route in self._routes if route.request.start is not None]
        return min(starts, default=None)

    def replayed_schemas(self) -> list[str]:
        """Return the schemas that were subscribed to with a start."""
        return list(dict.fromkeys(route.request.schema for route in self._routes if route.request.start is not None))

    def announcement(self, route: Route, ts: int, position: int) -> bytes:
        """Return what a subscription is answered with: the confirmation, errors and symbol mappings."""
        parts = [messages.acknowledged(ts, route.request.number, route.request.schema)] if route.request.is_last else []
        parts += [messages.unresolved(ts, symbol) for symbol in route.unresolved]
        names = set(self._tape.names(position).values())
        parts += [
            self._mapping(route, ts, at) for at in route.labels if at in names and self._tape.instruments[at].symbol
        ]
        return b"".join(parts)

    def _mapping(self, route: Route, ts: int, at: int) -> bytes:
        return messages.mapping(ts, route.request.stype, route.labels[at], self._tape.instruments[at])

    def pick(self, block: Block, *, replay: bool = False) -> Indices:
        """Return the positions of the records in a block that the session gets.

        Parameters
        ----------
        block
            Records to choose from.
        replay
            Whether they lie in the past, which only subscriptions with a start ask for.
        """
        tape, span = self._tape, slice(block.start, block.stop)
        chosen = np.zeros(block.stop - block.start, np.bool_)
        for route in self._routes:
            start = route.request.start
            if replay and start is None:
                continue
            mine = route.wanted[tape.instrument[span]] & (tape.rtype[span] == route.rtype)
            if start is not None:
                mine &= tape.ts_event[span] >= start - block.shift
            chosen |= mine
        return np.flatnonzero(chosen) + block.start

    def renamings(self, block: Block, picked: Indices) -> Iterator[tuple[int, bytes]]:
        """Yield the symbol mappings that have to go out where an id comes to stand for another instrument."""
        renames = self._tape.renames
        if renames and block.start == 0 and block.shift:
            first_names = self._tape.names(-1)
            for number in {self._tape.instruments[at].instrument_id for _, at in renames}:
                yield from self._renaming(0, first_names[number], block)
        for position, at in renames[bisect_left(renames, (block.start, -1)) : bisect_left(renames, (block.stop, -1))]:
            yield from self._renaming(int(np.searchsorted(picked, position)), at, block)

    def _renaming(self, before: int, at: int, block: Block) -> Iterator[tuple[int, bytes]]:
        ts = int(self._tape.ts[block.start]) + block.shift
        for route in self._routes:
            if route.wanted[at]:
                yield before, self._mapping(route, ts, at)

    def encode(self, block: Block, picked: Indices, inserts: Inserts) -> bytes:
        """Return picked records with messages between them."""
        data = self._tape.encode(picked, block.shift)
        if not inserts:
            return data
        offsets = self._tape.offsets(picked)
        parts: list[bytes] = []
        done = 0
        for before, message in sorted(inserts, key=lambda insert: insert[0]):
            parts += (data[done : offsets[before]], message)
            done = offsets[before]
        parts.append(data[done:])
        return b"".join(parts)
