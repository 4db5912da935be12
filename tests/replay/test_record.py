"""A record is kept as a folder, whole or not at all, and read back bit for bit."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import unchanged

from pine.core.errors import DataError, PineError
from pine.replay import record as records
from pine.replay.recorder import cells, uncelled
from pine.replay.tables import RECORDED


def test_a_run_folder_reads_back_bit_for_bit(tmp_path: Path) -> None:
    folder = records.write(unchanged(), tmp_path / "runs" / "one")
    assert records.is_run(folder)
    back = records.read(folder)
    assert back.equals(unchanged())
    assert {path.name for path in folder.iterdir()} == {"run.json", *(f"{name}.parquet" for name in RECORDED)}
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_a_folder_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    folder = records.write(unchanged(), tmp_path / "one")
    with pytest.raises(PineError, match="is there already"):
        records.write(unchanged(), folder)
    assert records.read(folder).equals(unchanged())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = records.write(unchanged(), tmp_path / "one")
    path = folder / "values.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"values\.parquet: found sha256"):
        records.read(folder)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(PineError, match="found no run folder"):
        records.read(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"run\.json: cannot be read"):
        records.read(tmp_path)


@given(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text() | st.lists(st.integers(0, 9)))
def test_values_of_any_kind_come_back_as_they_were(value: object) -> None:
    back = uncelled(*cells(value))
    assert type(back) is type(value)
    assert back == value or (isinstance(value, float) and math.isnan(value) and math.isnan(back))
