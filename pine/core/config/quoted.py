"""What was found, as messages show it: never longer than a line, and no secret, whatever it is."""

from typing import Final

from pine.core.config.secret import masked

LONGEST: Final = 120
"""Characters."""


def quoted(value: object) -> str:
    """Return a value as Python writes it, its end left out where that is long."""
    try:
        return shortened(repr(value))
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of very many digits"


def shortened(text: str) -> str:
    """Return a text with its end left out where it is long."""
    text = masked(text)  # before the cut, which could hide the end by which a secret is known
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
