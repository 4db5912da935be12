"""How old the hub's data is, from its heartbeat: for everybody who is not the hub."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from pine.core.calendar import scheduled_since
from pine.core.config import Config
from pine.core.freshness import DataAge, data_age
from pine.core.timeframe import NS_PER_SECOND


def hub_data(config: Config, beat: Mapping[str, Any], now: int, newest_step: int | None = None) -> DataAge:
    """Judge the hub's data at an instant, in ns.

    Parameters
    ----------
    config
        Says what is traded, and by which clock.
    beat
        The hub's heartbeat, see `pine.bus.heartbeat.read`; empty if there is none.
    now
        Wall time. Of a tape, whose present is what was read last, no age is known.
    newest_step
        Newest step on the clock, in ns, which tells the age where no heartbeat does.
    """
    watermark, last_trade = (int(beat.get(name) or 0) or None for name in ("watermark", "last_trade"))
    wall = config.hub.clock == "wall"
    present = now if wall else max(watermark or 0, newest_step or 0)
    if not present:
        return DataAge(None, None, market_open=False)
    groups = sorted({config.session_rule(symbol).group for symbol in config.instruments})
    # A gateway whose data is frozen still sends heartbeats, which move the watermark: trades tell the age.
    newest = last_trade or newest_step
    since = now - int(beat.get("uptime_s", 0)) * NS_PER_SECOND if newest is None else 0
    found = data_age(newest, present, groups, since, scheduled_since)
    if beat.get("market_open") == 0:  # a holiday, which the hub knows of and weekly hours do not
        found = evolve(found, silent_s=None, market_open=False)
    if not wall:
        return evolve(found, age_s=None, silent_s=None)
    return found if newest or beat else evolve(found, silent_s=None)
