"""The dialog that asks for a reason before anything is halted, resumed or flattened, and says what came of it."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final

import redis
from attrs import frozen
from nicegui import ui

from pine.bus.connection import connect
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.times import isoformat
from pine.hub.off_loop import off_loop
from pine.ops.control import PATIENCE, Booked, ask
from pine.orders.entries import Order

NOBODY: Final = "dashboard"
LONGEST: Final = 200
"""Characters of a reason or a name."""

MEANS: Final[dict[Order, str]] = {
    "halt": "No new entries from the next step on. Open positions, their stops and exits stay as they are.",
    "resume": "Entries are allowed again from the next step on.",
    "flatten": "An exit is booked for every open position, and posted.",
}

logger = logging.getLogger(__name__)

Asker = Callable[[str, Order, str, str], Booked]
"""Has one request booked: strategy, order, who, reason."""


def asker(config: Config) -> Asker:
    """Return how requests are booked: over a connection of their own, so that nobody's look waits for them."""

    def asking(strategy: str, order: Order, who: str, reason: str) -> Booked:
        client = connect(config, start=False)
        try:
            return ask(config, client, strategy, order, who=who, reason=reason)
        finally:
            client.close()

    return asking


@frozen
class Answer:
    """What came of a request to one strategy."""

    strategy: str
    text: str
    tone: str


async def ask_all(asking: Asker, strategies: Sequence[str], order: Order, who: str, reason: str) -> list[Answer]:
    """Ask the same of some strategies at once, off the event loop; one that fails keeps no other from it."""
    return list(await asyncio.gather(*(_ask(asking, strategy, order, who, reason) for strategy in strategies)))


async def _ask(asking: Asker, strategy: str, order: Order, who: str, reason: str) -> Answer:
    fields = {"strategy": strategy, "order": order, "who": who, "reason": reason}
    logger.info("asked", extra={"fields": fields})
    try:
        booked = await off_loop(lambda: asking(strategy, order, who, reason))
    except (redis.RedisError, PineError) as error:
        logger.warning("not asked", extra={"fields": {**fields, "error": str(error)}})
        return Answer(strategy, f"{order} failed: {error}", "bad")
    except Exception as error:  # whoever pressed the button must learn that it did nothing
        logger.exception("not asked", extra={"fields": fields})
        return Answer(strategy, f"{order} failed: {type(error).__name__}: {error}", "bad")
    return Answer(strategy, told(booked), "warn" if booked.step is None else "good")


def told(booked: Booked) -> str:
    """Return what became of a request in words."""
    if booked.step is None:
        return f"{booked.order} is asked for and not booked yet; it will be when the worker takes its next look"
    text = f"{booked.order} booked after the step of {isoformat(booked.step)[:16].replace('T', ' ')} UTC"
    if booked.order == "flatten":
        text += f"; exits: {', '.join(booked.intents) or 'none, it is flat'}"
    return text


class AskDialog:
    """One dialog per page, filled for each use.

    Parameters
    ----------
    asking
        Has a request booked.
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
        self._button.enable()
        self._dialog.open()

    @staticmethod
    def _wrong(reason: str) -> str | None:
        return None if reason.strip() else "A reason is needed: it goes on record."

    async def _confirm(self) -> None:
        if not self._reason.validate() or not self._button.enabled:
            return
        self._button.disable()
        who, reason = (self._who.value or "").strip() or NOBODY, self._reason.value.strip()
        self._remembered["who"] = who
        with self._answers:
            ui.label(f"asking, for at most {PATIENCE:.0f} s …").classes("p-dim")
        answers = await ask_all(self._asking, self._strategies, self._order, who[:LONGEST], reason[:LONGEST])
        if not self._dialog.is_deleted:
            self._show(answers)

    def _show(self, answers: Sequence[Answer]) -> None:
        self._answers.clear()
        with self._answers:
            for answer in answers:
                ui.label(f"{answer.strategy}: {answer.text}").classes(f"p-{answer.tone}").mark("answer")
        for part in (self._reason, self._who, self._button):
            part.set_visibility(False)
        self._cancel.text = "Close"
