"""A new strategy starts with its history, wherever that comes from, or says what is missing; later starts need none."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import backtrader as bt
import orjson
import pytest
import sessions
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st
from market import publish, record
from once import once
from sessions import ROOTS, START, after, bare, config_of, fill_archive, historical, publish_until, start, until
from waiting import until as wait_until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.bar import Bar, fold
from pine.core.calendar import scheduled_hours
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import DataError, WarmUpMissing
from pine.core.period import period, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.feeds.past import Past
from pine.feeds.warmup import Question, questions
from pine.history.answer import Held, History
from pine.history.archive import Archive
from pine.history.historical import Price
from pine.history.leads import look_back
from pine.history.manifest import Interval, common, joined, without
from pine.history.sealer import Sealer
from pine.orders.entries import Intent, Origin
from pine.orders.ledger import read_ledger
from pine.strategies.base import BaseStrategy
from pine.worker import engine as engine_module
from pine.worker.coldstart import ColdStart

STREAMS = (keys.ledger("one"), keys.flight("one"), keys.warm_up("one"))
NOT_BUYING = "{daily: 4, hourly: 3, buy: false}"
DEADLINE_S = 60.0


def life(client: Client) -> dict[str, list]:
    """Return what a strategy has left on the server."""
    return {stream: record(client, stream) for stream in STREAMS}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """What a strategy decides that began at START with its history on the streams."""
    return once(tmp_path_factory, "cold-start", lambda: undisturbed(tmp_path_factory.mktemp("expected")))


def undisturbed(folder: Path) -> dict[str, list]:
    """Run it."""
    from pine.bus.connection import client_for
    from pine.bus.embedded import EmbeddedServer

    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    config = config_of(folder, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    found = life(client)
    client.close()
    server.stop()
    return found


def test_the_market_of_these_tests_leads_to_entries_and_exits(expected: dict[str, list]) -> None:
    kinds = [orjson.loads(fields[b"entry"])["kind"] for _, fields in expected[keys.ledger("one")]]
    assert kinds[0] == "origin"
    assert kinds.count("intent") >= 10
    assert len(expected[keys.flight("one")]) >= 20


# Equality of sources


def test_with_the_archive_alone_it_is_the_same(client: Client, tmp_path: Path, expected: dict[str, list]) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config)
    publish(client, config, bare())
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == expected
    assert run.engine.alerts == []


def test_with_databento_historical_alone_it_is_the_same(
    client: Client, tmp_path: Path, expected: dict[str, list], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        with caplog.at_level("INFO"):
            run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == expected
    said = [r.fields for r in caplog.records if r.getMessage() == "buying history"]
    assert {fields["symbol"] for fields in said} == set(ROOTS)
    assert all("$" in fields["price"] for fields in said)
    kept = Archive.of(config).covered("ES", Timeframe.MINUTE)
    assert kept[-1:] == [(kept[-1][0], START)], "what was bought is in the archive"


def test_with_a_part_from_each_it_is_the_same(
    client: Client, tmp_path: Path, expected: dict[str, list], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuesday = parse_time("2024-03-12T23:00")
    with historical(tmp_path, monkeypatch) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        archive = Archive.of(config)
        for symbol in ROOTS:
            rule = config.session_rule(symbol)
            begin, end = parse_time("2024-03-07T23:00"), session_begin(parse_time("2024-03-12T12:00"), rule)
            minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if begin <= bar.start < end]
            archive.add_bars(symbol, Timeframe.MINUTE, minutes, begin, end, "import")
        publish(client, config, [item for item in until() if item.boundary > tuesday])
        run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == expected


class Looking(BaseStrategy):
    """Writes down what it is shown, and when; reads every timeframe."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = tuple(Timeframe)
    shown: ClassVar[list[tuple[float, list[Bar], dict[str, float]]]]

    def next(self) -> None:
        lines = {data._name: data.datetime[0] for data in self.datas if len(data)}
        self.shown.append((bt.num2date(self.datetime[0]), list(self.surroundings.fresh()), lines))
        super().next()

    def on_bar(self, bar: Bar) -> None:
        """Try to trade: nothing may come of it."""
        self.surroundings.enter(bar.symbol, "always", {})


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Callable[[], type[Looking]]:
    def make() -> type[Looking]:
        kind = type("Shown", (Looking,), {"shown": [], "__module__": __name__})
        for module in (engine_module, sessions):
            monkeypatch.setattr(module, "strategy_class", lambda _: kind)
        return kind

    return make


