"""A new strategy that is ended or killed anywhere goes on the same; later starts need none of its history."""

import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from market import publish, record
from processes import DEADLINE_S
from sessions import (
    NOT_BUYING,
    ROOTS,
    START,
    after,
    bare,
    config_of,
    fill_archive,
    historical,
    life,
    publish_until,
    start,
)

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.errors import DataError
from pine.core.timeframe import Timeframe
from pine.history.archive import Archive
from pine.history.sealer import Sealer
from pine.orders.entries import Origin
from pine.orders.ledger import read_ledger


def test_a_restart_needs_neither_archive_nor_vendor_nor_what_was_before_its_origin(
    client: Client, tmp_path: Path, warmed: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config)
    publish(client, config, after())
    run.until_step(600)
    origin = next(entry for _, entry in read_ledger(client, "one") if isinstance(entry, Origin)).origin
    for stream in (keys.CLOCK, keys.EVENTS, *(keys.bars(s, t) for s in ROOTS for t in Timeframe)):
        if client.exists(stream):
            client.xtrim(stream, minid=origin)  # type: ignore[attr-defined]
    start(client, config_of(tmp_path, NOT_BUYING)).until_caught_up()
    assert life(client) == warmed


@pytest.mark.parametrize("steps", [1, 82, pytest.param(1500, marks=pytest.mark.long)])
def test_a_worker_that_ends_anywhere_goes_on_the_same(
    steps: int, client: Client, tmp_path: Path, warmed: dict[str, list]
) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    fill_archive(config)
    publish(client, config, bare())
    run = start(client, config)
    publish(client, config, after())
    run.until_step(steps)
    start(client, config).until_caught_up()
    assert life(client) == warmed


def test_what_a_killed_worker_left_of_its_warm_up_harms_nobody(
    client: Client, tmp_path: Path, warmed: dict[str, list]
) -> None:
    """Bars without an origin: it was killed between the two."""
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    ms = START // 1_000_000
    for n in range(3):
        client.xadd(keys.warm_up("one"), {"bars": b"[]"}, id=f"{ms}-{n}")
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    found = life(client)
    assert [i for i, _ in found[keys.warm_up("one")]][:4] == [f"{ms}-{n}" for n in range(4)]
    (flights, first), (others, second) = (
        (lived[keys.flight("one")], orjson.loads(lived[keys.ledger("one")][0][1][b"entry"])["warm_up"])
        for lived in (found, warmed)
    )
    assert flights == others
    assert (first["digest"], first["first"]) == (second["digest"], f"{ms}-3")


def test_bars_that_are_not_those_of_the_origin_stop_it(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    start(client, config).source.lease.release()
    identifier, _ = next(streams.read_range(client, keys.warm_up("one")))
    client.xdel(keys.warm_up("one"), identifier)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"warmup:one .* found \d+ bars with digest .*, expected \d+ with digest"):
        start(client, config)


def test_the_archive_seals_the_warm_up_with_the_ledger(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, NOT_BUYING)
    publish_until(client, config)
    run = start(client, config)
    publish(client, config, after())
    run.until_caught_up()
    lease = Lease.try_acquire(client, keys.ARCHIVE, "test")
    assert isinstance(lease, Lease)
    archive = Archive.of(config)
    Sealer(config, client, lease, archive).look()
    lease.release()
    assert list(archive.warm_ups("one")) == record(client, keys.warm_up("one"))
    assert next(archive.ledger("one"))[1] == record(client, keys.ledger("one"))[0][1]
    assert archive.verify() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_worker_killed_or_ended_while_history_is_bought_leaves_nothing_and_the_next_one_starts(
    number: signal.Signals,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    processes: Any,
    warmed: Any,
) -> None:
    with historical(tmp_path, monkeypatch, "sound@get_range", "timeout:300@get_range") as server:
        config = config_of(tmp_path, gateway=f"https://127.0.0.1:{server.port}")
        publish(client, config, bare())
        worker = processes(config)
        worker.until(lambda: any(request["fault"] for request in server.requests), "the vendor says nothing")
        beat = keys.heartbeat("worker:one")
        worker.until(lambda: client.hget(beat, "status") == b"warming up", "its heartbeat says so")
        worker.running.send_signal(number)
        assert worker.running.wait(DEADLINE_S) == (0 if number is signal.SIGTERM else -number)
        assert not client.exists(keys.ledger("one"))
        assert not client.exists(keys.warm_up("one"))
        client.delete(keys.lease("worker:one"))  # type: ignore[attr-defined]  # as if it had run out
        following = processes(config)
        following.until(lambda: "worker ready" in following.said(), "the next one is ready")
    publish(client, config, after(hours=3))
    newest = streams.last_id(client, keys.CLOCK)
    following.until(
        lambda: streams.group_info(client, keys.CLOCK, "one")["last-delivered-id"].decode() == newest,
        "it has caught up",
    )
    following.running.send_signal(signal.SIGTERM)
    assert following.running.wait(DEADLINE_S) == 0
    ours, theirs = (
        [orjson.loads(fields[b"flight"])["digest"] for _, fields in found]
        for found in (record(client, keys.flight("one")), warmed[keys.flight("one")])
    )
    assert ours
    assert ours == theirs[: len(ours)]
