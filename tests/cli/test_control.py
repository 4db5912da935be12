"""Who says what to a strategy, as it is kept; and what a halt of a strategy that has never run is answered."""

import os
from typing import Any

import orjson
import pytest

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.cli.options import LONGEST_SAID

from .conftest import Shell


def asked(server: EmbeddedServer, strategy: str) -> list[dict[str, Any]]:
    client: Client = client_for(server.url)
    try:
        return [orjson.loads(fields[b"request"]) for _, fields in client.xrange(keys.control(strategy))]
    finally:
        client.close()


@pytest.mark.parametrize("order", ["halt", "resume", "flatten"])
def test_what_is_told_to_strategies_that_never_ran_is_on_record_and_no_failure(
    order: str, pine: Shell, server: EmbeddedServer
) -> None:
    certain = ["--yes"] if order == "flatten" else []
    ran = pine.quick(order, "--all", "--who", "anna", *certain)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"{name}: has never run; {order} is on record and booked before its first step" for name in ("ibs_a", "asleep")
    ]
    assert [request["order"] for request in asked(server, "asleep")] == [order]
    ran = pine.quick(order, "asleep", "--json", *certain)
    (answer,) = orjson.loads(ran.out)["answers"]
    assert (ran.code, answer["step"], answer["order"]) == (0, None, order)


def test_who_and_why_are_kept_as_one_short_line_of_text(pine: Shell, server: EmbeddedServer) -> None:
    said = ("--who", "anna\x1b[31m\udcff", "--reason", "one\ntwo\u2028" + "x" * 500)
    assert pine.quick("halt", "asleep", *said).code == 0
    (request,) = asked(server, "asleep")
    assert request["who"] == "anna [31m?"
    assert request["reason"] == ("one two " + "x" * 500)[:LONGEST_SAID]


def test_a_user_without_a_name_is_told_by_number(
    pine: Shell, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 424_242)
    assert pine.quick("halt", "asleep").code == 0
    (request,) = asked(server, "asleep")
    assert request["who"] == "uid 424242"