def test_it_is_shown_what_it_would_have_been_shown_live(
    client: Client, tmp_path: Path, looking: Callable[[], type[Looking]]
) -> None:
    """The same bars, together, in the same order, on lines with the same times; only not from before its sessions."""
    reach = {Timeframe.DAY: 4, Timeframe.HOUR: 3, Timeframe.MINUTE: 2}
    config = config_of(tmp_path, "{daily: 4, hourly: 3, minute: 2, buy: false}")
    publish_until(client, config)
    cold = looking()
    run = start(client, config)
    run.stop.clear()
    publish(client, config, after(hours=1))
    run.until_caught_up()
    everything = looking()
    off = config_of(tmp_path / "off", "off")
    client.delete(*STREAMS)  # type: ignore[attr-defined]
    client.xgroup_destroy(keys.CLOCK, "one")  # type: ignore[attr-defined]
    start(client, off).until_caught_up()
    rule = config.session_rule("ES")
    begin = session_begin(START, rule)
    first = {timeframe: look_back(begin, count, rule) for timeframe, count in reach.items()}
    reduced = [
        (at, [bar for bar in bars if bar.start >= first[bar.timeframe]], lines) for at, bars, lines in everything.shown
    ]
    wanted = [entry for entry in reduced if entry[1]]
    assert [entry[:2] for entry in cold.shown] == [entry[:2] for entry in wanted]
    assert cold.shown[-1] == wanted[-1]
    together = [{(bar.symbol, bar.timeframe) for bar in bars} for _, bars, _ in cold.shown]
    assert any(len(bars) == 4 for bars in together), "hours and minutes of both"
    assert any({(symbol, Timeframe.DAY) for symbol in ROOTS} <= bars for bars in together)
    assert [e for _, e in read_ledger(client, "one") if isinstance(e, Intent)] == []


def test_skipping_what_no_rule_sees_makes_no_difference(
    client: Client, tmp_path: Path, expected: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config, skip=False)
    publish(client, config, after())
    run.until_caught_up()
    assert life(client) == expected


# Kills


def test_a_restart_needs_neither_archive_nor_vendor_nor_what_was_before_its_origin(
    client: Client, tmp_path: Path, expected: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config)
    publish(client, config, after())
    run.until_step(600)
    origin = next(entry for _, entry in read_ledger(client, "one") if isinstance(entry, Origin)).origin
    for stream in (keys.CLOCK, keys.EVENTS, *(keys.bars(s, t) for s in ROOTS for t in Timeframe)):
        if client.exists(stream):
            client.xtrim(stream, minid=origin)  # type: ignore[attr-defined]
    start(client, config_of(tmp_path, NOT_BUYING)).until_caught_up()
    assert life(client) == expected


@pytest.mark.parametrize("steps", [1, 82, pytest.param(1500, marks=pytest.mark.long)])
def test_a_worker_that_ends_anywhere_goes_on_the_same(
    steps: int, client: Client, tmp_path: Path, expected: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config)
    publish(client, config, bare())
    run = start(client, config)
    publish(client, config, after())
    run.until_step(steps)
    start(client, config).until_caught_up()
    assert life(client) == expected


def test_what_a_killed_worker_left_of_its_warm_up_harms_nobody(
    client: Client, tmp_path: Path, expected: dict[str, list]
) -> None:
    """Bars without an origin: it was killed between the two."""
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    ms = START // 1_000_000
    for n in range(3):
        client.xadd(keys.warm_up("one"), {"bars": b"[]"}, id=f"{ms}-{n}")
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    found = life(client)
    assert [i for i, _ in found[keys.warm_up("one")]][:4] == [f"{ms}-{n}" for n in range(4)]
    (flights, first), (others, second) = (
        (lived[keys.flight("one")], orjson.loads(lived[keys.ledger("one")][0][1][b"entry"])["warm_up"])
        for lived in (found, expected)
    )
    assert flights == others
    assert (first["digest"], first["first"]) == (second["digest"], f"{ms}-3")


