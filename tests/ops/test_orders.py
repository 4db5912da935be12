"""Operators see every intent with its state, and settle what is unknown."""

import orjson
import pytest
from attrs import evolve
from booked import BUY, FILL, SELL, STEP, record

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.writer import Writer
from pine.core.errors import PineError
from pine.ops.orders import list_orders, resolve
from pine.orders.entries import Origin, Void, encode
from pine.orders.ledger import Deliveries


@pytest.fixture
def desk(client: Client) -> Client:
    writer = Writer(client, "worker:a", 1)
    for n, entry in enumerate([Origin(0, 0), BUY, FILL, SELL], start=1):
        writer.append(keys.ledger("a"), streams.entry_id(STEP // 1_000_000, n), {"entry": encode(entry)})
    writer.commit()
    return client


def test_every_intent_is_listed_with_its_fill_and_state(desk: Client) -> None:
    record(desk, "a-1", "attempt")
    record(desk, "a-1", "posted")
    first, second = list_orders(desk, ["a"], {"a"})
    assert (first["intent"], first["state"], first["fill"], first["attempts"]) == ("a-1", "posted", 5100.25, 1)
    assert (second["intent"], second["state"], second["fill"]) == ("a-2", "owed", None)


def test_the_newest_tries_reason_is_told_and_without_a_webhook_nothing_is_owed(desk: Client) -> None:
    record(desk, "a-1", "attempt")
    record(desk, "a-1", "retry", "no connection")
    record(desk, "a-1", "attempt")
    assert list_orders(desk, ["a"], {"a"})[0]["text"] == "no connection"
    assert list_orders(desk, ["a"], set())[1]["state"] == "paper only"


def test_money_is_told_in_whole_cents(client: Client) -> None:
    fill = evolve(FILL, intent="a-2", pnl=-182.5000000000182)
    for n, entry in enumerate([SELL, fill], start=1):
        client.xadd(keys.ledger("a"), {"entry": encode(entry)}, id=f"1-{n}")
    assert list_orders(client, ["a"], {"a"})[0]["pnl"] == -182.5


def test_a_void_is_shown(desk: Client) -> None:
    writer = Writer(desk, "worker:a", 1)
    void = Void("a-1", "rejected: no such ticker", "5-0")
    writer.append(keys.ledger("a"), streams.entry_id(STEP // 1_000_000, 9), {"entry": encode(void)})
    writer.commit()
    assert list_orders(desk, ["a"], {"a"})[0]["void"] == "rejected: no such ticker"


@pytest.mark.parametrize(("posted", "state", "requests"), [(True, "posted", 0), (False, "not posted", 1)])
def test_an_unknown_entry_is_settled_and_voided_if_it_was_not_posted(
    posted: bool, state: str, requests: int, desk: Client
) -> None:
    record(desk, "a-1", "unknown")
    resolve(desk, "a", "a-1", posted=posted, who="anna")
    assert Deliveries.read(desk, "a").state("a-1") == state
    asked = [orjson.loads(fields[b"request"]) for _, fields in streams.read_range(desk, keys.control("a"))]
    assert len(asked) == requests
    assert all(request["intent"] == "a-1" and request["order"] == "void" for request in asked)


def test_only_what_is_unknown_can_be_settled(desk: Client) -> None:
    record(desk, "a-1", "posted")
    with pytest.raises(PineError, match="is posted"):
        resolve(desk, "a", "a-1", posted=False, who="anna")
    with pytest.raises(PineError, match="is owed"):
        resolve(desk, "a", "a-2", posted=True, who="anna")
    with pytest.raises(PineError, match="none of that id"):
        resolve(desk, "a", "a-9", posted=True, who="anna")
