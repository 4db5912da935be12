"""The page in a real browser, on a wide and a narrow screen: run by ``make browser``, not with the other tests."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from attrs import define, field
from market import configure
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from processes import started_in

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.instruments import SPECS
from pine.orders.entries import Control
from pine.orders.ledger import read_ledger

from .conftest import TEXT, Dashboard, dashboard, served

PROGRAM: Final = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS: Final = {
    "wide": {"viewport": {"width": 1600, "height": 1000}, "color_scheme": "light"},
    "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
}
SECONDS: Final = 30_000
MANY: Final = list(SPECS)[:20]
TOKEN: Final = "HIDDEN-correct-horse"
INK: Final = """canvas => {
  const {width, height} = canvas;
  const pixels = canvas.getContext('2d', {willReadFrequently: true}).getImageData(0, 0, width, height).data;
  let drawn = 0;
  for (let n = 3; n < pixels.length; n += 4) drawn += pixels[n] > 0;
  return drawn;
}"""
"""Counts the pixels of a canvas that something was drawn on."""


@define(slots=False)  # playwright keeps what it needs of a handler on its object
class Watched:
    """A page whose every complaint and request is remembered."""

    page: Page
    port: int
    complaints: list[str] = field(factory=list)
    hosts: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.page.set_default_timeout(SECONDS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"{request.url}: {request.failure}"))
        self.page.on("request", self._asked)
        self.page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.hosts.add(urlsplit(request.url).netloc)

    def open(self) -> Page:
        self.page.goto(f"http://127.0.0.1:{self.port}/")
        return self.page

    def is_quiet(self) -> None:
        assert self.complaints == []
        assert self.hosts == {f"127.0.0.1:{self.port}"}

    def fits(self) -> None:
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        expect.set_options(timeout=SECONDS)
        yield running
        running.close()


@pytest.fixture
def house(filled: Path, tmp_path: Path) -> Iterator[tuple[EmbeddedServer, Dashboard]]:
    """A filled server, a worker of ``one`` that lives, and a dashboard."""
    config = configure(tmp_path, TEXT)
    with served(filled, tmp_path) as server, started_in(tmp_path) as begin, dashboard(tmp_path) as running:
        begin(config)
        yield server, running


@contextlib.contextmanager
def watched(browser: Browser, port: int, screen: str) -> Iterator[Watched]:
    context = browser.new_context(**SCREENS[screen])  # type: ignore[arg-type]
    yield Watched(context.new_page(), port)
    context.close()


def draws(page: Page) -> None:
    canvas = page.locator(".p-chart canvas").first
    canvas.wait_for()
    page.wait_for_function(f"canvas => ({INK})(canvas) > 3000", arg=canvas.element_handle())


def controls(server: EmbeddedServer) -> list[tuple[str, str, str]]:
    client = client_for(server.url)
    found = [entry for _, entry in read_ledger(client, "one") if isinstance(entry, Control)]
    client.close()
    return [(entry.order, entry.who, entry.reason) for entry in found]


@pytest.mark.parametrize("screen", SCREENS)
def test_what_there_is_appears_and_halt_works(
    screen: str, browser: Browser, house: tuple[EmbeddedServer, Dashboard]
) -> None:
    server, running = house
    with watched(browser, running.port, screen) as seen:
        page = seen.open()
        draws(page)
        row = page.locator(".p-strategy", has_text="one").first
        expect(row).to_contain_text("running")
        expect(page.get_by_text("worker idle is not running: pine worker idle")).to_be_visible()
        expect(page.get_by_text("paper only", exact=True).first).to_be_visible()
        seen.fits()
        page.get_by_text("hourly", exact=True).click()
        draws(page)
        row.get_by_role("button", name="Halt").click()
        page.get_by_role("textbox", name="Who").fill("anna")
        page.get_by_label("Reason").fill("news at two")
        page.get_by_role("button", name="Halt one").click()
        expect(page.locator(".p-answers")).to_contain_text("one: halt")
        assert controls(server) == [("halt", "anna", "news at two")]
        page.get_by_role("button", name="Close", exact=True).click()
        expect(page.get_by_text("one is halted by anna: news at two")).to_be_visible()
        expect(row.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("tab", name="Events").click()
        expect(page.get_by_text("anna: news at two", exact=True)).to_be_visible()
        row.locator(".p-who").click()
        expect(page.get_by_text("its newest orders")).to_be_visible()
        seen.fits()
        seen.is_quiet()


def test_a_browser_remembers_who_uses_it_and_a_page_the_next_day_too(
    browser: Browser, house: tuple[EmbeddedServer, Dashboard]
) -> None:
    _, running = house
    with watched(browser, running.port, "wide") as seen:
        page = seen.open()
        page.get_by_text("hourly", exact=True).click()
        page.get_by_role("button", name="dark or light").click()
        expect(page.locator("body.body--dark")).to_be_visible()
        page.locator(".p-strategy", has_text="one").first.get_by_role("button", name="Flatten").click()
        page.get_by_role("textbox", name="Who").fill("anna")
        page.get_by_label("Reason").fill("home")
        page.keyboard.press("Enter")
        expect(page.locator(".p-answers")).to_contain_text("one: flatten")
        page.reload()
        page.locator(".p-strategy", has_text="one").first.get_by_role("button", name="Flatten").click()
        expect(page.get_by_role("textbox", name="Who")).to_have_value("anna")
        expect(page.locator("body.body--dark")).to_be_visible()
        seen.is_quiet()


def test_the_page_survives_its_server_and_a_browser_that_hangs(browser: Browser, filled: Path, tmp_path: Path) -> None:
    """No worker lives that would start the server again at once."""
    configure(tmp_path, TEXT)
    with (
        served(filled, tmp_path) as server,
        dashboard(tmp_path) as running,
        watched(browser, running.port, "wide") as seen,
        watched(browser, running.port, "wide") as bad,
    ):
        page = seen.open()
        draws(page)
        draws(bad.open())
        bad.page.evaluate("setTimeout(() => { for (;;) {} }, 0)")
        clock = page.locator(".p-clock")
        for _ in range(5):
            before = clock.inner_text()
            expect(clock).not_to_have_text(before)
        server.stop()
        expect(page.locator(".p-facts")).to_contain_text("away")
        server.ensure()
        expect(page.locator(".p-facts")).not_to_contain_text("away")
        seen.is_quiet()


def test_twenty_roots_and_no_strategy_begun(browser: Browser, tmp_path: Path) -> None:
    roots = ", ".join(f"{root}: {{}}" for root in MANY)
    names = ", ".join(MANY)
    lines = [f"  s{n}: {{type: ibs, max_positions: 20, instruments: [{names}]}}" for n in range(6)]
    text = f"data_dir: data\ninstruments: {{{roots}}}\nstrategies:\n" + "\n".join(lines) + "\n"
    configure(tmp_path, text)
    server = EmbeddedServer(tmp_path / "data")
    server.ensure()
    with dashboard(tmp_path) as running:
        for screen in SCREENS:
            with watched(browser, running.port, screen) as seen:
                page = seen.open()
                expect(page.locator(".p-strategy")).to_have_count(6)
                expect(page.get_by_text("no bars yet")).to_be_visible()
                seen.fits()
                seen.is_quiet()
    server.stop()


def test_the_token_is_asked_for_and_never_seen_again(browser: Browser, filled: Path, tmp_path: Path) -> None:
    configure(tmp_path, f"{TEXT}\ndashboard: {{token: {TOKEN}}}\n")
    with served(filled, tmp_path), dashboard(tmp_path) as running:
        with watched(browser, running.port, "narrow") as seen:
            page = seen.open()
            page.get_by_label("Token of this dashboard").fill("wrong")
            page.get_by_role("button", name="Enter").click()
            expect(page.get_by_role("alert")).to_have_text("That is not the token.")
            seen.complaints.clear()  # a browser complains of the 401
            page.get_by_label("Token of this dashboard").fill(TOKEN)
            page.get_by_role("button", name="Enter").click()
            draws(page)
            assert TOKEN not in page.url + page.content()
            page.reload()
            draws(page)
            seen.is_quiet()
        assert TOKEN not in running.said
