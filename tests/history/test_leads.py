"""Leads of the past, decided as the hub decides them."""

import pytest

from pine.core.contract import Contract
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_DAY
from pine.core.times import isoformat, parse_time
from pine.history.leads import decide_leads, lead_of, look_back, next_scheduled
from pine.hub.lead import choose_lead

RULE = SessionRule(group="equity")
H4, M4, U4 = Contract("ES", 2024, 3), Contract("ES", 2024, 6), Contract("ES", 2024, 9)
MONDAY = session(parse_time("2024-03-04T14:00"), RULE).start
TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (MONDAY + n * NS_PER_DAY for n in range(1, 5))
NEXT_MONDAY = MONDAY + 7 * NS_PER_DAY


def test_the_most_traded_of_a_session_leads_the_next() -> None:
    leads = decide_leads({MONDAY: {H4: 5, M4: 9}, TUESDAY: {H4: 9, M4: 10}}, {}, RULE, choose_lead)
    assert leads == {TUESDAY: M4, WEDNESDAY: M4}


def test_a_roll_is_never_taken_back() -> None:
    volumes = {MONDAY: {H4: 1, M4: 9}, TUESDAY: {H4: 9, M4: 1}}
    assert decide_leads(volumes, {}, RULE, choose_lead)[WEDNESDAY] == M4


def test_what_is_known_stays_and_is_gone_on_from() -> None:
    volumes = {MONDAY: {H4: 9}, TUESDAY: {H4: 9, U4: 2}, WEDNESDAY: {H4: 9, U4: 1}}
    leads = decide_leads(volumes, {TUESDAY: M4}, RULE, choose_lead)
    assert leads == {TUESDAY: M4, WEDNESDAY: U4, THURSDAY: U4}


def test_friday_decides_for_monday_and_the_weekend_keeps_its_lead() -> None:
    leads = decide_leads({FRIDAY: {M4: 9}}, {FRIDAY: H4}, RULE, choose_lead)
    assert leads == {FRIDAY: H4, NEXT_MONDAY: M4}
    assert lead_of(leads, FRIDAY + NS_PER_DAY) == H4
    assert lead_of(leads, MONDAY) is None
    assert next_scheduled(FRIDAY + NS_PER_DAY, RULE) == NEXT_MONDAY


def test_session_without_trades_decides_nothing() -> None:
    leads = decide_leads({MONDAY: {H4: 9}, WEDNESDAY: {M4: 9}}, {}, RULE, choose_lead)
    assert leads == {TUESDAY: H4, THURSDAY: M4}


@pytest.mark.parametrize(
    ("begin", "count", "expected"),
    [
        ("2024-03-06T23:00", 0, "2024-03-06T23:00"),
        ("2024-03-06T23:00", 2, "2024-03-04T23:00"),
        ("2024-03-10T23:00", 1, "2024-03-07T23:00"),
        ("2024-03-12T23:00", 3, "2024-03-07T23:00"),
    ],
)
def test_look_back_counts_scheduled_sessions_only(begin: str, count: int, expected: str) -> None:
    assert isoformat(look_back(session_begin(parse_time(begin), RULE), count, RULE))[:16] == expected
