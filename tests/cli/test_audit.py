"""``pine audit`` as a person runs it: verdicts, differences, files, exit codes, and what it costs."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from attrs import evolve
from market import publish
from rich.console import Console

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.cli import audit_view
from pine.cli.audit import document, exit_code
from pine.core.bar import Bar
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.audit import Lost, Report, Verdict
from pine.history.differences import Count, Mismatch
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.sandbox.history import HistoryServer
from pine.sandbox.market import GeneratedMarket

from .conftest import Shell
from .test_backfill import allow
from .test_bars import config_of, sold

AT = parse_time("2024-03-06T14:00")


@pytest.fixture(scope="module")
def closed(market: GeneratedMarket) -> list[Closed]:
    """What a hub publishes of the market that the vendor has."""
    groups = {"ES": "equity", "GC": "metals"}
    aggregator = Aggregator({root: SessionRule(group=group) for root, group in groups.items()}, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.clock.observe(int(market.trades["ts_recv"][0]))
    for instrument, raw in market.symbols.items():
        aggregator.map_instrument(instrument, raw)
    aggregator.add(market.trades)
    found = aggregator.advance()
    aggregator.heartbeat(int(market.trades["ts_recv"][-1]) + 26 * NS_PER_HOUR)
    return found + aggregator.advance()


def record(pine: Shell, server: EmbeddedServer, closed: Sequence[Closed]) -> None:
    client = client_for(server.url)
    publish(client, config_of(pine), closed)
    client.close()


def wrong(closed: Sequence[Closed]) -> list[Closed]:
    """Every minute of ES with another close."""
    return [evolve(item, bars=tuple(evolve(b, close=b.low) if _of_es(b) else b for b in item.bars)) for item in closed]


def _of_es(bar: Bar) -> bool:
    return bar.symbol == "ES" and bar.timeframe is Timeframe.MINUTE and bar.start >= AT


def test_a_session_that_equals_is_exit_code_0_and_bought_once(
    pine: Shell, server: EmbeddedServer, gateway: HistoryServer, closed: list[Closed]
) -> None:
    record(pine, server, closed)
    asked = ("audit", "--session", "2024-03-06", "--symbols", "ES,gc")
    ran = pine.quick(*asked, "--price")
    assert (ran.code, ran.out[:28], sold(gateway)) == (0, "comparing 2 sessions costs $", 0)
    ran = pine.quick(*asked)
    assert ran.code == 0
    assert "buying from Databento Historical for $0.0" in ran.err
    assert [line.split()[:3] for line in ran.out.splitlines() if "✓" in line] == [
        ["ES", "✓", "equal"],
        ["GC", "✓", "equal"],
    ]
    count = sold(gateway)
    ran = pine("audit", "--session", "2024-03-06", "--symbols", "ES", "--symbols", "GC", "--json")
    assert json.loads(pine.quick("audit", "--session", "last", "--symbols", "ES", "--json").out)["session"] > "2024-06"
    document = json.loads(ran.out)
    assert (ran.code, ran.err, sold(gateway)) == (0, "", count)
    assert (document["session"], document["verdict"], document["cost_usd"]) == ("2024-03-06", "equal", 0)
    es = document["symbols"]["ES"]
    assert (es["from"], es["to"]) == ("2024-03-05T23:00:00+00:00", "2024-03-06T23:00:00+00:00")
    assert es["counts"]["daily"] == {"recorded": 1, "vendor": 1, "equal": 1, "quiet": 0}
    assert es["volume"]["recorded"] == es["volume"]["vendor"] > 0
    assert (es["differences"], es["notes"], es["contract"]) == ([], [], "ESH4")
    assert pine.quick("archive", "verify").code == 0
    assert json.loads(pine.quick("bars", "ES", "--json").out)["holes"] == []


def test_differences_are_exit_code_1_the_first_shown_all_in_a_file(
    pine: Shell, server: EmbeddedServer, gateway: HistoryServer, closed: list[Closed]
) -> None:
    record(pine, server, wrong(closed))
    ran = pine.quick("audit", "--session", "2024-03-06", "--csv", "all.csv")
    assert ran.code == 1
    assert "✗ different" in ran.out
    assert "– not compared" in ran.out  # 6E, which the vendor does not have
    rows = list(csv.DictReader((pine.folder / "all.csv").read_text().splitlines()))
    assert len(rows) > 20
    assert f"{len(rows) - 20} more of {len(rows)} differences: --csv FILE or --json has all" in ran.out
    assert rows[0]["symbol"] == "ES"
    assert (rows[0]["kind"], rows[0]["field"]) == ("different", "close")
    document = json.loads(pine.quick("audit", "--session", "2024-03-06", "--symbols", "ES", "--json").out)
    assert len(document["symbols"]["ES"]["differences"]) == len(rows)
    assert float(rows[0]["vendor"]) == document["symbols"]["ES"]["differences"][0]["vendor"]
    ran = pine.quick("audit", "--session", "2024-03-06", "--symbols", "ES", "--csv", "nowhere/all.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "--csv nowhere/all.csv: cannot be written" in ran.err


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2024-03-09", "no session of ES with scheduled trading ends on 2024-03-09"),
        ("2024-02-06", "no hub has recorded it"),
        ("today", ""),
    ],
)
def test_what_cannot_be_compared_is_exit_code_2(pine: Shell, gateway: HistoryServer, day: str, words: str) -> None:
    ran = pine.quick("audit", "--session", day, "--symbols", "ES")
    assert ran.code == 2
    assert words in ran.out
    assert "– not compared" in ran.out
    assert gateway.requests == []
    document = json.loads(pine.quick("audit", "--session", day, "--symbols", "ES", "--json").out)
    assert document["verdict"] == "not compared"


def test_a_session_that_is_not_over_is_refused(pine: Shell) -> None:
    day = datetime.now(UTC).date().replace(year=2099)
    ran = pine.quick("audit", "--session", str(day.replace(month=3, day=5)), "--symbols", "ES")
    assert ran.code == 2
    assert "the session is not over before 2099-03-05T23:00:00+00:00" in ran.out


def test_without_a_key_nothing_can_be_bought_to_compare_with(
    pine: Shell, server: EmbeddedServer, closed: list[Closed]
) -> None:
    record(pine, server, closed)
    ran = pine.quick("audit", "--session", "2024-03-06", "--symbols", "ES")
    assert (ran.code, ran.out) == (2, "")
    assert "databento.api_key: environment variable DATABENTO_API_KEY is not set" in ran.err


def test_too_dear_is_not_bought(
    pine: Shell, server: EmbeddedServer, gateway: HistoryServer, closed: list[Closed]
) -> None:
    record(pine, server, closed)
    allow(pine, 0)
    ran = pine.quick("audit", "--session", "2024-03-06", "--symbols", "ES,GC")
    assert (ran.code, ran.out, sold(gateway)) == (2, "", 0)
    assert "databento.max_cost_usd: found a price of $0.0" in ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--session", "soon"), "found 'soon', expected a date such as 2024-03-05"),
        (("--session", "2024-03-05", "--symbols", "EX"), "instruments: found no 'EX'"),
        (("--session", "2024-03-05", "--price", "--json"), "--price buys and compares nothing"),
        ((), "--session"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(pine: Shell, options: tuple[str, ...], words: str) -> None:
    ran = pine.quick("audit", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


@pytest.mark.parametrize(
    ("refilled", "verdict", "code", "words"),
    [
        (False, "incomplete", 1, "not refilled"),
        (True, "equal", 0, "refilled: the archive has it"),
    ],
)
def test_a_named_hole_is_one_line_and_the_verdict_says_what_it_means(
    refilled: bool, verdict: Verdict, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {timeframe: Count(1340, 1380, 1340) for timeframe in Timeframe}
    hole = Lost(AT, AT + 40 * NS_PER_MINUTE, 40, refilled)
    found = Report("ES", verdict, (AT, AT + 1), "ESH4", "", counts, (1, 2), (), (hole,))
    audit_view.show(date(2024, 3, 6), [found, Report("GC", "not compared", reason="why")])
    out = capsys.readouterr().out
    line = "ES: a gap that the hub named, 2024-03-06 14:00 to 2024-03-06 14:40 (40 minutes of Databento's), "
    assert line + words in out
    assert ("ES: equal but for 40 minutes in a named hole" in out) is not refilled
    assert next(row for row in out.splitlines() if "GC" in row).split() == ["GC", "–", "not", "compared"]
    assert exit_code([found]) == code
    shown = document(date(2024, 3, 6), [found])
    assert (shown["verdict"], shown["symbols"]["ES"]["holes"][0]["refilled"]) == (verdict, refilled)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_of_a_verdict_is_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit_view, "console", lambda: Console(width=width))
    counts = {timeframe: Count(1380, 1380, 1379) for timeframe in Timeframe}
    one = Mismatch(Timeframe.MINUTE, AT, "different", "contract_symbol", "ESM4", "ESH4")
    span = (AT, AT + 1)
    audit_view.show(
        date(2024, 3, 6), [Report("ES", "different", span, "ESH4", "", counts, (1234567, 1234567), (one,) * 30)]
    )
    out = capsys.readouterr().out
    table, _, lines = out.partition("root  bars")
    assert max(map(len, table.splitlines())) <= width
    assert max(map(len, lines.splitlines()[1:])) <= 80  # one line each, which a narrow terminal wraps
    assert "…" not in out
    assert "10 more of 30 differences" in out
