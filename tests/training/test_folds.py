"""No row trains that knows anything of the time it is tested on."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.training.folds import Fold, embargo_of, make_folds

SPANS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=7, max_size=80).map(
    lambda drawn: sorted((begin, begin + length) for begin, length in drawn)
)


@given(spans=SPANS, count=st.integers(1, 6), embargo=st.integers(0, 50))
def test_every_row_after_the_first_part_is_tested_once_and_in_order(spans, count: int, embargo: int) -> None:
    tested = [n for fold in make_folds(spans, count, embargo) for n in fold.test]
    assert tested == list(range(len(spans) // (count + 1), len(spans)))


@given(spans=SPANS, count=st.integers(1, 6), embargo=st.integers(0, 50))
def test_no_training_label_reaches_into_the_time_tested_or_the_embargo_before_it(
    spans, count: int, embargo: int
) -> None:
    for fold in make_folds(spans, count, embargo):
        times = [spans[n] for n in fold.test]
        begin, end = min(first for first, _ in times), max(last for _, last in times)
        for n in fold.train:
            first, last = spans[n]
            assert last < begin or first > end
            assert last < begin - embargo


@given(spans=SPANS, count=st.integers(1, 6), embargo=st.integers(0, 50))
def test_what_is_held_back_is_counted_and_nothing_else_is(spans, count: int, embargo: int) -> None:
    for fold in make_folds(spans, count, embargo):
        begin = spans[fold.test[0]][0]
        before = range(fold.test[0])
        assert fold.purged == sum(spans[n][1] >= begin for n in before)
        assert fold.embargoed == sum(begin - embargo <= spans[n][1] < begin for n in before)
        assert len(fold.train) + fold.purged + fold.embargoed == len(before)


@given(spans=SPANS, count=st.integers(2, 6), embargo=st.integers(0, 50))
def test_training_grows_from_fold_to_fold(spans, count: int, embargo: int) -> None:
    folds = make_folds(spans, count, embargo)
    for earlier, later in pairwise(folds):
        assert set(earlier.train) <= set(later.train)


def test_a_long_trade_is_purged_and_a_late_one_embargoed() -> None:
    spans = [(0, 1), (10, 45), (20, 38), (30, 31), (40, 41), (50, 51)]
    assert make_folds(spans, 1, 5) == [Fold((0,), (3, 4, 5), 2, 0)]
    assert make_folds(spans, 2, 5)[1] == Fold((0, 3), (4, 5), 1, 1)


def test_the_embargo_is_a_share_of_the_time_of_all_rows() -> None:
    assert embargo_of([(100, 300), (200, 1100), (300, 400)], 0.01) == 10
    assert embargo_of([], 0.01) == 0


@pytest.mark.parametrize(("spans", "count"), [([(0, 1)] * 3, 3), ([(0, 1)] * 3, 0), ([(5, 6), (0, 1), (7, 8)], 1)])
def test_what_makes_no_folds_is_refused(spans, count: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_folds(spans, count, 0)
