"""What a demonstration led to, read from the streams."""

from collections import Counter
from typing import Any

import orjson
from attrs import asdict

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.timeframe import Timeframe
from pine.orders.desk import refusal_kind
from pine.orders.entries import Fill, Intent
from pine.orders.ledger import Deliveries, read_ledger
from pine.worker.run import make_desk


def summarise(client: Client, config: Config, webhooks: int, seconds: float) -> dict[str, Any]:
    """Return the facts of a run, ready for JSON.

    Parameters
    ----------
    client, config
        The server that holds the run, and what it ran with.
    webhooks
        Requests that the receiver recorded.
    seconds
        How long the run took.
    """
    hub = client.hgetall(keys.heartbeat(keys.HUB))
    return {
        "seconds": round(seconds, 1),
        "bars": {
            symbol: {timeframe.value: client.xlen(keys.bars(symbol, timeframe)) for timeframe in Timeframe}
            for symbol in config.instruments
        },
        "leads": {symbol: _leads(client, symbol) for symbol in config.instruments},
        "steps": client.xlen(keys.CLOCK),
        "counts": orjson.loads(hub.get(b"counts", b"{}")),
        "webhooks": webhooks,
        "strategies": {name: _strategy(client, config, name) for name in config.strategies},
    }


def _leads(client: Client, symbol: str) -> list[str]:
    """Return the lead contracts in order of sessions, each once."""
    by_session = sorted(
        (int(start), contract.decode()) for start, contract in client.hgetall(keys.lead(symbol)).items()
    )
    return list(dict.fromkeys(contract for _, contract in by_session))


def _strategy(client: Client, config: Config, name: str) -> dict[str, Any]:
    desk = make_desk(config, name)
    entries = [entry for _, entry in read_ledger(client, name)]
    for entry in entries:
        desk.restore(entry)
    portfolio = desk.portfolio
    intents = [entry for entry in entries if isinstance(entry, Intent)]
    states = Counter(delivery.state for delivery in Deliveries.read(client, name).by_intent.values())
    cursor = streams.group_info(client, keys.CLOCK, name)
    return {
        "instruments": list(config.traded[name]),
        "steps_decided": client.xlen(keys.flight(name)),
        "lag": cursor["lag"],
        "entries": sum(intent.is_entry for intent in intents),
        "exits": sum(not intent.is_entry for intent in intents),
        "reasons": dict(Counter(intent.reason for intent in intents)),
        "refused": _refused(client, name),
        "fills": sum(isinstance(entry, Fill) for entry in entries),
        "deliveries": dict(states),
        "positions": [asdict(position) for position in portfolio.positions.values()],
        "cash": round(portfolio.cash, 2),
        "realised": round(portfolio.realised, 2),
    }


def _refused(client: Client, strategy: str) -> dict[str, int]:
    """Return how many entries that the rules asked for were refused, by what."""
    counts: Counter[str] = Counter()
    for _, fields in streams.read_range(client, keys.flight(strategy)):
        asked = orjson.loads(streams.field_of(keys.flight(strategy), fields, "flight"))["decisions"]
        counts.update(refusal_kind(one["refused"]) for one in asked if one["refused"] and one["ask"] != "exit")
    return dict(counts)
