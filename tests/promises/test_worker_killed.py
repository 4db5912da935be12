"""A worker that is killed: the same intents, none lost, none twice; same features; positions from the ledger."""

from collections import Counter
from pathlib import Path

import orjson
from house import END, house, kill
from waiting import until

from pine.bus import keys
from pine.core.timeframe import NS_PER_MINUTE
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape
from pine.worker.run import make_desk


def test_a_worker_killed_around_a_decision_decides_and_posts_what_an_unbroken_one_does(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    """Killed with a decision in hand that nobody else knows, and with one that is written but not noted."""
    with house(tmp_path, tape) as desk:
        worker = desk.worker("one")
        desk.hub()
        for token, (point, step) in enumerate([("decided", steps(unbroken)[1]), ("acknowledged", steps(unbroken)[5])]):
            desk.play(step - NS_PER_MINUTE)
            desk.decided("one", step - NS_PER_MINUTE)
            desk.delivered("one")
            desk.pauses.ask("worker:one", point)
            desk.play(step)
            desk.caught("worker:one", point)
            kill(worker)
            desk.pauses.release("worker:one", point)
            worker = desk.start("worker one")
            desk.take_over("worker:one", token + 2)
        desk.play(END)
        desk.decided("one", END)
        desk.delivered("one")

        mine = {name: entries for name, entries in unbroken.items() if name in (keys.ledger("one"), keys.flight("one"))}
        found = desk.record()
        assert differences({name: found[name] for name in mine}, mine) == []
        ids = [intent.id for intent in desk.intents("one")]
        assert Counter(desk.posted()) == Counter(ids)
        account = make_desk(desk.config, "one")
        for entry in desk.ledger("one"):
            account.restore(entry)
        positions = {p.symbol: p.quantity for p in account.portfolio.positions.values()}
        beat = keys.heartbeat("worker:one")
        until(lambda: desk.client.hget(beat, "last_step") == str(END // 1_000_000).encode(), "the worker says so")
        assert orjson.loads(desk.client.hget(beat, "positions") or b"") == positions


def steps(record: Record) -> list[int]:
    """Return the steps, in ns, at which the unbroken worker had intents."""
    entries = [orjson.loads(fields[b"entry"]) for _, fields in record[keys.ledger("one")]]
    return sorted({entry["step"] for entry in entries if entry["kind"] == "intent"})
