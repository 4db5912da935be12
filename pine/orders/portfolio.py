"""A strategy's paper account: the fold of its ledger, and nothing else."""

from collections import Counter

from attrs import define, field

from pine.core.period import SessionRule, session
from pine.orders.entries import Control, Correction, Entry, Fill, Intent, Origin, Void
from pine.strategies.account import Position


@define
class Portfolio:
    """Cash, positions, orders on their way and realised profit.

    Parameters
    ----------
    cash
        Dollars at the start.
    desk_session
        Sessions by which the day's profit and loss is counted.
    """

    cash: float
    desk_session: SessionRule
    positions: dict[str, Position] = field(factory=dict)
    orders: dict[str, Intent] = field(factory=dict)
    halted: str | None = None
    realised: float = 0.0
    trades: int = 0
    reasons: Counter[str] = field(factory=Counter)
    _start: float = field(init=False, default=0.0, eq=False)
    _closed: dict[str, tuple[float, int]] = field(factory=dict)
    _day: int = 0
    _day_pnl: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._start = self.cash

    def clear(self) -> None:
        """Forget every entry: the account is as at the beginning of the ledger."""
        self.__init__(self._start, self.desk_session)  # type: ignore[misc]

    def apply(self, entry: Entry) -> None:
        """Fold one ledger entry."""
        if isinstance(entry, Intent):
            self.orders[entry.id] = entry
            self.reasons[entry.reason] += 1
        elif isinstance(entry, Fill):
            self._fill(entry)
        elif isinstance(entry, Void):
            self._void(entry)
        elif isinstance(entry, Control):
            if entry.order != "flatten":
                self.halted = entry.reason if entry.order == "halt" else None
        elif isinstance(entry, Correction):
            self._correct(entry)
        else:
            assert isinstance(entry, Origin)

    def day_pnl(self, ts: int) -> float:
        """Return the dollars realised in the session that holds an instant, in ns."""
        return self._day_pnl if self._day == self._session_of(ts) else 0.0

    def busy(self) -> set[str]:
        """Return the symbols with a position open or an order on its way."""
        return self.positions.keys() | {order.symbol for order in self.orders.values()}

    def pending(self, symbol: str) -> list[Intent]:
        """Return a symbol's intents that are not filled yet, in order."""
        return [order for order in self.orders.values() if order.symbol == symbol]

    def _session_of(self, ts: int) -> int:
        return session(ts, self.desk_session).start

    def _fill(self, fill: Fill) -> None:
        intent = self.orders.pop(fill.intent)
        self.cash -= fill.commission
        if intent.is_entry:
            self.positions[fill.symbol] = Position(
                fill.symbol,
                fill.contract,
                fill.side * fill.quantity,
                fill.price,
                fill.time,
                intent.id,
                fill.commission,
                intent.facts.get("model"),
            )
            return
        position = self.positions.pop(fill.symbol)
        pnl = fill.pnl or 0.0
        self.cash += pnl + fill.commission + position.commission
        self._realise(pnl, fill.time, position)

    def _realise(self, pnl: float, time: int, position: Position) -> None:
        self.realised += pnl
        self.trades += 1
        day = self._session_of(time)
        if day != self._day:
            self._day, self._day_pnl = day, 0.0
        self._day_pnl += pnl
        self._closed[position.entry] = (pnl, day)

    def _correct(self, correction: Correction) -> None:
        """Take a position over as the broker has it: the paper one is taken back, or was closed at a price."""
        symbol = correction.symbol
        for order in self.pending(symbol):
            del self.orders[order.id]
        before = self.positions.pop(symbol, None)
        if before is not None:
            self.cash += before.commission
            if correction.quantity == 0 and correction.price is not None:
                self.cash += correction.pnl
                self._realise(correction.pnl, correction.time, before)
        if correction.quantity and correction.price is not None:
            self.positions[symbol] = Position(
                symbol,
                correction.contract,
                correction.quantity,
                correction.price,
                correction.time,
                f"correction-{correction.request}",
            )

    def _void(self, void: Void) -> None:
        """Take an entry back: its order, the position it opened and what that cost, or the trade that it became."""
        self.orders.pop(void.intent, None)
        for symbol, position in list(self.positions.items()):
            if position.entry == void.intent:
                self.cash += position.commission
                del self.positions[symbol]
                for order in self.pending(symbol):
                    del self.orders[order.id]
        if void.intent in self._closed:
            pnl, day = self._closed.pop(void.intent)
            self.cash -= pnl
            self.realised -= pnl
            self.trades -= 1
            if day == self._day:
                self._day_pnl -= pnl
