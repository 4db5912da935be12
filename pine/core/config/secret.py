"""Values that must never be shown, in their own settings and in any other."""

import re
from typing import Final

from attrs import field, frozen

from pine.core.errors import SecretMissing

MASK: Final = "********"
_KEY: Final = re.compile(r"\bdb-[A-Za-z0-9_-]{8,}")
_USER: Final = re.compile(r"(?<=://)[^/\s'\"@]+(?=@)")
_TOKEN: Final = re.compile(r"(?P<host>https?://[^/?#\s'\"]*[/?#])[^\s'\"]+")


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
