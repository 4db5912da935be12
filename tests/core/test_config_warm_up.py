"""Configuration: what a strategy is warmed up with."""

from collections.abc import Callable

import pytest

from pine.core.config import WarmUpConfig

from .configs import Load

WARM = "instruments: {{ES: }}\nwarm_up: {}\nstrategies: {{a: {{type: ibs, instruments: [ES], warm_up: {}}}}}"


@pytest.mark.parametrize(
    ("general", "own", "expected"),
    [
        ("", "", WarmUpConfig(252, 15, 1, True)),
        ("off", "", None),
        ("'off'", "", None),
        ("{daily: 3}", "{hourly: 2}", WarmUpConfig(3, 2, 1, True)),
        ("{daily: 3, buy: false}", "{daily: 0, minute: 9}", WarmUpConfig(0, 15, 9, False)),
        ("{daily: 3}", "off", None),
        ("off", "{daily: 9}", WarmUpConfig(9, 15, 1, True)),
    ],
)
def test_warm_up_is_general_with_what_a_strategy_sets_over_it(
    load: Load, general: str, own: str, expected: WarmUpConfig | None
) -> None:
    assert load(WARM.format(general, own)).warm_up_of("a") == expected


def test_mistakes_in_warm_up_are_told_with_what_is_allowed(mistakes: Callable[..., list[str]]) -> None:
    told = mistakes(WARM.format("{daily: -1, days: 3}", "{minute: true}"))
    assert told == [
        "2: warm_up.days: unknown setting; did you mean daily? Allowed: daily, hourly, minute, buy, features",
        "2: warm_up.daily: must be >= 0: -1",
        "3: strategies.a.warm_up.minute: found True, expected a whole number",
    ]
    (line,) = mistakes("warm_up: 252\n")
    assert line == "1: warm_up: found 252, expected off, or settings such as {daily: 252}"
