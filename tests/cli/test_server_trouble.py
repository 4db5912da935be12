"""A server that cannot write, and one that says nothing at all: whoever only visits is told so, and soon."""

import json
import os
import signal

import pytest
import redis

from pine.bus import connection, keys
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import BINARY_VARIABLE, EmbeddedServer, server_binary

from .conftest import CONFIG, Shell

KILOBYTES = 64
SMALL = """\
#!/bin/bash
trap '' XFSZ
ulimit -f {kilobytes}
exec {binary} "$@"
"""


@pytest.fixture
def full(pine: Shell, monkeypatch: pytest.MonkeyPatch) -> EmbeddedServer:
    """A server whose file can grow no more."""
    script = pine.folder / "small-server"
    script.write_text(SMALL.format(kilobytes=KILOBYTES, binary=server_binary()))
    script.chmod(0o700)
    monkeypatch.setenv(BINARY_VARIABLE, str(script))
    pine.config(CONFIG + "\nbus: {fsync: everysec}\n")
    server = EmbeddedServer(pine.folder / "data", "everysec")
    server.ensure()
    client = client_for(server.url)
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        fill(client)
    client.close()
    return server


def fill(client: Client) -> None:
    """Write until the server refuses."""
    while True:
        client.xadd(keys.flight("ibs_a"), {"flight": "{}" + " " * 4096}, maxlen=10)


def test_a_full_disk_is_what_status_leads_with_and_what_a_halt_says(pine: Shell, full: EmbeddedServer) -> None:
    facts = json.loads(pine.quick("status", "--json").out)
    assert facts["problems"][0].startswith("the server cannot write (MISCONF")
    assert str(full.folder) in facts["problems"][0]
    assert not any("not running" in problem for problem in facts["problems"])
    assert "NOT RUNNING" not in pine.quick("status").out
    ran = pine.quick("halt", "ibs_a")
    assert (ran.code, "the server cannot write (MISCONF" in ran.err, "nothing was done" in ran.err) == (2, True, True)
    assert full.is_running()


def test_a_server_that_a_full_disk_has_ended_is_told_with_the_disk(
    pine: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pine.ops.server.FULL_BYTES", 2**70)
    (pine.folder / "data").mkdir()
    first, second = json.loads(pine.quick("status", "--json").out)["problems"]
    assert first.startswith(f"the disk of {pine.folder / 'data'} is full")
    assert "no server runs in" in second


def test_a_server_that_says_nothing_is_not_called_dead_nor_waited_for(
    pine: Shell, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "VISIT_SECONDS", 0.2)
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        for command in (("status",), ("halt", "ibs_a")):
            ran = pine.quick(*command)
            assert f"(process {pid}) runs and does not answer" in ran.out + ran.err
            assert ran.code != 0
    finally:
        os.kill(pid, signal.SIGCONT)
    assert server.is_running()
