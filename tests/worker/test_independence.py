"""Strategies share bars and nothing else."""

from pathlib import Path

from market import begin, closed_bars, configure, publish, record

from pine.bus import keys
from pine.bus.client import Client
from pine.orders.entries import Intent
from pine.orders.ledger import read_ledger


def test_two_strategies_on_the_same_instruments_decide_as_each_would_alone(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    one, two = begin(client, config, "one"), begin(client, config, "two")
    publish(client, config, closed_bars())
    one.until_caught_up()
    alone = record(client, keys.ledger("one"))
    two.until_caught_up()
    assert record(client, keys.ledger("one")) == alone
    intents = {name: [e for _, e in read_ledger(client, name) if isinstance(e, Intent)] for name in ("one", "two")}
    assert all(intents.values())
    assert all(intent.id.startswith(name) for name, found in intents.items() for intent in found)
    ledgers = {name: run.source.desk.portfolio for name, run in (("one", one), ("two", two))}
    assert ledgers["one"].cash != ledgers["two"].cash
    assert abs(ledgers["two"].cash - 50_000) < 25_000


def test_every_instrument_of_a_strategy_is_traded(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    run.until_caught_up()
    traded = {entry.symbol for _, entry in read_ledger(client, "one") if isinstance(entry, Intent)}
    assert traded == {"ES", "GC"}


def test_hours_that_the_hub_published_otherwise_are_an_alert(client: Client, tmp_path: Path) -> None:
    from attrs import evolve

    from pine.core.timeframe import Timeframe

    config = configure(tmp_path)
    closed = list(closed_bars())[:200]
    at = next(i for i, item in enumerate(closed) if any(bar.timeframe is Timeframe.HOUR for bar in item.bars))
    wrong = tuple(
        evolve(bar, volume=bar.volume + 1) if bar.timeframe is Timeframe.HOUR and bar.symbol == "ES" else bar
        for bar in closed[at].bars
    )
    closed[at] = evolve(closed[at], bars=wrong)
    run = begin(client, config, "one")
    publish(client, config, closed)
    run.until_caught_up()
    assert len(run.engine.alerts) == 1
    assert run.engine.alerts[0].startswith("bars disagree: ES hourly")
