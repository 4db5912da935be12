"""A broker's list is read whatever its columns are called; what cannot be understood is told, never guessed."""

from pathlib import Path

import pytest

from pine.core.errors import DataError, PineError
from pine.core.times import parse_time
from pine.ops.broker import BrokerList, read_broker

NOW = parse_time("2024-03-05T15:00")


def broker(folder: Path, text: str | bytes) -> BrokerList:
    (folder / "broker.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_broker(folder / "broker.csv", ["ES", "6E", "GC"], NOW)


@pytest.mark.parametrize(
    "text",
    [
        "contract,quantity\nESH4,2\n6EH4,-1\n",
        "\ufeffTicker, Qty\nESH2024, 2\n\n6EH2024, -1\n",
        "Symbol,Side,Position,Account\nESH24,Long,2,x\n6eh24,Short,1,x\n",
        "instrument,net\n/ESH4,1.0\nESH4,+1\n6EH4,\u22121\nGCJ4,0\n",
        "\r\nSymbol;Qty;Avg\r\nESH4;2;5.100,25\r\n6EH4;-1.00;1,08\r\n",
        "Symbol\tQty\nESH4\t2\n6EH4\t-1\n".encode("utf-16"),
        "Währung,Symbol,Qty\nUSD,ESH4,2\n€,6EH4,-1\n".encode("cp1252"),
        'Symbol,Qty\nESH4,"1,234"\nESH4,-1232\n6EH4,-1,\n',
    ],
)
def test_a_brokers_list_is_read_whatever_its_columns_are_called(text: str | bytes, tmp_path: Path) -> None:
    assert broker(tmp_path, text) == BrokerList({"ESH4": 2, "6EH4": -1})


def test_rows_of_other_kinds_are_left_out_and_named(tmp_path: Path) -> None:
    text = (
        "Symbol,Qty,Asset Class\nESH4,2,Future\nAAPL,1.5,\nESH4 C5000,1,\nESH4-ESM4,1,\n,7,\nTotal,2.5,\nGC,9,STK\n"
        "SPY 240315C00500000,1,\nESH4C5000,1,\nESTC,10,\n"
    )
    found = broker(tmp_path, text)
    assert found.held == {"ESH4": 2}
    assert [(row.line, row.kind) for row in found.left_out] == [
        (3, "other"),
        (4, "option"),
        (5, "spread"),
        (6, "blank"),
        (7, "total"),
        (8, "stock"),
        (9, "option"),
        (10, "option"),
        (11, "other"),
    ]


@pytest.mark.parametrize(
    "word",
    ["nan", "inf", "1e999", "1e0", "1_0", "1,0", "1.000", "1,23", "12,34,567", "1.5", "--1", "\u0661", "9" * 5000, ""],
)
def test_a_quantity_that_is_no_plain_whole_number_is_refused_with_its_line(word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"broker\.csv:3: found quantity"):
        broker(tmp_path, f'contract,quantity\nGCJ4,1\nESH4,"{word}"\n')


@pytest.mark.parametrize("word", ["ES", "ES 03-24", "ESMAR24", "ES MAR 24", "ESH4.CME", "CME:ESH4", "ESH20245"])
def test_what_looks_like_a_future_of_the_desk_and_cannot_be_read_is_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"broker\.csv:3: found contract"):
        broker(tmp_path, f"contract,quantity\nESH4,1\n{word},2\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty, expected a header such as contract,quantity"),
        ("a,b\n1,2\n", "found columns a, b, expected one of contract"),
        ("contract,quantity,side\nESH4,1,up\n", r"broker\.csv:2: found side 'up'"),
        ("contract,quantity\nESH4\n", r"broker\.csv:2: found quantity ''"),
        ("contract,quantity\nESH4,1,234\n", r"broker\.csv:2: found 3 fields, expected 2"),
        ("contract;quantity\nESH4;1,234\n", r"broker\.csv:2: found quantity '1,234'"),
        (f"contract,quantity\nESH4,1\nESM4,{'1' * 140_000}\n", r"broker\.csv:3: cannot be read as CSV: field larger"),
        ('contract,quantity\nESH4,1\n"ESM4,2\n', r"broker\.csv:3: cannot be read as CSV"),
        (b"contract,quantity\0\n", "is no text"),
    ],
)
def test_a_list_that_cannot_be_understood_is_told(text: str | bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        broker(tmp_path, text)


def test_a_list_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(PineError, match="cannot be read"):
        read_broker(tmp_path, ["ES"], NOW)
