"""The webhook receiver: what it accepts, what it keeps, and how it misbehaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pine.core.errors import DataError, SandboxError
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.broker import Broker
from pine.sandbox.payload import read_payload

BUY = {"ticker": "ESH2024", "action": "buy", "quantity": 1, "orderType": "market", "timeInForce": "day"}
TIMEOUT_S = 10


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
def broker(out: Path) -> Iterator[Broker]:
    with Broker(out=out) as running:
        yield running


def post(broker: Broker, body: Any = BUY, name: str = "ibs") -> requests.Response:
    return requests.post(broker.url(name), json=body, timeout=TIMEOUT_S)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_valid_signal_is_answered_as_the_vendor_does_and_kept(broker: Broker, out: Path) -> None:
    answer = post(broker)
    assert answer.status_code == 200
    content = answer.json()
    assert content["success"] is True
    assert content["payload"] == BUY
    assert content["id"] != content["logId"]
    (kept,) = lines(out)
    assert kept["body"] == BUY
    assert kept["path"] == "/trading/webhook/ibs/sandbox"
    assert kept["headers"]["content-type"] == "application/json"
    assert kept["headers"]["user-agent"].startswith("python-requests")
    assert (kept["status"], kept["accepted"]) == (200, True)
    assert kept["received_at"] > 1_700_000_000 * 10**9
    assert broker.requests == [kept]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"action": "sell"},
        {"action": "exit"},
        {"action": "cancel"},
        {"action": "add"},
        {"quantity": 2.5},
        {"quantity": "3"},
        {"orderType": "stop_limit", "price": 5000.25},
        {"price": "5000.25"},
        {"timeInForce": "gtc"},
        {"extras": {"anything": [1, None]}},
    ],
)
def test_documented_fields_are_accepted(change: dict[str, Any]) -> None:
    assert read_payload(json.dumps(BUY | change).encode()) == BUY | change


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ticker=ES&action=buy",
        b"[]",
        b'"buy"',
        b"{}",
        b'{"ticker": "ESH2024"}',
        b'{"action": "buy"}',
        b'{"ticker": "", "action": "buy"}',
        b'{"ticker": 5, "action": "buy"}',
        b'{"ticker": "ESH2024", "action": "reverse"}',
        b'{"ticker": "ESH2024", "action": ["buy"]}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": 0}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": -1}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": true}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": "many"}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": null}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": NaN}',
        b'{"ticker": "ESH2024", "action": "buy", "quantity": 1e999}',
        b'{"ticker": "ESH2024", "action": "buy", "orderType": "twap"}',
        b'{"ticker": "ESH2024", "action": "buy", "timeInForce": "never"}',
        b'{"ticker": "ESH2024", "action": "buy", "price": "cheap"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_invalid_signal_is_refused_and_kept(broker: Broker, out: Path, body: bytes) -> None:
    answer = requests.post(broker.url("x"), data=body, timeout=TIMEOUT_S)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["messageCode"] == "invalid-payload"
    assert answer.json()["message"]
    (kept,) = lines(out)
    assert (kept["status"], kept["accepted"]) == (400, False)


@pytest.mark.parametrize("status", ["429", "500", "400"])
def test_refusals_end_after_the_number_told(broker: Broker, out: Path, status: str) -> None:
    broker.behave(Behaviour(status, times=2, retry_after=7))
    answers = [post(broker) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [int(status), int(status), 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]
    assert [kept["accepted"] for kept in lines(out)] == [False, False, True]


def test_invalid_signal_does_not_use_up_a_told_refusal(broker: Broker) -> None:
    broker.behave(Behaviour("500", times=1))
    assert post(broker, {}).status_code == 400
    assert post(broker).status_code == 500


@pytest.mark.parametrize(("answer", "accepted"), [("drop", False), ("drop_before", False), ("drop_after", True)])
def test_dropped_request_has_no_answer(broker: Broker, out: Path, answer: str, accepted: bool) -> None:
    broker.behave(Behaviour(answer, times=1))
    with pytest.raises(requests.ConnectionError):
        post(broker)
    (kept,) = lines(out)
    assert (kept["status"], kept["accepted"]) == (None, accepted)
    assert post(broker).status_code == 200


def test_slow_answer_comes_after_the_signal_was_accepted(broker: Broker, out: Path) -> None:
    broker.behave(Behaviour("slow", delay=60, times=1))
    with pytest.raises(requests.ReadTimeout):
        requests.post(broker.url("x"), json=BUY, timeout=(TIMEOUT_S, 0.2))
    assert [kept["accepted"] for kept in lines(out)] == [True]


def test_behaviour_changes_at_run_time_over_http(broker: Broker) -> None:
    base = f"http://127.0.0.1:{broker.port}"
    change = requests.post(f"{base}/_sandbox/behaviour", json={"answer": 500, "times": 1}, timeout=TIMEOUT_S)
    assert change.json() == {"success": True}
    assert [post(broker).status_code for _ in range(2)] == [500, 200]
    kept = requests.get(f"{base}/_sandbox/requests", timeout=TIMEOUT_S).json()
    assert [request["status"] for request in kept] == [500, 200]


@pytest.mark.parametrize(
    "body", ['{"answer": "explode"}', '{"dealy": 1}', "[]", "no", '{"times": -1}', '{"times": 1.5}']
)
def test_unknown_behaviour_is_refused(broker: Broker, body: str) -> None:
    url = f"http://127.0.0.1:{broker.port}/_sandbox/behaviour"
    answer = requests.post(url, data=body, timeout=TIMEOUT_S)
    assert answer.status_code == 400
    assert post(broker).status_code == 200


def test_page_that_does_not_exist(broker: Broker, out: Path) -> None:
    base = f"http://127.0.0.1:{broker.port}"
    assert requests.get(f"{base}/", timeout=TIMEOUT_S).status_code == 404
    assert requests.post(f"{base}/", json=BUY, timeout=TIMEOUT_S).status_code == 404
    assert requests.post(f"{base}/a", data=iter([b"{}"]), timeout=TIMEOUT_S).status_code == 411
    assert lines(out) == []


def test_one_connection_serves_many_requests_and_ends_with_the_receiver(out: Path) -> None:
    broker = Broker(out=out)
    broker.start()
    with requests.Session() as session:
        url = broker.url("x")
        assert [session.post(url, json=BUY, timeout=TIMEOUT_S).status_code for _ in range(3)] == [200] * 3
        broker.stop()
        with pytest.raises(requests.ConnectionError):
            session.post(url, json=BUY, timeout=TIMEOUT_S)
    assert len(lines(out)) == 3


def test_requests_at_the_same_time_are_all_kept(broker: Broker, out: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: post(broker, BUY | {"quantity": n}).status_code, range(1, 41)))
    assert codes == [200] * 40
    assert sorted(kept["body"]["quantity"] for kept in lines(out)) == list(range(1, 41))


def test_file_of_an_earlier_run_is_continued(out: Path) -> None:
    for _ in range(2):
        with Broker(out=out) as broker:
            post(broker)
    assert len(lines(out)) == 2


def test_taken_port_is_an_error(broker: Broker) -> None:
    with pytest.raises(SandboxError, match=str(broker.port)):
        Broker(port=broker.port).start()
    with pytest.raises(SandboxError, match="not started"):
        _ = Broker().port


def test_process_tells_its_port_and_ends_on_a_signal(out: Path) -> None:
    program = "import sys; from pathlib import Path; from pine.sandbox.broker import Broker; "
    program += f"sys.exit(Broker(out=Path({str(out)!r})).run())"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        assert event["event"] == "listening"
        url = f"http://127.0.0.1:{event['port']}/trading/webhook/a/b"
        assert requests.post(url, json=BUY, timeout=TIMEOUT_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=TIMEOUT_S) == 0
    assert [kept["path"] for kept in lines(out)] == ["/trading/webhook/a/b"]


def read_or_reason(body: bytes) -> dict[str, object] | str:
    """The signal, or the sentence it is refused with; any other error fails the test."""
    try:
        return read_payload(body)
    except DataError as error:
        return str(error)


letters = st.text("ab", max_size=2)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["ticker", "action", "quantity", "orderType", "timeInForce", "price", "note"]),
        json_values | st.sampled_from(["buy", "ES", 1, "market", "day"]),
    )
)
def test_any_object_is_either_echoed_or_refused_with_a_sentence(payload: dict[str, Any]) -> None:
    outcome = read_or_reason(json.dumps(payload).encode())
    assert outcome in (payload, str(outcome))
    assert outcome


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert read_or_reason(body)


@given(st.integers(0, 5), st.integers(0, 8))
def test_behaviour_lasts_exactly_as_often_as_told(times: int, requests_made: int) -> None:
    behaviour = Behaviour("500", times=times)
    seen = []
    for _ in range(requests_made):
        mine, behaviour = behaviour.after_one()
        seen.append(mine.answer)
    assert seen == (["500"] * times + ["ok"] * requests_made)[:requests_made]
