"""A row for each strategy, and its buttons."""

from collections.abc import Callable

from nicegui import ui

from pine.core.config import Config
from pine.web.asking import AskDialog
from pine.web.lists import Details
from pine.web.view import CLOSE, NEAR, Row, Said, rows
from pine.web.watch import Picture


class Strategies:
    """A row for each strategy."""

    def __init__(self, config: Config, dialog: AskDialog, details: Details) -> None:
        self._config = config
        with ui.element("section").classes("p-card p-strategies"):
            with ui.element("div").classes("p-row p-titles"):
                for title in (
                    "strategy",
                    "positions",
                    "day P&L, realised",
                    "behind",
                    "last bar",
                    "courier",
                    "last refusal",
                    "",
                ):
                    ui.label(title)
            self._rows = {name: StrategyRow(name, dialog, details) for name in config.strategies}
            if not self._rows:
                ui.label("no strategy is configured").classes("p-dim")

    def show(self, picture: Picture) -> None:
        """Show the strategies of a picture."""
        for row in rows(picture, self._config):
            self._rows[row.name].show(row, away=picture.away)


class StrategyRow:
    """One strategy: what it does, and its buttons."""

    def __init__(self, name: str, dialog: AskDialog, details: Details) -> None:
        self._row = ui.element("div").classes("p-row p-strategy").mark(f"row-{name}")
        self._row.on("click", lambda: details.open(name))
        with self._row:
            with ui.element("div").classes("p-who"):
                ui.label(name).classes("p-strong")
                self._state = ui.label().mark(f"state-{name}")
                self._halted = ui.label("halted").classes("p-badge p-warn").mark(f"halted-{name}")
            self._positions = _cell("positions")
            with ui.element("div").classes("p-cell p-pnl"):
                ui.label("day P&L").classes("p-title p-narrow")
                with ui.element("div").classes("p-amounts"):
                    self._pnl = ui.label()
                    self._stop = ui.label().classes("p-dim")
                with ui.element("div").classes("p-track"):
                    self._used = ui.element("div")
            self._lag = _cell("behind")
            self._last_bar = _cell("last bar")
            self._courier = _cell("courier")
            self._refused = _cell("last refusal", "p-refused")
            with ui.element("div").classes("p-buttons").on("click.stop", lambda: None):
                self._halt = _button("Halt", lambda: dialog.open([name], "halt"), f"halt-{name}")
                self._resume = _button("Resume", lambda: dialog.open([name], "resume"), f"resume-{name}")
                _button("Flatten", lambda: dialog.open([name], "flatten"), f"flatten-{name}")

    def show(self, row: Row, *, away: bool) -> None:
        """Show the strategy as it is now."""
        self._row.classes(add="p-away" if away else None, remove=None if away else "p-away")
        say(self._state, row.state, "p-badge")
        self._halted.set_visibility(bool(row.halted))
        self._halt.set_visibility(not row.halted)
        self._resume.set_visibility(bool(row.halted))
        for label, said in (
            (self._positions, row.positions),
            (self._pnl, row.pnl),
            (self._lag, row.lag),
            (self._last_bar, row.last_bar),
            (self._courier, row.courier),
        ):
            say(label, said)
        self._stop.text = f"stop {row.stop}"
        self._refused.text = row.refused or "none"
        self._refused.classes(replace="p-text" if row.refused else "p-text p-dim")
        self._used.style(replace=f"width: {row.used:.0%}").classes(replace=_heat(row.used))


def _heat(used: float) -> str:
    return "p-bad" if used >= CLOSE else "p-warn" if used >= NEAR else "p-calm"


def _cell(title: str, classes: str = "") -> ui.label:
    with ui.element("div").classes(f"p-cell {classes}"):
        ui.label(title).classes("p-title p-narrow")
        return ui.label().classes("p-text")


def _button(text: str, press: Callable[[], None], marker: str) -> ui.button:
    return ui.button(text, on_click=press, color=None).props("outline dense no-caps").classes("p-small").mark(marker)


def say(label: ui.label, said: Said, classes: str = "p-text") -> None:
    """Let a label say something in its tone."""
    label.text = said.text
    label.classes(replace=f"{classes} p-{said.tone}" if said.tone else classes)
