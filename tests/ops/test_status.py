"""Status: what runs, how far it is, what is owed, and what is wrong; of dead processes as truly as of living ones."""

import io
from pathlib import Path

import orjson
import pytest
from attrs import evolve
from market import Run, begin, closed_bars, configure, publish
from rich.console import Console

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.cli.status_view import WIDTH, picture
from pine.core.config import BusConfig, Config
from pine.core.freshness import STALE_SECONDS
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND
from pine.core.times import isoformat, parse_time
from pine.ops.server import server_notes, shown_url
from pine.ops.status import Observer
from pine.ops.supervisor.door import open_door
from pine.orders.entries import NO_REASON, Control, Fill, Intent, Origin, encode

NOW = parse_time("2024-03-05T15:00")  # a Tuesday
WEEKEND = parse_time("2024-03-09T15:00")
HOLIDAY = parse_time("2024-12-25T15:00")
STEP = parse_time("2024-03-05T14:00")
TEXT = """
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, webhook: "https://hooks.example/1", instruments: [ES, GC], params: {entry_setting: none}}
  paper: {type: ibs, instruments: [ES]}
  off: {type: ibs, enabled: false, instruments: [GC]}
"""


def look(client: Client, config: Config, now: int = NOW) -> dict:
    facts = Observer(config, client).look(now)
    orjson.dumps(facts)  # is a document
    paper = io.StringIO()
    Console(width=WIDTH, file=paper).print(picture(facts))
    text = paper.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    return facts | {"text": text}


def hold(client: Client, *roles: str) -> None:
    for role in roles:
        assert isinstance(Lease.try_acquire(client, role, "desk:77"), Lease)


def beat(client: Client, **facts: str | int) -> None:
    base = {"uptime_s": 5, "connections": 1, "unpublished": 0, "counts": '{"late":2}', "market_open": 1}
    client.hset(keys.heartbeat(keys.HUB), mapping={**base, **facts})


def last_of(run: Run) -> int:
    return streams.ms_of(streams.last_id(run.source.client, keys.CLOCK) or "0")


# ---- how far everybody is


def test_a_worker_that_died_is_not_running_and_as_far_behind_as_its_group_says(client: Client, tmp_path: Path) -> None:
    """It had read one step that it did not acknowledge, and no heartbeat says anything any more."""
    config = configure(tmp_path, TEXT)
    run = begin(client, config, "one")
    closed = closed_bars()
    publish(client, config, closed[:800])
    run.until_step(700)
    dead = begin(client, config, "one")
    assert streams.read_group(client, keys.CLOCK, "one", dead.source.consumer)
    dead.source.lease.release()
    client.delete(keys.heartbeat("worker:one"))  # type: ignore[attr-defined]
    facts = look(client, config)
    found = facts["strategies"]["one"]
    assert (found["worker"]["running"], found["worker"]["holder"], found["lag"]) == (False, None, 100)
    assert found["last_step"] == isoformat(closed[699].boundary)
    assert found["lag_s"] == (closed[799].boundary - closed[699].boundary) // NS_PER_SECOND
    left = sum(any(bar.symbol == "ES" and bar.timeframe.value == "1min" for bar in c.bars) for c in closed[700:800])
    assert found["bar_lag"]["market:ES:1min"] == left > 0
    assert "worker one is not running, 100 steps behind (100 min): pine worker one" in facts["problems"]
    assert "worker one is not running, 100 steps behind" in facts["text"]


def test_lag_that_the_server_does_not_know_is_counted(client: Client, tmp_path: Path) -> None:
    """A group that began in mid-stream has none of the server's counts."""
    config = configure(tmp_path, TEXT)
    closed = closed_bars()
    publish(client, config, closed[:300])
    begin(client, config, "one")
    assert streams.group_info(client, keys.CLOCK, "one")["lag"] == 0
    publish(client, config, closed[300:350])
    assert streams.group_info(client, keys.CLOCK, "one")["lag"] is None
    found = look(client, config)["strategies"]["one"]
    assert found["lag"] == 50
    minutes = [bar for c in closed[300:350] for bar in c.bars if bar.symbol == "GC" and bar.timeframe.value == "1min"]
    assert found["bar_lag"]["market:GC:1min"] == len(minutes)
    assert found["last_step"] == isoformat(closed[299].boundary)


