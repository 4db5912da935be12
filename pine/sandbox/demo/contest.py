"""One tape twice, left alone and under chaos, and whether both came to the same."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from pine.bus.pauses import Holder
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.orders.entries import Intent
from pine.orders.ledger import Deliveries, read_ledger
from pine.sandbox.demo.chaos import Chaos, make_plan
from pine.sandbox.demo.perform import Look, perform
from pine.sandbox.demo.record import Record, differences, read_archive, read_record
from pine.sandbox.demo.stage import Stage
from pine.sandbox.faults import SOUND

State = tuple[bool, str, int]
"""Of an intent: whether it is an entry, how its delivery ended, and the attempts on record."""

UNDISTURBED: Final = "undisturbed"
CHAOS: Final = "chaos"
MARKET: Final = "market"


def contest(
    folder: Path,
    tapes: Sequence[Path],
    kills: int,
    seed: int,
    look: Look,
    say: Callable[[str], None],
    *,
    generated: bool = False,
) -> dict[str, Any]:
    """Run the whole system on a tape twice, kill what runs in the second run, and compare.

    Parameters
    ----------
    folder
        Empty folder; each run gets one of its own below it.
    tapes
        DBN trade files.
    kills
        How many processes to kill.
    seed
        Chooses victims, moments and the gateway's faults.
    look, generated
        As for `perform`.
    say
        Is told of each kill and each recovery.

    Returns
    -------
    dict
        Facts of the run under chaos, ready for JSON, with ``chaos`` (what was done), ``undisturbed`` (facts of the
        other run), ``compared`` (entries by kind) and ``differences`` (lines; empty if the promise was kept).

    Raises
    ------
    SandboxError
        If a process ends that should not, or does not come back.
    """
    say("first undisturbed, as fast as it goes")
    undisturbed, expected, _ = _one(folder / UNDISTURBED, tapes, None, look, None, generated=generated)
    tape = undisturbed["tape"]
    span = parse_time(tape["first"]), parse_time(tape["last"])
    plan = make_plan(seed, kills, list(undisturbed["strategies"]))
    speed = plan.speed((span[1] - span[0]) / NS_PER_SECOND)
    say(
        f"now with {kills} kills and {sum(fault != SOUND for fault in plan.faults)} faults at the gateway (seed {seed})"
    )
    (folder / CHAOS).mkdir()
    chaos = Chaos(plan, span, Holder(folder / CHAOS / "pauses"), say)
    facts, found, states = _one(folder / CHAOS, tapes, speed, look, chaos, generated=generated, until=tape["end"])
    posts = _posts(folder / CHAOS)
    facts["undisturbed"] = undisturbed
    facts["compared"] = _compared(expected)
    facts["differences"] = [
        *differences(expected, found),
        *_account_differences(undisturbed, facts),
        *delivery_problems(posts, states),
        *(f"{name} ended with exit code {code}" for name, code in facts["exit_codes"].items() if code),
    ]
    facts["chaos"]["unknown"] = sorted(name for name, (_, state, _) in states.items() if state == "unknown")
    facts["chaos"]["exits_posted_again"] = sum(count > 1 for count in posts.values())
    return facts


def _one(
    folder: Path,
    tapes: Sequence[Path],
    speed: float | None,
    look: Look,
    chaos: Chaos | None,
    *,
    generated: bool,
    until: int | None = None,
) -> tuple[dict[str, Any], Record, dict[str, State]]:
    folder.mkdir(exist_ok=True)
    record: Record = {}
    states: dict[str, State] = {}

    def keep(stage: Stage) -> None:
        end = until or stage.tape_end
        record.update(read_record(stage.client, stage.config, end))
        stage.seal()
        record.update(read_archive(Archive.of(stage.config), end))
        for name in stage.strategies:
            states.update(_states(stage, name))

    facts = perform(folder, tapes, speed, look, generated=generated, at_end=keep, chaos=chaos, seals=True)
    return facts, record, states


def _states(stage: Stage, strategy: str) -> dict[str, State]:
    deliveries = Deliveries.read(stage.client, strategy)
    intents = [entry for _, entry in read_ledger(stage.client, strategy) if isinstance(entry, Intent)]
    return {
        intent.id: (intent.is_entry, deliveries.state(intent.id), deliveries.attempts(intent.id)) for intent in intents
    }


def _posts(folder: Path) -> Counter[str]:
    """Return how often the receiver was sent each intent."""
    received = folder / "webhooks.jsonl"
    lines = received.read_bytes().splitlines() if received.exists() else []
    return Counter(orjson.loads(line)["body"]["extras"]["intent"] for line in lines)


def _compared(record: Record) -> dict[str, int]:
    """Return how many entries of each kind were compared."""
    counts: Counter[str] = Counter()
    for name, entries in record.items():
        kind = name.split(":")[-1] if name.partition(":")[0] == MARKET else name.split(":")[0]
        counts[kind] += len(entries)
    return dict(counts)


def _account_differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {fact} {ours[fact]} against {theirs[fact]}"
        for name, ours in left["strategies"].items()
        for theirs in (right["strategies"][name],)
        for fact in ("entries", "exits", "fills", "positions", "cash", "realised")
        if ours[fact] != theirs[fact]
    ]


def delivery_problems(posts: Mapping[str, int], states: Mapping[str, State]) -> list[str]:
    """Return where deliveries broke their promise.

    Parameters
    ----------
    posts
        How often the receiver was sent each intent.
    states
        By intent: whether it is an entry, its state, and the attempts on record.
    """
    wrong = [f"{intent}: posted, but in no ledger" for intent in posts if intent not in states]
    for intent, (is_entry, state, attempts) in states.items():
        got = posts.get(intent, 0)
        if state == "posted" and got < 1:
            wrong.append(f"{intent}: recorded as posted, but the receiver has none")
        if got > 1 and is_entry:
            wrong.append(f"{intent}: an entry was posted {got} times")
        if got > attempts:
            wrong.append(f"{intent}: {got} posts, but {attempts} attempts on record")
        if state not in ("posted", "unknown") or (state == "unknown" and not is_entry):
            wrong.append(f"{intent}: ended as {state or 'not tried'}")
    return wrong
