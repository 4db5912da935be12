"""What streams and ledgers hold that a picture shows, read again only where something was added."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND, Timeframe
from pine.core.times import to_datetime
from pine.ops.orders import list_orders
from pine.orders.entries import Control, Correction
from pine.orders.ledger import read_ledger

BARS: Final = 300
ORDERS: Final = 200
EVENTS: Final = 100


@frozen
class Happened:
    """One line of the list of events.

    Attributes
    ----------
    time
        Ns of the step at which it holds.
    kind
        ``roll``, ``reset``, ``gap``, ``refill``, ``halt``, ``resume``, ``flatten`` or ``correction``.
    where
        Root or strategy.
    text
        The rest of it.
    """

    time: int
    kind: str
    where: str
    text: str

    @property
    def when(self) -> str:
        """The time in UTC, to the minute."""
        return _minute(self.time)


@define(eq=False)
class Market:
    """The newest of the market's own events."""

    happened: tuple[Happened, ...] = ()
    _last: str | None = None

    def refresh(self, client: Client) -> None:
        """Read them anew if there are others."""
        last = streams.last_id(client, keys.EVENTS)
        if last != self._last:
            found = client.xrevrange(keys.EVENTS, count=EVENTS)
            self.happened = tuple(_event(identifier, fields) for identifier, fields in found)
            self._last = last


@define(eq=False)
class Strategy:
    """Newest orders of a strategy, and what operators asked of it.

    Parameters
    ----------
    name
        Of the strategy.
    posts
        Whether it has a webhook; without one an order is on paper and owed to nobody.
    """

    name: str
    posts: bool
    orders: tuple[Mapping[str, Any], ...] = ()
    controls: tuple[Happened, ...] = ()
    _seen: tuple[str | None, str | None] = (None, None)
    _read: str = "-"

    def refresh(self, client: Client) -> None:
        """Read again if ledger or deliveries have grown."""
        seen = (streams.last_id(client, keys.ledger(self.name)), streams.last_id(client, keys.deliveries(self.name)))
        if seen == self._seen:
            return
        posting = {self.name} if self.posts else set[str]()
        self.orders = tuple(list_orders(client, [self.name], posting)[-ORDERS:])
        new = list(read_ledger(client, self.name, self._read))
        controls = [
            _said(self.name, identifier, entry) for identifier, entry in new if isinstance(entry, Control | Correction)
        ]
        self.controls = (*self.controls, *controls)[-EVENTS:]
        if new:
            self._read = f"({new[-1][0]}"
        self._seen = seen


@define(eq=False)
class Bars:
    """The newest bars of one stream."""

    symbol: str
    timeframe: Timeframe
    bars: tuple[Bar, ...] = ()
    _last: str | None = field(default=None)

    def refresh(self, client: Client) -> tuple[Bar, ...]:
        """Read what was added; everything anew if what was read last is not there any more."""
        stream = keys.bars(self.symbol, self.timeframe)
        last = streams.last_id(client, stream)
        if last != self._last:
            forward = (
                self._last is not None and last is not None and streams.id_pair(last) > streams.id_pair(self._last)
            )
            newest = client.xrevrange(stream, min=f"({self._last}" if forward else "-", count=BARS)
            added = [Bar.from_json(streams.field_of(stream, fields, "bar")) for _, fields in reversed(newest)]
            self.bars = (*(self.bars if forward else ()), *added)[-BARS:]
            self._last = last
        return self.bars


def _event(identifier: bytes, fields: dict[bytes, bytes]) -> Happened:
    event = orjson.loads(streams.field_of(keys.EVENTS, fields, "event"))
    kind, symbol = event.get("kind", "?"), event.get("symbol", "")
    return Happened(streams.ms_of(identifier) * NS_PER_MS, kind, symbol, _event_text(kind, event))


def _event_text(kind: str, event: Mapping[str, Any]) -> str:
    if kind == "roll":
        return f"{event.get('from')} to {event.get('to')}"
    if "first_minute" not in event:
        return ""
    first, last = event["first_minute"], event["last_minute"] + 60 * NS_PER_SECOND
    hole = f"{_minute(first)} to {_minute(last)}"
    return f"{hole}, {event['minutes']} minutes" if "minutes" in event else hole


def _minute(ts: int) -> str:
    return f"{to_datetime(ts):%m-%d %H:%M}"


def _said(strategy: str, identifier: str, entry: Control | Correction) -> Happened:
    text = f"{entry.who}: {entry.reason}"
    if isinstance(entry, Correction):
        held = f"{entry.quantity:+d} {entry.contract}" if entry.quantity else "nothing"
        text = f"{entry.symbol} is {held}; {text}"
    kind = "correction" if isinstance(entry, Correction) else entry.order
    return Happened(streams.ms_of(identifier) * NS_PER_MS, kind, strategy, text)