def test_a_worker_that_has_caught_up_is_not_behind_and_shows_the_account_of_its_ledger(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, TEXT.replace("entry_setting: none", "entry_setting: none, stop_percent: 0.3"))
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:2000])
    run.until_caught_up()
    portfolio = run.source.desk.portfolio
    found = look(client, config)["strategies"]["one"]
    assert (found["lag"], found["lag_s"], set(found["bar_lag"].values())) == (0, 0, {0})
    assert portfolio.trades > 3
    assert found["cash"] == round(portfolio.cash, 2)
    assert found["day_pnl"] == round(portfolio.day_pnl(last_of(run) * NS_PER_MS), 2)
    assert [(p["contract"], p["quantity"]) for p in found["positions"]] == [
        (p.contract, p.quantity) for p in portfolio.positions.values()
    ]


def test_a_strategy_that_has_not_begun_has_no_lag_and_one_that_is_disabled_need_not_run(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, TEXT)
    publish(client, config, closed_bars()[:10])
    facts = look(client, config)
    assert [facts["strategies"][name]["lag"] for name in ("one", "off")] == [None, None]
    assert set(facts["strategies"]["one"]["bar_lag"].values()) == {None}
    assert "worker paper is not running: pine worker paper" in facts["problems"]
    assert not any("off" in problem for problem in facts["problems"])


