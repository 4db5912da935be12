"""Wishes that come at once."""

import threading
from pathlib import Path

import pytest
from attrs import field, frozen

from pine.core.config import Config
from pine.core.errors import PineError
from pine.ops.supervisor.members import Member, Rank
from pine.ops.supervisor.output import Relay
from pine.ops.supervisor.run import Supervisor
from pine.ops.supervisor.turns import Turns


@frozen
class Nowhere:
    """A screen that nobody sees."""

    lines: list[object] = field(factory=list)

    def write(self, lines: object) -> None: ...

    def draw(self, facts: object) -> None: ...

    def close(self) -> None: ...


def test_wishes_about_the_same_processes_are_granted_in_the_order_in_which_they_came() -> None:
    turns, granted, first = Turns(), [], threading.Event()

    def wish(number: int, word: str) -> None:
        with turns.turn(word):
            first.wait(10)
            granted.append(number)

    threads = []
    for number, word in enumerate(["one", "worker one", "one", "courier one"]):
        threads.append(threading.Thread(target=wish, args=(number, word)))
        threads[-1].start()
        while turns.taken <= number:
            pass
    with turns.turn("two"):
        first.set()
    for thread in threads:
        thread.join(10)
    assert granted == [0, 1, 2, 3]


def test_what_cannot_be_granted_is_said() -> None:
    config = Config(Path("pine.yaml"), Path("data"))
    running = Supervisor(config, [Member("hub", Rank.HUB)], Relay(Nowhere(), Path("logs")), lambda: config)
    with pytest.raises(PineError, match="asked to 'sing', and does start, stop, restart and show"):
        running.answer({"do": "sing", "name": "hub"})
    with pytest.raises(PineError, match="pine up is starting"):
        running.answer({"do": "stop", "name": "hub"})
    running._phase, running._asked = "running", 1
    with pytest.raises(PineError, match="pine up is stopping"):
        running.answer({"do": "start", "name": "hub"})
