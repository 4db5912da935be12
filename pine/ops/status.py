"""What runs, how far everybody is, what is owed, and what is wrong.

How far a strategy is comes from its groups on the server, never from its heartbeat, and what it holds from its
ledger: a dead worker's are told as truly as a living one's.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from pine.bus import heartbeat, keys, streams
from pine.bus.client import Client
from pine.bus.cursors import Cursor, acknowledged, behind, read_cursors
from pine.bus.freshness import hub_data
from pine.core.config import Config
from pine.core.errors import WentBack
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND, Timeframe
from pine.core.times import isoformat
from pine.ops.book import Book
from pine.ops.positions import Both, both_sides
from pine.ops.server import cannot_write, full_disk, server_facts, server_notes, server_problems
from pine.ops.supervisor.door import is_supervised
from pine.orders.entries import Control
from pine.orders.gates import KillSwitch
from pine.orders.ledger import role
from pine.orders.portfolio import Portfolio

LATE_STEPS: Final = 5
"""A running worker this many steps behind is worth a word."""

UNCONNECTED_S: Final = 15
"""Seconds after which a hub without a connection is not just connecting again."""

FLIGHTS: Final = 100
"""Flight records that are looked through for the newest refusal."""


@define(eq=False)
class Observer:
    """Looks at the whole system, once or again and again.

    Parameters
    ----------
    config
        The configuration: what should run.
    client
        Connection to the server.
    option
        What a suggested command needs at its end to find the same configuration, such as `` -c pine.yaml``.
    """

    config: Config
    client: Client
    option: str = ""
    _books: dict[str, Book] = field(factory=dict)

    def look(self, now: int) -> dict[str, Any]:
        """Return everything there is to know at an instant (ns since 1970), ready for JSON.

        ``problems`` are what somebody must mend, ``notes`` what somebody should know.
        """
        clock = streams.last_id(self.client, keys.CLOCK)
        newest = streams.ms_of(clock) * NS_PER_MS if clock else None
        cursors = read_cursors(self.client, keys.CLOCK)
        hub = self._hub(newest, now)
        strategies = {name: self._strategy(name, cursors.get(name), now) for name in self.config.strategies}
        unconfigured = sorted(cursors.keys() - self.config.strategies.keys() - {keys.ARCHIVE})
        server = server_facts(self.client, self.config)
        if server["cannot_write"] is not None:
            server["cannot_write"] = cannot_write(self.config, server["cannot_write"])
        facts = {
            "at": isoformat(now),
            "server": server,
            "hub": hub,
            "symbols": {symbol: self._symbol(symbol) for symbol in self.config.instruments},
            "strategies": strategies,
            "alerts": self._process(keys.ALERTS),
            "archive": self._process(keys.ARCHIVE),
            "kill_switch": kill_switch(self.config),
            "supervised": is_supervised(self.config.data_dir),
            "unconfigured": {name: behind(self.client, keys.CLOCK, cursors[name]) for name in unconfigured},
        }
        return {**facts, "problems": list(_problems(facts, self.option)), "notes": list(_notes(facts, self.option))}

    def _hub(self, newest: int | None, now: int) -> dict[str, Any]:
        facts = self._process(keys.HUB)
        beat = facts["heartbeat"]
        data = hub_data(self.config, beat, now, newest)
        watermark = int(beat.pop("watermark", 0)) or None
        beat.pop("last_trade", None)
        counts = orjson.loads(beat.pop("counts", "{}"))
        for name in ("last_clock", "market_open", "data_age_s", "fresh", "last_step"):  # judged here, at this instant
            beat.pop(name, None)
        return facts | {
            "watermark": None if watermark is None else isoformat(watermark),
            "last_step": None if newest is None else isoformat(newest),
            "data_age_s": None if data.age_s is None else round(data.age_s, 1),
            "market_open": data.market_open,
            "stale": not data.is_fresh(),
            "counts": counts,
        }

    def _process(self, role_name: str) -> dict[str, Any]:
        """Return who holds a role, and the last heartbeat if there is one."""
        holder = self.client.get(keys.lease(role_name))
        token = self.client.get(keys.fence(role_name))
        return {
            "running": holder is not None,
            "holder": None if holder is None else holder.decode().rsplit("#", 1)[0],
            "token": None if token is None else int(token),
            "heartbeat": heartbeat.read(self.client, role_name),
        }

    def _symbol(self, symbol: str) -> dict[str, Any]:
        minute = streams.last_id(self.client, keys.bars(symbol, Timeframe.MINUTE))
        leads = {int(start): raw.decode() for start, raw in self.client.hgetall(keys.lead(symbol)).items()}
        return {
            "last_minute": None if minute is None else isoformat(streams.ms_of(minute) * NS_PER_MS),
            "lead": leads[max(leads)] if leads else None,
            "bars": {timeframe.value: self.client.xlen(keys.bars(symbol, timeframe)) for timeframe in Timeframe},
        }

    def _strategy(self, name: str, cursor: Cursor | None, now: int) -> dict[str, Any]:
        setting = self.config.strategies[name]
        worker = self._process(f"worker:{name}")
        reached = None if cursor is None else acknowledged(self.client, keys.CLOCK, cursor)
        last_step = None if reached is None else reached[0] * NS_PER_MS
        lag = None if cursor is None else behind(self.client, keys.CLOCK, cursor)
        clock = streams.last_id(self.client, keys.CLOCK)  # after the cursor, which moves meanwhile
        newest = streams.ms_of(clock) * NS_PER_MS if clock else None
        book = self._book(name)
        both = both_sides(book.portfolio, book.sent() if setting.webhook else None)
        return {
            "enabled": setting.enabled,
            "worker": {part: worker[part] for part in ("running", "holder", "token")}
            | {"status": worker["heartbeat"].get("status")},
            "heartbeat": worker["heartbeat"],
            "last_step": None if last_step is None else isoformat(last_step),
            "lag": lag,
            "lag_s": _seconds_behind(lag, last_step, newest),
            "bar_lag": self._bar_lag(name),
            "positions": [
                {"contract": p.contract, "quantity": p.quantity, "price": p.price}
                for p in book.portfolio.positions.values()
            ],
            "cash": round(book.portfolio.cash, 2),
            "day_pnl": round(book.portfolio.day_pnl(newest if newest is not None else now), 2),
            "daily_stop_loss": setting.daily_stop_loss,
            "realised": round(book.portfolio.realised, 2),
            "trades": book.portfolio.trades,
            "sent": _sent(both) if setting.webhook else None,
            "differs": [_difference(one) for one in both if one.differs],
            "halted": book.portfolio.halted,
            "halt": _halt(book.halt),
            "no_entries": orjson.loads(worker["heartbeat"].get("no_entries", "{}")),
            "refused": self._refused(name),
            "courier": self._courier(name, book, now),
        }

    def _refused(self, strategy: str) -> dict[str, Any] | None:
        """Return the newest entry that was asked for and not made, and why; nothing if there is none of late."""
        for identifier, fields in self.client.xrevrange(keys.flight(strategy), count=FLIGHTS):
            flight = orjson.loads(fields.get(b"flight", b"{}"))
            for asked in reversed(flight.get("decisions", ())):
                if asked["refused"] is not None:
                    at = isoformat(streams.ms_of(identifier.decode()) * NS_PER_MS)
                    return {"step": at, "symbol": asked["symbol"], "ask": asked["ask"], "why": asked["refused"]}
        return None

    def _bar_lag(self, strategy: str) -> dict[str, int | None]:
        """Return how many bars of each stream the strategy has left to take; nothing where it has no group yet."""
        found: dict[str, int | None] = {}
        for symbol in self.config.reads(strategy):
            for timeframe in Timeframe:
                stream = keys.bars(symbol, timeframe)
                cursor = read_cursors(self.client, stream).get(strategy)
                found[stream] = None if cursor is None else behind(self.client, stream, cursor)
        return found

    def _courier(self, name: str, book: Book, now: int) -> dict[str, Any]:
        process = self._process(role(name))
        webhook = bool(self.config.strategies[name].webhook)
        states = {intent: book.deliveries.state(intent) for intent in book.intents}
        unknown = [intent for intent, state in states.items() if state == "unknown"]
        return {
            "state": "running" if process["running"] else "not running" if webhook else "paper only",
            "holder": process["holder"],
            "heartbeat": process["heartbeat"],
            "intents": dict(Counter(state or "not tried" for state in states.values())),
            "owed": len(book.owed()) if webhook else 0,
            "overdue": book.overdue(now, wall=self.config.hub.clock == "wall") if webhook else [],
            "unknown": unknown,
        }

    def _book(self, name: str) -> Book:
        if name not in self._books:
            cash = self.config.strategies[name].starting_cash
            self._books[name] = Book(name, Portfolio(cash, self.config.desk_session))
        try:
            self._books[name].refresh(self.client)
        except WentBack:
            del self._books[name]
            return self._book(name)
        return self._books[name]


def _sent(both: list[Both]) -> list[dict[str, Any]]:
    """Return what was sent, as positions are told."""
    return [
        {"contract": contract, "quantity": quantity}
        for one in both
        for contract, quantity in sorted((one.sent or {}).items())
    ]


def overdue(late: Mapping[str, Any]) -> str:
    """Return what is said of an exit that should have been posted."""
    return f"exit {late['quantity']} {late['contract']} is not posted for {span(late['owed_s'])}"


def _difference(both: Both) -> str:
    return f"{_contracts(both.paper)} on paper, {_contracts(both.sent or {})} sent"


def _contracts(held: Mapping[str, int]) -> str:
    return ", ".join(f"{quantity:+d} {contract}" for contract, quantity in sorted(held.items())) or "nothing"


def _halt(halt: tuple[int, Control] | None) -> dict[str, Any] | None:
    """Return who halted a strategy, why, and the step after which it holds."""
    if halt is None:
        return None
    at, control = halt
    return {"step": isoformat(at), "who": control.who, "why": control.reason}


def without_server(config: Config, now: int, problem: str, option: str = "") -> dict[str, Any]:
    """Return what there is to know at an instant (ns since 1970) while the server cannot be asked."""
    facts: dict[str, Any] = {
        "at": isoformat(now),
        "server": None,
        "hub": None,
        "symbols": {},
        "strategies": {},
        "alerts": None,
        "archive": None,
        "kill_switch": kill_switch(config),
        "supervised": is_supervised(config.data_dir),
        "unconfigured": {},
    }
    return {**facts, "problems": [*full_disk(config), problem], "notes": list(_notes(facts, option))}


def kill_switch(config: Config) -> str | None:
    """Return where the desk's emergency stop is on, in the environment of this process or beside the configuration."""
    reason = KillSwitch(config.path.with_name(".env")).reason()
    return None if reason is None else reason.removeprefix("kill switch: ")


