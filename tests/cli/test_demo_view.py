"""What the live picture of the demonstration shows on terminals of usual width."""

import io

import pytest
from rich.console import Console

from pine.cli.demo_view import _ledger_line, latest_bars
from pine.orders.entries import Fill, encode


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_price_is_cut(width: int) -> None:
    prices = ["5125.25", "5130.75", "5120.5", "5128.25"]
    rows = [["ES", "03-04 03:00", *prices, "1234", "ESH4", "11069", "230", "10"]]
    paper = io.StringIO()
    Console(width=width, file=paper).print(latest_bars(rows, width))
    text = paper.getvalue()
    assert "…" not in text
    assert all(price in text for price in (prices if width == 120 else prices[-1:]))
    assert all(count in text for count in ("11069", "230"))


def test_a_fill_names_its_side_and_a_gain_its_sign() -> None:
    fill = Fill("a-1", "ES", "ESH4", -1, 1, 5100.25, 1_709_654_400_000_000_000, 1.25, 1185.0)
    line = _ledger_line({b"entry": encode(fill)})
    assert line == "03-05 16:00  fill sold 1 ESH4 at 5100.25  P&L +$1,185.00"
