"""One performance from curtain to curtain: stand-ins, workers, hub, the tape, and the facts afterwards."""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import redis

from pine.bus.connection import is_away
from pine.core.config import load_config
from pine.core.errors import SandboxError
from pine.sandbox.demo.chaos import Chaos
from pine.sandbox.demo.plan import GENERATED, models_of_clone, roots_of, write_config
from pine.sandbox.demo.stage import START_SECONDS, Stage, stage, start_stand_ins, stop_all
from pine.sandbox.demo.summary import summarise
from pine.strategies.catalog import PARAMS

NEAR_GENERATED: Final = 0.3
NEAR_RECORDED: Final = 0.15
LOOK_SECONDS: Final = 0.2
CHAOS_LOOK_SECONDS: Final = 0.05
STALL_SECONDS: Final = 180.0
"""Longer than any recovery; the tape's quiet hours pass faster."""

Look = Callable[[Stage], None]


def perform(
    folder: Path,
    tapes: Sequence[Path],
    speed: float | None,
    look: Look,
    *,
    generated: bool = False,
    at_end: Look = lambda _: None,
    chaos: Chaos | None = None,
    seals: bool = False,
    bus: str = "embedded",
) -> dict[str, Any]:
    """Run the whole system on tapes and return its facts.

    Parameters
    ----------
    folder
        Empty folder for configuration, data and logs.
    tapes
        DBN trade files.
    speed
        Times real time, or None for as fast as possible.
    look
        Called a few times a second while it runs.
    generated
        Whether the tapes hold the generated market of the demonstration's own roots.
    at_end
        Called once, when everything that follows from the tape is done and the processes still run.
    chaos
        What goes wrong on the way.
    seals
        Whether sessions are sealed into the archive on the way.
    bus
        The server: a private one, or the URL of one that is somebody else's and may be away for a while.

    Raises
    ------
    SandboxError
        If a process ends that should not.
    """
    began = time.monotonic()
    roots, near = (GENERATED, NEAR_GENERATED) if generated else (roots_of(tapes), NEAR_RECORDED)
    stand_ins = start_stand_ins(folder, tapes, speed, chaos.plan.faults if chaos else ())
    try:
        listening = [child.event("listening", START_SECONDS) for child in stand_ins]
        gateway_port, broker_port = (event["port"] for event in listening)
        webhook = f"http://127.0.0.1:{broker_port}/trading/webhook"
        fsync = "everysec" if chaos is None else "always"
        models = models_of_clone() if generated else None
        path = write_config(folder, roots, gateway_port, webhook, near=near, fsync=fsync, models=models, bus=bus)
        config = load_config(path, PARAMS)
        environment = chaos.holder.environment if chaos else None
        with stage(folder, config, *stand_ins, environment=environment, seals=seals) as running:
            running.raise_curtain()
            _attend(running, look, chaos)
            look(running)
            at_end(running)
            running.ring_down()
            facts = summarise(running.client, config, _received(folder), time.monotonic() - began)
            facts["models"] = None if models is None else str(models)
            facts["exit_codes"] = running.exit_codes
            facts["tape"] = {"first": listening[0]["first"], "last": listening[0]["last"], "end": running.tape_end}
            if chaos is not None:
                facts["chaos"] = chaos.facts(running)
            return facts
    finally:
        stop_all(stand_ins)


def _attend(running: Stage, look: Look, chaos: Chaos | None) -> None:
    """Look on, and let go wrong what is to go wrong, until everything is done."""
    moved, moved_at = 0, time.monotonic()
    while True:
        running.check()
        if time.monotonic() - moved_at > STALL_SECONDS:
            raise SandboxError(f"nothing has moved for {STALL_SECONDS:.0f} s; see {running.folder / 'logs'}")
        try:
            if chaos is not None:
                chaos.look(running)
            if running.moved() != moved:
                moved, moved_at = running.moved(), time.monotonic()
            if running.finished() and (chaos is None or chaos.over):
                return
            look(running)
        except redis.RedisError as error:
            if (chaos is None and running.config.bus.url == "embedded") or not is_away(error):
                raise
        time.sleep(LOOK_SECONDS if chaos is None else CHAOS_LOOK_SECONDS)  # the pace of the picture, and of chaos


def generate(folder: Path, days: int, seed: int) -> Path:
    """Write the demonstration's market into a folder and return the file."""
    from pine.sandbox.market import write_market

    path = folder / "market.dbn.zst"
    write_market(path, list(dict.fromkeys(chain.from_iterable(GENERATED.values()))), days, seed)
    return path


def problems(facts: dict[str, Any]) -> list[str]:
    """Return what a performance must not end with."""
    found = [f"{name} ended with exit code {code}" for name, code in facts["exit_codes"].items() if code]
    for name, strategy in facts["strategies"].items():
        intents = strategy["entries"] + strategy["exits"]
        if strategy["deliveries"] != ({"posted": intents} if intents else {}):
            found.append(f"{name}: {intents} intents, but deliveries {strategy['deliveries']}")
    total = sum(strategy["entries"] + strategy["exits"] for strategy in facts["strategies"].values())
    if facts["webhooks"] != total:
        found.append(f"{total} intents, but the receiver got {facts['webhooks']} webhooks")
    return found


def _received(folder: Path) -> int:
    received = folder / "webhooks.jsonl"
    return len(received.read_text().splitlines()) if received.exists() else 0
