"""What operators and couriers ask of a worker, as it travels in ``control:…``: written and read here only."""

from typing import Final

import orjson

from pine.core.config.secret import masked
from pine.core.log import get_logger
from pine.orders.entries import ORDERS, Asked, Control, Correction, Order, Void

VOID: Final = "void"
POSITION: Final = "position"
MOST_CONTRACTS: Final = 10_000
HIGHEST_PRICE: Final = 1e9
"""Beyond these somebody has mistyped, or a sum could not be written down any more."""

log = get_logger(__name__)


def ask_void(intent: str, reason: str) -> dict[str, bytes]:
    """Return the fields that ask for an entry that was never posted to be taken back."""
    return _fields({"order": VOID, "intent": intent, "reason": reason})


def ask_order(order: Order, who: str, reason: str) -> dict[str, bytes]:
    """Return the fields of an operator's order."""
    return _fields({"order": order, "who": who, "reason": reason})


def ask_position(
    symbol: str, contract: str, quantity: int, price: float | None, who: str, reason: str, *, force: bool = False
) -> dict[str, bytes]:
    """Return the fields that ask for a position to be taken over as the broker has it, see `Correction`.

    With `force` orders that are on their way in the symbol are given up; without, they are a reason to refuse.
    """
    told = {"symbol": symbol, "contract": contract, "quantity": str(quantity), "force": "yes" if force else ""}
    return _fields(
        {"order": POSITION, **told, "price": "" if price is None else repr(price), "who": who, "reason": reason}
    )


def read_request(identifier: str, fields: dict[bytes, bytes]) -> Asked | None:
    """Return what a request means for the ledger; one that cannot be read is logged and left out."""
    try:
        raw = orjson.loads(fields[b"request"])
        if isinstance(raw, dict) and all(isinstance(value, str) for value in raw.values()):
            return _understood(identifier, raw)
    except (KeyError, ValueError):  # orjson's own error is a kind of ValueError
        pass
    log.error("control request not understood", request=identifier)
    return None


def _understood(identifier: str, raw: dict[str, str]) -> Asked:
    """Return what was asked; raises KeyError or ValueError if it is nothing that is known."""
    if raw["order"] == VOID:
        return Void(intent=raw["intent"], reason=raw["reason"], request=identifier)
    if raw["order"] == POSITION:
        quantity, price = int(raw["quantity"]), float(raw["price"]) if raw["price"] else None
        if (quantity and price is None) or not abs(price or 0.0) < HIGHEST_PRICE or abs(quantity) > MOST_CONTRACTS:
            raise ValueError(f"found {quantity} at {raw['price']!r}, expected a position and what it cost")
        return Correction(
            symbol=raw["symbol"],
            contract=raw["contract"],
            quantity=quantity,
            price=price,
            force=bool(raw.get("force")),
            reason=raw["reason"],
            who=raw["who"],
            request=identifier,
        )
    order = ORDERS[ORDERS.index(raw["order"])]  # raises ValueError for any other
    return Control(order=order, reason=raw["reason"], who=raw["who"], request=identifier)


def _fields(raw: dict[str, str]) -> dict[str, bytes]:
    """Return what goes on the stream, without secrets: one pasted into a reason would stand in the ledger for good."""
    said = {name: masked(raw[name]) for name in ("who", "reason") if name in raw}
    return {"request": orjson.dumps({**raw, **said})}
