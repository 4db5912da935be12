"""A hub that is killed: the restart or the standby resumes from the streams; bars equal those of an unbroken run."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from house import END, at, house, kill
from waiting import until

from pine.bus import keys
from pine.core.timeframe import Timeframe
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape


def test_the_standby_and_then_a_restart_publish_what_an_unbroken_hub_does(
    tape: Tape, unbroken: Record, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Killed where it hurts: bars written without their clock entries, and clock entries not noted."""
    with house(tmp_path, tape) as desk:
        hub = desk.hub()
        standby = desk.start("hub")
        desk.waits(standby)
        desk.play(at("2024-03-04T02:30"))
        desk.published(at("2024-03-04T02:30"))

        desk.pauses.ask("hub", "facts-written")
        desk.play(at("2024-03-04T09:17"))
        desk.caught("hub", "facts-written")
        assert desk.last(keys.CLOCK) <= desk.last(keys.bars("ES", Timeframe.MINUTE))
        kill(hub)
        seconds = desk.take_over(keys.HUB, 2)
        print(f"the standby took over {seconds:.1f} s after the hub was killed")  # noqa: T201
        record_property("takeover_s", round(seconds, 1))
        desk.published(at("2024-03-04T09:17"))

        desk.pauses.ask("hub", "clock-written")
        desk.play(at("2024-03-04T16:41"))
        desk.caught("hub", "clock-written")
        kill(standby)
        restarted = desk.start("hub")
        desk.play(END)
        desk.published(END)
        until(lambda: desk.running(restarted), "it still runs")
        found = desk.record()
    market = {name: entries for name, entries in unbroken.items() if name.startswith("market:")}
    assert differences({name: found[name] for name in market}, market) == []


def test_a_standby_starts_the_server_that_was_killed_with_the_hub(tape: Tape, unbroken: Record, tmp_path: Path) -> None:
    """Whoever is left only waits for a role: nobody else would start it."""
    with house(tmp_path, tape) as desk:
        hub = desk.hub()
        standby = desk.start("hub")
        desk.waits(standby)
        desk.play(at("2024-03-04T02:30"))
        desk.published(at("2024-03-04T02:30"))
        before = desk.server.pid()
        kill(hub)
        os.kill(before or 0, signal.SIGKILL)
        until(lambda: desk.server.is_running() and desk.server.pid() != before, "the server is started again")
        desk.play(END)
        desk.published(END)
        found = desk.record()
    market = {name: entries for name, entries in unbroken.items() if name.startswith("market:")}
    assert differences({name: found[name] for name in market}, market) == []
