"""What `pine.bench.peer` runs in a Python that has nautilus-trader; it imports nothing of pine.

``python nautilus_script.py minutes.json`` prints one line of JSON: version, processor seconds, orders.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import nautilus_trader
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

WEAK, STRONG = 0.2, 0.8


class Ibs(Strategy):  # type: ignore[misc]
    """Buys weak hours and sells strong ones; hours are made by the engine."""

    def __init__(self, instrument: Any, minutes: str, hours: str) -> None:
        super().__init__()
        self.instrument, self.minutes, self.hours = instrument, BarType.from_str(minutes), BarType.from_str(hours)
        self.orders, self.long = 0, False

    def on_start(self) -> None:
        """Ask for minutes, and for hours of them."""
        self.subscribe_bars(self.minutes)
        self.subscribe_bars(self.hours)

    def on_bar(self, bar: Any) -> None:
        """Judge an hour; minutes pass."""
        if bar.bar_type != self.hours.standard():
            return
        high, low, close = float(bar.high), float(bar.low), float(bar.close)
        strength = (close - low) / (high - low) if high > low else 0.5
        if self.long != (strength <= WEAK) and (strength >= STRONG or strength <= WEAK):
            self.long = strength <= WEAK
            self.orders += 1
            side = OrderSide.BUY if self.long else OrderSide.SELL
            self.submit_order(self.order_factory.market(self.instrument.id, side, Quantity.from_int(1)))


def main(path: Path) -> None:
    """Run it over minutes in memory."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    venue = Venue("GLBX")
    engine.add_venue(
        venue, OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000_000, USD)], default_leverage=Decimal(1)
    )
    instrument = TestInstrumentProvider.es_future(2024, 3, venue)
    engine.add_instrument(instrument)
    kind = f"{instrument.id}-1-MINUTE-LAST-EXTERNAL"
    minutes = BarType.from_str(kind)
    bars = [
        Bar(minutes, *(Price(value, 2) for value in prices), Quantity.from_int(volume), ts, ts)
        for ts, *prices, volume in json.loads(path.read_text())
    ]
    engine.add_data(bars)
    strategy = Ibs(instrument, kind, f"{instrument.id}-1-HOUR-LAST-INTERNAL@1-MINUTE-EXTERNAL")
    engine.add_strategy(strategy)
    began = time.process_time()
    engine.run()
    spent = time.process_time() - began
    sys.stdout.write(json.dumps({"version": nautilus_trader.__version__, "seconds": spent, "orders": strategy.orders}))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
