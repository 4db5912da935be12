"""A feature has one value: live, after restarts, in a replay and in the row that a model is trained on."""

import random
from pathlib import Path

import orjson
import pytest
from life import replayed
from market import Run, configure, publish
from sessions import CONFIG, ROOTS, after, fill_archive, publish_until, start

from pine.bus.client import Client
from pine.core.config import Config
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.replay.flights import Life
from pine.replay.past import Past
from pine.replay.plans import Wish, from_history
from pine.replay.run import replay
from pine.strategies.features.address import parse_address
from pine.strategies.features.parameters import parameters
from pine.strategies.features.registry import FEATURES
from pine.training.candidates import unlimited
from pine.training.rows import Row, samples_of

OBSERVER = '''
from pine.strategies.base import BaseStrategy


class Observer(BaseStrategy):
    """Notes every feature at every hour, and trades now and then."""

    features = {features!r}

    def on_bar(self, bar):
        self.surroundings.observe(bar.symbol, {{name: self.feature(bar.symbol, name) for name in self.features}})
        if bar.start // 3_600_000_000_000 % 3 == 0:
            self.surroundings.enter(bar.symbol, "third hour", {{}})
        else:
            self.surroundings.exit(bar.symbol, "another hour", {{}})
'''


def short(name: str) -> str:
    """Return an address of a definition with windows so short that a few sessions fill them."""
    arguments = {p.name: p.default for p in parameters(FEATURES[name])}
    arguments = {key: "close" if value is None else value for key, value in arguments.items()}
    arguments = {key: min(value, 2) if isinstance(value, int) else value for key, value in arguments.items()}
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"


HOURLY = [str(parse_address(short(name))) for name in FEATURES]
EVERY = (*HOURLY, *(f"{text}@daily" for text in HOURLY), *(f"{text}@pair" for text in HOURLY))
TAUGHT = tuple(name for name in EVERY if "fractal" not in name)
"""Pivots of days come late, and a row that lacks a value is not trained on."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "observing.py").write_text(OBSERVER.format(features=EVERY))
    noted = orjson.dumps(list(EVERY)).decode()
    warm_up = "{daily: 4, hourly: 3, buy: false, features: false}"
    more = f", features: {noted}"
    text = CONFIG.format(key="k", gateway="", warm_up=warm_up, kind="observing:Observer", more=more)
    return configure(tmp_path, text + "pairs: {ES: GC, GC: ES}\n")


EARLY = parse_time("2024-03-11T09:20")
"""The step after which it lives: three sessions come before the market ends."""

LATEST = 80
"""Hours that come after it."""


def begin(client: Client, config: Config) -> Run:
    """Publish what was before, start a worker, and publish everything else."""
    publish_until(client, config, EARLY)
    run = start(client, config)
    publish(client, config, after(EARLY, LATEST))
    return run


def seen(life: Life) -> dict[int, list[dict[str, object]]]:
    return {at: flight["observed"] for at, flight in life.flights()}


def trained_on(config: Config, client: Client) -> list[tuple[str, Row]]:
    """Return the rows that a model would be trained on, of the same bars."""
    loose = unlimited(config, "one", TAUGHT)
    past = Past.of(loose, client, loose.reads("one"))
    plan, steps = from_history(loose, past, "one", Wish(begin=EARLY))
    samples = samples_of(replay(loose, plan, steps).record, ROOTS, TAUGHT)
    return [(symbol, row) for symbol, sample in samples.items() for row in sample.rows]


def test_a_feature_has_one_value_live_after_restarts_in_a_replay_and_in_training(
    client: Client, config: Config
) -> None:
    fill_archive(config, EARLY)
    run = begin(client, config)
    chance = random.Random(3)
    for _ in range(3):
        run.until_step(chance.randrange(50, 600))
        run = start(client, config)
    run.until_caught_up()
    life = Life("one", Archive.of(config), client)
    restarted, record = seen(life), life.record(config)
    again = replayed(config, client, life).record
    for table in ("values", "decisions", "intents", "fills"):
        assert again.table(table).equals(record.table(table)), table

    client.flushall()  # type: ignore[attr-defined]  # a server of the test's own
    begin(client, config).until_caught_up()
    unbroken = seen(Life("one", Archive.of(config), client))
    assert len(unbroken) >= 50
    assert unbroken == restarted

    rows = trained_on(config, client)
    entries = {row["symbol"] + str(at): row for at, noted in restarted.items() for row in noted if EVERY[0] in row}
    assert len(rows) >= 10
    assert all(tuple(entries[symbol + str(row.step)][name] for name in TAUGHT) == row.values for symbol, row in rows)

    told = [(name, value) for rows in unbroken.values() for row in rows for name, value in row.items()]
    assert {name for name, value in told if isinstance(value, float)} >= set(EVERY)