def _problems(facts: dict[str, Any], option: str) -> Iterator[str]:
    """Yield what somebody must mend, and how."""
    blocked = facts["server"]["cannot_write"]
    if blocked is not None:
        yield f"{blocked}; until then nobody can say that they run"
    yield from server_problems(facts["server"])
    yield from _problems_of_hub(facts["hub"], _starts(facts, "hub", option), known=blocked is None)
    for name, strategy in facts["strategies"].items():
        start = _starts(facts, f"worker {name}", option)
        yield from _problems_of_strategy(name, strategy, start, option, known=blocked is None)


def _problems_of_hub(hub: dict[str, Any], start: str, *, known: bool) -> Iterator[str]:
    if not hub["running"] and known:
        yield f"the hub is not running: {start}"
    if hub["stale"]:
        age = "" if hub["data_age_s"] is None else f" for {span(hub['data_age_s'])}"
        yield f"no data{age} while the market is open"
    if hub["running"] and (alone := int(hub["heartbeat"].get("unconnected_s") or 0)) > UNCONNECTED_S:
        yield f"the hub has no connection to the gateway for {span(alone)}: {hub['heartbeat']['unconnected_because']}"
    if hub["running"] and hub["heartbeat"].get("tape") == "failing":
        yield "the hub's tape cannot be written; look for tape: in its log, and at the disk"


