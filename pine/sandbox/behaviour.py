"""How the webhook receiver is told to treat its clients."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, fields_dict, frozen

from pine.core.errors import SandboxError

ANSWERS: Final = ("ok", "slow", "429", "500", "400", "drop", "drop_before", "drop_after")
SLOW_S: Final = 5.0


@frozen
class Behaviour:
    """What happens to valid requests.

    Attributes
    ----------
    answer
        ``ok``, ``slow`` (accepted, answered late), a status to refuse with, or ``drop_before`` and ``drop_after``:
        no answer at all, without and after having accepted the request; ``drop`` is ``drop_before``.
    delay
        Seconds before any answer; ``slow`` without one takes five.
    retry_after
        Seconds to put into the ``Retry-After`` header of a refusal.
    times
        Number of requests to treat so, all later ones are ``ok``; ``None`` for all.
    """

    answer: str = field(default="ok", converter=str)
    delay: float = 0.0
    retry_after: float | None = None
    times: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise SandboxError(f"answer: found {self.answer!r}, expected one of {', '.join(ANSWERS)}")
        for name in ("delay", "retry_after", "times"):
            value: Any = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                raise SandboxError(f"{name}: found {value!r}, expected a number of 0 or more")
        if self.times is not None and not isinstance(self.times, int):
            raise SandboxError(f"times: found {self.times!r}, expected a whole number")

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Behaviour":
        """Read a behaviour from JSON.

        Raises
        ------
        SandboxError
            If a name or a value is not known.
        """
        if unknown := sorted(set(raw) - set(fields_dict(cls))):
            raise SandboxError(f"behaviour: found {', '.join(unknown)}, expected {', '.join(fields_dict(cls))}")
        return cls(**raw)

    @property
    def refuses_with(self) -> int | None:
        """HTTP status of the refusal, ``None`` if requests are accepted or dropped."""
        return int(self.answer) if self.answer.isdecimal() else None

    @property
    def drops(self) -> bool:
        """Whether there is no answer."""
        return self.answer.startswith("drop")

    @property
    def accepts(self) -> bool:
        """Whether the signal takes effect, answered or not."""
        return self.answer in ("ok", "slow", "drop_after")

    @property
    def wait(self) -> float:
        """Seconds before the answer."""
        return self.delay or (SLOW_S if self.answer == "slow" else 0.0)

    def after_one(self) -> "tuple[Behaviour, Behaviour]":
        """Return how to treat the next request, and the behaviour for those after it."""
        if self.times is None:
            return self, self
        if self.times == 0:
            return Behaviour(), self
        return self, evolve(self, times=self.times - 1)
