"""The bar: what the hub publishes, strategies see and history keeps."""

import math
from datetime import datetime
from typing import Any, Final

import orjson
from attrs import frozen

from pine.core.errors import DataError
from pine.core.timeframe import Timeframe
from pine.core.times import from_datetime, isoformat, to_datetime

SCHEMA_VERSION: Final = 1
PRICE_SCALE: Final = 1_000_000_000

_PRICES: Final = ("open", "high", "low", "close")
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "symbol": (str,),
    "timestamp": (str,),
    **dict.fromkeys(_PRICES, (float, int)),
    "volume": (int,),
    "instrument_id": (int,),
    "contract_symbol": (str,),
    "timeframe": (str,),
    "version": (int,),
}


@frozen(slots=True)
class Bar:
    """Open, high, low, close and volume of one contract over one period.

    Attributes
    ----------
    symbol
        Root, ``ES``.
    timeframe
        Length of the period.
    start
        Start of the period, ns since 1970, UTC.
    open, high, low, close
        Prices in points.
    volume
        Contracts traded.
    instrument_id
        The exchange's number of the contract on that day.
    contract_symbol
        The contract whose trades made the bar, as the exchange writes it, ``ESZ4``.
    """

    symbol: str
    timeframe: Timeframe
    start: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    instrument_id: int
    contract_symbol: str

    def __str__(self) -> str:
        """Return what a message to a person says; every price is whole."""
        prices = ", ".join(f"{name}={getattr(self, name)!r}" for name in _PRICES)
        where = f"{self.symbol} {self.timeframe.value} {self.timestamp.isoformat()}"
        return f"Bar({where}, {prices}, volume={self.volume}, {self.contract_symbol}, {self.instrument_id})"

    @property
    def timestamp(self) -> datetime:
        """Start of the period as an aware UTC datetime."""
        return to_datetime(self.start)

    def to_json(self) -> bytes:
        """Return the bar as published on its stream; every price comes back bit for bit."""
        return orjson.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the published fields, the timestamp as ISO 8601 text."""
        return {
            "symbol": self.symbol,
            "timestamp": isoformat(self.start),
            "open": self.open,
            "high": self.high,
            "low": self.low,
            "close": self.close,
            "volume": self.volume,
            "instrument_id": self.instrument_id,
            "contract_symbol": self.contract_symbol,
            "timeframe": self.timeframe.value,
            "version": SCHEMA_VERSION,
        }

    @classmethod
    def from_json(cls, payload: bytes) -> "Bar":
        """Read a published bar.

        Raises
        ------
        DataError
            If the payload is no bar of this schema version, or contradicts itself.
        """
        try:
            raw = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise DataError(f"bar: found {payload[:80]!r}, expected JSON ({error})") from None
        return cls.from_dict(raw)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Bar":
        """Build a bar from its published fields; the counterpart of `to_dict`."""
        if not isinstance(raw, dict) or not raw.keys() >= _KINDS.keys():
            raise DataError(f"bar: found {raw!r}, expected an object with {', '.join(_KINDS)}")
        if raw["version"] != SCHEMA_VERSION:
            raise DataError(f"bar: found schema version {raw['version']!r}, expected {SCHEMA_VERSION}")
        for name, kinds in _KINDS.items():
            if not isinstance(raw[name], kinds) or isinstance(raw[name], bool):
                raise DataError(f"bar: {name}: found {raw[name]!r}, expected {' or '.join(k.__name__ for k in kinds)}")
        try:
            bar = cls(
                symbol=raw["symbol"],
                timeframe=Timeframe(raw["timeframe"]),
                start=from_datetime(datetime.fromisoformat(raw["timestamp"])),
                open=float(raw["open"]),
                high=float(raw["high"]),
                low=float(raw["low"]),
                close=float(raw["close"]),
                volume=raw["volume"],
                instrument_id=raw["instrument_id"],
                contract_symbol=raw["contract_symbol"],
            )
        except (OverflowError, ValueError) as error:
            raise DataError(f"bar: found {raw!r}, which cannot be read: {error}") from None
        bar.check()
        return bar

    def check(self) -> None:
        """Raise `DataError` unless the prices are finite, in order, and the volume is not negative."""
        prices = (self.open, self.high, self.low, self.close)
        if not all(map(math.isfinite, prices)):
            raise DataError(
                f"bar {self.symbol} {self.timeframe.value} {self.timestamp}: a price is not finite: {prices}"
            )
        if self.high < max(prices) or self.low > min(prices) or self.volume < 0:
            raise DataError(
                f"bar {self.symbol} {self.timeframe.value} {self.timestamp}: found open, high, low, close {prices} "
                f"and volume {self.volume}, expected low <= open, close <= high and volume >= 0"
            )


def price(raw: int) -> float:
    """Return the nearest float of a raw price, an integer of 1e-9."""
    return raw / PRICE_SCALE


def fold(bars: "list[Bar]", timeframe: Timeframe, start: int) -> Bar:
    """Return the bar of a longer period from the bars inside it, given in order of time.

    The first opens, the last closes and names contract and instrument; volumes add up.
    """
    first, last = bars[0], bars[-1]
    return Bar(
        symbol=first.symbol,
        timeframe=timeframe,
        start=start,
        open=first.open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=last.close,
        volume=sum(bar.volume for bar in bars),
        instrument_id=last.instrument_id,
        contract_symbol=last.contract_symbol,
    )
