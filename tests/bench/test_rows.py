"""Every comparison runs on tiny data, and both sides do the same work; how fast they are is for `pine bench` to say."""

import json
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from pine import __version__
from pine.bench import run as running
from pine.bench.catalog import PLACES, SCALES, rows
from pine.bench.measure import compare, refuse_difference
from pine.bench.row import Aim, Bench, BenchError, Result, Row, Sides, Spread, Taken
from pine.bench.scale import Point, Table, tables
from pine.cli.main import cli

QUICK = ("live", "bulk", "steps", "replay-minutely")
SLOW = tuple(name for name in PLACES if name not in (*QUICK, "replay"))
"""Those that start workers, hubs or servers, or commands many times; ``replay`` is what the command is tried with."""


def measured(name: str, folder: Path) -> Result:
    (row,) = rows([name])
    return compare(row, Bench(folder, quick=True), repeat=1)


@pytest.mark.parametrize("name", QUICK)
def test_both_sides_of_a_row_do_the_same(name: str, tmp_path: Path) -> None:
    found = measured(name, tmp_path)
    assert found.row.name == name
    assert found.ratio > 0
    assert found.size
    if name == "replay-minutely":
        assert int(found.same.removesuffix(" decisions alike")) > 50


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
def test_both_sides_of_a_row_with_processes_do_the_same(name: str, tmp_path: Path) -> None:
    test_both_sides_of_a_row_do_the_same(name, tmp_path)


def sides(theirs: Taken, ours: Taken) -> Row:
    from contextlib import nullcontext

    both = Sides("a size", lambda: theirs, lambda: ours, lambda: "the same")
    return Row("made", "a path", "something", Aim(at_least=2.0), "things a second", lambda _: nullcontext(both))


@pytest.mark.parametrize(("rate", "met"), [(2.0, True), (1.9, False)])
def test_a_rate_is_met_from_its_aim_on(rate: float, met: bool, tmp_path: Path) -> None:
    found = compare(sides(Taken(1.0), Taken(rate)), Bench(tmp_path), 3)
    assert (found.ratio, found.met, len(found.ratios.values)) == (rate, met, 3)


def test_moments_of_one_run_are_looked_at_once_whatever_is_asked(tmp_path: Path) -> None:
    found = compare(evolve(sides(Taken(1.0), Taken(2.0)), once=True), Bench(tmp_path), 3)
    assert len(found.ratios.values) == 1
    assert [row.name for row in rows() if row.once] == ["memory"]


@pytest.mark.parametrize(("cost", "met"), [(3.0, True), (3.1, False)])
def test_a_cost_is_met_up_to_its_aim(cost: float, met: bool) -> None:
    assert Aim(at_most=3.0).met(cost) is met


def test_sides_that_do_different_work_are_refused_with_the_first_difference(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"at 1 the baseline has \[5\], pine \[6\]"):
        compare(sides(Taken(1.0, did=[4, 5]), Taken(1.0, did=[4, 6])), Bench(tmp_path), 1)
    with pytest.raises(BenchError, match="the baseline has 1, pine 2"):
        refuse_difference(1, 2)


def test_a_spread_says_where_the_middle_half_lies() -> None:
    found = Spread([4.0, 1.0, 2.0, 3.0, 100.0])
    assert (found.median, found.quartiles) == (3.0, (2.0, 4.0))
    assert Spread([7.0]).quartiles == (7.0, 7.0)


