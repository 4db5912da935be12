"""Contract specifications of CME Group products: ticks, values, delivery months, trading hours group."""

from decimal import Decimal
from typing import Final

from attrs import frozen

from pine.core.errors import ContractError

QUARTERLY: Final = "HMUZ"
MONTHLY: Final = "FGHJKMNQUVXZ"


@frozen
class InstrumentSpec:
    """What one price tick of a root is worth, and how it is listed.

    Attributes
    ----------
    tick_size
        Smallest price change of an outright, in price units.
    tick_value
        Dollars that one tick of one contract is worth.
    group
        Name of the trading hours in `pine.core.calendar`.
    months
        Delivery months in which the liquid contracts lie, as month codes.
    """

    root: str
    tick_size: Decimal
    tick_value: Decimal
    group: str
    months: str

    @property
    def point_value(self) -> float:
        """Dollars per whole price point of one contract."""
        return float(self.tick_value / self.tick_size)

    @property
    def tick_ns(self) -> int:
        """Tick size as an integer of 1e-9, the unit of raw prices."""
        return int(self.tick_size * 1_000_000_000)


def _table(*rows: tuple[str, str, str, str, str]) -> dict[str, InstrumentSpec]:
    return {r[0]: InstrumentSpec(r[0], Decimal(r[1]), Decimal(r[2]), r[3], r[4]) for r in rows}


# Source: CME Group contract specifications (outright minimum price fluctuation).
SPECS: Final = _table(
    ("ES", "0.25", "12.50", "equity", QUARTERLY),
    ("NQ", "0.25", "5.00", "equity", QUARTERLY),
    ("RTY", "0.10", "5.00", "equity", QUARTERLY),
    ("YM", "1", "5.00", "equity", QUARTERLY),
    ("GC", "0.10", "10.00", "metals", "GJMQVZ"),
    ("SI", "0.005", "25.00", "metals", "HKNUZ"),
    ("HG", "0.0005", "12.50", "metals", "HKNUZ"),
    ("PL", "0.10", "5.00", "metals", "FJNV"),
    ("CL", "0.01", "10.00", "energy", MONTHLY),
    ("NG", "0.001", "10.00", "energy", MONTHLY),
    ("6A", "0.00005", "5.00", "fx", QUARTERLY),
    ("6B", "0.0001", "6.25", "fx", QUARTERLY),
    ("6C", "0.00005", "5.00", "fx", QUARTERLY),
    ("6E", "0.00005", "6.25", "fx", QUARTERLY),
    ("6J", "0.0000005", "6.25", "fx", QUARTERLY),
    ("6M", "0.00001", "5.00", "fx", QUARTERLY),
    ("6N", "0.00005", "5.00", "fx", QUARTERLY),
    ("6S", "0.00005", "6.25", "fx", QUARTERLY),
    ("ZB", "0.03125", "31.25", "rates", QUARTERLY),
    ("ZC", "0.25", "12.50", "grains", "HKNUZ"),
    ("ZS", "0.25", "12.50", "grains", "FHKNQUX"),
    ("ZW", "0.25", "12.50", "grains", "HKNUZ"),
    ("MES", "0.25", "1.25", "equity", QUARTERLY),
    ("MNQ", "0.25", "0.50", "equity", QUARTERLY),
    ("M2K", "0.10", "0.50", "equity", QUARTERLY),
    ("MYM", "1", "0.50", "equity", QUARTERLY),
    ("MGC", "0.10", "1.00", "metals", "GJMQVZ"),
    ("SIL", "0.005", "5.00", "metals", "HKNUZ"),
    ("MHG", "0.0005", "1.25", "metals", "HKNUZ"),
    ("MCL", "0.01", "1.00", "energy", MONTHLY),
    ("M6A", "0.0001", "1.00", "fx", QUARTERLY),
    ("M6B", "0.0001", "0.625", "fx", QUARTERLY),
    ("M6E", "0.0001", "1.25", "fx", QUARTERLY),
)


MICROS: Final = {
    "MES": "ES",
    "MNQ": "NQ",
    "M2K": "RTY",
    "MYM": "YM",
    "MGC": "GC",
    "SIL": "SI",
    "MHG": "HG",
    "MCL": "CL",
    "M6A": "6A",
    "M6B": "6B",
    "M6E": "6E",
}
"""Smaller contracts on the same price, with the root that they follow."""


GENERATED_IDS: Final = 1 << 31
"""Instrument ids from here on are those of generated markets; the exchange's own fit 31 bits."""


def is_generated(instrument_id: int) -> bool:
    """Tell whether the trades or bars of an instrument were generated, not traded."""
    return instrument_id >= GENERATED_IDS


def same_price(root: str, other: str) -> bool:
    """Tell whether two roots are sizes of one product, so that signals of one can be traded in the other."""
    return MICROS.get(root, root) == MICROS.get(other, other)


def spec(root: str) -> InstrumentSpec:
    """Return the specification of a root.

    Raises
    ------
    ContractError
        If pine does not know the root.
    """
    try:
        return SPECS[root]
    except KeyError:
        raise ContractError(f"instrument {root!r}: not known; known are {', '.join(sorted(SPECS))}") from None
