"""Whatever Databento Historical does, commands that buy say so in one line and leave nothing half-written."""

import re
import socket
from collections.abc import Callable
from typing import Any, Final

import pytest
from attrs import frozen

from pine.core.bar import Bar
from pine.core.config import DatabentoConfig
from pine.core.timeframe import Timeframe
from pine.core.times import parse_time
from pine.history import vendor
from pine.history.archive import Archive
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_faults import HistoryFault

from .conftest import CONFIG, KEY, Ran, Shell
from .test_bars import config_of

SPAN: Final = ("--from", "2024-03-04T23:00", "--to", "2024-03-06T23:00")
COMMANDS: Final = {"backfill": ("backfill", "ES", *SPAN), "bars": ("bars", "ES", *SPAN, "--buy", "--json")}


@frozen
class Case:
    """What goes wrong, with how many requests, and how it is told by which exit code."""

    name: str
    fault: str
    times: int
    words: str
    bars: int
    backfill: int


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in less of a hurry to be polite to the vendor."""
    begin = vendor.Vendor.__init__
    patience = vendor.Patience(first_s=0.01, most_s=0.01, timeout_s=0.5)

    def hasty(self: vendor.Vendor, settings: DatabentoConfig, _: object, *more: Any) -> None:
        begin(self, settings, patience, *more)

    monkeypatch.setattr(vendor.Vendor, "__init__", hasty)


GIVE_UP: Final = 6
CASES: Final = (
    Case("cut", "cut:300@get_range", 3, "found incomplete data 3 times, lastly Error streaming response", 2, 1),
    Case("unfinished", "close:300@get_range", 3, "found incomplete data 3 times", 2, 1),
    Case("records missing", "short:3@get_range", 3, "found incomplete data 3 times", 2, 1),
    Case("401", "401", 1, "databento.api_key: Databento does not accept it (401 auth_authentication_failed", 2, 2),
    Case("401 later", "401@get_range", 1, "asked was ohlcv-1h of ES.FUT from", 2, 2),
    Case("422", "422@get_range", 1, "refused with 422 validation_failed", 2, 1),
    Case("429", "429:0", GIVE_UP, "gave up after 6 attempts, the last: 429 rate_limit_exceeded", 2, 2),
    Case("429 for long", "429:9999", 1, "found Retry-After 9999 s, expected at most 600 s", 2, 2),
    Case("500", "500", GIVE_UP, "gave up after 6 attempts, the last: 500 internal_server_error", 2, 2),
    Case("timeout", "timeout:9@get_cost", GIVE_UP, "within 0.5 s", 2, 2),
    Case("hangup", "hangup@get_range", GIVE_UP, "gave up after 6 attempts, the last: no connection to https://", 2, 2),
)


def run(pine: Shell, command: str, **variables: str) -> Ran:
    ran = Shell(pine.folder, {**pine.environment, **variables}).quick(*COMMANDS[command])
    assert KEY not in ran.out + ran.err
    return ran


def content(pine: Shell) -> dict[str, bytes]:
    folder = pine.folder / "data" / "archive"
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def before(pine: Shell, gateway: HistoryServer) -> dict[str, bytes]:
    """What is in the archive before: a part of a session."""
    begin, end = parse_time("2024-03-05T10:00"), parse_time("2024-03-05T11:00")
    bar = Bar("GC", Timeframe.MINUTE, begin, 2000.0, 2001.0, 1999.0, 2000.5, 3, 9, "GCJ4")
    Archive.of(config_of(pine)).add_bars("GC", Timeframe.MINUTE, [bar], begin, end, "import")
    return content(pine)


@pytest.fixture
def whole(pine: Shell, gateway: HistoryServer, before: dict[str, bytes]) -> Callable[[], None]:
    """Returns a check that the next try, undisturbed, makes the archive that it would have made at once."""

    def check() -> None:
        gateway.faults.plan([])
        assert pine.quick("archive", "verify").out.endswith(" 0 differences\n")
        assert pine.quick(*COMMANDS["backfill"]).code == 0
        found = content(pine)
        other = Shell(pine.folder / "other", pine.environment)
        other.folder.mkdir()
        other.config((pine.folder / "pine.yaml").read_text())
        assert other.quick(*COMMANDS["backfill"]).code == 0
        assert found == {**before, **content(other)}

    return check


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_is_one_line_and_leaves_the_archive_as_it_was(
    pine: Shell, gateway: HistoryServer, before: dict[str, bytes], whole: Callable[[], None], case: Case, command: str
) -> None:
    gateway.faults.plan([HistoryFault.parse(case.fault)] * case.times)
    ran = run(pine, command)
    assert ran.code == getattr(case, command)
    told = [line for line in (ran.out + ran.err).splitlines() if case.words in line and " warning " not in line]
    assert told
    assert len([line for line in ran.err.splitlines() if line.startswith(("Error: ", "Stopped: "))]) == (ran.code == 2)
    assert content(pine) == before
    if case.name in ("cut", "hangup"):
        whole()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_failure_after_something_was_kept_leaves_that_and_no_more(
    pine: Shell, gateway: HistoryServer, before: dict[str, bytes], whole: Callable[[], None], command: str
) -> None:
    gateway.faults.plan([HistoryFault.parse("sound@get_range"), *[HistoryFault.parse("cut:300@get_range")] * 3])
    ran = run(pine, command)
    assert ran.code == (2 if command == "bars" else 1)
    assert content(pine) == before  # volumes alone are not kept
    whole()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", ["cut:300@get_range", "500", "429:0@get_cost", "hangup@get_record_count"])
def test_what_passes_is_tried_again_and_told(
    pine: Shell, gateway: HistoryServer, before: dict[str, bytes], whole: Callable[[], None], fault: str, command: str
) -> None:
    gateway.faults.plan([HistoryFault.parse(fault)])
    ran = run(pine, command)
    assert ran.code == 0
    assert re.search(r"historical tried again +request=", ran.err)
    assert "reason=" in ran.err
    if "cut" in fault:
        whole()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_network_and_a_certificate_that_is_not_trusted_are_told(
    pine: Shell, gateway: HistoryServer, before: dict[str, bytes], command: str
) -> None:
    hidden = dict.fromkeys(("REQUESTS_CA_BUNDLE",), "")
    ran = run(pine, command, **hidden)
    assert ran.code == 2
    assert f"the certificate of {gateway.gateway} is not trusted" in ran.err
    assert "; set REQUESTS_CA_BUNDLE to the file of the authority that signed it" in ran.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = pine.folder / "pine.yaml"
    path.write_text(path.read_text().replace(gateway.gateway, f"https://127.0.0.1:{port}"))
    ran = run(pine, command)
    assert ran.code == 2
    assert f"gave up after 6 attempts, the last: no connection to https://127.0.0.1:{port}" in ran.err
    assert content(pine) == before


@pytest.mark.parametrize("command", [*COMMANDS.values(), ("bars", "ES", *SPAN, "--price"), ("audit",)])
def test_nothing_is_asked_about_another_gateways_market(pine: Shell, command: tuple[str, ...]) -> None:
    pine.config(CONFIG.replace("api_key: ${DATABENTO_API_KEY}", f"api_key: {KEY}\n  gateway: 127.0.0.1:13000"))
    more = ("--session", "2024-03-05") if command == ("audit",) else ()
    ran = pine.quick(*command, *more)
    assert (ran.code, ran.out) == (2, "")
    assert "databento.historical_gateway: found none, with databento.gateway '127.0.0.1:13000', expected" in ran.err
