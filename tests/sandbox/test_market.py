"""What every made-up market has in common with a real one."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.calendar import is_open
from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import ContractError, SandboxError
from pine.core.instruments import SPECS, spec
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.sandbox.market import GeneratedMarket, generate_market, write_market
from pine.sandbox.market_activity import open_minutes
from pine.sandbox.market_listing import list_contracts, migrated
from pine.sandbox.market_prices import CARRY, START_PRICES
from pine.sandbox.tape import Tape


@pytest.fixture(scope="module")
def ten_days() -> GeneratedMarket:
    return generate_market(["ES", "CL", "ZC"], 10, seed=5)


def names_of(market: GeneratedMarket) -> np.ndarray:
    ids, which = np.unique(market.trades["instrument_id"], return_inverse=True)
    return np.array([market.symbols[number] for number in ids.tolist()])[which]


def root_of(name: str) -> str:
    return parse_contract(name.partition("-")[0], date(2024, 3, 4)).root


def of_root(market: GeneratedMarket, root: str) -> tuple[np.ndarray, np.ndarray]:
    numbers = [number for number, name in market.symbols.items() if root_of(name) == root]
    mine = np.isin(market.trades["instrument_id"], numbers)
    return market.trades[mine], names_of(market)[mine]


def test_same_seed_makes_the_same_file_and_another_does_not(tmp_path: Path) -> None:
    made = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / str(number)
        write_market(path, ["ES", "6E"], 2, seed, trades_per_day=500)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_another_root_changes_nothing(ten_days: GeneratedMarket) -> None:
    alone = generate_market(["CL"], 10, seed=5)
    assert of_root(ten_days, "CL")[0].tobytes() == alone.trades.tobytes()
    assert alone.symbols.items() <= ten_days.symbols.items()


def test_file_is_read_by_the_vendor_and_by_the_gateway(tmp_path: Path) -> None:
    import databento

    path = tmp_path / "market.dbn.zst"
    market = write_market(path, ["ES", "GC"], 2, 3, trades_per_day=500)
    store = databento.DBNStore.from_bytes(path.read_bytes())
    assert store.to_ndarray().tobytes() == market.trades.tobytes()
    assert (store.metadata.version, str(store.schema), store.dataset) == (3, "trades", "GLBX.MDP3")
    assert store.symbols == ["ES.FUT", "GC.FUT"]
    (interval,) = store.metadata.mappings["ESH4"]
    assert interval["start_date"] == date(2024, 3, 3)
    assert interval["end_date"] == date(2024, 3, 6)
    tape = Tape.load([path])
    assert {i.instrument_id: i.symbol for i in tape.instruments} == market.symbols


def test_times_are_in_order_and_events_come_before_their_receipt(ten_days: GeneratedMarket) -> None:
    trades = ten_days.trades
    received, happened = trades["ts_recv"].astype(np.int64), trades["ts_event"].astype(np.int64)
    assert (np.diff(received) >= 0).all()
    assert (received - happened).min() >= 150_000
    assert (received - happened).max() <= 2_000_000
    for number in ten_days.symbols:
        mine = trades["instrument_id"] == number
        assert (np.diff(happened[mine]) >= 0).all()
        assert (np.diff(trades["sequence"][mine].astype(np.int64)) >= 0).all()


def test_fields_are_those_of_trades(ten_days: GeneratedMarket) -> None:
    trades = ten_days.trades
    assert set(np.unique(trades["side"])) == {b"A", b"B", b"N"}
    assert set(np.unique(trades["action"])) == {b"T"}
    assert set(np.unique(trades["flags"])) == {128}
    assert trades["size"].min() >= 1


@pytest.mark.parametrize("root", ["ES", "CL", "ZC"])
def test_prices_are_on_ticks_and_outrights_positive(ten_days: GeneratedMarket, root: str) -> None:
    trades, names = of_root(ten_days, root)
    assert (trades["price"] % spec(root).tick_ns == 0).all()
    outright = np.char.find(names, "-") < 0
    assert trades["price"][outright].min() > 0
    assert abs(trades["price"][~outright]).max() < trades["price"][outright].min() / 10


@pytest.mark.parametrize("root", ["ES", "CL", "ZC"])
def test_nobody_trades_while_the_market_is_closed(ten_days: GeneratedMarket, root: str) -> None:
    trades, _ = of_root(ten_days, root)
    edges = np.unique(np.concatenate((trades["ts_event"], trades["ts_recv"])) // NS_PER_MINUTE)
    assert all(is_open(spec(root).group, int(minute) * NS_PER_MINUTE) for minute in edges)


@pytest.mark.parametrize("root", ["ES", "CL", "ZC"])
def test_three_expiries_and_a_spread_trade_every_few_minutes(ten_days: GeneratedMarket, root: str) -> None:
    trades, names = of_root(ten_days, root)
    kinds = [classify(name) for name in np.unique(names)]
    assert kinds.count(SymbolKind.OUTRIGHT) >= 3
    assert kinds.count(SymbolKind.SPREAD) >= 1
    assert 80_000 <= len(trades) <= 150_000


def leaders(root: str, days: int, start: date) -> list[str]:
    """The most traded outright of each session."""
    market = generate_market([root], days, seed=9, start=start, trades_per_day=2_000)
    minutes = open_minutes(spec(root).group, start, days)
    names = names_of(market)
    at = np.searchsorted(minutes.start, market.trades["ts_recv"].astype(np.int64), side="right") - 1
    session = minutes.session[at]
    result = []
    for number in range(days):
        volume = {
            name: int(market.trades["size"][(session == number) & (names == name)].sum())
            for name in np.unique(names)
            if "-" not in name
        }
        result.append(max(volume, key=lambda name: volume[name]))
    return result


@pytest.mark.parametrize("root", ["ES", "6E", "ZB"])
def test_quarterly_roots_roll_within_the_default_days(root: str) -> None:
    assert leaders(root, 10, date(2024, 3, 4)) == [f"{root}H4"] * 6 + [f"{root}M4"] * 4


def test_monthly_root_rolls_every_month() -> None:
    seen = leaders("CL", 60, date(2024, 3, 4))
    assert list(dict.fromkeys(seen)) == ["CLJ4", "CLK4", "CLM4", "CLN4"]
    assert seen == sorted(seen)


def test_migration_takes_about_three_sessions() -> None:
    roll = date(2024, 3, 12)
    shares = [migrated(day, roll) for day in (date(2024, 3, n) for n in (1, 8, 11, 12, 13, 14, 29))]
    assert shares == sorted(shares)
    assert shares[0] < 0.05 < 0.5 < shares[3]
    assert shares[2] < 0.5
    assert shares[5] > 0.95


def test_some_open_minutes_are_quiet_most_of_them_at_night(ten_days: GeneratedMarket) -> None:
    trades, _ = of_root(ten_days, "ES")
    minutes = open_minutes("equity", date(2024, 3, 4), 10)
    traded = np.isin(minutes.start, trades["ts_recv"].astype(np.int64) // NS_PER_MINUTE * NS_PER_MINUTE)
    night = minutes.activity < 1
    assert (~traded).sum() > 100
    assert (~traded)[night].mean() > 10 * (~traded)[~night].mean()


def test_day_is_busiest_after_the_opening_and_has_bursts(ten_days: GeneratedMarket) -> None:
    trades, _ = of_root(ten_days, "ES")
    minutes = open_minutes("equity", date(2024, 3, 4), 10)
    at = np.searchsorted(minutes.start, trades["ts_recv"].astype(np.int64), side="right") - 1
    counts = np.bincount(at, minlength=len(minutes))
    opening = (minutes.activity > 6.4).nonzero()[0]
    assert counts[opening].mean() > 10 * counts[minutes.activity < 0.5].mean()
    assert (counts > 8 * counts.mean()).sum() >= 5


@pytest.mark.parametrize("root", ["ES", "CL"])
def test_hours_and_days_range_as_far_as_real_ones(root: str) -> None:
    market = generate_market([root], 10, seed=5)
    front = market.trades[market.trades["instrument_id"] == min(market.symbols)]
    price = front["price"] / 1e9

    def ranges(period: np.ndarray) -> np.ndarray:
        return np.array([np.ptp(price[period == p]) / price[period == p].min() * 100 for p in np.unique(period)])

    hours = ranges(front["ts_recv"] // NS_PER_HOUR)
    days = ranges((front["ts_recv"] + NS_PER_HOUR) // (24 * NS_PER_HOUR))
    assert 0.15 <= np.median(hours) <= 0.4
    assert 0.8 <= np.median(days) <= 2.0


def test_every_root_can_be_made() -> None:
    assert set(START_PRICES) == set(SPECS)
    assert {s.group for s in SPECS.values()} <= set(CARRY)
    market = generate_market(SPECS, 1, seed=1, trades_per_day=50)
    assert {root_of(name) for name in market.symbols.values()} == set(SPECS)


def test_holidays_do_not_count_as_days() -> None:
    # Good Friday 2024 was 29 March: the two sessions are Thursday's and the following Monday's.
    market = generate_market(["ES"], 2, seed=1, start=date(2024, 3, 28), trades_per_day=500)
    days = {int(ts) // (24 * NS_PER_HOUR) for ts in market.trades["ts_recv"]}
    first = date(2024, 3, 27).toordinal() - date(1970, 1, 1).toordinal()
    assert days == {first, first + 1, first + 4, first + 5}


@pytest.mark.parametrize(("symbols", "days", "seed"), [([], 1, 1), (["ES"], 0, 1), (["ES"], 1, -1)])
def test_impossible_market_is_refused(symbols: list[str], days: int, seed: int) -> None:
    with pytest.raises(SandboxError, match="expected at least one"):
        generate_market(symbols, days, seed)


def test_unknown_root_is_refused() -> None:
    with pytest.raises(ContractError, match="XX"):
        generate_market(["XX"], 1, 1)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(SPECS)),
    st.integers(0, 2**32),
    st.dates(date(2019, 1, 1), date(2026, 6, 1)),
    st.integers(1, 3),
    st.integers(1, 300),
)
def test_any_market_is_sound(root: str, seed: int, start: date, days: int, trades_per_day: int) -> None:
    market = generate_market([root], days, seed, start, trades_per_day=trades_per_day)
    trades = market.trades
    assert (np.diff(trades["ts_recv"].astype(np.int64)) >= 0).all()
    assert (trades["price"] % spec(root).tick_ns == 0).all()
    assert set(np.unique(trades["instrument_id"])) <= set(market.symbols)
    assert all(is_open(spec(root).group, int(ts)) for ts in trades["ts_event"])
    listing = list_contracts(spec(root), start, start)
    shares = listing.shares([start])
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
