"""``pine bars`` from streams, archive and Databento Historical, in every shape."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.cli.bars_view import ASCII, csv_text, draw
from pine.cli.main import cli
from pine.core.bar import Bar
from pine.core.config import Config, load_config
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.answer import Answer
from pine.history.archive import Archive
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.market import generate_market
from pine.sandbox.tape import Tape
from pine.strategies.catalog import PARAMS

from .conftest import CONFIG, KEY, Shell

BEGIN = parse_time("2024-03-05T14:00")
END = BEGIN + 20 * NS_PER_MINUTE
HOLE = (BEGIN + 10 * NS_PER_MINUTE, BEGIN + 13 * NS_PER_MINUTE)


def minute(n: int, close: float = 5000.25) -> Bar:
    return Bar("ES", Timeframe.MINUTE, BEGIN + n * NS_PER_MINUTE, 5000.1, close + 1, 4999.0, close, 12, 118, "ESH4")


BARS = [minute(n, 5000.1 + n / 10) for n in range(20) if n not in (4, 10, 11, 12)]
"""Minute 4 was quiet, three are missing."""


def config_of(pine: Shell) -> Config:
    return load_config(pine.folder / "pine.yaml", PARAMS, {})


@pytest.fixture
def archived(pine: Shell) -> Archive:
    """An archive with a hole, and no server."""
    archive = Archive.of(config_of(pine))
    for begin, end in ((BEGIN, HOLE[0]), (HOLE[1], END)):
        bars = [bar for bar in BARS if begin <= bar.start < end]
        archive.add_bars("ES", Timeframe.MINUTE, bars, begin, end, "import")
    return archive


def is_running(pine: Shell) -> bool:
    return EmbeddedServer(pine.folder / "data").is_running()


def test_without_a_server_the_archive_answers_and_none_is_started(pine: Shell, archived: Archive) -> None:
    ran = pine("bars", "ES", "--json")
    document = json.loads(ran.out)
    assert ran.code == 0
    assert [Bar.from_dict(raw) for raw in document["bars"]] == BARS
    assert document["holes"] == [{"from": "2024-03-05T14:10:00+00:00", "to": "2024-03-05T14:13:00+00:00"}]
    assert document["sources"] == ["archive"]
    note, hole = ran.err.splitlines()
    assert "answered without the streams" in note
    assert "pine server start" in note
    assert hole.startswith("missing: 2024-03-05 14:10 to 2024-03-05 14:13; --buy ")
    assert not is_running(pine)
    assert not (pine.folder / "data" / "bus").exists()


def test_a_server_that_has_run_here_is_started_for_the_look_and_stopped_again(pine: Shell) -> None:
    server = EmbeddedServer(pine.folder / "data")
    server.ensure()
    client = client_for(server.url)
    client.hset(keys.SYMBOLS, "ES", "{}")
    client.xadd(keys.bars("ES", Timeframe.MINUTE), {"bar": BARS[0].to_json()}, id=f"{BARS[0].start // 10**6}-0")
    client.close()
    server.stop()
    ran = pine("bars", "ES", "--json")
    document = json.loads(ran.out)
    assert ([Bar.from_dict(raw) for raw in document["bars"]], document["sources"]) == (
        [BARS[0]],
        ["streams", "archive"],
    )
    assert not is_running(pine)


def test_many_holes_are_one_line(pine: Shell, archived: Archive) -> None:
    for hour in range(1, 6):
        begin = BEGIN + hour * NS_PER_HOUR
        archived.add_bars("ES", Timeframe.MINUTE, [], begin, begin + NS_PER_MINUTE, "import")
    err = pine.quick("bars", "ES").err.splitlines()
    assert len(err) == 2
    assert " and 3 more; " in err[1]


def test_an_hour_is_folded_from_archived_minutes_only_if_they_are_all_there(pine: Shell, archived: Archive) -> None:
    document = json.loads(pine.quick("bars", "ES", "--timeframe", "hourly", "--from", "2024-03-05T14:00", "--json").out)
    assert document["bars"] == []
    rest = [(HOLE[0], HOLE[1]), (END, BEGIN + NS_PER_HOUR)]
    for begin, end in rest:
        archived.add_bars("ES", Timeframe.MINUTE, [], begin, end, "import")
    ran = pine.quick("bars", "ES", "--timeframe", "hourly", "--json")
    (hour,) = json.loads(ran.out)["bars"]
    assert (hour["open"], hour["close"], hour["volume"]) == (BARS[0].open, BARS[-1].close, 12 * len(BARS))
    assert "missing" not in ran.err


def test_streams_and_archive_that_disagree_are_exit_code_1(
    pine: Shell, archived: Archive, server: EmbeddedServer
) -> None:
    client = client_for(server.url)
    bar = minute(2, 7000.0)
    client.xadd(keys.bars("ES", Timeframe.MINUTE), {"bar": bar.to_json()}, f"{bar.start // 1_000_000}-0")
    client.close()
    ran = pine.quick("bars", "ES")
    assert (ran.code, ran.out) == (1, "")
    assert "2024-03-05T14:02" in ran.err
    assert "on the streams, and " in ran.err


def test_csv_reads_back_bit_for_bit(pine: Shell, archived: Archive) -> None:
    rows = list(csv.DictReader(io.StringIO(pine.quick("bars", "ES", "--csv").out)))
    assert [float(row["close"]) for row in rows] == [bar.close for bar in BARS]
    assert rows[0] == {
        "timestamp": "2024-03-05T14:00:00+00:00",
        "open": "5000.1",
        "high": "5001.1",
        "low": "4999.0",
        "close": "5000.1",
        "volume": "12",
        "instrument_id": "118",
        "contract_symbol": "ESH4",
    }
    assert csv_text([]).count("\n") == 1


def test_a_parquet_file_has_the_archives_columns(pine: Shell, archived: Archive) -> None:
    (pine.folder / "es.parquet").write_text("something older")
    ran = pine.quick("bars", "ES", "--parquet", "es.parquet")
    assert (ran.code, ran.out) == (0, f"{len(BARS)} bars written to es.parquet\n")
    frame = pl.read_parquet(pine.folder / "es.parquet")
    assert frame["close"].to_list() == [bar.close for bar in BARS]
    assert frame.schema["timestamp"] == pl.Datetime("ns", "UTC")
    assert not list(pine.folder.glob(".es.parquet*"))
    ran = pine.quick("bars", "ES", "--parquet", "nowhere/es.parquet")
    assert (ran.code, ran.out) == (2, "")
    assert "nowhere/es.parquet: cannot be written" in ran.err


def test_a_plot_is_as_wide_as_the_terminal_and_readable_without_colours(pine: Shell, archived: Archive) -> None:
    for columns in (12, 40, 100):
        out = pine.quick("bars", "ES", "--plot", COLUMNS=str(columns), LINES="30").out
        assert "\x1b" not in out
        assert max(map(len, out.splitlines())) <= columns
    assert "ES 1min, 16 bars" in out
    assert "┊ missing before" in out
    ascii_only = pine("bars", "ES", "--plot", PYTHONIOENCODING="ascii").out
    assert "# rising o falling : missing before" in ascii_only


@pytest.mark.parametrize(
    "options",
    [
        ["--json", "--csv"],
        ["--plot", "--parquet", "x"],
        ["--price", "--json"],
        ["--price", "--buy"],
        ["--buy"],
        ["--price"],
    ],
)
def test_options_that_do_not_go_together_are_refused(pine: Shell, options: list[str]) -> None:
    ran = pine.quick("bars", "ES", *options)
    assert (ran.code, ran.out) == (2, "")
    assert options[0] in ran.err


# Buying


@pytest.fixture
def gateway(pine: Shell, tmp_path: Path) -> Iterator[HistoryServer]:
    market = generate_market(["ES"], 3, seed=5, trades_per_day=500)
    server = HistoryServer(HistoryData(Tape.of_trades(market.trades, market.symbols)), tmp_path / "ca")
    server.start()
    pine.environment["REQUESTS_CA_BUNDLE"] = str(server.ca)  # type: ignore[index]
    text = CONFIG.replace("api_key: ${DATABENTO_API_KEY}", f"api_key: {KEY}\n  historical_gateway: {server.gateway}")
    pine.config(text)
    yield server
    server.stop()


def sold(server: HistoryServer) -> int:
    return sum(request["endpoint"] == "timeseries.get_range" for request in server.requests)


def test_what_is_missing_is_priced_then_bought_once(pine: Shell, gateway: HistoryServer) -> None:
    asked = ["bars", "ES", "--from", "2024-03-05T14:00", "--to", "2024-03-05T18:00"]
    ran = pine.quick(*asked, "--price")
    assert (ran.code, ran.out[:26]) == (0, "--buy would cost at most $")
    assert sold(gateway) == 0
    ran = pine.quick(*asked, "--buy", "--json")
    document = json.loads(ran.out)
    assert ran.code == 0
    assert "buying from Databento Historical for at most $" in ran.err
    assert document["cost_usd"] > 0
    assert (document["holes"], document["count"] > 20) == ([], True)
    assert document["sources"] == ["archive", "historical"]
    count = sold(gateway)
    again = json.loads(pine.quick(*asked, "--buy", "--json").out)
    assert (again["bars"], again["cost_usd"], sold(gateway)) == (document["bars"], 0, count)
    assert pine.quick(*asked, "--price").out == "nothing to buy\n"
    free = pine.quick(*asked, "--json")
    assert json.loads(free.out)["bars"] == document["bars"]
    assert not is_running(pine)


def test_what_is_too_dear_is_not_bought(pine: Shell, gateway: HistoryServer) -> None:
    path = pine.folder / "pine.yaml"
    path.write_text(path.read_text().replace("  historical_gateway", "  max_cost_usd: 0\n  historical_gateway"))
    ran = pine.quick("bars", "ES", "--from", "2024-03-05T14:00", "--to", "2024-03-05T18:00", "--buy")
    assert (ran.code, ran.out) == (2, "")
    assert "databento.max_cost_usd" in ran.err
    assert sold(gateway) == 0


def test_buying_needs_a_key(pine: Shell) -> None:
    ran = pine.quick("bars", "ES", "--from", "2024-03-05", "--buy")
    assert (ran.code, ran.out) == (2, "")
    assert "databento.api_key" in ran.err


# The picture

prices = st.floats(-1e6, 1e6)


@given(
    st.lists(st.tuples(prices, prices, prices, prices), max_size=60),
    st.integers(1, 120),
    st.integers(1, 40),
    st.booleans(),
)
def test_no_line_is_wider_than_asked_for(
    found: list[tuple[float, float, float, float]], width: int, height: int, is_ascii: bool
) -> None:
    bars = tuple(
        Bar("ES", Timeframe.MINUTE, BEGIN + n * NS_PER_MINUTE, a, max(a, b, c, d), min(a, b, c, d), b, 1, 7, "ESH4")
        for n, (a, b, c, d) in enumerate(found)
    )
    answer = Answer("ES", Timeframe.MINUTE, BEGIN, BEGIN + NS_PER_DAY, bars, ((BEGIN - NS_PER_DAY, BEGIN),))
    lines = draw(answer, width, height, marks=ASCII if is_ascii else None).split("\n")
    assert all(len(line) <= width for line in lines)
    assert not is_ascii or all(line.isascii() for line in lines)


def test_candles_stand_where_their_prices_are() -> None:
    bars = (
        Bar("ES", Timeframe.MINUTE, BEGIN, 0.0, 4.0, 0.0, 2.0, 1, 7, "ESH4"),
        Bar("ES", Timeframe.MINUTE, BEGIN + NS_PER_MINUTE, 4.0, 4.0, 2.0, 3.0, 1, 7, "ESH4"),
        Bar("ES", Timeframe.MINUTE, BEGIN + 3 * NS_PER_MINUTE, 1.0, 1.0, 1.0, 1.0, 1, 7, "ESH4"),
    )
    hole = (BEGIN + 2 * NS_PER_MINUTE, BEGIN + 3 * NS_PER_MINUTE)
    answer = Answer("ES", Timeframe.MINUTE, BEGIN, BEGIN + 4 * NS_PER_MINUTE, bars, (hole,))
    assert draw(answer, 20, 5).split("\n") == [
        "│░┊",
        "│░┊",
        "█│┊",
        "█ █",
        "█ ┊",
        "ES 1min, 3 bars",
        "2024-03-05 14:00 to",
        "2024-03-05 14:03 UTC",
        "█ rising ░ falling ┊",
        "missing before",
    ]


@pytest.mark.parametrize("odd", ["9999-12-31", "0001-01-01T00:00+14:00", "1899-12-31", "2200-01-01", "yesterday-ish"])
def test_a_time_that_no_market_has_is_refused(odd: str) -> None:
    ran = CliRunner().invoke(cli, ["bars", "ES", "--from", odd])
    assert ran.exit_code == 2
    assert f"found {odd!r}, expected" in ran.output
