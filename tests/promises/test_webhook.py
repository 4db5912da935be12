"""A webhook refuses, does not answer, or its courier is killed meanwhile: nothing else waits, nothing doubles."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from house import ANY_AGE, END, FIRST, House, events, house
from once import once
from waiting import until

from pine.bus import keys
from pine.core.timeframe import NS_PER_HOUR
from pine.orders.entries import Void
from pine.orders.ledger import role
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.tape import Tape

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One day: the first entry is refused, the next gets no answer until its courier is killed."""
    return once(tmp_path_factory, "webhook", lambda: one_day(tape, tmp_path_factory.mktemp("webhook")))


def one_day(tape: Tape, folder: Path) -> Seen:
    """Run it."""
    seen: Seen = {}
    patient = f"{ANY_AGE}, timeout_s: 3600"
    with house(folder, tape, orders=patient) as desk:
        worker = desk.worker("one")
        desk.hub()
        desk.broker.behave(Behaviour(answer="400", times=1))
        desk.play(first_entry(desk))
        until(lambda: voids(desk), "the refused entry is voided")
        desk.delivered("one")
        seen["refused"] = desk.intents("one")[0].id
        seen["not posted"] = events(worker, "not posted")

        desk.broker.behave(Behaviour(delay=3600))
        desk.play(END)
        desk.decided("one", END)
        seen["steps"] = desk.client.xlen(keys.CLOCK)
        until(lambda: len(desk.broker.requests) == 2, "the next intent is on its way")
        seen["withheld"] = desk.broker.requests[1]["body"]
        seen["while withheld"] = states(desk)
        seen["lag"] = desk.client.hget(keys.heartbeat("worker:one"), "last_step")

        os.kill(desk.courier_pid("one"), signal.SIGKILL)
        desk.broker.behave(Behaviour())
        desk.take_over(role("one"), 2)
        desk.delivered("one")
        seen["intents"] = desk.intents("one")
        seen["settled"] = states(desk)
        seen["posted"] = desk.posted()
        seen["listed"] = desk.run("orders", "one").stdout
        seen["document"] = json.loads(desk.run("orders", "one", "--json").stdout)["orders"]
        withheld = seen["withheld"]["extras"]["intent"]
        seen["resolved"] = desk.run("orders", "resolve", withheld, "--not-posted", "--who", "me")
        until(lambda: len(voids(desk)) == 2, "the resolved entry is voided")
        seen["voids"] = voids(desk)
        seen["at last"] = states(desk)
        seen["again"] = desk.run("orders", "resolve", withheld, "--posted")
    return seen


def first_entry(desk: House) -> int:
    """Play hour by hour until the worker has decided something, and no further; return that step."""
    step = FIRST
    while not desk.intents("one"):
        step += NS_PER_HOUR
        desk.play(step)
        desk.decided("one", step)
    return step


def voids(desk: House) -> list[str]:
    """Return the entries that were taken back in the ledger."""
    return [entry.intent for entry in desk.ledger("one") if isinstance(entry, Void)]


def states(desk: House) -> dict[str, str]:
    """Return how far each intent's delivery is."""
    return {intent: delivery.state for intent, delivery in desk.deliveries("one").by_intent.items()}


def test_a_refusal_is_final_alerted_and_voided(seen: Seen) -> None:
    refused = seen["refused"]
    assert seen["settled"][refused] == "rejected"
    (told,) = [event for event in seen["not posted"] if event["intent"] == refused]
    assert (told["level"], told["state"], told["status"]) == ("error", "rejected", 400)
    assert seen["voids"][0] == refused
    assert refused not in seen["posted"]
    assert [intent.id for intent in seen["intents"] if intent.entry == refused] == []


def test_a_webhook_that_does_not_answer_delays_no_step(seen: Seen) -> None:
    assert seen["steps"] > 1300
    assert seen["while withheld"] == {
        seen["refused"]: "rejected",
        seen["withheld"]["extras"]["intent"]: "attempt",
    }
    assert len(seen["intents"]) > 5


def test_killed_between_post_and_answer_an_entry_is_held_as_unknown_and_the_rest_goes(seen: Seen) -> None:
    withheld = seen["withheld"]["extras"]["intent"]
    assert seen["withheld"]["action"] == "buy"
    others = [intent.id for intent in seen["intents"] if intent.id not in (withheld, seen["refused"])]
    assert [intent.id for intent in seen["intents"] if intent.entry == withheld]
    assert {intent: seen["settled"][intent] for intent in others} == dict.fromkeys(others, "posted")
    assert seen["settled"][withheld] == "unknown"
    assert sorted(seen["posted"]) == sorted([*others, withheld])


def test_an_unknown_entry_is_shown_and_an_operator_settles_it_once(seen: Seen) -> None:
    withheld = seen["withheld"]["extras"]["intent"]
    assert "1 UNKNOWN" in seen["listed"]
    assert [o["intent"] for o in seen["document"] if o["state"] == "unknown"] == [withheld]
    assert seen["resolved"].returncode == 0
    assert seen["at last"][withheld] == "not posted"
    assert seen["voids"][1:] == [withheld]
    assert seen["again"].returncode == 2
    assert "only an unknown one can be resolved" in seen["again"].stderr


def test_after_a_catch_up_old_entries_expire_and_are_voided_and_old_exits_go(tape: Tape, tmp_path: Path) -> None:
    """A worker that was away decides about hours ago; what it holds must still get out."""
    with house(tmp_path, tape) as desk:
        worker = desk.worker("one")
        desk.hub()
        first_entry(desk)
        desk.delivered("one")
        (entry,) = desk.posted()
        pid = desk.courier_pid("one")
        assert worker.stop() == 0
        os.kill(pid, signal.SIGTERM)
        until(lambda: not desk.holder(role("one")), "the courier is gone")
        desk.configure("entry_max_age_s: null", "entry_max_age_s: 120")
        desk.play(END)
        desk.published(END)

        desk.worker("one")
        desk.decided("one", END)
        desk.delivered("one")
        intents = desk.intents("one")
        late = [intent.id for intent in intents if intent.is_entry and intent.id != entry]
        (exit_,) = (intent.id for intent in intents if intent.entry == entry)
        until(lambda: sorted(voids(desk)) == sorted(late), "every expired entry is voided")
        found = states(desk)
        assert late
        assert {intent: found[intent] for intent in late} == dict.fromkeys(late, "expired")
        assert found[exit_] == "posted"
        assert desk.posted() == [entry, exit_]
