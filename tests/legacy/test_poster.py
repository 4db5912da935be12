"""What --live posts: once, in order, and what it leaves alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pine.core.config import OrdersConfig, Secret
from pine.core.times import to_datetime
from pine.legacy.poster import Poster
from pine.orders.entries import Intent
from pine.orders.traderspost import TradersPost
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.broker import Broker

STEP = 1709647200_000_000_000


def intent(n: int, action: str = "buy", entry: str | None = None) -> Intent:
    ident = f"one-{to_datetime(STEP):%Y%m%dT%H%M}Z-ES-{n}"
    return Intent(ident, STEP, "ES", action, "ESH4", "ESH2024", 1, 5000.0, "test", {}, entry)  # type: ignore[arg-type]


@contextmanager
def posting(
    broker: Broker, blocked: Callable[[Intent], str | None] = lambda _: None, age_s: int = 1, retries: int = 2
) -> Iterator[Poster]:
    web = TradersPost(Secret(broker.url("one"), where="webhook"), 2.0)
    orders = OrdersConfig(retries=retries)
    poster = Poster("one", web, orders, blocked, lambda: STEP + age_s * 10**9)
    try:
        yield poster
    finally:
        poster.finish(10.0)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


def posted(broker: Broker) -> list[str]:
    return [request["body"]["extras"]["intent"].rsplit("-", 1)[1] for request in broker.requests if request["accepted"]]


def test_intents_are_posted_once_in_order(broker: Broker) -> None:
    with posting(broker) as poster:
        for item in (intent(0), intent(1, "exit", intent(0).id), intent(2)):
            poster.take(item)
    assert posted(broker) == ["0", "1", "2"]
    assert poster.outcomes == {"posted": 3}


def test_an_entry_that_was_refused_takes_its_exit_along(broker: Broker) -> None:
    broker.behave(Behaviour("400", times=1))
    with posting(broker) as poster:
        poster.take(intent(0))
        poster.take(intent(1, "exit", intent(0).id))
        poster.take(intent(2))
    assert poster.outcomes == {"rejected": 1, "skipped": 1, "posted": 1}
    assert posted(broker) == ["2"]


@pytest.mark.parametrize(("age_s", "reason", "state"), [(121, None, "expired"), (1, "kill switch", "blocked")])
def test_old_and_blocked_entries_stay_unposted_and_exits_go(
    broker: Broker, age_s: int, reason: str | None, state: str
) -> None:
    with posting(broker, lambda _: reason, age_s) as poster:
        poster.take(intent(0))
        poster.take(intent(1, "exit", "another"))
    assert poster.outcomes == {state: 1, "posted": 1}
    assert posted(broker) == ["1"]


def test_a_refusal_for_the_moment_is_tried_again(broker: Broker) -> None:
    broker.behave(Behaviour("429", retry_after=0.01, times=2))
    with posting(broker) as poster:
        poster.take(intent(0))
    assert posted(broker) == ["0"]
    assert len(broker.requests) == 3


def test_an_entry_of_unknown_outcome_is_not_repeated_and_its_exit_goes(broker: Broker) -> None:
    broker.behave(Behaviour("drop_after", times=1))
    with posting(broker) as poster:
        poster.take(intent(0))
        poster.take(intent(1, "exit", intent(0).id))
    assert poster.outcomes == {"unknown": 1, "posted": 1}
    assert [request["body"]["extras"]["intent"][-1] for request in broker.requests] == ["0", "1"]


def test_what_cannot_be_posted_before_the_end_is_said(broker: Broker) -> None:
    broker.behave(Behaviour("500"))
    with posting(broker, retries=100) as poster:
        poster.take(intent(0))
        assert not poster.finish(1.0)
    assert poster.outcomes == {"lost": 1}
    assert "the process ends before it could be posted" in poster.last
