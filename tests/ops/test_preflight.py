"""Looks that hang, fall over or read another clock."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config, Secret, StrategyConfig, StrategyInstrument
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_SECOND
from pine.history.account import Reading
from pine.ops.preflight import Finding, Look, Said, run
from pine.ops.preflight.server import ServerLooks, skew

CONFIG = Config(path=Path("pine.yaml"), data_dir=Path("data"))


def texts(*looks: Look, config: Config = CONFIG, fail_fast: bool = False) -> list[tuple[str, str]]:
    return [(finding.state, finding.text) for finding in run(config, looks, fail_fast=fail_fast)]


def test_a_look_that_hangs_is_a_red_line_and_the_next_one_goes_on() -> None:
    ended = threading.Event()

    def hanging() -> Iterator[Said]:
        yield Said("ok", "first")
        ended.wait()

    fine = Look("group", "fine", lambda: [Said("ok", "fine")])
    found = texts(Look("group", "slow", hanging, 0.05), fine)
    ended.set()
    assert found[0] == ("ok", "first")
    assert found[1][0] == "wrong"
    assert found[1][1].startswith("no answer within 0.05 s; look at ")
    assert found[2] == ("ok", "fine")


@pytest.mark.parametrize("error", [PineError("no db-0123456789abcdef"), ZeroDivisionError("no db-0123456789abcdef")])
def test_a_look_that_falls_over_is_a_red_line_without_secrets(error: Exception) -> None:
    def falling() -> Iterator[Said]:
        yield Said("ok", "first")
        raise error

    (first, (state, text)) = texts(Look("group", "bad", falling))
    assert (first, state) == (("ok", "first"), "wrong")
    assert text.endswith("no db-********")


def test_no_secret_of_the_configuration_is_shown_whoever_puts_it_into_words() -> None:
    strategy = StrategyConfig("ibs", webhook=Secret("HIDDEN one"), instruments={"ES": StrategyInstrument()})
    config = Config(path=Path("pine.yaml"), data_dir=Path("data"), strategies={"a": strategy})
    assert texts(Look("g", "n", lambda: [Said("ok", "found HIDDEN one here")]), config=config) == [
        ("ok", "found ******** here")
    ]


def test_nothing_is_looked_at_after_what_is_wrong_if_that_is_asked_for() -> None:
    looks = [Look("g", name, lambda: [Said("wrong", "bad"), Said("ok", "more")]) for name in "ab"]
    assert texts(*looks, fail_fast=True) == [("wrong", "bad")]
    assert len(texts(*looks)) == 4


def test_a_line_does_not_say_its_name_twice() -> None:
    (finding,) = run(CONFIG, [Look("g", "bus.url", lambda: [Said("wrong", "bus.url: is wrong")])])
    assert finding == Finding("g", "bus.url", "wrong", "is wrong")


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (0.0, "ok", "within 1 s of"),
        (3.0, "warning", " s ahead of the server's clock; let NTP set it"),
        (-3.0, "warning", " s behind the server's clock"),
        (8.0, "wrong", " s ahead of the server's clock; let NTP set it"),
        (-8.0, "wrong", " s behind the server's clock"),
    ],
)
def test_the_clock_is_compared_with_the_server(
    server: EmbeddedServer, client: Client, seconds: float, state: str, words: str
) -> None:
    def clock() -> int:
        whole, micros = client.time()
        return whole * NS_PER_SECOND + micros * 1000 + round(seconds * NS_PER_SECOND)

    looks = ServerLooks(Config(path=server.data_dir / "pine.yaml", data_dir=server.data_dir), clock)
    assert [said.state for said in looks.reachable()] == ["ok", "ok"]
    (said,) = looks.clock_here()
    looks.close()
    assert said.state == state
    assert words in said.text


def test_what_a_clock_may_be_is_not_held_against_it() -> None:
    whole = Reading(10 * NS_PER_SECOND, 11 * NS_PER_SECOND, 0)
    assert [Reading(whole.earliest, whole.latest, at * NS_PER_SECOND // 2).ahead_s for at in (20, 21, 22)] == [0, 0, 0]
    assert Reading(whole.earliest, whole.latest, 13 * NS_PER_SECOND).ahead_s == 2.0
    assert Reading(whole.earliest, whole.latest, 4 * NS_PER_SECOND).ahead_s == -6.0
    assert skew(Reading(whole.earliest, whole.latest, 4 * NS_PER_SECOND), "Databento's").state == "wrong"
