"""What a new configuration needs to know, each answer checked by the configuration's own rules."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from attrs import evolve, field, frozen

from pine.core.config import Secret, StrategyConfig
from pine.core.config.bounds import folder_mistake, known_root, session_close
from pine.core.config.problems import unknown
from pine.core.config.references import name_mistake
from pine.core.config.secret import is_databento_key
from pine.core.config.webhook import mistake_in
from pine.core.errors import PineError
from pine.core.instruments import MICROS, SPECS
from pine.strategies.catalog import PARAMS

API_KEY: Final = "DATABENTO_API_KEY"
ALERTS: Final = "ALERTS_URL"

_SECRET: Final = re.compile(r"[!-~]*")
"""Printable, and no blanks."""


@frozen
class Wanted:
    """A strategy that is asked for."""

    name: str
    type: str
    instruments: tuple[str, ...]
    max_positions: int = 2
    daily_stop_loss: float = 2500.0
    enabled: bool = True

    @property
    def webhook(self) -> str:
        """The variable that holds its webhook."""
        return f"{self.name.upper()}_WEBHOOK"


@frozen
class Answers:
    """Everything that is asked.

    Attributes
    ----------
    sandbox
        Address of a stand-in for Databento whose tape tells the time; nothing for the real one.
    secrets
        Values of variables, for ``.env``; what is not among them stays empty.
    """

    data_dir: str
    instruments: tuple[str, ...]
    strategies: tuple[Wanted, ...]
    close: str = "23:00"
    sandbox: str | None = None
    secrets: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def variables(self) -> list[str]:
        """The variables that the configuration names, in the order of the file of secrets."""
        return [API_KEY, *(wanted.webhook for wanted in self.strategies), ALERTS]


_INSTRUMENTS: Final = (
    *("ES", "NQ", "RTY", "YM"),
    *("GC", "SI", "HG"),
    *("CL", "NG"),
    "PL",
    *("6A", "6B", "6C", "6E", "6J", "6M", "6N", "6S"),
    "ZB",
)
_STRATEGIES: Final = (
    Wanted("ibs_a", "ibs", ("6A", "6C", "6M", "CL", "GC", "HG")),
    Wanted("ibs_b", "ibs", ("6B", "6N", "6S", "SI", "YM"), max_positions=3),
    Wanted("breakout", "breakout", ("ES", "NQ", "CL", "GC"), enabled=False),
)


def defaults(instruments: Sequence[str] = _INSTRUMENTS) -> Answers:
    """Return the answers that pine's own configuration is made of, as far as they fit these instruments."""
    fitting = [evolve(one, instruments=tuple(r for r in one.instruments if r in instruments)) for one in _STRATEGIES]
    return Answers("pine-data", tuple(instruments), tuple(one for one in fitting if one.instruments))


def by_group() -> dict[str, list[str]]:
    """Return every root that can be subscribed to, by group of trading hours; micros follow their full contract."""
    groups: dict[str, list[str]] = {}
    for root, known in SPECS.items():
        if root not in MICROS:
            groups.setdefault(known.group, []).append(root)
    return groups


def data_dir_mistake(text: str) -> str | None:
    """Return what is wrong with a data folder, or nothing."""
    if not text or "$" in text or not text.isprintable():
        return "expected a folder such as pine-data, relative to the configuration"
    return folder_mistake(text)


def close_mistake(text: str) -> str | None:
    """Return what is wrong with the time of a session's close, or nothing."""
    return _refused(session_close, None, text)


def instruments_mistake(roots: Sequence[str]) -> str | None:
    """Return what is wrong with a list of roots, or nothing."""
    if not roots:
        return "found none, expected one at least"
    return next(filter(None, (_refused(known_root, None, root) for root in roots)), None)


def strategy_mistake(wanted: Wanted, instruments: Sequence[str], names: Sequence[str]) -> str | None:
    """Return what is wrong with a strategy, given the instruments that there are and the strategies before it."""
    absent = [root for root in wanted.instruments if root not in instruments]
    fields = attrs.fields_dict(StrategyConfig)
    numbers = ("max_positions", "daily_stop_loss")
    return next(
        filter(
            None,
            (
                name_mistake(wanted.name),
                f"{wanted.name} is there already" if wanted.name in names else None,
                None if wanted.type in PARAMS else unknown("strategy type", wanted.type, list(PARAMS)),
                None if wanted.instruments else "found no instrument, expected one at least",
                f"{absent[0]} is not among the instruments: {', '.join(instruments)}" if absent else None,
                *(_refused(fields[name].validator, fields[name], getattr(wanted, name)) for name in numbers),
            ),
        ),
        None,
    )


def secret_mistake(variable: str, value: str, *, sandbox: bool = False) -> str | None:
    """Return what is wrong with a secret, or nothing; its text is never shown. Empty is none.

    A `sandbox` takes any key.
    """
    if not _SECRET.fullmatch(value) or "${" in value:
        return "found blanks or characters that no such secret has (not shown)"
    if value and variable == API_KEY and not sandbox and not is_databento_key(value):
        found = f"found {len(value)} characters (not shown) that are no key of Databento's"
        return f"{found}, expected db- and 29 letters and digits"
    if value and variable.endswith("_WEBHOOK"):
        return _webhook_mistake(value)
    if value and variable == ALERTS:
        from pine.ops.preflight.machine import understood

        return None if understood(value) else "found an address that apprise does not understand (not shown)"
    return None


def _webhook_mistake(value: str) -> str | None:
    from pine.core.config.webhook import is_webhook

    if not is_webhook(value):
        return "found something else (not shown), expected https://HOST/trading/webhook/ID/PASSWORD"
    return mistake_in(Secret(value))


def _refused(check: Callable[..., Any] | None, attribute: Any, value: object) -> str | None:
    """Return why one of the configuration's own rules refuses a value, or nothing."""
    try:
        if check is not None:
            check(None, attribute, value)
    except (TypeError, ValueError, PineError) as error:
        return str(error)
    return None
