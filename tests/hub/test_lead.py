"""Which contract makes the bars, and what happens when it changes."""

from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, ESM4, MINUTE, RULES, SECOND, at, fresh, lines, play, trades

from pine.core.contract import Contract
from pine.core.timeframe import NS_PER_HOUR
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock
from pine.hub.lead import choose_lead

MARCH, JUNE, SEPTEMBER = (Contract("ES", 2024, month) for month in (3, 6, 9))
MONDAY = at("2024-03-04T15:00")
DAY = 24 * NS_PER_HOUR


def test_the_most_traded_contract_leads_and_the_nearer_one_of_equals() -> None:
    assert choose_lead({MARCH: 5, JUNE: 9}, None) == JUNE
    assert choose_lead({MARCH: 9, JUNE: 9}, None) == MARCH
    assert choose_lead({}, None) is None


def test_the_lead_never_goes_back_to_an_earlier_expiry() -> None:
    assert choose_lead({MARCH: 100, JUNE: 1}, JUNE) == JUNE
    assert choose_lead({MARCH: 100}, JUNE) == JUNE
    assert choose_lead({}, JUNE) == JUNE
    assert choose_lead({MARCH: 100, JUNE: 1, SEPTEMBER: 2}, JUNE) == SEPTEMBER


@given(st.lists(st.dictionaries(st.sampled_from([MARCH, JUNE, SEPTEMBER]), st.integers(0, 99)), max_size=20))
def test_expiries_only_move_forward(sessions: list) -> None:
    lead, seen = None, []
    for volume in sessions:
        lead = choose_lead(volume, lead)
        seen.append(lead.expiry if lead else (0, 0))
    assert seen == sorted(seen)


def test_in_the_first_session_the_first_minute_decides_and_later_volume_does_not() -> None:
    rows = [
        (MONDAY, ESH4, 10, 3),
        (MONDAY + SECOND, ESM4, 20, 2),
        (MONDAY + MINUTE, ESM4, 21, 500),
        (MONDAY + 2 * MINUTE, ESH4, 11, 1),
    ]
    closed = play(fresh(), trades(rows), until=MONDAY + 4 * MINUTE)
    assert [(b[1], b[7]) for b in lines(closed)] == [(MONDAY, "ESH4"), (MONDAY + 2 * MINUTE, "ESH4")]
    assert [dict(item.volumes) for item in closed[:2]] == [{"ES": {"ESH4": 3, "ESM4": 2}}, {"ES": {"ESM4": 500}}]


def test_the_volume_of_a_session_decides_the_next_one_and_the_roll_is_an_event_at_its_last_step() -> None:
    rows = [
        (MONDAY, ESH4, 10, 3),
        (MONDAY + MINUTE, ESM4, 20, 500),
        (MONDAY + DAY, ESH4, 12, 900),
        (MONDAY + DAY + 1, ESM4, 22, 1),
        (MONDAY + 2 * DAY, ESM4, 23, 1),
        (MONDAY + 2 * DAY + 1, ESH4, 13, 1),
    ]
    closed = play(fresh(), trades(rows), until=MONDAY + 2 * DAY + 2 * MINUTE)
    assert [(b[1], b[7], b[5]) for b in lines(closed)] == [
        (MONDAY, "ESH4", 10.0),
        (MONDAY + DAY, "ESM4", 22.0),
        (MONDAY + 2 * DAY, "ESM4", 23.0),
    ]
    events = [(item.boundary, event) for item in closed for event in item.events]
    assert [(ts, e.kind, e.symbol, dict(e.details)) for ts, e in events] == [
        (at("2024-03-04T23:00"), "roll", "ES", {"from": "ESH4", "to": "ESM4", "close": 10.0})
    ]
    leads = {lead.session_start: lead.raw_symbol for item in closed for lead in item.leads}
    assert leads == {
        at("2024-03-03T23:00"): "ESH4",
        at("2024-03-04T23:00"): "ESM4",
        at("2024-03-05T23:00"): "ESM4",
    }


def test_a_lead_that_is_written_is_kept_by_a_hub_that_starts_later() -> None:
    first = play(fresh(), trades([(MONDAY, ESM4, 20, 5)]), until=MONDAY + DAY)
    written = {"ES": {lead.session_start: lead for item in first for lead in item.leads}}
    rows = [(MONDAY, ESH4, 10, 99), (MONDAY + 1, ESM4, 20, 1)]
    again = play(fresh(leads=written), trades(rows), until=MONDAY + 2 * MINUTE)
    assert [b[7] for b in lines(again)] == ["ESM4"]


def test_the_lead_for_monday_is_written_on_friday_under_mondays_session() -> None:
    friday = at("2024-03-08T15:00")
    closed = play(fresh(), trades([(friday, ESH4, 10, 1)]), until=friday + 12 * NS_PER_HOUR)
    assert [lead.session_start for item in closed for lead in item.leads] == [
        at("2024-03-07T23:00"),
        at("2024-03-10T23:00"),
    ]


def test_a_reset_discards_the_minute_the_hour_and_the_day_under_way() -> None:
    """An id that moves to another root resets that root; nothing partial is published."""
    start = at("2024-03-05T14:10")
    aggregator = fresh()
    closed = play(aggregator, trades([(start, ESH4, 10, 1), (start + MINUTE + SECOND, ESH4, 11, 1)]))
    aggregator.map_instrument(4, "ESU4")  # was GCJ4
    rows = [
        (start + MINUTE + 2 * SECOND, ESH4, 12, 1),
        (start + 2 * MINUTE, ESH4, 13, 1),
        (start + 60 * MINUTE, ESH4, 14, 1),
    ]
    closed += play(aggregator, trades(rows), until=at("2024-03-06T23:01"))
    assert [b[1] for b in lines(closed)] == [start, start + 2 * MINUTE, start + 60 * MINUTE]
    assert [b[1] for b in lines(closed, "hourly")] == [at("2024-03-05T15:00")]
    assert lines(closed, "daily") == []
    events = [(item.boundary, e.kind, e.symbol) for item in closed for e in item.events]
    assert events == [(start + 2 * MINUTE, "reset", "ES")]
    assert aggregator.counts["discarded_by_reset"] == 1


def test_the_same_mapping_twice_and_a_new_expiry_reset_nothing() -> None:
    aggregator = fresh()
    play(aggregator, trades([(MONDAY, ESH4, 10, 1)]))
    aggregator.map_instrument(ESH4, "ESH4")
    aggregator.map_instrument(7, "ESU4")
    aggregator.begin_session(replaying=False)
    aggregator.map_instrument(4, "ESZ4")  # another root under this id, but on a new connection
    assert aggregator.counts["reset"] == 0


def test_a_short_year_is_resolved_by_the_first_trade_where_no_time_is_known_yet() -> None:
    """A reconnection, when the time is known, must find the same contract."""
    aggregator = Aggregator(RULES, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.map_instrument(ESH4, "ESH4")
    closed = play(aggregator, trades([(MONDAY, ESH4, 10, 3)]))
    aggregator.begin_session(replaying=False, floor=aggregator.closed_until)
    aggregator.map_instrument(ESH4, "ESH4")
    closed += play(aggregator, trades([(MONDAY + SECOND, ESH4, 10, 3)]), until=MONDAY + DAY)
    assert {lead.contract for item in closed for lead in item.leads} == {MARCH}
    assert [event for item in closed for event in item.events] == []
