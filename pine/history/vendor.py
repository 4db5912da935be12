"""Databento's Historical API through the vendor's own client: quoted, bought, checked, and bought again if it must be.

The client repeats nothing, lets the errors of its HTTP library through, and returns a body that was cut short as if
it were whole. What is bought stays in memory until it has been checked, so nothing is ever half-written.
"""

import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar

from attrs import define, frozen

from pine.core.config import DatabentoConfig
from pine.core.errors import HistoryError, KeyRefused, TooDear, Unreachable, Unresolved
from pine.core.log import get_logger
from pine.core.times import parse_time
from pine.history.bought import Bought, Incomplete, Quote, Request, check, decode

log = get_logger(__name__)

T = TypeVar("T")


@frozen
class Patience:
    """How often and how long to try.

    Attributes
    ----------
    attempts
        Tries of one request that fails for the moment.
    downloads
        Times that data which comes incomplete is bought.
    first_s, most_s
        Seconds before the second try, and at most; they double and are jittered.
    retry_after_s
        Longest wait that the vendor may ask for.
    timeout_s
        Seconds for connecting, and between two pieces of an answer.
    """

    attempts: int = 6
    downloads: int = 3
    first_s: float = 1.0
    most_s: float = 30.0
    retry_after_s: float = 600.0
    timeout_s: float = 100.0


@define
class Budget:
    """What one question may cost, and has cost, in dollars."""

    ceiling: float
    spent: float = 0.0

    def allow(self, quotes: Sequence[Quote]) -> None:
        """Raise `TooDear` if these quotes would lead over the ceiling."""
        cost = sum(quote.cost for quote in quotes)
        if self.spent + cost <= self.ceiling:
            return
        first, last = quotes[0].request, quotes[-1].request
        what = str(first) if len(quotes) == 1 else f"{len(quotes)} requests, from {first} to {last}"
        before = f", and ${self.spent:.4f} are spent on this question already" if self.spent else ""
        raise TooDear(
            f"databento.max_cost_usd: found a price of ${cost:.4f} for {what}{before}, expected at most "
            f"${self.ceiling:.4f}; ask for a shorter time, or allow more"
        )


def expect_own_market(settings: DatabentoConfig) -> None:
    """Refuse to ask Databento's own Historical about what another live gateway brings: it knows nothing of it.

    Raises
    ------
    HistoryError
        If ``databento.gateway`` is set and ``databento.historical_gateway`` is not.
    """
    if settings.gateway is not None and settings.historical_gateway is None:
        raise HistoryError(
            f"databento.historical_gateway: found none, with databento.gateway {settings.gateway!r}, expected the "
            "https:// address of that market's Historical; Databento's own is not asked about another market"
        )


