"""When a hub is well: data is fresh, or need not come, or old data comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.config import load_config
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import parse_time
from pine.hub.clock import WallClock
from pine.hub.run import Hub
from pine.strategies.catalog import PARAMS

TUESDAY = parse_time("2024-03-05T16:00")
SATURDAY = parse_time("2024-03-09T16:00")


class Fixed(WallClock):
    """A clock that stands."""

    def __init__(self, now: int) -> None:
        self.at = now

    def now(self) -> int:
        return self.at


@pytest.fixture
def hub(client: Client, server, tmp_path: Path) -> Iterator[Hub]:
    (tmp_path / "pine.yaml").write_text(f"data_dir: data\nbus: {{url: '{server.url}'}}\ninstruments: {{ES: }}\n")
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    yield Hub.prepared(load_config(tmp_path / "pine.yaml", PARAMS, {}), client, lease)
    lease.release()


def well(hub: Hub, now: int) -> bool:
    hub.clock = Fixed(now)
    return hub._is_well(hub._facts())


def test_old_data_in_an_open_market_is_not_well_and_silence_in_a_closed_one_is(hub: Hub) -> None:
    hub._began = 0
    hub.aggregator.last_trade = TUESDAY - 120 * NS_PER_SECOND
    assert well(hub, TUESDAY)
    assert not well(hub, TUESDAY + NS_PER_SECOND)
    assert well(hub, SATURDAY)


def test_old_trades_that_arrive_are_a_replay_and_well(hub: Hub) -> None:
    hub._began = 0
    hub.aggregator.last_trade = TUESDAY - 86_400 * NS_PER_SECOND
    hub.aggregator.counts["trades"] += 5
    assert well(hub, TUESDAY)
    assert not well(hub, TUESDAY)


def test_a_hub_that_has_only_just_begun_has_time_to_get_its_first_trade(hub: Hub) -> None:
    hub._began = TUESDAY
    assert well(hub, TUESDAY + 120 * NS_PER_SECOND)
    assert not well(hub, TUESDAY + 121 * NS_PER_SECOND)
