"""Metrics: what a scrape says of a real server, without one, and whether the documentation lists the same."""

import re
import socket
import threading
from pathlib import Path

import pytest
import requests
import yaml
from market import configure
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND
from pine.core.times import parse_time
from pine.ops.metrics import DURATION, METRICS, UP, exposition, serving
from pine.orders.entries import Control, Fill, Intent, Origin, encode

NOW = parse_time("2024-03-05T15:00")
DOC = Path(__file__).parents[2] / "docs" / "metrics.md"
TEXT = """
data_dir: data
metrics: {port: PORT}
hub: {clock: tape}
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, webhook: "https://hooks.example/HIDDEN", instruments: [ES, GC]}
  paper: {type: ibs, enabled: false, instruments: [ES]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return configure(tmp_path, TEXT.replace("PORT", str(port)))


def values(text: str) -> dict[tuple[str, ...], float]:
    """Return samples by name and label values."""
    return {
        (sample.name, *(sample.labels[name] for name in labels_of(sample.name))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def labels_of(name: str) -> tuple[str, ...]:
    return next(metric.labels for metric in (UP, DURATION, *METRICS) if metric.name == name)


def fill_server(client: Client) -> None:
    for role in (keys.HUB, "worker:one"):
        assert isinstance(Lease.try_acquire(client, role, "desk:7"), Lease)
    hub = {
        "status": "running",
        "uptime_s": 5,
        "connections": 2,
        "unpublished": 3,
        "bars": 40,
        "unfilled": 1,
        "watermark": NOW,
        "last_trade": NOW,
        "counts": '{"late": 2, "trades": 900, "gap": 1}',
        "updated_at": "2024-03-05T15:00:00+00:00",
    }
    client.hset(keys.heartbeat(keys.HUB), mapping=hub)
    worker = {"status": "running", "alerts": 4, "disagreements": 3, "step_ms_p50": 1.5, "step_ms_p99": 20.0}
    client.hset(keys.heartbeat("worker:one"), mapping=worker)
    step = NOW // NS_PER_MS
    client.xadd(keys.CLOCK, {"prev": ""}, id=streams.entry_id(step))
    entries = [Origin(0, 0)]
    for n in range(2):
        entries.append(Intent(f"one-{n}", NOW, "ES", "buy", "ESH4", "ESH2024", 1, 5100.0, "IBS entry"))
    entries += [Fill("one-0", "ES", "ESH4", 1, 2, 5100.25, NOW, 1.25), Control("halt", "lunch", "anna", "1-0")]
    for n, entry in enumerate(entries):
        client.xadd(keys.ledger("one"), {"entry": encode(entry)}, id=streams.entry_id(step, n + 1))
    for state in ("attempt", "unknown"):
        client.xadd(keys.deliveries("one"), {"intent": "one-0", "state": state, "status": "", "text": "", "at": "1"})


def test_a_scrape_says_what_status_and_heartbeats_say(client: Client, config: Config) -> None:
    fill_server(client)
    text = exposition(config)
    found = values(text)
    expected = {
        ("pine_up",): 1,
        ("pine_process_up", "hub", ""): 1,
        ("pine_process_up", "worker", "one"): 1,
        ("pine_process_up", "courier", "one"): 0,
        ("pine_process_up", "worker", "paper"): 0,
        ("pine_process_up", "alerts", ""): 0,
        ("pine_process_uptime_seconds", "hub", ""): 5,
        ("pine_strategy_enabled", "paper"): 0,
        ("pine_market_open",): 1,
        ("pine_hub_watermark_timestamp_seconds",): NOW / NS_PER_SECOND,
        ("pine_hub_connections",): 2,
        ("pine_hub_unpublished_minutes",): 3,
        ("pine_hub_bars_total",): 40,
        ("pine_hub_trades_total",): 900,
        ("pine_hub_left_out_total", "late"): 2,
        ("pine_hub_left_out_total", "gap"): 1,
        ("pine_stream_bars", "ES", "1min"): 0,
        ("pine_strategy_position_contracts", "one", "ESH4"): 2,
        ("pine_strategy_halted", "one"): 1,
        ("pine_strategy_disagreements_total", "one"): 3,
        ("pine_strategy_step_duration_seconds", "one", "0.99"): 0.02,
        ("pine_strategy_intents", "one", "unknown"): 1,
        ("pine_strategy_intents", "one", "not_tried"): 1,
        ("pine_strategy_unknown_intents", "one"): 1,
        ("pine_strategy_owed_intents", "one"): 1,
        ("pine_strategy_overdue_exits", "one"): 0,
        ("pine_strategy_daily_stop_dollars", "one"): 2500,
        ("pine_kill_switch",): 0,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["pine_server_memory_bytes",] > 100_000
    assert found["pine_process_heartbeat_age_seconds", "hub", ""] > 1e6
    assert ("pine_process_up", "courier", "paper") not in found
    assert "HIDDEN" not in text


def test_names_keep_to_the_conventions() -> None:
    for metric in (UP, DURATION, *METRICS):
        assert re.fullmatch(r"pine_[a-z][a-z0-9_]*[a-z0-9]", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert set(metric.labels) <= {
            "strategy", "symbol", "contract", "kind", "state", "role", "timeframe", "quantile", "version", "fsync",
        }  # fmt: skip
        assert metric.help.endswith((".", "…"))
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


def test_without_a_server_a_scrape_is_valid_and_says_so_and_none_is_started(config: Config) -> None:
    assert values(exposition(config)).keys() == {("pine_up",), ("pine_scrape_duration_seconds",)}
    assert values(exposition(config))["pine_up",] == 0
    assert not config.data_dir.exists()


def test_the_endpoint_goes_on_while_the_server_is_away_and_answers_many_at_once(
    server: EmbeddedServer, client: Client, config: Config
) -> None:
    with serving(config) as url:

        def scrape(accept: str = "text/plain") -> str:
            reply = requests.get(url, headers={"Accept": accept}, timeout=30)
            assert reply.status_code == 200
            return reply.text

        assert values(scrape())["pine_up",] == 1
        text = scrape("application/openmetrics-text; version=1.0.0")
        assert {family.name for family in parse_openmetrics(text)} >= {"pine_up", "pine_hub_bars"}
        server.stop()
        assert values(scrape())["pine_up",] == 0
        server.ensure()
        assert values(scrape())["pine_up",] == 1
        told: list[str] = []
        threads = [threading.Thread(target=lambda: told.append(scrape())) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [values(text)["pine_up",] for text in told] == [1] * 6


def test_an_address_that_is_taken_is_named(config: Config) -> None:
    taken = f"metrics: 127.0.0.1:{config.metrics.port} cannot be listened on"
    with serving(config), pytest.raises(PineError, match=taken), serving(config):
        pass


def test_the_documentation_lists_every_metric_with_its_labels_and_meaning() -> None:
    listed = re.findall(r"^\| `(pine_\w+)` \| (.*?) \| (.*?) \|$", DOC.read_text(), re.MULTILINE)
    assert listed == [
        (metric.name, ", ".join(metric.labels) or "-", metric.help) for metric in (UP, DURATION, *METRICS)
    ]


def test_the_examples_for_prometheus_are_yaml_and_ask_for_metrics_that_exist() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOC.read_text(), re.DOTALL)
    scrape, rules = map(yaml.safe_load, blocks)
    (job,) = scrape["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
    known = {metric.name: metric.labels for metric in (UP, DURATION, *METRICS)}
    for group in rules["groups"]:
        assert group["name"]
        for rule in group["rules"]:
            assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
            assert re.fullmatch(r"\d+[smh]", rule["for"])
            asked = re.findall(r"(pine_\w+)(?:\{(.*?)\})?", rule["expr"])
            assert asked
            for name, selected in asked:
                assert name in known
                assert set(re.findall(r"(\w+)[=!]", selected)) <= set(known[name])
            assert rule["expr"].count("(") == rule["expr"].count(")")
            shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert shown <= {label for name, _ in asked for label in known[name]}
