"""The single-process reference as something that a replay is compared with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.legacy.record import MemoryRecorder
    from pine.replay.record import Facts, Record

UNKNOWN: Final = ("events", "requests", "flights")
"""Tables that the reference does not write, or dates and words in its own way."""


def legacy_record(config: "Config", ours: "Record", trades: Sequence[Path]) -> "Record":
    """Return what the reference thinks of the trades that a run was made of.

    Parameters
    ----------
    config
        The configuration.
    ours
        The run; the reference decides from the same time on.
    trades
        Files of trades.
    """
    from attrs import evolve

    from pine.legacy.files import TAIL
    from pine.legacy.record import MemoryRecorder
    from pine.legacy.source import of_files
    from pine.legacy.system import LegacySystem

    facts = ours.facts
    config = evolve(config, hub=evolve(config.hub, clock="tape"))
    memory = MemoryRecorder()
    system = LegacySystem(config, facts.strategy, memory, live_after=facts.begin)
    system.run(of_files(trades), TAIL, _holes(ours))
    hidden = {name: value for name, value in facts.settings.items() if name not in ("code", "warm-up", "reach")}
    return _recorded(config, memory, evolve(facts, name=f"legacy {facts.strategy}", settings=hidden))


def _holes(ours: "Record") -> list[tuple[int, int, str]]:
    """Return what the files lack, as the run was told: first minute, last minute, root."""
    import orjson

    rows = ours.table("events").select("kind", "symbol", "payload").iter_rows()
    gaps = [(symbol, orjson.loads(payload)) for kind, symbol, payload in rows if kind == "gap"]
    return [(lost["first_minute"], lost["last_minute"], symbol) for symbol, lost in gaps]


def _recorded(config: "Config", memory: "MemoryRecorder", facts: "Facts") -> "Record":
    from attrs import evolve

    from pine.replay.recorder import Recorder

    rules = {symbol: config.session_rule(symbol) for symbol in facts.symbols}
    recorder = Recorder(rules, config.strategies[facts.strategy].starting_cash, config.desk_session)
    for step, bar in memory.bars:
        recorder.see(step, [bar])
    for step, entry in memory.entries:
        recorder.book(step, [entry])
    for decision in memory.decisions:
        if decision.live:
            recorder.think(decision.step, {"observed": decision.observed, "decisions": decision.asked})
    return recorder.record(evolve(facts, fed_from=recorder.first_step(facts.begin)), without=UNKNOWN)
