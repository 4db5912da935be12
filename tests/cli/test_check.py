"""``pine check``: each planted defect is one red line that names it and what to do; everything else stays as it was."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.core.times import parse_time, to_ms
from pine.history.vendor import Patience
from pine.ops.preflight import machine, vendor
from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_faults import HistoryFault
from pine.sandbox.market import GeneratedMarket
from pine.sandbox.tape import Tape

from .conftest import HOOK, KEY, Shell

MODELS: Final = Path(__file__).parents[2] / "models"
POSTS: Final = "https://webhooks.traderspost.io/trading/webhook/HIDDENHOOK-1/HIDDENTOKEN-2"

SOUND: Final = """\
data_dir: data
databento: {{api_key: "${{DATABENTO_API_KEY}}", gateway: "127.0.0.1:{port}", historical_gateway: "{historical}"}}
hub: {{clock: tape}}
models: {models}
instruments: {{ES: {{}}, GC: {{}}}}
alerts: {{urls: ["${{ALERTS:-}}"]}}
strategies:
  ibs_a: {{type: ibs, webhook: "${{IBS_A_WEBHOOK}}", instruments: [ES, GC]}}
  ibs_b: {{type: ibs, webhook: "${{IBS_B_WEBHOOK:-}}", instruments: [ES]}}
  asleep: {{type: breakout, enabled: false, webhook: "${{NOT_SET}}", instruments: [ES]}}
"""


@pytest.fixture(scope="module")
def live(market: GeneratedMarket) -> Iterator[GatewayThread]:
    with GatewayThread(Gateway(Tape.of_trades(market.trades, market.symbols))) as running:
        yield running


@pytest.fixture
def sound(pine: Shell, gateway: HistoryServer, live: GatewayThread, server: EmbeddedServer) -> Shell:
    """A folder in which nothing is wrong, with a server that runs, and Databento's stand-ins."""
    gateway.key = KEY
    pine.config(SOUND.format(port=live.port, historical=gateway.gateway, models=MODELS))
    (pine.folder / ".env").write_text(f"DATABENTO_API_KEY={KEY}\n")
    (pine.folder / ".env").chmod(0o600)
    return Shell(pine.folder, {**pine.environment, "IBS_A_WEBHOOK": POSTS})


def checked(pine: Shell, *options: str, **variables: str) -> tuple[int, list[dict[str, str]]]:
    ran = pine.quick("check", "--json", *options, **variables)
    document = json.loads(ran.out)
    assert ran.err == ""
    states = ("ok", "warning", "wrong", "skipped")
    assert sum(document[state] for state in states) == len(document["checks"])
    return ran.code, document["checks"]


def of(found: list[dict[str, str]], state: str) -> list[str]:
    return [f"{item['group']} {item['name']}: {item['text']}" for item in found if item["state"] == state]


def replaced(old: str, new: str) -> Callable[[Shell], dict[str, str]]:
    """Return a defect: other words in the configuration."""

    def plant(pine: Shell) -> dict[str, str]:
        path = pine.folder / "pine.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return {}

    return plant


def environment(**variables: str) -> Callable[[Shell], dict[str, str]]:
    """Return a defect: another variable."""
    return lambda pine: variables


def setting(name: str, value: str) -> Callable[[Shell], dict[str, str]]:
    """Return a defect: another setting of the running server."""

    def plant(pine: Shell) -> dict[str, str]:
        client = client_for(EmbeddedServer(pine.folder / "data").url)
        client.config_set(name, value)  # type: ignore[attr-defined]
        client.close()
        return {}

    return plant


def in_the_way(pine: Shell) -> dict[str, str]:
    (pine.folder / "file").write_text("")
    return replaced("hub: {clock", "archive: {location: ../file/archive}\nhub: {clock")(pine)


def no_key(pine: Shell) -> dict[str, str]:
    (pine.folder / ".env").write_text("")
    return {}


def no_program(pine: Shell) -> dict[str, str]:
    EmbeddedServer(pine.folder / "data").stop()
    return {"PINE_SERVER_BINARY": shutil.which("false") or ""}


def broken_model(pine: Shell) -> dict[str, str]:
    shutil.copytree(MODELS, pine.folder / "models")
    with (pine.folder / "models" / "ibs_b" / "ES.json").open("a") as file:
        file.write(" ")
    replaced(f"models: {MODELS}", "models: models")(pine)
    return replaced("ibs_b: {type: ibs, ", "ibs_b: {type: ibs, model: optional, ")(pine)


@frozen
class Defect:
    """What is planted, and the red line that tells it."""

    name: str
    plant: Callable[[Shell], dict[str, str]]
    line: str
    remedy: str


