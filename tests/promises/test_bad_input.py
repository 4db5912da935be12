"""A bad record, price or request: counted, logged once per kind, never in a bar, never the end of anything."""

from pathlib import Path

import numpy as np
import orjson
from house import END, HeldSession, at, events, house, log
from waiting import until

from pine.bus import keys
from pine.sandbox import messages
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.records import TradeArray
from pine.sandbox.reel import Block
from pine.sandbox.tape import Indices, Tape

WRONG = {
    "undefined_price": {"price": (1 << 63) - 1},
    "zero_size": {"size": 0},
    "not_a_trade": {"action": b"C"},
    "undefined_time": {"ts_recv": (1 << 64) - 1},
    "far_ahead": {"ts_recv": at("2031-01-01")},
    "unmapped_instrument": {"instrument_id": 4_000_000_000},
    "late": {"ts_recv": at("2024-03-01"), "price": 1},
}
"""Trades that no exchange sends, by the name under which they are counted."""

MIDDLE = at("2024-03-04T09:30")


class Planted(HeldSession):
    """Sends bad trades before every block of good ones, and a heartbeat from another century."""

    trades: TradeArray

    async def _send_block(self, block: Block, picked: Indices, beats: object) -> None:
        if len(picked) and self.cursor:
            for wrong in WRONG.values():
                bad = np.frombuffer(self.playback.reel.tape.encode(picked[:1]), self.trades.dtype).copy()
                for name, value in wrong.items():
                    bad[name] = value
                await self.wire.send(bad.tobytes())
            await self.wire.send(messages.heartbeat(at("2200-01-01")))
        await super()._send_block(block, picked, beats)  # type: ignore[arg-type]


def test_bad_records_and_requests_are_left_out_counted_and_told_once(
    market, tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    Planted.trades = market.trades
    with house(tmp_path, tape, webhooks=False, session=Planted) as desk:
        workers = [desk.worker("one"), desk.worker("two")]
        hub = desk.hub()
        for moment in (at("2024-03-04T01:00"), MIDDLE):
            desk.play(moment)
            desk.published(moment)
        desk.decided("one", MIDDLE)
        for request in ({"request": b"{not JSON"}, {"request": b"[1, 2]"}, {"order": b"halt"}):
            desk.client.xadd(keys.control("one"), request)
        until(lambda: log(workers[0]).count("control request not understood") == 3, "the worker has seen them")
        desk.play(END)
        for strategy in ("one", "two"):
            desk.decided(strategy, END)
        assert differences(desk.record(), unbroken) == []
        assert hub.stop() == 0
        counts = orjson.loads(desk.client.hget(keys.heartbeat(keys.HUB), "counts") or b"{}")
        assert {kind for kind in (*WRONG, "wild_heartbeat") if counts.get(kind, 0) < 2} == set()
        told = {kind: len(events(hub, "left out", kind=kind)) for kind in (*WRONG, "wild_heartbeat")}
        assert told == dict.fromkeys(told, 1)
