"""What ledgers, deliveries and market events mean to a person."""

import orjson

from pine.core.config import SessionConfig
from pine.core.period import SessionClose, SessionRule
from pine.core.times import parse_time
from pine.ops.alerts.counters import QUIET_S, Counters, Reading
from pine.ops.alerts.events import StrategyRecord, market_events
from pine.ops.alerts.message import Message
from pine.ops.alerts.summary import StrategyDay, due
from pine.orders.entries import Control, Entry, Fill, Intent, Origin, Void
from pine.orders.ledger import Deliveries

STEP = parse_time("2024-03-05T14:00")
RULE = SessionRule(SessionClose.parse(SessionConfig().close), "equity", True)


def intent(n: int, action: str = "buy", entry: str | None = None) -> Intent:
    return Intent(f"one-{n}", STEP, "ES", action, "ESH4", "ESH2024", 1, 5100.0, "IBS entry", entry=entry)  # type: ignore[arg-type]


def fill(n: int, pnl: float | None = None, time: int = STEP) -> Fill:
    return Fill(f"one-{n}", "ES", "ESH4", 1 if pnl is None else -1, 1, 5100.25, time, 1.25, pnl)


def round_trip(n: int, pnl: float, time: int = STEP) -> list[Entry]:
    return [intent(n), fill(n, None, time), intent(n + 1, "exit", f"one-{n}"), fill(n + 1, pnl, time)]


def record(*entries: Entry) -> tuple[StrategyRecord, list[Message]]:
    found = StrategyRecord("one", 150_000, 500, RULE, " -c p.yaml")
    return found, [message for entry in entries for message in found.entry(entry)]


def test_the_daily_stop_is_told_at_the_fill_that_reaches_it_once_in_a_session() -> None:
    later = parse_time("2024-03-06T14:00")
    entries = [
        *round_trip(0, -300),
        *round_trip(2, -200),
        *round_trip(4, -50),
        *round_trip(6, -300, later),
        *round_trip(8, -300, later),
    ]
    _, told = record(Origin(0, 0), *entries)
    stops = [message for message in told if message.kind == "stop_loss"]
    assert [message.title for message in stops] == ["one: daily stop reached"] * 2
    assert stops[0].body.startswith("-500.00 dollars of -500.00. No new entries until 2024-03-05 23:00 UTC")
    assert stops[0].urgent


def test_halts_say_who_and_why_and_what_to_do() -> None:
    _, told = record(
        Control("halt", "lunch", "anna", "1-0"),
        Control("flatten", "storm", "ben", "2-0"),
        Control("resume", "fed", "anna", "3-0"),
        Control("halt", "strategy error: ZeroDivisionError: division by zero (mine.py line 12)", "worker", "step-1"),
    )
    assert [(m.kind, m.title, m.good) for m in told] == [
        ("halt", "one is halted", False),
        ("halt", "one is flattened", False),
        ("halt", "one is resumed", True),
        ("halt", "one is halted", False),
    ]
    assert told[0].body == "By anna: lunch\nNo new entries, exits go. pine resume one -c p.yaml"
    assert "mine.py line 12" in told[3].body


def test_entries_and_exits_are_told_with_price_reason_and_profit() -> None:
    _, told = record(*round_trip(0, 237.5))
    assert [(m.kind, m.title) for m in told] == [
        ("entry", "one bought 1 ESH4 at 5100.25"),
        ("exit", "one closed 1 ESH4 at 5100.25, +237.50 dollars"),
    ]


def test_a_failed_delivery_is_told_once_with_the_answer_and_the_command() -> None:
    kept, _ = record(intent(0), intent(1))
    states = ("attempt", "retry", "attempt", "unknown", "unknown", "not posted")
    told = [m for state in states for m in kept.delivery({"intent": "one-0", "state": state, "text": "timeout"})]
    assert [message.title for message in told] == ["one: buy 1 ESH4 may or may not have been posted"]
    assert "pine orders resolve one-0 --posted -c p.yaml" in told[0].body
    (rejected,) = kept.delivery({"intent": "one-1", "state": "rejected", "status": "400", "text": "bad ticker"})
    assert (rejected.title, rejected.urgent) == ("one: buy 1 ESH4 was rejected", True)
    assert rejected.body.startswith("one-1 (400: bad ticker)\npine orders --strategy one")
    assert kept.delivery({"intent": "one-1", "state": "posted"}) == []
    assert kept.delivery({"who": "wrote this by hand"}) == []


def event(kind: str, symbol: str, first: int = STEP) -> dict[bytes, bytes]:
    return {b"event": orjson.dumps({"kind": kind, "symbol": symbol, "first_minute": first, "last_minute": first})}


def test_what_befalls_all_roots_at_one_step_is_one_message() -> None:
    entries = [(f"1000-{n}", event("gap", symbol)) for n, symbol in enumerate(("ES", "GC", "6E"))]
    entries += [("1000-3", event("roll", "ES")), ("2000-0", event("refill", "ES")), ("3000-0", {b"event": b"junk"})]
    gap, refill = market_events(entries)
    assert (gap.title, gap.urgent) == ("ES, GC, 6E: minutes are missing", True)
    assert gap.body.startswith("Minutes 2024-03-05 14:00 UTC to 2024-03-05 14:00 UTC.")
    assert (refill.title, refill.good) == ("ES: a gap was filled", True)


def test_counts_are_told_as_they_grow_at_most_hourly_and_over_restarts_of_who_counts() -> None:
    counters = Counters()

    def look(second: float, life: int, count: int) -> list[str]:
        reading = Reading("late_trades", "", life, count)
        return [m.title for m in counters.look(iter([reading]), round(second * 1e9))]

    assert look(0, 1, 7) == []  # what was before the first look is history
    assert look(10, 1, 9) == ["2 late trades"]
    assert look(20, 1, 10) == []
    assert look(30, 2, 3) == []
    assert look(10 + QUIET_S, 2, 3) == ["4 late trades"]
    assert look(20 + QUIET_S, 2, 3) == []
    assert counters.total("late_trades") == 6


def test_a_day_counts_what_lies_in_it_and_no_voided_trade() -> None:
    begin, end = parse_time("2024-03-04T23:05"), parse_time("2024-03-05T23:05")
    entries = [*round_trip(0, 100.0), *round_trip(2, 50.0, end), *round_trip(4, 70.0), Void("one-4", "rejected", "1")]
    deliveries = Deliveries()
    for n, state in ((0, "posted"), (1, "posted"), (4, "rejected"), (5, "skipped")):
        deliveries.apply({"intent": f"one-{n}", "state": state})
    refused = ["daily stop: -1.0 of -500.0 dollars", "daily stop: -2.0 of -500.0 dollars", "halted: lunch"]
    day = StrategyDay.of(entries, deliveries, refused, begin, end)
    assert (day.trades, day.pnl, day.posted, day.failed) == (1, 100.0, 2, 1)
    assert day.refused == {"daily stop": 2, "halted: lunch": 1}


def test_a_summary_is_due_at_its_time_of_day() -> None:
    assert due(parse_time("2024-03-05T23:04:59"), "23:05") == parse_time("2024-03-04T23:05")
    assert due(parse_time("2024-03-05T23:05"), "23:05") == parse_time("2024-03-05T23:05")
