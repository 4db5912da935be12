"""What the page says of each fact: words and tones, no elements."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from attrs import frozen

from pine.core.config import Config
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import from_datetime
from pine.ops.status import LATE_STEPS, span
from pine.web.watch import Picture

Tone = Literal["", "good", "warn", "bad", "dim"]

NEAR: Final = 0.5
CLOSE: Final = 0.8
"""Shares of the daily stop that are used up, from which on its bar has another colour."""


@frozen
class Said:
    """A few words, and how they are meant."""

    text: str
    tone: Tone = ""


@frozen
class Row:
    """One strategy.

    Attributes
    ----------
    state
        Whether it runs; with `halted` beside it.
    used
        Share of the daily stop that is lost, from 0 to 1.
    """

    name: str
    state: Said
    halted: str
    positions: Said
    pnl: Said
    stop: str
    used: float
    lag: Said
    last_bar: Said
    courier: Said
    refused: str


def head(picture: Picture) -> dict[str, Said]:
    """Return the facts of the page's head by their titles."""
    facts = picture.facts
    switch = Said("ON", "bad") if facts["kill_switch"] else Said("off")
    if picture.away:
        unknown = Said("not known", "dim")
        return {
            "server": Said("away", "bad"),
            **dict.fromkeys(("hub", "market", "watermark", "data"), unknown),
            "kill switch": switch,
        }
    server, hub = facts["server"], facts["hub"]
    age = hub["data_age_s"]
    return {
        "server": Said(server["version"], "good"),
        "hub": Said("running", "good") if hub["running"] else Said("not running", "bad"),
        "market": Said("open", "good") if hub["market_open"] else Said("closed"),
        "watermark": Said(clock(hub["watermark"] or hub["last_step"], "%a %H:%M:%S")),
        "data": Said("–" if age is None else f"{span(age)} old", "bad" if hub["stale"] else ""),
        "kill switch": switch,
    }


def rows(picture: Picture, config: Config) -> list[Row]:
    """Return the strategies in the order of the configuration, those of the newest known picture."""
    known = picture.known
    found = {} if known is None else known["strategies"]
    return [_row(name, found.get(name), picture, config) for name in config.strategies]


def _row(name: str, facts: Mapping[str, Any] | None, picture: Picture, config: Config) -> Row:
    stop = config.strategies[name].daily_stop_loss
    nothing = Said("–", "dim")
    if facts is None:
        state = Said("not known", "dim")
        return Row(name, state, "", nothing, nothing, money(-stop), 0.0, nothing, nothing, nothing, "")
    pnl = facts["day_pnl"]
    used = min(max(-pnl, 0.0) / stop, 1.0)
    return Row(
        name,
        Said("not known", "dim") if picture.away else running(facts),
        facts["halted"] or "",
        _positions(facts),
        Said(money(pnl), "good" if pnl > 0 else "bad" if pnl < 0 else "dim"),
        money(-stop),
        used,
        _lag(facts),
        _last_bar(name, picture, config),
        _courier(facts["courier"]),
        _refused(facts["refused"]),
    )


def running(facts: Mapping[str, Any]) -> Said:
    """Return whether a strategy's worker runs."""
    if not facts["worker"]["running"]:
        return Said("not running", "bad") if facts["enabled"] else Said("disabled", "dim")
    status = facts["worker"]["status"] or ""
    word = next((word for word in ("waiting", "warming up") if status.startswith(word)), None)
    return Said("running", "good") if word is None else Said(word, "warn")


def _positions(facts: Mapping[str, Any]) -> Said:
    told = ", ".join(f"{p['quantity']:+d} {p['contract']}" for p in facts["positions"])
    if facts["courier"]["overdue"]:
        return Said(f"{told or 'flat'}, exit not posted", "bad")
    if facts["differs"]:
        return Said(f"{told or 'flat'}, sent differs", "bad")
    return Said(told) if told else Said("flat", "dim")


def _lag(facts: Mapping[str, Any]) -> Said:
    lag, seconds = facts["lag"], facts["lag_s"]
    if lag is None:
        return Said("not begun", "dim")
    if lag == 0:
        return Said("0 steps", "dim")
    since = "" if seconds is None else f" · {span(seconds)}"
    return Said(f"{lag:,} step{'' if lag == 1 else 's'}{since}", "warn" if lag > LATE_STEPS else "")


def _last_bar(name: str, picture: Picture, config: Config) -> Said:
    """Return how long ago the newest minute of the strategy's roots ended; on a tape, when that was."""
    assert picture.known is not None
    symbols = picture.known["symbols"]
    minutes = [symbols[root]["last_minute"] for root in config.reads(name) if root in symbols]
    newest = max(filter(None, minutes), default=None)
    if newest is None:
        return Said("none yet", "dim")
    if config.hub.clock != "wall":
        return Said(clock(newest, "%a %H:%M"))
    age = _ns(picture.facts["at"]) - _ns(newest) - NS_PER_MINUTE
    return Said(f"{span(max(age, 0) / NS_PER_SECOND)} ago")


def _courier(courier: Mapping[str, Any]) -> Said:
    if courier["state"] == "paper only":
        return Said("paper only", "dim")
    parts = [courier["state"]]
    parts += [f"{courier['owed']} owed"] if courier["owed"] else []
    parts += [f"{len(courier['unknown'])} unknown"] if courier["unknown"] else []
    wrong = courier["unknown"] or courier["overdue"] or (courier["owed"] and courier["state"] != "running")
    return Said(" · ".join(parts), "bad" if wrong else "" if courier["state"] == "running" else "dim")


def _refused(refused: Mapping[str, Any] | None) -> str:
    if refused is None:
        return ""
    return f"{refused['ask']} {refused['symbol']}, {clock(refused['step'], '%a %H:%M')}: {refused['why']}"


def clock(moment: str | None, shape: str) -> str:
    """Return a UTC time as text; a dash for none."""
    return "–" if moment is None else f"{datetime.fromisoformat(moment):{shape}}"


def money(amount: float) -> str:
    """Return dollars with their sign."""
    text = f"{abs(amount):,.2f}".removesuffix(".00")
    return f"{'−' if amount < 0 else '+' if amount > 0 else ''}{text}"


def price(value: float | None) -> str:
    """Return a price with as many digits as it has."""
    return "" if value is None else f"{value:.10g}"


def order_row(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order as the tables show it."""
    state = order["state"]
    return {
        "id": order["intent"],
        "time": order["time"][5:16].replace("T", " "),
        "strategy": order["strategy"],
        "what": f"{order['action']} {order['quantity']} {order['contract']}",
        "price": price(order["price"]),
        "fill": price(order["fill"]),
        "pnl": "" if order["pnl"] is None else money(order["pnl"]),
        "tone": "" if not order["pnl"] else "good" if order["pnl"] > 0 else "bad",
        "answer": " ".join(
            [state, *([str(order["status"])] if order["status"] else []), *(["void"] if order["void"] else [])]
        ),
        "answered": _answered(state),
        "reason": order["reason"],
        "attempts": order["attempts"],
    }


def _answered(state: str) -> Tone:
    if state == "posted":
        return "good"
    if state in ("unknown", "rejected", "not posted"):
        return "bad"
    return "warn" if state in ("owed", "attempt", "retry") else "dim"


def _ns(moment: str) -> int:
    return from_datetime(datetime.fromisoformat(moment))
