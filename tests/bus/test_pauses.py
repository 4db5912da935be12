"""A process is held at a named point for as long as a test wants, and not at all without being asked."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from pine.bus.pauses import POINTS, VARIABLE, Holder, kind_of, pause, wanted

PROGRAM = """
from pine.bus.pauses import pause
for n in range(3):
    pause("worker:a", "decided")
    print(n, flush=True)
"""


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def await_held(holder: Holder) -> int:
    for _ in range(3000):
        held = holder.held("worker:a", "decided")
        if held is not None:
            return held
        Event().wait(0.01)
    pytest.fail("nobody comes by the point")


def test_a_process_is_held_once_at_the_point_and_goes_on_when_released(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.ask("worker:a", "decided")
    with start(holder.environment) as process:
        assert await_held(holder) == process.pid
        assert process.poll() is None
        holder.release("worker:a", "decided")
        assert process.stdout is not None
        assert process.stdout.read() == "0\n1\n2\n"
    assert process.returncode == 0
    assert holder.held("worker:a", "decided") is None


def test_of_two_processes_one_is_held(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.ask("worker:a", "decided")
    with start(holder.environment) as first, start(holder.environment) as second:
        held = await_held(holder)
        other = second if held == first.pid else first
        assert other.wait(30) == 0
        holder.release("worker:a", "decided")


def test_nobody_is_held_who_was_not_asked_for(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.ask("worker:b", "decided")
    with start(holder.environment) as process:
        assert process.wait(30) == 0


def test_without_the_variable_a_point_does_nothing() -> None:
    assert VARIABLE not in os.environ
    pause("hub", "facts-written")


def test_whether_a_point_is_waited_for_is_known_before_it(tmp_path: Path) -> None:
    script = "from pine.bus.pauses import wanted; print(wanted('hub', 'facts-written'), wanted('hub', 'clock-written'))"
    holder = Holder(tmp_path)
    holder.ask("hub", "facts-written")
    command = [sys.executable, "-c", script]
    asked = subprocess.run(command, env=os.environ | holder.environment, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == ["True", "False"]
    assert (wanted("hub", "facts-written"), holder.held("hub", "facts-written")) == (False, None)


def test_only_declared_points_can_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="facts-written, clock-written"):
        Holder(tmp_path).ask("hub", "decided")


@pytest.mark.parametrize("kind", POINTS)
def test_every_declared_point_is_passed_in_the_code_and_no_other(kind: str) -> None:
    import re

    import pine

    source = "".join(
        path.read_text() for path in Path(str(pine.__file__)).parent.rglob("*.py") if path.name != "pauses.py"
    )
    passed = re.findall(r'\bpause\(([\w.]+), "([\w-]+)"\)', source)
    assert {point for _, point in passed} == {point for points in POINTS.values() for point in points}
    assert kind_of(f"{kind}:x") == kind
