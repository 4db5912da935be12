"""The stages of taking up a model: what goes wrong in one is that model's problem, of that kind, and nobody else's."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pine.core.errors import ModelError
from pine.strategies.foreign import describe, hearing


@contextlib.contextmanager
def stage(kind: str, place: Path) -> Iterator[None]:
    """Do one part of taking up a model.

    Parameters
    ----------
    kind
        What is wrong if it fails, in one word that does not depend on where the files are.
    place
        Path of the card, for messages.

    Raises
    ------
    ModelError
        If it fails by whatever exception, with its kind. A request to end the process goes on.
    """
    with hearing() as asked_to_end:
        try:
            yield
        except ModelError as error:
            error.kind = error.kind or kind
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and asked_to_end():
                raise
            told = ModelError(f"{place}: cannot be used: {describe(error)}")
            told.kind = kind
            raise told from error
