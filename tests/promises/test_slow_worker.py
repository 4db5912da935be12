"""A slow worker delays only itself; its lag is visible; nothing is dropped."""

from pathlib import Path

from house import END, at, house, pause, wake
from waiting import until

from pine.bus import keys, streams
from pine.core.timeframe import Timeframe
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape


def test_while_one_worker_stands_still_the_other_finishes_and_the_lag_shows_until_it_has_caught_up(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    half = at("2024-03-04T03:30")
    watched = [keys.CLOCK, *(keys.bars("GC", timeframe) for timeframe in Timeframe)]
    with house(tmp_path, tape, webhooks=False) as desk:
        desk.worker("one")
        slow = desk.worker("two")
        desk.hub()
        desk.play(half)
        desk.decided("two", half)
        before = {stream: desk.client.xlen(stream) for stream in watched}
        pause(slow)
        desk.play(END)
        desk.decided("one", END)

        behind = {stream: streams.group_info(desk.client, stream, "two") for stream in watched}
        lag = {stream: info["lag"] + info["pending"] for stream, info in behind.items()}  # its read had begun
        assert lag == {stream: desk.client.xlen(stream) - before[stream] for stream in watched}
        assert min(info["lag"] for info in behind.values()) > 0
        assert streams.group_info(desk.client, keys.CLOCK, "one")["lag"] == 0

        wake(slow)
        desk.decided("two", END)
        # a bar stands on its stream for a moment before its clock entry does
        until(
            lambda: not any(streams.group_info(desk.client, each, "two")["lag"] for each in watched), "no lag is left"
        )
        assert differences(desk.record(), unbroken) == []
