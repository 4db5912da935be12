"""``pine init``: a new configuration from a few answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.context import exits

if TYPE_CHECKING:
    from pine.ops.setup import Answers, Wanted, Written

NO_MORE: Final = "-"
SANDBOX: Final = "127.0.0.1:13000"
SANDBOX_ROOTS: Final = ("ES", "GC", "6E")
"""What the market of the quick start has."""

MICROS_HINT: Final = (
    "The bars of a full contract serve its micro too: choose ES, and let a strategy trade MES with\n"
    "ES: {execution: {root: MES}} among its instruments in pine.yaml."
)

SANDBOX_KEY: Final = "db-sandbox"
"""Its gateway takes any."""

SHAPE: Final = "NAME=TYPE:ROOT,ROOT[:MAX_POSITIONS[:DAILY_STOP]]"


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for pine.yaml and .env; this one if left out.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: defaults for whatever no option answers.")
@click.option("--force", is_flag=True, help="Replace what is there; copies stay beside it.")
@click.option("--data-dir", help="Folder for everything pine writes, relative to pine.yaml.")
@click.option("--instruments", metavar="ROOT,ROOT", help="Roots that the hub subscribes to, such as ES,NQ,GC.")
@click.option("--strategy", "strategies", multiple=True, metavar=SHAPE, help="A strategy; may be repeated.")
@click.option("--session-close", metavar="TIME", help='"23:00" in UTC, or "17:00 America/Chicago".')
@click.option(
    "--sandbox",
    is_flag=True,
    help=f"For pine sandbox gateway on this machine ({SANDBOX}) instead of Databento: no account is needed.",
)
@click.option(
    "--secrets",
    type=click.File(encoding="utf-8"),
    help="File, or - for standard input, with lines such as DATABENTO_API_KEY=…, IBS_A_WEBHOOK=…, ALERTS_URL=….",
)
@exits
def init(
    folder: Path,
    yes: bool,
    force: bool,
    data_dir: str | None,
    instruments: str | None,
    strategies: tuple[str, ...],
    session_close: str | None,
    sandbox: bool,
    secrets: Any,
) -> None:
    """Write a commented pine.yaml and a .env for secrets, from a few answers.

    Each answer is checked at once. Keys and webhooks are typed unseen, or left empty: without a webhook a strategy
    trades on paper only. They go into .env, which only you can read, and nowhere else.
    """
    from attrs import evolve

    from pine.core.errors import PineError
    from pine.ops.setup import defaults, write
    from pine.ops.setup.answers import API_KEY, close_mistake, data_dir_mistake
    from pine.ops.setup.write import existing

    if (there := existing(folder)) and not force:
        raise PineError(f"{there[0]}: is there already; --force replaces it, and keeps a copy")
    ask = _Asker(yes)
    try:
        usual = defaults(SANDBOX_ROOTS) if sandbox else defaults()
        chosen = evolve(
            usual,
            data_dir=ask("Data folder", data_dir, usual.data_dir, data_dir_mistake),
            instruments=_instruments(ask, instruments, usual.instruments),
            close=ask("Session close, UTC or with a zone", session_close, usual.close, close_mistake),
        )
        chosen = evolve(chosen, strategies=_strategies(ask, strategies, chosen.instruments))
        if sandbox:
            chosen = evolve(chosen, sandbox=SANDBOX, secrets={API_KEY: SANDBOX_KEY})
        chosen = evolve(chosen, secrets={**chosen.secrets, **_secrets(ask, secrets, chosen)})
    except click.Abort:
        raise PineError("no more answers; nothing was written. --yes takes defaults") from None
    _tell(folder, write(folder, chosen, force=force))


class _Asker:
    """Takes an answer from its option, else from the person, else the default; each is checked at once."""

    def __init__(self, yes: bool) -> None:
        self.silent = yes

    def __call__(self, question: str, given: str | None, usual: str, mistake: Callable[[str], str | None]) -> str:
        """Return an answer without mistake.

        Raises
        ------
        PineError
            If an option's value has one; a person is asked again.
        """
        from pine.core.errors import PineError

        if given is None and not self.silent:
            return str(click.prompt(question, default=usual, value_proc=_checking(mistake), err=True))
        answer = usual if given is None else given
        if wrong := mistake(answer):
            raise PineError(f"{question.partition(',')[0].lower()}: {wrong}")
        return answer

    def unseen(self, question: str, mistake: Callable[[str], str | None]) -> str:
        """Return a secret that is typed without being shown; nothing is an answer too."""
        return str(
            click.prompt(
                f"{question} (typed unseen; empty: none yet)",
                default="",
                show_default=False,
                hide_input=True,
                value_proc=_checking(mistake),
                err=True,
            )
        )


def _checking(mistake: Callable[[str], str | None]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if wrong := mistake(text.strip()):
            raise click.BadParameter(wrong)
        return text.strip()

    return check


def _roots(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip() not in ("", NO_MORE)))


def _instruments(ask: _Asker, given: str | None, usual: Sequence[str]) -> tuple[str, ...]:
    from pine.ops.setup.answers import by_group, instruments_mistake

    def wrong(text: str) -> str | None:
        return instruments_mistake(_roots(text))

    if given is not None or ask.silent:
        return _roots(ask("Instruments", given, ",".join(usual), wrong))
    click.echo(MICROS_HINT, err=True)
    while True:
        found: list[str] = []
        for group, roots in by_group().items():
            default = ",".join(root for root in roots if root in usual) or NO_MORE
            question = f"{group.capitalize()}, of {', '.join(roots)} ({NO_MORE} for none)"
            answer = ask(
                question, None, default, lambda text: instruments_mistake(_roots(text)) if _roots(text) else None
            )
            found += _roots(answer)
        if found:
            return tuple(dict.fromkeys(found))
        click.echo("Error: found none, expected one at least", err=True)


def _strategies(ask: _Asker, given: Sequence[str], instruments: tuple[str, ...]) -> "tuple[Wanted, ...]":
    from pine.core.errors import PineError
    from pine.ops.setup import defaults
    from pine.ops.setup.answers import strategy_mistake

    found: list[Wanted] = []
    if given:
        for text in given:
            wanted = _parsed(text)
            if wrong := strategy_mistake(wanted, instruments, [one.name for one in found]):
                raise PineError(f"--strategy {text}: {wrong}")
            found.append(wanted)
        return tuple(found)
    usual = defaults(instruments).strategies
    if ask.silent:
        return usual
    usual = tuple(one for one in usual if one.enabled)
    while True:
        left = [one for one in usual[len(found) :] if one.name not in [before.name for before in found]]
        offered = left[0] if left else None
        wanted_next = _asked_strategy(ask, offered, instruments, found)
        if wanted_next is None:
            return tuple(found)
        found.append(wanted_next)


def _parsed(text: str) -> "Wanted":
    """Read a strategy from its option."""
    from pine.core.errors import PineError
    from pine.ops.setup import Wanted

    name, _, rest = text.partition("=")
    kind, _, rest = rest.partition(":")
    roots, *numbers = rest.split(":")
    try:
        positions, stop = [*numbers, *("2", "2500")[len(numbers) :]]
        return Wanted(name, kind, _roots(roots), int(positions), float(stop))
    except ValueError:
        raise PineError(f"--strategy {text}: expected {SHAPE}") from None


def _asked_strategy(
    ask: _Asker, offered: "Wanted | None", instruments: tuple[str, ...], before: "Sequence[Wanted]"
) -> "Wanted | None":
    """Ask for one strategy; nothing if there is to be no more."""
    from attrs import evolve

    from pine.ops.setup import Wanted
    from pine.ops.setup.answers import strategy_mistake
    from pine.strategies.catalog import PARAMS

    base = offered or Wanted("" if before else "ibs_a", "ibs", instruments)
    names = [one.name for one in before]

    def wrong(**changes: Any) -> str | None:
        return strategy_mistake(evolve(base, **changes), instruments, names)

    def named(text: str) -> str | None:
        return None if text == NO_MORE else wrong(name=text)

    question = f"Strategy {len(before) + 1}, its name ({NO_MORE} for no more)"
    name = ask(question, None, base.name or NO_MORE, named)
    if name == NO_MORE:
        return None
    base = evolve(base, name=name)
    base = evolve(base, type=ask(f"  Type: {', '.join(PARAMS)}", None, base.type, lambda text: wrong(type=text)))
    roots = ask("  Instruments", None, ",".join(base.instruments), lambda text: wrong(instruments=_roots(text)))
    base = evolve(base, instruments=_roots(roots))
    most = ask(
        "  Most positions at once", None, str(base.max_positions), _number(int, lambda n: wrong(max_positions=n))
    )
    stop = ask(
        "  Daily stop in dollars", None, f"{base.daily_stop_loss:g}", _number(float, lambda n: wrong(daily_stop_loss=n))
    )
    return evolve(base, max_positions=int(most), daily_stop_loss=float(stop))


def _number(kind: Callable[[str], Any], mistake: Callable[[Any], str | None]) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        try:
            return mistake(kind(text))
        except ValueError:
            return f"found {text!r}, expected a {'whole ' if kind is int else ''}number"

    return check


def _given(stream: Any) -> dict[str, str]:
    """Return the lines of a file of secrets."""
    from io import StringIO

    from dotenv import dotenv_values

    from pine.core.errors import PineError

    try:
        text = stream.read()
        text.encode()  # standard input may let through what is no text
    except UnicodeError:  # its text would quote some of it
        raise PineError("--secrets: not readable as UTF-8; write it in that encoding") from None
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}


def _secrets(ask: _Asker, given: Any, chosen: "Answers") -> dict[str, str]:
    """Return the secrets of a file, or ask for each."""
    from pine.core.errors import PineError
    from pine.ops.setup.answers import secret_mistake

    if given is not None:
        found = _given(given)
        for name, value in found.items():
            if name not in chosen.variables:
                raise PineError(f"--secrets: found {name}, expected one of {', '.join(chosen.variables)}")
            if wrong := secret_mistake(name, value, sandbox=chosen.sandbox is not None):
                raise PineError(f"--secrets: {name}: {wrong}")
        return found
    if ask.silent:
        return {}

    def unseen(name: str) -> str:
        return ask.unseen(name, lambda text: secret_mistake(name, text))

    answers = {name: unseen(name) for name in chosen.variables if name not in chosen.secrets}
    return {name: value for name, value in answers.items() if value}


def _tell(folder: Path, done: "Written") -> None:
    """Say what was written, and what to do next."""
    from pine.core.config import load_config
    from pine.strategies.catalog import PARAMS

    for path in done.kept:
        click.echo(f"kept     {path}")
    for path in done.files:
        click.echo(f"written  {path}")
    if done.ignored is not None:
        click.echo(f"git      leaves the secrets alone ({done.ignored})")
    config = load_config(done.files[0], PARAMS)
    empty = [secret.variable for secret in (config.databento.api_key,) if secret.variable]
    if empty:
        click.echo(f"to do    put {', '.join(map(str, empty))} into {done.files[1]}")
    paper = [name for name, strategy in config.strategies.items() if strategy.enabled and not strategy.webhook]
    if paper:
        click.echo(f"note     without a webhook, on paper only: {', '.join(paper)}")
    option = "" if folder.absolute() == Path.cwd() else f" -c {done.files[0]}"
    click.echo(f"next     pine check{option}, then pine up{option}")
