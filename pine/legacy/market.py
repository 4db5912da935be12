"""What reaches the reference system from outside, and what it makes of it at each minute boundary."""

from collections.abc import Mapping
from typing import NamedTuple

from attrs import field, frozen

from pine.core.bar import Bar
from pine.core.contract import Contract


class Trade(NamedTuple):
    """One trade; price in 1e-9, times in ns."""

    instrument_id: int
    price: int
    size: int
    action: str
    flags: int
    ts_event: int
    ts_recv: int


class Naming(NamedTuple):
    """What an instrument id stands for from now on."""

    instrument_id: int
    raw_symbol: str


class Beat(NamedTuple):
    """The gateway's word that event time has come to `ts` (ns)."""

    ts: int


Record = Trade | Naming | Beat


@frozen
class Outright:
    """One expiry of a traded root, under the number that the exchange gives it now."""

    instrument_id: int
    raw_symbol: str
    contract: Contract


@frozen
class Boundary:
    """What becomes known at one minute boundary.

    Attributes
    ----------
    ts
        End of the minute, ns.
    minutes
        Its bars, by root; a root without one was quiet.
    rolls
        Roots whose lead changes here, with the exchange's symbol of the new one.
    resets
        Roots of which minutes were lost, with the first and the last of them.
    """

    ts: int
    minutes: Mapping[str, Bar] = field(factory=dict)
    rolls: Mapping[str, str] = field(factory=dict)
    resets: Mapping[str, tuple[int, int]] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.minutes or self.rolls or self.resets)
