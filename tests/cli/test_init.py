"""``pine init``: what is answered is what every command reads back, and nothing that was there is lost."""

import contextlib
import json
import stat
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from pine.cli.main import cli
from pine.core.config import load_config
from pine.core.instruments import SPECS
from pine.ops.setup import Answers, Wanted, defaults, render_env, render_yaml, write
from pine.ops.setup.answers import data_dir_mistake
from pine.strategies.catalog import PARAMS

from .conftest import KEY

ROOT: Final = Path(__file__).parents[2]
HOOK: Final = "https://webhooks.traderspost.io/trading/webhook/HIDDENHOOK-1/HIDDENTOKEN-2"
DISCORD: Final = "discord://4174216298/HIDDENJHMHI8qBe7bk2ZwO5U711o3dV_js"


def init(folder: Path, *arguments: str, typed: str = "") -> Result:
    ran = CliRunner().invoke(cli, ["init", "--dir", str(folder), *arguments], input=typed)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    assert "HIDDEN" not in ran.output
    return ran


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Any answers


def lists(roots: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(roots), min_size=1, max_size=6, unique=True).map(tuple)


MONEY = st.floats(min_value=1e-3, max_value=1e12, allow_nan=False)


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    instruments = draw(lists(list(SPECS)))
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), max_size=3, unique=True))
    wanted = tuple(
        Wanted(
            name,
            draw(st.sampled_from(["ibs", "breakout"])),
            draw(lists(list(instruments))),
            draw(st.integers(1, 50)),
            draw(MONEY),
            draw(st.booleans()),
        )
        for name in names
        if name != "archive"
    )
    close = draw(st.sampled_from(["23:00", "22:00", "17:00 America/Chicago"]))
    folder = draw(st.text(max_size=20).filter(lambda text: data_dir_mistake(text) is None))
    hooks = st.sampled_from(["", HOOK, "https://h.example/a?b=c'd&e=(f)", "http://127.0.0.1:1/x"])
    secrets = {one.webhook: draw(hooks) for one in wanted}
    secrets["DATABENTO_API_KEY"] = draw(st.just("") | st.from_regex(r"db-[A-Za-z0-9]{29}", fullmatch=True))
    return Answers(folder, instruments, wanted, close, secrets=secrets)


@pytest.mark.examples(25, long=300)
@given(asked=answers())
def test_what_is_answered_is_what_is_read_back(asked: Answers) -> None:
    with tempfile.TemporaryDirectory() as name:
        done = write(Path(name), asked)
        config = load_config(done.files[0], PARAMS, {})
        assert config.data_dir == (Path(name) / Path(asked.data_dir).expanduser()).absolute()
        assert tuple(config.instruments) == asked.instruments
        rule = config.session_rule("ES")
        assert str(rule.close) == asked.close
        assert (
            tuple(
                Wanted(name, one.type, tuple(one.instruments), one.max_positions, one.daily_stop_loss, one.enabled)
                for name, one in config.strategies.items()
            )
            == asked.strategies
        )
        assert _revealed(config.databento.api_key) == asked.secrets["DATABENTO_API_KEY"]
        for wanted in asked.strategies:
            assert _revealed(config.strategies[wanted.name].webhook) == asked.secrets[wanted.webhook]
        assert config.alerts.urls == []
        assert mode(done.files[1]) == 0o600


def _revealed(secret: Any) -> str:
    return str(secret.reveal()) if secret and secret.variable is None else ""


# The repository's own


def test_the_repositorys_configuration_is_what_the_template_makes() -> None:
    """Change the template in pine/ops/setup, then run make docs."""
    assert (ROOT / "pine.yaml").read_text() == render_yaml(defaults())
    assert (ROOT / ".env.example").read_text() == render_env(defaults())


# As a person or a script runs it


