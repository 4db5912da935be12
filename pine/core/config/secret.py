"""A value that must never be shown."""

from attrs import field, frozen

from pine.core.errors import SecretMissing


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
        return "********" if self._value else ""
