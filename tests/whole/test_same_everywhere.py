"""The same tape leads to the same streams at any speed."""

from pathlib import Path

from pine.sandbox.demo.perform import perform, problems
from pine.sandbox.demo.record import Record, read_record
from pine.sandbox.demo.stage import Stage
from pine.sandbox.market import write_market


def play(
    tape: Path,
    folder: Path,
    speed: float | None = None,
    until: int | None = None,
) -> Record:
    """Run the system on a tape and return its streams, to a time in ns or to the end of the tape."""
    kept: Record = {}

    def keep(stage: Stage) -> None:
        kept.update(read_record(stage.client, stage.config, until or stage.tape_end))

    facts = perform(folder, [tape], speed, lambda _: None, at_end=keep)
    assert problems(facts) == []
    return kept


def test_two_speeds_give_the_same_streams(tmp_path: Path) -> None:
    tape = tmp_path / "short.dbn.zst"
    write_market(tape, ["ES", "GC"], 1, 3, trades_per_day=2000)
    (tmp_path / "max").mkdir()
    (tmp_path / "paced").mkdir()
    day_after = 1709676000_000_000_000  # an hour before the tail of heartbeats ends
    paced = play(tape, tmp_path / "paced", speed=15_000, until=day_after)
    assert play(tape, tmp_path / "max", until=day_after) == paced
    assert len(paced["market:ES:1min"]) > 500