def test_defaults_make_the_repositorys_configuration(tmp_path: Path) -> None:
    ran = init(tmp_path, "--yes")
    assert ran.exit_code == 0
    assert (tmp_path / "pine.yaml").read_text() == (ROOT / "pine.yaml").read_text()
    assert f"put DATABENTO_API_KEY into {tmp_path / '.env'}" in ran.stdout
    assert f"pine check -c {tmp_path / 'pine.yaml'}" in ran.stdout


def test_a_person_is_asked_again_until_each_answer_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    typed = ["", "ES,NQQ", "es,nq", "-", "-", "-", "-", "-", "noon", "17:00 America/Chicago"]
    typed += ["Mine", "mine", "ibis", "ibs", "GC", "ES", "none", "0", "1", "-5", "500", "mine", "-"]
    typed += ["HIDDEN KEY", KEY, "http://x/HIDDEN", HOOK, "HIDDEN", DISCORD]
    ran = init(tmp_path, typed="\n".join([*typed, ""]))
    assert ran.exit_code == 0
    assert ran.output.count("Error: ") == 12
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    assert (list(config.instruments), list(config.strategies)) == (["ES", "NQ"], ["mine"])
    mine = config.strategies["mine"]
    assert (mine.type, list(mine.instruments), mine.max_positions, mine.daily_stop_loss) == ("ibs", ["ES"], 1, 500.0)
    assert (mine.enabled, mine.webhook.reveal(), config.databento.api_key.reveal()) == (True, HOOK, KEY)
    assert [url.reveal() for url in config.alerts.urls] == [DISCORD]
    assert str(config.session_rule("ES").close) == "17:00 America/Chicago"
    assert "HIDDEN" not in caplog.text


