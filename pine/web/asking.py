"""The dialog that asks for a reason before anything is halted, resumed or flattened, and says what came of it."""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final

import redis
from attrs import frozen
from nicegui import ui

from pine.bus.connection import VISIT_SECONDS, connect
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.hub.off_loop import off_loop
from pine.ops import control
from pine.ops.control import PATIENCE, Booked
from pine.orders.entries import Order

NOBODY: Final = "dashboard"
LONGEST: Final = 200
"""Characters of a reason or a name."""

MEANS: Final[dict[Order, str]] = {
    "halt": "No new entries from the next step on. Open positions, their stops and exits stay as they are.",
    "resume": "Entries are allowed again from the next step on.",
    "flatten": "Every open position is closed at the market, through ledger and webhook.",
}

log = get_logger(__name__)

Asker = Callable[[str, Sequence[Order], str, str], list[Booked]]
"""Has orders of one strategy booked: strategy, orders, who, reason."""


def asker(config: Config) -> Asker:
    """Return how orders are booked: over a connection of their own, so that nobody's look waits for them."""

    def asking(strategy: str, orders: Sequence[Order], who: str, reason: str) -> list[Booked]:
        client = connect(config, start=False, silence=VISIT_SECONDS)
        try:
            return control.ask_all(config, client, [(strategy, order) for order in orders], who=who, reason=reason)
        finally:
            client.close()

    return asking


@frozen
class Answer:
    """What came of a request to one strategy."""

    strategy: str
    text: str
    tone: str


async def ask_all(
    asking: Asker, strategies: Sequence[str], orders: Sequence[Order], who: str, reason: str
) -> list[Answer]:
    """Ask the same of some strategies at once, off the event loop; one that fails keeps no other from it."""
    answers = await asyncio.gather(*(_ask(asking, strategy, orders, who, reason) for strategy in strategies))
    return [answer for of_one in answers for answer in of_one]


async def _ask(asking: Asker, strategy: str, orders: Sequence[Order], who: str, reason: str) -> list[Answer]:
    what = " and ".join(orders)
    fields = {"strategy": strategy, "orders": what, "who": who, "reason": reason}
    log.info("asked", **fields)
    try:
        return [told(booked) for booked in await off_loop(partial(asking, strategy, orders, who, reason))]
    except (redis.RedisError, PineError) as error:
        log.warning("not asked", **fields, error=str(error))
        return [Answer(strategy, f"{what} failed: {error}", "bad")]
    except Exception as error:  # whoever pressed the button must learn that it did nothing
        log.exception("not asked", **fields)
        return [Answer(strategy, f"{what} failed: {type(error).__name__}: {error}", "bad")]


def told(booked: Booked) -> Answer:
    """Return what became of a request in words."""
    tone = "warn" if booked.step is None else "bad" if control.is_wrong(booked) else "good"
    return Answer(booked.strategy, control.sentence(booked), tone)


class AskDialog:
    """One dialog per page, filled for each use.

    Parameters
    ----------
    asking
        Has orders booked.
    remembered
        What is kept for this browser; ``who`` is its user's name.
    """

    def __init__(self, asking: Asker, remembered: MutableMapping[str, Any]) -> None:
        self._asking = asking
        self._remembered = remembered
        self._strategies: tuple[str, ...] = ()
        self._order: Order = "halt"
        with ui.dialog().props("persistent") as self._dialog, ui.element("div").classes("p-card p-ask"):
            self._title = ui.label().classes("p-ask-title").mark("ask-title")
            self._means = ui.label().classes("p-dim")
            self._reason = ui.input("Reason", validation=self._wrong).props(
                f"outlined dense autofocus maxlength={LONGEST}"
            )
            self._reason.mark("reason").without_auto_validation().on("keydown.enter", self._confirm)
            self._who = ui.input("Who", value=NOBODY).props(f"outlined dense maxlength={LONGEST}").mark("who")
            self._halt = ui.checkbox("Halt it first, so that it does not enter again").props("dense").mark("halt-first")
            self._answers = ui.element("div").classes("p-answers")
            with ui.element("div").classes("p-buttons p-right"):
                self._cancel = (
                    ui.button("Cancel", on_click=self._dialog.close, color=None).props("flat no-caps").mark("cancel")
                )
                self._button = ui.button(on_click=self._confirm, color=None).props("unelevated no-caps").mark("confirm")

    def open(self, strategies: Sequence[str], order: Order) -> None:
        """Ask for the reason."""
        self._strategies, self._order = tuple(strategies), order
        whom = strategies[0] if len(strategies) == 1 else f"all {len(strategies)} strategies"
        self._title.text = f"{order.capitalize()} {whom}"
        self._means.text = MEANS[order]
        self._reason.value, self._reason.error = "", None
        self._who.value = self._remembered.get("who") or NOBODY
        self._answers.clear()
        self._button.text = f"{order.capitalize()} {whom}"
        self._button.classes(replace="p-go" if order == "resume" else "p-stop")
        self._cancel.text = "Cancel"
        for part in (self._reason, self._who, self._button):
            part.set_visibility(True)
        self._halt.value = True
        self._halt.set_visibility(order == "flatten")
        self._button.enable()
        self._dialog.open()

    @staticmethod
    def _wrong(reason: str) -> str | None:
        return None if reason.strip() else "A reason is needed: it goes on record."

    async def _confirm(self) -> None:
        if not self._reason.validate() or not self._button.enabled:
            return
        self._button.disable()
        who, reason = _line(self._who.value or "") or NOBODY, _line(self._reason.value)
        orders: list[Order] = ["halt", "flatten"] if self._order == "flatten" and self._halt.value else [self._order]
        self._remembered["who"] = who
        with self._answers:
            ui.label(f"asking, for at most {PATIENCE:.0f} s …").classes("p-dim")
        answers = await ask_all(self._asking, self._strategies, orders, who, reason)
        if not self._dialog.is_deleted:
            self._show(answers)

    def _show(self, answers: Sequence[Answer]) -> None:
        self._answers.clear()
        with self._answers:
            for answer in answers:
                ui.label(f"{answer.strategy}: {answer.text}").classes(f"p-{answer.tone}").mark("answer")
        for part in (self._reason, self._who, self._halt, self._button):
            part.set_visibility(False)
        self._cancel.text = "Close"


def _line(text: str) -> str:
    """Return a text on one line, no longer than what is kept."""
    return " ".join(text.split())[:LONGEST]
