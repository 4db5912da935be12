"""``pine bars`` over the streams alone: tables, JSON, limits, and what is said of roots that nobody knows."""

import json

import pytest

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.bar import Bar
from pine.core.timeframe import Timeframe

from .conftest import Shell
from .written import BARS, HOUR


def test_bars_are_a_table_for_people(pine: Shell, written: EmbeddedServer) -> None:
    ran = pine.quick("bars", "ES")
    header, *rows, count = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert header.split() == ["time", "(UTC)", "open", "high", "low", "close", "volume", "contract"]
    assert rows[0].split() == ["2024-01-16", "10:00", "4799.25", "4800.5", "4798.25", "4800.25", "12", "ESH4"]
    assert len(rows) == 5
    assert count == "5 bars"


def test_bars_are_one_json_document_with_the_published_fields(pine: Shell, written: EmbeddedServer) -> None:
    ran = pine("bars", "ES", "--json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert [Bar.from_dict(raw) for raw in document.pop("bars")] == BARS
    about = {"symbol": "ES", "timeframe": "1min", "count": 5, "cost_usd": 0.0}
    assert document == about | {"sources": ["streams", "archive"], "holes": []}


def test_a_timeframe_is_chosen(pine: Shell, written: EmbeddedServer) -> None:
    hours = json.loads(pine.quick("bars", "ES", "--timeframe", "hourly", "--json").out)
    assert [Bar.from_dict(raw) for raw in hours["bars"]] == [HOUR]
    assert json.loads(pine.quick("bars", "ES", "--timeframe", "daily", "--json").out)["bars"] == []
    ran = pine.quick("bars", "ES", "--timeframe", "weekly")
    assert ran.code == 2
    assert "hourly" in ran.err


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (["--from", "2024-01-16T10:02"], BARS[2:]),
        (["--to", "2024-01-16T10:02"], BARS[:2]),
        (["--from", "2024-01-16T10:01", "--to", "2024-01-16T10:03"], BARS[1:3]),
        (["--from", "2024-01-16T04:01-06:00", "--to", "2024-01-16T10:03Z"], BARS[1:3]),
        (["--from", "2024-01-16T10:01:00.000001"], BARS[2:]),
        (["--from", "2024-01-16", "--to", "2024-01-17"], BARS),
        (["--from", "2024-01-17"], []),
        (["--from", "1960-01-01"], BARS),
        (["--to", "2024-01-16T10:02:00.000001"], BARS[:3]),
        (["--to", "1970-01-01"], []),
        (["--to", "1960-01-01"], []),
    ],
)
def test_bars_are_limited_by_their_start_from_included_to_excluded(
    pine: Shell, written: EmbeddedServer, limits: list[str], expected: list[Bar]
) -> None:
    ran = pine.quick("bars", "ES", *limits, "--json")
    assert ran.code == 0
    assert [Bar.from_dict(raw) for raw in json.loads(ran.out)["bars"]] == expected


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "10:30", ""])
def test_a_time_that_cannot_be_read_is_refused_with_an_example(pine: Shell, text: str) -> None:
    ran = pine.quick("bars", "ES", "--from", text)
    assert (ran.code, ran.out) == (2, "")
    assert "--from" in ran.err
    assert "2024-01-02" in ran.err


@pytest.mark.parametrize(("symbol", "near"), [("EX", "ES"), ("6F", "6E"), ("ESZ4", "ES")])
def test_an_unknown_symbol_is_told_with_the_near_ones(
    pine: Shell, written: EmbeddedServer, symbol: str, near: str
) -> None:
    ran = pine.quick("bars", symbol)
    assert (ran.code, ran.out) == (2, "")
    assert repr(symbol) in ran.err
    assert f"did you mean {near}" in ran.err
    assert "registered are: 6E, ES, GC" in ran.err


def test_a_symbol_may_be_written_small_and_bars_fit_a_terminal(pine: Shell, written: EmbeddedServer) -> None:
    ran = pine.quick("bars", "es")
    assert (ran.code, ran.out) == (0, pine.quick("bars", "ES").out)
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_symbol_that_is_like_none_is_told_with_all_there_are(pine: Shell, written: EmbeddedServer) -> None:
    assert all(name in pine.quick("bars", "QQQQ").err for name in ("ES", "GC", "6E"))


def test_nothing_registered_yet_is_said(pine: Shell, server: EmbeddedServer) -> None:
    ran = pine.quick("bars", "ES")
    assert ran.code == 2
    assert "none yet" in ran.err


def test_a_folder_in_which_nothing_has_run_is_named_and_left_alone(pine: Shell) -> None:
    ran = pine.quick("bars", "ES")
    assert ran.code == 2
    assert str(pine.folder / "data") in ran.err
    assert not (pine.folder / "data").exists()


def test_a_look_at_the_bars_leaves_the_server_as_it_was(pine: Shell, written: EmbeddedServer) -> None:
    pid = written.pid()
    assert pine.quick("bars", "ES").code == 0
    assert written.pid() == pid
    assert written.is_running()
    written.stop()
    again = pine.quick("bars", "ES")
    assert (again.code, again.err) == (0, "")
    assert not written.is_running()


def test_an_entry_that_is_no_bar_is_found_to_be_wrong(pine: Shell, written: EmbeddedServer) -> None:
    client = client_for(written.url)
    client.xadd(keys.bars("ES", Timeframe.MINUTE), {"bar": "{}"})
    client.close()
    ran = pine.quick("bars", "ES")
    assert (ran.code, ran.out) == (1, "")
    assert "bar" in ran.err