def test_every_answer_is_an_option_too(tmp_path: Path) -> None:
    options = ["--data-dir", "d", "--instruments", "ES,GC", "--session-close", "22:00"]
    options += ["--strategy", "one=ibs:ES,GC:3:900.5", "--strategy", "two=breakout:GC", "--secrets", "-"]
    ran = init(tmp_path, "--yes", *options, typed=f"DATABENTO_API_KEY={KEY}\nTWO_WEBHOOK={HOOK}\n")
    assert ran.exit_code == 0
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    assert (config.data_dir, list(config.instruments)) == (tmp_path / "d", ["ES", "GC"])
    assert (config.strategies["one"].max_positions, config.strategies["one"].daily_stop_loss) == (3, 900.5)
    assert (config.strategies["two"].webhook.reveal(), bool(config.strategies["one"].webhook)) == (HOOK, False)
    checked = CliRunner().invoke(cli, ["check", "--offline", "--json", "-c", str(tmp_path / "pine.yaml")])
    assert (checked.exit_code, json.loads(checked.stdout)["wrong"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        (["--instruments", "ES,QQ"], "", "instruments: found 'QQ', expected a known root"),
        (["--session-close", "noon"], "", "session close: found 'noon'"),
        (["--data-dir", ""], "", "data folder: expected a folder"),
        (["--strategy", "one=ibs:QQ"], "", "--strategy one=ibs:QQ: QQ is not among the instruments"),
        (["--strategy", "one=ibs"], "", "found no instrument"),
        (["--strategy", "one=ibis:ES"], "", "unknown strategy type; did you mean ibs?"),
        (["--strategy", "one=ibs:ES:many"], "", "expected NAME=TYPE:ROOT,ROOT[:MAX_POSITIONS[:DAILY_STOP]]"),
        (["--strategy", "archive=ibs:ES"], "", "which pine uses itself"),
        (
            ["--secrets", "-"],
            "DATABENTO_API_KEY=db-HIDDEN",
            "DATABENTO_API_KEY: found 9 characters (not shown) that are",
        ),
        (["--secrets", "-"], "OTHER=HIDDEN", "--secrets: found OTHER, expected one of DATABENTO_API_KEY, IBS_A_"),
        (["--secrets", "-"], "IBS_A_WEBHOOK=HIDDEN", "--secrets: IBS_A_WEBHOOK: found something else (not shown)"),
    ],
)
def test_an_option_that_cannot_be_is_told_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], typed: str, words: str
) -> None:
    ran = init(tmp_path, "--yes", *arguments, typed=typed)
    assert (ran.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert words in ran.stderr


def test_answers_that_end_early_write_nothing(tmp_path: Path) -> None:
    ran = init(tmp_path, typed="\n\n")
    assert (ran.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "nothing was written" in ran.stderr


def test_secrets_that_are_no_text_are_told_and_not_shown(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", "--yes", "--dir", str(tmp_path), "--secrets", "-"], input=b"A=\xff\xfe\n")
    assert (done.exit_code, "--secrets: not readable as UTF-8" in done.output) == (2, True)


def test_what_is_there_stays_unless_forced_and_then_beside_with_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "pine.yaml").write_text("mine: 1\n")
    (tmp_path / ".env").write_text(f"IBS_A_WEBHOOK={HOOK}\nOTHER=kept\nPOLICY_KILLSWITCH=1\n")
    ran = init(tmp_path, "--yes")
    assert (ran.exit_code, (tmp_path / "pine.yaml").read_text()) == (2, "mine: 1\n")
    assert "--force" in ran.stderr
    for kept in (".before", ".before1"):
        assert init(tmp_path, "--yes", "--force").exit_code == 0
        assert (tmp_path / f"pine.yaml{kept}").exists()
    assert (tmp_path / "pine.yaml.before").read_text() == "mine: 1\n"
    assert f"IBS_A_WEBHOOK={HOOK}\n" in (tmp_path / ".env").read_text()
    assert "OTHER=kept\n" in (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").read_text().endswith("\nPOLICY_KILLSWITCH=1\n")
    assert [mode(path) for path in sorted(tmp_path.glob(".env*"))] == [0o600, 0o600, 0o600]


def test_git_is_told_to_leave_the_secrets_alone_once(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / ".gitignore").write_text("mine")
    for _ in range(2):
        assert init(folder, "--yes", "--force").exit_code == 0
    assert (folder / ".gitignore").read_text() == "mine\n.env\n.env.before*\n"


def test_a_configuration_for_the_sandbox_needs_no_account(tmp_path: Path) -> None:
    assert init(tmp_path, "--yes", "--sandbox").exit_code == 0
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    assert (config.databento.gateway, config.hub.clock, config.warm_up) == ("127.0.0.1:13000", "tape", None)
    assert config.orders.entry_max_age_s is None
    assert (config.orders.per_minute, config.orders.per_hour) == (None, None)
    assert config.databento.api_key.reveal() == "db-sandbox"
    shown, plain = (
        (tmp_path / "pine.yaml").read_text().splitlines(),
        render_yaml(defaults(("ES", "GC", "6E"))).splitlines(),
    )
    assert len([line for line in shown if line not in plain]) == 6


def test_for_the_sandbox_no_key_is_asked_for_and_its_markets_roots_are_offered(tmp_path: Path) -> None:
    ran = init(tmp_path, "--sandbox", typed="\n" * 40)
    assert ran.exit_code == 0
    assert "DATABENTO_API_KEY" not in ran.stderr
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    assert list(config.instruments) == ["ES", "GC", "6E"]
    assert config.databento.api_key.reveal() == "db-sandbox"


def test_whoever_is_asked_for_instruments_is_told_of_micros(tmp_path: Path) -> None:
    assert "execution: {root: MES}" in init(tmp_path, typed="\n" * 40).stderr


def test_the_quick_start_begins_as_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text()
    begin = text.index("pine init --yes --sandbox")
    command, _, secrets = text[begin : text.index("\nEND\n", begin)].removeprefix("pine ").partition(" <<END\n")
    with contextlib.chdir(tmp_path):
        ran = CliRunner().invoke(cli, command.split(), input=secrets)
    assert ran.exit_code == 0, ran.output
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    webhooks = {name: bool(strategy.webhook) for name, strategy in config.strategies.items()}
    assert webhooks == {"ibs_a": True, "ibs_b": False}
    assert config.databento.gateway == "127.0.0.1:13000"
