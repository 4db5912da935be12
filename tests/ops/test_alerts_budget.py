"""How many go in an hour, in what order, and that nothing is lost without being counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND
from pine.ops.alerts.budget import Budget
from pine.ops.alerts.message import Message, total
from pine.ops.alerts.outbox import MOST, Outbox, Parcel

KINDS = ("delivery", "late_trades", "halt", "exit")


def message(kind: str, n: int = 0) -> Message:
    return Message(kind, f"{kind} {n}", urgent=kind in ("delivery", "halt"))


@pytest.mark.examples(80, long=3000)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 1800), st.lists(st.sampled_from(KINDS), max_size=8)), max_size=40),
)
def test_no_hour_has_more_than_allowed_urgent_ones_go_first_and_all_are_told_or_counted(
    per_hour: int, moments: list[tuple[int, list[str]]]
) -> None:
    budget, now, went = Budget(per_hour), 0, list[tuple[int, Message]]()
    asked: Counter[str] = Counter()
    for pause, kinds in moments:
        now += pause * NS_PER_SECOND
        new = [message(kind, n) for n, kind in enumerate(kinds)]
        asked.update(kinds)
        gone = budget.admit(new, now)
        went += [(now, one) for one in gone]
        passed_over = [one for one in new if one.urgent and one not in gone]
        assert not passed_over or all(one.urgent for one in gone)
        assert sum(now - NS_PER_HOUR < at for at, _ in went) <= per_hour
        told = Counter(total(one for _, one in went))
        told.update(budget.held)
        assert told == asked
    owed = bool(budget.held)
    assert len(budget.admit([], now + NS_PER_HOUR)) == owed
    assert budget.held == {}


def test_what_was_held_back_is_told_as_one_with_its_kinds() -> None:
    budget = Budget(2)
    first = budget.admit([message("exit", n) for n in range(5)], 0)
    assert [one.title for one in first] == ["exit 0", "exit 1"]
    assert budget.admit([message("delivery", 7)], 1) == []
    (told,) = budget.admit([], NS_PER_HOUR)
    assert (told.kind, told.title, told.urgent) == ("held", "4 more alerts", True)
    assert "1 delivery, 3 exit" in told.body
    assert "- delivery 7" in told.body


def test_a_part_of_the_hour_is_kept_for_what_is_urgent() -> None:
    budget = Budget(10)
    assert len(budget.admit([message("exit", n) for n in range(20)], 0)) == 8
    assert next(one.title for one in budget.admit([message("halt"), message("exit")], 1)) == "halt 0"


def test_a_restart_does_not_make_a_new_hour() -> None:
    budget = Budget(3)
    budget.admit([message("halt", n) for n in range(3)], 0)
    again = Budget(3, list(budget.sent), dict(budget.held), list(budget.titles), budget.urgent)
    assert again.admit([message("halt")], NS_PER_SECOND) == []


@pytest.mark.examples(40, long=1000)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=400))
def test_what_waits_is_bounded_and_what_is_dropped_is_counted(added: list[tuple[bool, int]]) -> None:
    outbox, dropped, arrived = Outbox(), 0, 0
    for n, (urgent, sent) in enumerate(added):
        parcel = Parcel(f"1-{n}", Message("halt", str(n), urgent=urgent), n, ["a", "b"])
        first = sorted(outbox.parcels.values(), key=lambda parcel: parcel.order)[:sent]
        changes = outbox.add([parcel], [(p.id, service) for p in first for service in ("a", "b")], n)
        arrived += len(first)
        dropped += len(changes.dropped)
        assert len(outbox.parcels) <= MOST
        assert len(outbox.parcels) + dropped + arrived == n + 1


def test_what_one_service_lacks_for_ever_is_not_told_as_held_back_to_those_that_have_it() -> None:
    outbox, dropped = Outbox(), list[Message]()
    for n in range(MOST + 50):
        outbox.add([Parcel(f"1-{n}", Message("halt", str(n)), n, ["well", "dead"])], [], n)
        dropped += outbox.add([], [(f"1-{n}", "well")], n).dropped
    assert len(outbox.parcels) == MOST
    assert dropped == []


def test_the_oldest_that_is_not_urgent_is_dropped_first_and_old_news_goes_too() -> None:
    outbox = Outbox()
    parcels = [Parcel(f"1-{n}", Message("halt", str(n), urgent=n < 3), n, ["a"]) for n in range(MOST)]
    outbox.add(parcels, [], 0)
    changes = outbox.add([Parcel("1-999", Message("halt", "new"), 999, ["a"])], [], 999)
    assert [one.title for one in changes.dropped] == ["3"]
    assert len(outbox.add([], [], 2 * NS_PER_DAY).dropped) == MOST
    assert outbox.parcels == {}
