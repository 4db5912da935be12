"""Configuration: what is kept, for how long, and where."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .configs import Load


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("36h", 36), ("'24h'", 24)])
def test_retention_is_whole_days_or_hours(load: Load, text: str, hours: int) -> None:
    assert load(f"retention: {text}").retention.ns == hours * 3600 * 10**9


def test_a_month_is_kept_and_after_a_quarter_a_disabled_strategy_is_given_up_unless_set(load: Load) -> None:
    config = load("")
    assert (str(config.retention), str(config.retention_max)) == ("30d", "90d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retention: 30", "1: retention: found '30', expected whole days or hours such as 30d or 36h"),
        ("retention: soon", "1: retention: found 'soon', expected whole days or hours such as 30d or 36h"),
        ("retention: -5d", "1: retention: found '-5d', expected whole days or hours such as 30d or 36h"),
        ("retention: 23h", "1: retention: found 23h, expected at least 1d"),
        (
            "retention: 40d\nretention_max: 30d",
            "2: retention_max: found 30d, expected at least retention, which is 40d",
        ),
        ("retention: 100d", "1: retention_max: found 90d, expected at least retention, which is 100d"),
    ],
)
def test_a_retention_that_cannot_be_is_told(mistakes: Callable[..., list[str]], text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_retention_from_a_variable_that_is_not_set_is_told_once(mistakes: Callable[..., list[str]]) -> None:
    (told,) = mistakes("retention: ${KEEP}")
    assert "KEEP" in told


def test_no_strategy_takes_the_name_of_the_archives_group(mistakes: Callable[..., list[str]]) -> None:
    from pine.bus import keys

    text = f"instruments: {{ES: }}\nstrategies: {{{keys.ARCHIVE}: {{type: ibs, instruments: [ES]}}}}"
    assert mistakes(text) == ["2: strategies.archive: found 'archive', which pine uses itself; expected another name"]


@pytest.mark.parametrize(
    ("setting", "location"),
    [
        ("", "{folder}/data/archive"),
        ("archive: {location: cold}", "{folder}/data/cold"),
        ("archive: {location: /srv/pine}", "/srv/pine"),
        ("archive: {location: 's3://bucket/pine'}", "s3://bucket/pine"),
        ("archive: {location: '${WHERE}'}", "memory://x"),
    ],
)
def test_the_archive_is_a_folder_in_data_dir_or_any_url(
    load: Load, tmp_path: Path, setting: str, location: str
) -> None:
    config = load(f"data_dir: data\n{setting}\n", WHERE="memory://x")
    assert config.archive_location == location.format(folder=tmp_path)


def test_an_unknown_protocol_of_the_archive_is_told_and_its_password_is_not(
    mistakes: Callable[..., list[str]],
) -> None:
    (told,) = mistakes("archive:\n  location: s4://user:SECRET@bucket/pine\n")
    assert told.startswith("2: archive.location: ")
    assert "s4://" in told
    assert "SECRET" not in told
