"""What goes wrong is said in words with the place and the way out, under the right exit code, without a secret."""

import json
from pathlib import Path

import pytest

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.cli import bars_view
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.history.answer import Answer

from .conftest import CONFIG, HOOK, KEY, PASSWORD, Shell

# The configuration


def test_a_missing_configuration_is_named_with_the_way_to_name_another(pine: Shell) -> None:
    ran = pine("-c", "nowhere.yaml", "server", "status")
    assert (ran.code, ran.out) == (2, "")
    assert str(pine.folder / "nowhere.yaml") in ran.err
    assert "name one with -c or PINE_CONFIG" in ran.err
    assert ran.err.count("nowhere.yaml") == 1


def test_the_configuration_may_be_named_before_and_after_the_command_and_by_the_environment(pine: Shell) -> None:
    (pine.folder / "pine.yaml").rename(pine.folder / "other.yaml")
    url = json.loads(pine.quick("-c", "other.yaml", "server", "status", "--json").out)["url"]
    assert json.loads(pine.quick("server", "status", "--json", "-c", "other.yaml").out)["url"] == url
    assert json.loads(pine("server", "status", "--json", PINE_CONFIG="other.yaml").out)["url"] == url
    assert str(pine.folder / "data") in url
    assert pine.quick("server", "status").code == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("instruments:\n  ES: {}\n bad", 3, "YAML"),
        ("instruments: {ES: {}\nstrategies: [", 2, "YAML"),
        (CONFIG + "surprise: 1\n", CONFIG.count("\n") + 1, "surprise"),
        ("- just\n- a list\n", 1, "sections"),
        ("instruments:\n  ESS: {}\n", 2, "did you mean ES"),
    ],
    ids=["indent", "bracket", "unknown section", "list", "unknown root"],
)
def test_a_broken_configuration_is_told_with_file_and_line(pine: Shell, text: str, line: int, words: str) -> None:
    pine.config(text)
    ran = pine.quick("bars", "ES")
    assert (ran.code, ran.out) == (2, "")
    assert f"{pine.folder / 'pine.yaml'}:{line}: " in ran.err
    assert words in ran.err


@pytest.mark.parametrize(
    "text",
    [
        f"databento: {KEY}\n",
        f"databento:\n  api_key: [{KEY}]\n",
        f"databento:\n  key: {KEY}\n",
        f'databento:\n  api_key: "{KEY}\n',
        f"databento:\n  api_key: {KEY}: x\n",
        f"strategies:\n  ibs_a: {HOOK}\n",
        f"instruments: {{ES: {{}}}}\nstrategies:\n  ibs_a: {{type: ibs, instruments: [ES], webhok: {HOOK}}}\n",
        f"instruments: {{ES: {{}}}}\nstrategies:\n  ibs_a: {{type: ibs, instruments: [ES], webhook: ftp:{HOOK}}}\n",
        f"instruments: {{ES: {{}}}}\nstrategies:\n  ibs_a: {{type: ibs, instruments: [ES], webhook: [{HOOK}]}}\n",
        f"bus: redis://u:{PASSWORD}@127.0.0.1:1/0\n",
        f"bus:\n  url: http://u:{PASSWORD}@127.0.0.1:1/0\n",
        f"bus:\n  uri: redis://u:{PASSWORD}@127.0.0.1:1/0\n",
    ],
)
def test_a_secret_in_the_wrong_place_is_a_mistake_that_does_not_show_it(pine: Shell, text: str) -> None:
    pine.config(text)
    assert pine.quick("bars", "ES").code == 2


@pytest.mark.parametrize("url", ["@127.0.0.1:1/0", "@127.0.0.1:port/0", "@127.0.0.1:99999/0", "/more@127.0.0.1:1/0"])
def test_a_server_that_cannot_be_reached_is_told_without_its_password(pine: Shell, url: str) -> None:
    pine.config(f"bus:\n  url: redis://u:{PASSWORD}{url}\ninstruments: {{ES: {{}}}}\n")
    ran = pine.quick("bars", "ES")
    assert (ran.code, ran.out) == (2, "")
    assert "bus.url" in ran.err


# Strategies and secrets


@pytest.mark.parametrize("command", ["worker", "courier"])
def test_an_unknown_strategy_is_told_with_those_that_there_are(pine: Shell, command: str) -> None:
    ran = pine(command, "nope")
    assert ran.code == 2
    assert "'nope'" in ran.err
    assert "ibs_a, asleep" in ran.err
    assert "did you mean ibs_a?" in pine.quick(command, "ibs_aa").err
    assert not (pine.folder / "data").exists()


