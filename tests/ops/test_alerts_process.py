"""``pine alerts`` as a process, with a receiver that apprise posts to: killed, doubled, and with services that fail."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define
from market import configure
from waiting import DEADLINE_S, until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.pauses import Holder
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.times import parse_time
from pine.ops.alerts.message import Message
from pine.ops.alerts.outbox import Parcel
from pine.ops.alerts.services import Postman, Service
from pine.orders.entries import Control, encode
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.inbox import Inbox

STEP = parse_time("2024-03-05T14:00") // 1_000_000
TEXT = """
data_dir: data
hub: {{clock: tape}}
instruments: {{ES: {{}}}}
strategies:
  one: {{type: ibs, enabled: false, instruments: [ES]}}
alerts: {{urls: [{urls}], "on": [halt]}}
"""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as found:
        yield found


@pytest.fixture
def other() -> Iterator[Inbox]:
    with Inbox() as found:
        yield found


def configured(folder: Path, *urls: str) -> Config:
    return configure(folder, TEXT.format(urls=", ".join(f'"{url}"' for url in urls)))


@define
class Process:
    running: subprocess.Popen[bytes]
    log: Path

    def end(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(DEADLINE_S)

    def kill(self, client: Client) -> None:
        """Kill it, and let its role run out at once."""
        self.running.kill()
        self.running.wait()
        client.delete(keys.lease(keys.ALERTS))  # type: ignore[attr-defined]

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    begun: list[Process] = []

    def begin(config: Config, environment: dict[str, str] | None = None) -> Process:
        log = tmp_path / f"alerts-{len(begun)}.log"
        with log.open("wb") as sink:
            command = [sys.executable, "-m", "pine", "-c", str(config.path), "alerts"]
            variables = {**os.environ, **(environment or {})}
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=variables)
        begun.append(Process(running, log))
        return begun[-1]

    yield begin
    for process in begun:
        process.running.kill()
        process.running.wait()


def watching(client: Client, process: Process) -> None:
    def watches() -> bool:
        assert process.running.poll() is None, process.said()
        return client.hget(keys.heartbeat(keys.ALERTS), "pid") == b"%d" % process.running.pid

    until(watches, "it watches")


def control(client: Client, n: int, order: str) -> None:
    writer = Writer(client, "worker:one", 1)
    entry = encode(Control(order, "lunch", "anna", f"{n}-0"))  # type: ignore[arg-type]
    writer.append(keys.ledger("one"), streams.entry_id(STEP, n), {"entry": entry})
    writer.commit()


def arrived(inbox: Inbox, titles: Sequence[str]) -> None:
    until(lambda: len(inbox.titles) >= len(titles), f"{', '.join(titles)} arrive")
    assert inbox.titles == list(titles)


def test_what_was_told_is_not_told_again_when_the_process_is_killed_and_another_takes_over(
    client: Client, tmp_path: Path, inbox: Inbox, start: Callable[..., Process]
) -> None:
    """The second waits for the role of the first; events and the switch's state are known to both."""
    config = configured(tmp_path, inbox.url)
    first = start(config)
    watching(client, first)
    second = start(config)
    until(lambda: "waiting" in second.said(), "the second waits")
    (tmp_path / ".env").write_text("POLICY_KILLSWITCH=1\n")
    arrived(inbox, ["the kill switch is on"])
    control(client, 1, "halt")
    arrived(inbox, ["the kill switch is on", "one is halted"])
    until(lambda: not client.hgetall(keys.WAITING), "that it arrived is on record")
    first.kill(client)
    watching(client, second)
    control(client, 2, "resume")
    (tmp_path / ".env").unlink()
    all_told = ["the kill switch is on", "one is halted", "one is resumed", "the kill switch is off"]
    until(lambda: len(inbox.titles) >= len(all_told), "the rest arrives")
    assert sorted(inbox.titles) == sorted(all_told)
    halted = next(request for request in inbox.requests if request["title"] == "one is halted")
    assert halted["message"].startswith("By anna: lunch\nNo new entries, exits go. pine resume one -c ")
    assert halted["type"] == "failure"
    assert second.end() == 0
    assert client.get(keys.lease(keys.ALERTS)) is None
    assert client.hget(keys.heartbeat(keys.ALERTS), "status") == b"stopped"


@pytest.mark.parametrize(("point", "times"), [("noted", 1), pytest.param("sent", 2, marks=pytest.mark.long)])
def test_killed_between_noting_and_sending_it_is_sent_once_between_sending_and_noting_twice(
    point: str, times: int, client: Client, tmp_path: Path, inbox: Inbox, start: Callable[..., Process]
) -> None:
    config = configured(tmp_path, inbox.url)
    holder = Holder(tmp_path / "pauses")
    first = start(config, holder.environment)
    watching(client, first)
    holder.ask(keys.ALERTS, point)
    if point == "noted":  # it comes by this point at each look: at the next one it has news
        until(lambda: holder.held(keys.ALERTS, point), "it is held")
        holder.ask(keys.ALERTS, point)
    control(client, 1, "halt")
    (holder.folder / f"{keys.ALERTS}.noted.held").unlink(missing_ok=True)
    until(lambda: client.hgetall(keys.WAITING), "it is on record")
    until(lambda: holder.held(keys.ALERTS, point) == first.running.pid, "it is held")
    assert inbox.titles == ["one is halted"] * (times - 1)
    first.kill(client)
    second = start(config)
    watching(client, second)
    control(client, 2, "resume")
    arrived(inbox, ["one is halted"] * times + ["one is resumed"])
    assert second.end() == 0


def test_a_service_that_hangs_or_refuses_holds_up_nobody_and_shows_no_secret(
    client: Client, tmp_path: Path, inbox: Inbox, other: Inbox, start: Callable[..., Process]
) -> None:
    inbox.behave(Behaviour("500", times=1))
    other.behave(Behaviour("slow", delay=600))
    config = configured(tmp_path, f"{inbox.url}HIDDENPATH", f"{other.url}HIDDENPATH")
    process = start(config)
    watching(client, process)
    control(client, 1, "halt")
    arrived(inbox, ["one is halted"])
    control(client, 2, "resume")
    arrived(inbox, ["one is halted", "one is resumed"])
    assert [request["status"] for request in inbox.requests] == [500, 200, 200]
    assert process.end() == 0
    assert '"service":"1 json"' in process.said()
    assert "HIDDEN" not in process.said()
    left = [value.decode() for value in client.hgetall(keys.WAITING).values()]
    assert len(left) == 2
    assert "HIDDEN" not in "".join(left)


@contextmanager
def carrying(service: Service, sent: list[str]) -> Iterator[Postman]:
    postman = Postman(service, lambda identifier, _: sent.append(identifier))
    postman.start()
    try:
        yield postman
    finally:
        postman.stop()
        postman.join()


def test_what_has_arrived_is_not_carried_again_before_its_sender_knows() -> None:
    sent: list[str] = []
    parcels = [Parcel(f"1-{n}", Message("halt", str(n), urgent=n == 2), n, ["1 json"]) for n in range(3)]
    with carrying(Service("1 json", lambda message: True), sent) as postman:
        postman.replace(parcels)
        until(lambda: len(sent) == 3, "all arrive")
        for _ in range(5):
            postman.replace(parcels)
        postman.replace([*parcels, Parcel("1-9", Message("halt", "last"), 9, ["1 json"])])
        until(lambda: "1-9" in sent, "the last arrives")
    assert sent == ["1-2", "1-0", "1-1", "1-9"]
