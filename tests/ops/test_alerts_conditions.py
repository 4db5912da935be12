"""What is wrong at the moment: told once it has lasted, once when it is over, whatever is restarted in between."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.timeframe import NS_PER_SECOND
from pine.ops.alerts.conditions import GRACE_S, OVER_S, Watch, seen
from pine.ops.alerts.message import Message, together

GOOD: dict[str, Any] = {
    "hub": {
        "running": True,
        "heartbeat": {"status": "running"},
        "stale": False,
        "market_open": True,
        "data_age_s": 2.0,
    },
    "kill_switch": None,
    "strategies": {
        name: {
            "enabled": True,
            "worker": {"running": True, "status": "running"},
            "courier": {"state": "running", "owed": 0, "overdue": []},
            "positions": [{"contract": "ESH4", "quantity": 1, "price": 5100.0}],
            "differs": [],
            "lag": 0,
        }
        for name in ("one", "two")
    },
}


LATE: dict[str, Any] = {
    "intent": "one-1", "quantity": 1, "contract": "ESH4", "owed_s": 300, "attempts": 9, "text": "no connection"
}  # fmt: skip


def facts(**changes: Any) -> dict[str, Any]:
    """Return facts in which all is well but for what is named, such as ``hub__running=False``."""
    found = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *place, name = path.split("__")
        holder = found
        for part in place:
            holder = holder[part]
        holder[name] = value
    return found


def life(*looks: tuple[float, dict[str, Any]]) -> list[tuple[float, str]]:
    """Return what one process tells, with the second at which it does."""
    watch = Watch()
    return [
        (second, message.title)
        for second, found in looks
        for message in watch.look(seen(found), round(second * NS_PER_SECOND))
    ]


def test_all_being_well_there_is_nothing_to_tell() -> None:
    assert seen(facts()).present == {}
    assert life(*((n, facts()) for n in range(1000))) == []


@pytest.mark.parametrize(
    ("changes", "key", "title"),
    [
        ({"hub__running": False}, "hub_down", "the hub is down"),
        ({"hub__heartbeat": {}}, "hub_down", "the hub does not answer"),
        ({"hub__stale": True, "hub__data_age_s": 300.0}, "stale_data", "no data for 5 min in an open market"),
        ({"strategies__one__worker__running": False}, "worker_down one", "worker one is down"),
        ({"strategies__one__worker__status": None}, "worker_down one", "worker one does not answer"),
        (
            {"strategies__one__courier": {"state": "not running", "owed": 3, "overdue": [LATE]}},
            "delivery one",
            "courier one is down and owes 3 webhooks",
        ),
        (
            {"strategies__one__differs": ["+1 ESH4 on paper, nothing sent"]},
            "positions one",
            "one: paper and sent differ",
        ),
        ({"kill_switch": "POLICY_KILLSWITCH is on"}, "halt kill switch", "the kill switch is on"),
    ],
)
def test_each_thing_that_is_wrong_is_named_with_what_to_do(changes: dict[str, Any], key: str, title: str) -> None:
    (found,) = seen(facts(**changes), " -c other.yaml").present.values()
    assert (found.key, found.title) == (key, title)
    assert "-c other.yaml" in found.body or "log" in found.body


def test_a_worker_that_is_down_says_what_it_holds_and_how_far_it_is_behind() -> None:
    down = facts(strategies__one__worker__running=False, strategies__one__lag=1200)
    body = seen(down).present["worker_down one"].body
    assert body == "It holds +1 ESH4. 1,200 steps behind. Start it: pine worker one"


def test_a_strategy_that_is_disabled_need_not_run() -> None:
    assert seen(facts(strategies__one__enabled=False, strategies__one__worker__running=False)).present == {}


def test_a_restart_is_no_alert_and_an_absence_is_told_when_it_begins_and_when_it_is_over() -> None:
    grace = GRACE_S["worker_down"]
    down = facts(strategies__one__worker__running=False)
    assert life((0, down), (grace - 1, down), (grace, facts()), (grace + 1, down), (2 * grace, down)) == []
    told = life((0, down), (grace, down), (grace + 1, down), (100, facts()), (100 + OVER_S, facts()), (500, facts()))
    assert told == [(grace, "worker one is down"), (100 + OVER_S, "worker one runs again")]


def test_a_worker_that_starts_and_fails_again_and_again_is_told_once() -> None:
    down = facts(strategies__one__worker__running=False)
    looks = [(n, facts() if n % 40 > 30 else down) for n in range(0, 2000, 2)]
    assert [title for _, title in life(*looks)] == ["worker one is down"]


def test_an_exit_that_is_not_posted_is_told_at_once_as_urgent_with_its_reason_and_once_when_it_is_posted() -> None:
    late = facts(strategies__one__courier__overdue=[LATE])
    told = Watch().look(seen(late), 0)
    assert [(m.kind, m.title, m.urgent) for m in told] == [
        ("delivery", "one: exit 1 ESH4 is not posted for 5 min", True)
    ]
    assert "no connection" in told[0].body
    assert life((0, late), (1, late), (2, facts())) == [(0, told[0].title), (2, "one: its exits are posted")]


def test_a_switch_is_told_at_once_both_ways() -> None:
    told = life((0, facts()), (1, facts(kill_switch="on")), (2, facts(kill_switch="on")), (3, facts()))
    assert told == [(1, "the kill switch is on"), (3, "the kill switch is off")]


def test_a_closed_market_says_nothing_about_data_and_mends_nothing_either() -> None:
    stale = facts(hub__stale=True, hub__data_age_s=300.0)
    closed = facts(hub__market_open=False)
    assert life(*((n, closed) for n in range(0, 9000, 60))) == []
    looks = [(n, stale) for n in range(0, 120, 10)] + [(n, closed) for n in range(120, 9000, 60)]
    assert life(*looks) == [(60, "no data for 5 min in an open market")]
    told = life(*looks, *((n, facts()) for n in range(9000, 9030, 5)))
    assert told[1:] == [(9000 + OVER_S, "data is fresh again")]


def test_a_hub_that_is_down_is_one_thing_to_tell_not_two() -> None:
    both = facts(hub__running=False, hub__stale=True, hub__data_age_s=300.0)
    assert life(*((n, both) for n in range(0, 300, 10))) == [(30, "the hub is down")]


def test_what_was_told_of_a_strategy_that_was_taken_out_is_forgotten_without_a_word() -> None:
    down = facts(strategies__one__worker__running=False)
    off = facts(strategies__one__enabled=False, strategies__one__worker__running=False)
    gone = facts(strategies={"two": GOOD["strategies"]["two"]})
    for after in (off, gone):
        assert [title for _, title in life((0, down), (30, down), (60, after), (90, after))] == ["worker one is down"]


def test_a_machine_that_stops_is_one_message() -> None:
    down = facts(strategies__one__worker__running=False, strategies__two__worker__running=False)
    watch = Watch()
    watch.look(seen(down), 0)
    (message,) = together(watch.look(seen(down), 60 * NS_PER_SECOND))
    assert message.title == "worker down: 2 begun"
    assert "worker one is down\n" in message.body
    assert "pine worker two" in message.body
    assert message.told == {"worker_down": 2}


SWITCHES = ("hub__running", "strategies__one__worker__running", "strategies__two__worker__running")


@pytest.mark.examples(60, long=2000)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.sets(st.sampled_from(SWITCHES)), st.booleans()), min_size=1, max_size=60)
)
def test_whatever_comes_and_goes_each_absence_is_told_once_and_ended_once_over_any_restarts(
    looks: list[tuple[int, set[str], bool]],
) -> None:
    """A process that is killed and started again between two looks has only what it had told."""
    watch, now = Watch(), 0
    down: dict[str, float] = {}
    open_: set[str] = set()
    for pause, switches, restart in looks:
        now += pause * NS_PER_SECOND
        if restart:
            watch = Watch(copy.deepcopy(watch.told))
        found = seen(facts(**dict.fromkeys(switches, False)))
        messages = watch.look(found, now)
        down = {key: down.get(key, now) for key in found.present}
        for message in messages:
            name = message.title.replace(" runs again", "").replace(" is down", "")
            if message.good:
                assert name in open_
                open_.discard(name)
            else:
                assert name not in open_
                open_.add(name)
        assert len(messages) == len({message.title for message in messages})
        for key, since in down.items():
            told = any(key == "hub_down" if name == "the hub" else key.endswith(name.split()[1]) for name in open_)
            assert not told or now - since >= 0
            if not any(restarted for _, _, restarted in looks) and now - since >= 30 * NS_PER_SECOND:
                assert told


def test_no_message_shows_a_secret() -> None:
    text = "https://discord.com/api/webhooks/123/HIDDEN failed with db-HIDDENKEY0123456789 "
    message = Message("halt", text, text * 300)
    assert "HIDDEN" not in message.title + message.body
    assert len(message.body) <= 1500
