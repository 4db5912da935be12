"""A worker's life over a generated market, and its replay."""

from pathlib import Path

from market import begin, closed_bars, configure, publish

from pine.bus.client import Client
from pine.core.config import Config
from pine.history.archive import Archive
from pine.replay.flights import Life
from pine.replay.past import Past
from pine.replay.plans import follow
from pine.replay.run import Replayed, replay


def lived(client: Client, folder: Path, name: str = "one") -> tuple[Config, Life]:
    """Let a worker live through a few sessions; return what it left."""
    config = configure(folder)
    run = begin(client, config, name)
    publish(client, config, closed_bars())
    run.until_caught_up()
    return config, Life(name, Archive.of(config), client)


def replayed(config: Config, client: Client | None, life: Life) -> Replayed:
    """Replay a life from the streams."""
    past = Past.of(config, client, config.traded[life.strategy])
    plan, steps = follow(config, past, life)
    return replay(config, plan, steps)
