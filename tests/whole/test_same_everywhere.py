"""The same tape leads to the same streams at any speed."""

from pathlib import Path

import pytest
from stagecraft import Performance

from pine.sandbox.demo.perform import perform, problems
from pine.sandbox.demo.record import Record, read_record

SPEED = 30_000


@pytest.mark.long
def test_two_speeds_give_the_same_streams(performance: Performance, tape: Path, tmp_path: Path) -> None:
    paced: Record = {}
    facts = perform(
        tmp_path,
        [tape],
        SPEED,
        lambda _: None,
        at_end=lambda stage: paced.update(read_record(stage.client, stage.config, performance.until)),
    )
    assert problems(facts) == []
    assert paced == performance.early
    assert len(paced["market:ES:1min"]) > 500
