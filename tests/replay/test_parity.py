"""What differs between two runs is found, where in event time it began, and why."""

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from made import bars, config, ran, unchanged
from market import CONFIG, configure

from pine.core.bar import Bar
from pine.core.errors import CannotCompare, PineError
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.replay.parity import compare
from pine.replay.record import Facts, Record
from pine.replay.tables import RECORDED, SHAPES
from pine.replay.tolerance import Tolerances

MIDDLE = 1_500


def a_minute(symbol: str = "ES") -> tuple[int, Bar]:
    """Return a minute bar from the middle, with its place."""
    return next(
        (n, bar)
        for n, bar in enumerate(bars())
        if n >= MIDDLE and bar.symbol == symbol and bar.timeframe is Timeframe.MINUTE
    )


def test_a_run_is_the_same_as_itself() -> None:
    verdict = compare(unchanged(), ran())
    assert verdict.same
    assert verdict.cause is None
    assert {count.table for count in verdict.tables} == set(RECORDED)
    assert all(count.left == count.right for count in verdict.tables)
    assert sum(count.left for count in verdict.tables) > 3_000


def test_a_price_that_is_off_by_a_tick_is_the_cause() -> None:
    n, bar = a_minute()
    tick = 0.25
    wrong = evolve(bar, close=bar.close + tick, high=max(bar.high, bar.close + tick))
    verdict = compare(unchanged(), ran((*bars()[:n], wrong, *bars()[n + 1 :])))
    assert verdict.first is not None
    assert (verdict.first.table, verdict.first.step) == ("bars", bar.start + NS_PER_MINUTE)
    assert (verdict.first.key["symbol"], verdict.first.key["start"]) == ("ES", bar.start)
    assert "close" in verdict.first.columns
    assert (verdict.first.left["close"], verdict.first.right["close"]) == (bar.close, bar.close + tick)
    assert verdict.cause is not None
    assert verdict.cause.kind == "input"
    largest = {count.column: count.largest for count in verdict.columns if count.table == "bars"}
    assert largest["close"] == tick


def test_a_missing_bar_is_the_cause() -> None:
    n, bar = a_minute()
    verdict = compare(unchanged(), ran((*bars()[:n], *bars()[n + 1 :])))
    assert verdict.first is not None
    assert (verdict.first.table, verdict.first.step, verdict.first.right) == ("bars", bar.start + NS_PER_MINUTE, None)
    assert verdict.cause is not None
    assert "only on the left" in verdict.cause.text
    assert {c.table: (c.only_left, c.only_right) for c in verdict.tables}["bars"] == (1, 0)


def test_a_bar_that_comes_a_step_late_is_the_cause() -> None:
    bar = a_minute("GC")[1]
    verdict = compare(unchanged(), ran(late=bar))
    assert verdict.first is not None
    assert (verdict.first.table, verdict.first.step) == ("bars", bar.start + NS_PER_MINUTE)
    assert verdict.first.columns == ("step",)
    assert verdict.cause is not None
    assert verdict.cause.kind == "input"
    assert "a step later" in verdict.cause.text
    assert "on the right" in verdict.cause.text


def test_a_changed_threshold_is_named_with_the_first_value_that_follows(tmp_path: Path) -> None:
    other = configure(tmp_path, CONFIG.replace("stop_percent: 0.3", "stop_percent: 0.05"))
    verdict = compare(unchanged(), ran(settings=other))
    assert verdict.first is not None
    assert verdict.first.table not in ("bars", "events", "requests")
    assert verdict.cause is not None
    assert verdict.cause.kind == "settings"
    assert verdict.cause.input is None
    assert "same inputs" in verdict.cause.text
    assert "instruments.ES.params.stop_percent 0.3 against 0.05" in verdict.cause.text
    decided = [t for t in verdict.tables if t.table == "bars"]
    assert (decided[0].only_left, decided[0].only_right) == (0, 0)
    before = unchanged().table("flights").filter(unchanged().table("flights")["step"] < verdict.first.step)
    assert before.height > 0


