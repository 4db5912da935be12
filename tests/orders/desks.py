"""A desk with instruments, and a market that walks it through minutes."""

from datetime import UTC, datetime

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import Timeframe
from pine.orders.desk import Desk
from pine.orders.entries import Entry, Fill
from pine.orders.portfolio import Portfolio
from pine.strategies.risk import RiskRules

MINUTE = 60 * 10**9
SESSION = SessionRule(SessionClose(23), "equity")
CASH = 100_000.0


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


START = ns("2024-03-12T15:00")

ES = TradedInstrument("ES", "ES", 2, 1.25, 50.0, None)
NQ = TradedInstrument("NQ", "NQ", 1, 1.25, 20.0, None)
MES = TradedInstrument("ES", "MES", 2, 0.5, 5.0, None)


def make_desk(
    *traded: TradedInstrument, live: bool = True, max_positions: int = 5, stop: float = 1e9, name: str = "s"
) -> Desk:
    by_symbol = {t.symbol: t for t in traded or (ES, NQ)}
    desk = Desk(name, Portfolio(CASH, SESSION), by_symbol, RiskRules(max_positions, stop))
    desk.live = live
    return desk


class Market:
    """Walks a desk through minutes, in the engine's order: minutes first, then rolls, then what the strategy asks."""

    def __init__(self, desk: Desk, start: int = START) -> None:
        self.desk = desk
        self.now = start
        self.written: list[Entry] = []

    def minute(self, *bars: tuple[str, float, float], roll: tuple[str, str] | None = None) -> list[Entry]:
        """One step with bars of (contract, open, close); return what was written at it before the strategy's turn."""
        begun = self.now
        self.now += MINUTE
        self.desk.begin(self.now)
        for contract, opened, closed in bars:
            self.desk.see(bar(contract, begun, opened, closed))
        if roll is not None:
            self.desk.roll(*roll)
        return self.desk.entries


def bar(contract: str, start: int, opened: float, closed: float) -> Bar:
    high, low = max(opened, closed), min(opened, closed)
    return Bar(contract[:-2], Timeframe.MINUTE, start, opened, high, low, closed, 1, 1, contract)


def fills(entries: list[Entry]) -> list[Fill]:
    return [entry for entry in entries if isinstance(entry, Fill)]
