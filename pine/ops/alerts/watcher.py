"""One look after another at the server; what it means goes out, and on record, as one."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define, field

from pine.bus.client import Client
from pine.core.config import Config
from pine.core.timeframe import NS_PER_DAY
from pine.core.times import parse_time
from pine.ops.alerts.budget import Budget
from pine.ops.alerts.conditions import Watch, seen
from pine.ops.alerts.counters import Counters, readings
from pine.ops.alerts.message import Message, together
from pine.ops.alerts.outbox import Outbox, Parcel
from pine.ops.alerts.reader import Reader
from pine.ops.alerts.store import Store
from pine.ops.alerts.summary import LATEST, due, summary
from pine.ops.status import Observer

ALWAYS: Final = frozenset({"summary", "held", "server"})


@define(eq=False)
class Watcher:
    """Reads the facts and records of a server and keeps what is to be sent.

    What was told is kept on the server, written together with the messages that tell it; a message is taken off
    the server after it has arrived. So a process that is killed tells nothing twice but what had arrived and was not
    yet off, and leaves nothing out.

    Parameters
    ----------
    config, client
        What to watch.
    token
        Fencing token; none keeps nothing on the server.
    names
        Names of the services.
    option
        What a suggested command needs at its end to find the same configuration.
    """

    config: Config
    client: Client
    token: int | None
    names: Sequence[str]
    option: str = ""
    outbox: Outbox = field(factory=Outbox)
    budget: Budget = field(init=False)
    _observer: Observer = field(init=False)
    _reader: Reader = field(init=False)
    _watch: Watch = field(init=False)
    _counters: Counters = field(init=False)
    _store: Store = field(init=False)
    _summary: dict[str, int] = field(init=False)
    _done: list[tuple[str, str]] = field(factory=list)
    _number: int = 0

    def __attrs_post_init__(self) -> None:
        self._store = Store(self.client, self.token)
        self.budget = Budget(self.config.alerts.per_hour)

    def take_up(self, now: int) -> None:
        """Begin from what the server says was told; at the present (ns) if that is nothing yet."""
        told = self._store.read()
        self._observer = Observer(self.config, self.client, self.option)
        self._reader = Reader(self.client, self.config, self.option, told.get("streams", {}))
        self._reader.begin()
        self._watch = Watch(told.get("conditions", {}))
        self._counters = Counters(told.get("counters", {}))
        self.budget = Budget(self.config.alerts.per_hour, **told.get("budget", {}))
        self._summary = told.get("summary", {})
        self.outbox = Outbox(self._store.waiting())
        self._done += self.outbox.forget_services(self.names)
        self._write([], now)

    def look(self, now: int) -> dict[str, Any]:
        """Look at the server at an instant (ns); what is to be told is in the outbox, and on record, when it returns.

        Returns
        -------
        dict
            The facts that were found.
        """
        facts = self._observer.look(now)
        found = [
            *self._reader.look(),
            *together(self._watch.look(seen(facts, self.option), now)),
            *self._counters.look(readings(facts), now, self.option),
            *self._daily(facts, now),
        ]
        self._write([message for message in found if self._is_wanted(message)], now)
        return facts

    def arrived(self, done: Iterable[tuple[str, str]]) -> None:
        """Note what went to whom, parcel's id and service's name; on record with the next look."""
        self._done += done

    def note(self, now: int) -> None:
        """Put on record what has arrived, without another look."""
        self._write([], now)

    def _is_wanted(self, message: Message) -> bool:
        return message.kind in ALWAYS or message.kind in self.config.alerts.on

    def _write(self, messages: Sequence[Message], now: int) -> None:
        parcels = [self._parcel(message, now) for message in self.budget.admit(messages, now)]
        changes = self.outbox.add(parcels, self._done, now)
        for message in changes.dropped:
            self.budget.hold(message)
        self._store.write(self._told(), changes)
        self._done = []

    def _parcel(self, message: Message, now: int) -> Parcel:
        self._number += 1
        return Parcel(f"{self.token or 0}-{self._number}", message, now, list(self.names))

    def _told(self) -> dict[str, Any]:
        budget = self.budget
        return {
            "streams": self._reader.told,
            "conditions": self._watch.told,
            "counters": self._counters.known,
            "budget": {"sent": budget.sent, "held": budget.held, "titles": budget.titles, "urgent": budget.urgent},
            "summary": self._summary,
        }

    def _daily(self, facts: dict[str, Any], now: int) -> list[Message]:
        """Return the summary of the day if its time has come; the first start only notes the time."""
        at = self.config.alerts.daily_summary
        present = self._present(facts, now)
        if at is None or present is None:
            return []
        newest, late = due(present, at), self._counters.total("late_trades")
        known = {"told": newest, "late": late, **self._summary}
        tape = self.config.hub.clock != "wall"  # its weekends take no time, so that two days can be due at once
        ends = [end for end in (newest - 2 * NS_PER_DAY, newest - NS_PER_DAY, newest) if end > known["told"]]
        found = [
            summary(self.client, self.config, facts, end, late - known["late"])
            for end in ends
            if tape or present - end <= LATEST
        ]
        self._summary = {"told": newest, "late": late} if ends else known
        return [message for message in found if message is not None]

    def _present(self, facts: dict[str, Any], now: int) -> int | None:
        """Return the present by which days are counted: of a tape, how far it has come."""
        if self.config.hub.clock == "wall":
            return now
        step = facts["hub"]["last_step"]
        return None if step is None else parse_time(step)
