"""A replay of what a live hub and worker left behind thinks the same, bit for bit."""

from pathlib import Path

import pytest
from life import lived, replayed

from pine.bus.client import Client
from pine.replay.parity import compare


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_replay_gives_the_flights_intents_and_fills_of_the_worker(name: str, client: Client, tmp_path: Path) -> None:
    config, life = lived(client, tmp_path, name)
    run = replayed(config, client, life)
    live = life.record(config, run.record.facts.begin)
    assert run.alerts == ()
    assert live.table("flights").height > 20
    assert live.table("intents").height > 10
    for table, frame in live.tables.items():
        assert run.record.table(table).equals(frame), table
    assert compare(live, run.record).same
