"""Unreachable, 5xx, 429, too slow, killed: a courier tries again what it may, in order, and holds what it may not."""

import time
from collections import Counter
from pathlib import Path

from house import House, events, house, kill
from waiting import until

from pine.bus import keys, streams
from pine.bus.writer import Writer
from pine.orders.entries import Entry, Intent, Origin, encode
from pine.orders.ledger import role
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.broker import Broker
from pine.sandbox.tape import Tape

HOUR = 3_600_000_000_000
ORDERS = "entry_max_age_s: 7200, stale_after_s: null, timeout_s:"
RETRY_AFTER = 1.5


def intent(number: int, symbol: str, *, entry: str | None = None, age: int = 0) -> Intent:
    """Return an order of strategy one, some hours old."""
    action = "exit" if entry else "buy"
    contract = {"ES": "ESH4", "GC": "GCJ4"}[symbol]
    ticker = contract[:-1] + "2024"
    step = time.time_ns() - age * HOUR
    return Intent(f"one-{number}", step, symbol, action, contract, ticker, 1, 5100.0, "a test", {}, entry)


def owe(desk: House, *entries: Entry) -> None:
    """Put entries on the ledger as a worker does."""
    writer = Writer(desk.client, "worker:one", 1)
    newest = streams.last_id(desk.client, keys.ledger("one"))
    first = streams.id_pair(newest)[1] + 1 if newest else 0
    for n, entry in enumerate(entries if newest else (Origin(0, 0), *entries), first):
        writer.append(keys.ledger("one"), streams.entry_id(1, n), {"entry": encode(entry)})
    writer.commit()


def states(desk: House, of: Intent) -> list[str]:
    """Return everything that happened to an intent's delivery."""
    found = [fields for _, fields in streams.read_range(desk.client, keys.deliveries("one"))]
    return [fields[b"state"].decode() for fields in found if fields[b"intent"] == of.id.encode()]


def test_what_may_be_tried_again_is_and_in_order_while_another_symbol_goes_on(tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape, orders=f"{ORDERS} 60") as desk:
        port = desk.broker.port
        desk.broker.stop()
        desk.start("courier one")
        entry, other, exit_ = intent(1, "ES"), intent(2, "GC"), intent(3, "ES", entry="one-1")
        owe(desk, entry)
        until(lambda: "retry" in states(desk, entry), "an unreachable webhook is tried again")

        with Broker(port=port, behaviour=Behaviour(answer="500", times=1)) as desk.broker:
            desk.delivered("one")
            assert states(desk, entry)[-4:] == ["attempt", "retry", "attempt", "posted"]
            assert [r["status"] for r in desk.broker.requests] == [500, 200]

            desk.broker.behave(Behaviour(answer="429", retry_after=RETRY_AFTER, times=1))
            owe(desk, other)
            until(lambda: states(desk, other) == ["attempt", "retry"], "it is told to wait")
            owe(desk, exit_)
            desk.delivered("one")
            assert desk.posted() == [entry.id, exit_.id, other.id]
            told, again = (r["received_at"] for r in desk.broker.requests if r["body"]["ticker"] == other.ticker)
            assert again - told >= RETRY_AFTER * 1e9

            desk.broker.behave(Behaviour(answer="slow", delay=0.5, times=1))
            slow = intent(4, "ES")
            owe(desk, slow)
            desk.delivered("one")
            assert states(desk, slow) == ["attempt", "posted"]


def test_without_an_answer_an_entry_is_held_and_an_exit_is_posted_again(tape: Tape, tmp_path: Path) -> None:
    """An exit whose courier was killed, an entry that timed out, and a backlog that became old meanwhile."""
    with house(tmp_path, tape, orders=f"{ORDERS} 5") as desk:
        killed = desk.start("courier one")
        entry, exit_ = intent(1, "ES"), intent(2, "ES", entry="one-1")
        owe(desk, entry)
        desk.delivered("one")
        desk.pauses.ask(role("one"), "answered")
        owe(desk, exit_)
        desk.caught(role("one"), "answered")
        kill(killed)
        desk.pauses.release(role("one"), "answered")
        old, timed_out = intent(3, "GC", age=3), intent(4, "ES")
        owe(desk, old)
        courier = desk.start("courier one")
        desk.delivered("one")
        assert states(desk, exit_) == ["attempt", "attempt", "posted"]
        assert Counter(desk.posted()) == {entry.id: 1, exit_.id: 2}
        assert states(desk, old) == ["expired"]

        desk.broker.behave(Behaviour(delay=3600, times=1))
        owe(desk, timed_out)
        desk.delivered("one")
        assert states(desk, timed_out) == ["attempt", "unknown"]
        assert events(courier, "outcome unknown, not posted again", level="error", intent=timed_out.id)
        assert desk.run("orders", "resolve", timed_out.id, "--posted").returncode == 0
        assert states(desk, timed_out) == ["attempt", "unknown", "posted"]
