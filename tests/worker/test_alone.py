"""Requests that are booked while no worker lives leave what the worker itself would have left."""

import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from market import Run, begin, closed_bars, configure, publish, written

from pine.bus import keys
from pine.bus.client import Client
from pine.core.config import Config
from pine.feeds.steps import Step
from pine.ops.control import Request, ask
from pine.orders.entries import Control, Fill, Intent
from pine.orders.ledger import read_ledger
from pine.orders.requests import ask_order, ask_position
from pine.worker.alone import book_alone

STEPS = 900


def live_on(client: Client, config: Config, then: Callable[[Run], bool]) -> Run:
    """Let a worker live up to a step at which it holds something; `then` says whether it ends there."""
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    count, reached = iter(range(100_000)), False

    def look(step: Step) -> bool:
        nonlocal reached
        if not reached and next(count) >= STEPS and run.source.desk.portfolio.positions:
            reached = True
            return then(run)
        return step.ts == closed_bars()[-1].boundary

    return run.until(look)


def dead(client: Client, config: Config) -> Run:
    """Let a worker live up to there, and end."""
    return live_on(client, config, lambda run: True)


def without_requests(found: dict[str, list]) -> list[tuple[str, bytes]]:
    """Return a ledger without the ids that the server gave to requests."""
    entries = [(identifier, fields[b"entry"]) for identifier, fields in found[keys.ledger("one")]]
    requests = sorted({part for _, entry in entries for part in _requests(entry)})
    for n, request in enumerate(requests):
        entries = [(identifier, entry.replace(request, b"request-%d" % n)) for identifier, entry in entries]
    return entries


def _requests(entry: bytes) -> list[bytes]:
    request = orjson.loads(entry).get("request")
    return [request.encode()] if request else []


@pytest.mark.parametrize("order", ["flatten", pytest.param("halt", marks=pytest.mark.long)])
def test_a_dead_workers_ledger_is_as_if_it_had_booked_the_order_itself(order, client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    dead(client, config)
    answer = ask(config, client, "one", order, who="anna", reason="enough")
    assert answer.step is not None
    assert [state for _, state in answer.intents] == ["paper only"] * len(answer.intents)
    assert not client.exists(keys.lease("worker:one"))
    begin(client, config, "one").until_caught_up()
    by_command = without_requests(written(client))

    client.flushall()  # type: ignore[attr-defined]  # the test's own server

    def booked_alive(run: Run) -> bool:
        client.xadd(keys.control("one"), {**ask_order(order, "anna", "enough")})
        run.source.booking._looked_at = 0.0  # it looks for requests before its next step
        return False

    live_on(client, config, booked_alive)
    assert without_requests(written(client)) == by_command


def test_an_order_is_booked_once_however_often_it_is_looked_for(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    dead(client, config)
    held = begin(client, config, "one").source
    contracts = {p.contract for p in held.desk.portfolio.positions.values()}
    held.lease.release()
    answer = ask(config, client, "one", "flatten", who="anna", reason="enough")
    assert {intent.contract for intent, _ in answer.intents} == contracts
    assert book_alone(config, "one", client)
    entries = [entry for _, entry in read_ledger(client, "one")]
    assert sum(isinstance(entry, Control) for entry in entries) == 1
    begin(client, config, "one").until_step(3)
    closed = [e for _, e in read_ledger(client, "one") if isinstance(e, Intent) and e.reason == "flatten"]
    filled = {e.intent for _, e in read_ledger(client, "one") if isinstance(e, Fill)}
    assert len(closed) == len(contracts)
    assert {intent.id for intent in closed} <= filled


def test_a_living_workers_role_is_not_taken(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:50])
    assert not book_alone(config, "one", client)
    answer = ask(config, client, "one", "halt", who="anna", reason="lunch", patience=0.2)
    assert answer.step is None
    assert "is without a sign of life and books it next" in answer.waits_for
    run.until_caught_up()
    assert [e.order for _, e in read_ledger(client, "one") if isinstance(e, Control)] == ["halt"]


@pytest.mark.parametrize(
    ("contract", "force"), [("ES MAR24", "yes"), ("ESM4", "yes"), ("MESH4", "yes"), ("ESH2024", "yes"), ("", "yes")]
)
def test_a_position_in_no_contract_that_leads_is_refused_and_harms_nobody(
    contract: str, force: str, client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:200])
    run.until_caught_up()
    fields = ask_position("ES", contract, 1, 5000.0, "anna", "typo", force=bool(force))
    answer = Request.put(config, client, "one", "position", fields).book(time.monotonic() + 10)
    assert (answer.step, bool(answer.refused)) == (None, True)
    assert ask(config, client, "one", "halt", who="anna", reason="after it").step is not None
    begin(client, config, "one").source.lease.release()


def test_a_strategy_that_has_never_run_is_halted_before_its_first_step(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    answer = ask(config, client, "one", "halt", who="anna", reason="not yet")
    assert answer.step is None
    assert answer.never_run
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:600])
    run.until_caught_up()
    entries = [entry for _, entry in read_ledger(client, "one")]
    assert [type(entry).__name__ for entry in entries] == ["Origin", "Control"]
