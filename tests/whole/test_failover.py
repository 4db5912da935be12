"""Sentinel promotes a replica under the whole system: the results are those of a run on the embedded server."""

import shutil
from pathlib import Path

import pytest
from sentinels import watched
from stagecraft import Performance, run

from pine.bus import keys, streams
from pine.bus.embedded import EmbeddedServer
from pine.core.config import load_config
from pine.history.archive import Archive
from pine.sandbox.demo.perform import perform, problems
from pine.sandbox.demo.record import Record, differences, read_archive, read_record
from pine.sandbox.demo.stage import Stage
from pine.strategies.catalog import PARAMS

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

        def keep(stage: Stage) -> None:
            record.update(read_record(stage.client, stage.config, stage.tape_end))
            stage.seal()
            record.update(read_archive(Archive.of(stage.config), stage.tape_end))

        facts = perform(tmp_path, [tape], None, look, at_end=keep, seals=True, bus=servers.url)
    assert any(name.startswith("archive:bars") for name in record)
    assert killed[0] == killed[2] != killed[1]
    assert differences(record, performance.record | sealed(performance, tmp_path / "undisturbed")) == []
    assert problems(facts) == []


def sealed(performance: Performance, folder: Path) -> Record:
    """Return the archive of what an undisturbed performance left."""
    shutil.copytree(performance.folder, folder)
    config = load_config(folder / "pine.yaml", PARAMS, {})
    try:
        assert run("archive", "--once", "-c", str(config.path)).returncode == 0
    finally:
        EmbeddedServer(config.data_dir).stop()
    return read_archive(Archive.of(config), performance.facts["tape"]["end"])