def test_a_worker_of_a_disabled_strategy_is_refused_with_the_setting(pine: Shell) -> None:
    ran = pine.quick("worker", "asleep")
    assert ran.code == 2
    assert "strategies.asleep.enabled" in ran.err
    assert not (pine.folder / "data").exists()


@pytest.mark.parametrize("command", ["worker", "courier"])
def test_a_webhook_whose_variable_is_unset_is_told_by_its_name(pine: Shell, command: str) -> None:
    pine.config(CONFIG.replace("IBS_A_WEBHOOK", "IBS_A_WEBHOOK_NOT_SET"))
    ran = pine.quick(command, "ibs_a")
    assert ran.code == 2
    assert "strategies.ibs_a.webhook: environment variable IBS_A_WEBHOOK_NOT_SET is not set" in ran.err


def test_the_hub_needs_its_key_and_says_which_variable(pine: Shell) -> None:
    ran = pine("hub")
    assert ran.code == 2
    assert "databento.api_key: environment variable DATABENTO_API_KEY is not set" in ran.err
    assert ".env" in ran.err
    assert not (pine.folder / "data").exists()


@pytest.mark.parametrize("text", ["", "databento: {}\n", "databento:\n  api_key:\n", 'databento: {api_key: ""}\n'])
def test_a_key_that_is_not_even_asked_for_is_missed_by_its_place(pine: Shell, text: str) -> None:
    pine.config(text + "instruments: {ES: {}}\n")
    ran = pine.quick("hub")
    assert ran.code == 2
    assert "databento.api_key" in ran.err


def test_a_hub_without_instruments_has_nothing_to_do(pine: Shell) -> None:
    pine.config(f"databento: {{api_key: {KEY}}}\n")
    ran = pine.quick("hub")
    assert ran.code == 2
    assert "instruments" in ran.err


def test_reading_bars_needs_no_key(pine: Shell, written: EmbeddedServer) -> None:
    assert "DATABENTO_API_KEY" not in pine.environment
    assert pine.quick("bars", "ES").code == 0


def test_secrets_beside_the_configuration_are_not_shown(pine: Shell, written: EmbeddedServer) -> None:
    (pine.folder / ".env").write_text(
        f"DATABENTO_API_KEY={KEY}\nIBS_A_WEBHOOK={HOOK}\nthis line is {PASSWORD} broken\n"
    )
    assert pine.quick("bars", "ES").code == 0
    assert pine.quick("bars", "XX").code == 2
    assert pine.quick("server", "status").code == 0
    assert pine("worker", "nope").code == 2


# The server


def test_the_server_is_started_looked_at_and_stopped(pine: Shell) -> None:
    assert pine.quick("server", "status").out == "not running\n"
    assert pine.quick("server", "status").code == 1
    assert pine.quick("server", "stop").out == "was not running\n"
    started = pine("server", "start")
    server = EmbeddedServer(pine.folder / "data")
    assert (started.code, started.out) == (0, f"running, process {server.pid()}, {server.url}\n")
    assert pine.quick("server", "start").out == started.out
    status = pine.quick("server", "status")
    assert (status.code, status.out) == (0, started.out)
    with client_for(server.url, name="pine/77/worker:ibs_a") as user:  # type: ignore[attr-defined]
        user.ping()
        refused = pine("server", "stop")
        assert (refused.code, "used by worker ibs_a (process 77); end what is named" in refused.err) == (2, True)
    stopped = pine("server", "stop")
    assert (stopped.code, stopped.out) == (0, "stopped\n")
    assert not server.is_running()


