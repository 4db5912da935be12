"""A server that comes back without its newest entries, under the whole system."""

import json
from pathlib import Path

import pytest
from setback import go_back, size_of
from stagecraft import Performance

from pine.bus import keys, streams
from pine.bus.embedded import EmbeddedServer
from pine.sandbox.demo.perform import perform
from pine.sandbox.demo.record import Record, read_record
from pine.sandbox.demo.stage import Stage

FIRST, LAST = 1709510400000, 1709683200000
"""First and last session's start of the tape, in ms."""
HOUR: int = 3_600_000


@pytest.mark.long  # tests/worker/test_went_back.py shows it without the demonstration
def test_a_server_that_lost_its_newest_entries_is_given_them_again(
    performance: Performance, tape: Path, tmp_path: Path
) -> None:
    """Hub, workers and couriers run on: what was lost is published, decided and on record again, and posted once."""
    sizes: list[int] = []
    record: Record = {}

    def look(stage: Stage) -> None:
        server = EmbeddedServer(stage.config.data_dir)
        cursor = streams.group_info(stage.client, keys.CLOCK, "ibs_a")
        done = streams.ms_of(cursor["last-delivered-id"]) - (FIRST + LAST) // 2
        if not sizes and done >= 0:
            sizes.append(size_of(server))
        elif len(sizes) == 1 and done >= 4 * HOUR:
            sizes.append(size_of(server))
            go_back(server, sizes[0])

    facts = perform(
        tmp_path,
        [tape],
        None,
        look,
        at_end=lambda stage: record.update(read_record(stage.client, stage.config, stage.tape_end)),
    )
    assert len(sizes) == 2
    assert sizes[1] - sizes[0] > 50_000
    assert record == performance.record
    for strategy in facts["strategies"].values():  # unknown: killed between attempt and answer, held and reported
        assert set(strategy["deliveries"]) <= {"posted", "unknown"}
        assert sum(strategy["deliveries"].values()) == strategy["entries"] + strategy["exits"]
    received = [json.loads(line) for line in (tmp_path / "webhooks.jsonl").read_text().splitlines()]
    entries = [request["body"]["extras"]["intent"] for request in received if request["body"]["action"] != "exit"]
    assert len(set(entries)) == len(entries) > 0
