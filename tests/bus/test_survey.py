"""Many streams are asked about at once, and what is said of each is what it is."""

import pytest
import redis
from redis import Redis

from pine.bus import keys, streams
from pine.bus import survey as surveying
from pine.bus.survey import Group, survey


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_what_is_said_of_each_stream_is_what_it_is(
    client: Redis, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(surveying, "AT_ONCE", at_once)
    for n in range(1, 6):
        client.xadd(keys.CLOCK, {"prev": ""}, id=f"{n}-0")
    client.xtrim(keys.CLOCK, minid="3-0", approximate=False)
    streams.ensure_group(client, keys.CLOCK, "one")
    streams.ensure_group(client, keys.CLOCK, "two", "4-0")
    streams.read_group(client, keys.CLOCK, "two", "1", count=1)
    streams.ensure_group(client, keys.EVENTS, "one")
    found = survey(client, [keys.CLOCK, keys.EVENTS, keys.ledger("nobody"), keys.CLOCK])
    assert list(found) == [keys.CLOCK, keys.EVENTS]
    clock, events = found.values()
    assert (clock.length, clock.added, clock.first, clock.last, clock.generated) == (3, 5, "3-0", "5-0", "5-0")
    assert clock.was_trimmed
    assert clock.groups["two"] == Group("5-0", 5)
    assert clock.groups["one"].delivered == "0-0"
    assert [clock.holds_after(identifier) for identifier in ("0-0", "4-0", "5-0", "6-0")] == [True, True, False, False]
    assert (events.length, events.first, events.last, events.was_trimmed) == (0, None, None, False)
    assert not events.holds_after("0-0")


def test_what_is_no_stream_is_an_error(client: Redis) -> None:
    client.hset(keys.lead("ES"), "1", "ESH4")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        survey(client, [keys.CLOCK, keys.lead("ES")])
