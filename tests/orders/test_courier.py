"""What the ledger owes is posted once, in order; what cannot be known is not repeated for an entry."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import redis
from attrs import evolve
from proxy import LossyProxy
from setback import go_back, size_of
from waiting import until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.config import Config, load_config
from pine.core.errors import Fenced
from pine.core.times import Clock
from pine.orders import courier as courier_module
from pine.orders.courier import GROUP, Courier
from pine.orders.entries import Control, Correction, Entry, Fill, Intent, Origin, encode
from pine.orders.ledger import Deliveries, role
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.broker import Broker
from pine.strategies.catalog import PARAMS

STEP = 1_709_654_400_000_000_000  # 2024-03-05T16:00Z
ENTRY = Intent("a-1", STEP, "ES", "buy", "ESH4", "ESH2024", 1, 5100.0, "IBS entry", {"ibs": 0.1})
FILL = Fill("a-1", "ES", "ESH4", 1, 1, 5100.25, STEP, 1.25)
EXIT = Intent("a-2", STEP + 3_600_000_000_000, "ES", "exit", "ESH4", "ESH2024", 1, 5110.0, "IBS exit", {}, "a-1")
OTHER = Intent("a-3", STEP + 3_600_000_000_000, "GC", "buy", "GCJ4", "GCJ2024", 1, 2100.0, "IBS entry")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as receiver:
        yield receiver


@pytest.fixture
def config(tmp_path: Path, broker: Broker) -> Config:
    path = tmp_path / "pine.yaml"
    path.write_text(
        "data_dir: data\norders: {entry_max_age_s: 120, stale_after_s: null, timeout_s: 2, retries: 2}\n"
        "instruments: {ES: , GC: }\n"
        f"strategies: {{a: {{type: ibs, webhook: '{broker.url('a')}', instruments: [ES, GC]}}}}\n"
    )
    return load_config(path, PARAMS, {})


def owe(client: Client, *entries: Entry) -> None:
    """Put entries on the ledger as a worker does."""
    writer = Writer(client, "worker:a", 1)
    newest = streams.last_id(client, keys.ledger("a"))
    n = streams.id_pair(newest)[1] + 1 if newest else 0
    for i, entry in enumerate([*([] if newest else [Origin(0, 0)]), *entries], start=n):
        writer.append(keys.ledger("a"), streams.entry_id(STEP // 1_000_000, i), {"entry": encode(entry)})
    writer.commit()


def engaged(client: Client, config: Config, clock: Clock = lambda: STEP) -> Courier:
    """Return a courier that has the role and has not begun."""
    lease = Lease.try_acquire(client, role("a"), "test")
    assert isinstance(lease, Lease)
    return Courier(config, "a", client, lease, threading.Event(), clock=clock)


def work(client: Client, config: Config, now: int = STEP + 1_000_000_000) -> Courier:
    """Run a courier until nothing is owed."""
    courier = engaged(client, config, lambda: now)
    newest = streams.last_id(client, keys.ledger("a"))

    def done() -> bool:
        groups = [g for g in client.xinfo_groups(keys.ledger("a")) if g["name"] == GROUP.encode()]
        return bool(groups) and not groups[0]["pending"] and groups[0]["last-delivered-id"].decode() == newest

    with running(courier):
        until(done, "nothing is owed")
    return courier


@contextmanager
def running(courier: Courier) -> Iterator[None]:
    """Let a courier work as long as the block lasts; its lease is free afterwards."""
    thread = threading.Thread(target=courier.run)
    thread.start()
    try:
        yield
    finally:
        courier.stop.set()
        thread.join()
        courier.lease.release()


def states(client: Client) -> list[tuple[str, str]]:
    """Return intent and state of every delivery record, in order."""
    found = streams.read_range(client, keys.deliveries("a"))
    return [(fields[b"intent"].decode(), fields[b"state"].decode()) for _, fields in found]


def posted(broker: Broker) -> list[str]:
    """Return the intents that the receiver took, in order."""
    return [r["body"]["extras"]["intent"] for r in broker.requests if r["accepted"]]


def test_each_intent_is_posted_once_and_fills_are_not(client: Client, config: Config, broker: Broker) -> None:
    owe(client, ENTRY, FILL, EXIT, OTHER)
    work(client, config)
    assert sorted(posted(broker)) == ["a-1", "a-2", "a-3"]
    assert posted(broker).index("a-1") < posted(broker).index("a-2")
    assert sorted(states(client)) == [(i, s) for i in ("a-1", "a-2", "a-3") for s in ("attempt", "posted")]


def test_the_next_courier_posts_nothing_again(client: Client, config: Config, broker: Broker) -> None:
    owe(client, ENTRY)
    work(client, config)
    work(client, config)
    owe(client, EXIT)
    work(client, config)
    assert posted(broker) == ["a-1", "a-2"]


def test_the_body_is_what_the_vendor_documents(client: Client, config: Config, broker: Broker) -> None:
    owe(client, ENTRY)
    work(client, config)
    (request,) = broker.requests
    assert request["status"] == 200
    assert request["body"] == {
        "ticker": "ESH2024",
        "action": "buy",
        "quantity": 1,
        "price": 5100.0,
        "orderType": "market",
        "timeInForce": "day",
        "extras": {
            "ibs": 0.1,
            "strategy": "a",
            "intent": "a-1",
            "symbol": "ES",
            "contract": "ESH4",
            "reason": "IBS entry",
        },
    }


@pytest.mark.parametrize("answer", ["429", "500"])
def test_a_refusal_for_the_moment_is_tried_again_until_it_goes(
    answer: str, client: Client, config: Config, broker: Broker
) -> None:
    broker.behave(Behaviour(answer=answer, retry_after=0.01, times=2))
    owe(client, ENTRY, EXIT)
    work(client, config)
    assert posted(broker) == ["a-1", "a-2"]
    assert [s for _, s in states(client)] == [
        "attempt",
        "retry",
        "attempt",
        "retry",
        "attempt",
        "posted",
        "attempt",
        "posted",
    ]


def test_a_final_refusal_voids_the_entry_and_its_exit_is_not_posted(
    client: Client, config: Config, broker: Broker
) -> None:
    broker.behave(Behaviour(answer="400", times=1))
    owe(client, ENTRY, EXIT, OTHER)
    work(client, config)
    assert posted(broker) == ["a-3"]
    of_es = [record for record in states(client) if record[0] != "a-3"]
    assert of_es == [("a-1", "attempt"), ("a-1", "rejected"), ("a-2", "skipped")]
    (request,) = [orjson.loads(f[b"request"]) for _, f in streams.read_range(client, keys.control("a"))]
    assert (request["order"], request["intent"]) == ("void", "a-1")


HALT = Control("halt", "lunch", "anna", "9-0")
RESUME = Control("resume", "back", "anna", "9-1")


@pytest.mark.parametrize("known_before", [True, False], ids=["a courier that begins", "a courier that runs"])
def test_what_was_decided_before_a_halt_does_not_go_out_after_it_and_exits_do(
    known_before: bool, client: Client, config: Config, broker: Broker
) -> None:
    owe(client, ENTRY)
    work(client, config)
    courier = engaged(client, config)
    broker.behave(Behaviour(answer="429", retry_after=0.3, times=1))
    if known_before:
        owe(client, OTHER, HALT, EXIT)
    with running(courier):
        if not known_before:
            owe(client, OTHER)
            until(lambda: ("a-3", "retry") in states(client), "it is tried")
            owe(client, HALT, EXIT)
        until(lambda: ("a-3", "blocked") in states(client), "the entry is given up")
        until(lambda: ("a-2", "posted") in states(client), "the exit goes")
        owe(client, RESUME, evolve(OTHER, id="a-4"))
        until(lambda: ("a-4", "posted") in states(client), "entries go again")
    assert posted(broker) == ["a-1", "a-2", "a-4"]
    (request,) = [orjson.loads(f[b"request"]) for _, f in streams.read_range(client, keys.control("a"))]
    assert (request["intent"], request["reason"]) == ("a-3", "blocked: halted by anna: lunch")


@pytest.mark.parametrize("lifted", [False, True])
def test_a_halt_that_is_booked_while_another_symbol_is_posted_keeps_the_rest_back_also_when_it_is_lifted(
    lifted: bool, client: Client, config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(client, ENTRY, OTHER)

    def halted_meanwhile(_role: str, point: str) -> None:
        if point == "answered" and len(broker.requests) == 1:
            owe(client, HALT, *([RESUME] if lifted else []))

    monkeypatch.setattr(courier_module, "pause", halted_meanwhile)
    with running(engaged(client, config)):
        until(lambda: len(states(client)) == 3, "both are dealt with")
    assert len(posted(broker)) == 1
    assert sorted(state for _, state in states(client)) == ["attempt", "blocked", "posted"]


def test_an_entry_that_was_settled_while_its_courier_stood_still_is_not_posted(
    client: Client, config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(client, ENTRY)

    def resolved_meanwhile(_role: str, point: str) -> None:
        if point == "attempted":
            client.xadd(keys.deliveries("a"), {"intent": "a-1", "state": "not posted", "at": "1"})

    monkeypatch.setattr(courier_module, "pause", resolved_meanwhile)
    work(client, config)
    assert broker.requests == []


def test_a_courier_whose_role_went_to_another_while_it_stood_still_posts_nothing(
    client: Client, config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(client, ENTRY)
    courier = engaged(client, config)

    def taken_meanwhile(_role: str, point: str) -> None:
        if point == "attempted":
            client.delete(keys.lease(role("a")))  # type: ignore[attr-defined]
            assert isinstance(Lease.try_acquire(client, role("a"), "another"), Lease)

    monkeypatch.setattr(courier_module, "pause", taken_meanwhile)
    with pytest.raises(Fenced):
        courier.run()
    assert broker.requests == []


def test_what_was_decided_before_a_correction_is_not_posted_after_it(
    client: Client, config: Config, broker: Broker
) -> None:
    owe(client, ENTRY)
    work(client, config)
    owe(client, EXIT, Correction("ES", "ESH4", 1, 5100.0, "by hand", "anna", "9-2", force=True), OTHER)
    work(client, config)
    assert posted(broker) == ["a-1", "a-3"]
    assert ("a-2", "skipped") in states(client)


def test_a_symbol_that_waits_does_not_hold_up_another(client: Client, config: Config, broker: Broker) -> None:
    broker.behave(Behaviour(answer="429", retry_after=0.5, times=1))
    owe(client, ENTRY, OTHER, EXIT)
    work(client, config)
    assert posted(broker) == ["a-3", "a-1", "a-2"]


def test_the_vendors_limits_hold_across_couriers(client: Client, config: Config, broker: Broker) -> None:
    """Two posts an hour are allowed and were made; the third has to wait, whoever is courier."""
    tight = evolve(config, orders=evolve(config.orders, per_minute=None, per_hour=2, entry_max_age_s=None))
    owe(client, ENTRY, EXIT)
    work(client, tight)
    owe(client, OTHER)
    lease = Lease.try_acquire(client, role("a"), "test")
    assert isinstance(lease, Lease)
    stop = threading.Event()
    calls = iter(range(20))

    def clock() -> int:
        if next(calls, None) is None:
            stop.set()
        return STEP + 2_000_000_000

    Courier(tight, "a", client, lease, stop, clock=clock).run()
    assert posted(broker) == ["a-1", "a-2"]
    lease.release()
    work(client, tight, now=STEP + 3_600_000_000_000 + 2_000_000_000)
    assert posted(broker) == ["a-1", "a-2", "a-3"]


def test_an_entry_that_is_refused_too_often_expires_and_is_voided(
    client: Client, config: Config, broker: Broker
) -> None:
    broker.behave(Behaviour(answer="500", retry_after=0.01))
    owe(client, ENTRY)
    work(client, config)
    assert Deliveries.read(client, "a").state("a-1") == "expired"
    assert Deliveries.read(client, "a").by_intent["a-1"].attempts == 3
    assert client.xlen(keys.control("a")) == 1


def test_an_exit_is_tried_for_as_long_as_it_takes(client: Client, config: Config, broker: Broker) -> None:
    owe(client, ENTRY)
    work(client, config)
    broker.behave(Behaviour(answer="500", retry_after=0.01, times=7))
    owe(client, EXIT)
    work(client, config)
    assert posted(broker) == ["a-1", "a-2"]


@pytest.mark.parametrize("answer", ["drop_before", "drop_after"])
def test_an_entry_without_an_answer_is_unknown_and_never_repeated(
    answer: str, client: Client, config: Config, broker: Broker
) -> None:
    broker.behave(Behaviour(answer=answer, times=1))
    owe(client, ENTRY, OTHER)
    work(client, config)
    work(client, config)
    assert Deliveries.read(client, "a").state("a-1") == "unknown"
    assert posted(broker) == (["a-1", "a-3"] if answer == "drop_after" else ["a-3"])
    assert client.xlen(keys.control("a")) == 0


def test_an_exit_without_an_answer_is_posted_again(client: Client, config: Config, broker: Broker) -> None:
    owe(client, ENTRY)
    work(client, config)
    broker.behave(Behaviour(answer="drop_after", times=1))
    owe(client, EXIT)
    work(client, config)
    assert posted(broker) == ["a-1", "a-2", "a-2"]


def test_the_exit_of_an_unknown_entry_is_posted(client: Client, config: Config, broker: Broker) -> None:
    broker.behave(Behaviour(answer="drop_before", times=1))
    owe(client, ENTRY, EXIT)
    work(client, config)
    assert posted(broker) == ["a-2"]


@pytest.mark.parametrize(("intent", "state", "taken"), [(ENTRY, "unknown", []), (EXIT, "posted", ["a-2"])])
def test_a_courier_killed_between_attempt_and_answer_leaves_an_unknown(
    intent: Intent, state: str, taken: list[str], client: Client, config: Config, broker: Broker
) -> None:
    owe(client, intent)
    client.xadd(keys.deliveries("a"), {"intent": intent.id, "state": "attempt", "status": "", "text": "", "at": "0"})
    streams.ensure_group(client, keys.ledger("a"), GROUP)
    streams.read_group(client, keys.ledger("a"), GROUP, "dead", count=10)
    work(client, config)
    assert Deliveries.read(client, "a").state(intent.id) == state
    assert posted(broker) == taken


def test_an_old_entry_expires_and_an_old_exit_goes(client: Client, config: Config, broker: Broker) -> None:
    late = EXIT.step + 121_000_000_000
    broker.behave(Behaviour())
    owe(client, ENTRY)
    work(client, config)
    owe(client, OTHER, EXIT)
    work(client, config, now=late)
    assert posted(broker) == ["a-1", "a-2"]
    assert Deliveries.read(client, "a").state("a-3") == "expired"


@pytest.mark.parametrize(
    ("intent", "found", "taken"),
    [(OTHER, ["attempt", "expired"], []), (EXIT, ["attempt", "posted"], ["a-2"])],
    ids=["entry", "exit"],
)
def test_a_courier_that_slept_between_attempt_and_post_sends_no_entry_that_is_too_old_by_then(
    intent: Intent,
    found: list[str],
    taken: list[str],
    client: Client,
    config: Config,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [intent.step]

    def sleep(_: str, point: str) -> None:
        """Stop where the attempt is on record and nothing is sent, for longer than an entry may be old."""
        now[0] += 121_000_000_000 if point == "attempted" else 0

    monkeypatch.setattr(courier_module, "pause", sleep)
    courier = engaged(client, config, lambda: now[0])
    courier._take_over()
    owe(client, intent)
    courier._round()
    assert [state for _, state in states(client)] == found
    assert posted(broker) == taken
    voids = [orjson.loads(f[b"request"])["intent"] for _, f in streams.read_range(client, keys.control("a"))]
    assert voids == ([intent.id] if intent.is_entry else [])
    courier.lease.release()


def test_the_kill_switch_thrown_while_an_attempt_is_recorded_still_blocks_the_entry(
    client: Client, config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throw(_: str, point: str) -> None:
        if point == "attempted":
            config.path.with_name(".env").write_text("POLICY_KILLSWITCH=1\n")

    monkeypatch.setattr(courier_module, "pause", throw)
    owe(client, ENTRY)
    work(client, config)
    assert [state for _, state in states(client)] == ["attempt", "blocked"]
    assert broker.requests == []


def test_an_entry_of_a_model_of_a_generated_market_is_posted_on_this_machine_only(
    client: Client, config: Config, broker: Broker
) -> None:
    """Whatever the worker that decided it was told of the webhook; what is open already gets out."""
    judged = evolve(ENTRY, facts={"model": {"score": 0.7, "threshold": 0.5, "data": "generated"}})
    owe(client, judged)
    work(client, config)
    assert [state for _, state in states(client)] == ["attempt", "posted"]
    elsewhere = broker.url("a").replace("127.0.0.1", "127.0.0.2")
    config = load_config(rewritten(config, broker.url("a"), elsewhere), PARAMS, {})
    owe(client, evolve(judged, id="a-4", symbol="GC"), evolve(OTHER, facts={"model": {"data": "recorded"}}))
    work(client, config)
    last = dict(states(client)[2:])
    assert last["a-4"] == "blocked"
    assert "generated" in next(fields[b"text"].decode() for _, fields in reversed(deliveries(client, "a-4")))


def rewritten(config: Config, old: str, new: str) -> Path:
    config.path.write_text(config.path.read_text().replace(old, new))
    return config.path


def deliveries(client: Client, intent: str) -> list[streams.Entry]:
    found = streams.read_range(client, keys.deliveries("a"))
    return [entry for entry in found if entry[1][b"intent"] == intent.encode()]


def test_a_courier_that_was_replaced_records_and_posts_nothing(client: Client, config: Config, broker: Broker) -> None:
    lease = Lease.try_acquire(client, role("a"), "old")
    assert isinstance(lease, Lease)
    stale = Courier(config, "a", client, lease, threading.Event(), clock=lambda: STEP)
    lease.release()
    owe(client, ENTRY)
    newer = Lease.try_acquire(client, role("a"), "new")
    assert isinstance(newer, Lease)
    with pytest.raises(Fenced):
        stale.run()
    assert broker.requests == []


def test_no_record_or_log_holds_the_webhook(
    client: Client, config: Config, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.behave(Behaviour(answer="400", times=1))
    owe(client, ENTRY)
    caplog.set_level("INFO")
    work(client, config)
    held = b"".join(b"".join(f.values()) for _, f in streams.read_range(client, keys.deliveries("a")))
    assert b"webhook" not in held
    assert "webhook" not in caplog.text


def test_what_a_stopped_and_awakened_predecessor_was_served_is_taken_back(
    client: Client, config: Config, broker: Broker
) -> None:
    courier = engaged(client, config)
    streams.ensure_group(client, keys.ledger("a"), GROUP)
    courier._take_over()
    owe(client, ENTRY, EXIT)
    assert len(streams.read_group(client, keys.ledger("a"), GROUP, "awakened", count=10)) == 3
    courier._heartbeat._beat_at = float("-inf")
    courier._round()
    courier._round()
    assert posted(broker) == ["a-1", "a-2"]
    courier.lease.release()


def test_what_a_server_lost_of_the_deliveries_is_not_posted_again(
    server: EmbeddedServer, client: Client, config: Config, broker: Broker
) -> None:
    """The worker decides the same again, and its intents have the same ids."""
    courier = engaged(client, config)
    courier._take_over()
    owe(client, ENTRY)
    courier._round()
    size = size_of(server)
    owe(client, FILL, EXIT)
    courier._round()
    before = states(client)
    assert posted(broker) == ["a-1", "a-2"]
    go_back(server, size)
    with running(courier):
        until(lambda: reachable(client) and ("a-2", "posted") in states(client), "the exit is on record again")
        owe(client, FILL, EXIT, OTHER)
        until(lambda: ("a-3", "posted") in states(client), "the other entry is posted")
    assert posted(broker) == ["a-1", "a-2", "a-3"]
    assert set(before) - set(states(client)) == {("a-2", "attempt")}


def test_an_attempt_whose_record_is_in_doubt_is_no_unknown_because_nothing_was_sent(
    server: EmbeddedServer, client: Client, config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.data_dir.parent)  # a relative path is short enough for a socket
    proxy = LossyProxy(Path("proxy.sock"), server.socket)
    far = client_for(f"unix://{proxy.path.absolute()}")
    courier = engaged(far, config)
    courier._take_over()
    owe(client, ENTRY)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "check", lambda _: proxy.lose_next_reply.set())  # the last thing before the record
        with pytest.raises(redis.ConnectionError):
            courier._round()
    assert (states(client), posted(broker)) == ([("a-1", "attempt")], [])
    with running(courier):
        until(lambda: ("a-1", "posted") in states(client), "it is posted")
    far.close()
    proxy.close()
    assert posted(broker) == ["a-1"]


@pytest.mark.parametrize("gone", ["group", "records of its own token"])
def test_a_courier_whose_cursor_is_gone_makes_it_anew_and_posts_nothing_twice(
    gone: str, client: Client, config: Config, broker: Broker
) -> None:
    courier = engaged(client, config)
    owe(client, ENTRY)
    courier._take_over()
    courier._round()
    if gone == "group":
        client.xgroup_destroy(keys.ledger("a"), GROUP)  # type: ignore[attr-defined]
    else:
        client.delete(keys.lease(role("a")), keys.fence(role("a")))  # type: ignore[attr-defined]
    owe(client, FILL, EXIT)
    with running(courier):
        until(lambda: ("a-2", "posted") in states(client), "the exit is posted")
    assert posted(broker) == ["a-1", "a-2"]


def reachable(client: Client) -> bool:
    """Tell whether the server answers this client."""
    try:
        return client.ping()
    except redis.ConnectionError:
        return False
