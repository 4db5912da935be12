"""A hole that is filled later: live, started again and from scratch, a strategy is warmed up again at one step."""

import threading
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import sessions
from attrs import evolve
from holes import HOLES, Hole, broken, fill, overlaps
from market import publish, record
from sessions import ROOTS, START, after, config_of, publish_until, start

from pine.bus import keys
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.feeds.steps import Step
from pine.hub.aggregator import Event
from pine.strategies.base import BaseStrategy
from pine.worker import engine as engine_module

NOT_BUYING = "{daily: 4, hourly: 3, minute: 1, buy: false}"


@pytest.fixture(params=HOLES)
def hole(request: pytest.FixtureRequest) -> Hole:
    """First and last minute that were lost, and the step from which on they are there."""
    first, last, at = map(parse_time, HOLES[request.param])
    return first, last, at


def flights(client: Client) -> list[tuple[str, dict[bytes, bytes]]]:
    return record(client, keys.flight("one"))


def begin(client: Client, folder: Path, **more: Any):
    config = config_of(folder, NOT_BUYING, **more)
    publish_until(client, config)
    return config, start(client, config)


def test_live_again_and_from_the_beginning_see_the_same(client: Client, tmp_path: Path, hole: Hole) -> None:
    config, run = begin(client, tmp_path)
    everything = broken(hole)
    publish(client, config, [item for item in everything if item.boundary < hole[2]])
    run.until_caught_up()
    before = len(flights(client))
    fill(config, hole)
    publish(client, config, everything)
    live = start(client, config).until(lambda step: step.ts == hole[2] + 3 * NS_PER_MINUTE)
    assert live.engine.alerts == []
    ended = start(client, config).until_caught_up()
    assert ended.engine.alerts == []
    expected = flights(client)
    assert sum(b'"warmed_up"' in fields[b"flight"] for _, fields in expected) == 2
    ledger = record(client, keys.ledger("one"))
    for stream in (keys.flight("one"), keys.ledger("one")):
        first = record(client, stream)[:1] if stream == keys.ledger("one") else []
        client.delete(stream)  # type: ignore[attr-defined]
        for identifier, fields in first:
            client.xadd(stream, fields, id=identifier)  # type: ignore[arg-type]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    start(client, config).until_caught_up()
    assert flights(client) == expected
    assert record(client, keys.ledger("one")) == ledger
    assert len(expected) > before


@pytest.mark.long
def test_ended_at_the_very_step_it_does_the_same(client: Client, tmp_path: Path, hole: Hole) -> None:
    config, run = begin(client, tmp_path)
    publish(client, config, broken(hole))
    fill(config, hole)
    run.until(lambda step: step.ts == hole[2] - NS_PER_MINUTE)
    dead = start(client, config)
    assert dead.source.warm_up() is not None
    while (step := dead.source.next()) is not None and not step.live:
        dead.source.done(step, engine_module.Outcome((), None))
    assert step is not None
    assert step.ts == hole[2]
    dead.source.lease.release()  # it had read the step with the refill, and did nothing with it
    start(client, config).until_caught_up()
    split = flights(client)
    for stream in (keys.flight("one"), keys.ledger("one"), keys.warm_up("one")):
        client.delete(stream)  # type: ignore[attr-defined]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    client.delete(keys.CLOCK)  # type: ignore[attr-defined]
    client.xadd(keys.CLOCK, {"prev": ""}, id=f"{START // 1_000_000}-0")
    fresh = start(client, config)
    previous = START
    for item in broken(hole):
        client.xadd(keys.CLOCK, {"prev": f"{previous // 1_000_000}-0"}, id=f"{item.boundary // 1_000_000}-0")
        previous = item.boundary
    fresh.until_caught_up()
    assert flights(client) == split


