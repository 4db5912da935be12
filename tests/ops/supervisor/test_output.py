"""Lines of many processes: whole, in files, and never so that one stands in the way of another."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from waiting import DEADLINE_S, until

from pine.ops.supervisor.output import ROOM, LogFile, Relay


@define(eq=False)
class Held:
    """A screen that stands still until it is let go."""

    go: threading.Event = field(factory=threading.Event)
    lines: list[tuple[str, str]] = field(factory=list)
    broken: bool = False

    def write(self, lines: Sequence[tuple[str, str]]) -> None:
        assert self.go.wait(DEADLINE_S)
        if self.broken:
            raise BrokenPipeError
        self.lines += lines

    def draw(self, facts: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


def print_all(relay: Relay, name: str, count: int) -> threading.Thread:
    def work() -> None:
        for n in range(count):
            relay.take(name, b"%d" % n)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def logged(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.log").read_text().splitlines()


def test_a_flood_is_shown_whole_and_in_order_to_whoever_reads(tmp_path: Path) -> None:
    screen = Held()
    screen.go.set()
    relay = Relay(screen, tmp_path)
    relay.start()
    threads = [print_all(relay, name, 3 * ROOM) for name in ("flood", "other")]
    for thread in threads:
        thread.join(DEADLINE_S)
    relay.close()
    for name in ("flood", "other"):
        assert [line for of, line in screen.lines if of == name] == [str(n) for n in range(3 * ROOM)]
        assert logged(tmp_path, name) == [str(n) for n in range(3 * ROOM)]


def test_a_screen_that_stands_still_holds_nobody_up_and_the_files_have_everything(tmp_path: Path) -> None:
    screen = Held()
    relay = Relay(screen, tmp_path)
    relay.start()
    print_all(relay, "flood", 3 * ROOM).join(DEADLINE_S)
    print_all(relay, "worker one", 3).join(DEADLINE_S)
    assert logged(tmp_path, "flood") == [str(n) for n in range(3 * ROOM)]
    assert logged(tmp_path, "worker-one") == ["0", "1", "2"]
    screen.go.set()
    until(lambda: ("worker one", "2") in screen.lines, "the view goes on")
    relay.close()
    told = [line for of, line in screen.lines if of == "flood" and line.startswith("…")]
    shown = [line for of, line in screen.lines if of == "flood" and not line.startswith("…")]
    left_out = sum(int(line.split()[1]) for line in told)
    assert (len(shown) + left_out, bool(told)) == (3 * ROOM, True)
    assert f"see {tmp_path / 'flood.log'}" in told[0]


def test_when_nobody_looks_any_more_the_files_go_on(tmp_path: Path) -> None:
    screen = Held(broken=True)
    screen.go.set()
    relay = Relay(screen, tmp_path)
    relay.start()
    print_all(relay, "hub", 3 * ROOM).join(DEADLINE_S)
    relay.close()
    assert logged(tmp_path, "hub") == [str(n) for n in range(3 * ROOM)]


def test_a_log_that_has_grown_is_set_aside_and_only_some_are_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "hub.log", max_bytes=20, kept=2)
    for n in range(20):
        log.write(b"line %02d" % n)
    assert {path.name: path.read_text().split("\n")[:-1] for path in tmp_path.iterdir()} == {
        "hub.log": ["line 18", "line 19"],
        "hub.log.1": ["line 16", "line 17"],
        "hub.log.2": ["line 14", "line 15"],
    }


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder")
    LogFile(tmp_path / "logs" / "hub.log").write(b"lost")
