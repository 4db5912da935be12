"""Bars of a minute of every outright of a root, from Databento Historical: what a hub needs to build its own bars.

They are bought by parent symbol, which brings spreads too, and kept as the DBN files that the vendor sent, so that
nothing is bought twice however often the hub is killed. ``pine import`` reads such files as well.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import frozen

from pine.bus.durable import put
from pine.core.calendar import scheduled_hours
from pine.core.config import Config
from pine.core.errors import HistoryError, Unresolved
from pine.core.timeframe import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import isoformat, to_datetime
from pine.history.bought import Bought, Incomplete, Quote, Request, decode
from pine.history.manifest import Interval, joined, without
from pine.history.pieces import cover, parts_of
from pine.history.vendor import Budget, Patience, Vendor

BAR_SCHEMAS: Final = ("ohlcv-1m", "ohlcv-1s")
"""By preference. Trades would do as well, at many times the price."""
FOLDER: Final = "bought"

_SUFFIX: Final = ".dbn.zst"
_STAMP: Final = "%Y%m%dT%H%M"


@frozen
class _Kept:
    """One file, and what it holds all of, in ns."""

    path: Path
    symbol: str
    schema: str
    begin: int
    end: int


class Outrights:
    """Buys, and keeps in ``data_dir/bought``.

    Parameters
    ----------
    config
        Account, ceiling of cost, parent symbols.
    patience
        See `pine.history.vendor.Vendor`.
    jitter
        A number from 0 to 1, each time another.
    """

    def __init__(
        self,
        config: Config,
        patience: Patience | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._given_up = threading.Event()
        self._vendor = Vendor(config.databento, patience, self._sleep, jitter)
        self._folder = config.data_dir / FOLDER
        self._empty: dict[str, list[Interval]] = {}
        self._buying = threading.Lock()

    def reached(self, symbols: Sequence[str], begin: int, end: int) -> int:
        """Return up to when, in ns and at most until `end`, everything from `begin` on is here of every root."""
        missing = [self._missing(symbol, begin, end) for symbol in symbols]
        return min((holes[0][0] for holes in missing if holes), default=end)

    def buy(self, symbols: Sequence[str], begin: int, end: int) -> int:
        """Buy what is not here of some roots; return up to when everything is.

        All of it together is one question, which may cost ``databento.max_cost_usd``: where it would cost more,
        nothing is bought.

        Parameters
        ----------
        symbols
            Configured roots.
        begin, end
            Whole minutes in ns, the end exclusive and best on whole ten minutes, where the vendor's counts are exact.

        Raises
        ------
        SecretMissing, KeyRefused
            If there is no key, or it is not accepted.
        TooDear
            If it costs too much.
        HistoryError
            If the vendor refuses, cannot be reached, or keeps sending incomplete data; or if nobody wants it any more.
        """
        with self._buying:
            self._given_up.clear()
            ranges = {name: span for name, span in self._vendor.ranges().items() if name in BAR_SCHEMAS}
            pieces = cover(BAR_SCHEMAS, ranges, begin, end)
            if not pieces or pieces[0].begin > begin:
                found = ", ".join(f"{isoformat(low)} to {isoformat(high)}" for low, high in ranges.values()) or "none"
                raise HistoryError(f"databento: found bars of {found}, expected some from {isoformat(begin)} on")
            quotes: list[tuple[str, Quote]] = []
            for symbol in symbols:
                for low, high in self._missing(symbol, begin, pieces[-1].end):
                    parts = parts_of(pieces, "parent", self._config.parent(symbol), low, high, ranges)
                    quotes += [(symbol, quote) for part in parts for quote in self._quoted(symbol, part.request)]
            budget = Budget(self._config.databento.max_cost_usd)
            if quotes:
                budget.allow([quote for _, quote in quotes])
            for symbol, quote in quotes:
                self._wanted()
                self._keep(symbol, self._vendor.fetch(quote, budget))
        return self.reached(symbols, begin, end)

    def give_up(self) -> None:
        """Let a `buy` that another thread is in end before its next request."""
        self._given_up.set()

    def read(self, symbol: str, begin: int, end: int) -> Iterator[tuple[Bought, int, int]]:
        """Yield what is here of a root, in order, each with the time in ns of which it is to be taken."""
        left: tuple[Interval, ...] = ((begin, end),)
        for kept in self._files(symbol):
            taken = [(max(low, kept.begin), min(high, kept.end)) for low, high in left]
            taken = [(low, high) for low, high in taken if low < high]
            if taken:
                bought = self._decoded(kept)
                yield from ((bought, low, high) for low, high in taken)
                left = without(left, taken)

    def prune(self, before: int) -> None:
        """Remove files that end before a time in ns."""
        for kept in self._files():
            if kept.end < before:
                kept.path.unlink(missing_ok=True)

    def _quoted(self, symbol: str, request: Request) -> list[Quote]:
        self._wanted()
        try:
            quotes = self._vendor.quote([request])
        except Unresolved:
            # On days without trading nothing is listed either.
            if scheduled_hours(self._config.session_rule(symbol).group, request.begin, request.end):
                raise
            quotes = []
        if not quotes:
            self._empty.setdefault(symbol, []).append((request.begin, request.end))
        return quotes

    def _missing(self, symbol: str, begin: int, end: int) -> tuple[Interval, ...]:
        known = [(kept.begin, kept.end) for kept in self._files(symbol)]
        return without([(begin, end)], joined([*known, *self._empty.get(symbol, ())]))

    def _files(self, symbol: str | None = None) -> list[_Kept]:
        found = (_parsed(path) for path in sorted(self._folder.glob(f"{symbol or '*'}_*{_SUFFIX}")))
        return sorted((kept for kept in found if kept is not None), key=lambda kept: (kept.begin, kept.end))

    def _keep(self, symbol: str, bought: Bought) -> None:
        """Write what was bought; durable before it counts."""
        request = bought.request
        begin = request.begin + -request.begin % NS_PER_MINUTE
        end = request.end - request.end % NS_PER_MINUTE
        stamps = "_".join(f"{to_datetime(ts):{_STAMP}}" for ts in (begin, end))
        path = self._folder / f"{symbol}_{request.schema}_{stamps}{_SUFFIX}"
        temporary = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            put(temporary, bought.body)
            temporary.replace(path)
        except OSError as error:
            raise HistoryError(f"{path}: what was bought cannot be kept: {error.strerror}") from None

    def _decoded(self, kept: _Kept) -> Bought:
        request = Request(kept.schema, "parent", self._config.parent(kept.symbol), kept.begin, kept.end)
        try:
            return decode(request, kept.path.read_bytes())
        except (OSError, Incomplete) as error:
            kept.path.unlink(missing_ok=True)
            raise HistoryError(f"{kept.path}: cannot be read ({error}); it is removed, to be bought again") from None

    def _wanted(self) -> None:
        if self._given_up.is_set():
            raise HistoryError("databento: given up, nobody waits for it any more")

    def _sleep(self, seconds: float) -> None:
        self._given_up.wait(seconds)
        self._wanted()


def days(begin: int, end: int) -> Iterator[Interval]:
    """Cut a stretch of time, in ns, into UTC days: an instrument id stands for one thing for no longer than that."""
    while begin < end:
        until = min(end, begin - begin % NS_PER_DAY + NS_PER_DAY)
        yield begin, until
        begin = until


def names_on(bought: Bought, ts: int) -> Iterator[tuple[int, str]]:
    """Yield what instrument ids stand for on the UTC day that holds an instant."""
    day = to_datetime(ts).date()
    for label, intervals in bought.labels.items():
        yield from ((number, label) for first, last, number in intervals if first <= day < last)


def _parsed(path: Path) -> _Kept | None:
    """Return what a file's name says; nothing if it is not one of ours."""
    try:
        symbol, schema, first, last = path.name.removesuffix(_SUFFIX).split("_")
        begin, end = (
            round(datetime.strptime(text, _STAMP).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND
            for text in (first, last)
        )
    except ValueError:
        return None
    return _Kept(path, symbol, schema, begin, end) if schema in BAR_SCHEMAS else None