class Shown(BaseStrategy):
    """Writes down what each strategy object is shown."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR, Timeframe.DAY)
    lives: ClassVar[list[list[Bar]]]

    def __init__(self) -> None:
        self.lives.append([])

    def on_bar(self, bar: Bar) -> None:
        """Look only."""
        self.lives[-1].append(bar)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[Bar]]:
    kind = type("Shown", (Shown,), {"lives": [], "__module__": __name__})
    for module in (engine_module, sessions):
        monkeypatch.setattr(module, "strategy_class", lambda _: kind)
    return kind.lives


def test_hours_and_days_are_whole_again_and_nothing_is_shown_twice(
    client: Client, tmp_path: Path, hole: Hole, shown: list[list[Bar]]
) -> None:
    config, run = begin(client, tmp_path)
    fill(config, hole)
    publish(client, config, broken(hole))
    run.until_caught_up()
    first, second = shown
    assert not any(overlaps(bar, hole) for bar in first)
    truth = {bar for timeframe in (Timeframe.HOUR, Timeframe.DAY) for s in ROOTS for bar in sessions.bars(s, timeframe)}
    assert set(second) <= truth
    assert len(second) == len(set(second))
    assert {bar for bar in truth if overlaps(bar, hole)} <= set(second)
    oldest = min(bar.start for bar in second if bar.timeframe is Timeframe.HOUR)
    hours = [bar for bar in truth if bar.timeframe is Timeframe.HOUR and oldest <= bar.start]
    assert set(hours) == {bar for bar in second if bar.timeframe is Timeframe.HOUR}
    assert run.engine.alerts == []


def test_it_decides_nothing_before_it_can_read_what_the_hub_named(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last, at = map(parse_time, HOLES["in one session"])
    hole = first, last, at
    monkeypatch.setattr("pine.worker.live.REFILL_SECONDS", 0.02)
    config, run = begin(client, tmp_path)
    publish(client, config, broken(hole))
    done: list[int] = []
    waiting = threading.Event()
    monkeypatch.setattr(run.source, "on_beat", dict)

    def sign(status: str) -> None:
        if status == "waiting for a refill":
            waiting.set()

    monkeypatch.setattr(run.source.vitals.__class__, "sign", lambda _self, status: sign(status))

    def look(step: Step) -> bool:
        done.append(step.ts)
        return step.ts == at + 5 * NS_PER_MINUTE

    working = threading.Thread(target=run.until, args=(look,))
    working.start()
    assert waiting.wait(60)
    assert max(done) == at - NS_PER_MINUTE
    said = [r.fields for r in caplog.records if "refill cannot be read" in r.getMessage()]  # type: ignore[attr-defined]
    assert [fields["symbol"] for fields in said] == ["ES"]
    assert "found 0 minutes" in said[0]["reason"]
    fill(config, hole)
    working.join(60)
    assert max(done) == at + 5 * NS_PER_MINUTE


def test_a_refill_of_what_was_never_missed_changes_nothing(client: Client, tmp_path: Path) -> None:
    first, last, at = map(parse_time, HOLES["in one session"])
    config, run = begin(client, tmp_path)
    items = [
        evolve(
            item,
            events=(Event("refill", "ES", {"first_minute": first, "last_minute": last, "minutes": 1, "digest": ""}),),
        )
        if item.boundary == at
        else item
        for item in after()
    ]
    publish(client, config, items)
    run.until_caught_up()
    assert sum(b'"warmed_up"' in fields[b"flight"] for _, fields in flights(client)) == 1
    assert run.engine.alerts == []


def test_the_account_is_not_touched(client: Client, tmp_path: Path) -> None:
    first, last, at = map(parse_time, HOLES["in one session"])
    config, run = begin(client, tmp_path)
    fill(config, (first, last, at))
    publish(client, config, broken((first, last, at)))
    seen: dict[int, tuple[float, dict[str, Any]]] = {}

    def look(step: Step) -> bool:
        portfolio = run.source.desk.portfolio
        seen[step.ts] = (portfolio.cash, dict(portfolio.positions))
        return step.ts == at + NS_PER_MINUTE

    run.until(look)
    entries = [orjson.loads(fields[b"entry"]) for i, fields in record(client, keys.ledger("one"))]
    assert [e["kind"] for e in entries if e.get("step") == at] in ([], ["intent"])
    assert seen[at - NS_PER_MINUTE][1].keys() == seen[at][1].keys()


@pytest.mark.long
def test_a_strategy_that_began_without_warm_up_is_fed_the_default_sessions(client: Client, tmp_path: Path) -> None:
    hole = parse_time("2024-03-13T16:20"), parse_time("2024-03-13T18:09"), parse_time("2024-03-13T19:05")
    config = config_of(tmp_path, "off")
    publish_until(client, config)
    run = start(client, config)
    fill(config, hole)
    publish(client, config, broken(hole))
    run.until(lambda step: step.ts == hole[2] + 90 * NS_PER_MINUTE)
    start(client, config).until_caught_up()
    split, ledger = flights(client), record(client, keys.ledger("one"))
    assert sum(b'"warmed_up"' in fields[b"flight"] for _, fields in split) == 1
    client.delete(keys.flight("one"), keys.ledger("one"))  # type: ignore[attr-defined]
    client.xadd(keys.ledger("one"), ledger[0][1], id=ledger[0][0])  # type: ignore[arg-type]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    start(client, config).until_caught_up()
    assert flights(client) == split
    assert record(client, keys.ledger("one")) == ledger
