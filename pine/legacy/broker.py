"""The broker in Backtrader's loop: asked once a pass, after the feeds and before the strategy."""

from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt

from pine.core.bar import Bar
from pine.core.contract import parse_contract
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import isoformat, to_datetime
from pine.legacy.account import PaperAccount
from pine.legacy.feeds import QueueFeed
from pine.legacy.record import Facts, Recorder
from pine.orders.entries import Action, Fill, Intent
from pine.strategies.account import Position
from pine.strategies.risk import RiskRules


class PaperBroker(bt.BrokerBase):  # type: ignore[misc]
    """Fills market orders at the open of the next minute of their contract, closes at rolls, and makes intents.

    Parameters
    ----------
    name
        The strategy, for the ids of intents: the same as in any other run over the same bars.
    account, rules
        What it keeps, and what an entry must obey.
    minutes
        Minute feeds by symbol, in the strategy's order.
    recorder
        Told everything.
    on_intent
        Called with each intent at once.
    """

    def __init__(
        self,
        name: str,
        account: PaperAccount,
        rules: RiskRules,
        minutes: Mapping[str, QueueFeed],
        recorder: Recorder,
        on_intent: Callable[[Intent], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.account = account
        self.startingcash = account.cash
        self.step = 0
        self.live = False
        self.asked: list[Facts] = []
        self.last: dict[str, Bar] = {}
        self._name = name
        self._rules = rules
        self.minutes = minutes
        self._recorder = recorder
        self._on_intent = on_intent
        self._lead: dict[str, str] = {}
        self._booked = 0

    def getcash(self) -> float:
        """Return the account's cash in dollars."""
        return self.account.cash

    def getvalue(self, datas: Any = None) -> float:  # noqa: ARG002  # Backtrader's signature
        """Return cash; open profit is not needed by any rule."""
        return self.account.cash

    def getposition(self, data: Any) -> Any:
        """Return the position in the symbol of a feed."""
        position = self.account.positions.get(data.p.symbol)
        return bt.Position(position.quantity, position.price) if position else bt.Position(0, 0.0)

    def get_notification(self) -> None:
        """Return nothing: fills are read from the account."""

    def next(self) -> None:
        """Begin a step: fill at the opens of its minutes, then close what rolls.

        Raises
        ------
        PineError
            If the feeds are not all at the same boundary, which would be a defect of this room.
        """
        slots = {symbol: feed.slot for symbol, feed in self.minutes.items()}
        stamps = {slot.ts for slot in slots.values() if slot is not None}
        if not stamps:
            return
        if len(stamps) != 1 or None in slots.values():
            raise PineError(f"feeds: found them at {sorted(map(isoformat, stamps))}, expected one boundary")
        self.step, self._booked, self.asked = stamps.pop(), 0, []
        for symbol, slot in slots.items():
            assert slot is not None
            self.live = slot.live
            if slot.bar is not None:
                self._see(slot.bar)
            for reset in self.minutes[symbol].resets:
                lost = {"first_minute": reset.first, "last_minute": reset.last}
                self._recorder.event(self.step, "reset", symbol, lost)
        for symbol in sorted(slots):  # the order of the hub's events
            slot = slots[symbol]
            if slot is not None and slot.roll is not None:
                self._roll(symbol, slot.roll)

    def enter(self, symbol: str, reason: str, facts: Facts, judged: str | None = None) -> Intent | None:
        """Ask for a long position; return the intent, or nothing if a rule forbids it, or `judged` says why not."""
        refused = self._refusal(symbol, judged)
        self.asked.append({"symbol": symbol, "ask": "buy", "reason": reason, "refused": refused})
        if refused is not None:
            return None
        facts = {**facts, "risk": self._rules.facts(self.account, self.step)}
        size = self.account.traded[symbol].size
        return self._order(symbol, "buy", self._contract(symbol, self._lead[symbol], self.step), size, reason, facts)

    def exit(self, symbol: str, reason: str, facts: Facts) -> Intent | None:
        """Ask to close a position; return the intent, or nothing if none is open or its exit is on its way."""
        position = self.account.positions.get(symbol)
        if not self.live or position is None or symbol in self.account.working:
            return None
        self.asked.append({"symbol": symbol, "ask": "exit", "reason": reason, "refused": None})
        return self._close(position, reason, facts)

    def _refusal(self, symbol: str, judged: str | None) -> str | None:
        if not self.live:
            return "warm-up"
        if symbol not in self.last:
            return "no price yet"
        if judged is not None:
            return judged
        return self._rules.refusal(self.account, symbol, self.step)

    def _see(self, bar: Bar) -> None:
        """Take a minute; an order on its contract fills at its open."""
        symbol = bar.symbol
        order = self.account.working.get(symbol)
        if order is not None and self._contract(symbol, bar.contract_symbol, bar.start) == order.contract:
            self._fill(symbol, bar.open, bar.start)
        self.last[symbol] = bar
        self._lead[symbol] = bar.contract_symbol

    def _roll(self, symbol: str, to: str) -> None:
        """Close what is open in the old contract at its last close; an order on its way was posted, it fills first."""
        self._recorder.event(self.step, "roll", symbol, {"to": to})
        last = self.last.pop(symbol, None)
        if last is not None:
            time = self.step - NS_PER_MINUTE
            if symbol in self.account.working:
                self._fill(symbol, last.close, time)
            position = self.account.positions.get(symbol)
            if position is not None:
                self.last[symbol] = last
                self._close(position, "roll", {"to": to})
                del self.last[symbol]
                self._fill(symbol, last.close, time)
        self._lead[symbol] = to

    def _close(self, position: Position, reason: str, facts: Facts) -> Intent:
        quantity = abs(position.quantity)
        if position.model is not None:
            facts = {**facts, "model": position.model}
        return self._order(
            position.symbol, "exit", position.contract, quantity, reason, facts, opened_by=position.entry
        )

    def _order(
        self,
        symbol: str,
        action: Action,
        contract: str,
        quantity: int,
        reason: str,
        facts: Facts,
        opened_by: str | None = None,
    ) -> Intent:
        day = to_datetime(self.step)
        intent = Intent(
            id=f"{self._name}-{day:%Y%m%dT%H%M}Z-{symbol}-{self._booked}",
            step=self.step,
            symbol=symbol,
            action=action,
            contract=contract,
            ticker=parse_contract(contract, day.date()).traderspost,
            quantity=quantity,
            price=self.last[symbol].close,
            reason=reason,
            facts=dict(facts),
            entry=opened_by,
        )
        self.account.order(intent)
        self._book(intent)
        self._on_intent(intent)
        return intent

    def _fill(self, symbol: str, price: float, time: int) -> None:
        self._book(self.account.fill(symbol, price, time))

    def _book(self, entry: Intent | Fill) -> None:
        self._recorder.entry(self.step, entry)
        self._booked += 1  # ids count everything booked in a step, as a ledger's do

    def _contract(self, symbol: str, raw: str, ts: int) -> str:
        """Return what is traded on a contract's bars: the same month of another size, if so configured."""
        return parse_contract(raw, to_datetime(ts).date()).with_root(self.account.traded[symbol].root).symbol
