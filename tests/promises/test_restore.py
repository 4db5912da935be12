"""A backup that is restored as docs/operations.md says: no entry is posted twice, and a person settles what differs."""

import shutil
from collections import Counter
from pathlib import Path

import orjson
import pytest
from house import at, ended, house, while_open

from pine.bus.backup import AOF
from pine.sandbox.demo.record import Record
from pine.sandbox.tape import Tape

BACKED_UP = at("2024-03-04T02:30")


@pytest.mark.long
def test_a_restored_desk_posts_no_entry_again_and_agrees_with_the_broker_when_it_is_told(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    moment = while_open(unbroken, after=BACKED_UP)
    with house(tmp_path, tape) as desk:
        processes = [desk.worker("one"), desk.hub()]
        desk.play(BACKED_UP)
        desk.decided("one", BACKED_UP)
        assert desk.run("server", "backup", str(tmp_path / "copy")).returncode == 0
        desk.play(moment)
        desk.decided("one", moment)
        desk.delivered("one")
        held = orjson.loads(desk.run("positions", "one", "--json").stdout)["positions"]
        assert held
        for process in processes:
            process.process.terminate()
            assert ended(process) == 0
        desk.stop_courier("one")
        desk.server.stop()

        (tmp_path / ".env").write_text("POLICY_KILLSWITCH=1\n")
        shutil.rmtree(desk.server.folder / AOF)
        shutil.copytree(tmp_path / "copy" / AOF, desk.server.folder / AOF)
        desk.worker("one")
        desk.hub()
        desk.published(moment)
        desk.decided("one", moment)
        desk.delivered("one")
        entries = [intent.id for intent in desk.intents("one") if intent.is_entry]
        again = [intent for intent, count in Counter(desk.posted()).items() if count > 1]
        assert not set(again) & set(entries)

        (tmp_path / "broker.csv").write_text(
            "contract,quantity\n" + "".join(f"{row['contract']},{row['sent']}\n" for row in held)
        )
        compared = desk.run("positions", "compare", str(tmp_path / "broker.csv"))
        assert compared.returncode == 1, compared.stdout
        for row in held:
            said = (
                row["symbol"],
                str(row["sent"]),
                row["contract"],
                "--price",
                str(row["price"]),
                "--reason",
                "restored",
            )
            done = desk.run("positions", "set", "one", *said)
            assert done.returncode == 0, done.stderr
        compared = desk.run("positions", "compare", str(tmp_path / "broker.csv"))
        assert (compared.returncode, compared.stdout.splitlines()[-1]) == (0, "the broker's list agrees")
        assert desk.run("positions").returncode == 0
