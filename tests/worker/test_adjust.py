"""A roll with `adjust`: what a strategy sees is in the present contract's prices, what is traded is not."""

from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import sessions
from market import publish, record
from sessions import SMALL, config_of, publish_until, start

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.core.times import parse_time
from pine.feeds.adjust import adjusted
from pine.orders.entries import Fill, Intent
from pine.orders.ledger import read_ledger
from pine.strategies.base import BaseStrategy
from pine.worker import engine as engine_module

ROLL = parse_time("2024-03-12T23:00")
BEFORE = parse_time("2024-03-12T15:12")
"""Some hours before ES rolls from ESH4 to ESM4."""
NOT_BUYING = SMALL.replace("}", ", buy: false}")


def rest(step: int, hours: int = 24) -> list[Any]:
    return [item for item in sessions.closed() if step < item.boundary <= step + hours * NS_PER_HOUR]


class Seeing(BaseStrategy):
    """Buys and sells again and again, and notes what each strategy object was shown."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR, Timeframe.DAY)
    lives: ClassVar[list[list[Bar]]]

    def __init__(self) -> None:
        self.lives.append([])

    def on_bar(self, bar: Bar) -> None:
        """Buy, and sell some bars later."""
        self.lives[-1].append(bar)
        if bar.timeframe is Timeframe.HOUR:
            seen = [b.close for b in self.lives[-1] if (b.symbol, b.timeframe) == (bar.symbol, bar.timeframe)]
            self.surroundings.observe(bar.symbol, {"mean": sum(seen[-30:]) / len(seen[-30:])})
            if bar.symbol not in self.surroundings.account.positions:
                self.surroundings.enter(bar.symbol, "always", {})
            elif bar.start // NS_PER_HOUR % 3 == 0:  # and so it holds something when the session ends
                self.surroundings.exit(bar.symbol, "enough", {})


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> list[list[Bar]]:
    kind = type("Seen", (Seeing,), {"lives": [], "__module__": __name__})
    for module in (engine_module, sessions):
        monkeypatch.setattr(module, "strategy_class", lambda _: kind)
    return kind.lives


def of(bars: list[Bar], symbol: str, timeframe: Timeframe) -> list[Bar]:
    return [bar for bar in bars if (bar.symbol, bar.timeframe) == (symbol, timeframe)]


@pytest.mark.parametrize("how", ["difference", "ratio"])
def test_at_a_roll_the_past_moves_and_fills_stay_raw(
    how: Any, client: Client, tmp_path: Path, seeing: list[list[Bar]]
) -> None:
    config = config_of(tmp_path, NOT_BUYING, more=f", adjust: {how}")
    publish_until(client, config, BEFORE)
    run = start(client, config)
    publish(client, config, rest(BEFORE))
    run.until_caught_up()
    first, second = seeing
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        raw = sessions.bars("ES", timeframe)
        assert set(of(first, "ES", timeframe)) <= set(raw), "no roll is behind it yet"
        moved = adjusted([bar for bar in raw if bar.start < BEFORE + 24 * NS_PER_HOUR], [], how)
        found = of(second, "ES", timeframe)
        assert set(found) <= set(moved)
        assert any(bar not in raw for bar in found)
        assert set(of(second, "GC", timeframe)) <= set(sessions.bars("GC", timeframe))
    entries = [entry for _, entry in read_ledger(client, "one")]
    minutes = {(bar.symbol, bar.start): bar for s in sessions.ROOTS for bar in sessions.bars(s, Timeframe.MINUTE)}
    fills = [entry for entry in entries if isinstance(entry, Fill)]
    assert len(fills) > 12
    rolled = {entry.id for entry in entries if isinstance(entry, Intent) and entry.reason == "roll"}
    assert rolled
    for fill in fills:
        if fill.intent not in rolled and (bar := minutes.get((fill.symbol, fill.time))) is not None:
            assert fill.price in (bar.open, bar.close)
    prices = {e.price for e in entries if isinstance(e, Intent) and e.symbol == "ES"}
    assert prices <= {bar.close for bar in sessions.bars("ES", Timeframe.MINUTE)}


def test_started_again_or_begun_after_the_roll_it_sees_the_same(
    client: Client, tmp_path: Path, seeing: list[list[Bar]]
) -> None:
    config = config_of(tmp_path, NOT_BUYING, more=", adjust: difference")
    publish_until(client, config, BEFORE)
    run = start(client, config)
    publish(client, config, rest(BEFORE))
    run.until(lambda step: step.ts == ROLL + NS_PER_HOUR)
    start(client, config).until_caught_up()
    split = record(client, keys.flight("one")), record(client, keys.ledger("one"))
    for stream in (keys.flight("one"), keys.ledger("one"), keys.warm_up("one")):
        client.delete(stream)  # type: ignore[attr-defined]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    cut = streams.entry_id(BEFORE // 1_000_000)
    entries = list(streams.read_range(client, keys.CLOCK, f"({cut}"))
    for identifier, _ in entries:
        client.xdel(keys.CLOCK, identifier)  # type: ignore[attr-defined]
    kept = list(streams.read_range(client, keys.CLOCK))
    client.delete(keys.CLOCK)  # type: ignore[attr-defined]
    for identifier, fields in kept[-1:]:
        client.xadd(keys.CLOCK, fields, id=identifier)  # type: ignore[arg-type]
    unbroken = start(client, config)
    for identifier, fields in entries:
        client.xadd(keys.CLOCK, fields, id=identifier)  # type: ignore[arg-type]
    unbroken.until_caught_up()
    assert (record(client, keys.flight("one")), record(client, keys.ledger("one"))) == split
    assert sum(b'"warmed_up"' in fields[b"flight"] for _, fields in split[0]) == 2
    observed = {i: orjson.loads(fields[b"flight"])["observed"] for i, fields in split[0]}
    for stream in (keys.flight("one"), keys.ledger("one"), keys.warm_up("one")):
        client.delete(stream)  # type: ignore[attr-defined]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    client.delete(keys.CLOCK)  # type: ignore[attr-defined]
    late = ROLL + 4 * NS_PER_HOUR
    clock = [*kept, *entries]
    for identifier, fields in clock:
        if streams.ms_of(identifier) <= late // 1_000_000:
            client.xadd(keys.CLOCK, fields, id=identifier)  # type: ignore[arg-type]
    begun = start(client, config)
    assert begun.source.origin is not None
    assert begun.source.origin.origin == late // 1_000_000
    for identifier, fields in clock:
        if streams.ms_of(identifier) > late // 1_000_000:
            client.xadd(keys.CLOCK, fields, id=identifier)  # type: ignore[arg-type]
    begun.until_caught_up()
    later = {i: orjson.loads(fields[b"flight"])["observed"] for i, fields in record(client, keys.flight("one"))}
    assert len(later) > 5
    assert later == {i: facts for i, facts in observed.items() if i in later}
