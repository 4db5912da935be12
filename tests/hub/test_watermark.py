"""When minutes close, and what comes too late or claims to come from the future."""

import pytest
from tapes import ESH4, MINUTE, RULES, SECOND, at, fresh, lines, play, trades

from pine.hub import clock as clocks
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock, WallClock

T = at("2024-03-05T14:00")


class StoppedClock(WallClock):
    """A wall clock that a test sets."""

    def __init__(self, now: int) -> None:
        self.present = now

    def now(self) -> int:
        return self.present


def test_a_minute_closes_when_a_trade_passes_its_end_by_the_lateness() -> None:
    aggregator = fresh()
    assert lines(play(aggregator, trades([(T, ESH4, 10, 1), (T + MINUTE + 249_999_999, ESH4, 11, 1)]))) == []
    assert len(lines(play(aggregator, trades([(T + MINUTE + 250_000_000, ESH4, 11, 1)])))) == 1


def test_a_heartbeat_closes_a_quiet_minute_one_second_later() -> None:
    aggregator = fresh()
    play(aggregator, trades([(T, ESH4, 10, 1)]))
    aggregator.heartbeat(T + MINUTE + SECOND + 249_999_999)
    assert aggregator.advance() == []
    aggregator.heartbeat(T + MINUTE + SECOND + 250_000_000)
    assert [b[1] for b in lines(aggregator.advance())] == [T]


def test_a_trade_for_a_closed_minute_is_late_counted_and_left_out() -> None:
    aggregator = fresh()
    rows = [(T, ESH4, 10, 1), (T + MINUTE + SECOND, ESH4, 11, 1), (T + 30 * SECOND, ESH4, 99, 1)]
    closed = play(aggregator, trades(rows), until=T + 3 * MINUTE)
    assert [b[2:7] for b in lines(closed)] == [(10.0, 10.0, 10.0, 10.0, 1), (11.0, 11.0, 11.0, 11.0, 1)]
    assert aggregator.counts["late"] == 1


def test_a_trade_out_of_order_within_the_lateness_still_counts() -> None:
    rows = [(T, ESH4, 10, 1), (T + MINUTE + 1000, ESH4, 11, 1), (T + MINUTE - 1000, ESH4, 9, 1)]
    closed = play(fresh(), trades(rows), until=T + 3 * MINUTE)
    assert [b[2:7] for b in lines(closed)] == [(10.0, 10.0, 9.0, 9.0, 2), (11.0, 11.0, 11.0, 11.0, 1)]


def test_nothing_closes_during_a_replay_and_nothing_in_it_is_late() -> None:
    aggregator = fresh()
    aggregator.begin_session(replaying=True)
    aggregator.map_instrument(ESH4, "ESH4")
    rows = [(T, ESH4, 10, 1), (T + 5 * MINUTE, ESH4, 11, 1), (T + MINUTE, ESH4, 12, 1)]
    assert play(aggregator, trades(rows)) == []
    aggregator.end_replay()
    assert [b[1] for b in lines(aggregator.advance())] == [T, T + MINUTE]


def test_minutes_that_began_before_the_replay_did_are_left_out() -> None:
    aggregator = fresh()
    aggregator.begin_session(replaying=True, floor=T + MINUTE)
    aggregator.map_instrument(ESH4, "ESH4")
    play(aggregator, trades([(T + 50 * SECOND, ESH4, 10, 1), (T + MINUTE, ESH4, 11, 1)]))
    aggregator.end_replay()
    assert [b[1] for b in lines(play(aggregator, until=T + 3 * MINUTE))] == [T + MINUTE]


def test_after_a_reconnection_the_open_minute_is_built_anew_from_its_beginning() -> None:
    aggregator = fresh()
    rows = [(T, ESH4, 10, 1), (T + MINUTE + SECOND, ESH4, 11, 5)]
    before = play(aggregator, trades(rows))
    aggregator.begin_session(replaying=True, floor=aggregator.closed_until)
    aggregator.map_instrument(ESH4, "ESH4")
    again = trades([*rows, (T + MINUTE + 2 * SECOND, ESH4, 12, 1)])
    play(aggregator, again)
    aggregator.end_replay()
    after = play(aggregator, until=T + 3 * MINUTE)
    assert [(b[1], b[6]) for b in lines(before + after)] == [(T, 1), (T + MINUTE, 6)]
    assert aggregator.counts["late"] == 0


def test_the_watermark_never_runs_more_than_two_seconds_ahead_of_the_clock() -> None:
    clock = StoppedClock(T + 30 * SECOND)
    aggregator = fresh(clock=clock)
    assert lines(play(aggregator, trades([(T, ESH4, 10, 1), (T + MINUTE + 20 * SECOND, ESH4, 11, 1)]))) == []
    clock.present = T + MINUTE + 5 * SECOND
    aggregator.heartbeat(T + MINUTE + 30 * SECOND)
    assert [b[1] for b in lines(aggregator.advance())] == [T]


