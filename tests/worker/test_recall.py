"""What a desk had seen last, read back from the streams, is what it had seen when it went through every step."""

from pathlib import Path

import pytest
from market import begin, closed_bars, configure, publish
from sessions import SMALL, config_of, publish_until, start
from test_adjust import BEFORE, rest

from pine.bus.client import Client
from pine.core.times import parse_time, to_ms
from pine.feeds.steps import Step
from pine.worker.recall import recall


def seen(source) -> tuple[dict, dict]:
    return source.desk._last, source.desk._lead


def test_at_any_step_of_a_life_that_began_with_the_streams(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    compared = 0

    def look(step: Step) -> bool:
        nonlocal compared
        if run.source.vitals.steps % 97 == 0:
            compared += 1
            assert run.source.origin is not None
            first = max(run.source.origin.origin - 60_000, 0)
            known = recall(client, (first, to_ms(step.ts)), config.traded["one"])
            assert (known.bars, known.leads) == seen(run.source)
        return step.ts == closed_bars()[-1].boundary

    run.until(look)
    assert compared > 20


@pytest.mark.parametrize("until", ["2024-03-12T22:59", "2024-03-12T23:00", "2024-03-12T23:02", "2024-03-13T15:00"])
def test_around_a_roll_of_a_life_that_began_with_history(until: str, client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, SMALL.replace("}", ", buy: false}"), kind="breakout", more="")
    publish_until(client, config, BEFORE)
    run = start(client, config)
    publish(client, config, rest(BEFORE))
    last = parse_time(until)
    run.until(lambda step: step.ts >= last)
    origin = run.source.origin
    assert origin is not None
    again = start(client, config)
    history = again.source._history
    assert history is not None
    known = recall(client, (origin.origin, to_ms(last)), config.traded["one"], history)
    assert (known.bars, known.leads) == seen(run.source)
    again.source.lease.release()
