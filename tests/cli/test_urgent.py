"""Commands that somebody may need at once, with a configuration that has mistakes or hangs."""

import os
import threading

import pytest

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.cli import check, control

from .conftest import CONFIG, Shell

HANGING = "import threading\nfrom stopper import LET_GO\nLET_GO.wait(30)\n"


def test_a_halt_is_asked_for_whatever_is_wrong_in_the_configuration(pine: Shell, server: EmbeddedServer) -> None:
    pine.config(CONFIG.replace("type: ibs", "type: gone:Gone", 1) + "\nno such: {\n")
    ran = pine.quick("halt", "ibs_a", "--reason", "now")
    assert (ran.code, "the next one books it before its first step" in ran.out) == (1, True), ran.err
    client = client_for(server.url)
    assert client.xlen(keys.control("ibs_a")) == 1
    client.close()
    ran = pine.quick("halt", "nobody")
    assert (ran.code, "no strategy nobody can be read" in ran.err) == (2, True)


@pytest.mark.parametrize("command", [("resume", "ibs_a"), ("flatten", "ibs_a", "--yes"), ("status",)])
def test_what_cannot_work_says_what_does(pine: Shell, command: tuple[str, ...]) -> None:
    pine.config(CONFIG + "\nhubb: {}\n")
    ran = pine.quick(*command)
    assert (ran.code, "POLICY_KILLSWITCH=1 in .env" in ran.err, "pine up --stop NAME" in ran.err) == (2, True, True)


@pytest.mark.parametrize("text", [CONFIG + "\nhubb: {}\n", CONFIG + "\nhub: {\n", CONFIG.replace("ibs\n", "no:No\n")])
def test_a_running_pine_up_is_found_whatever_is_wrong_in_the_configuration(pine: Shell, text: str) -> None:
    pine.config(text)
    ran = pine.quick("up", "--stop", "ibs_a")
    assert (ran.code, f"no pine up runs in {pine.folder / 'data'}" in ran.err) == (2, True), ran.err


def test_a_module_that_hangs_is_named_and_not_waited_for(pine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    stopper = ModuleType("stopper")
    stopper.LET_GO = threading.Event()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stopper", stopper)
    monkeypatch.setattr(check, "LOAD_SECONDS", 1.0)
    monkeypatch.setattr(control, "URGENT_SECONDS", 1.0)
    (pine.folder / "hanging_plug_in.py").write_text(HANGING)
    pine.config(CONFIG.replace("type: ibs\n", "type: hanging_plug_in:Any\n", 1))
    try:
        ran = pine.quick("check", "--offline")
        assert (ran.code, "hanging_plug_in.py:3" in ran.out) == (2, True), ran
    finally:
        stopper.LET_GO.set()
        left = [thread for thread in threading.enumerate() if thread.name == "load the configuration"]
        for thread in left:
            thread.join()  # it gives standard output back, which is the next test's by then
    assert left


def test_a_pipe_in_place_of_the_secrets_is_a_mistake(pine: Shell) -> None:
    os.mkfifo(pine.folder / ".env")
    ran = pine.quick("check", "--offline")
    assert (ran.code, ".env beside it is no file" in ran.out) == (2, True), ran
