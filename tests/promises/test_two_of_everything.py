"""Two hubs, two workers, two couriers: one holds the lease, the others wait; a stale holder's writes are refused."""

from collections import Counter
from pathlib import Path

import orjson
import pytest
from house import END, ended, house, log, pause, wake
from once import once

from pine.bus import keys
from pine.core.timeframe import NS_PER_MINUTE
from pine.orders.ledger import role
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape


@pytest.fixture(scope="module")
def outcome(tape: Tape, unbroken: Record, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Pause courier, worker and hub in turn, each with something in hand; let others take over; wake them."""
    return once(tmp_path_factory, "two", lambda: taken_over(tape, unbroken, tmp_path_factory.mktemp("two")))


def taken_over(tape: Tape, unbroken: Record, folder: Path) -> dict:
    """Run them."""
    ledger = [orjson.loads(fields[b"entry"]) for _, fields in unbroken[keys.ledger("one")]]
    entry, exit_ = [e["step"] for e in ledger if e["kind"] == "intent"][:2]
    with house(folder, tape) as desk:
        courier = desk.start("courier one")
        desk.courier_pid("one")
        worker, hub = desk.worker("one"), desk.hub()
        second = {
            "worker:one": desk.start("worker one"),
            role("one"): desk.start("courier one"),
            "hub": desk.start("hub"),
        }
        for child in second.values():
            desk.waits(child)
        desk.pauses.ask(role("one"), "answered")
        desk.play(entry)
        desk.caught(role("one"), "answered")
        pause(courier)
        desk.decided("one", entry)

        desk.play(exit_ - NS_PER_MINUTE)
        desk.decided("one", exit_ - NS_PER_MINUTE)
        desk.pauses.ask("worker:one", "decided")
        desk.play(exit_)
        desk.caught("worker:one", "decided")
        pause(worker)

        desk.pauses.ask("hub", "facts-written")
        desk.play(exit_ + 30 * NS_PER_MINUTE)
        desk.caught("hub", "facts-written")
        pause(hub)

        stale = {"hub": hub, "worker:one": worker, role("one"): courier}
        for of in stale:
            desk.take_over(of, 2)
        desk.play(END)
        for of, point in (("hub", "facts-written"), ("worker:one", "decided"), (role("one"), "answered")):
            desk.pauses.release(of, point)
            wake(stale[of])
        codes = {of: ended(child) for of, child in stale.items()}
        desk.decided("one", END)
        desk.delivered("one")
        return {
            "codes": codes,
            "logs": {of: log(child) for of, child in stale.items()},
            "waited": {of: log(child) for of, child in second.items()},
            "record": desk.record(),
            "posted": desk.posted(),
            "intents": [intent.id for intent in desk.intents("one")],
            "states": {i: d.state for i, d in desk.deliveries("one").by_intent.items()},
            "tokens": {of: desk.client.get(keys.fence(of)) for of in stale},
        }


ROLES = ("hub", "worker:one", "courier:one")


@pytest.mark.parametrize("of", ROLES)
def test_of_two_one_holds_the_lease_and_the_other_waits(of: str, outcome: dict) -> None:
    assert "waiting" in outcome["waited"][of]
    assert outcome["tokens"][of] == b"2"


@pytest.mark.parametrize("of", ROLES)
def test_a_stale_holder_ends_non_zero_and_names_what_it_lost(of: str, outcome: dict) -> None:
    assert outcome["codes"][of] == 1
    last = outcome["logs"][of].splitlines()[-1]
    assert last.startswith(f"Stopped: {of}: ")


def test_a_stale_hub_and_worker_write_nothing_and_the_streams_are_those_of_one_of_each(
    unbroken: Record, outcome: dict
) -> None:
    mine = {name: e for name, e in unbroken.items() if name.startswith("market:") or name.endswith(":one")}
    assert differences({name: outcome["record"][name] for name in mine}, mine) == []


def test_a_stale_courier_records_nothing_and_no_intent_is_posted_twice(outcome: dict) -> None:
    """What it had posted when it was paused nobody can know: held as unknown, its exit goes."""
    intents = outcome["intents"]
    assert Counter(outcome["posted"]) == Counter(intents)
    assert outcome["states"] == dict.fromkeys(intents, "posted") | {intents[0]: "unknown"}
