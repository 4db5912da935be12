"""Last trade days, against those that the exchange published."""

from datetime import date

import pytest

from pine.core.contract import parse_contract
from pine.core.expiry import last_trade_day

# CME Group's product calendars of 2024.
PUBLISHED = {
    "ESH4": "2024-03-15",
    "ESM4": "2024-06-21",
    "MNQZ4": "2024-12-20",
    "6EH4": "2024-03-18",
    "6EM4": "2024-06-17",
    "6CH4": "2024-03-19",
    "GCJ4": "2024-04-26",
    "GCM4": "2024-06-26",
    "SIK4": "2024-05-29",
    "CLK4": "2024-04-22",
    "CLM4": "2024-05-21",
    "MCLK4": "2024-04-19",
    "NGK4": "2024-04-26",
    "ZBM4": "2024-06-18",
    "ESM6": "2026-06-18",
    "ZBH4": "2024-03-19",
    "ZCH4": "2024-03-14",
    "ZSK4": "2024-05-14",
}


@pytest.mark.parametrize("symbol", PUBLISHED)
def test_a_contract_trades_until_the_day_that_the_exchange_says(symbol: str) -> None:
    contract = parse_contract(symbol, date(2024, 1, 2))
    assert last_trade_day(contract) == date.fromisoformat(PUBLISHED[symbol])
