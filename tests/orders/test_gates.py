"""What keeps an entry from being posted: the kill switch, and data that is too old in an open market."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.bus import keys
from pine.bus.client import Client
from pine.core.config import Config, load_config
from pine.core.timeframe import NS_PER_SECOND
from pine.orders.gates import OFF, ON, VARIABLE, Freshness, KillSwitch
from pine.strategies.catalog import PARAMS

TUESDAY = 1_709_654_400 * NS_PER_SECOND  # 2024-03-05T16:00Z, the market is open
SATURDAY = TUESDAY + 4 * 86_400 * NS_PER_SECOND


@pytest.mark.parametrize("word", [*sorted(ON), "TRUE", " On "])
def test_a_switch_that_is_on_in_either_place_blocks(word: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert "environment" in (KillSwitch(path, {VARIABLE: word}).reason() or "")
    path.write_text(f"{VARIABLE}={word}\n")
    assert (KillSwitch(path, {}).reason() or "").endswith(f"is on in {path}")


@pytest.mark.parametrize("word", [*sorted(OFF), "False", " NO "])
def test_a_switch_that_is_off_in_both_places_does_not(word: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{VARIABLE}={word}\nOTHER=1\n")
    assert KillSwitch(path, {VARIABLE: word}).reason() is None


def test_a_name_without_a_value_counts_as_on(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{VARIABLE}\n")
    assert "neither on nor off" in (KillSwitch(tmp_path / ".env", {}).reason() or "")


@pytest.mark.parametrize(
    "text",
    [
        "POLICY_KILLSWITCH: 1",
        'POLICY_KILLSWITCH="1',
        "POLICY_KILLSWITCH 1",
        "set POLICY_KILLSWITCH=1",
        '"POLICY_KILLSWITCH"=1',
        "policy_killswitch=1",
        "POLICY_KILLSWITCH=${UNSET}",
        'A="x\nPOLICY_KILLSWITCH=1\nB="y"',
        "POLICY_KILLSWITCH=0\nPOLICY_KILLSWITCH=1",
        "export POLICY_KILLSWITCH='on' # now",
    ],
)
def test_every_way_to_write_it_that_is_not_plainly_off_counts_as_on(text: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(text + "\n")
    assert KillSwitch(tmp_path / ".env", {}).reason() is not None


@pytest.mark.parametrize(
    "text", ["# POLICY_KILLSWITCH=1", "export POLICY_KILLSWITCH=off # on?", 'POLICY_KILLSWITCH="0"']
)
def test_what_is_plainly_off_or_a_comment_does_not(text: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(text + "\n")
    assert KillSwitch(tmp_path / ".env", {}).reason() is None


def test_it_is_read_anew_each_time(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / ".env", {})
    assert switch.reason() is None
    (tmp_path / ".env").write_text(f"{VARIABLE}=1")
    assert switch.reason() is not None
    (tmp_path / ".env").write_text(f"{VARIABLE}=0")
    assert switch.reason() is None


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1))
def test_whatever_is_neither_on_nor_off_counts_as_on_and_is_not_repeated(word: str) -> None:
    reason = KillSwitch(Path("/nonexistent/.env"), {VARIABLE: word}).reason()
    assert (reason is None) == (word.strip().lower() in OFF)
    if reason is not None and len(word) > 3 and word.strip().lower() not in ON:
        assert word not in reason.replace(VARIABLE, "")


def test_a_file_that_cannot_be_read_counts_as_on(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert "cannot be read" in (KillSwitch(tmp_path / ".env", {}).reason() or "")


def configured(folder: Path, clock: str = "wall", limit: str = "60") -> Config:
    path = folder / "pine.yaml"
    path.write_text(
        f"data_dir: data\nhub: {{clock: {clock}}}\norders: {{stale_after_s: {limit}}}\ninstruments: {{ES: }}\n"
    )
    return load_config(path, PARAMS, {})


def beat(client: Client, last_trade: int, watermark: int = 0) -> None:
    client.hset(keys.heartbeat(keys.HUB), mapping={"last_trade": last_trade, "watermark": watermark})


@pytest.mark.parametrize(("age", "stale"), [(0, False), (60, False), (61, True), (86_400, True)])
def test_data_is_stale_when_the_newest_trade_is_older_than_the_limit(
    age: int, stale: bool, client: Client, tmp_path: Path
) -> None:
    config = configured(tmp_path)
    beat(client, TUESDAY - age * NS_PER_SECOND, watermark=TUESDAY)
    reason = Freshness(client, config, lambda: TUESDAY).reason("ES")
    assert (reason is not None) == stale
    if stale:
        assert f"{age} s" in str(reason)


def test_heartbeats_of_a_gateway_without_trades_are_not_fresh_data(client: Client, tmp_path: Path) -> None:
    beat(client, TUESDAY - 3600 * NS_PER_SECOND, watermark=TUESDAY)
    assert Freshness(client, configured(tmp_path), lambda: TUESDAY).reason("ES") is not None
    assert Freshness(client, configured(tmp_path, "tape"), lambda: 0).reason("ES") is not None


def test_silence_in_a_closed_market_is_healthy(client: Client, tmp_path: Path) -> None:
    beat(client, TUESDAY, watermark=SATURDAY)
    assert Freshness(client, configured(tmp_path), lambda: SATURDAY).reason("ES") is None


def test_without_a_hub_nothing_is_fresh(client: Client, tmp_path: Path) -> None:
    assert "no hub" in (Freshness(client, configured(tmp_path), lambda: TUESDAY).reason("ES") or "")


def test_no_limit_no_gate(client: Client, tmp_path: Path) -> None:
    assert Freshness(client, configured(tmp_path, limit="null"), lambda: TUESDAY).reason("ES") is None


def test_reading_the_switch_does_not_change_the_environment(tmp_path: Path) -> None:
    import os

    (tmp_path / ".env").write_text(f"{VARIABLE}=1\n")
    KillSwitch(tmp_path / ".env").reason()
    assert VARIABLE not in os.environ