def test_every_symbol_is_told_with_its_last_minute_lead_and_counts(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    closed = closed_bars()[:200]
    publish(client, config, closed)
    minutes = [bar for c in closed for bar in c.bars if bar.symbol == "ES" and bar.timeframe.value == "1min"]
    found = look(client, config)["symbols"]
    assert found["ES"]["last_minute"] == isoformat(minutes[-1].start)
    assert (found["ES"]["lead"], found["ES"]["bars"]["1min"]) == (minutes[-1].contract_symbol, len(minutes))
    assert found["ES"]["bars"]["hourly"] == 3


# ---- what is wrong


def test_a_hub_without_a_connection_a_courier_that_nobody_starts_and_no_archive_are_told(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, TEXT)
    hold(client, keys.HUB, "worker:one", "worker:paper", keys.ARCHIVE)
    beat(client, watermark=NOW, last_trade=NOW, unconnected_s=14, unconnected_because="refused")
    assert "no connection" not in str(look(client, config)["problems"])
    beat(client, watermark=NOW, last_trade=NOW, unconnected_s=200, unconnected_because="127.0.0.1:1: refused")
    client.hset(keys.heartbeat("worker:one"), mapping={"courier": "not running"})
    client.delete(keys.lease(keys.ARCHIVE))
    facts = look(client, config)
    assert facts["problems"] == [
        "the hub has no connection to the gateway for 3 min: 127.0.0.1:1: refused",
        "courier one is not running, and its worker was told not to start it: nothing would be posted",
    ]
    assert facts["notes"] == ["no archive runs: finished sessions are not sealed, and nothing can be trimmed"]
    client.hset(keys.heartbeat("worker:one"), mapping={"courier": "starting"})
    assert len(look(client, config)["problems"]) == 1


def test_under_a_supervisor_it_is_asked_to_start_what_does_not_run(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    assert "worker one is not running: pine worker one" in look(client, config)["problems"]
    with open_door(config.data_dir, lambda _: {}):
        problems = look(client, config)["problems"]
    assert problems[0] == "the hub is not running: pine up --start 'hub'"
    assert "worker one is not running: pine up --start 'worker one'" in problems
    assert not look(client, config)["supervised"]


def test_nothing_is_wrong_when_all_that_should_run_does(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    hold(client, keys.HUB, "worker:one", "worker:paper", "courier:one")
    beat(client, watermark=NOW, last_trade=NOW - 2 * NS_PER_SECOND)
    facts = look(client, config)
    assert facts["problems"] == facts["notes"] == []
    assert "nothing is wrong" in facts["text"]
    hub = facts["hub"]
    assert (hub["running"], hub["holder"], hub["token"], hub["counts"]) == (True, "desk:77", 1, {"late": 2})
    assert (hub["data_age_s"], hub["market_open"], hub["stale"]) == (2.0, True, False)
    assert {name: s["courier"]["state"] for name, s in facts["strategies"].items()} == {
        "one": "running",
        "paper": "paper only",
        "off": "paper only",
    }


def test_an_empty_server_is_told_as_it_is(client: Client, tmp_path: Path) -> None:
    facts = look(client, configure(tmp_path, TEXT))
    assert facts["problems"] == [
        "the hub is not running: pine hub",
        "worker one is not running: pine worker one",
        "worker paper is not running: pine worker paper",
    ]
    assert facts["server"]["fsync"] == "always"
    assert facts["server"]["run_id"] == client.info()["run_id"]


@pytest.mark.parametrize(
    ("now", "age", "expected", "is_open", "stale"),
    [
        (NOW, STALE_SECONDS - 1, 1, True, False),
        (NOW, STALE_SECONDS + 1, 1, True, True),
        (WEEKEND, 50_000, 0, False, False),
        (HOLIDAY, 50_000, 0, False, False),
        (parse_time("2024-03-05T22:30"), 1900, 1, False, False),  # the daily halt
    ],
)
def test_old_data_is_wrong_only_while_the_market_is_open(
    now: int, age: int, expected: int, is_open: bool, stale: bool, client: Client, tmp_path: Path
) -> None:
    hold(client, keys.HUB)
    beat(client, watermark=now, last_trade=now - age * NS_PER_SECOND, market_open=expected)
    facts = look(client, configure(tmp_path, TEXT), now)
    assert (facts["hub"]["market_open"], facts["hub"]["stale"]) == (is_open, stale)
    assert any("while the market is open" in problem for problem in facts["problems"]) is stale


def test_a_tape_has_no_age(client: Client, tmp_path: Path) -> None:
    hold(client, keys.HUB)
    beat(client, watermark=NOW)
    facts = look(client, configure(tmp_path, TEXT + "hub: {clock: tape}\n"), NOW * 2)
    assert (facts["hub"]["data_age_s"], facts["hub"]["market_open"], facts["hub"]["stale"]) == (None, True, False)


def test_halts_strategies_far_behind_and_groups_of_strangers_are_noted(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    begin(client, config, "paper")  # holds its lease, and does nothing
    publish(client, config, closed_bars()[:90])
    streams.ensure_group(client, keys.CLOCK, "gone")
    streams.ensure_group(client, keys.CLOCK, keys.ARCHIVE)
    book(client, "one", Control("halt", "lunch", "anna", "1-0"))
    facts = look(client, config)
    assert facts["notes"] == [
        "one is halted by anna: lunch; pine resume one",
        "worker paper is running, 90 steps behind",
        "gone reads the clock, 90 steps behind, and is not in the configuration",
    ]


def test_a_second_halt_without_a_reason_leaves_the_one_that_is_known(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)

    def halted(*controls: Control) -> dict[str, str] | None:
        book(client, "one", *controls)
        return look(client, config)["strategies"]["one"]["halt"]

    assert halted(Control("halt", "CPI", "anna", "1-0"), Control("halt", NO_REASON, "bob", "2-0"))["why"] == "CPI"
    assert halted(Control("halt", "and NFP", "bob", "3-0"))["why"] == "and NFP"
    assert halted(Control("resume", NO_REASON, "bob", "4-0")) is None
    assert halted(Control("halt", NO_REASON, "bob", "5-0"))["who"] == "bob"


# ---- orders


def book(client: Client, strategy: str, *entries) -> None:
    writer = Writer(client, f"worker:{strategy}", 1)
    first = client.xlen(keys.ledger(strategy)) + 1
    for n, entry in enumerate(entries, start=first):
        writer.append(keys.ledger(strategy), streams.entry_id(STEP // NS_PER_MS, n), {"entry": encode(entry)})
    writer.commit()


def intent(n: int, strategy: str = "one") -> Intent:
    return Intent(f"{strategy}-{n}", STEP + n, "ES", "buy", "ESH4", "ESH2024", 1, 5100.0, "IBS entry")


def record_state(client: Client, strategy: str, n: int, *states: str) -> None:
    for state in states:
        facts = {"intent": f"{strategy}-{n}", "state": state, "status": "", "text": "", "at": "1"}
        client.xadd(keys.deliveries(strategy), facts)


def test_intents_are_told_by_state_with_what_is_owed_and_what_is_unknown(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    book(client, "one", Origin(0, 0), *(intent(n) for n in range(6)))
    record_state(client, "one", 0, "attempt", "posted")
    record_state(client, "one", 1, "attempt", "unknown")
    record_state(client, "one", 2, "attempt", "rejected")
    record_state(client, "one", 3, "attempt", "retry")
    record_state(client, "one", 4, "attempt")
    facts = look(client, config)
    courier = facts["strategies"]["one"]["courier"]
    assert courier["intents"] == {
        "posted": 1, "unknown": 1, "rejected": 1, "retry": 1, "attempt": 1, "not tried": 1
    }  # fmt: skip
    assert (courier["owed"], courier["unknown"]) == (3, ["one-1"])
    assert "one-1: outcome unknown; pine orders resolve one-1 --posted, or --not-posted" in facts["problems"]
    assert "courier one is not running and owes 3 webhooks; the worker starts it" in facts["problems"]


def test_on_paper_nothing_is_owed(client: Client, tmp_path: Path) -> None:
    book(client, "paper", Origin(0, 0), intent(0, "paper"))
    courier = look(client, configure(tmp_path, TEXT))["strategies"]["paper"]["courier"]
    assert courier == {
        "state": "paper only",
        "holder": None,
        "heartbeat": {},
        "intents": {"not tried": 1},
        "owed": 0,
        "overdue": [],
        "unknown": [],
    }


def test_an_exit_that_cannot_be_posted_is_a_problem_after_half_a_minute(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    hold(client, "courier:one")
    book(client, "one", Origin(0, 0), intent(0), evolve(intent(1), action="exit", entry="one-0"))
    tried = {"intent": "one-1", "status": "", "text": "", "at": str(NOW)}
    client.xadd(keys.deliveries("one"), {**tried, "state": "attempt"})
    client.xadd(keys.deliveries("one"), {**tried, "state": "retry", "text": "no connection"})
    assert not late_exits(look(client, config, NOW + 30 * NS_PER_SECOND))
    client.xadd(keys.deliveries("one"), {**tried, "state": "attempt", "at": str(NOW + 300 * NS_PER_SECOND)})
    assert late_exits(look(client, config, NOW + 301 * NS_PER_SECOND)) == [
        "one: exit 1 ESH4 is not posted for 5 min: no connection; the courier tries again"
    ]
    record_state(client, "one", 1, "posted")
    assert not late_exits(look(client, config, NOW + 302 * NS_PER_SECOND))


@pytest.mark.parametrize(("clock", "late"), [("wall", 1), ("tape", 0)])
def test_an_exit_that_was_never_tried_counts_from_the_first_look_and_not_on_a_tape(
    clock: str, late: int, client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, f"{TEXT}\nhub: {{clock: {clock}}}\n")
    observer = Observer(config, client)
    book(client, "one", Origin(0, 0), evolve(intent(1), action="exit", entry="one-0"))
    assert not late_exits(observer.look(NOW))
    assert len(late_exits(observer.look(NOW + 31 * NS_PER_SECOND))) == late


def late_exits(facts: dict) -> list[str]:
    return [problem for problem in facts["problems"] if "is not posted" in problem]


def test_a_second_look_tells_the_same_as_a_first_one(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    observer = Observer(config, client)
    book(client, "one", Origin(0, 0), intent(0))
    before = observer.look(NOW)
    book(client, "one", Fill("one-0", "ES", "ESH4", 1, 1, 5100.25, STEP, 1.25))
    record_state(client, "one", 0, "attempt", "posted")
    after = observer.look(NOW)["strategies"]
    assert before["strategies"]["one"]["positions"] == []
    assert after == Observer(config, client).look(NOW)["strategies"]
    assert after["one"]["positions"] == [{"contract": "ESH4", "quantity": 1, "price": 5100.25}]


def test_a_replica_that_is_missing_is_a_problem_and_what_is_promised_is_said(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TEXT)
    facts = look(client, config)["server"]
    assert facts["promise"] == "a power cut loses nothing acknowledged"
    assert (facts["master"], facts["replicas"], facts["min_replicas"]) == (None, 0, 0)
    client.config_set("appendfsync", "everysec")  # type: ignore[attr-defined]
    found = look(client, evolve(config, bus=BusConfig("redis+sentinel://a/pine", replicas=1)))
    assert found["problems"][0] == (
        "the server has 0 of the 1 replicas that bus.replicas asks for: everybody waits for more"
    )
    assert found["server"]["promise"] == (
        "a power cut may lose the last second or two; a failover loses nothing acknowledged"
    )
    unsure = {"master": "10.0.0.1:6379", "replicas": 0, "replicas_asked": 0, "min_replicas": 0}
    assert [note.partition(":")[0] for note in server_notes(unsure)] == [
        "the master has no replica that follows",
        "min-replicas-to-write is 0",
    ]
    assert list(server_notes(unsure | {"replicas": 1, "min_replicas": 1})) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("embedded", "embedded"),
        ("redis://anna:pa@55@host:6379/0?password=pa55", "redis://host:6379/0"),
        ("rediss://:pa55@host", "rediss://host"),
        ("unix://anna:pa55@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        (
            "rediss+sentinel://anna:pa%4055@a,[::1]:1/pine/2?sentinel_password=pa55",
            "rediss+sentinel://a:26379,[::1]:1/pine/2",
        ),
    ],
)
def test_the_servers_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


# ---- how it looks


@pytest.mark.parametrize("width", [80, 100, 120])
def test_nothing_is_cut_on_a_terminal_of_usual_width(client: Client, tmp_path: Path, width: int) -> None:
    config = configure(tmp_path, TEXT)
    beat(client)
    hold(client, keys.HUB)
    facts = look(client, config)
    held = [{"contract": name, "quantity": 1, "price": 5100.0} for name in ("ESH4", "GCJ4")]
    changed = {"positions": held, "cash": 1_234_567.25, "day_pnl": -12_345.5, "lag": 12_345, "lag_s": 7_100}
    facts["strategies"]["one"] |= {**changed, "last_step": "2024-03-05T14:00:00+00:00"}
    paper = io.StringIO()
    Console(width=width, file=paper).print(picture(facts, width))
    text = paper.getvalue()
    for shown in ("+1 ESH4", "+1 GCJ4", "1,234,567.25", "-12,345.50", "12,345 (118 min)", "NOT RUNNING", "disabled"):
        assert shown in text
    assert "…" not in text
    assert "1 connection," in text
    assert "no step yet" in text


@pytest.mark.parametrize("width", [30, 40, 50, 60, 70])
def test_on_a_narrow_terminal_columns_go_whole_and_names_and_workers_stay(
    client: Client, tmp_path: Path, width: int
) -> None:
    facts = look(client, configure(tmp_path, TEXT))
    facts["strategies"]["one"] |= {"cash": 1_234_567.25, "lag": 12_345, "lag_s": 7_100}
    facts["strategies"]["one"]["courier"]["intents"] = {"posted": 1_000, "unknown": 2, "rejected": 33}
    paper = io.StringIO()
    Console(width=width, file=paper).print(picture(facts, width))
    text = paper.getvalue()
    heads = [line.split() for line in text.splitlines() if line.split()[:1] == ["strategy"]]
    assert len(heads) == 2
    assert sum("worker" in head for head in heads) == 1
    titles = (
        "strategy, worker, last step, steps left, bars left, positions, cash, day P&L, stop at, "
        "courier, sent, owed, unknown, intents"
    )
    assert {word for head in heads for word in head} <= set(titles.replace(",", "").split())
    for name in ("one", "paper", "off"):
        assert sum(line.split()[:1] == [name] for line in text.splitlines()) == 2
    assert text.count("NOT RUNNING") == 3  # the hub and two workers
    assert "…" not in text


def test_a_screen_whose_end_may_be_cut_begins_with_what_is_wrong(client: Client, tmp_path: Path) -> None:
    facts = look(client, configure(tmp_path, TEXT))
    for first in (True, False):
        paper = io.StringIO()
        Console(width=WIDTH, file=paper).print(picture(facts, wrong_first=first))
        lines = paper.getvalue().split("\n")
        assert any(line.strip().startswith("✗") for line in lines[:3]) is first


def test_a_hole_that_is_being_filled_and_those_that_are_not_filled_yet_are_noted(
    client: Client, tmp_path: Path
) -> None:
    hold(client, keys.HUB)
    beat(client, status="filling", filling="2024-03-04T15:20 to 2024-03-05T20:12", unfilled=2)
    facts = look(client, configure(tmp_path, TEXT))
    assert [note for note in facts["notes"] if "hole" in note] == [
        "the hub fills a hole, 2024-03-04T15:20 to 2024-03-05T20:12, and publishes nothing newer meanwhile",
        "2 holes not filled yet: the hub has only just seen that; "
        "pine backfill or pine import can bring the minutes too",
    ]
    beat(client, filling="", unfilled=1, unfilled_because="nothing is bought: hub.fill_gaps is false")
    (note,) = (note for note in look(client, configure(tmp_path, TEXT))["notes"] if "hole" in note)
    assert note.startswith("1 hole not filled yet: nothing is bought: hub.fill_gaps is false; pine backfill or")
