"""The receiver of alerts: what apprise sends to it, and how it is told to fail."""

import json
from pathlib import Path

import requests

from pine.core.config import Secret
from pine.ops.alerts.message import Message
from pine.ops.alerts.services import plugin_post
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.inbox import Inbox


def test_what_apprise_sends_is_kept_with_title_text_and_kind(tmp_path: Path) -> None:
    with Inbox(out=tmp_path / "out.jsonl", clock=lambda: 7) as inbox:
        post = plugin_post(Secret(inbox.url))
        assert post is not None
        assert post(Message("halt", "one is halted", "By anna: lunch\n<b>&", urgent=True))
        assert post(Message("halt", "one is resumed", good=True))
        assert post(Message("late_trades", "2 late trades", "in no bar"))
        inbox.behave(Behaviour("429", times=1))
        assert not post(Message("summary", "The day"))
        inbox.behave(Behaviour("drop", times=1))
        assert not post(Message("summary", "The day"))
        assert post(Message("summary", "The day", "flat"))
        found = inbox.requests
    assert [(r["title"], r["message"], r["type"], r["status"], r["accepted"]) for r in found] == [
        ("one is halted", "By anna: lunch\n<b>&", "failure", 200, True),
        ("one is resumed", "one is resumed", "success", 200, True),
        ("2 late trades", "in no bar", "warning", 200, True),
        ("The day", "The day", "info", 429, False),
        ("The day", "The day", "info", None, False),
        ("The day", "flat", "info", 200, True),
    ]
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == found
    assert {r["received_at"] for r in found} == {7}


def test_it_is_asked_and_told_over_http_and_refuses_what_is_no_message() -> None:
    with Inbox() as inbox:
        url = inbox.url.replace("json://", "http://")
        assert requests.post(url, data="junk", timeout=5).status_code == 400
        assert requests.post(f"{url}_sandbox/behaviour", json={"answer": "junk"}, timeout=5).status_code == 400
        assert requests.post(f"{url}_sandbox/behaviour", json={"answer": "500"}, timeout=5).status_code == 200
        assert requests.post(url, json={"title": "a", "message": "b"}, timeout=5).status_code == 500
        (kept,) = requests.get(f"{url}_sandbox/requests", timeout=5).json()
        assert (kept["title"], kept["status"]) == ("a", 500)
        assert requests.get(url, timeout=5).status_code == 404
        assert inbox.titles == []
