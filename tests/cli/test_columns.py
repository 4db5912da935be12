"""Long texts on a terminal: broken between words, in a column of their own."""

from pine.cli.columns import wrapped

TEXT = "found nothing, expected something; write pine --config-of-some-length"


def test_a_text_is_broken_between_words_and_hangs() -> None:
    assert wrapped(TEXT, 40, 4) == "found nothing, expected something; write\n    pine --config-of-some-length"


def test_what_stands_before_a_text_takes_room_and_is_not_repeated() -> None:
    told = ("name: " + wrapped(TEXT, 40, 6, 6)).splitlines()
    assert told == ["name: found nothing, expected something;", "      write pine --config-of-some-length"]


def test_without_a_terminal_a_text_is_left_as_it_is() -> None:
    assert wrapped(TEXT * 9, None, 4) == TEXT * 9
