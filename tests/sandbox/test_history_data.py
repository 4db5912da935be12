"""What the Historical stand-in makes of a tape: bars, ranges, symbols, counts."""

from datetime import date
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.errors import DataError, SandboxError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.sandbox.history_data import WIDTHS, HistoryData
from pine.sandbox.history_faults import HistoryFault, HistoryFaults
from pine.sandbox.history_query import Query, Refusal, parse_query, parse_resolution
from pine.sandbox.tape import Tape

from .tapes import ES, NEXT, SYMBOLS, T0, at, tape, trades

DAY = NS_PER_DAY // NS_PER_SECOND


def query(schema: str = "trades", symbols: str = "ES.FUT", stype: str = "parent", **more: object) -> Query:
    fields = {"dataset": "GLBX.MDP3", "schema": schema, "symbols": symbols, "stype_in": stype}
    times = {"start": str(at(0)), "end": str(at(600))}
    return parse_query(fields | times | {name: str(value) for name, value in more.items()})


@given(
    st.lists(
        st.tuples(st.integers(0, 7200), st.sampled_from([ES, NEXT]), st.integers(1, 9), st.integers(1, 5)), min_size=1
    ),
    st.sampled_from(sorted(WIDTHS)),
)
def test_bars_are_the_fold_of_trades_by_receive_time(rows: list[tuple[int, int, int, int]], schema: str) -> None:
    rows.sort(key=lambda row: row[0])
    made = trades(*((seconds, number) for seconds, number, _, _ in rows))
    made["price"] = [price for _, _, price, _ in rows]
    made["size"] = [size for _, _, _, size in rows]
    made["ts_event"] -= 5 * NS_PER_SECOND  # if this decided, bars would be others
    data = HistoryData(Tape.of_trades(made, SYMBOLS), until=T0 // NS_PER_DAY * NS_PER_DAY + NS_PER_DAY)
    whole = query(schema, start=T0 // NS_PER_DAY * NS_PER_DAY, end=T0 // NS_PER_DAY * NS_PER_DAY + NS_PER_DAY)

    expected = []
    width = WIDTHS[schema]
    keyed = sorted(((at(row[0]) // width * width, row[1]), n) for n, row in enumerate(rows))
    for (start, number), group in groupby(keyed, key=lambda item: item[0]):
        members = [rows[n] for _, n in group]
        prices = [price for _, _, price, _ in members]
        volume = sum(size for *_, size in members)
        expected.append((number, start, prices[0], max(prices), min(prices), prices[-1], volume))
    found = data.select(whole).records
    names = ("instrument_id", "ts_event", "open", "high", "low", "close", "volume")
    assert sorted(zip(*(found[name].tolist() for name in names), strict=True)) == sorted(expected)
    assert found["ts_event"].tolist() == sorted(found["ts_event"].tolist())


def test_trades_that_cannot_be_in_a_bar_are_left_out() -> None:
    made = trades((0, ES), (1, ES), (2, ES), (3, ES))
    made["price"][0] = (1 << 63) - 1
    made["size"][1] = 0
    made["action"][2] = b"C"
    data = HistoryData(Tape.of_trades(made, SYMBOLS))
    (bar,) = data.select(query("ohlcv-1m")).records
    assert (bar["volume"], bar["ts_event"]) == (1, T0)


def test_range_is_half_open_on_receive_time_and_limited() -> None:
    data = HistoryData(tape((0, ES), (1, ES), (2, ES), (3, ES)))
    assert data.select(query(start=at(1), end=at(3))).records["ts_recv"].tolist() == [at(1), at(2)]
    assert data.select(query(start=at(1), end=at(3), limit=1)).records["ts_recv"].tolist() == [at(1)]


def test_count_and_price_take_in_whole_ten_minutes() -> None:
    data = HistoryData(tape((0, ES), (100, ES), (599, ES)))
    inside = query(start=at(50), end=at(150))
    assert len(data.select(inside).records) == 1
    assert data.count(inside) == 3
    assert data.size(inside) == 3 * 48
    assert data.cost(inside) == pytest.approx(3 * 48 * 280 / (1 << 30))


def test_only_whole_hours_and_days_are_available() -> None:
    data = HistoryData(tape((0, ES), (3700, ES)))
    assert data.available("trades") == (T0 - 14 * NS_PER_HOUR, T0 + NS_PER_HOUR + 10 * NS_PER_MINUTE)
    assert data.available("ohlcv-1h") == (T0 - 14 * NS_PER_HOUR, T0 + NS_PER_HOUR)
    assert data.available("ohlcv-1d")[1] == T0 - 14 * NS_PER_HOUR


@pytest.mark.parametrize(
    ("changes", "status", "case"),
    [
        ({"schema": "ohlcv-1min"}, 422, "validation_failed"),
        ({"schema": "mbo"}, 422, "data_schema_not_supported"),
        ({"start": at(600)}, 422, "data_time_range_start_on_or_after_end"),
        ({"start": at(601)}, 422, "data_time_range_start_on_or_after_end"),
        ({"end": at(601)}, 422, "data_end_after_available_end"),
        ({"start": at(-DAY)}, 422, "data_start_before_available_start"),
        ({"start": "yesterday"}, 422, "validation_failed"),
        ({"limit": 0}, 422, "validation_failed"),
        ({"symbols": ""}, 422, "symbology_invalid_request"),
        ({"symbols": "ZZ.FUT"}, 422, "symbology_invalid_request"),
        ({"symbols": "ESZ9", "stype": "raw_symbol"}, 422, "symbology_invalid_request"),
        ({"stype": "isin"}, 422, "symbology_invalid_request"),
        ({"stype_out": "raw_symbol"}, 422, "symbology_invalid_request"),
        ({"dataset": "IFEU.IMPACT"}, 422, "dataset_not_found"),
    ],
)
def test_refusals_name_their_case(changes: dict[str, object], status: int, case: str) -> None:
    data = HistoryData(tape((0, ES), (1, ES)))
    with pytest.raises(Refusal) as error:
        data.select(query(**changes))  # type: ignore[arg-type]
    assert error.value.status == status
    assert error.value.body["detail"]["case"] == case
    assert error.value.body["detail"]["message"]


def test_end_after_available_end_tells_what_there_is() -> None:
    data = HistoryData(tape((0, ES)))
    with pytest.raises(Refusal, match="has data available up to '2024-03-05 14:10:00") as error:
        data.select(query(end=at(1000)))
    assert error.value.body["detail"]["payload"]["available_end"] == "2024-03-05T14:10:00+00:00"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-05", "2024-03-06T00:00:00+00:00"),
        ("2024-03-05T14", "2024-03-05T15:00:00+00:00"),
        ("2024-03-05T14:30", "2024-03-05T14:31:00+00:00"),
        ("2024-03-05T14:30:05", "2024-03-05T14:30:06+00:00"),
    ],
)
def test_end_left_out_is_the_end_of_what_start_names(start: str, end: str) -> None:
    fields = {"dataset": "D", "schema": "trades", "start": start}
    assert parse_query(fields).end == parse_query(fields | {"end": end}).end


def test_continuous_symbols_are_ranked_anew_each_day() -> None:
    heavy, light = trades((0, NEXT), (DAY, NEXT), (2 * DAY, NEXT)), trades((1, ES), (DAY + 1, ES))
    heavy["size"] = [1, 9, 1]
    light["size"] = [5, 1]
    data = HistoryData(Tape.of_trades(np.concatenate([heavy, light]), SYMBOLS))
    whole = {"start": at(0), "end": at(2 * DAY + 600)}
    by_volume = data.select(query("trades", "ES.v.0", "continuous", **whole)).records["instrument_id"].tolist()
    assert by_volume == [ES, ES, NEXT]
    by_expiry = data.select(query("trades", "ES.c.0", "continuous", **whole)).records["instrument_id"].tolist()
    assert by_expiry == [ES, ES, NEXT]
    second = data.select(query("trades", "ES.c.1", "continuous", **whole)).records["instrument_id"].tolist()
    assert second == [NEXT, NEXT]
    question = {"dataset": "GLBX.MDP3", "symbols": "ES.v.0", "stype_in": "continuous", "stype_out": "raw_symbol"}
    answer = data.resolve(parse_resolution(question | {"start_date": "2024-03-05", "end_date": "2024-03-08"}))
    assert answer["result"]["ES.v.0"] == [
        {"d0": "2024-03-05", "d1": "2024-03-07", "s": "ESH4"},
        {"d0": "2024-03-07", "d1": "2024-03-08", "s": "ESM4"},
    ]


def test_resolution_of_a_day_that_ends_before_it_begins_is_refused() -> None:
    fields = {"dataset": "D", "symbols": "ESH4", "start_date": "2024-03-05", "end_date": "2024-03-05"}
    with pytest.raises(Refusal, match="cannot be on or after"):
        parse_resolution(fields)
    assert parse_resolution({**fields, "end_date": "2024-03-06"}).last == date(2024, 3, 6)


def test_tape_without_trades_is_an_error() -> None:
    with pytest.raises(DataError, match="at least one"):
        HistoryData(tape())


@pytest.mark.parametrize("text", ["429", "429:7", "cut:100", "short@get_range", "500@metadata.get_cost", "sound"])
def test_fault_is_read(text: str) -> None:
    fault = HistoryFault.parse(text)
    assert text.startswith(fault.manner)


@pytest.mark.parametrize("text", ["", "418", "429:", "429:x", "cut@", "429:-1"])
def test_unknown_fault_is_refused(text: str) -> None:
    with pytest.raises(SandboxError, match="expected one of"):
        HistoryFault.parse(text)


def test_fault_waits_for_a_request_that_it_concerns() -> None:
    faults = HistoryFaults(map(HistoryFault.parse, ["cut", "500@get_cost", "429"]))
    taken = [faults.take(endpoint) for endpoint in ("metadata.get_cost", "metadata.get_cost", "timeseries.get_range")]
    assert [fault.manner for fault in taken if fault] == ["500", "429", "cut"]
    assert faults.take("timeseries.get_range") is None
