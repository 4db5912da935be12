"""What the clock says when the bar closes."""

from abc import abstractmethod
from datetime import datetime
from typing import Final

from attrs import define, field

from pine.strategies.features.definition import ClockFeature
from pine.strategies.features.parameters import word
from pine.strategies.windows import local_time, minute_of_day

_ZONES: Final = {"utc": "UTC", "exchange": "America/Chicago"}
_MORNING: Final = 8 * 60
_AFTERNOON: Final = 15 * 60
_EVENING: Final = 17 * 60


@define
class _Calendar(ClockFeature):
    """What all that reads a clock shares."""

    clock: str = field(default="utc", metadata=word(*_ZONES))

    def _step(self, closed: int) -> float:
        return float(self._at(local_time(closed, _ZONES[self.clock])))

    @abstractmethod
    def _at(self, moment: datetime) -> float: ...


@define
class Weekday(_Calendar):
    """Day of the week of the bar's close, Monday 1 to Sunday 7."""

    name = "weekday"

    def _at(self, moment: datetime) -> float:
        return moment.isoweekday()


@define
class Month(_Calendar):
    """Month of the bar's close, 1 to 12."""

    name = "month"

    def _at(self, moment: datetime) -> float:
        return moment.month


@define
class Monthday(_Calendar):
    """Day of the month of the bar's close, 1 to 31."""

    name = "monthday"

    def _at(self, moment: datetime) -> float:
        return moment.day


@define
class LateMonth(_Calendar):
    """1.0 where the bar closes after the 25th of a month, else 0.0."""

    name = "late_month"

    def _at(self, moment: datetime) -> float:
        return moment.day > 25


@define
class EarlyWeek(_Calendar):
    """1.0 where the bar closes on a Monday or Tuesday, else 0.0."""

    name = "early_week"

    def _at(self, moment: datetime) -> float:
        return moment.isoweekday() <= 2


@define
class EvenDay(_Calendar):
    """1.0 where the bar closes on an even day of the month, else 0.0."""

    name = "even_day"

    def _at(self, moment: datetime) -> float:
        return moment.day % 2 == 0


@define
class DayPart(_Calendar):
    """1.0 where the bar closes before 08:00, 2.0 before 15:00, 4.0 before 17:00, else 3.0; the old system's numbers."""

    name = "day_part"

    def _at(self, moment: datetime) -> float:
        minute = minute_of_day(moment)
        if minute < _MORNING:
            return 1
        if minute < _AFTERNOON:
            return 2
        return 4 if minute < _EVENING else 3


@define
class OpenClose(_Calendar):
    """1.0 where the bar closes from 08:00 to before 09:00, 2.0 from 14:00 to before 15:00, else 0.0."""

    name = "open_close"

    def _at(self, moment: datetime) -> float:
        return {8: 1, 14: 2}.get(moment.hour, 0)
