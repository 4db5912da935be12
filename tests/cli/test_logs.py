"""What a process tells on standard error: lines for people or for programs, and never a secret."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pine.cli import logs
from pine.core.config import load_config
from pine.core.errors import PineError
from pine.core.log import about_intent, at_step, get_logger, parsed
from pine.core.timeframe import NS_PER_SECOND
from pine.strategies.catalog import PARAMS

KEY = "db-SecretKeyOfTheDesk1234567890"
SECRETS = (KEY, "discordtokendiscordtoken", "0f3c8f7e-7a9c-4d57-9c8b", "hunter22", "page-token-9")
CONFIG = """
data_dir: data
databento: {api_key: "${TEST_KEY}"}
bus: {url: "redis://desk:hunter22@127.0.0.1:1/0"}
alerts: {urls: ["discord://112233/discordtokendiscordtoken"]}
dashboard: {token: page-token-9}
strategies:
  one: {type: ibs, instruments: {ES: {size: 1}}, webhook: "https://hooks.example/trading/webhook/0f3c8f7e-7a9c-4d57-9c8b"}
instruments: {ES: {}}
"""


def raising(error: Exception) -> None:
    raise error


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Callable[[], str]]]:
    """Set up logging of one shape on a standard error that can be read."""
    from tests.cli.conftest import no_logging_yet

    with no_logging_yet():

        def set_up(shape: str, **environ: str) -> Callable[[], str]:
            sink = io.StringIO()
            monkeypatch.setattr(sys, "stderr", sink)
            logs.set_up("worker", "one", {"PINE_LOG": shape, **environ})
            return sink.getvalue

        yield set_up
    at_step(0)


def test_a_line_of_json_says_when_what_who_and_about_what(told) -> None:
    read = told("json")
    at_step(1_700_000_040 * NS_PER_SECOND)
    with about_intent("one-ES-7"):
        get_logger("pine.orders.courier").error("not posted", status=400, text="no such ticker")
    get_logger("pine.worker.live").info("decided", positions={"ESZ4": 2})
    first, second = map(json.loads, read().splitlines())
    moment = first.pop("timestamp")
    assert moment.endswith("Z")
    assert len(moment) == len("2026-01-02T03:04:05.123456Z")
    assert first == {
        "level": "error",
        "logger": "orders.courier",
        "event": "not posted",
        "role": "worker",
        "strategy": "one",
        "step": "2023-11-14T22:14:00+00:00",
        "intent": "one-ES-7",
        "status": 400,
        "text": "no such ticker",
    }
    assert second["positions"] == {"ESZ4": 2}
    assert "intent" not in second


def test_for_people_the_time_comes_first_and_columns_are_aligned(told) -> None:
    read = told("console")
    get_logger("pine.worker.live").info("worker ready", token=7, positions="none of them")
    get_logger("pine.hub.run").warning("waiting", lease_held_by="desk:12")
    first, second = read().splitlines()
    assert " ".join(first.split()[1:]) == "info worker:one worker.live worker ready token=7 positions='none of them'"
    assert first[19] == "."
    assert first.index("worker.live") == second.index("hub.run")
    assert first.index("worker ready") == second.index("waiting")
    assert first.index("token=") == second.index("lease_held_by=")


@pytest.mark.parametrize("shape", logs.SHAPES)
def test_an_exception_is_one_line_and_its_trace(told, shape: str) -> None:
    read = told(shape)
    try:
        raising(ValueError("no\nsuch price"))
    except ValueError:
        get_logger("pine.hub.tape").exception("tape: nothing more is written", minute=3)
    if shape == "json":
        (line,) = map(json.loads, read().splitlines())
        assert (line["error"], line["minute"]) == ("ValueError: no such price", 3)
        assert line["trace"].startswith("Traceback (most recent call last)")
    else:
        first, second, *_, last = read().splitlines()
        assert "error='ValueError: no such price' minute=3" in first or "minute=3 error=" in first
        assert second == "Traceback (most recent call last):"
        assert last == "such price"


@pytest.mark.parametrize("shape", logs.SHAPES)
def test_no_secret_gets_through_wherever_it_stands(
    told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    (tmp_path / "pine.yaml").write_text(CONFIG)
    logs.hide(load_config(tmp_path / "pine.yaml", PARAMS))
    read = told(shape)
    log, other = get_logger("pine.orders"), logging.getLogger("a.module")
    for secret in SECRETS:
        text = f"event {secret} end"
        log.error(text, field=secret, deep={"list": [f"x{secret}y"], secret: 1}, path=Path(secret))
        other.warning("GET /trading/webhook/%s failed", secret)
        try:
            raising(OSError(f"with url: /a/b/{secret}"))
        except OSError:
            other.exception("raised %s", secret)
    shown = read()
    assert [secret for secret in SECRETS if secret in shown] == []
    assert shown.count("end") >= len(SECRETS)


def test_what_a_library_logs_has_the_same_shape_and_only_what_matters_is_told(told) -> None:
    read = told("json", PINE_LOG_LEVEL="warning")
    logging.getLogger("library.of.others").warning("%d of %d", 1, 2)
    get_logger("pine.hub.run").info("not told")
    (line,) = map(json.loads, read().splitlines())
    assert (line["event"], line["logger"], line["role"]) == ("1 of 2", "library.of.others", "worker")


@pytest.mark.parametrize("setting", [{"PINE_LOG": "xml"}, {"PINE_LOG_LEVEL": "loud"}])
def test_a_setting_that_cannot_be_read_is_named(told, setting: dict[str, str]) -> None:
    with pytest.raises(PineError, match=r"PINE_LOG.*: found '(xml|loud)', expected one of"):
        logs.set_up(environ=setting)


def test_what_cannot_be_written_as_json_is_told_all_the_same(told) -> None:
    read = told("json")
    get_logger("pine.x").info("odd", much=1 << 70, surrogate="\ud800", none=None, nan=float("nan"))
    assert json.loads(read())["event"] == "odd"


def test_what_ends_a_process_is_one_line_without_secrets() -> None:
    script = (
        "from pine.cli import logs; logs.set_up('hub', environ={'PINE_LOG': 'json'});"
        f"raise RuntimeError('lost {KEY}')"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    line = parsed(ran.stderr)
    assert (ran.returncode, ran.stdout, line["level"], line["role"]) == (1, "", "critical", "hub")
    assert line["error"].startswith("RuntimeError: lost db-")
    assert KEY not in ran.stderr


def test_a_module_that_may_log_does_not_import_structlog_before_it_does() -> None:
    script = (
        "import sys, pine.bus.connection, pine.ops.status, pine.orders.courier;"
        "print([name for name in ('structlog', 'rich') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
