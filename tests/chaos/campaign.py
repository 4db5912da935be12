"""More than two hundred kills on one tape with more than thirty entries, by a fixed list of seeds: ``make chaos``."""

import json
from collections import Counter
from pathlib import Path

import pytest
from killing import chaos, replayed_as_lived

from pine.bus.pauses import POINTS
from pine.sandbox.faults import EARLY, LATE

SEEDS = (101, 102, 103, 104)
KILLS, DAYS = 60, 10


def test_a_campaign_of_two_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victims: Counter[str] = Counter()
    points: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for seed in SEEDS:
        facts = chaos(tmp_path / str(seed), KILLS, seed, DAYS)
        assert sum(strategy["entries"] for strategy in facts["strategies"].values()) >= 30
        for total, name in ((victims, "by_victim"), (points, "by_point"), (faults, "faults")):
            total.update(facts["chaos"][name])
        with capsys.disabled():
            rows = replayed_as_lived(tmp_path / str(seed))
            print(f"\nseed {seed}: equal; against flight the same, {rows:,} rows; {json.dumps(facts['chaos'])}")  # noqa: T201  # what the campaign is for
    assert victims.total() >= 200
    assert min(victims[kind] for kind in ("hub", "archive", "worker", "courier", "server")) >= 30
    assert set(points) == {f"{kind}.{point}" for kind in victims.keys() & POINTS.keys() for point in POINTS[kind]}
    assert set(faults) == {*EARLY, *LATE}
