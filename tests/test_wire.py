"""What docs/wire.md shows to other programs is what pine reads and writes."""

import re
from pathlib import Path

import orjson
import pytest

from pine.core.bar import Bar
from pine.feeds.steps import parse_event
from pine.orders.entries import decode, encode
from pine.orders.requests import read_request

DOCUMENT = Path(__file__).parents[1] / "docs" / "wire.md"


def shown(kind: str) -> list[bytes]:
    (block,) = re.findall(rf"^```json {kind}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return block.strip().encode().splitlines()


def test_a_bar() -> None:
    assert [Bar.from_json(line).to_json() for line in shown("bar")] == shown("bar")


@pytest.mark.parametrize("line", shown("entry"), ids=lambda line: orjson.loads(line)["kind"])
def test_every_kind_of_entry(line: bytes) -> None:
    assert encode(decode(line)) == line


def test_every_kind_of_entry_is_shown() -> None:
    from pine.orders.entries import _KINDS

    assert {orjson.loads(line)["kind"] for line in shown("entry")} == _KINDS.keys()


def test_events() -> None:
    assert [parse_event(0, {b"event": line}).symbol for line in shown("event")] == ["ES", "ES"]


@pytest.mark.parametrize("line", shown("request"), ids=lambda line: orjson.loads(line)["order"])
def test_every_request(line: bytes) -> None:
    assert read_request("1-0", {b"request": line}) is not None