def test_status_is_one_json_document(pine: Shell) -> None:
    ran = pine.quick("server", "status", "--json")
    server = EmbeddedServer(pine.folder / "data")
    assert (ran.code, ran.err) == (1, "")
    assert json.loads(ran.out) == {"running": False, "pid": None, "url": server.url}
    server.ensure()
    ran = pine.quick("server", "status", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == {"running": True, "pid": server.pid(), "url": server.url}


@pytest.mark.parametrize("command", ["start", "stop", "status"])
def test_a_server_of_ones_own_is_not_pines_to_start(pine: Shell, command: str) -> None:
    pine.config(f"bus:\n  url: redis://u:{PASSWORD}@127.0.0.1:1/0\n")
    ran = pine.quick("server", command)
    assert (ran.code, ran.out) == (2, "")
    assert "bus.url" in ran.err


@pytest.mark.parametrize("command", [("server", "start"), ("bars", "ES")])
def test_a_data_dir_that_cannot_be_used_is_named(pine: Shell, command: tuple[str, ...]) -> None:
    (pine.folder / "data").write_text("a file stands here")
    ran = pine.quick(*command)
    assert (ran.code, ran.out) == (2, "")
    assert str(pine.folder / "data") in ran.err
    (pine.folder / "data").unlink()


# The demonstration


def test_a_folder_that_is_not_empty_is_left_alone(pine: Shell) -> None:
    kept = pine.folder / "run"
    kept.mkdir()
    (kept / "precious.txt").write_text("mine")
    ran = pine.quick("demo", "--keep", kept)
    assert (ran.code, ran.out) == (2, "")
    assert str(kept) in ran.err
    assert [(path.name, path.read_text()) for path in kept.iterdir()] == [("precious.txt", "mine")]


def test_a_folder_that_cannot_be_made_is_named(pine: Shell) -> None:
    (pine.folder / "file").write_text("")
    ran = pine.quick("demo", "--keep", pine.folder / "file" / "run")
    assert ran.code == 2
    assert str(pine.folder / "file" / "run") in ran.err


def test_a_tape_that_is_not_there_is_named(pine: Shell) -> None:
    for arguments in (["--dbn", "nowhere.dbn"], ["--dbn", "pine.yaml", "nowhere.dbn"]):
        ran = pine.quick("demo", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "nowhere.dbn" in ran.err


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"DBN", b"DBN\x03\xff\xff\x00\x00", b"DBN\x09" + b"\x00" * 200, b"\x28\xb5\x2f\xfdjunk"],
    ids=["empty", "text", "prefix", "length", "version", "zstd"],
)
def test_a_tape_that_is_no_tape_is_named(pine: Shell, content: bytes) -> None:
    (pine.folder / "junk.dbn").write_bytes(content)
    ran = pine.quick("demo", "--dbn", "junk.dbn", "--json")
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert "junk.dbn" in ran.err


@pytest.mark.parametrize("arguments", [["--speed", "0"], ["--speed", "fast"], ["--days", "0"], ["--seed", "x"]])
def test_numbers_out_of_range_are_refused(pine: Shell, arguments: list[str]) -> None:
    ran = pine.quick("demo", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert arguments[0] in ran.err


# The sandbox


@pytest.mark.parametrize(
    "arguments",
    [
        ["gateway", "--dbn", "nowhere.dbn", "--port", "0"],
        ["market", "--out", "m.dbn.zst", "--symbols", "QQ", "--days", "1"],
        ["market", "--out", "nowhere/m.dbn.zst", "--symbols", "ES", "--days", "1", "--trades-per-day", "100"],
        ["broker", "--out", "nowhere/hooks.jsonl", "--port", "0"],
    ],
    ids=["tape", "root", "market folder", "broker folder"],
)
def test_a_stand_in_that_cannot_work_says_so(pine: Shell, arguments: list[str]) -> None:
    ran = pine.quick("sandbox", *arguments)
    assert ran.code in (1, 2)
    assert "nowhere" in ran.err or "QQ" in ran.err


def test_relative_paths_are_relative_to_the_configuration(pine: Shell, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    far = Shell(tmp_path / "elsewhere", pine.environment)
    assert far("server", "start", "-c", "../pine.yaml").code == 0
    try:
        assert (tmp_path / "data" / "bus" / "server.pid").exists()
        assert list((tmp_path / "elsewhere").iterdir()) == []
    finally:
        assert far("server", "stop", "-c", "../pine.yaml").out == "stopped\n"


@pytest.mark.parametrize("answers", [(), ("--posted", "--not-posted")])
def test_an_unknown_order_is_never_settled_without_an_answer(
    answers: tuple[str, ...], written: EmbeddedServer, pine: Shell
) -> None:
    ran = pine.quick("orders", "resolve", "a-1", *answers)
    assert ran.code == 2
    assert "either --posted or --not-posted" in ran.err


def test_bars_that_end_before_they_begin_are_refused(pine: Shell) -> None:
    ran = pine.quick("bars", "ES", "--from", "2024-03-06", "--to", "2024-03-05")
    assert (ran.code, ran.out) == (2, "")
    assert "--to: expected a time after --from" in ran.err


def test_a_picture_has_prices_on_the_tick_grid_and_wraps_what_it_says() -> None:
    bars = tuple(
        Bar("ES", Timeframe.MINUTE, n * NS_PER_MINUTE, 5100.25, 5103.75, 5099.5, 5101.0, 1, 7, "ESH4") for n in range(3)
    )
    lines = bars_view.draw(Answer("ES", Timeframe.MINUTE, 0, 3 * NS_PER_MINUTE, bars, ()), 30).splitlines()
    assert max(map(len, lines)) <= 30
    prices = [float(line.split()[0]) for line in lines if line[:1] == "5"]
    assert len(prices) >= 4
    assert all(price * 4 == int(price * 4) for price in prices)
    assert "1970-01-01 00:02 UTC" in " ".join(lines)
