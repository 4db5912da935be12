"""What a ledger holds: intents, fills, and what operators or couriers asked for."""

from typing import Any, Final, Literal, get_args

import cattrs
import orjson
from attrs import field, frozen
from cattrs.gen import make_dict_unstructure_fn, override

from pine.core.errors import DataError

Action = Literal["buy", "sell", "exit"]
Order = Literal["halt", "resume", "flatten"]
NO_REASON: Final = "no reason given"
"""What stands on record for one who says nothing."""

ORDERS: Final[tuple[Order, ...]] = get_args(Order)

OWN: Final = "step-"
"""How the request of a halt begins that follows from the strategy's own failure, and comes from nobody outside."""


@frozen
class WarmedUp:
    """What a strategy was fed before its first live step, as it stands in its stream ``warmup:…``.

    Attributes
    ----------
    daily, hourly, minute
        How many sessions the bars of each timeframe went back; they hold whenever it is warmed up again.
    first, last
        Ids of the stream's entries.
    bars
        How many there are.
    digest
        Of the bars in the order of the stream, see `pine.history.refill.digest`.
    """

    daily: int
    hourly: int
    minute: int
    first: str
    last: str
    bars: int
    digest: str


@frozen
class Origin:
    """First entry of every ledger: where the strategy's life began.

    Attributes
    ----------
    origin
        First clock entry, in ms, that its features were fed from; with `warm_up`, the one after which they were.
    live_after
        Clock entry, in ms, after which it could decide; 0 if there was none yet.
    warm_up
        The history that it was fed first; nothing if it was fed what the streams held.
    """

    origin: int
    live_after: int
    warm_up: WarmedUp | None = None


@frozen
class Intent:
    """What a strategy wants done, once.

    Attributes
    ----------
    id
        The same in every run over the same streams: strategy, step, symbol and number.
    step
        Ns of the step that decided it.
    symbol
        Root whose bars decided it.
    action
        ``buy`` opens a long, ``sell`` a short, ``exit`` closes whatever is open.
    contract
        The contract to trade, in the exchange's form, ``ESZ4``.
    ticker
        The same for TradersPost, ``ESZ2024``.
    price
        Last price when it was decided.
    reason
        Name of the rule.
    facts
        Values that led to it.
    entry
        For an exit, the id of the intent that opened the position.
    """

    id: str
    step: int
    symbol: str
    action: Action
    contract: str
    ticker: str
    quantity: int
    price: float
    reason: str
    facts: dict[str, Any] = field(factory=dict)
    entry: str | None = None

    @property
    def is_entry(self) -> bool:
        """Whether it opens a position."""
        return self.action != "exit"


@frozen
class Fill:
    """What the paper broker booked.

    Attributes
    ----------
    intent
        Id of the intent that it fills.
    side
        +1 bought, -1 sold.
    time
        Start in ns of the minute at whose open it filled.
    commission
        Dollars for this side.
    pnl
        Dollars realised, both commissions deducted; nothing for an entry.
    """

    intent: str
    symbol: str
    contract: str
    side: int
    quantity: int
    price: float
    time: int
    commission: float
    pnl: float | None = None


@frozen
class Void:
    """An entry that was never posted for good; the paper position it made is taken back."""

    intent: str
    reason: str
    request: str


@frozen
class Control:
    """A request of an operator, booked at the step after which it holds; the exits of a ``flatten`` follow it."""

    order: Order
    reason: str
    who: str
    request: str


@frozen
class Correction:
    """A position as the broker has it, said by an operator; the paper account takes it over.

    What was open on paper is taken back as if it had never been, and orders on their way in the symbol are forgotten.
    Only a position that is said to be closed at a price realises a profit or loss: from its own price to that.

    Attributes
    ----------
    quantity
        Contracts, negative when short, 0 when there is no position.
    contract
        In the exchange's form, ``ESZ4``; empty where there is no position.
    price
        What the position cost on average, in points; of none, where it was closed, if it is to be realised.
    time
        Ns of the step after which it holds; the desk puts it in when it books.
    pnl
        Dollars realised, the entry's commission deducted; put in by the desk too.
    force
        Whether orders on their way are given up; without it there were none.
    """

    symbol: str
    contract: str
    quantity: int
    price: float | None
    reason: str
    who: str
    request: str
    time: int = 0
    pnl: float = 0.0
    force: bool = False


Asked = Void | Control | Correction
"""What reaches a ledger from outside: from a courier, or from a person."""

Entry = Origin | Intent | Fill | Asked

_KINDS: Final[dict[str, type[Any]]] = {
    "origin": Origin,
    "intent": Intent,
    "fill": Fill,
    "void": Void,
    "control": Control,
    "correction": Correction,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_CONVERTER: Final = cattrs.Converter(forbid_extra_keys=True)
_CONVERTER.register_unstructure_hook(
    Origin, make_dict_unstructure_fn(Origin, _CONVERTER, warm_up=override(omit_if_default=True))
)


def encode(entry: Entry) -> bytes:
    """Return an entry as JSON, its kind first."""
    return orjson.dumps({"kind": _NAMES[type(entry)], **_CONVERTER.unstructure(entry)})


def decode(payload: bytes) -> Entry:
    """Read an entry back; the counterpart of `encode`.

    Raises
    ------
    DataError
        If the payload is none.
    """
    try:
        raw = orjson.loads(payload)
        kind = raw.pop("kind")
        return _CONVERTER.structure(raw, _KINDS[kind])  # type: ignore[no-any-return]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, cattrs.BaseValidationError) as error:
        raise DataError(f"ledger entry: found {payload[:120]!r}, which cannot be read: {error}") from None