DEFECTS: Final = (
    Defect(
        "no key",
        no_key,
        "secrets databento.api_key: environment variable DATABENTO_API_KEY is not set",
        "put it in .env",
    ),
    Defect(
        "no webhook",
        environment(IBS_A_WEBHOOK=""),
        "secrets webhook ibs_a: strategies.ibs_a.webhook: environment variable IBS_A_WEBHOOK is not set",
        "set it",
    ),
    Defect(
        "webhook not encrypted",
        environment(IBS_A_WEBHOOK=POSTS.replace("https", "http")),
        "webhooks webhook ibs_a: strategies.ibs_a.webhook: found an address of scheme 'http'",
        "expected https://HOST/trading/webhook/ID/PASSWORD",
    ),
    Defect(
        "webhook of another shape",
        environment(IBS_A_WEBHOOK="https://webhooks.traderspost.io/strategies/HIDDEN"),
        "webhooks webhook ibs_a: strategies.ibs_a.webhook: found an address at webhooks.traderspost.io whose path",
        "expected https://HOST/trading/webhook/ID/PASSWORD",
    ),
    Defect(
        "one webhook of two strategies",
        environment(IBS_B_WEBHOOK=POSTS),
        "webhooks apart: ibs_a and ibs_b post to the same one",
        "give each strategy a webhook of its own",
    ),
    Defect(
        "evicting server",
        setting("maxmemory-policy", "allkeys-lru"),
        "server server: server setting maxmemory-policy: found allkeys-lru",
        "CONFIG SET maxmemory-policy noeviction",
    ),
    Defect(
        "forgetful server",
        setting("appendonly", "no"),
        "server server: server setting appendonly: found no",
        "CONFIG SET appendonly yes",
    ),
    Defect(
        "no server there",
        replaced("data_dir: data", "data_dir: data\nbus: {url: 'redis://u:HIDDENPASSWORD@127.0.0.1:1/0'}"),
        "server server: bus.url: the server does not answer",
        "start it, or correct bus.url",
    ),
    Defect("no server program", no_program, "server server: /", "set PINE_SERVER_BINARY"),
    Defect(
        "key refused",
        environment(DATABENTO_API_KEY="db-HIDDENOTHERKEY012345678901"),
        "databento account: databento.api_key: Databento does not accept it (401",
        "put the key of your account",
    ),
    Defect(
        "another dataset",
        replaced(", gateway: ", ", dataset: XNAS.ITCH, gateway: "),
        "databento account: databento: the range of XNAS.ITCH: refused with 422",
        "correct databento.dataset",
    ),
    Defect(
        "no live gateway",
        replaced('gateway: "127.0.0.1:', 'gateway: "127.0.0.2:'),
        "databento gateway: databento gateway 127.0.0.2:",
        "look at the network",
    ),
    Defect(
        "model required and missing",
        replaced("ibs_b: {type: ibs, ", "asleep_b: {type: ibs, model: required, "),
        "models asleep_b: ES: model missing: ",
        "pine train asleep_b",
    ),
    Defect("model that does not fit", broken_model, "models ibs_b: ES: model refused: ", "pine train ibs_b"),
    Defect(
        "model of a generated market",
        replaced("ibs_a: {type: ibs, ", "ibs_a: {type: ibs, model: optional, "),
        "models ibs_a: strategy ibs_a: its models of ES, GC were trained on a generated market",
        "train them on recorded data (pine train ibs_a)",
    ),
    Defect("folder in the way", in_the_way, "machine archive.location: found /", "name another place"),
    Defect(
        "alerts to nowhere",
        environment(ALERTS="discrod://HIDDENID/HIDDENTOKEN"),
        "desk alerts.urls.0: found an address of discrod (not shown) that apprise does not understand",
        "correct its variable",
    ),
    Defect(
        "open dashboard",
        replaced("hub: {clock", "dashboard: {host: 0.0.0.0}\nhub: {clock"),
        "desk dashboard: dashboard.host: found 0.0.0.0, which others can reach, and no dashboard.token",
        "set one, or listen on 127.0.0.1",
    ),
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_the_one_red_line_and_says_what_to_do(sound: Shell, defect: Defect) -> None:
    code, found = checked(sound, **defect.plant(sound))
    (line,) = of(found, "wrong")
    assert line.startswith(defect.line)
    assert defect.remedy in line
    assert code == 1


@pytest.mark.parametrize(("key", "state"), [(KEY, "ok"), ("db-HIDDEN", "warning"), ("HIDDENWITHOUTPREFIX", "wrong")])
def test_what_cannot_be_a_key_is_told_before_databento_is_asked(key: str, state: str, pine: Shell) -> None:
    pine.config(
        SOUND.format(port=1, historical="", models=MODELS).replace(
            ', gateway: "127.0.0.1:1", historical_gateway: ""', ""
        )
    )
    _, found = checked(pine, "--offline", DATABENTO_API_KEY=key)
    (line,) = [one for one in found if one["name"] == "databento.api_key"]
    assert line["state"] == state
    assert ("expected db- and 29 letters and digits" in line["text"]) == (state != "ok")


def test_a_sound_folder_has_no_red_line(sound: Shell) -> None:
    code, found = checked(sound)
    assert (code, of(found, "wrong")) == (0, [])
    lines = "\n".join(of(found, "ok") + of(found, "skipped"))
    assert "courier:ibs_b" not in lines
    for line in (
        "configuration file: ",
        "secrets databento.api_key: set by DATABENTO_API_KEY in .env",
        "secrets webhook ibs_a: set by IBS_A_WEBHOOK in the environment",
        "secrets webhook ibs_b: none: on paper only",
        "secrets webhook asleep: NOT_SET is not set; the strategy is disabled",
        "webhooks webhook ibs_a: has the shape of one, at webhooks.traderspost.io",
        "server server: embedded: running",
        "server fsync: appendfsync always: a power cut loses nothing acknowledged",
        "clock server: within 1 s",
        "clock databento: within 1 s",
        "databento account: accepts the key; GLBX.MDP3 is there until 2024-03-0",
        "symbols ES: ESH4 (ESH2024) leads by Databento's ES.v.0 on 2024-03-0",
        "strategies asleep: type breakout loads, disabled",
        "processes processes: not running: hub, archive, worker:ibs_a",
    ):
        assert line in lines


def test_nothing_is_bought_posted_or_started(sound: Shell, gateway: HistoryServer, server: EmbeddedServer) -> None:
    server.stop()
    before = sorted(sound.folder.rglob("*"))
    assert checked(sound)[0] == 0
    assert {request["endpoint"].partition(".")[0] for request in gateway.requests} == {"metadata", "symbology"}
    assert not server.is_running()
    assert sorted(sound.folder.rglob("*")) == before


def test_offline_asks_nothing_outside_this_machine(sound: Shell) -> None:
    replaced('gateway: "127.0.0.1:', 'gateway: "192.0.2.1:')(sound)
    path = sound.folder / "pine.yaml"
    path.write_text(path.read_text().replace('"https://127.0.0.1:', '"https://192.0.2.1:'))
    code, found = checked(sound, "--offline")
    assert code == 0
    skipped = of(found, "skipped")
    for line in ("clock databento: not asked: --offline", "databento account: not asked: --offline"):
        assert line in skipped
    assert any(line.startswith("databento gateway: 192.0.2.1:") for line in skipped)


def test_another_market_is_not_asked_of_the_vendor(sound: Shell) -> None:
    path = sound.folder / "pine.yaml"
    path.write_text(path.read_text().replace("historical_gateway", "max_cost_usd: 1} #"))
    code, found = checked(sound)
    assert code == 0
    assert any(line.startswith("databento account: not asked: databento.gateway is ") for line in of(found, "skipped"))


def test_mistakes_of_the_configuration_are_lines_with_their_place(sound: Shell) -> None:
    replaced("hub: {clock", "hub: {lateness_ms: soon, clock")(sound)
    replaced("instruments: [ES]", "instruments: [QQ]")(sound)
    code, found = checked(sound)
    assert code == 2
    path = sound.folder / "pine.yaml"
    assert {item["text"].partition(": ")[0] for item in found} == {f"{path}:{line}" for line in (3, 9, 10)}
    assert {item["state"] for item in found} == {"wrong"}
    ran = sound.quick("check")
    assert (ran.code, ran.out.count("✗")) == (2, len(found))


def test_one_strategy_is_looked_at_alone(sound: Shell) -> None:
    variables = environment(IBS_B_WEBHOOK="http://hooks.example/HIDDEN")(sound)
    assert checked(sound, **variables)[0] == 1
    code, found = checked(sound, "--strategy", "ibs_a", **variables)
    assert code == 0
    assert not any("ibs_b" in line for line in of(found, "ok") + of(found, "skipped"))
    ran = sound.quick("check", "--strategy", "ibs_aa")
    assert (ran.code, "did you mean ibs_a?" in ran.err) == (2, True)


def test_what_is_wrong_with_a_disabled_strategy_is_worth_knowing_only(sound: Shell) -> None:
    replaced("asleep: {type: breakout, ", "asleep: {type: breakout, model: required, ")(sound)
    code, found = checked(sound, NOT_SET="http://hooks.example/HIDDEN")
    assert code == 0
    told = of(found, "warning")
    assert any(line.startswith("models asleep: ES: model missing: ") for line in told)
    assert any(line.startswith("webhooks webhook asleep: strategies.asleep.webhook: found an address") for line in told)


def test_fail_fast_ends_with_the_first_red_line(sound: Shell) -> None:
    code, found = checked(sound, "--fail-fast", IBS_A_WEBHOOK="")
    assert code == 1
    assert [item["state"] for item in found].index("wrong") == len(found) - 1


def test_what_a_person_should_know_is_no_error(sound: Shell, server: EmbeddedServer) -> None:
    path = sound.folder / ".env"
    path.write_text(path.read_text() + "POLICY_KILLSWITCH=1\n")
    path.chmod(0o644)
    replaced("hub: {clock: tape}", "bus: {fsync: everysec}\nhub: {clock: tape}")(sound)
    client = client_for(server.url)
    assert isinstance(Lease.try_acquire(client, keys.HUB, "box:7"), Lease)
    client.hset(keys.lead("ES"), mapping={str(to_ms(parse_time("2024-03-12T23:00"))): "ESH4"})
    client.xadd(keys.CLOCK, {"prev": ""}, id=f"{to_ms(parse_time('2024-03-13T14:30'))}-0")
    client.close()
    code, found = checked(sound, IBS_A_WEBHOOK=HOOK)
    told = "\n".join(of(found, "warning"))
    assert code == 0
    for line in (
        f"secrets .env: {path}: others can read or write it (mode 644); chmod 600 {path}",
        f"machine kill switch: POLICY_KILLSWITCH is on in {path}: entries are blocked",
        "webhooks webhook ibs_a: is at hooks.example, which is not traderspost.io",
        "server fsync: found appendfsync always, configured is everysec",
        "symbols ES: ESH4 (ESH2024) leads in the session from 2024-03-12T23:00:00+00:00, last trade day 2024-03-15, "
        "in 2 days; see that positions move",
        "processes hub: held by box:7, which gives no sign of life",
    ):
        assert line in told
    assert any(line.startswith("market equity: open; closes Wed 2024-03-13 21:00 UTC") for line in of(found, "ok"))


def test_an_embedded_server_that_nobody_uses_any_more_is_told(sound: Shell, server: EmbeddedServer) -> None:
    replaced("data_dir: data", f"data_dir: data\nbus: {{url: '{server.url}'}}")(sound)
    code, found = checked(sound)
    assert code == 0
    (line,) = [line for line in of(found, "warning") if line.startswith("server orphan: ")]
    assert f"end it with kill {server.pid()}" in line


def test_a_server_that_holds_the_lock_and_says_nothing_is_told(sound: Shell, server: EmbeddedServer) -> None:
    server.stop()
    with (server.folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, found = checked(sound)
    assert code == 0
    (line,) = [line for line in of(found, "warning") if line.startswith("server server: ")]
    assert f"holds {server.folder / 'lock'} and does not answer" in line
    assert f"look at {server.folder / 'server.log'}" in line


def test_a_vendor_who_does_not_answer_is_waited_for_only_so_long(
    sound: Shell, gateway: HistoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "ONCE", Patience(attempts=1, timeout_s=0.2))
    gateway.faults.plan([HistoryFault.parse("timeout:30@get_dataset_range")])
    code, found = checked(sound)
    assert code == 1
    (line,) = of(found, "wrong")
    assert line.startswith("databento account: databento: the range of GLBX.MDP3: gave up")
    assert "look at the network, or use --offline" in line


def test_a_disk_without_room_is_told(sound: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SCARCE", 1 << 62)
    assert any("make room" in line for line in of(checked(sound)[1], "warning"))
    monkeypatch.setattr(machine, "FULL", 1 << 62)
    (line,) = of(checked(sound)[1], "wrong")
    assert line.startswith("machine data_dir disk: ")
    assert "make room, or move data_dir" in line


def test_lines_for_a_person_have_a_mark_each(sound: Shell) -> None:
    ran = sound.quick("check", IBS_A_WEBHOOK="")
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert lines[-1].startswith("1 wrong")
    assert all(line[0] in "✓!✗–" for line in lines[:-1])
    (red,) = [line for line in lines if line.startswith("✗")]
    assert "environment variable IBS_A_WEBHOOK is not set" in red


# What hub and workers refuse


def test_a_worker_refuses_on_red_and_names_every_line(sound: Shell) -> None:
    in_the_way(sound)
    ran = sound("worker", "ibs_a", IBS_B_WEBHOOK=POSTS)
    assert ran.code == 2
    assert "apart: ibs_a and ibs_b post to the same one" in ran.err
    assert "archive.location: found " in ran.err
    client = client_for(EmbeddedServer(sound.folder / "data").url)
    assert client.dbsize() == 0
    client.close()


def test_a_hub_refuses_on_red(sound: Shell) -> None:
    in_the_way(sound)
    ran = sound("hub")
    assert ran.code == 2
    assert ran.err.startswith("Error: archive.location: found ")
