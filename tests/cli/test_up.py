"""What ``pine up`` says when it cannot do what it is asked."""

import pytest

from .conftest import Shell


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ibs"], "nothing is called 'ibs'; did you mean ibs_a? there is hub, archive, ibs_a"),
        (["--only", "hub,asleep"], "strategy asleep is disabled; set strategies.asleep.enabled to true"),
        (["--show"], "no pine up runs in "),
        (["--stop", "ibs_a", "--json"], "no pine up runs in "),
        (["--json"], "--json goes with --show, --start, --stop or --restart"),
        (["--show", "--stop", "ibs_a"], "one at a time"),
        (["ibs_a", "--stop", "ibs_a"], "one at a time"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2_and_starts_nothing(pine: Shell, arguments: list[str], said: str) -> None:
    ran = pine.quick("up", *arguments)
    assert (ran.code, said in ran.err, ran.out) == (2, True, ""), ran.err
    assert not (pine.folder / "data").exists()
