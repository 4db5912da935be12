"""Daily stop and halt: no new entries at once; the day's loss resets with the session, not with a trade."""

from pathlib import Path

import orjson
from house import END, at, house
from waiting import until

from pine.bus import keys
from pine.orders.entries import Control
from pine.sandbox.demo.record import Record
from pine.sandbox.tape import Tape

HALTED, RESUMED = at("2024-03-04T03:30"), at("2024-03-04T08:00")


def entries(record: Record) -> list[tuple[int, str, str]]:
    """Return step, action and symbol of the intents of strategy two."""
    ledger = [orjson.loads(fields[b"entry"]) for _, fields in record[keys.ledger("two")]]
    return [(e["step"], e["action"], e["symbol"]) for e in ledger if e["kind"] == "intent" and e["action"] != "exit"]


def test_after_the_days_loss_a_worker_enters_nothing_although_its_rules_say_so(unbroken: Record) -> None:
    ledger = [orjson.loads(fields[b"entry"]) for _, fields in unbroken[keys.ledger("two")]]
    lost_at, day = 0, 0.0
    for fill in (entry for entry in ledger if entry["kind"] == "fill" and entry["pnl"] is not None):
        day += fill["pnl"]
        lost_at = lost_at or (fill["time"] if day <= -50 else 0)
    assert lost_at
    assert all(step <= lost_at for step, _, _ in entries(unbroken))
    flights = [(i, orjson.loads(fields[b"flight"])) for i, fields in unbroken[keys.flight("two")]]
    refused = [d["refused"] for _, flight in flights for d in flight["decisions"] if d["refused"]]
    assert [reason for reason in refused if reason.startswith("daily stop")]


def test_a_halted_worker_enters_nothing_until_it_is_resumed(tape: Tape, unbroken: Record, tmp_path: Path) -> None:
    with house(tmp_path, tape) as desk:
        desk.worker("two")
        desk.hub()
        for moment, order in ((HALTED, "halt"), (RESUMED, "resume")):
            desk.play(moment)
            desk.decided("two", moment)
            request = {"order": order, "who": "a test", "reason": "lunch"}
            desk.client.xadd(keys.control("two"), {"request": orjson.dumps(request)})
            until(lambda: booked(desk)[-1:] == [order], f"{order} is booked")  # noqa: B023
        desk.play(END)
        desk.decided("two", END)
        found = entries(desk.record())
    assert [e for e in entries(unbroken) if HALTED < e[0] <= RESUMED]
    assert [e for e in found if HALTED < e[0] <= RESUMED] == []
    assert [e for e in found if e[0] > RESUMED]


def booked(desk) -> list[str]:
    """Return the operator's orders in the ledger of strategy two."""
    return [entry.order for entry in desk.ledger("two") if isinstance(entry, Control)]
