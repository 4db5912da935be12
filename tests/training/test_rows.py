"""Rows are taken from a record: those that are complete, with what came of them."""

import pytest

from pine.core.instruments import GENERATED_IDS
from pine.replay.record import Facts, Record
from pine.replay.tables import Page
from pine.training.rows import Row, Sample, data_of, observed, samples_of

FEATURES = ("ibs", "rsi(length=2)")


def record(**rows: list[tuple[object, ...]]) -> Record:
    tables = {}
    for name, given in rows.items():
        page = Page(name)
        for row in given:
            page.add(*row)
        tables[name] = page.frame()
    return Record(Facts("one", "one", ("ES", "GC"), 0, 100, 0), tables)


def values(step: int, symbol: str, ibs: float | None, rsi: float | None) -> list[tuple[object, ...]]:
    """Return what the engine writes for one entry, and the strategy's own word before and after it."""
    seen = [
        (step, symbol, name, value, "null" if value is None else None)
        for name, value in zip(FEATURES, (ibs, rsi), strict=True)
    ]
    return [(step, symbol, "ibs", 9.0, None), *seen, (step, symbol, "ibs", 9.0, None)]


def intent(step: int, name: str, symbol: str, action: str, entry: str | None = None) -> tuple[object, ...]:
    return (step, name, symbol, action, "ESM4", "ESM2024", 1, 100.0, "rule", entry, "{}")


def fill(step: int, name: str, symbol: str, price: float, pnl: float | None) -> tuple[object, ...]:
    return (step, name, symbol, "ESM4", 1 if pnl is None else -1, 1, price, step - 1, 1.25, pnl)


LIFE = record(
    values=[
        *values(10, "ES", 0.1, 5.0),
        *values(10, "GC", 0.2, None),
        *values(30, "ES", 0.3, 7.0),
        *values(40, "GC", None, None),
        *values(50, "ES", 0.4, 8.0),
    ],
    intents=[
        intent(10, "a", "ES", "buy"),
        intent(10, "b", "GC", "buy"),
        intent(20, "c", "ES", "exit", "a"),
        intent(20, "d", "GC", "exit", "b"),
        intent(30, "e", "ES", "sell"),
        intent(35, "f", "ES", "exit", "e"),
        intent(40, "g", "GC", "buy"),
        intent(45, "h", "GC", "exit", "g"),
        intent(50, "i", "ES", "buy"),
    ],
    fills=[
        fill(11, "a", "ES", 100.0, None),
        fill(11, "b", "GC", 50.0, None),
        fill(21, "c", "ES", 101.0, 47.5),
        fill(21, "d", "GC", 51.0, 97.5),
        fill(31, "e", "ES", 102.0, None),
        fill(36, "f", "ES", 103.0, -52.5),
        fill(41, "g", "GC", 52.0, None),
        fill(46, "h", "GC", 53.0, 97.5),
        fill(51, "i", "ES", 104.0, None),
    ],
)


def test_each_closed_entry_with_all_values_is_a_row() -> None:
    found = samples_of(LIFE, ["ES"], FEATURES)
    assert found == {
        "ES": Sample(
            "ES",
            FEATURES,
            (
                Row(10, 21, "a", (0.1, 5.0), 10, 20, 100.0, 101.0, 47.5),
                Row(30, 36, "e", (0.3, 7.0), 30, 35, 102.0, 103.0, -52.5),
            ),
            still_open=1,
        )
    }
    assert [row.label for row in found["ES"].rows] == [1, 0]


def test_entries_that_lack_values_are_counted_by_feature() -> None:
    found = samples_of(LIFE, ["GC", "ES"], FEATURES)["GC"]
    assert (found.rows, found.still_open, found.incomplete) == ((), 0, 2)
    assert found.missing == {"ibs": 1, "rsi(length=2)": 2}


def test_a_strategys_own_word_of_the_same_name_is_not_taken_for_the_features() -> None:
    assert observed(LIFE, FEATURES)[10, "ES"] == (0.1, 5.0)
    assert observed(LIFE, FEATURES)[40, "GC"] == (None, None)


@pytest.mark.parametrize(
    ("numbers", "data"), [([1, 2], "recorded"), ([1, GENERATED_IDS + 5], "generated"), ([], "recorded")]
)
def test_one_generated_bar_makes_the_data_generated(numbers: list[int], data: str) -> None:
    bars = [(n, "ES", "1min", n, 1.0, 1.0, 1.0, 1.0, 1, number, "ESM4") for n, number in enumerate(numbers)]
    assert data_of(record(bars=bars)) == data
