"""``pine alerts`` and ``pine metrics`` as a person runs them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pine.bus.embedded import EmbeddedServer
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.inbox import Inbox

from .conftest import CONFIG, MARK, Shell


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with Inbox(out=tmp_path / "alerts.jsonl") as found:
        yield found


def configured(pine: Shell, *urls: str) -> None:
    pine.config(CONFIG + f"alerts:\n  urls: [{', '.join(urls)}]\n")


def test_a_test_message_goes_to_every_url_and_says_which_one_it_did_not_reach(pine: Shell, inbox: Inbox) -> None:
    configured(pine, f'"{inbox.url}{MARK}"', '"${ALERTS}"', '"${NOBODY:-}"')
    ran = pine.quick("alerts", "--test", ALERTS=f"json://127.0.0.1:1/{MARK}")
    assert (ran.code, ran.out) == (1, "1 json: sent\n2 json: NOT SENT\n")
    (line,) = (pine.folder / "alerts.jsonl").read_text().splitlines()
    assert (json.loads(line)["title"], json.loads(line)["path"]) == ("pine: a test", f"/{MARK}")
    configured(pine, f'"{inbox.url}"')
    assert pine.quick("alerts", "--test").code == 0
    inbox.behave(Behaviour("500"))
    ran = pine.quick("alerts", "--test", "--json")
    assert (ran.code, json.loads(ran.out)) == (1, {"services": [{"service": "1 json", "sent": False}]})


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ((), "alerts.urls: found none, expected at least one"),
        (('"${NOT_SET}"',), "alerts.urls.0: environment variable NOT_SET is not set"),
        ((f'"junk://{MARK}"',), "alerts.urls.0: apprise cannot use this URL (not shown, it begins with junk://)"),
        ((f'"{MARK}"',), "apprise cannot use this URL (not shown, it begins with ?://)"),
        ((f'"discord://{MARK}"',), "apprise cannot use this URL (not shown, it begins with discord://)"),
    ],
)
def test_without_a_url_that_can_be_used_nothing_starts(urls: tuple[str, ...], said: str, pine: Shell) -> None:
    configured(pine, *urls)
    for option in ((), ("--test",)):
        ran = pine.quick("alerts", *option)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err


def test_no_plug_in_of_apprise_is_loaded_from_a_folder_of_this_machine(pine: Shell) -> None:
    """Its own command line would load these."""
    for folder in (".apprise/plugins", ".config/apprise/plugins", "named"):
        (pine.folder / folder).mkdir(parents=True)
        plugin = "from apprise.decorators import notify\n@notify(on='mine')\ndef mine(*a, **k): return True\n"
        (pine.folder / folder / "mine.py").write_text(plugin)
    configured(pine, '"mine://x"')
    ran = pine("alerts", "--test", HOME=str(pine.folder), APPRISE_PLUGIN_PATH=str(pine.folder / "named"))
    assert (ran.code, ran.out) == (2, "")
    assert "it begins with mine://" in ran.err


def test_what_is_wrong_now_is_listed_and_nothing_is_started(pine: Shell) -> None:
    ran = pine.quick("alerts", "--once", "--json")
    (found,) = json.loads(ran.out)["wrong"]
    assert (ran.code, found["kind"]) == (1, "server")
    assert "pine server start" in found["body"]
    assert not (pine.folder / "data").exists()
    EmbeddedServer(pine.folder / "data").ensure()
    ran = pine.quick("alerts", "--once", "--json", "-c", "pine.yaml")
    assert [one["title"] for one in json.loads(ran.out)["wrong"]] == ["the hub is down", "worker ibs_a is down"]
    assert "the hub is down: No new bars, so no decisions. Start it: pine hub\n" in pine.quick("alerts", "--once").out


@pytest.mark.parametrize(
    "options", [["--json"], ["--once", "--test"], ["--dry-run", "--once"], ["--dry-run", "--json"]]
)
def test_options_that_do_not_go_together_are_refused(options: list[str], pine: Shell) -> None:
    assert pine.quick("alerts", *options).code == 2


def test_a_scrape_is_printed_with_and_without_a_server(pine: Shell) -> None:
    ran = pine.quick("metrics", "--print", "-c", "pine.yaml")
    assert ran.code == 1
    assert ran.err.endswith("start the hub, or pine server start -c pine.yaml\n")
    assert "\npine_up 0.0\n" in ran.out
    assert not (pine.folder / "data").exists()
    EmbeddedServer(pine.folder / "data").ensure()
    ran = pine.quick("metrics", "--print")
    assert (ran.code, ran.err) == (0, "")
    assert '\npine_process_up{role="worker",strategy="ibs_a"} 0.0\n' in ran.out
