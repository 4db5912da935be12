"""A small record made by hand, and one of a real replay, without a server."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from attrs import evolve
from market import closed_bars, configure

from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.times import isoformat
from pine.feeds.steps import MarketEvent
from pine.replay.record import Record
from pine.replay.run import Plan, replay
from pine.replay.steps import assemble


@cache
def config() -> Config:
    """Return the configuration of the worker's tests."""
    return configure(Path(mkdtemp()))


@cache
def bars() -> tuple[Bar, ...]:
    """Return every bar of a few generated sessions."""
    return tuple(bar for item in closed_bars() for bar in item.bars)


def ran(given: tuple[Bar, ...] | None = None, settings: Config | None = None, late: Bar | None = None) -> Record:
    """Replay strategy ``one`` over some bars; one of them may come a minute late."""
    settings = settings or config()
    rules = {symbol: settings.session_rule(symbol) for symbol in settings.traded["one"]}
    events = [
        (item.boundary, MarketEvent(event.kind, event.symbol, event.details))
        for item in closed_bars()
        for event in item.events
    ]
    steps = list(assemble(rules, bars() if given is None else given, events))
    if late is not None:
        at = next(n for n, step in enumerate(steps) if late in step.minutes)
        kept = [bar for bar in steps[at].minutes if bar != late]
        steps[at] = evolve(steps[at], minutes=kept)
        steps[at + 1] = evolve(steps[at + 1], minutes=[late, *steps[at + 1].minutes])
    plan = Plan("one", closed_bars()[0].boundary - 60_000_000_000, closed_bars()[-1].boundary, "test")
    return replay(settings, plan, iter(steps)).record


@cache
def unchanged() -> Record:
    """Return the record of the bars as they are."""
    return ran()


def at(step: int) -> str:
    """Return a time as messages say it."""
    return isoformat(step)
