"""How long a process that ended is left alone, by a clock of the test's."""

import pytest

from pine.ops.supervisor.backoff import Backoff, Pace

PACE = Pace(first=1, longest=60, slow=15, slowest=300, healthy=60, failing=3)


def pauses(code: int, count: int, chance: float = 1.0, ran_s: float = 0.5) -> list[float]:
    backoff = Backoff(PACE, lambda: chance)
    return [backoff.pause(code, ran_s) for _ in range(count)]


def test_pauses_grow_to_a_longest() -> None:
    assert pauses(1, 8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_could_not_run_at_all_is_never_tried_in_haste() -> None:
    assert pauses(2, 7) == [15, 30, 60, 120, 240, 300, 300]


@pytest.mark.parametrize(("chance", "part"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_chance_takes_up_to_half_of_a_pause(chance: float, part: float) -> None:
    assert pauses(-9, 8, chance) == [whole * part for whole in pauses(-9, 8)]


def test_a_process_that_ran_well_begins_anew() -> None:
    backoff = Backoff(PACE, lambda: 1.0)
    assert [backoff.pause(1, 59.9) for _ in range(3)] == [1, 2, 4]
    assert [backoff.pause(1, 60.0) for _ in range(3)] == [1, 1, 1]


def test_three_ends_in_a_row_or_one_that_could_not_run_are_failing() -> None:
    backoff = Backoff(PACE, lambda: 1.0)
    told = []
    for _ in range(3):
        backoff.pause(1, 0)
        told.append(backoff.failing)
    assert told == [False, False, True]
    backoff.settle(59)
    assert backoff.failing
    backoff.settle(60)
    assert not backoff.failing
    backoff.pause(2, 0)
    assert backoff.failing
    backoff.forget()
    assert (backoff.failing, backoff.pause(1, 0)) == (False, 1)


def test_a_long_row_of_ends_is_no_number_too_large() -> None:
    assert pauses(1, 2_000)[-1] == 60