def _problems_of_strategy(
    name: str, strategy: dict[str, Any], start: str, option: str, *, known: bool
) -> Iterator[str]:
    courier = strategy["courier"]
    if strategy["enabled"] and not strategy["worker"]["running"] and known:
        yield f"worker {name} is not running{_lag(strategy)}: {start}"
    if courier["state"] == "not running" and known:
        if courier["owed"]:
            yield f"courier {name} is not running and owes {courier['owed']} webhooks; the worker starts it"
        elif strategy["worker"]["running"] and strategy["heartbeat"].get("courier") == "not running":
            yield f"courier {name} is not running, and its worker was told not to start it: nothing would be posted"
    for late in courier["overdue"]:
        again = "; the courier tries again" if courier["state"] == "running" else ""
        yield f"{name}: {overdue(late)}: {late['text']}{again}"
    for difference in strategy["differs"]:
        yield f"{name}: {difference}, nothing on its way; see what the broker has, then pine positions set{option}"
    for intent in courier["unknown"]:
        yield f"{intent}: outcome unknown; pine orders resolve {intent} --posted{option}, or --not-posted"


def _starts(facts: dict[str, Any], what: str, option: str) -> str:
    """Return the command that starts a process: by the supervisor, where one runs."""
    return f"pine up --start '{what}'{option}" if facts["supervised"] else f"pine {what}{option}"


