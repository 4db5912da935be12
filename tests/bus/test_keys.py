"""Keys: everything pine makes is declared, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.bus import keys
from pine.core.instruments import SPECS
from pine.core.timeframe import Timeframe

STRATEGIES = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
PER_STRATEGY = (keys.ledger, keys.control, keys.deliveries, keys.flight, keys.warm_up)
PER_ROLE = (keys.lease, keys.fence, keys.heartbeat)


@pytest.mark.parametrize("symbol", SPECS)
def test_every_key_of_every_root_is_declared(symbol: str) -> None:
    made = [keys.bars(symbol, timeframe) for timeframe in Timeframe] + [keys.volume(symbol), keys.lead(symbol)]
    assert [key for key in made if not keys.is_declared(key)] == []


@pytest.mark.parametrize("key", [keys.CLOCK, keys.EVENTS, keys.SYMBOLS, keys.HUB_LOG, keys.TOLD, keys.WAITING])
def test_every_single_key_is_declared(key: str) -> None:
    assert keys.is_declared(key)


@given(STRATEGIES)
def test_every_key_of_any_allowed_strategy_name_is_declared(name: str) -> None:
    roles = [keys.HUB, keys.ARCHIVE, keys.ALERTS, f"worker:{name}", f"courier:{name}"]
    made = [make(name) for make in PER_STRATEGY] + [make(role) for make in PER_ROLE for role in roles]
    assert [key for key in made if not keys.is_declared(key)] == []


@given(STRATEGIES, STRATEGIES)
def test_no_two_things_share_a_key(one: str, other: str) -> None:
    names = {one, other}
    roles = {
        keys.HUB,
        keys.ARCHIVE,
        keys.ALERTS,
        *(f"{role}:{name}" for role in ("worker", "courier") for name in names),
    }
    made = [make(name) for make in PER_STRATEGY for name in names]
    made += [make(role) for make in PER_ROLE for role in roles]
    made += [keys.bars("ES", timeframe) for timeframe in Timeframe] + [keys.volume("ES"), keys.lead("ES")]
    made += [keys.CLOCK, keys.EVENTS, keys.SYMBOLS, keys.HUB_LOG, keys.TOLD, keys.WAITING]
    assert len(made) == len(set(made))


@given(STRATEGIES)
def test_a_key_comes_apart_into_what_it_was_made_of(name: str) -> None:
    assert keys.split(keys.ledger(name)) == ("ledger", name)
    assert keys.split(keys.bars("6E", Timeframe.HOUR)) == ("market", "6E", "hourly")
    assert keys.split(f"{name}:{name}:{name}") == ()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "market",
        "market:",
        "market:clock:",
        "market:clock\n",
        " market:clock",
        "xmarket:clock",
        "market:ES",
        "market:ES:",
        "market:ES:1m",
        "market:ES:hour",
        "market:es:1min",
        "market:ES:1min:extra",
        "market:ES.FUT:1min",
        "ledger:",
        "warmup:",
        "warmup:IBS",
        "ledger:IBS",
        "ledger:1bs",
        "ledger:ibs a",
        "ledger:ibs_a:x",
        "lease:ibs_a",
        "lease:worker",
        "lease:worker:",
        "lease:hub:x",
        "lease:desk:ibs_a",
        "fence:",
        "log:worker",
        "archive",
        "lease:archive:x",
        "hub",
        "alerts",
        "alerts:",
        "alerts:told:x",
        "dump",
    ],
)
def test_junk_is_not_declared(key: str) -> None:
    assert not keys.is_declared(key)
