"""What is wrong at the moment, and when it is told: once it has lasted, and once when it is over. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import isoformat
from pine.ops.alerts.message import Message
from pine.ops.status import overdue, span

GRACE_S: Final[Mapping[str, float]] = {
    "hub_down": 30,
    "worker_down": 30,
    "stale_data": 60,
    "positions": 30,
    "delivery": 60,
    "halt": 0,
}
"""Seconds that a condition must last before it is told: a restart is none."""

_OF_STRATEGIES: Final = frozenset({"worker_down", "delivery", "positions"})

SILENT_S: Final = 60
"""The same for a process that holds its role and gives no other sign of life: it may be loading a model."""

OVER_S: Final = 15
"""Seconds that it must be gone before that is told: a process that starts and fails again and again is still down."""


@frozen
class Condition:
    """Something that is wrong for as long as it lasts.

    Attributes
    ----------
    kind, name
        What, and whose; both together name it.
    title, body
        For the message that it has begun.
    over
        Title of the message that it is over.
    grace_s
        Seconds that it must last before it is told.
    """

    kind: str
    name: str
    title: str
    body: str
    over: str
    grace_s: float
    urgent: bool = True

    @property
    def key(self) -> str:
        """Names it on the server."""
        return f"{self.kind} {self.name}".strip()


@frozen
class Seen:
    """What a look found.

    Attributes
    ----------
    present
        Conditions by key.
    unclear
        Kinds of which nobody can tell now whether they hold: what is told stays so.
    enabled
        The configured strategies, and whether each should run: what was told of one that was taken out is forgotten
        without a word.
    """

    present: Mapping[str, Condition]
    unclear: frozenset[str] = frozenset()
    enabled: Mapping[str, bool] = field(factory=dict)

    def is_unclear(self, key: str) -> bool:
        """Tell whether nothing can be said of a condition."""
        return key.partition(" ")[0] in self.unclear

    def is_forgotten(self, key: str) -> bool:
        """Tell whether a condition that is gone was not mended: its strategy was taken out."""
        kind, _, name = key.partition(" ")
        return kind in _OF_STRATEGIES and not self.enabled.get(name, False)


def seen(facts: Mapping[str, Any], option: str = "") -> Seen:
    """Return what facts of `pine.ops.status` say is wrong.

    Parameters
    ----------
    facts
        What `Observer.look` returned.
    option
        What a suggested command needs at its end to find the same configuration.
    """
    found = [*_of_hub(facts["hub"], option), *_of_desk(facts, option)]
    for name, strategy in facts["strategies"].items():
        found += _of_strategy(name, strategy, option)
    hub = facts["hub"]
    # A closed market is silent and healthy, and a hub that is down is told as such: neither says anything about data.
    unclear = {"stale_data"} if not hub["running"] or not hub["market_open"] else set[str]()
    enabled = {name: strategy["enabled"] for name, strategy in facts["strategies"].items()}
    return Seen({one.key: one for one in found if one.kind not in unclear}, frozenset(unclear), enabled)


def _of_hub(hub: Mapping[str, Any], option: str) -> Iterator[Condition]:
    grace = GRACE_S["hub_down"]
    if not hub["running"]:
        body = f"No new bars, so no decisions. Start it: pine hub{option}"
        yield Condition("hub_down", "", "the hub is down", body, "the hub runs again", grace)
    elif not hub["heartbeat"]:
        body = "It holds its role and gives no other sign of life. Look at its log."
        yield Condition("hub_down", "", "the hub does not answer", body, "the hub answers again", SILENT_S)
    if hub["stale"]:
        title = f"no data for {span(hub['data_age_s'])} in an open market"
        body = f"Entries are held back until it is fresh. pine status{option}"
        yield Condition("stale_data", "", title, body, "data is fresh again", GRACE_S["stale_data"])


def _of_desk(facts: Mapping[str, Any], option: str) -> Iterator[Condition]:
    if facts["kill_switch"] is not None:
        body = f"{facts['kill_switch']}. Entries are blocked, exits go. pine status{option}"
        over = "the kill switch is off"
        yield Condition("halt", "kill switch", "the kill switch is on", body, over, GRACE_S["halt"])


def _of_strategy(name: str, strategy: Mapping[str, Any], option: str) -> Iterator[Condition]:
    worker, courier = strategy["worker"], strategy["courier"]
    holds = f"It holds {_positions(strategy['positions'])}. " if strategy["positions"] else ""
    over = f"worker {name} runs again"
    if strategy["enabled"] and not worker["running"]:
        behind = f"{_steps(strategy['lag'])} behind. " if strategy["lag"] else ""
        body = f"{holds}{behind}Start it: pine worker {name}{option}"
        yield Condition("worker_down", name, f"worker {name} is down", body, over, GRACE_S["worker_down"])
    elif strategy["enabled"] and worker["status"] is None:
        body = f"{holds}It holds its role and gives no other sign of life. Look at its log."
        yield Condition("worker_down", name, f"worker {name} does not answer", body, over, SILENT_S)
    if courier["state"] == "not running" and courier["owed"]:
        title = f"courier {name} is down and owes {courier['owed']} webhooks"
        body = f"The worker starts it; or: pine courier {name}{option}"
        yield Condition("delivery", name, title, body, f"courier {name} owes nothing", GRACE_S["delivery"])
    elif courier["overdue"]:
        late, *more = courier["overdue"]
        title = f"{name}: {overdue(late)}" + (f", and {len(more)} more" if more else "")
        body = f"{late['text']}. The broker may still hold it; the courier tries again. pine orders {name}{option}"
        yield Condition("delivery", name, title, body, f"{name}: its exits are posted", 0)  # it has lasted already
    if strategy["differs"]:
        body = (
            f"{'; '.join(strategy['differs'])}. Nothing is on its way: see what the broker has. pine positions{option}"
        )
        over = f"{name}: paper and sent agree again"
        yield Condition("positions", name, f"{name}: paper and sent differ", body, over, GRACE_S["positions"])


def _by_contract(positions: list[dict[str, Any]]) -> dict[str, int]:
    held: dict[str, int] = {}
    for position in positions:
        held[position["contract"]] = held.get(position["contract"], 0) + position["quantity"]
    return {contract: quantity for contract, quantity in held.items() if quantity}


def _positions(positions: list[dict[str, Any]]) -> str:
    return ", ".join(f"{quantity:+d} {contract}" for contract, quantity in sorted(_by_contract(positions).items())) or (
        "nothing"
    )


@define
class Watch:
    """Turns what successive looks find into messages.

    Attributes
    ----------
    told
        What was told and is not over: since when (ns), and the title of the message that it is over. It outlives
        the process; how long something has lasted that is not told yet does not.
    """

    told: dict[str, dict[str, Any]] = field(factory=dict)
    _since: dict[str, int] = field(factory=dict)
    _gone: dict[str, int] = field(factory=dict)

    def look(self, found: Seen, now: int) -> list[Message]:
        """Return what is to be told at an instant in ns, and take it as told."""
        messages = [*self._begun(found, now), *self._over(found, now)]
        self._since = {key: since for key, since in self._since.items() if key in found.present}
        self._gone = {key: since for key, since in self._gone.items() if key in self.told}
        return messages

    def _begun(self, found: Seen, now: int) -> Iterator[Message]:
        for key, one in found.present.items():
            self._gone.pop(key, None)
            since = self._since.setdefault(key, now)
            if key not in self.told and now - since >= one.grace_s * NS_PER_SECOND:
                self.told[key] = {
                    "since": since,
                    "over": one.over,
                    "over_s": min(one.grace_s, OVER_S),
                    "kind": one.kind,
                }
                when = f"Since {_at(since)}. " if one.grace_s else ""
                yield Message(one.kind, one.title, f"{when}{one.body}", urgent=one.urgent)

    def _over(self, found: Seen, now: int) -> Iterator[Message]:
        for key, told in list(self.told.items()):
            if key in found.present or found.is_unclear(key):
                self._gone.pop(key, None)
                continue
            gone = self._gone.setdefault(key, now)
            if now - gone >= told["over_s"] * NS_PER_SECOND:
                del self.told[key]
                if found.is_forgotten(key):
                    continue
                lasted = span(max(gone - told["since"], 0) / NS_PER_SECOND)
                yield Message(told["kind"], told["over"], f"At {_at(gone)}, after {lasted}.", good=True)


def _at(ts: int) -> str:
    return f"{isoformat(ts)[:16].replace('T', ' ')} UTC"


def _steps(count: int) -> str:
    return f"{count:,} step{'' if count == 1 else 's'}"