def test_numbers_may_differ_by_what_is_allowed_and_no_more() -> None:
    import polars as pl

    moved = unchanged().table("values").with_columns(pl.col("value") + 1e-12)
    right = evolve(unchanged(), tables={**unchanged().tables, "values": moved})
    assert not compare(unchanged(), right).same
    assert compare(unchanged(), right, Tolerances.parse(["ibs=1e-9"])).same
    assert not compare(unchanged(), right, Tolerances.parse(["ibs=1e-13"])).same
    with pytest.raises(PineError, match=r"found 'ibz', expected one of .*ibs"):
        compare(unchanged(), right, Tolerances.parse(["ibz=1e-9"]))
    with pytest.raises(PineError, match="COLUMN=NUMBER"):
        Tolerances.parse(["ibs"])


def empty(**facts: object) -> Record:
    return Record(
        evolve(unchanged().facts, **facts), {name: frame.clear() for name, frame in unchanged().tables.items()}
    )


def test_records_without_anything_in_common_are_never_called_the_same() -> None:
    facts = unchanged().facts
    with pytest.raises(CannotCompare, match="found nothing"):
        compare(empty(), empty())
    with pytest.raises(CannotCompare, match="overlap"):
        compare(unchanged(), evolve(unchanged(), facts=evolve(facts, begin=facts.end, end=facts.end + 1)))
    with pytest.raises(CannotCompare, match="same times"):
        compare(unchanged(), evolve(unchanged(), facts=evolve(facts, end=facts.end - NS_PER_MINUTE)))
    with pytest.raises(CannotCompare, match="same symbols"):
        compare(unchanged(), evolve(unchanged(), facts=evolve(facts, symbols=("NQ",))))
    with pytest.raises(CannotCompare, match="no table"):
        compare(unchanged(), Record(facts, {}))


def test_a_part_of_the_time_that_both_have_is_compared_when_asked_for() -> None:
    facts = unchanged().facts
    longer = evolve(unchanged(), facts=evolve(facts, end=facts.end + NS_PER_MINUTE))
    assert compare(unchanged(), longer, begin=facts.begin, end=facts.end).same
    with pytest.raises(CannotCompare, match="both records have"):
        compare(unchanged(), longer, begin=facts.begin, end=facts.end + NS_PER_MINUTE)


@settings(max_examples=80)
@given(st.data())
def test_any_single_change_is_found_at_its_step(data: st.DataObject) -> None:
    import polars as pl

    record = unchanged()
    name = data.draw(st.sampled_from([name for name, frame in record.tables.items() if frame.height]))
    frame = record.tables[name]
    row = data.draw(st.integers(0, frame.height - 1))
    change = data.draw(st.sampled_from(["drop", "cell"]))
    step = frame["step"][row]
    if change == "drop":
        mutated = pl.concat([frame[:row], frame[row + 1 :]])
        columns: tuple[str, ...] = ()
    else:
        column = data.draw(st.sampled_from([column for column in SHAPES[name].values if column != "step"]))
        mutated = frame.with_columns(
            pl.when(pl.int_range(pl.len()) == row).then(_other(frame, column)).otherwise(pl.col(column)).alias(column)
        )
        columns = (column,)
    verdict = compare(record, Record(record.facts, {**record.tables, name: mutated}))
    assert verdict.first is not None
    # Rows that share a key (two decisions on a symbol at one step) stand for each other: the step is the same.
    assert (verdict.first.table, verdict.first.step) == (name, step)
    assert set(columns) <= set(verdict.first.columns)
    assert [t.table for t in verdict.tables if t.left != t.right] == ([name] if change == "drop" else [])


def _other(frame, column: str):
    import polars as pl

    if frame.schema[column] == pl.String:
        return pl.concat_str(pl.col(column).fill_null(""), pl.lit("x"))
    return pl.col(column).fill_null(0) + 1


def test_facts_of_the_fixture_are_those_of_a_whole_run() -> None:
    facts = unchanged().facts
    assert isinstance(facts, Facts)
    assert facts.symbols == tuple(config().traded["one"])
    assert unchanged().table("intents").height > 10
