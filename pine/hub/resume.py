"""What the streams hold of the session under way, taken up by the hub that comes next."""

from typing import Any

from pine.bus.client import Client
from pine.core.config import Config
from pine.core.log import get_logger
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS
from pine.core.times import isoformat, to_ms
from pine.hub.aggregator import Aggregator
from pine.hub.publisher import LEFT, read_holes, read_registered, read_session

log = get_logger(__name__)


def take_up(config: Config, client: Client, aggregator: Aggregator, last: int) -> dict[str, int]:
    """Take up the session under way from the streams, so that only what is missing need be replayed.

    Parameters
    ----------
    config
        Roots and their sessions.
    client
        Connection to the server.
    aggregator
        Goes on from there; it has nothing yet.
    last
        Time in ns of the newest clock entry, 0 if there is none.

    Returns
    -------
    dict
        Roots that no hub had for a while, with the time in ms of the last clock entry before that.
    """
    late: dict[str, int] = {}
    registered = read_registered(client) if last else {}
    for symbol in config.instruments if last else ():
        begin = session_begin(last, config.session_rule(symbol))
        minutes, volume = read_session(client, symbol, begin, last)
        aggregator.seed(symbol, minutes, volume, read_holes(client, symbol, begin, last), last)
        since = _late_since(client, symbol, registered.get(symbol), begin, last)
        if since is not None:
            aggregator.lose(since, last - NS_PER_MINUTE, [symbol])
            late[symbol] = to_ms(since)
            missing = {"symbol": symbol, "from": isoformat(since), "to": isoformat(last)}
            log.error("gap: no hub had this root", **missing)
    return late


def _late_since(client: Client, symbol: str, registered: dict[str, Any] | None, begin: int, last: int) -> int | None:
    """Return since when no hub has seen a root that is new in the middle of a session, or was left out for a while.

    Its quiet time cannot be told from what is missing, so no hour or day over it is published.
    """
    since: int = begin if registered is None else registered.get(LEFT, 0) * NS_PER_MS
    if not since or since >= last:
        return None
    told = any(first == since for first, _ in read_holes(client, symbol, since, last))
    return None if told else since
