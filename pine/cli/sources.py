"""What commands that ask for history share: streams, Databento Historical, what a moment takes."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pine.cli.context import explained, visit

if TYPE_CHECKING:
    from rich.progress import Progress

    from pine.bus.client import Client
    from pine.core.config import Config
    from pine.history.historical import HistoricalSource


@contextlib.contextmanager
def look(config: "Config") -> "Iterator[tuple[Client | None, str]]":
    """Provide a connection to the server, else nothing and the reason.

    An embedded server that has run here before is started for the look, and stopped again if nobody else uses it.
    """
    from pine.bus.connection import connect
    from pine.bus.embedded import EmbeddedServer
    from pine.core.errors import BusError, ServerUnfit

    with contextlib.ExitStack() as stack:
        client, reason = None, ""
        try:
            if config.bus.url == "embedded" and EmbeddedServer(config.data_dir).has_run:
                client = stack.enter_context(visit(config, hurry=False))
            else:
                client = stack.enter_context(contextlib.closing(connect(config, start=False)))
        except ServerUnfit:
            raise
        except BusError as error:
            reason = explained(click.get_current_context(), error)
        yield client, reason


@contextlib.contextmanager
def streams(config: "Config") -> "Iterator[Client | None]":
    """Provide a connection to the server; else a line on standard error says why there is none."""
    with look(config) as (client, reason):
        if reason:
            click.echo(f"note: {reason}; answered without the streams", err=True)
        yield client


def vendor(config: "Config") -> "HistoricalSource":
    """Return who sells; what is tried again is told on standard error.

    Raises
    ------
    HistoryError
        If the configuration names another live gateway, and no Historical that knows its market.
    SecretMissing
        If there is no key.
    """
    from pine.history.historical import HistoricalSource
    from pine.hub.lead import choose_lead

    source = HistoricalSource(config, choose_lead)
    config.databento.api_key.reveal()
    tell_retries()
    return source


def tell_retries() -> None:
    """Tell on standard error what is asked of Databento Historical again, and why."""
    from pine.cli import logs

    logs.tell_warnings("pine.history")


def roots(config: "Config", named: tuple[str, ...]) -> list[str]:
    """Return configured roots, in capitals if only they are known, each once.

    Raises
    ------
    UnknownSymbol
        If one is not configured.
    """
    import difflib

    from pine.core.errors import UnknownSymbol

    found: dict[str, None] = {}
    for name in named:
        root = next((n for n in (name, name.upper()) if n in config.instruments), None)
        if root is None:
            near = difflib.get_close_matches(name.upper(), sorted(config.instruments), n=3, cutoff=0.3)
            known = ", ".join(near or sorted(config.instruments)) or "none yet"
            raise UnknownSymbol(f"instruments: found no {name!r} in {config.path}, expected one that is there: {known}")
        found[root] = None
    return list(found)


@contextlib.contextmanager
def progress() -> "Iterator[Progress | None]":
    """Provide bars on standard error while a terminal looks on; otherwise nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield shown