def test_bars_that_are_not_those_of_the_origin_stop_it(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    start(client, config).source.lease.release()
    identifier, _ = next(streams.read_range(client, keys.warm_up("one")))
    client.xdel(keys.warm_up("one"), identifier)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"warmup:one .* found \d+ bars with digest .*, expected \d+ with digest"):
        start(client, config)


def test_the_archive_seals_the_warm_up_with_the_ledger(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    lease = Lease.try_acquire(client, keys.ARCHIVE, "test")
    assert isinstance(lease, Lease)
    archive = Archive.of(config)
    Sealer(config, client, lease, archive).look()
    lease.release()
    assert list(archive.warm_ups("one")) == record(client, keys.warm_up("one"))
    assert next(archive.ledger("one"))[1] == record(client, keys.ledger("one"))[0][1]
    assert archive.verify() == []


@define
class Process:
    """A worker as a process of its own."""

    folder: Path
    config: Config
    running: subprocess.Popen[bytes]

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        def happened() -> object:
            assert self.running.poll() is None, self.said()
            return condition()

        wait_until(happened, what)


@pytest.fixture
def processes(tmp_path: Path):
    begun: list[Process] = []

    def begin(config: Config) -> Process:
        with (tmp_path / "log").open("ab") as log:
            command = [sys.executable, "-m", "pine", "-c", str(config.path), "worker", "one"]
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ)
        begun.append(Process(tmp_path, config, running))
        return begun[-1]

    yield begin
    for process in begun:
        if process.running.poll() is None:
            process.running.kill()
        process.running.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_worker_killed_or_ended_while_history_is_bought_leaves_nothing_and_the_next_one_starts(
    number: signal.Signals,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    processes: Any,
    expected: Any,
) -> None:
    from pine.sandbox.history_faults import HistoryFault

    fault = HistoryFault.parse("timeout:300@get_range")
    with historical(tmp_path, monkeypatch, faults=[HistoryFault.parse("sound@get_range"), fault]) as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        worker = processes(config)
        worker.until(lambda: any(request["fault"] for request in server.requests), "the vendor says nothing")
        beat = keys.heartbeat("worker:one")
        worker.until(lambda: client.hget(beat, "status") == b"warming up", "its heartbeat says so")
        worker.running.send_signal(number)
        assert worker.running.wait(DEADLINE_S) == (0 if number is signal.SIGTERM else -number)
        assert not client.exists(keys.ledger("one"))
        assert not client.exists(keys.warm_up("one"))
        client.delete(keys.lease("worker:one"))  # type: ignore[attr-defined]  # as if it had run out
        following = processes(config)
        following.until(lambda: "worker ready" in following.said(), "the next one is ready")
    publish(client, config, after(hours=3))
    newest = streams.last_id(client, keys.CLOCK)
    following.until(
        lambda: streams.group_info(client, keys.CLOCK, "one")["last-delivered-id"].decode() == newest,
        "it has caught up",
    )
    following.running.send_signal(signal.SIGTERM)
    assert following.running.wait(DEADLINE_S) == 0
    ours, theirs = (
        [orjson.loads(fields[b"flight"])["digest"] for _, fields in found]
        for found in (record(client, keys.flight("one")), expected[keys.flight("one")])
    )
    assert ours
    assert ours == theirs[: len(ours)]


# Refusals


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


def test_a_vendor_that_cannot_be_reached_does_not_matter_if_nothing_scheduled_is_missing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, gateway="https://127.0.0.1:9")
    archive = Archive.of(config)
    for symbol in ROOTS:
        for begin, end in (("2024-03-03T23:00", "2024-03-08T23:00"), ("2024-03-10T22:00", "2024-03-13T14:37")):
            a, b = parse_time(begin), parse_time(end)
            minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if a <= bar.start < b]
            archive.add_bars(symbol, Timeframe.MINUTE, minutes, a, b, "import")
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
    """The archive ends with Friday and begins again on Sunday's opening."""
    config = config_of(tmp_path, NOT_BUYING)
    archive = Archive.of(config)
    for symbol in ROOTS:
        for begin, end in (("2024-03-03T23:00", "2024-03-08T23:00"), ("2024-03-10T22:00", "2024-03-13T14:37")):
            a, b = parse_time(begin), parse_time(end)
            minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if a <= bar.start < b]
            archive.add_bars(symbol, Timeframe.MINUTE, minutes, a, b, "import")
    publish(client, config, bare())
    assert start(client, config).source.origin is not None