def _notes(facts: dict[str, Any], option: str) -> Iterator[str]:
    """Yield what somebody should know."""
    if facts["kill_switch"] is not None:
        yield f"kill switch ON ({facts['kill_switch']}): entries are blocked"
    if facts["server"] is not None:
        yield from server_notes(facts["server"])
    yield from _holes(facts["hub"])
    archive = facts["archive"]
    if archive is not None and archive["token"] is not None and not archive["running"]:
        yield "no archive runs: finished sessions are not sealed, and nothing can be trimmed"
    for name, strategy in facts["strategies"].items():
        if strategy["worker"]["running"] and (strategy["lag"] or 0) > LATE_STEPS:
            yield f"worker {name} is running{_lag(strategy)}"
        if not strategy["enabled"] and strategy["positions"]:
            yield f"{name} is disabled and holds positions"
        if strategy["day_pnl"] <= -strategy["daily_stop_loss"]:
            yield (
                f"{name} has lost {-strategy['day_pnl']:,.2f} in this session, its daily stop is "
                f"{strategy['daily_stop_loss']:,.2f}: no entries until the next"
            )
        for symbol, reason in strategy["no_entries"].items():
            yield f"{name} enters nothing in {symbol}: {reason}"
        if (halt := strategy["halt"]) is not None:
            yield f"{name} is halted by {halt['who']}: {halt['why']}; pine resume {name}{option}"
    for name, lag in facts["unconfigured"].items():
        yield f"{name} reads the clock, {lag} steps behind, and is not in the configuration"


def _seconds_behind(lag: int | None, last_step: int | None, newest: int | None) -> int | None:
    """Return how much event time lies between a strategy's last step and the newest; nothing if it has none yet."""
    if lag is None or newest is None:
        return None
    if lag == 0:
        return 0
    return max(newest - last_step, 0) // NS_PER_SECOND if last_step else None


def _holes(hub: dict[str, Any] | None) -> Iterator[str]:
    """Yield what is missing, and what the hub does about it."""
    beat = hub["heartbeat"] if hub is not None and hub["running"] else {}
    if beat.get("filling"):
        yield f"the hub fills a hole, {beat['filling']}, and publishes nothing newer meanwhile"
    if count := beat.get("unfilled"):
        reason = beat.get("unfilled_because") or "the hub has only just seen that"
        yield (
            f"{count} hole{'' if count == 1 else 's'} not filled yet: {reason}; "
            "pine backfill or pine import can bring the minutes too"
        )


def _lag(strategy: dict[str, Any]) -> str:
    if not strategy["lag"]:
        return ""
    since = "" if strategy["lag_s"] is None else f" ({span(strategy['lag_s'])})"
    return f", {strategy['lag']:,} steps behind{since}"


def span(seconds: float) -> str:
    """Return a length of time in the largest fitting unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
