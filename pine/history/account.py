"""Whether Databento can be reached, and what its clocks say. Nothing is bought for it."""

import socket
import time
from email.utils import parsedate_to_datetime
from typing import Final

import requests
from attrs import frozen

from pine.core.config import DatabentoConfig
from pine.core.errors import PineError, Unreachable
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import Clock, from_datetime
from pine.history.vendor import expect_own_market

CONNECT_S: Final = 5.0
OWN_GATEWAY: Final = "https://hist.databento.com"


def gateway_answers(settings: DatabentoConfig) -> str:
    """Connect to the live gateway, say nothing, and hang up; return where it answers.

    Raises
    ------
    PineError
        If it cannot be reached.
    """
    host, port = settings.live_gateway
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        raise PineError(f"databento gateway {host}:{port}: cannot be reached: {error}") from None
    return f"{host}:{port} answers"


@frozen
class Reading:
    """Another machine's clock, read from here.

    Attributes
    ----------
    earliest, latest
        Between these, in ns, its present was when ours was `ours`.
    ours
        Our present in ns, in the middle of asking.
    """

    earliest: int
    latest: int
    ours: int

    @property
    def ahead_s(self) -> float:
        """Seconds that our clock is ahead for sure; below 0 if it is behind, 0 if there may be no difference."""
        ahead = max(self.ours - self.latest, 0) - max(self.earliest - self.ours, 0)
        return ahead / NS_PER_SECOND


def vendor_clock(settings: DatabentoConfig, clock: Clock) -> Reading:
    """Read the vendor's clock, from the date in the header of an answer to a question without key or content.

    Raises
    ------
    HistoryError
        If the configuration names another live gateway, and no Historical that knows its market.
    Unreachable
        If there is no answer, or one without a date.
    """
    expect_own_market(settings)
    gateway = settings.historical_gateway or OWN_GATEWAY
    begun, before = clock(), time.monotonic_ns()
    try:
        with requests.head(gateway, timeout=CONNECT_S, allow_redirects=False) as answer:
            told = answer.headers.get("Date", "")
        date = from_datetime(parsedate_to_datetime(told))
    except (requests.RequestException, OSError) as error:
        raise Unreachable(f"databento: {gateway} cannot be reached ({type(error).__name__})") from None
    except ValueError:
        raise Unreachable(f"databento: {gateway} answers without a date") from None
    half = (time.monotonic_ns() - before) // 2
    # It told whole seconds, at some moment between question and answer.
    return Reading(date - half, date + NS_PER_SECOND + half, begun + half)
