"""What TradersPost accepts as a webhook's body, by its documentation."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

from pine.core.errors import DataError

ACTIONS: Final = ("buy", "sell", "exit", "cancel", "add")
ORDER_TYPES: Final = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE: Final = ("day", "gtc", "gtd", "opg", "cls", "ioc", "fok")


def read_payload(body: bytes) -> dict[str, object]:
    """Read and check a trade signal.

    Parameters
    ----------
    body
        The request's body.

    Returns
    -------
    dict
        The signal as sent.

    Raises
    ------
    DataError
        With the sentence that the sender gets to read.
    """
    try:
        payload = strict_json(body)
    except ValueError as error:
        raise DataError(f"Invalid payload. Body is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise DataError("Invalid payload. Body must be a JSON object.")
    if "ticker" not in payload or "action" not in payload:
        raise DataError("Invalid payload. action and ticker is required.")
    for name, check in _CHECKS.items():
        if name in payload:
            check(payload[name])
    return payload


def strict_json(body: bytes) -> object:
    """Parse JSON whose every number can be written as JSON again.

    Raises
    ------
    ValueError
        If the body is none.
    """
    try:
        value: object = json.loads(body)
        json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _ticker(value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise DataError("Empty ticker name provided.")


def _one_of(name: str, allowed: tuple[str, ...]) -> Callable[[object], None]:
    def check(value: object) -> None:
        if value not in allowed:
            raise DataError(f"Invalid {name} provided. {name} must be one of: {', '.join(allowed)}.")

    return check


def _number(value: object) -> float | None:
    """Return a number, also one written as text, as charting platforms send them."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _quantity(value: object) -> None:
    number = _number(value)
    if number is None or number <= 0:
        raise DataError("Invalid quantity. It must be a positive number.")


def _price(value: object) -> None:
    if _number(value) is None:
        raise DataError("Invalid price. It must be a number.")


_CHECKS: Final[Mapping[str, Callable[[object], None]]] = {
    "ticker": _ticker,
    "action": _one_of("action", ACTIONS),
    "quantity": _quantity,
    "timeInForce": _one_of("timeInForce", TIMES_IN_FORCE),
    "orderType": _one_of("orderType", ORDER_TYPES),
    "price": _price,
}
