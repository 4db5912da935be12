"""How lines of many processes are told apart."""

from rich.console import Console

from pine.cli.status_view import console
from pine.cli.up_view import hanging, named, shown, table


def test_json_lines_stay_what_they_are_with_the_name_in_a_field() -> None:
    assert (
        named("worker one", '{"event":"filled","at": 1.50}') == '{"process":"worker one","event":"filled","at": 1.50}'
    )
    assert named("hub", "{}") == '{"process":"hub"}'
    assert named("hub", '{"process":"ended","x":1}') == '{"process":"hub","x":1}'


def test_other_lines_begin_with_the_name() -> None:
    assert named("hub", "no {json}") == "hub | no {json}"
    assert named("hub", '{"cut of') == 'hub | {"cut of'
    assert named("hub", "") == "hub | "


def test_on_a_terminal_a_json_line_is_told_as_a_sentence() -> None:
    line = '{"timestamp":"2026-01-02T03:04:05Z","level":"info","event":"filled","strategy":"one","at":1.5}'
    assert shown("worker one", line).plain == "worker one     │ 03:04:05 info    filled at=1.5"
    wrong = '{"event":"ended by an error","level":"critical","role":"hub","trace":"Traceback:\\n  KeyError\\n"}'
    assert shown("hub", wrong).plain == "hub            │ critical ended by an error\nTraceback:\n  KeyError"
    assert shown("hub", "as it is").plain == "hub            │ as it is"


def test_nothing_that_is_logged_steers_the_terminal() -> None:
    told = shown("hub", '{"event":"a\\u001b[2Jb\\u0007","field":"\\u009bc\\nd","trace":"one\\ntwo\\u001b]0;x"}').plain
    assert told == "hub            │ a\\x1b[2Jb\\x07 field=\\x9bc\\nd\none\ntwo\\x1b]0;x"
    assert shown("hub", "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;x\x07").plain == "hub            │ red \\x1b[2J\\x1b]0;x\\x07"


def test_a_long_line_is_broken_between_words_and_all_of_it_stands_beside_the_name() -> None:
    line = "the market of this root is closed, and so nothing was published by anybody for a while"
    told = hanging(shown("worker one", line), Console(width=50)).plain.splitlines()
    assert [text[:17] for text in told] == ["worker one     │ ", *["               │ "] * (len(told) - 1)]
    assert " ".join(text[17:].rstrip() for text in told) == line
    assert max(map(len, told)) <= 50
    assert hanging(shown("hub", ""), Console(width=50)).plain == "hub            │ "


def test_what_fails_is_shown_with_its_last_words_and_when_it_is_tried_again() -> None:
    failing = {
        "name": "worker one",
        "state": "failing",
        "failing": True,
        "pid": None,
        "restarts": 4,
        "uptime_s": None,
        "again_in_s": 12.0,
        "code": 2,
        "last_lines": ["before", "Error: no model"],
    }
    screen = console()
    with screen.capture() as captured:
        screen.print(table({"processes": [failing]}))
    assert "failing" in captured.get()
    assert "4 restarts" in captured.get()
    assert "code 2, again in 12 s, Error: no model" in captured.get()
