"""Values that must never be shown, in their own settings and in any other."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from attrs import field, fields, frozen, has

from pine.core.errors import SecretMissing

MASK: Final = "********"
_DATABENTO: Final = re.compile(r"db-[A-Za-z0-9]{29}")
_KEY: Final = re.compile(r"\bdb-[A-Za-z0-9_-]{8,}")
_USER: Final = re.compile(r"(?<=://)[^/\s'\"@]+(?=@)")
_TOKEN: Final = re.compile(r"(?P<host>https?://[^/?#\s'\"]*[/?#])[^\s'\"]+")
_SHORTEST: Final = 6
"""A value shorter than this is left alone where it merely occurs in a text: it would be found in any."""

_TELLING: Final = 12
"""Parts of a secret URL that are this long are secret by themselves: an error may quote the path without the host."""


def masked(text: str) -> str:
    """Return a text without what looks like a Databento key, a password in a URL, or the token of a webhook."""
    return _TOKEN.sub(rf"\g<host>{MASK}", _USER.sub(MASK, _KEY.sub(f"db-{MASK}", text)))


@frozen
class Secret:
    """A key or URL from the configuration, which shows itself to nobody who prints it.

    Attributes
    ----------
    where
        Path of the setting, for messages.
    variable
        Environment variable that was asked for and is not set, if that is so.
    """

    _value: str = field(repr=False, default="", alias="value")
    where: str = ""
    variable: str | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to reveal, or a variable that should have held it."""
        return bool(self._value) or self.variable is not None

    def reveal(self) -> str:
        """Return the value itself.

        Raises
        ------
        SecretMissing
            If it is empty or its environment variable is not set.
        """
        if self.variable is not None:
            raise SecretMissing(
                f"{self.where}: environment variable {self.variable} is not set; set it, or put it in .env beside the "
                "configuration"
            )
        if not self._value:
            raise SecretMissing(f"{self.where}: is empty, and this command needs it")
        return self._value

    def __str__(self) -> str:
        return MASK if self._value else ""


def secret_values(config: object) -> frozenset[str]:
    """Return what must never be shown of a configuration: its secrets, and what they are made of.

    Parameters
    ----------
    config
        The configuration, or any section of it: secrets, and settings that are left out of ``repr`` because they may
        hold a password.
    """
    found: set[str] = set()
    for value, whole in _guarded(config):
        parts = _parts(value)
        found |= {value, *parts} if whole else parts
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def _guarded(section: object) -> Iterator[tuple[str, bool]]:
    """Yield values that are not for showing, and whether the whole is a secret."""
    if isinstance(section, Secret):
        if section and section.variable is None:
            yield section.reveal(), True
    elif isinstance(section, Mapping):
        for item in section.values():
            yield from _guarded(item)
    elif isinstance(section, list | tuple):
        for item in section:
            yield from _guarded(item)
    elif has(kind := type(section)):
        for attribute in fields(kind):
            value: Any = getattr(section, attribute.name)
            if isinstance(value, str):
                if not attribute.repr and "://" in value:
                    yield value, False
            else:
                yield from _guarded(value)


def _parts(value: str) -> set[str]:
    """Return the parts of a URL that are secret by themselves."""
    if "://" not in value:
        return set()
    # By hand: urlsplit refuses some, such as one with a bracket in its password, and quotes it.
    rest = value.partition("://")[2]
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = place.rpartition("@")
    long = {part for part in re.split(r"[/?&=:#@;,]", rest.removeprefix(place)) if len(part) >= _TELLING}
    if "." not in host and len(host) >= _TELLING:  # no machine's name: services write a token there
        long.add(host)
    password = user.partition(":")[2]
    inside = re.split(r"[\[\]]", password)  # what an error quotes of one that looks like an address
    return {text for part in (password, *inside, *long) for text in (part, unquote(part)) if part}


def is_databento_key(text: str) -> bool:
    """Tell whether a text has the shape of a key of Databento's: ``db-`` and 29 letters and digits."""
    return _DATABENTO.fullmatch(text) is not None
