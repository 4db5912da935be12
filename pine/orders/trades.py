"""Finished trades of a ledger: each exit with the entry that it closed."""

from collections.abc import Iterable

from attrs import define, field, frozen

from pine.orders.entries import Correction, Entry, Fill, Intent, Void


@frozen
class Trade:
    """One position from its beginning to its end.

    Attributes
    ----------
    side
        +1 long, -1 short.
    entered, left
        Ns of the fills, or of the step at which an operator said so.
    entry, exit
        Ids of the intents, or of the corrections in their place.
    commission
        Dollars of both sides.
    pnl
        Dollars, commissions deducted.
    entry_reason, exit_reason
        Names of the rules; ``correction`` where an operator said so.
    """

    symbol: str
    contract: str
    side: int
    quantity: int
    entered: int
    entry_price: float
    left: int
    exit_price: float
    commission: float
    pnl: float
    entry: str
    exit: str
    entry_reason: str
    exit_reason: str


@frozen
class Holding:
    """A position that is open: since when (ns), at which price, by which intent and rule."""

    contract: str
    side: int
    quantity: int
    time: int
    price: float
    commission: float
    entry: str
    reason: str


@define
class Blotter:
    """Folds a ledger into trades; a trade whose entry is voided later is taken back.

    Attributes
    ----------
    trades
        In order of their ends.
    open
        What is not closed yet, by symbol.
    """

    trades: list[Trade] = field(factory=list)
    open: dict[str, Holding] = field(factory=dict)
    _reasons: dict[str, str] = field(factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Blotter":
        """Return the blotter of a ledger, given in order."""
        blotter = cls()
        for entry in entries:
            blotter.apply(entry)
        return blotter

    def apply(self, entry: Entry) -> None:
        """Fold one entry."""
        if isinstance(entry, Intent):
            self._reasons[entry.id] = entry.reason
        elif isinstance(entry, Fill):
            self._fill(entry)
        elif isinstance(entry, Correction):
            self._correct(entry)
        elif isinstance(entry, Void):
            self.open = {symbol: one for symbol, one in self.open.items() if one.entry != entry.intent}
            self.trades = [trade for trade in self.trades if trade.entry != entry.intent]

    def _fill(self, fill: Fill) -> None:
        reason = self._reasons.get(fill.intent, "")
        if fill.pnl is None:
            self.open[fill.symbol] = Holding(
                fill.contract, fill.side, fill.quantity, fill.time, fill.price, fill.commission, fill.intent, reason
            )
            return
        opened = self.open.pop(fill.symbol, None)
        if opened is not None:
            costs = fill.commission + opened.commission
            self._close(fill.symbol, opened, fill.time, fill.price, costs, fill.pnl, fill.intent, reason)

    def _correct(self, correction: Correction) -> None:
        name = f"correction-{correction.request}"
        opened = self.open.pop(correction.symbol, None)
        if opened is not None and not correction.quantity and correction.price is not None:
            costs, at = opened.commission, (correction.time, correction.price)
            self._close(correction.symbol, opened, *at, costs, correction.pnl, name, "correction")
        if correction.quantity and correction.price is not None:
            self.open[correction.symbol] = Holding(
                correction.contract,
                1 if correction.quantity > 0 else -1,
                abs(correction.quantity),
                correction.time,
                correction.price,
                0.0,
                name,
                "correction",
            )

    def _close(
        self, symbol: str, opened: Holding, time: int, price: float, commission: float, pnl: float, by: str, reason: str
    ) -> None:
        self.trades.append(
            Trade(
                symbol,
                opened.contract,
                opened.side,
                opened.quantity,
                opened.time,
                opened.price,
                time,
                price,
                commission,
                pnl,
                opened.entry,
                by,
                opened.reason,
                reason,
            )
        )
