"""The TradersPost webhook: what is sent, and what an answer means.

A webhook carries no idempotency key, so a post that may have arrived is never simply repeated: an outcome is
accepted, refused, not sent, or unknown.
"""

import math
import re
import threading
import time
from email.utils import parsedate_to_datetime
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import requests
from attrs import define, field, frozen

from pine import __version__
from pine.core.config import Secret
from pine.core.config.webhook import leads_here
from pine.orders.entries import Intent

_FOR_THE_MOMENT: Final = frozenset({408, 425, 429})
_EXCERPT: Final = 1000
_SECRET_LENGTH: Final = 6
_PUBLIC: Final = frozenset({"trading", "webhook"})
"""Parts of every TradersPost address."""

GRACE_SECONDS: Final = 1.0
_NEVER_SENT: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidJSONError,
)
_HEADERS: Final = {"User-Agent": f"pine/{__version__}"}


class Verdict(Enum):
    """What is known after a post."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    TRY_AGAIN = "try again"
    UNKNOWN = "unknown"


@frozen
class Answer:
    """Outcome of one post.

    Attributes
    ----------
    verdict
        What is known.
    status
        HTTP status, 0 if there was no answer.
    text
        Kind of error or beginning of the answer; never the URL.
    retry_after
        Seconds that the vendor asked to wait, if it did.
    """

    verdict: Verdict
    status: int = 0
    text: str = ""
    retry_after: float | None = None


def payload(strategy: str, intent: Intent) -> dict[str, Any]:
    """Return the webhook body of an intent.

    ``price`` is the price at the signal; ``orderType`` keeps TradersPost from reading it as a limit.
    """
    return {
        "ticker": intent.ticker,
        "action": intent.action,
        "quantity": intent.quantity,
        "price": intent.price,
        "orderType": "market",
        "timeInForce": "day",
        "extras": {
            **intent.facts,
            "strategy": strategy,
            "intent": intent.id,
            "symbol": intent.symbol,
            "contract": intent.contract,
            "reason": intent.reason,
        },
    }


class _Direct(requests.Session):
    """A session that does not even look where a redirect leads: requests reads the body and the address of each."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none."""


@define
class TradersPost:
    """Posts to one strategy's webhook.

    Parameters
    ----------
    webhook
        Its URL, never shown.
    timeout
        Seconds to connect, and between two pieces of the answer; the whole may take twice as long.
    """

    webhook: Secret
    timeout: float
    _session: requests.Session = field(factory=_Direct)

    def __attrs_post_init__(self) -> None:
        if self.webhook and leads_here(self.webhook):
            self._session.trust_env = False  # no proxy between processes of one machine

    def post(self, body: dict[str, Any]) -> Answer:
        """Send a body once and say what is known afterwards; an answer that never ends is not waited for."""
        answers: SimpleQueue[Answer] = SimpleQueue()
        threading.Thread(target=lambda: answers.put(self._try(body)), name="post", daemon=True).start()
        try:
            return answers.get(timeout=2 * self.timeout + GRACE_SECONDS)
        except Empty:
            self._session = _Direct()  # the other one is still held by what drips
            return Answer(Verdict.UNKNOWN, text="no whole answer in time")

    def _try(self, body: dict[str, Any]) -> Answer:
        try:
            return self._post(body)
        except Exception as error:  # noqa: BLE001  # whatever an answer may do to its reader, it may have arrived
            return Answer(Verdict.UNKNOWN, text=type(error).__name__)

    def _post(self, body: dict[str, Any]) -> Answer:
        try:
            response = self._session.post(
                self.webhook.reveal(),
                json=body,
                headers=_HEADERS,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            )
        except requests.ConnectTimeout:
            return Answer(Verdict.TRY_AGAIN, text="connect timeout")
        except requests.ConnectionError as error:
            return _lost_connection(error)
        except requests.Timeout:
            return Answer(Verdict.UNKNOWN, text="read timeout")
        except _NEVER_SENT as error:
            return Answer(Verdict.REFUSED, text=type(error).__name__)
        except requests.RequestException as error:
            return Answer(Verdict.UNKNOWN, text=type(error).__name__)
        try:
            return self._judge(response)
        finally:
            response.close()  # a new connection for each post: one that the other side closed would look like a loss

    def _judge(self, response: requests.Response) -> Answer:
        """Say what an answer means; its status alone decides, its text is for people."""
        status, text = response.status_code, self._excerpt(response)
        if 200 <= status < 300:
            return Answer(Verdict.ACCEPTED, status, text)
        if status in _FOR_THE_MOMENT or status >= 500:
            return Answer(Verdict.TRY_AGAIN, status, text, _retry_after(response))
        return Answer(Verdict.REFUSED, status, text)

    def _excerpt(self, response: requests.Response) -> str:
        """Return the beginning of an answer, without the webhook: some servers repeat its path."""
        try:
            text = response.raw.read1(_EXCERPT, decode_content=True).decode(errors="replace")
        except Exception:  # noqa: BLE001  # the status is known; a body that cannot be read changes nothing
            text = ""
        return "" if self._gives_away(text) else text[:200]

    def _gives_away(self, text: str) -> bool:
        """Tell whether a text holds a piece of the webhook, however it is written: then none of it is kept."""
        parts = urlsplit(self.webhook.reveal())
        pieces = [part for part in re.split(r"[/?&=]", unquote(f"{parts.path}?{parts.query}")) if part]
        said = unquote(text).casefold()
        return any(
            piece[n : n + _SECRET_LENGTH].casefold() in said
            for piece in pieces
            if piece not in _PUBLIC
            for n in range(max(1, len(piece) - _SECRET_LENGTH + 1))
            if len(piece) >= _SECRET_LENGTH
        )


def _lost_connection(error: requests.ConnectionError) -> Answer:
    """Tell a connection that never came about, where nothing was sent, from one that broke."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if type(cause).__name__ in ("NewConnectionError", "NameResolutionError"):
        return Answer(Verdict.TRY_AGAIN, text="no connection")
    return Answer(Verdict.UNKNOWN, text="connection broken")


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as a date."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
