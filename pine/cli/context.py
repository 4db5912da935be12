"""What every command shares: the configuration, the connection, output and exit codes."""

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from pine.bus.client import Client
from pine.cli.columns import terminal_width, wrapped
from pine.core.errors import (
    ArchiveDiffers,
    BusError,
    ConfigError,
    Conflict,
    DataError,
    Fenced,
    NoServer,
    PineError,
    WarmUpMissing,
)

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config

FINE: Final = 0
WRONG: Final = 1
COULD_NOT_RUN: Final = 2

URGENT: Final = frozenset(["status", "halt", "resume", "flatten", "positions", "up"])
"""Commands that somebody may need at once, also with a configuration that has mistakes."""

P = ParamSpec("P")
R = TypeVar("R")


def configuration(ctx: click.Context) -> "Config":
    """Load the configuration that ``--config``, ``PINE_CONFIG`` or the working folder names."""
    from pine.cli import logs
    from pine.core.config import load_config
    from pine.strategies.catalog import PARAMS

    config = load_config(configuration_path(ctx), PARAMS)
    logs.hide(config)
    return config


def configuration_path(ctx: click.Context) -> Path:
    """Return the file that ``--config``, ``PINE_CONFIG`` or the working folder names.

    Raises
    ------
    PineError
        If it is not there.
    """
    path = Path(_named(ctx) or "pine.yaml").expanduser().absolute()
    if not path.exists():
        raise PineError(f"no configuration at {path}; name one with -c or PINE_CONFIG, or write one with pine init")
    return path


def config_suffix(ctx: click.Context) -> str:
    """Return what a suggested command needs at its end to find the same configuration; nothing if none was named."""
    named = _named(ctx)
    return f" -c {shlex.quote(str(named))}" if named else ""


def explained(ctx: click.Context, error: Exception) -> str:
    """Return the text of an error, with the command that it suggests finding the same configuration."""
    return f"{error}{config_suffix(ctx)}" if isinstance(error, NoServer) else str(error)


def _named(ctx: click.Context) -> "Path | str | None":
    return ctx.find_root().params.get("config") or os.environ.get("PINE_CONFIG")


@contextlib.contextmanager
def visit(config: "Config", *, hurry: bool = True) -> "Iterator[Client]":
    """Connect for a short look; an embedded server that was started for it is stopped again if nobody else uses it.

    With `hurry`, a server that says nothing is given up after a few seconds.
    """
    import redis

    from pine.bus.connection import SILENT_SECONDS, VISIT_SECONDS, connect
    from pine.bus.embedded import CANNOT_WRITE, EmbeddedServer

    server = EmbeddedServer(config.data_dir) if config.bus.url == "embedded" else None
    if server is not None and not config.data_dir.exists():
        raise BusError(f"data_dir {config.data_dir}: does not exist; nothing has run with this configuration yet")
    started = server is not None and not server.is_running() and not server.is_held()
    client = None
    try:
        client = connect(config, silence=VISIT_SECONDS if hurry else SILENT_SECONDS)
        yield client
    except redis.ResponseError as error:
        if CANNOT_WRITE not in str(error):
            raise
        from pine.ops.server import cannot_write

        raise BusError(f"{cannot_write(config, str(error))}; nothing was done") from None
    finally:  # also when asked to end while it starts
        alone = started and (client is None or len(client.client_list()) == 1)
        if client is not None:
            client.close()
        if alone and server is not None:
            server.stop()


def _say(text: str, indent: int = 2) -> None:
    """Print a message on standard error."""
    click.echo(wrapped(text, terminal_width(sys.stderr), indent), err=True)


def exits(command: Callable[P, R]) -> Callable[P, R]:
    """Turn pine's errors into a message on standard error and an exit code."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            click.echo(f"The configuration has {len(error.problems)} mistake(s):", err=True)
            for problem in error.problems:
                _say(f"  {problem}", 4)
            _tell_what_works()
            sys.exit(COULD_NOT_RUN)
        except (ArchiveDiffers, Fenced, Conflict, DataError, WarmUpMissing) as error:
            _say(f"Stopped: {error}")
            sys.exit(WRONG)
        except PineError as error:
            _say(f"Error: {error}")
            sys.exit(COULD_NOT_RUN)
        except Exception as error:
            if not type(error).__module__.startswith("redis"):
                raise
            _say(f"Error: the stream server does not do what was asked: {error}")
            sys.exit(COULD_NOT_RUN)

    return update_wrapper(run, command)


def _tell_what_works() -> None:
    """Tell what can be done without the configuration, after a command that somebody may need at once."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and ctx.info_name in URGENT:
        from pine.cli.loading import STILL_WORKS

        click.echo(STILL_WORKS, err=True)


def print_json(document: Any) -> None:
    """Print one JSON document, and nothing else, on standard output."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(document, option=options).decode(), nl=False)
