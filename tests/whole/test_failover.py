"""Sentinel promotes a replica under the whole system: the results are those of a run on the embedded server."""

from pathlib import Path

import pytest
from sentinels import watched
from stagecraft import Performance

from pine.bus import keys, streams
from pine.sandbox.demo.perform import perform, problems
from pine.sandbox.demo.record import Record, differences, read_record
from pine.sandbox.demo.stage import Stage

FIRST, LAST = 1709510400000, 1709683200000
"""First and last session's start of the tape, in ms."""


def part_done(stage: Stage) -> float:
    """Return which part of the tape a strategy has decided on."""
    cursor = streams.group_info(stage.client, keys.CLOCK, "ibs_a")
    return (streams.ms_of(cursor["last-delivered-id"]) - FIRST) / (LAST - FIRST)


@pytest.mark.long  # tests/promises/test_failover.py shows it on a smaller market
def test_with_each_master_killed_in_its_turn_everything_is_as_on_the_embedded_server(
    performance: Performance, tape: Path, tmp_path: Path
) -> None:
    record: Record = {}
    killed: list[int] = []
    with watched(tmp_path / "servers") as servers:

        def look(stage: Stage) -> None:
            if len(killed) < 3 and part_done(stage) > (len(killed) + 1) / 4:
                old = servers.fail_over()
                killed.append(old.port)
                servers.rejoin(old)

        facts = perform(
            tmp_path,
            [tape],
            None,
            look,
            at_end=lambda stage: record.update(read_record(stage.client, stage.config, stage.tape_end)),
            bus=servers.url,
        )
    assert killed[0] == killed[2] != killed[1]
    assert differences(record, performance.record) == []
    assert problems(facts) == []
