"""The desk moves from the embedded server to one behind Sentinel, as docs/sentinel.md says, in the middle of a day."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from house import END, House, at, house
from sentinels import SERVER, Node, free_port, guarded
from waiting import ended, until

from pine.bus.connection import connect
from pine.core.config import load_config
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape
from pine.strategies.catalog import PARAMS


@pytest.mark.long
@pytest.mark.parametrize("move", ["copy", "commands", "replication"])
def test_a_desk_that_moves_to_sentinel_goes_on_where_it_was(
    move: str, tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    with house(tmp_path, tape) as desk:
        children = [desk.worker("one"), desk.worker("two"), desk.hub()]
        desk.play(at("2024-03-04T10:00"))
        desk.decided("one", at("2024-03-04T10:00"))
        desk.delivered("one")
        courier = desk.courier_pid("one")
        assert [child.stop() for child in children] == [0, 0, 0]
        until(lambda: ended(courier), "the courier has nothing to live for")
        MOVES[move](desk, tmp_path / "servers" / "one")
        with guarded(tmp_path / "servers") as servers:
            desk.configure("fsync: everysec", f'url: "{servers.url}", replicas: 1')
            desk.client = connect(load_config(desk.config.path, PARAMS, {}))
            for name in ("one", "two"):
                desk.worker(name)
            desk.hub()
            desk.play(at("2024-03-04T16:00"))
            desk.decided("two", at("2024-03-04T16:00"))
            servers.rejoin(servers.fail_over())
            desk.play(END)
            for name in ("one", "two"):
                desk.decided(name, END)
            desk.delivered("one")
            server = json.loads(desk.run("status", "--json").stdout)["server"]
            assert (server["master"], server["replicas"]) == (f"127.0.0.1:{servers.servers[1].port}", 1)
            assert server["promise"] == "a power cut loses nothing acknowledged; a failover loses nothing acknowledged"
            assert "den" not in server["url"]
            assert Counter(desk.posted()) == Counter(intent.id for intent in desk.intents("one"))
            assert differences(desk.record(), unbroken) == []
            desk.clear()
            assert not desk.server.is_running()


def copied(desk: House, to: Path) -> None:
    """Stop the embedded server and copy its append-only file."""
    desk.client.close()
    assert desk.run("server", "stop").returncode == 0
    shutil.copytree(desk.server.folder / "appendonlydir", to / "appendonlydir")


def replicated(desk: House, to: Path) -> None:
    """Have the embedded server listen on loopback for a while, and a new one follow it."""
    port = free_port()
    desk.client.config_set("bind", "127.0.0.1")  # type: ignore[attr-defined]
    desk.client.config_set("port", port)  # type: ignore[attr-defined]
    new = Node("new", to.parent, SERVER)
    new.start()
    try:
        new.ask("REPLICAOF", "127.0.0.1", port)
        until(lambda: _offset(new) == desk.client.info()["master_repl_offset"], "it has everything")
        new.ask("REPLICAOF", "NO", "ONE")
        desk.client.close()
        assert desk.run("server", "stop").returncode == 0
        assert new.process is not None
        new.process.terminate()
        new.process.wait()
    finally:
        new.clear()
    shutil.move(to.parent / "new" / "appendonlydir", to / "appendonlydir")


def _offset(node: Node) -> int:
    with node.client() as client:
        about = client.info("replication")
    return int(about["slave_repl_offset"]) if about["master_link_status"] == "up" else -1


def rewritten(desk: House, to: Path) -> None:
    """Have the append-only file hold commands only, which any version reads, and copy it."""
    desk.client.config_set("aof-use-rdb-preamble", "no")  # type: ignore[attr-defined]
    desk.client.bgrewriteaof()  # type: ignore[attr-defined]
    until(lambda: not desk.client.info()["aof_rewrite_in_progress"], "it is rewritten")
    copied(desk, to)
    (base,) = (to / "appendonlydir").glob("*.base.*")
    assert base.read_bytes().startswith(b"*")


MOVES: Final = {"copy": copied, "commands": rewritten, "replication": replicated}
