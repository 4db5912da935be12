"""Kills and broken connections at every turn, and in the end the same bars, decisions, orders and positions.

The seed is drawn anew each time and printed. The long version is `campaign.py`.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
from killing import chaos, replayed_as_lived

from pine.bus.pauses import POINTS
from pine.sandbox.demo.chaos import make_plan
from pine.sandbox.demo.contest import delivery_problems
from pine.sandbox.faults import EARLY, LATE

KILLS, DAYS = 5, 2
"""Each kind of process once."""


def test_a_run_with_kills_at_random_points_comes_to_what_an_undisturbed_one_comes_to(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"chaos seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    facts = chaos(tmp_path / "run", KILLS, seed, DAYS)
    assert facts["chaos"]["by_victim"] == {"server": 1, "hub": 1, "archive": 1, "worker": 1, "courier": 1}
    assert facts["compared"]["1min"] > 5000
    assert facts["compared"]["archive"] > 10_000
    assert sum(strategy["entries"] for strategy in facts["strategies"].values()) >= 15
    assert replayed_as_lived(tmp_path / "run") > 500


def test_the_same_seed_makes_the_same_plan_and_spreads_the_kills() -> None:
    plan = make_plan(5, 50, ["a", "b"])
    assert plan == make_plan(5, 50, ["a", "b"])
    assert plan != make_plan(6, 50, ["a", "b"])
    kinds = Counter(strike.victim.split(":")[0] for strike in plan.strikes)
    assert kinds == {"server": 10, "hub": 10, "archive": 10, "worker": 10, "courier": 10}
    for kind, known in ((kind, POINTS[kind]) for kind in kinds if kind in POINTS):
        held = {strike.point for strike in plan.strikes if strike.victim.startswith(kind)}
        assert held == {*known, None}
    assert {fault.split(":")[0] for fault in plan.faults} == {"sound", *EARLY, *LATE}


@pytest.mark.parametrize(
    ("posts", "states", "problem"),
    [
        ({"e": 1}, {"e": (True, "posted", 1)}, None),
        ({"x": 2}, {"x": (False, "posted", 2)}, None),
        ({}, {"e": (True, "unknown", 1)}, None),
        ({"e": 1}, {"e": (True, "unknown", 1)}, None),
        ({"e": 2}, {"e": (True, "posted", 2)}, "posted 2 times"),
        ({}, {"e": (True, "posted", 1)}, "receiver has none"),
        ({"x": 2}, {"x": (False, "posted", 1)}, "1 attempts on record"),
        ({"e": 1}, {}, "in no ledger"),
        ({}, {"e": (True, "", 0)}, "not tried"),
        ({"x": 1}, {"x": (False, "unknown", 1)}, "ended as unknown"),
    ],
)
def test_a_doubled_or_a_lost_order_is_seen(
    posts: dict[str, int], states: dict[str, tuple[bool, str, int]], problem: str | None
) -> None:
    found = delivery_problems(posts, states)
    assert (found == []) if problem is None else any(problem in line for line in found)
