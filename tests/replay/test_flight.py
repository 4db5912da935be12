"""A replay of what a live hub and worker left behind thinks the same, bit for bit."""

from pathlib import Path

import pytest
from life import lived, replayed
from market import begin, closed_bars, configure, publish

from pine.bus import keys
from pine.bus.client import Client
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_MINUTE
from pine.feeds.steps import Step
from pine.history.archive import Archive
from pine.history.run import seal_once
from pine.orders.entries import Control, Void
from pine.replay.flights import Life
from pine.replay.parity import compare
from pine.replay.trades import trades_of

POSITION = {"order": "position", "symbol": "GC", "who": "desk", "reason": "the broker says so"}


@pytest.mark.parametrize("name", ["one", pytest.param("two", marks=pytest.mark.long)])
def test_a_replay_gives_the_flights_intents_and_fills_of_the_worker(name: str, client: Client, tmp_path: Path) -> None:
    config, life = lived(client, tmp_path, name)
    run = replayed(config, client, life)
    live = life.record(config, run.record.facts.begin)
    assert run.alerts == ()
    assert live.table("flights").height > 20
    assert live.table("intents").height > 10
    for table, frame in live.tables.items():
        assert run.record.table(table).equals(frame), table
    assert compare(live, run.record).same


def test_what_operators_and_couriers_asked_is_booked_at_the_same_steps(client: Client, tmp_path: Path) -> None:
    """A flatten, a halt that is lifted, an entry that was never posted, and a position as the broker has it."""
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    asked = iter(
        [
            (900, {"order": "flatten", "who": "desk", "reason": "lunch"}),
            (1000, {"order": "halt", "who": "desk", "reason": "news"}),
            (1400, {"order": "resume", "who": "worker", "reason": "over"}),
            (1450, {**POSITION, "quantity": "-2", "contract": "GCJ4", "price": "2100.5"}),
            (1490, {**POSITION, "quantity": "0", "contract": "", "price": "2099.5"}),
        ]
    )
    following = next(asked)
    source, newest = run.source, closed_bars()[-1].boundary
    voided: list[str] = []
    done = 0

    def ask(step: Step) -> bool:
        nonlocal following, done
        done += 1
        source.booking._looked_at = 0.0  # look at requests before every step, whatever the time
        if following is not None and done >= following[0]:
            client.xadd(keys.control("one"), {"request": _json(following[1])})
            following = next(asked, None)
        if not voided and done > 1500 and source.desk.portfolio.positions:
            position = next(iter(source.desk.portfolio.positions.values()))
            voided.append(position.entry)
            client.xadd(keys.deliveries("one"), {"intent": position.entry, "state": "rejected", "at": "1"})
            request = {"order": "void", "intent": position.entry, "reason": "rejected"}
            client.xadd(keys.control("one"), {"request": _json(request)})
        return step.ts == newest

    run.until(ask)
    life = Life("one", Archive.of(config), client)
    kinds = [entry for _, entry in life.entries if isinstance(entry, Control | Void)]
    assert [entry.order for entry in kinds if isinstance(entry, Control)] == ["flatten", "halt", "resume"]
    assert [entry.intent for entry in kinds if isinstance(entry, Void)] == voided
    again = replayed(config, client, life)
    live = life.record(config, again.record.facts.begin)
    assert live.table("requests").height == 6
    for table, frame in live.tables.items():
        assert again.record.table(table).equals(frame), table
    mine, theirs = trades_of(live), trades_of(again.record)
    assert mine.equals(theirs)
    assert mine["reason"].to_list().count("correction") == 1


def _json(request: dict[str, str]) -> bytes:
    import orjson

    return orjson.dumps(request)


def test_a_life_that_is_only_in_the_archive_is_replayed_from_there(client: Client, tmp_path: Path) -> None:
    config, life = lived(client, tmp_path)
    seal_once(config, client, lambda *_: None)
    sealed = Life("one", Archive.of(config), None)
    run = replayed(config, None, sealed)
    live = life.record(config, run.record.facts.begin, run.record.facts.end)
    last = run.record.facts.end
    assert last > life.end - 26 * 60 * NS_PER_MINUTE
    for table in ("flights", "values", "intents", "fills"):
        frame = live.table(table)
        assert run.record.table(table).equals(frame.filter(frame["step"] <= last)), table
    assert run.record.table("flights").height > 20


def test_a_worker_that_began_with_history_is_replayed_with_the_same(client: Client, tmp_path: Path) -> None:
    from market import CONFIG

    from pine.core.timeframe import Timeframe
    from pine.worker.coldstart import ColdStart

    config = configure(tmp_path, CONFIG.replace("warm_up: off", "warm_up: {daily: 1, hourly: 1, buy: false}"))
    closed = closed_bars()
    middle = next(n for n, item in enumerate(closed) if item.boundary > closed[0].boundary + 30 * 60 * NS_PER_MINUTE)
    publish(client, config, closed[:middle])
    timeframes = (Timeframe.HOUR, Timeframe.DAY)
    stop, reach = __import__("threading").Event(), config.warm_up_of("one")
    history = ColdStart(config, "one", client, timeframes, reach, stop, lambda _: None, lambda _: None).run()
    assert history is not None
    run = begin(client, config, "one", history)
    publish(client, config, closed[middle:])
    run.until_caught_up()
    life = Life("one", Archive.of(config), client)
    assert life.origin.warm_up is not None
    again = replayed(config, client, life)
    live = life.record(config)
    assert live.table("flights").height > 10
    assert compare(live, again.record).same
    for table, frame in live.tables.items():
        assert again.record.table(table).equals(frame), table


@pytest.mark.parametrize("payload", [b"not json", b"{}", b"[]"])
def test_a_flight_record_that_is_none_is_named(payload: bytes, client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    begin(client, config, "one")
    client.xadd(keys.flight("one"), {"flight": payload}, id="1709510400000-0")
    with pytest.raises(DataError, match=r"flight:one 1709510400000-0: found .*expected a flight record"):
        list(Life("one", Archive.of(config), client).flights())
