"""Watching a real server: what happens is told once, whoever is restarted, and what was before is history."""

import threading
from pathlib import Path

import orjson
import pytest
from attrs import define, field
from market import configure
from waiting import until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.errors import Fenced
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND, Timeframe
from pine.core.times import parse_time
from pine.ops.alerts.message import Message
from pine.ops.alerts.run import AWAY_S, Alerts
from pine.ops.alerts.services import Service
from pine.ops.alerts.watcher import Watcher
from pine.orders.entries import Control, Entry, Fill, Intent, Origin, encode

NOW = parse_time("2024-03-05T15:00")
STEP = parse_time("2024-03-05T14:00")
TEXT = """
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, webhook: "https://hooks.example/1", instruments: [ES, GC]}
alerts: {on: [ENTRIES], daily_summary: "23:05"}
"""
SERVICES = ["1 json", "2 mailto"]
ALL = "worker_down, hub_down, stale_data, gap, stop_loss, halt, delivery, disagreement, positions, late_trades, entry"


def configured(folder: Path, text: str = TEXT) -> Config:
    return configure(folder, text.replace("ENTRIES", ALL))


@define
class Desk:
    """What others write on the server, and one sender after another that reads it."""

    client: Client
    config: Config
    now: int = NOW
    watcher: Watcher = field(init=False)
    _n: int = 0
    _token: int = 0

    def start(self) -> "Desk":
        """Let a new process take over."""
        self.client.delete(keys.lease(keys.ALERTS))  # type: ignore[attr-defined]
        lease = Lease.try_acquire(self.client, keys.ALERTS, "test")
        assert isinstance(lease, Lease)
        self.watcher = Watcher(self.config, self.client, lease.token, SERVICES)
        self.watcher.take_up(self.now)
        return self

    def book(self, *entries: Entry) -> None:
        writer = Writer(self.client, "worker:one", 1)
        for entry in entries:
            self._n += 1
            writer.append(keys.ledger("one"), streams.entry_id(STEP // NS_PER_MS, self._n), {"entry": encode(entry)})
        writer.commit()

    def deliver(self, intent: str, *states: str) -> None:
        for state in states:
            facts = {"intent": intent, "state": state, "status": "", "text": "", "at": "1"}
            self.client.xadd(keys.deliveries("one"), facts)

    def event(self, kind: str, symbol: str, step: int) -> None:
        payload = {"kind": kind, "symbol": symbol, "first_minute": STEP, "last_minute": STEP}
        self.client.xadd(keys.EVENTS, {"event": orjson.dumps(payload)}, id=streams.entry_id(step))

    def run(self, *roles: str) -> None:
        """Let processes hold their roles and give signs of life, as if they ran."""
        for role in roles:
            if not self.client.exists(keys.lease(role)):
                assert isinstance(Lease.try_acquire(self.client, role, "desk:7"), Lease)
            self.client.hset(keys.heartbeat(role), mapping={"status": "running"})

    def look(self, seconds: float = 1.0) -> list[str]:
        """Return the titles that a look lets go; they arrive at once."""
        self.now += round(seconds * NS_PER_SECOND)
        self.client.hset(keys.heartbeat(keys.HUB), mapping={"watermark": self.now, "last_trade": self.now})
        before = set(self.watcher.outbox.parcels)
        self.watcher.look(self.now)
        new = [parcel for name, parcel in self.watcher.outbox.parcels.items() if name not in before]
        self.watcher.arrived([(parcel.id, service) for parcel in new for service in SERVICES])
        self.watcher.note(self.now)
        return [parcel.message.title for parcel in new]


@pytest.fixture
def desk(client: Client, tmp_path: Path) -> Desk:
    """A desk on which all runs, watched from now on."""
    desk = Desk(client, configured(tmp_path))
    desk.run(keys.HUB, "worker:one", "courier:one")
    client.hset(keys.heartbeat(keys.HUB), mapping={"counts": '{"late":4}'})
    return desk


def intent(n: int, action: str = "buy", entry: str | None = None) -> Intent:
    return Intent(f"one-{n}", STEP, "ES", action, "ESH4", "ESH2024", 1, 5100.0, "IBS entry", entry=entry)  # type: ignore[arg-type]


def fill(n: int, pnl: float | None = None) -> Fill:
    return Fill(f"one-{n}", "ES", "ESH4", 1 if pnl is None else -1, 1, 5100.25, STEP, 1.25, pnl)


def test_the_first_start_tells_no_history_and_what_comes_then_is_told_once_over_restarts(desk: Desk) -> None:
    desk.book(Origin(0, 0), intent(0), fill(0), Control("halt", "old", "anna", "1-0"))
    desk.deliver("one-0", "attempt", "rejected")
    desk.event("gap", "ES", 1000)
    desk.start()
    assert desk.look() == []
    desk.book(intent(1), fill(1), intent(2, "exit", "one-1"), fill(2, -2600.0), Control("halt", "new", "anna", "2-0"))
    desk.deliver("one-1", "attempt", "unknown")
    desk.event("gap", "ES", 2000)
    desk.event("gap", "GC", 2000 + 1)
    assert sorted(desk.look()) == [
        "ES: minutes are missing",
        "GC: minutes are missing",
        "one bought 1 ESH4 at 5100.25",
        "one is halted",
        "one: buy 1 ESH4 may or may not have been posted",
        "one: daily stop reached",
    ]
    for _ in range(3):
        assert desk.look() == []
        desk.start()
    assert desk.look() == []
    desk.book(Control("resume", "fed", "anna", "3-0"))
    assert desk.look() == ["one is resumed"]


def test_what_happened_while_nobody_watched_is_told_when_somebody_does(desk: Desk) -> None:
    desk.start()
    assert desk.look() == []
    desk.book(Origin(0, 0), Control("halt", "new", "anna", "2-0"))
    desk.start()
    assert desk.look() == ["one is halted"]


def test_a_message_that_had_not_arrived_waits_for_the_next_process_and_one_that_had_does_not(desk: Desk) -> None:
    desk.start()
    desk.book(Origin(0, 0), Control("halt", "a", "anna", "1-0"), Control("resume", "b", "anna", "2-0"))
    desk.watcher.look(desk.now)
    first, second = desk.watcher.outbox.parcels.values()
    desk.watcher.arrived([(first.id, "1 json"), (first.id, "2 mailto"), (second.id, "1 json")])
    desk.watcher.note(desk.now)
    desk.start()
    assert [(p.message.title, p.owed) for p in desk.watcher.outbox.parcels.values()] == [
        ("one is resumed", ["2 mailto"])
    ]


def test_a_sender_that_was_replaced_writes_nothing_more(desk: Desk) -> None:
    old = desk.start().watcher
    desk.start()
    desk.book(Origin(0, 0), Control("halt", "new", "anna", "2-0"))
    with pytest.raises(Fenced, match="another process sends now"):
        old.look(desk.now)
    assert desk.look() == ["one is halted"]


def test_a_worker_that_is_down_is_told_once_over_restarts_and_so_is_its_end(desk: Desk) -> None:
    desk.start()
    assert desk.look() == []
    desk.client.delete(keys.lease("worker:one"))  # type: ignore[attr-defined]
    assert desk.look() == []
    assert desk.look(60) == ["worker one is down"]
    desk.start()
    assert [*desk.look(60), *desk.look(60)] == []
    desk.run("worker:one")
    assert [*desk.look(), *desk.look(30)] == ["worker one runs again"]
    desk.start()
    assert [*desk.look(), *desk.look(300)] == []


def test_late_trades_and_disagreements_of_heartbeats_are_told(desk: Desk) -> None:
    beat = keys.heartbeat("worker:one")
    desk.client.hset(beat, mapping={"disagreements": 0, "last_disagreement": ""})
    desk.start()
    assert desk.look() == []
    desk.client.hset(keys.heartbeat(keys.HUB), mapping={"counts": '{"late":6}'})
    last = "bars disagree: ES hourly: built 1, the hub published 2"
    desk.client.hset(beat, mapping={"disagreements": 1, "last_disagreement": last})
    desk.watcher.look(desk.now)
    told = {p.message.title: p.message.body for p in desk.watcher.outbox.parcels.values()}
    assert told.keys() == {"2 late trades", "one: hub and worker built 1 bar differently"}
    assert last in told["one: hub and worker built 1 bar differently"]


def test_what_nobody_asked_to_be_told_is_not_told_later_either(client: Client, tmp_path: Path) -> None:
    desk = Desk(client, configure(tmp_path, TEXT.replace("ENTRIES", "gap"))).start()
    desk.book(Origin(0, 0), Control("halt", "new", "anna", "2-0"))
    assert [*desk.look(), *desk.look(100)] == []
    desk.config = configured(tmp_path)
    desk.start()
    assert desk.look() == []


def test_the_summary_comes_once_a_day_with_what_was_done(desk: Desk) -> None:
    desk.client.xadd(keys.CLOCK, {"prev": ""}, id=streams.entry_id(STEP // NS_PER_MS))
    desk.client.xadd(keys.bars("GC", Timeframe.MINUTE), {"bar": "{}"}, id=streams.entry_id(STEP // NS_PER_MS))
    desk.start()
    assert desk.look() == []
    desk.book(Origin(0, 0), intent(1), fill(1), intent(2, "exit", "one-1"), fill(2, 237.5))
    desk.deliver("one-1", "attempt", "posted")
    desk.deliver("one-2", "attempt", "posted")
    flight = {"decisions": [{"symbol": "ES", "ask": "buy", "refused": "max positions: 2 of 2"}]}
    desk.client.xadd(keys.flight("one"), {"flight": orjson.dumps(flight)}, id=streams.entry_id(STEP // NS_PER_MS))
    desk.event("gap", "GC", STEP // NS_PER_MS)
    desk.look()
    desk.now = parse_time("2024-03-05T23:05")
    desk.watcher.look(desk.now)
    (message,) = (p.message for p in desk.watcher.outbox.parcels.values() if p.message.kind == "summary")
    assert message.title == "The day to 2024-03-05 23:05 UTC"
    assert "one: 1 trade, +237.50 dollars; flat; 2 posted, 0 failed; refused: 1 max positions" in message.body
    assert "hub: 1 minute bars of 2 roots in 1 steps, 1 gaps, 0 filled, 0 late trades" in message.body
    desk.start()
    desk.now += NS_PER_HOUR
    assert not [title for title in desk.look() if title.startswith("The day")]


def test_on_a_tape_friday_has_its_summary_although_the_next_step_is_on_sunday(client: Client, tmp_path: Path) -> None:
    desk = Desk(client, configured(tmp_path, TEXT + "hub: {clock: tape}\n"))
    steps = [streams.entry_id(parse_time(text) // NS_PER_MS) for text in ("2024-03-08T21:59", "2024-03-10T22:01")]
    desk.client.xadd(keys.CLOCK, {"prev": ""}, id=steps[0])
    desk.start()
    assert desk.look() == []
    desk.client.xadd(keys.CLOCK, {"prev": steps[0]}, id=steps[1])
    assert desk.look() == ["The day to 2024-03-08 23:05 UTC"]
    desk.start()
    assert [title for title in desk.look() if title.startswith("The day")] == []


def test_a_day_without_a_step_has_no_summary(desk: Desk) -> None:
    desk.start()
    assert desk.look() == []
    assert not [title for title in desk.look(86_400) if title.startswith("The day")]


class Told(list[str]):
    """A service that keeps the titles it was given."""

    def __call__(self, message: Message) -> bool:
        self.append(message.title)
        return True


def test_a_server_that_is_away_is_told_once_and_so_is_its_return(
    server: EmbeddedServer, client: Client, tmp_path: Path
) -> None:
    told, now = Told(), [NOW]
    alerts = Alerts(
        configured(tmp_path), [Service("1 json", told)], " -c x.yaml", threading.Event(), clock=lambda: now[0]
    )
    alerts.begin()
    alerts.round()
    server.stop()

    def pass_time(seconds: float) -> None:
        now[0] += round(seconds * NS_PER_SECOND)
        alerts.round()

    pass_time(1)
    pass_time(AWAY_S - 1)
    assert told == []
    for _ in range(3):
        pass_time(AWAY_S)
    until(lambda: told, "it is told")
    server.ensure()
    pass_time(1)
    pass_time(1)
    until(lambda: len(told) > 1, "its return is told")
    alerts.end()
    assert told[:2] == ["the stream server is away", "the stream server can be watched again"]
    assert [title for title in told[2:] if "server" in title] == []


def test_what_cannot_be_read_is_told_and_does_not_end_the_watching(
    server: EmbeddedServer, client: Client, tmp_path: Path
) -> None:
    told, now = Told(), [NOW]
    alerts = Alerts(configured(tmp_path), [Service("1 json", told)], "", threading.Event(), clock=lambda: now[0])
    alerts.begin()
    alerts.round()
    client.xadd(keys.ledger("one"), {"entry": b"junk"})
    for _ in range(3):
        now[0] += round(AWAY_S * NS_PER_SECOND)
        alerts.round()
    until(lambda: told, "it is told")
    alerts.end()
    assert told[0] == "the stream server holds something that cannot be read"
