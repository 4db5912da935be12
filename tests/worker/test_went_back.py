"""A server that comes back without the last of what it had acknowledged, and cursors that somebody removed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from market import Run, begin, closed_bars, configure, lags, publish, written
from setback import go_back, reconnected, size_of

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.core.errors import DataError, WentBack
from pine.hub.publisher import Publisher


def lives(client: Client, config: Config, first: Run, look: Callable[[int], None] = lambda _: None) -> int:
    """Run a worker to the newest step, again from the start whenever the server went back, as its process does."""
    count, run = 1, first
    done = 0

    def seen(step) -> bool:
        nonlocal done
        done += step.live
        look(done)
        newest = streams.ms_of(streams.last_id(client, keys.CLOCK) or "0")
        return step.ts // 1_000_000 == newest and newest == closed_bars()[-1].boundary // 1_000_000

    while True:
        try:
            run.until(seen)
        except WentBack:
            run.source.lease.release()
            run = begin(client, config, "one")
            count += 1
        else:
            return count


def destroying(client: Client, stream: str, step: int) -> Callable[[int], None]:
    """Return a look that removes the strategy's group from a stream after so many live steps, once."""
    destroyed: list[int] = []

    def look(done: int) -> None:
        if done == step and not destroyed:
            destroyed.append(client.xgroup_destroy(stream, "one"))  # type: ignore[attr-defined]
            assert destroyed == [1]

    return look


@pytest.mark.parametrize(
    ("torn", "after"),
    [pytest.param(0, 1, marks=pytest.mark.long), (7, 40), pytest.param(0, 400, marks=pytest.mark.long)],
)
def test_a_running_hub_and_worker_give_a_server_that_lost_its_newest_entries_all_of_them_again(
    torn: int, after: int, unbroken: dict[str, list], server: EmbeddedServer, client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    closed = list(closed_bars())
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    hub = Publisher.resume(client, lease.token)
    hub.register(config, {})
    first = begin(client, config, "one")
    hub.publish(closed[:1500])
    size = 0

    def look(done: int) -> None:
        nonlocal size
        if done == 1000 and not size:
            hub.publish(closed[1500:1600])
            size = size_of(server) - torn
        if done == 1000 + after and size > 0:
            hub.publish(closed[1600:1700])
            go_back(server, size)
            size = -1
            reconnected(client)
            assert hub.is_behind()
            hub.take_back()
            hub.publish(closed[1700:])

    assert lives(client, config, first, look) == 2
    assert size == -1
    assert written(client) == unbroken


def test_hub_and_worker_started_again_on_a_server_that_went_back_end_with_the_same_streams(
    unbroken: dict[str, list], server: EmbeddedServer, client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    first = begin(client, config, "one")
    publish(client, config, closed[:900])
    size = 0

    def look(step) -> bool:
        nonlocal size
        if step.ts == closed[800].boundary:
            size = size_of(server)
            publish(client, config, closed[900:1000])
        return step.ts == closed[999].boundary

    first.until(look)
    go_back(server, size - 3)
    reconnected(client)
    first.source.lease.release()
    publish(client, config, closed[898:])  # a hub that resumes is replayed what the streams do not hold
    assert lives(client, config, begin(client, config, "one")) == 1
    assert written(client) == unbroken


@pytest.mark.parametrize("step", [1, pytest.param(500, marks=pytest.mark.long), 1003])
def test_a_cursor_destroyed_under_a_running_worker_costs_a_new_start_and_nothing_else(
    step: int, unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    assert lives(client, config, first, destroying(client, keys.CLOCK, step)) == 2
    assert written(client) == unbroken
    for stream in (keys.CLOCK, "market:ES:1min", "market:GC:hourly", "market:GC:daily"):
        assert streams.group_info(client, stream, "one")["lag"] in (0, None)


def test_a_cursor_destroyed_between_two_lives_is_made_anew_after_the_last_step_on_record(
    unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    first.until_step(1000)
    for stream in (keys.CLOCK, "market:ES:1min", "market:GC:daily"):
        client.xgroup_destroy(stream, "one")  # type: ignore[attr-defined]
    assert lives(client, config, begin(client, config, "one")) == 1
    assert written(client) == unbroken
    assert streams.group_info(client, "market:ES:1min", "one")["lag"] == 0
    assert streams.group_info(client, "market:GC:daily", "one")["lag"] == 0


def test_the_group_of_a_bar_stream_destroyed_under_a_running_worker_costs_a_new_start_and_nothing_else(
    unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    assert lives(client, config, first, destroying(client, "market:ES:1min", 700)) == 2
    assert written(client) == unbroken


def test_a_warmed_up_strategy_shows_no_lag_when_caught_up(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars()[:2000])
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[2000:])
    run.until_caught_up()
    assert set(lags(client).values()) == {0}


def test_consumers_of_earlier_tokens_do_not_pile_up(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars()[:20])
    first = begin(client, config, "one")
    publish(client, config, closed_bars()[20:60])
    first.until_step(5)
    for _ in range(3):
        begin(client, config, "one").until_step(5)
    dead = begin(client, config, "one")
    assert streams.read_group(client, keys.CLOCK, "one", dead.source.consumer) != []
    dead.source.lease.release()
    last = begin(client, config, "one")
    names = {about["name"].decode() for about in client.xinfo_consumers(keys.CLOCK, "one")}  # type: ignore[attr-defined]
    assert names == {dead.source.consumer, last.source.consumer}
    last.until_caught_up()


def test_a_clock_that_was_deleted_and_begins_later_stops_the_worker_with_the_step_named(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    first = begin(client, config, "one")
    publish(client, config, closed[:500])
    first.until_caught_up()
    client.delete(keys.CLOCK)  # type: ignore[attr-defined]
    publish(client, config, closed[600:700])
    with pytest.raises(DataError, match="comes after step 0, but the last one read was"):
        begin(client, config, "one").until_caught_up()


def test_bars_are_read_under_one_cursor_and_never_pend_on_their_own_streams(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:300])

    def look(step) -> bool:
        pending = {s: client.xpending(s, "one")["pending"] for s in ("market:ES:1min", "market:GC:hourly")}
        assert set(pending.values()) == {0}
        return step.ts == closed_bars()[299].boundary

    run.until(look)
    assert client.xpending(keys.CLOCK, "one")["pending"] == 0


def test_a_hub_that_does_not_hold_what_the_server_lost_says_so_and_starts_again(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    publish(client, config, closed[:10])
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    hub = Publisher.resume(client, lease.token)
    hub.publish(list(closed[10:20]))
    client.xtrim(keys.CLOCK, maxlen=0, approximate=False)  # type: ignore[attr-defined]
    assert hub.is_behind()
    with pytest.raises(WentBack, match="older is not held here"):
        hub.take_back()
