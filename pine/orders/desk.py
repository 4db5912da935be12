"""Where a strategy's wishes become ledger entries, and minutes become paper fills. Pure."""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define, evolve, field

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.contract import parse_contract
from pine.core.errors import PineError, UnknownSymbol
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import to_datetime
from pine.orders.entries import Action, Asked, Control, Correction, Entry, Fill, Intent
from pine.orders.portfolio import Portfolio
from pine.strategies.account import Position


class Gate(Protocol):
    """The risk rules, as the desk asks them."""

    def refusal(self, portfolio: Portfolio, symbol: str, step: int) -> str | None:
        """Return why a symbol must not be entered at a step, or nothing if it may."""
        ...

    def facts(self, portfolio: Portfolio, step: int) -> dict[str, Any]:
        """Return how far the limits are used."""
        ...


@define
class Desk:
    """Takes orders at one step after another and keeps the account.

    Parameters
    ----------
    strategy
        Name that goes into the ids of intents.
    portfolio
        The account; every entry made here is folded into it at once.
    traded
        What each symbol's signals trade.
    gate
        The risk rules.

    Attributes
    ----------
    entries
        Ledger entries made at the present step so far.
    decisions
        What was asked at the present step and what the gate said.
    slippage
        Points by which every fill of a symbol is worse than its price; none but in a backtest that asks for it.
    """

    strategy: str
    portfolio: Portfolio
    traded: Mapping[str, TradedInstrument]
    gate: Gate
    entries: list[Entry] = field(factory=list)
    decisions: list[dict[str, Any]] = field(factory=list)
    live: bool = False
    slippage: Mapping[str, float] = field(factory=dict)
    _step: int = 0
    _last: dict[str, Bar] = field(factory=dict)
    _lead: dict[str, str] = field(factory=dict)

    def begin(self, step: int) -> None:
        """Start a step."""
        self._step = step
        self.entries = []
        self.decisions = []

    def restore(self, entry: Entry) -> None:
        """Fold an entry that the ledger already holds."""
        self.portfolio.apply(entry)

    def instrument(self, symbol: str, *, read: bool) -> TradedInstrument:
        """Return what a symbol's signals trade; `read` tells whether the strategy reads its bars.

        Raises
        ------
        UnknownSymbol
            If it is not traded.
        """
        if symbol not in self.traded:
            what = "a reference, which is read and not traded" if read else "nothing that it reads or trades"
            raise UnknownSymbol(f"{symbol} is {what}; {self.strategy} trades {', '.join(self.traded)}")
        return self.traded[symbol]

    def see(self, bar: Bar) -> None:
        """Take a minute: orders on its contract fill at its open."""
        if self.live and self.portfolio.orders:
            for order in self.portfolio.pending(bar.symbol):
                if self._signal_contract(order.symbol, bar) == order.contract:
                    self._fill(order, bar.open, bar.start)
        self._last[bar.symbol] = bar
        self._lead[bar.symbol] = bar.contract_symbol

    def recall(self, last: Mapping[str, Bar], leads: Mapping[str, str]) -> None:
        """Put the newest minute and the lead contract of each symbol in place of what was seen."""
        self._last = dict(last)
        self._lead = dict(leads)

    def roll(self, symbol: str, to: str) -> None:
        """Close what is open in the old contract at its last close, before any rule of the strategy.

        An order still on its way in the old contract was posted already: it fills at that close first.
        """
        last = self._last.get(symbol)
        if self.live and last is not None:
            for order in self.portfolio.pending(symbol):
                self._fill(order, last.close, self._step - NS_PER_MINUTE)
            if symbol in self.portfolio.positions:
                intent = self._book_exit(self.portfolio.positions[symbol], "roll", last.close, {"to": to})
                self._fill(intent, last.close, self._step - NS_PER_MINUTE)
        self._lead[symbol] = to
        self._last.pop(symbol, None)  # the next price is another contract's

    def enter(
        self, symbol: str, reason: str, facts: Mapping[str, Any], *, short: bool = False, refused: str | None = None
    ) -> Intent | None:
        """Ask for a position; return the intent, or nothing if a rule forbids it, or `refused` says why it must not."""
        refusal = self._refusal(symbol, refused)
        self.decisions.append(
            {"symbol": symbol, "ask": "sell" if short else "buy", "reason": reason, "refused": refusal}
        )
        if refusal is not None:
            return None
        instrument = self.traded[symbol]
        facts = {**facts, "risk": self.gate.facts(self.portfolio, self._step)}
        return self._book(symbol, "sell" if short else "buy", instrument.size, reason, self._last[symbol].close, facts)

    def exit(self, symbol: str, reason: str, facts: Mapping[str, Any]) -> Intent | None:
        """Ask to close a symbol's position; return the intent, or nothing if none is open or an exit is on its way."""
        position = self.portfolio.positions.get(symbol)
        if not self.live or position is None or self.portfolio.pending(symbol):
            return None
        self.decisions.append({"symbol": symbol, "ask": "exit", "reason": reason, "refused": None})
        return self._book_exit(position, reason, self._price(symbol, position.price), facts)

    def book(self, asked: Asked) -> list[Entry]:
        """Do between two steps what a courier or an operator asks; return the ledger entries, the request first."""
        if isinstance(asked, Control) and asked.order == "flatten":
            return self.flatten(asked)
        if isinstance(asked, Correction):
            asked = evolve(asked, time=self._step, pnl=self._closed_at(asked))
        self.restore(asked)
        return [asked]

    def _closed_at(self, correction: Correction) -> float:
        """Return what a position brought that an operator says was closed at a price, commissions deducted."""
        position = self.portfolio.positions.get(correction.symbol)
        if position is None or correction.quantity or correction.price is None:
            return 0.0
        gain = (correction.price - position.price) * position.quantity
        return gain * self.traded[correction.symbol].point_value - position.commission

    def flatten(self, control: Control) -> list[Entry]:
        """Close every position between two steps, for an operator; return the ledger entries, the request first.

        An entry on its way was posted already: it fills at the last close first. The exits' ids hold the request's,
        so that they are the same wherever the ledger is folded again.
        """
        self.entries = []
        self._add(control)
        for symbol in sorted(self.portfolio.busy()):
            orders = self.portfolio.pending(symbol)
            if any(not order.is_entry for order in orders):
                continue
            for order in orders:
                self._fill(order, self._price(symbol, order.price), self._step - NS_PER_MINUTE)
            position = self.portfolio.positions[symbol]
            facts = {"who": control.who, "why": control.reason}
            name = f"flatten-{control.request}"
            self._book_exit(position, "flatten", self._price(symbol, position.price), facts, name)
        return self.entries

    def leading(self, symbol: str) -> str | None:
        """Return the contract that a symbol's signals trade now; nothing before its first minute."""
        if symbol not in self._lead:
            return None
        day = to_datetime(self._step).date()
        return parse_contract(self._lead[symbol], day).with_root(self.traded[symbol].root).symbol

    def value(self) -> float:
        """Return cash plus open profit at the last closes, in dollars."""
        total = self.portfolio.cash
        for symbol, position in self.portfolio.positions.items():
            if symbol in self._last:
                gain = self._last[symbol].close - position.price
                total += gain * position.quantity * self.traded[symbol].point_value
        return total

    def _refusal(self, symbol: str, judged: str | None) -> str | None:
        if not self.live:
            return "warm-up"
        if symbol not in self._last:
            return "no price yet"
        if self.portfolio.halted is not None:
            return f"halted: {self.portfolio.halted}"
        if judged is not None:
            return judged
        return self.gate.refusal(self.portfolio, symbol, self._step)

    def _price(self, symbol: str, otherwise: float) -> float:
        last = self._last.get(symbol)
        return otherwise if last is None else last.close

    def _book_exit(
        self, position: Position, reason: str, price: float, facts: Mapping[str, Any], name: str | None = None
    ) -> Intent:
        if position.model is not None:
            facts = {**facts, "model": position.model}
        return self._book(
            position.symbol,
            "exit",
            abs(position.quantity),
            reason,
            price,
            facts,
            position.contract,
            position.entry,
            name,
        )

    def _book(
        self,
        symbol: str,
        action: Action,
        quantity: int,
        reason: str,
        price: float,
        facts: Mapping[str, Any],
        contract: str | None = None,
        entry: str | None = None,
        name: str | None = None,
    ) -> Intent:
        day = to_datetime(self._step)
        raw = contract or parse_contract(self._lead[symbol], day.date()).with_root(self.traded[symbol].root).symbol
        intent = Intent(
            id=f"{self.strategy}-{day:%Y%m%dT%H%M}Z-{symbol}-{name or len(self.entries)}",
            step=self._step,
            symbol=symbol,
            action=action,
            contract=raw,
            ticker=parse_contract(raw, day.date()).traderspost,
            quantity=quantity,
            price=price,
            reason=reason,
            facts=dict(facts),
            entry=entry,
        )
        self._add(intent)
        return intent

    def _signal_contract(self, symbol: str, bar: Bar) -> str:
        day = to_datetime(bar.start).date()
        return parse_contract(bar.contract_symbol, day).with_root(self.traded[symbol].root).symbol

    def _fill(self, order: Intent, price: float, time: int) -> None:
        instrument = self.traded[order.symbol]
        commission = instrument.commission * order.quantity
        position = self.portfolio.positions.get(order.symbol)
        side = {"buy": 1, "sell": -1, "exit": 0}[order.action]
        pnl = None
        if order.action == "exit":
            if position is None:
                raise PineError(f"{order.id}: an exit without a position cannot fill")
            side = -1 if position.quantity > 0 else 1
        if order.symbol in self.slippage:
            price += side * self.slippage[order.symbol]
        if position is not None and order.action == "exit":
            gross = (price - position.price) * position.quantity * instrument.point_value
            pnl = gross - commission - position.commission
        self._add(Fill(order.id, order.symbol, order.contract, side, order.quantity, price, time, commission, pnl))

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.portfolio.apply(entry)


def refusal_kind(refused: str) -> str:
    """Return what kept an entry, without the case's own numbers: ``model``, ``filter ibs``, ``model: missing``."""
    kind, _, rest = refused.partition(": ")
    return kind if any(character.isdigit() for character in rest) else refused
