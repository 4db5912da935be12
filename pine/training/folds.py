"""Walk-forward folds, purged and embargoed.

After M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7: a row's label is made of everything
from its entry to its exit, so a row may train only if none of that lies in the time it is tested on.
"""

from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

Span = tuple[int, int]
"""First and last instant of what a row's label is made of, in ns, both included."""


@frozen
class Fold:
    """What is trained on, and what is tested after it; rows by their number.

    Attributes
    ----------
    purged
        Earlier rows that are left out because their label reaches into the time tested.
    embargoed
        Earlier rows that are left out because their label ends less than the embargo before it.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    purged: int
    embargoed: int


def make_folds(spans: Sequence[Span], count: int, embargo: int) -> list[Fold]:
    """Cut rows into `count` + 1 equal parts in time; each but the first is tested by what lies before it.

    A row trains for a fold if its last instant lies more than `embargo` before the first instant of all rows tested.
    So the training rows of each fold are among those of the next one, every row after the first part is tested once,
    and nothing that is known only later trains. (The embargo of the book holds rows after a test back too; here none
    of those train.)

    Parameters
    ----------
    spans
        Of each row, in the order of their first instants.
    count
        How many folds.
    embargo
        In ns, 0 or more.

    Raises
    ------
    ValueError
        If the rows are out of order, or fewer than `count` + 1.
    """
    if any(later[0] < earlier[0] for earlier, later in pairwise(spans)):
        raise ValueError("found rows out of order, expected them by their first instants")
    if len(spans) <= count or count < 1:
        raise ValueError(
            f"found {len(spans)} rows for {count} folds, expected a fold or more, and more rows than folds"
        )
    cuts = [len(spans) * n // (count + 1) for n in range(1, count + 2)]
    return [_fold(spans, begin, end, embargo) for begin, end in pairwise(cuts)]


def _fold(spans: Sequence[Span], begin: int, end: int, embargo: int) -> Fold:
    first = spans[begin][0]
    train = tuple(n for n in range(begin) if spans[n][1] < first - embargo)
    purged = sum(spans[n][1] >= first for n in range(begin))
    return Fold(train, tuple(range(begin, end)), purged, begin - len(train) - purged)


def embargo_of(spans: Sequence[Span], share: float) -> int:
    """Return an embargo in ns: a share of the time from the first to the last instant of all rows."""
    return int((max(end for _, end in spans) - spans[0][0]) * share) if spans else 0