# Any split


@define
class Place:
    """A source of the minutes of some intervals."""

    intervals: tuple[Interval, ...]

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        assert symbol in ROOTS
        return self.intervals if timeframe is Timeframe.MINUTE else ()

    def held(self, symbol: str, timeframe: Timeframe, within: Any) -> Held:
        covered = common(self.covered(symbol, timeframe), within)
        bars = (bar for bar in sessions.bars(symbol, timeframe) if any(a <= bar.start < b for a, b in covered))
        return Held(covered, tuple(bars), "here")

    def price(self, symbol: str, within: Any) -> Price:
        return Price()


HOURS = range(-24, 11 * 24)
FIRST = parse_time("2024-03-03T23:00")


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Interval, ...]:
    pairs = draw(st.lists(st.tuples(st.sampled_from(HOURS), st.sampled_from(HOURS)), max_size=4))
    return joined((FIRST + min(p) * NS_PER_HOUR // 2, FIRST + max(p) * NS_PER_HOUR) for p in pairs)


def covers(asked: list[Question], known: tuple[Interval, ...]) -> bool:
    """Tell whether every scheduled minute that is asked for is known; hours and days are made of whole ones."""
    wanted = {(question.begin, question.end) for question in asked}
    missing = without(wanted, known)
    return not any(scheduled_hours("equity", a, b) for a, b in missing)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return config_of(tmp_path_factory.mktemp("plain"))


@pytest.mark.examples(8, long=25)
@given(stretches(), stretches(), st.integers(0, 4), st.integers(0, 3), st.booleans())
def test_any_split_of_the_history_warms_up_with_the_same_steps_or_names_what_is_missing(
    plain: Config, one: tuple[Interval, ...], two: tuple[Interval, ...], daily: int, hourly: int, rest: bool
) -> None:
    config = plain
    rules = {symbol: config.session_rule(symbol) for symbol in ROOTS}
    reach = WarmUpConfig(daily, hourly, 1)
    asked = questions(rules, tuple(Timeframe), reach, START)
    cold = ColdStart(config, "one", None, (), WarmUpConfig(), threading.Event(), print, print)  # type: ignore[arg-type]
    everything = ((0, 1 << 61),)
    wanted = cold.gather(History(config.session_rule, Place(everything)), asked)
    bought: list[Interval] = []
    if rest:
        paying = History(config.session_rule, Place(one), Place(two), Place(everything))
        bought += [hole for q in asked for hole in paying.lacking(q.symbol, q.timeframe, q.begin, q.end)]
    history = History(config.session_rule, Place(one), Place(joined([*two, *bought])))
    if not covers(asked, joined([*one, *two, *(everything if rest else ())])):
        with pytest.raises(WarmUpMissing, match="missing 2024-"):
            cold.gather(history, asked)
        return
    found = cold.gather(history, asked)
    assert found == wanted
    steps = []
    for bars in (found, wanted):
        past = Past(rules, {timeframe: reach.sessions(timeframe) for timeframe in Timeframe})
        for bar in bars:
            past.add(bar)
        steps.append(past.steps(START))
    assert steps[0] == steps[1]
    for symbol, rule in rules.items():
        begin = session_begin(START, rule)
        days = [bar for step in steps[0] for bar in step.bars if (bar.symbol, bar.timeframe) == (symbol, Timeframe.DAY)]
        first = look_back(begin, daily, rule)
        minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if first <= bar.start < begin]
        starts = dict.fromkeys(period(Timeframe.DAY, bar.start, rule).start for bar in minutes)
        assert days == [
            fold([bar for bar in minutes if period(Timeframe.DAY, bar.start, rule).start == at], Timeframe.DAY, at)
            for at in starts
        ]
