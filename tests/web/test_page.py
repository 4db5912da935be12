"""The page as a person uses it, on NiceGUI's simulated user: what is shown, and that its buttons are booked."""

import asyncio
import os
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.times import parse_time
from pine.orders.entries import Control
from pine.orders.ledger import read_ledger
from pine.web.watch import Watcher

from .conftest import working

NOW = parse_time("2024-03-05T15:00")
PATIENCE = 300
"""Looks, a tenth of a second apart, that anything is waited for."""


@pytest.fixture
def watcher(config: Config) -> Iterator[Watcher]:
    watcher = Watcher(config, lambda: NOW)
    watcher.look()
    watcher.start()
    yield watcher
    watcher.stop()


def use(watcher: Watcher, folder: Path, what: Callable[..., Coroutine[None, None, None]]) -> None:
    """Open the page as a new person, and do something with it."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(folder)  # what NiceGUI keeps must not lie about where tests are run
    from nicegui.storage import Storage
    from nicegui.testing import user_simulation

    from pine.web.asking import asker
    from pine.web.page import build

    async def using() -> None:
        Storage.path = folder
        async with user_simulation(root=build(watcher, asker(watcher.config))) as user:
            user.javascript_rules[re.compile("window.innerWidth")] = lambda match: 1600
            await user.open("/")
            await what(user)

    asyncio.run(using())


async def until(condition: Callable[[], object]) -> None:
    for _ in range(PATIENCE):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("did not happen in time")


def controls(client: Client, strategy: str) -> list[tuple[str, str, str]]:
    ledger = read_ledger(client, strategy)
    return [(entry.order, entry.who, entry.reason) for _, entry in ledger if isinstance(entry, Control)]


def test_a_server_that_hangs_is_told(watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watcher, "age", lambda self: 61.0)

    async def look(user) -> None:
        await user.should_see("the server has not answered for 61 s")

    use(watcher, tmp_path / "kept", look)


def test_until_the_first_answer_a_chart_is_loading_and_not_without_bars(
    watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[tuple[Bar, ...] | None] = [None]
    monkeypatch.setattr(Watcher, "bars", lambda *_: answers[0])

    async def look(user) -> None:
        await user.should_see("loading")
        await user.should_not_see("no bars yet")
        answers[0] = ()
        await user.should_see("no bars yet", retries=20)
        await user.should_not_see("loading")

    use(watcher, tmp_path / "kept", look)


def test_strategies_orders_and_problems_are_shown(watcher: Watcher, tmp_path: Path) -> None:
    async def look(user) -> None:
        await user.should_see("the hub is not running: pine hub")
        await user.should_see(marker="row-one")
        await user.should_see("stop −2,500")
        (table,) = user.find(marker="orders").elements
        assert len(table.rows) == len(watcher.picture.orders["one"]) > 3
        await user.should_see(marker="chart", retries=PATIENCE)
        (chart,) = user.find(marker="chart").elements
        await until(lambda: chart.options["series"] and chart.options["series"][0]["data"])

    use(watcher, tmp_path / "kept", look)


def test_a_halt_is_booked_with_who_and_why_and_shown_and_a_resume_too(
    client: Client, watcher: Watcher, tmp_path: Path
) -> None:
    async def halt(user) -> None:
        user.find(marker="halt-one").click()
        await user.should_see("Halt one")
        user.find(marker="confirm").click()
        await user.should_see("A reason is needed: it goes on record.")
        assert controls(client, "one") == []
        user.find(marker="reason").type("news at two")
        user.find(marker="who").clear().type("anna")
        user.find(marker="confirm").click()
        await user.should_see(marker="answer", retries=PATIENCE)
        assert controls(client, "one") == [("halt", "anna", "news at two")]
        await user.should_see("one is halted by anna: news at two", retries=PATIENCE)
        user.find(marker="cancel").click()
        user.find(marker="resume-one").click()
        user.find(marker="reason").type("over")
        user.find(marker="confirm").click()  # who it is was remembered
        await user.should_see(marker="answer", retries=PATIENCE)
        assert controls(client, "one")[1:] == [("resume", "anna", "over")]

    with working(watcher.config, "one"):
        use(watcher, tmp_path / "kept", halt)


def test_halting_all_is_booked_where_a_worker_lives_and_where_none_does(
    client: Client, watcher: Watcher, tmp_path: Path
) -> None:
    async def halt(user) -> None:
        user.find(marker="halt-all").click()
        await user.should_see("Halt all 2 strategies")
        user.find(marker="reason").type("enough").trigger("keydown.enter")
        await user.should_see(marker="answer", retries=PATIENCE)
        answers = [element.text for element in user.find(marker="answer").elements]
        assert sum("one: halt booked after step" in answer for answer in answers) == 1
        assert sum("idle: has never run; halt is on record and booked before its first step" in a for a in answers) == 1

    use(watcher, tmp_path / "kept", halt)
    with working(watcher.config, "idle"):
        assert controls(client, "one") == [("halt", "dashboard", "enough")]


def test_flattening_halts_first_and_tells_what_is_closed(client: Client, watcher: Watcher, tmp_path: Path) -> None:
    (held,) = watcher.picture.facts["strategies"]["one"]["positions"]

    async def flatten(user) -> None:
        user.find(marker="flatten-one").click()
        user.find(marker="reason").type("home")
        user.find(marker="confirm").click()
        await user.should_see(marker="answer", retries=PATIENCE)
        await user.should_see(f"flatten booked after step 2024-03-05 00:59 UTC: exit 1 {held['contract']} near")
        await user.should_see("(paper only)")

    with working(watcher.config, "one"):
        use(watcher, tmp_path / "kept", flatten)
    assert [order for order, _, _ in controls(client, "one")] == ["halt", "flatten"]


def test_a_button_that_did_nothing_says_so(server: EmbeddedServer, watcher: Watcher, tmp_path: Path) -> None:
    async def halt(user) -> None:
        user.find(marker="halt-one").click()
        user.find(marker="reason").type("enough")
        server.stop()
        user.find(marker="confirm").click()
        await user.should_see("halt failed: no server runs", retries=PATIENCE)
        server.ensure()

    use(watcher, tmp_path / "kept", halt)


def test_a_click_on_a_strategy_shows_its_orders(watcher: Watcher, tmp_path: Path) -> None:
    async def look(user) -> None:
        user.find(marker="row-one").click()
        await user.should_see("its newest orders", retries=PATIENCE)
        (table,) = user.find(marker="details").elements
        await until(lambda: table.rows)
        assert {row["answer"] for row in table.rows} == {"paper only"}

    use(watcher, tmp_path / "kept", look)


def test_nothing_is_asked_of_a_strategy_by_looking(client: Client, watcher: Watcher, tmp_path: Path) -> None:
    async def look(user) -> None:
        user.find(marker="flatten-one").click()
        user.find(marker="reason").type("no, wait")
        user.find(marker="cancel").click()

    use(watcher, tmp_path / "kept", look)
    assert client.xlen(keys.control("one")) == 0
