"""One process that is supervised."""

import queue

import pytest
from waiting import DEADLINE_S

from pine import __version__
from pine.ops.supervisor.child import Child


def test_its_lines_come_before_its_end() -> None:
    told: queue.SimpleQueue[bytes | int] = queue.SimpleQueue()
    Child.start(["--version"], told.put, told.put)
    assert [told.get(timeout=DEADLINE_S) for _ in range(2)] == [f"pine, version {__version__}".encode(), 0]


@pytest.mark.parametrize(("ends", "code"), [(Child.ask_to_end, -15), (Child.kill, -9)])
def test_it_ends_when_asked_or_killed(ends, code: int) -> None:  # type: ignore[no-untyped-def]
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    ends(Child.start(["sandbox", "broker", "--port", "0"], lambda _: None, told.put))
    assert told.get(timeout=DEADLINE_S) == code
