"""Publishing: a minute is on the streams whole or not at all, and more than one write can hold has its clock last."""

from pathlib import Path

import pytest
from market import closed_bars, configure
from redis import Redis

from pine.bus import keys, writer
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.errors import Conflict
from pine.core.times import to_ms
from pine.hub.publisher import Publisher

CLOSED = list(closed_bars())


@pytest.fixture
def publisher(client: Redis, tmp_path: Path) -> Publisher:
    lease = Lease.try_acquire(client, keys.HUB)
    assert isinstance(lease, Lease)
    found = Publisher.resume(client, lease.token)
    found.register(configure(tmp_path), {})
    return found


def scripts(client: Redis) -> int:
    """How many scripts a server has run."""
    return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def test_a_minute_is_one_write(client: Redis, publisher: Publisher) -> None:
    publisher.publish(CLOSED[:1])
    for item in CLOSED[1:100]:
        before = scripts(client)
        publisher.publish([item])
        assert scripts(client) == before + 1
    assert publisher.bars == sum(len(item.bars) for item in CLOSED[:100])


def test_what_more_than_one_write_holds_has_all_clock_entries_last(
    client: Redis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after any part, whatever the clock says is there."""
    monkeypatch.setattr(writer, "MAX_OPERATIONS", 7)
    sent: list[list[str]] = []
    send = Writer._send

    def noted(self: Writer, operations: list[tuple[str, list[bytes | str | int]]]) -> object:
        sent.append([str(key) for _, (key, *_) in operations])
        return send(self, operations)

    monkeypatch.setattr(Writer, "_send", noted)
    publisher.publish(CLOSED[:40])
    names = [name for part in sent for name in part]
    assert len(sent) > 10
    assert names.index(keys.CLOCK) == len(names) - 40
    assert set(names[-40:]) == {keys.CLOCK}


def test_a_minute_that_stands_there_otherwise_leaves_the_clock_where_it_was(
    client: Redis, publisher: Publisher
) -> None:
    publisher.publish(CLOSED[:3])
    (bar, *_) = next(item for item in CLOSED[3:] if item.bars).bars
    client.xadd(keys.bars(bar.symbol, bar.timeframe), {"bar": b"another"}, id=f"{to_ms(bar.start)}-0")
    clock = client.xlen(keys.CLOCK)
    with pytest.raises(Conflict, match="another entry stands there"):
        publisher.publish(CLOSED[3:4])
    assert client.xlen(keys.CLOCK) == clock
