"""Options that several commands share."""

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

EARLIEST: Final = -2_208_988_800_000_000_000
LATEST: Final = 7_258_118_400_000_000_000
"""The beginnings of 1900 and 2200 in ns: calendars and 64 bits have room beyond."""

LONGEST_SAID: Final = 200
"""Characters of a name or a reason that are kept."""

F = TypeVar("F", bound=Callable[..., Any])


def _into_context(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().params["config"] = value


def config_option(command: F) -> F:
    """Accept ``-c`` after the command too: ``pine bars ES -c other.yaml``."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        callback=_into_context,
        help="Configuration file.",
    )(command)


def operator() -> str:
    """Return who runs this command: a name, or the number of a user that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def one_line(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return what a person said as one line that is safe to keep and to print."""
    if value is None:
        return None
    text = value.encode("utf-8", "replace").decode()  # bytes that were no text
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_SAID]


def who_option(command: F) -> F:
    """Accept who says so."""
    return click.option(
        "--who", default=operator, callback=one_line, help="Who says so; you, if left out.", show_default="you"
    )(command)


class Time(click.ParamType[int]):
    """An ISO 8601 date or time, UTC unless it says otherwise, as ns since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text."""
        if isinstance(value, int):
            return value
        from pine.core.times import parse_time

        try:
            ts = parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not EARLIEST <= ts < LATEST:
            self.fail(f"time: found {value!r}, expected one from 1900 to 2199", param, ctx)
        return ts


class Speed(click.ParamType[float | None]):
    """How many times faster than real time, or ``max``."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Return the factor, or None for ``max``."""
        if value is None or value == "max":
            return None
        try:
            speed = float(str(value).removesuffix("x"))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"found {value!r}, expected max or a factor such as 60", param, ctx)
        return speed


class StrategyGroup(click.Group):
    """Takes the name of a strategy where other groups expect a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``orders NAME`` as ``orders --strategy NAME``."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["--strategy", *args]
        return super().parse_args(ctx, args)
