"""What a strategy's ledger and deliveries, and the market's events, say that a person should know. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from pine.bus import streams
from pine.core.period import SessionRule, session
from pine.core.times import isoformat
from pine.ops.alerts.message import Message
from pine.orders.entries import Control, Entry, Fill, Intent
from pine.orders.portfolio import Portfolio

FAILED: Final[Mapping[str, tuple[str, bool]]] = {
    "rejected": ("was rejected", True),
    "unknown": ("may or may not have been posted", True),
    "expired": ("expired before it could be posted", False),
    "blocked": ("was blocked", False),
}
"""States of a delivery that are told, in words, and whether somebody should look now."""


@define
class StrategyRecord:
    """The fold of one strategy's ledger and deliveries, which says of each new entry what is to be told.

    Parameters
    ----------
    name
        The strategy's.
    cash, daily_stop_loss, desk_session
        Its account at the start, the loss of a session that ends entries, and what a session is.
    option
        What a suggested command needs at its end to find the same configuration.
    """

    name: str
    cash: float
    daily_stop_loss: float
    desk_session: SessionRule
    option: str = ""
    intents: dict[str, Intent] = field(factory=dict)
    states: dict[str, str] = field(factory=dict)
    _account: Portfolio = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._account = Portfolio(self.cash, self.desk_session)

    def entry(self, entry: Entry) -> list[Message]:
        """Fold a ledger entry; return what it means to a person."""
        before = self._account.day_pnl(entry.time) if isinstance(entry, Fill) else 0.0
        self._account.apply(entry)
        if isinstance(entry, Intent):
            self.intents[entry.id] = entry
        if isinstance(entry, Fill):
            return [*self._filled(entry), *self._stopped(entry, before)]
        return [self._controlled(entry)] if isinstance(entry, Control) else []

    def delivery(self, record: Mapping[str, str]) -> list[Message]:
        """Fold a record of a delivery; one that is put on record again, or that cannot be read, says nothing."""
        intent, state = record.get("intent", ""), record.get("state", "")
        if not intent or self.states.get(intent) == state:
            return []
        self.states[intent] = state
        if state not in FAILED:
            return []
        words, urgent = FAILED[state]
        known = self.intents.get(intent)
        order = "an order" if known is None else f"{known.action} {known.quantity} {known.contract}"
        said = ": ".join(filter(None, (record.get("status", ""), record.get("text", ""))))
        lines = [f"{intent}{f' ({said})' if said else ''}"]
        if state == "unknown":
            lines.append(f"Look at the broker, then: pine orders resolve {intent} --posted{self.option}")
            lines.append("or --not-posted")
        else:
            lines.append(f"pine orders --strategy {self.name}{self.option}")
        return [Message("delivery", f"{self.name}: {order} {words}", "\n".join(lines), urgent=urgent)]

    def _filled(self, fill: Fill) -> Iterator[Message]:
        intent = self.intents.get(fill.intent)
        reason = "" if intent is None else intent.reason
        if fill.pnl is None:
            side = "bought" if fill.side > 0 else "sold short"
            title = f"{self.name} {side} {fill.quantity} {fill.contract} at {fill.price:.10g}"
            yield Message("entry", title, f"{reason}, on paper at {_at(fill.time)}")
        else:
            title = f"{self.name} closed {fill.quantity} {fill.contract} at {fill.price:.10g}, {fill.pnl:+,.2f} dollars"
            day = self._account.day_pnl(fill.time)
            yield Message("exit", title, f"{reason}, on paper at {_at(fill.time)}; the day so far {day:+,.2f}")

    def _stopped(self, fill: Fill, before: float) -> Iterator[Message]:
        """Yield a message if this fill brought the session's loss to the daily stop."""
        after = self._account.day_pnl(fill.time)
        if before > -self.daily_stop_loss >= after:
            end = session(fill.time, self.desk_session).end
            body = f"{after:+,.2f} dollars of -{self.daily_stop_loss:,.2f}. No new entries until {_at(end)}; exits go."
            yield Message("stop_loss", f"{self.name}: daily stop reached", body, urgent=True)

    def _controlled(self, entry: Control) -> Message:
        by = f"By {entry.who}: {entry.reason}"
        if entry.order == "halt":
            body = f"{by}\nNo new entries, exits go. pine resume {self.name}{self.option}"
            return Message("halt", f"{self.name} is halted", body, urgent=True)
        if entry.order == "resume":
            return Message("halt", f"{self.name} is resumed", by, good=True)
        return Message("halt", f"{self.name} is flattened", by, urgent=True)


def market_events(entries: Iterable[streams.Entry], option: str = "") -> list[Message]:
    """Return what entries of ``market:events`` mean; what befell several roots at one step is told as one."""
    groups: dict[tuple[int, str, int, int], list[str]] = {}
    for identifier, fields in entries:
        event = _event(fields)
        if event is not None and event["kind"] in _HOLES:
            place = streams.ms_of(identifier), event["kind"], event["first_minute"], event["last_minute"]
            groups.setdefault(place, []).append(event["symbol"])
    return [_hole(kind, ", ".join(symbols), first, last, option) for (_, kind, first, last), symbols in groups.items()]


_HOLES: Final = frozenset({"gap", "reset", "refill"})


def _event(fields: Mapping[bytes, bytes]) -> dict[str, Any] | None:
    try:
        event = orjson.loads(fields[b"event"])
        return event if isinstance(event, dict) and isinstance(event["kind"], str) else None
    except (KeyError, orjson.JSONDecodeError):
        return None


def _hole(kind: str, symbols: str, first: int, last: int, option: str) -> Message:
    when = f"Minutes {_at(first)} to {_at(last)}."
    if kind == "refill":
        return Message("gap", f"{symbols}: a gap was filled", f"{when} Workers warm up again with it.", good=True)
    if kind == "reset":
        body = f"{when} An instrument id moved to another contract; hours and days over them are not published."
        return Message("gap", f"{symbols}: minutes were discarded", body)
    body = f"{when} Hours and days over them are not published. pine audit{option}"
    return Message("gap", f"{symbols}: minutes are missing", body, urgent=True)


def _at(ts: int) -> str:
    return f"{isoformat(ts)[:16].replace('T', ' ')} UTC"