def test_the_command_prints_one_document_with_the_machine_and_every_fact_of_a_row() -> None:
    done = CliRunner().invoke(cli, ["bench", "replay", "--quick", "--repeat", "2", "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["machine"]["cores"] >= 1
    (row,) = document["rows"]
    assert row["name"] == "replay"
    assert row["aim"] == {"at_least": 6.0, "at_most": None}
    assert row["met"] is None
    assert len(row["ratios"]["values"]) == len(row["baseline"]["values"]) == len(row["pine"]["values"]) == 2
    assert "decisions alike" in row["same"]


def test_the_command_draws_a_table() -> None:
    done = CliRunner().invoke(cli, ["bench", "help", "--quick", "--repeat", "1"])
    assert done.exit_code == 0
    assert "pine --help as a process" in done.stdout
    assert "≤ 2 ×" in done.stdout


def test_what_cannot_be_measured_takes_nothing_else_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(row: Row, bench: Bench, repeat: int | None) -> Result:
        if row.name == "help":
            raise BenchError("the sides did not do the same")
        return compare(row, bench, repeat)

    monkeypatch.setattr(running, "compare", refused)
    done = CliRunner().invoke(cli, ["bench", "help", "replay", "--quick", "--repeat", "1", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 2
    assert document["refused"] == {"help": "the sides did not do the same"}
    assert [row["name"] for row in document["rows"]] == ["replay"]
    assert (document["pine"], document["at"][:2]) == (__version__, "20")


def test_a_run_that_is_cut_short_shows_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(row: Row, bench: Bench, repeat: int | None) -> Result:
        if row.name == "help":
            raise KeyboardInterrupt
        return compare(row, bench, repeat)

    monkeypatch.setattr(running, "compare", cut)
    done = CliRunner().invoke(cli, ["bench", "replay", "help", "--quick", "--repeat", "1"])
    assert done.exit_code == 1
    assert "the same rule in Backtrader" in done.stdout.replace("\n", " ")
    assert "Aborted!" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["help", "--plot", "x.html"], "--plot draws scale-symbols and scale-strategies"),
        (["scale-symbols", "--plot", "/nowhere/x.html"], "/nowhere is no folder"),
        (["replay", "--python", "x"], "--python goes with --peer"),
        (["help", "--peer", "nautilus"], "--peer runs the replay rows' bars"),
        (["replay", "--peer", "nautilus", "--python", "/nowhere/python"], "/nowhere/python: cannot be run"),
        (["replay", "--peer", "nautilus", "--python", "false"], "nautilus-trader is not installed there"),
    ],
)
def test_what_could_not_be_done_afterwards_is_refused_before(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["bench", "--quick", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_a_name_that_is_no_row_is_told_with_the_nearest() -> None:
    done = CliRunner().invoke(cli, ["bench", "reply"])
    assert done.exit_code == 2
    assert "did you mean replay?" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", SCALES)
def test_cost_is_told_for_each_size(name: str, tmp_path: Path) -> None:
    found = tables(name, Bench(tmp_path, quick=True))
    assert all(point.rate > 0 for table in found for point in table.points)
    assert [point.size for point in found[0].points] == ([1, 10] if name == "scale-symbols" else [1, 4])


def test_a_plot_is_one_page_that_needs_no_network(tmp_path: Path) -> None:
    from pine.bench.plot import write

    path = tmp_path / "scale.html"
    points = (Point(1, 100.0, 5.0, 1.0), Point(10, 20.0, 9.0, 2.0))
    write(path, [Table("scale-symbols", "hub", "trades", points)])
    page = path.read_text()
    assert "hub: trades a second" in page
    assert '<script src="http' not in page


def test_the_machine_is_described_without_naming_it() -> None:
    import socket

    from pine.bench.machine import describe, in_words

    machine = describe()
    assert machine["packages"]["backtrader"]
    assert socket.gethostname() not in in_words(machine)


def test_the_reading_end_of_a_hop_notes_each_entry(client, server) -> None:
    import subprocess
    import sys

    from pine.bench import hopper

    command = [sys.executable, "-m", "pine.bench.hopper", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"ready\n"
        for _ in range(3):
            client.xadd(hopper.STREAM, {"bar": b"x"})
        client.xadd(hopper.STREAM, {"last": b""})
        times = json.loads(reader.stdout.readline())
        reader.terminate()
    assert len(times) == 3
    assert times == sorted(times)