def test_a_record_far_in_the_future_is_counted_and_moves_nothing() -> None:
    clock = StoppedClock(T)
    aggregator = fresh(clock=clock)
    rows = [(T, ESH4, 10, 1), (T + 400 * MINUTE, ESH4, 99, 1), (T + SECOND, ESH4, 11, 1)]
    play(aggregator, trades(rows))
    clock.present = T + 2 * MINUTE
    assert [b[2:7] for b in lines(play(aggregator, until=T + MINUTE + SECOND))] == [(10.0, 11.0, 10.0, 11.0, 2)]
    assert aggregator.counts["far_ahead"] == 1


def test_a_wild_time_on_a_tape_is_counted_whatever_the_batching() -> None:
    wild = T + 2 * clocks.TAPE_JUMP
    rows = [(T, ESH4, 10, 1), (wild, ESH4, 99, 1), (T + SECOND, ESH4, 11, 1), (wild, ESH4, 98, 1)]
    whole, pieces = fresh(), fresh()
    together = play(whole, trades(rows), until=T + MINUTE)
    apart = play(pieces, *(trades([row]) for row in rows), until=T + MINUTE)
    assert together == apart
    assert lines(together)[0][6] == 2
    assert whole.counts["far_ahead"] == pieces.counts["far_ahead"] == 2


def test_a_flagged_receive_time_does_not_move_the_watermark() -> None:
    aggregator = fresh()
    batch = trades([(T, ESH4, 10, 1), (T + 5 * MINUTE, ESH4, 11, 1)])
    batch["flags"][1] = 8
    assert lines(play(aggregator, batch)) == []
    assert aggregator.watermark == T


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2024-03-05T21:58", "2024-03-05T23:02", ["21:59", "22:00", "23:00", "23:01", "23:02"]),  # the daily halt
        ("2024-03-08T21:59", "2024-03-10T22:01", ["22:00", "23:00", "22:01"]),  # a weekend, clocks change on Sunday
    ],
)
def test_the_clock_ticks_while_a_market_is_open_or_something_closes(first: str, last: str, expected: list) -> None:
    aggregator = fresh(rules={"ES": RULES["ES"]})
    closed = play(aggregator, trades([(at(first), ESH4, 10, 1)]), until=at(last))
    stamps = [item.boundary for item in closed]
    assert [f"{(s // MINUTE) // 60 % 24:02d}:{(s // MINUTE) % 60:02d}" for s in stamps] == expected


def test_an_aggregator_without_trades_closes_nothing() -> None:
    aggregator = Aggregator(RULES, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.heartbeat(T)
    assert aggregator.advance() == []


@pytest.mark.parametrize("ts", [0, (1 << 64) - 1, 1 << 63, T + 365 * 24 * 60 * MINUTE])
def test_a_heartbeat_with_a_wild_time_is_counted_and_moves_nothing(ts: int) -> None:
    aggregator = fresh()
    play(aggregator, trades([(T, ESH4, 10, 1)]))
    aggregator.heartbeat(ts)
    assert aggregator.advance() == []
    assert aggregator.watermark == T
    assert aggregator.counts["wild_heartbeat"] == 1


def test_what_was_left_out_while_the_clock_was_behind_is_replayed_and_nothing_closes_before() -> None:
    rows = [(T + n * 20 * SECOND, ESH4, 10 + n, 1) for n in range(40)]
    expected = lines(play(fresh(), trades(rows), until=T + 15 * MINUTE))
    clock = StoppedClock(T + 4 * SECOND)
    aggregator = fresh(clock=clock)
    found = []
    for row in rows[:30]:
        clock.present = max(clock.present, min(row[0], T + 90 * SECOND))  # it stands still, and the market goes on
        found += play(aggregator, trades([row]))
    assert aggregator.counts["far_ahead"] > 10
    assert not aggregator.missed
    clock.present = rows[30][0]
    found += play(aggregator, trades(rows[30:33]), until=rows[32][0])
    assert aggregator.missed
    assert [bar[1] for bar in lines(found)] == [T]
    floor = aggregator.closed_until
    clock.present = T + 20 * MINUTE
    aggregator.begin_session(replaying=True, floor=floor)
    aggregator.table.add(ESH4, "ESH4", T)
    aggregator.add(trades([row for row in rows if row[0] >= floor - MINUTE]))
    aggregator.end_replay()
    found += play(aggregator, until=T + 15 * MINUTE)
    assert lines(found) == expected


@pytest.mark.parametrize("together", [True, False])
def test_a_few_wild_records_in_a_row_hold_nothing_up(together: bool) -> None:
    clock = StoppedClock(T + 3 * MINUTE)
    aggregator = fresh(clock=clock)
    wild = [(T + 400 * MINUTE + n, ESH4, 99, 1) for n in range(5)]
    rows = [(T, ESH4, 10, 1), *wild, (T + MINUTE + SECOND, ESH4, 11, 1)]
    closed = play(aggregator, *([trades(rows)] if together else [trades([row]) for row in rows]))
    assert [bar[1] for bar in lines(closed)] == [T]
    assert not aggregator.missed
    play(aggregator, trades([(T + 90 * SECOND, ESH4, 12, 1), *wild]))
    assert lines(play(aggregator)) == []
    assert [bar[1] for bar in lines(play(aggregator, until=T + 2 * MINUTE))] == [T + MINUTE]
    assert not aggregator.missed
