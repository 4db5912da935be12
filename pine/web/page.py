"""The live page: built once per browser, then changed where the newest picture differs."""

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

from nicegui import app, ui

from pine.core.config import Config
from pine.ops.status import span
from pine.web.asking import AskDialog, Asker
from pine.web.candles import CandleCard
from pine.web.lists import Details, Lists
from pine.web.strategies import Strategies, say
from pine.web.view import Said, clock, head
from pine.web.watch import EVERY_SECONDS, OLD_SECONDS, Picture, Watcher

STYLE: Final = Path(__file__).with_name("page.css")
PRESSED: Final = "#3d68d8"
"""Of what is chosen, where the library colours it."""


def build(watcher: Watcher, asking: Asker) -> Callable[[], None]:
    """Return what makes the page for one browser."""

    def page() -> None:
        Page(watcher, asking, app.storage.user)

    return page


class Page:
    """One browser's page.

    Parameters
    ----------
    watcher
        Takes the pictures, for everybody.
    asking
        Has orders booked.
    remembered
        What is kept for this browser.
    """

    def __init__(self, watcher: Watcher, asking: Asker, remembered: MutableMapping[str, Any]) -> None:
        self._watcher = watcher
        config = watcher.config
        ui.add_css(STYLE)
        ui.colors(primary=PRESSED)
        ui.query(".nicegui-content").classes("p-page")
        self._dialog = AskDialog(asking, remembered)
        self._head = Head(config, self._dialog, remembered)
        self._verdict = Verdict()
        self._details = Details(config)
        self._strategies = Strategies(config, self._dialog, self._details)
        with ui.element("div").classes("p-below"):
            self._candles = CandleCard(watcher, remembered)
            self._lists = Lists()
        self.refresh()
        ui.timer(EVERY_SECONDS, self.refresh)

    def refresh(self) -> None:
        """Show the newest picture."""
        picture, age = self._watcher.picture, self._watcher.age()
        self._head.show(picture)
        self._verdict.show(picture, age)
        self._strategies.show(picture)
        self._candles.show(picture)
        self._lists.show(picture)
        self._details.show(picture)


class Head:
    """The line that is always in view."""

    def __init__(self, config: Config, dialog: AskDialog, remembered: MutableMapping[str, Any]) -> None:
        self._facts: dict[str, ui.label] = {}
        dark = ui.dark_mode(remembered.get("dark"))

        def turn() -> None:
            dark.value = {None: True, True: False, False: None}[dark.value]
            remembered["dark"] = dark.value
            button.props(f"icon={_moon(dark.value)}")

        with ui.element("header").classes("p-head"):
            ui.label("pine").classes("p-name")
            with ui.element("div").classes("p-facts"):
                for title in ("server", "hub", "market", "watermark", "data", "kill switch"):
                    with ui.element("div").classes("p-fact"):
                        ui.label(title).classes("p-title")
                        self._facts[title] = ui.label()
            with ui.element("div").classes("p-buttons"):
                self._clock = ui.label().classes("p-clock")
                button = ui.button(icon=_moon(dark.value), on_click=turn, color=None).props(
                    "flat round dense aria-label='dark or light'"
                )
                every = list(config.strategies)
                halt = ui.button("Halt all", on_click=lambda: dialog.open(every, "halt"), color=None)
                halt.props("unelevated no-caps").classes("p-stop").mark("halt-all").set_enabled(bool(every))

    def show(self, picture: Picture) -> None:
        """Show the facts of a picture."""
        for title, said in head(picture).items():
            say(self._facts[title], said)
        self._clock.text = f"{clock(picture.facts['at'], '%H:%M:%S')} UTC"


def _moon(dark: bool | None) -> str:
    return {None: "brightness_auto", True: "dark_mode", False: "light_mode"}[dark]


class Verdict:
    """What is wrong, then what somebody should know."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("p-verdict").mark("verdict")
        self._shown: list[Said] | None = None

    def show(self, picture: Picture, age: float) -> None:
        """Show the lines of a picture if they are others."""
        lines = [Said(problem, "bad") for problem in picture.facts["problems"]]
        if age > OLD_SECONDS:
            lines.insert(0, Said(f"the server has not answered for {span(age)}: everything here is as old", "bad"))
        if not lines:
            lines.append(Said("nothing is wrong", "good"))
        lines += [Said(note, "bad" if note.startswith("kill switch") else "warn") for note in picture.facts["notes"]]
        if lines == self._shown:
            return
        self._shown = lines
        self._box.clear()
        with self._box:
            for line in lines:
                ui.label(line.text).classes(f"p-line p-{line.tone}")
