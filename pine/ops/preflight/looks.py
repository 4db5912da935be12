"""Looks that cannot hang and cannot fall over: each says what it found, or is itself what is wrong."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from attrs import frozen

from pine.core.config import Config
from pine.core.config.secret import MASK, masked
from pine.core.errors import PineError
from pine.strategies.foreign import describe

State = Literal["ok", "warning", "wrong", "skipped"]

USUAL_SECONDS: Final = 10.0
"""How long a look may take; each says so if it may take longer."""


@frozen
class Said:
    """One thing that a look found.

    Attributes
    ----------
    state
        ``ok``; ``warning``, which a person should know; ``wrong``, with which nothing should run; ``skipped``, what
        does not apply or cannot be looked at.
    text
        What was found and, where it is not as it should be, what to do.
    name
        What it is about; the look's own name if empty.
    """

    state: State
    text: str
    name: str = ""


@frozen
class Finding:
    """A line of the preflight."""

    group: str
    name: str
    state: State
    text: str


@frozen
class Look:
    """Something to look at.

    Attributes
    ----------
    group, name
        What it is about.
    ask
        Looks, and yields what it found; a `PineError` is something wrong, with its text.
    seconds
        After which nobody waits for it any more.
    """

    group: str
    name: str
    ask: Callable[[], Iterable[Said]]
    seconds: float = USUAL_SECONDS

    def run(self, config: Config) -> Iterator[Finding]:
        """Yield what there is to find, each as soon as it is found; after the deadline that is what is wrong."""
        found: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        # A thread that hangs in a library or a network is left behind; it ends with the process.
        threading.Thread(target=self._into, args=(found,), name=f"look at {self.name}", daemon=True).start()
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                said = found.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                said = Said(
                    "wrong", f"no answer within {self.seconds:g} s; look at the network and the load, try again"
                )
                yield self._finding(said, config)
                return
            if said is None:
                return
            yield self._finding(said, config)

    def _into(self, found: "queue.SimpleQueue[Said | None]") -> None:
        try:
            for said in self.ask():
                found.put(said)
        except PineError as error:
            found.put(Said("wrong", masked(str(error))))
        except BaseException as error:  # noqa: BLE001  # a look that fails is a line, whatever it was
            found.put(Said("wrong", f"could not be looked at: {masked(describe(error))}"))
        found.put(None)

    def _finding(self, said: Said, config: Config) -> Finding:
        text = " ".join(_hidden(said.text, config).split())
        name = said.name or self.name
        return Finding(self.group, name, said.state, text.removeprefix(f"{name}: "))


def run(config: Config, looks: Iterable[Look], *, fail_fast: bool = False) -> Iterator[Finding]:
    """Look at one thing after the other, and yield what each found; nothing after what is wrong if `fail_fast`."""
    for look in looks:
        for finding in look.run(config):
            yield finding
            if fail_fast and finding.state == "wrong":
                return


def ok(text: str, name: str = "") -> Said:
    """Say that something is as it must be."""
    return Said("ok", text, name)


def warning(text: str, name: str = "") -> Said:
    """Say what a person should know."""
    return Said("warning", text, name)


def wrong(text: str, name: str = "") -> Said:
    """Say what must be mended first."""
    return Said("wrong", text, name)


def skipped(text: str, name: str = "") -> Said:
    """Say why something is not looked at."""
    return Said("skipped", text, name)


def _hidden(text: str, config: Config) -> str:
    """Return a text without any secret of the configuration, whoever may have put it there."""
    secrets = [config.databento.api_key, config.dashboard.token, *config.alerts.urls]
    secrets += [strategy.webhook for strategy in config.strategies.values()]
    for secret in secrets:
        if secret and secret.variable is None:
            text = text.replace(secret.reveal(), MASK)
    return text