class Passing(Exception):
    """A failure that may be over at the next try; `wait` is what the vendor asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Vendor:
    """The account at Databento.

    Parameters
    ----------
    settings
        Key, dataset, gateway.
    patience
        How often and how long to try.
    sleep
        Waits so many seconds.
    jitter
        A number from 0 to 1, each time another.
    """

    def __init__(
        self,
        settings: DatabentoConfig,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._patience = patience or Patience()
        self._sleep = sleep
        self._jitter = jitter
        self._client: Any = None
        self._told: set[str] = set()

    def ranges(self) -> dict[str, tuple[int, int]]:
        """Return what is available of each schema, in ns, the end exclusive; raises as `fetch` does."""
        dataset = self._settings.dataset
        what = f"the range of {dataset}"
        found = self._ask(what, lambda client: client.metadata.get_dataset_range(dataset))
        try:
            return {name: (parse_time(r["start"]), parse_time(r["end"])) for name, r in found["schema"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise HistoryError(f"databento: {what}: found {found!r}, expected start and end per schema") from None

    def leads(self, roots: Sequence[str], on: date) -> dict[str, str]:
        """Return the contract with most volume of each root on a day, as the vendor's continuous symbols have it.

        A root of which it knows none is left out. Costs nothing; raises as `fetch` does.
        """
        ids = self._resolve([f"{root}.v.0" for root in roots], "continuous", "instrument_id", on)
        names = self._resolve(sorted(set(ids.values())), "instrument_id", "raw_symbol", on) if ids else {}
        return {symbol.partition(".")[0]: names[found] for symbol, found in ids.items() if found in names}

    def _resolve(self, symbols: Sequence[str], stype: str, into: str, on: date) -> dict[str, str]:
        """Return what symbols stand for on a day; nothing of those that stand for nothing."""
        form = {"dataset": self._settings.dataset, "stype_in": stype, "stype_out": into, "start_date": on.isoformat()}
        what = f"what {', '.join(symbols)} stand for on {on}"
        try:
            found = self._ask(what, lambda client: client.symbology.resolve(symbols=list(symbols), **form))
        except Unresolved:
            return {}
        try:
            return {name: str(spans[0]["s"]) for name, spans in found["result"].items() if spans and spans[0]["s"]}
        except (AttributeError, KeyError, TypeError, IndexError):
            raise HistoryError(f"databento: {what}: found {str(found)[:200]}, expected symbols") from None

    def quote(self, requests: Sequence[Request]) -> list[Quote]:
        """Return what requests would give and cost, those left out that would give nothing; raises as `fetch` does."""
        quotes = []
        for request in requests:
            form = self._form(request)
            records = int(self._number(f"the size of {request}", partial(_count, form)))
            if records:
                cost = self._number(f"the price of {request}", partial(_cost, form))
                quotes.append(Quote(request, records, cost))
                fields = {"request": str(request), "records": records, "cost_usd": round(cost, 6)}
                log.info("historical price", **fields)
        return quotes

    def fetch(self, quote: Quote, budget: Budget) -> Bought:
        """Buy what was quoted, check that all of it came, and buy it again if not.

        Raises
        ------
        KeyRefused
            If the key is not accepted.
        TooDear
            If buying it again would cost more than the budget has left.
        Unresolved
            If the symbol stands for nothing in that time.
        Unreachable
            If nobody answers, or asking is to be put off.
        HistoryError
            If it is refused, or keeps coming incomplete.
        """
        request, reason = quote.request, ""
        for attempt in range(self._patience.downloads):
            if attempt:
                self._wait(str(request), reason, attempt)
            budget.allow([quote])
            budget.spent += quote.cost
            try:
                data = self._ask(str(request), lambda client: self._download(client, request))
                bought = decode(request, data)
                check(quote, bought.records)
            except Incomplete as error:
                reason = str(error)
                continue
            fields = {"request": str(request), "records": len(bought.records), "cost_usd": round(quote.cost, 6)}
            log.info("historical bought", **fields)
            return bought
        raise HistoryError(
            f"databento: {request}: found incomplete data {self._patience.downloads} times, lastly {reason}; "
            "try again later"
        )

    def _number(self, what: str, work: Callable[[Any], Any]) -> float:
        found = self._ask(what, work)
        if isinstance(found, int | float) and 0 <= found < float("inf"):
            return found
        raise HistoryError(f"databento: {what}: found {found!r}, expected a number")

    def _form(self, request: Request) -> dict[str, Any]:
        return {
            "dataset": self._settings.dataset,
            "schema": request.schema,
            "stype_in": request.stype,
            "symbols": [request.symbol],
            "start": request.begin,
            "end": request.end,
        }

    def _download(self, client: Any, request: Request) -> bytes:
        from databento_dbn import DBNError

        try:
            store = client.timeseries.get_range(**self._form(request))
        except (DBNError, ValueError) as error:  # what the client makes of nothing, and of next to nothing
            raise Incomplete(f"a body without a whole header ({self._hide(error)})") from None
        return bytes(store.raw)

    def _ask(self, what: str, work: Callable[[Any], T]) -> T:
        """Do something with the client; try again what fails for the moment."""
        reason = ""
        for attempt in range(self._patience.attempts):
            try:
                return self._once(what, work)
            except Passing as error:
                reason = str(error)
                if attempt + 1 < self._patience.attempts:
                    self._wait(what, reason, attempt + 1, error.wait)
        raise Unreachable(f"databento: {what}: gave up after {self._patience.attempts} attempts, the last: {reason}")

    def _once(self, what: str, work: Callable[[Any], T]) -> T:
        import requests
        from databento.common.error import BentoError, BentoHttpError

        try:
            return work(self._connected())
        except BentoHttpError as error:
            failure = self._judge(what, error)
        except requests.exceptions.SSLError as error:
            failure = Unreachable(
                f"databento: {what}: the certificate of {self._gateway} is not trusted "
                f"({self._hide(_root(error))}); {_authority()}"
            )
        except requests.Timeout:
            failure = Passing(f"no answer from {self._gateway} within {self._patience.timeout_s:g} s")
        except requests.ConnectionError as error:
            failure = Passing(f"no connection to {self._gateway}, or it broke ({self._hide(_root(error))})")
        except requests.RequestException as error:
            failure = Passing(self._hide(_root(error)))
        except OSError as error:  # the file of an authority that cannot be read
            hint = f"; {_authority()}" if "TLS CA" in str(error) else ""
            failure = Unreachable(f"databento: {what}: {self._hide(error)}{hint}")
        except BentoError as error:
            raise Incomplete(self._hide(error)) from None  # part of it has come, and is paid for
        except UnicodeError:
            failure = KeyRefused("databento.api_key: found characters that no key has")
        raise failure from None  # its cause may hold the request, and with it the key

    def _judge(self, what: str, error: Any) -> Exception:
        status, text = int(error.http_status), self._hide(error.message)
        if status == 401:
            return KeyRefused(f"databento.api_key: Databento does not accept it ({status} {text}); asked was {what}")
        if status in (408, 425, 429) or status >= 500:
            return Passing(f"{status} {text}", self._retry_after(what, error.headers.get("Retry-After")))
        if status == 422 and "symbology_invalid_request" in text:
            return Unresolved(f"databento: {what}: refused with {status} {text}")
        return HistoryError(f"databento: {what}: refused with {status} {text}")

    def _retry_after(self, what: str, text: str | None) -> float | None:
        try:
            wait = float(text or "")
        except ValueError:
            return None
        if wait > self._patience.retry_after_s:
            raise Unreachable(
                f"databento: {what}: found Retry-After {wait:g} s, expected at most "
                f"{self._patience.retry_after_s:g} s; try again later"
            )
        return wait

    def _wait(self, what: str, reason: str, attempt: int, least: float | None = None) -> None:
        backoff = min(self._patience.first_s * 2 ** (attempt - 1), self._patience.most_s)
        seconds = max(backoff * (0.5 + self._jitter() / 2), least or 0.0)
        fields = {"request": what, "reason": reason, "attempt": attempt, "wait_s": round(seconds, 3)}
        level = logging.INFO if reason in self._told else logging.WARNING
        self._told.add(reason)
        log.log(level, "historical tried again", **fields)
        self._sleep(seconds)

    def _connected(self) -> Any:
        if self._client is None:
            import databento

            expect_own_market(self._settings)
            key = self._settings.api_key.reveal()
            if not key.strip():
                raise KeyRefused("databento.api_key: found blanks only, expected a key")
            gateway = self._settings.historical_gateway
            self._client = databento.Historical(key) if gateway is None else databento.Historical(key, gateway)
            for api in (self._client.metadata, self._client.timeseries, self._client.symbology):
                api.TIMEOUT = self._patience.timeout_s
        return self._client

    @property
    def _gateway(self) -> str:
        return str(self._connected().gateway)

    def _hide(self, error: object) -> str:
        """Return an error's text on one line, without the key whoever may have put it there."""
        key = self._settings.api_key.reveal()
        return " ".join(str(error).replace(key, "********").split())[:500]


def _root(error: BaseException) -> str:
    """Return in a few words what a chain of errors of the HTTP library began with."""
    at: BaseException | None = error
    seen: list[BaseException] = []
    while at is not None and at not in seen:
        seen.append(at)
        inner = [getattr(at, "reason", None), at.__cause__, *at.args]
        at = next((below for below in inner if isinstance(below, BaseException)), None)
    last = seen[-1]
    text = getattr(last, "verify_message", None) or getattr(last, "strerror", None) or str(last) or type(last).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _authority() -> str:
    """Return what is to be done where a certificate is not trusted."""
    if name := os.environ.get("REQUESTS_CA_BUNDLE"):
        return f"REQUESTS_CA_BUNDLE names {name}, expected the file of the authority that signed it"
    return "set REQUESTS_CA_BUNDLE to the file of the authority that signed it (ca.pem of pine sandbox history)"


def _count(form: Mapping[str, Any], client: Any) -> Any:
    return client.metadata.get_record_count(**form)


def _cost(form: Mapping[str, Any], client: Any) -> Any:
    return client.metadata.get_cost(**form)
