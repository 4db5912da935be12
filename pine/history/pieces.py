"""How a stretch of time is divided into what is asked of Databento Historical at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from pine.core.timeframe import NS_PER_MINUTE
from pine.history.bought import COUNT_GRID, Request
from pine.history.schemas import SCHEMAS


@frozen
class Piece:
    """A stretch of time and the schema that covers it."""

    schema: str
    begin: int
    end: int


@frozen
class Part:
    """A request, and the time in ns of which its records are wanted."""

    request: Request
    begin: int
    end: int


def cover(schemas: Sequence[str], ranges: Mapping[str, tuple[int, int]], begin: int, end: int) -> list[Piece]:
    """Divide a stretch of time among schemas, each minute to the first that has it.

    Parameters
    ----------
    schemas
        By preference.
    ranges
        What is available of each, in ns.
    begin, end
        Whole minutes in ns, the end exclusive.

    Returns
    -------
    list
        Pieces in order without a gap; what follows a gap is left out. Bars of an hour end on whole hours.
    """
    left = [(begin, end)]
    pieces = []
    for name in schemas:
        if name not in ranges:
            continue
        grid = max(SCHEMAS[name].width, NS_PER_MINUTE)
        rest = []
        for low, high in left:
            first = -(-max(low, ranges[name][0]) // grid) * grid
            last = min(high, ranges[name][1]) // grid * grid
            if first < last:
                pieces.append(Piece(name, first, last))
                rest += [(low, first), (last, high)]
            else:
                rest.append((low, high))
        left = [(low, high) for low, high in rest if low < high]
    pieces.sort(key=lambda piece: piece.begin)
    whole = pieces[:1]
    for piece in pieces[1:]:
        if piece.begin != whole[-1].end:
            break
        whole.append(piece)
    return whole


def parts_of(
    pieces: Iterable[Piece],
    stype: str,
    symbol: str,
    begin: int,
    end: int,
    ranges: Mapping[str, tuple[int, int]],
) -> Iterator[Part]:
    """Cut a stretch into what is asked for at once, widened to where the vendor's counts are exact if it has that."""
    for piece in pieces:
        low, high = ranges[piece.schema]
        span = SCHEMAS[piece.schema].span
        at, last = max(begin, piece.begin), min(end, piece.end)
        while at < last:
            until = min(last, (at // span + 1) * span)
            first, beyond = at // COUNT_GRID * COUNT_GRID, -(-until // COUNT_GRID) * COUNT_GRID
            yield Part(Request(piece.schema, stype, symbol, max(first, low), min(beyond, high)), at, until)
            at = until
