"""The server stops, is away, restarts: everyone waits and resumes; nothing acknowledged is lost."""

import fcntl
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from house import END, House, at, events, house
from waiting import until

from pine.bus import keys
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape


def test_with_the_server_away_everyone_waits_and_then_goes_on_as_if_nothing_had_happened(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    """Killed between acknowledged bars and their clock entries; later stopped in order. Whoever needs it starts it."""
    with house(tmp_path, tape, fsync="always") as desk:
        worker = desk.worker("one")
        hub = desk.hub()
        desk.play(at("2024-03-04T02:30"))
        desk.decided("one", at("2024-03-04T02:30"))
        desk.delivered("one")
        desk.pauses.ask("hub", "facts-written")
        desk.play(at("2024-03-04T12:12"))
        desk.caught("hub", "facts-written")
        desk.decided("one", desk.last(keys.CLOCK))
        desk.delivered("one")
        with away(desk):
            desk.pauses.release("hub", "facts-written")
            desk.hold.ts = at("2024-03-04T12:13")
            until(lambda: events(hub, "server away"), "the hub waits")
            until(lambda: events(worker, "server away", role="worker"), "the worker waits")
            until(lambda: events(worker, "server away", role="courier"), "the courier waits")
        until(lambda: answers(desk), "it is started again")
        desk.decided("one", at("2024-03-04T12:12"))
        desk.delivered("one")
        before = desk.server.pid()
        os.kill(before or 0, signal.SIGTERM)
        desk.play(END)
        until(lambda: desk.server.pid() != before, "the server has ended and is started again")
        until(lambda: answers(desk), "it is started again")
        desk.decided("one", END)
        desk.delivered("one")
        assert Counter(desk.posted()) == Counter(intent.id for intent in desk.intents("one"))
        mine = {name: e for name, e in unbroken.items() if not name.endswith(":two")}
        found = desk.record()
    assert differences({name: found[name] for name in mine}, mine) == []


def answers(desk: House) -> bool:
    """Tell whether the server is there and has read its files."""
    try:
        return desk.client.ping()
    except redis.RedisError:
        return False


@contextmanager
def away(desk: House) -> Iterator[None]:
    """Kill the server and keep anybody from starting it, as long as the block lasts."""
    pid = desk.server.pid()
    assert pid is not None
    with (desk.server.folder / "lock").open("a") as lock:
        os.kill(pid, signal.SIGKILL)

        def mine() -> bool:
            """Whoever is faster starts another one, which is killed too."""
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = desk.server.pid()
                if other not in (None, pid) and desk.server.is_running():
                    os.kill(other or 0, signal.SIGKILL)
                return False
            return True

        until(mine, "the server is gone and stays away")
        yield
