"""Stale data, kill switch, flatten: entries are held or blocked at once, exits go, with the hub up or down."""

import os
import signal
from pathlib import Path

import orjson
from house import END, House, at, house, kill, log, while_open
from test_courier_retries import intent, owe, states
from waiting import until

from pine.bus import keys, streams
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_SECOND
from pine.orders.entries import Control
from pine.sandbox.demo.record import Record
from pine.sandbox.tape import Tape

OPEN_MARKET = 1_709_654_400 * NS_PER_SECOND
"""2024-03-05T16:00Z."""


def beat(desk: House, age: int) -> None:
    """Say what a hub says whose gateway is alive and whose newest trade is so many seconds old."""
    facts = {"watermark": OPEN_MARKET, "last_trade": OPEN_MARKET - age * NS_PER_SECOND}
    desk.client.hset(keys.heartbeat(keys.HUB), mapping=facts)


def voids(desk: House) -> list[str]:
    """Return the intents that a courier asked the worker to void."""
    found = streams.read_range(desk.client, keys.control("one"))
    return [orjson.loads(fields[b"request"])["intent"] for _, fields in found]


def test_on_stale_data_in_an_open_market_nothing_is_entered_and_exits_go(tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape, orders="entry_max_age_s: null, stale_after_s: 60") as desk:
        beat(desk, age=1)
        courier = desk.start("courier one")
        first = intent(1, "ES")
        owe(desk, first)
        desk.delivered("one")
        beat(desk, age=61)
        held, exit_ = intent(2, "GC"), intent(3, "ES", entry=first.id)
        owe(desk, held, exit_)
        until(lambda: states(desk, exit_) == ["attempt", "posted"], "the exit goes")
        until(lambda: "stale data: the newest trade is 61 s old" in log(courier), "the desk is alerted")
        assert states(desk, held) == []
        beat(desk, age=1)
        desk.delivered("one")
        assert desk.posted() == [first.id, exit_.id, held.id]


def test_the_kill_switch_blocks_entries_at_once_and_lets_exits_go(tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape) as desk:
        desk.start("courier one")
        first = intent(1, "ES")
        owe(desk, first)
        desk.delivered("one")
        (tmp_path / ".env").write_text("POLICY_KILLSWITCH=1\n")
        blocked, exit_ = intent(2, "GC"), intent(3, "ES", entry=first.id)
        owe(desk, blocked, exit_)
        desk.delivered("one")
        assert (states(desk, blocked), states(desk, exit_)) == (["blocked"], ["attempt", "posted"])
        assert voids(desk) == [blocked.id]
        (tmp_path / ".env").write_text("POLICY_KILLSWITCH=0\n")
        again = intent(4, "GC")
        owe(desk, again)
        desk.delivered("one")
        assert desk.posted() == [first.id, exit_.id, again.id]


def test_flatten_closes_through_the_ledger_and_the_webhook_with_the_hub_down(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    moment = while_open(unbroken)
    with house(tmp_path, tape) as desk:
        desk.worker("one")
        hub = desk.hub()
        desk.play(moment)
        desk.decided("one", moment)
        kill(hub)
        ledger = desk.intents("one")
        closed = {exit_.entry for exit_ in ledger if not exit_.is_entry}
        still_open = {entry.id for entry in ledger if entry.is_entry and entry.id not in closed}
        assert still_open
        request = {"order": "flatten", "who": "a test", "reason": "enough"}
        desk.client.xadd(keys.control("one"), {"request": orjson.dumps(request)})
        until(lambda: any(isinstance(entry, Control) for entry in desk.ledger("one")), "it is booked")
        desk.delivered("one")
        exits = [entry for entry in desk.intents("one") if entry.reason == "flatten"]
        assert {exit_.entry for exit_ in exits} == still_open
        assert {exit_.id for exit_ in exits} == set(desk.posted()[-len(exits) :])


def test_flatten_from_the_command_line_is_booked_and_posted_with_neither_hub_nor_worker(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    moment = while_open(unbroken)
    with house(tmp_path, tape) as desk:
        worker, hub = desk.worker("one"), desk.hub()
        desk.play(moment)
        desk.decided("one", moment)
        kill(hub)
        desk.bury(worker, "worker:one")
        os.kill(desk.courier_pid("one"), signal.SIGKILL)
        desk.client.delete(keys.lease("courier:one"))
        held = orjson.loads(desk.run("positions", "--json").stdout)["positions"]
        flatten = {"order": "flatten", "who": "a command that was killed", "reason": "enough"}
        desk.client.xadd(keys.control("one"), {"request": orjson.dumps(flatten)})
        done = desk.run("halt", "one", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (halted,) = orjson.loads(done.stdout)["answers"]
        desk.delivered("one")  # by a courier that the other command has started
        done = desk.run("flatten", "one", "--yes", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (closed,) = orjson.loads(done.stdout)["answers"]
        assert {exit_["contract"] for exit_ in closed["exits"]} == {row["contract"] for row in held}
        assert {exit_["state"] for exit_ in closed["exits"]} == {"posted"}
        assert {exit_["intent"] for exit_ in closed["exits"]} == set(desk.posted()[-len(held) :])
        assert halted["step"] is not None
        desk.worker("one")
        desk.hub()
        desk.play(END)
        desk.decided("one", END)
        after = [i for i in desk.intents("one") if i.step > moment]
        assert after == []
        assert desk.run("status").stdout.count("one is halted by") == 1
        again = desk.run("replay", "--against", "flight", "--strategy", "one", "--json")
        assert again.returncode == 0, again.stdout + again.stderr


def test_a_hub_with_nothing_to_publish_starts_a_server_that_was_killed(tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape) as desk:
        desk.hub()
        before = desk.server.pid()
        assert before is not None
        os.kill(before, signal.SIGKILL)
        until(desk.server.is_running, "the server answers again")
        assert desk.server.pid() != before
        desk.play(END)
        desk.published(END)


def test_a_gateway_that_answers_and_brings_no_trade_in_an_open_market_is_left_and_asked_again(
    tape: Tape, tmp_path: Path
) -> None:
    moment = at("2024-03-04T15:00")
    with house(tmp_path, tape, clock="wall", webhooks=False) as desk:
        desk.configure("clock: wall", "clock: wall, frozen_after_s: 3")
        hub = desk.start_at("hub", moment + 10 * NS_PER_MINUTE)
        desk.play(moment)
        until(lambda: "in an open market, although the gateway answers" in log(hub), "the hub gives it up")
        desk.play(moment + 5 * NS_PER_MINUTE)
        desk.published(moment + 5 * NS_PER_MINUTE)
        assert log(hub).count("connected") >= 2
