"""The webhook: what is sent, what is known afterwards, and that its address is told to nobody."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from pine.core.config import Secret
from pine.orders.entries import Intent
from pine.orders.traderspost import Answer, TradersPost, Verdict, payload
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.broker import Broker

SECRET = "b7c1-pa55w0rd"

INTENT = Intent(
    id="ibs_a-20240312T1501Z-ES-0",
    step=1_710_255_660 * 10**9,
    symbol="ES",
    action="buy",
    contract="MESH4",
    ticker="MESH2024",
    quantity=2,
    price=5101.25,
    reason="IBS entry",
    facts={"ibs": 0.1, "risk": {"busy": 0}},
)
BODY = payload("ibs_a", INTENT)

Poster = Callable[..., TradersPost]


@pytest.fixture
def poster() -> Iterator[Poster]:
    made: list[TradersPost] = []

    def poster(url: str, timeout: float = 20.0) -> TradersPost:
        made.append(TradersPost(Secret(url, where="strategies.ibs_a.webhook"), timeout))
        return made[-1]

    yield poster
    for one in made:
        one._session.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def canned() -> Iterator[Callable[..., str]]:
    """Start a server that gives one prepared answer to every post, and return its webhook address."""
    servers: list[ThreadingHTTPServer] = []

    def canned(status: int, body: str = "{}", **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                data = body.replace("{path}", self.path).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/trading/webhook/{SECRET}"

    yield canned
    for server in servers:
        server.shutdown()
        server.server_close()


# ---- what is sent


def test_body_by_hand() -> None:
    assert BODY == {
        "ticker": "MESH2024",
        "action": "buy",
        "quantity": 2,
        "price": 5101.25,
        "orderType": "market",
        "timeInForce": "day",
        "extras": {
            "strategy": "ibs_a",
            "intent": "ibs_a-20240312T1501Z-ES-0",
            "symbol": "ES",
            "contract": "MESH4",
            "reason": "IBS entry",
            "ibs": 0.1,
            "risk": {"busy": 0},
        },
    }


@pytest.mark.parametrize("action", ["buy", "sell", "exit"])
def test_every_action_is_one_that_the_receiver_takes(broker: Broker, poster: Poster, action: Any) -> None:
    body = payload("ibs_a", evolve(INTENT, action=action))
    assert body["action"] == action
    assert poster(broker.url("ibs_a")).post(body).verdict is Verdict.ACCEPTED
    (request,) = broker.requests
    assert request["body"] == body
    assert request["path"] == "/trading/webhook/ibs_a/sandbox"
    assert request["headers"]["content-type"] == "application/json"
    assert request["headers"]["user-agent"].startswith("pine/")


def test_facts_of_a_rule_cannot_stand_in_for_the_identity_of_the_intent() -> None:
    facts = {"intent": "another", "strategy": "another", "symbol": "NQ", "contract": "NQH4", "reason": "mood"}
    extras = payload("ibs_a", evolve(INTENT, facts=facts))["extras"]
    assert (extras["strategy"], extras["intent"]) == ("ibs_a", INTENT.id)
    assert (extras["symbol"], extras["contract"], extras["reason"]) == ("ES", "MESH4", "IBS entry")


# ---- what an answer means


@pytest.mark.parametrize(
    ("answer", "verdict", "status"),
    [
        ("ok", Verdict.ACCEPTED, 200),
        ("400", Verdict.REFUSED, 400),
        ("429", Verdict.TRY_AGAIN, 429),
        ("500", Verdict.TRY_AGAIN, 500),
    ],
)
def test_answer_of_the_receiver(broker: Broker, poster: Poster, answer: str, verdict: Verdict, status: int) -> None:
    broker.behave(Behaviour(answer))
    found = poster(broker.url("ibs_a")).post(BODY)
    assert (found.verdict, found.status, found.retry_after) == (verdict, status, None)
    assert len(broker.requests) == 1


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (201, Verdict.ACCEPTED),
        (204, Verdict.ACCEPTED),
        (401, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (422, Verdict.REFUSED),
        (502, Verdict.TRY_AGAIN),
        (503, Verdict.TRY_AGAIN),
    ],
)
def test_other_statuses(canned: Callable[..., str], poster: Poster, status: int, verdict: Verdict) -> None:
    found = poster(canned(status, "")).post(BODY)
    assert (found.verdict, found.status) == (verdict, status)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_answer_that_sends_us_elsewhere_is_not_acceptance(
    broker: Broker, canned: Callable[..., str], poster: Poster, status: int
) -> None:
    found = poster(canned(status, "", Location=broker.url("elsewhere"))).post(BODY)
    assert found.verdict is not Verdict.ACCEPTED
    assert broker.requests == []


def test_what_the_receiver_says_is_kept_in_short(canned: Callable[..., str], poster: Poster) -> None:
    found = poster(canned(400, "No open position. " + "x" * 1000)).post(BODY)
    assert found.text.startswith("No open position.")
    assert len(found.text) == 200


@pytest.mark.parametrize("answer", ["429", "500"])
def test_wish_to_wait_in_seconds(broker: Broker, poster: Poster, answer: str) -> None:
    broker.behave(Behaviour(answer, retry_after=7))
    assert poster(broker.url("ibs_a")).post(BODY).retry_after == 7.0


NOW = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_wish_to_wait_as_a_number_or_a_date(
    canned: Callable[..., str], poster: Poster, monkeypatch: pytest.MonkeyPatch, header: str, seconds: float | None
) -> None:
    monkeypatch.setattr("pine.orders.traderspost.time", SimpleNamespace(time=NOW.timestamp))
    found = poster(canned(429, Retry_After=header)).post(BODY)
    assert (found.verdict, found.retry_after) == (Verdict.TRY_AGAIN, seconds)


@pytest.mark.parametrize("header", ["inf", "nan", "1e999"])
def test_wish_to_wait_for_ever_is_no_wish(canned: Callable[..., str], poster: Poster, header: str) -> None:
    assert poster(canned(429, Retry_After=header)).post(BODY).retry_after is None


# ---- no answer


@pytest.mark.parametrize(("answer", "accepted"), [("drop_before", False), ("drop_after", True)])
def test_connection_dropped_without_an_answer_is_unknown(
    broker: Broker, poster: Poster, answer: str, accepted: bool
) -> None:
    broker.behave(Behaviour(answer))
    assert poster(broker.url("ibs_a")).post(BODY) == Answer(Verdict.UNKNOWN, text="connection broken")
    assert [request["accepted"] for request in broker.requests] == [accepted]


def test_receiver_that_does_not_answer_in_time_is_unknown_and_is_asked_once(broker: Broker, poster: Poster) -> None:
    broker.behave(Behaviour("slow", delay=600))
    assert poster(broker.url("ibs_a"), timeout=0.3).post(BODY) == Answer(Verdict.UNKNOWN, text="read timeout")
    assert len(broker.requests) == 1


def test_answer_whose_text_breaks_off_counts_by_its_status(poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def half_an_answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")

        thread = threading.Thread(target=half_an_answer)
        thread.start()
        found = poster(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}").post(BODY)
        thread.join()
    assert (found.verdict, found.status) == (Verdict.ACCEPTED, 200)
    assert SECRET not in found.text


def test_refused_connection_can_be_tried_again(poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert poster(f"http://127.0.0.1:{port}/{SECRET}").post(BODY) == Answer(Verdict.TRY_AGAIN, text="no connection")


@pytest.mark.parametrize("url", ["https://:443/hook", "https://[::1/hook", "https://.example/hook", "nonsense"])
def test_address_that_cannot_be_used_is_known_to_have_sent_nothing(poster: Poster, url: str) -> None:
    assert poster(url).post(BODY).verdict in (Verdict.REFUSED, Verdict.TRY_AGAIN)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_body_that_is_no_json_is_known_to_have_sent_nothing(broker: Broker, poster: Poster, value: float) -> None:
    found = poster(broker.url("ibs_a")).post(payload("ibs_a", evolve(INTENT, facts={"z": value})))
    assert found.verdict in (Verdict.REFUSED, Verdict.TRY_AGAIN)
    assert broker.requests == []


def test_receiver_that_comes_back_is_served_by_the_same_client(broker: Broker, poster: Poster) -> None:
    client = poster(broker.url("ibs_a"))
    broker.behave(Behaviour("drop_before", times=1))
    verdicts = [client.post(BODY).verdict for _ in range(3)]
    assert verdicts == [Verdict.UNKNOWN, Verdict.ACCEPTED, Verdict.ACCEPTED]


# ---- secrecy


@pytest.mark.parametrize("answer", ["ok", "400", "429", "500", "drop_before", "drop_after"])
def test_address_is_in_no_answer_and_no_log(
    broker: Broker, poster: Poster, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    caplog.set_level(logging.INFO)
    broker.behave(Behaviour(answer))
    client = poster(broker.url(SECRET))
    found = client.post(BODY)
    assert SECRET not in f"{found} {client}"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("timeout", [20.0, 0.3])
def test_address_is_in_no_answer_and_no_log_when_there_is_nobody(
    poster: Poster, caplog: pytest.LogCaptureFixture, timeout: float
) -> None:
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"
        if timeout == 0.3:  # somebody who never speaks
            found = poster(url, timeout).post(BODY)
    if timeout != 0.3:
        found = poster(url, timeout).post(BODY)
    assert SECRET not in str(found)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("status", [200, 404, 500])
def test_address_that_the_answer_repeats_is_taken_out(canned: Callable[..., str], poster: Poster, status: int) -> None:
    # what Express answers to an unknown path
    found = poster(canned(status, "<pre>Cannot POST {path}</pre>")).post(BODY)
    assert found.status == status
    assert SECRET not in found.text


def test_client_does_not_show_its_address(poster: Poster) -> None:
    assert SECRET not in repr(poster(f"https://hooks.example/{SECRET}"))
