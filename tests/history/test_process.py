"""The archive's process: killed at named moments, without its server, asked to end, and one too many."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import replacing
from books import Books, archive_at, seal, snapshot, sparse_market
from market import configure, publish
from waiting import DEADLINE_S, until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.ending import ENDING
from pine.bus.pauses import POINTS, Holder
from pine.core.bar import Bar
from pine.core.errors import BusError
from pine.core.log import parsed
from pine.core.timeframe import Timeframe
from pine.history import run as running
from pine.history.archive import Archive
from pine.history.manifest import bars_table
from pine.history.run import seal_once


@contextmanager
def process(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pine", "-c", str(folder / "pine.yaml"), "archive", *arguments]
    started = subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    with process(folder, *arguments) as started:
        out, err = started.communicate(timeout=DEADLINE_S)
        return started.returncode, out, err


@contextmanager
def ended_as_before() -> Iterator[None]:
    """Give requests to end their old meaning back, which a single run in this process takes."""
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, meaning in before.items():
            signal.signal(number, meaning)


OTHERS = {("written", 1), ("renamed", 0), ("listed", 1)}


@pytest.mark.parametrize(
    ("point", "passed"),
    [
        pytest.param(*case, marks=pytest.mark.long if case in OTHERS else ())
        for case in product(POINTS["archive"], (0, 1))
    ],
)
def test_killed_at_a_named_moment_the_next_run_makes_the_archive_of_an_undisturbed_one(
    point: str, passed: int, client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    seal(client, config, archive_at(tmp_path / "undisturbed", config))
    for stream in ("1min", "hourly"):
        client.xgroup_destroy(f"market:6E:{stream}", keys.ARCHIVE)  # type: ignore[attr-defined]
    holder = Holder(tmp_path / "pauses")
    folder = config.data_dir / "archive"
    holder.ask(keys.ARCHIVE, point)
    with process(tmp_path, "--once", environment=holder.environment) as started:
        for n in range(passed + 1):
            until(lambda: holder.held(keys.ARCHIVE, point) == started.pid, f"it comes by {point}")
            if n < passed:
                (holder.folder / f"{keys.ARCHIVE}.{point}").touch()
                (holder.folder / f"{keys.ARCHIVE}.{point}.held").unlink()
        started.send_signal(signal.SIGKILL)
        started.wait()
    client.delete(keys.lease(keys.ARCHIVE))  # type: ignore[attr-defined]  # as if it had run out
    torn = {path: content for path, content in snapshot(folder).items() if not path.startswith("tmp/")}
    whole = snapshot(tmp_path / "undisturbed")
    files = {path: content for path, content in torn.items() if path.endswith(".parquet")}
    assert all(whole[path] == content for path, content in files.items())  # whole or not there
    with ended_as_before():
        assert seal_once(config, client)
    assert snapshot(folder) == whole
    assert Archive.of(config).verify() == []
    last = Archive.of(config).manifest(bars_table("6E", Timeframe.MINUTE)).sealed_to
    stream = keys.bars("6E", Timeframe.MINUTE)
    assert streams.group_info(client, stream, keys.ARCHIVE)["last-delivered-id"].decode() == last


@pytest.mark.parametrize("point", POINTS["archive"])
def test_killed_while_a_file_is_replaced_it_is_the_old_one_or_the_new_one(point: str, tmp_path: Path) -> None:
    config = configure(tmp_path)
    holder = Holder(tmp_path / "pauses")
    replacing.put(config.path, 1)
    holder.ask(keys.ARCHIVE, point)
    command = [sys.executable, replacing.__file__, str(config.path), "2"]
    with subprocess.Popen(command, env={**os.environ, **holder.environment}) as started:
        until(lambda: holder.held(keys.ARCHIVE, point) == started.pid, f"it comes by {point}")
        started.kill()
    archive = Archive.of(config)
    assert archive.verify() == []
    assert [bar.volume for bar in archive.bars("ES", Timeframe.MINUTE)] == [1 if point == "written" else 2]
    replacing.put(config.path, 2)
    undisturbed = configure(_folder(tmp_path / "other"))
    for volume in (1, 2):
        replacing.put(undisturbed.path, volume)
    assert snapshot(config.data_dir / "archive") == snapshot(undisturbed.data_dir / "archive")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_the_process_seals_a_session_after_its_close_outlives_its_server_and_ends_in_order(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    market = sparse_market()
    client = client_for(server.url)
    publish(client, config, market[: len(market) // 2])
    archive = Archive.of(config)
    with process(tmp_path) as started:
        until(lambda: archive.bars("ES", Timeframe.HOUR), "the first session is sealed")
        beat = {k.decode(): v.decode() for k, v in client.hgetall(keys.heartbeat(keys.ARCHIVE)).items()}
        assert (beat["status"], beat["pid"]) == ("running", str(started.pid))
        os.kill(int(server.pid() or 0), signal.SIGKILL)
        client.close()
        until(server.is_running, "it starts the server again")
        client = client_for(server.url)
        publish(client, config, market[len(market) // 2 :])
        until(lambda: archive.manifest(bars_table("ES", Timeframe.DAY)).sealed_until, "the rest is sealed")
        until(lambda: len(archive.bars("ES", Timeframe.DAY)) == 2, "both days are sealed")
        started.send_signal(signal.SIGTERM)
        _, err = started.communicate(timeout=DEADLINE_S)
    assert started.returncode == 0, err
    assert client.hgetall(keys.heartbeat(keys.ARCHIVE))[b"status"] == b"stopped"
    assert client.get(keys.lease(keys.ARCHIVE)) is None
    live = [Bar.from_json(f[b"bar"]) for _, f in streams.read_range(client, keys.bars("ES", Timeframe.HOUR))]
    client.close()
    assert archive.bars("ES", Timeframe.HOUR) == live
    told = [parsed(line) for line in err.splitlines()]
    assert "2024-03-05" in [event["session"] for event in told if event["event"] == "session sealed"]


def test_a_single_run_leaves_the_server_as_it_found_it(server: EmbeddedServer, tmp_path: Path) -> None:
    config = configure(tmp_path)
    client = client_for(server.url)
    publish(client, config, sparse_market())
    client.close()
    server.stop()
    assert run(tmp_path, "--once")[0] == 0
    assert not server.is_running()
    assert len(Archive.of(config).bars("ES", Timeframe.DAY)) == 2


def test_a_single_run_beside_a_running_process_says_who_seals_and_does_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    monkeypatch.setattr(running, "HELD_SECONDS", 0.2)  # nobody was killed whose role could run out
    told: list[str] = []
    with process(tmp_path) as started:
        until(lambda: client.get(keys.lease(keys.ARCHIVE)), "it holds its role")
        with ended_as_before(), pytest.raises(BusError, match=rf":{started.pid}#.* seals already"):
            seal_once(config, client, on_wait=told.append)
        assert started.poll() is None
    assert [holder.partition("#")[0].rpartition(":")[2] for holder in told] == [str(started.pid)]
    assert not (config.data_dir / "archive").exists()


def test_a_location_that_cannot_be_used_is_named(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    (config.data_dir / "archive").write_text("a file")
    code, out, err = run(tmp_path, "--once")
    assert (code, out) == (2, "")
    assert str(config.data_dir / "archive") in err
    assert "Traceback" not in err


def test_verify_names_every_file_that_differs(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    Books(client).work(10_000)
    seal(client, config, Archive.of(config))
    folder = config.data_dir / "archive"
    assert run(tmp_path, "verify")[:2] == (0, f"{len(list(folder.rglob('*.parquet')))} files, 0 differences\n")
    day = "month=2024-03/2024-03-04.parquet"
    damaged, lost, strange, cut = (
        folder / kind / day
        for kind in ("volumes/symbol=ES", "flights/strategy=one", "clock", "bars/symbol=6E/timeframe=hourly")
    )
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    lost.unlink()
    strange.with_name("2024-03-07.parquet").write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:100])
    code, out, _ = run(tmp_path, "verify", "--json")
    assert code == 1
    found: dict[str, str] = {}
    for item in json.loads(out)["differences"]:
        found.setdefault(item["path"], item["what"])
    assert found.keys() == {
        f"volumes/symbol=ES/{day}",
        f"flights/strategy=one/{day}",
        "clock/month=2024-03/2024-03-07.parquet",
        f"bars/symbol=6E/timeframe=hourly/{day}",
    }
    assert "sha256" in found[f"volumes/symbol=ES/{day}"]
    assert "not there" in found[f"flights/strategy=one/{day}"]
    assert "not listed" in found["clock/month=2024-03/2024-03-07.parquet"]
