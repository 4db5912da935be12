"""What a worker's heartbeat tells of what its engine found wrong, and of how long its steps take."""

from pathlib import Path

from attrs import evolve
from market import begin, closed_bars, configure, publish

from pine.bus import keys
from pine.bus.client import Client
from pine.core.timeframe import Timeframe
from pine.worker.latency import KEPT, Latency


def beat(client: Client) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in client.hgetall(keys.heartbeat("worker:one")).items()}


def test_a_disagreement_at_a_live_step_is_in_the_heartbeat_and_one_found_again_in_warming_up_is_not(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    closed = list(closed_bars()[:400])
    at = next(
        n
        for n, item in enumerate(closed)
        if n > 100 and any(bar.timeframe is Timeframe.HOUR and bar.symbol == "ES" for bar in item.bars)
    )
    wrong = tuple(
        evolve(bar, volume=bar.volume + 1) if bar.timeframe is Timeframe.HOUR and bar.symbol == "ES" else bar
        for bar in closed[at].bars
    )
    closed[at] = evolve(closed[at], bars=wrong)
    found = []
    for _ in range(2):
        run = begin(client, config, "one")
        run.source.vitals.alerts = run.engine.alerts
        if not found:
            publish(client, config, closed[:-1])
        else:
            publish(client, config, closed)
        run.until_caught_up()
        run.source.vitals.beat("stopped")
        found.append(beat(client))
    assert (found[0]["alerts"], found[0]["disagreements"]) == ("1", "1")
    assert found[0]["last_disagreement"].startswith("bars disagree: ES hourly: built ")
    assert 0 < float(found[0]["step_ms_p50"]) <= float(found[0]["step_ms_p99"])
    assert (found[1]["disagreements"], found[1]["last_disagreement"]) == ("0", "")


def test_latency_is_that_of_the_newest_steps_and_nothing_before_the_first() -> None:
    latency = Latency()
    assert latency.facts() == {}
    latency.committed(5.0)
    assert latency.facts() == {}
    for n in range(KEPT + 500):
        latency.arrived(n)
        latency.committed(n + (9.0 if n < 500 else 0.002 if n % 50 else 0.25))
    assert latency.facts() == {"step_ms_p50": 2.0, "step_ms_p99": 250.0}
