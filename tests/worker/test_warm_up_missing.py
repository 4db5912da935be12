"""A new strategy without all of its history says what is missing and what to do, and has written nothing."""

import threading
from pathlib import Path
from typing import Any

import pytest
import sessions
from attrs import evolve
from market import publish
from processes import DEADLINE_S
from sessions import NOT_BUYING, ROOTS, START, bare, config_of, fill_archive, historical, publish_until, start, until

from pine.bus import keys
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import WarmUpMissing
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.worker.coldstart import ColdStart


def test_what_is_missing_is_named_with_what_to_do_and_nothing_is_written(
    client: Client, tmp_path: Path, processes: Any
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config, end=parse_time("2024-03-12T17:30"))
    publish(client, config, [item for item in until() if item.boundary > parse_time("2024-03-12T23:00")])
    worker = processes(config)
    assert worker.running.wait(DEADLINE_S) == 1
    said = worker.said()
    assert "ES hourly from 2024-03-07 23:00 to 2024-03-12 23:00: missing 2024-03-12 17:00 to 2024-03-12 23:00" in said
    assert "GC daily" in said
    assert "streams cover 2024-03-12 23:00 to 2024-03-13 14:37" in said
    assert "archive covers 2024-03-03 23:00 to 2024-03-12 17:30" in said
    assert "Databento Historical not asked: warm_up.buy is false" in said
    for remedy in ("pine backfill", "pine import", "warm_up.buy: true", "strategies.one.warm_up", "off"):
        assert remedy in said
    assert not client.exists(keys.ledger("one"))
    assert not client.exists(keys.warm_up("one"))


def refusal(client: Client, config: Config) -> str:
    with pytest.raises(WarmUpMissing) as error:
        start(client, config)
    assert not client.exists(keys.ledger("one"))
    assert not client.exists(keys.warm_up("one"))
    return str(error.value)


def test_a_minute_missing_before_the_first_live_one_is_named(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config, end=START - 7 * NS_PER_MINUTE)
    publish(client, config, bare())
    assert "ES 1min from 2024-03-12 23:00 to 2024-03-13 14:37: missing 2024-03-13 14:30 to 2024-03-13 14:37" in refusal(
        client, config
    )


def test_without_a_key_it_says_so(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, key="")
    publish(client, config, bare())
    assert "Databento Historical not asked: databento.api_key: is empty" in refusal(client, config)


def test_another_gateways_market_is_not_bought_elsewhere(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config = evolve(config, databento=evolve(config.databento, gateway="127.0.0.1:13000"))
    publish(client, config, bare())
    said = refusal(client, config)
    assert "Databento Historical not asked: databento.historical_gateway: found none, with databento.gateway" in said
    assert "ES daily from 2024-03-06 23:00 to 2024-03-12 23:00: missing 2024-03-06 23:00" in said


def test_a_key_that_is_refused_and_a_price_that_is_too_high_are_told(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with historical(tmp_path, monkeypatch, key="db-another") as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        said = refusal(client, config)
        assert "Databento Historical does not sell it: databento.api_key: Databento does not" in said
        assert "ES daily from 2024-03-06 23:00 to 2024-03-12 23:00: missing 2024-03-06 23:00" in said
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        config = evolve(config, databento=evolve(config.databento, max_cost_usd=0.0001))
        said = refusal(client, config)
        assert "databento.max_cost_usd: found a price of" in said
        assert "GC hourly from 2024-03-07 23:00 to 2024-03-12 23:00: missing" in said


def test_a_vendor_that_does_not_have_all_of_it_sells_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, "{daily: 20, hourly: 3}", gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        assert "Databento Historical has 2024-03-03 00:00 to" in refusal(client, config)
        assert not [request for request in server.requests if request["endpoint"] == "timeseries.get_range"]


def test_a_vendor_that_cannot_be_reached_is_told(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, gateway="https://127.0.0.1:9")
    publish(client, config, bare())
    monkeypatch.setattr(ColdStart, "_sleep", lambda _self, _seconds: None)
    said = refusal(client, config)
    assert said.count("gave up after 6 attempts, the last: no connection to https://127.0.0.1:9") == 1
    for root in ROOTS:
        assert f"{root} daily from 2024-03-06 23:00 to 2024-03-12 23:00: missing 2024-03-06 23:00" in said
        assert f"{root} 1min: archive covers nothing" in said
    assert "warm_up.buy: false" in said


def fill_all_but_the_weekend(config: Config) -> None:
    """Put into the archive what ends with Friday and begins again on Sunday's opening."""
    archive = Archive.of(config)
    for symbol in ROOTS:
        for begin, end in (("2024-03-03T23:00", "2024-03-08T23:00"), ("2024-03-10T22:00", "2024-03-13T14:37")):
            a, b = parse_time(begin), parse_time(end)
            minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if a <= bar.start < b]
            archive.add_bars(symbol, Timeframe.MINUTE, minutes, a, b, "import")


def test_a_vendor_that_cannot_be_reached_does_not_matter_if_nothing_scheduled_is_missing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, gateway="https://127.0.0.1:9")
    fill_all_but_the_weekend(config)
    publish(client, config, bare())
    monkeypatch.setattr(ColdStart, "_sleep", lambda _self, _seconds: None)
    assert start(client, config).source.origin is not None


def test_sources_that_differ_are_told(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    archive = Archive.of(config)
    begin, end = parse_time("2024-03-12T23:00"), START
    minutes = [bar for bar in sessions.bars("ES", Timeframe.MINUTE) if begin <= bar.start < end]
    archive.add_bars("ES", Timeframe.MINUTE, [evolve(minutes[0], volume=99_999), *minutes[1:]], begin, end, "import")
    publish_until(client, config)
    said = refusal(client, config)
    assert "ES 1min from" in said
    assert "on the streams" in said
    assert "in the archive" in said


def test_a_first_start_waits_for_the_first_step(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    said: list[str] = []
    stop = threading.Event()

    def beat(status: str) -> None:
        said.append(status)
        if len(said) == 2:
            publish(client, config, until())

    history = ColdStart(config, "one", client, (Timeframe.HOUR,), config.warm_up_of("one"), stop, beat).run()
    assert said[:2] == ["waiting for the first step"] * 2
    assert history is not None
    assert history.until == START


def test_a_time_in_which_no_trading_is_scheduled_is_not_missing(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_all_but_the_weekend(config)
    publish(client, config, bare())
    assert start(client, config).source.origin is not None
