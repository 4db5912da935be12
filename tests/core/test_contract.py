"""Reading futures symbols, and the year that a short one stands for."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.contract import Contract, SymbolKind, classify, parse_contract, resolve_year, root_of_parent
from pine.core.errors import ContractError
from pine.core.instruments import SPECS

IN_2024 = date(2024, 11, 15)


@pytest.mark.parametrize(
    ("raw", "on", "contract"),
    [
        ("6EZ4", IN_2024, Contract("6E", 2024, 12)),
        ("M6AZ4", IN_2024, Contract("M6A", 2024, 12)),
        ("M2KH5", IN_2024, Contract("M2K", 2025, 3)),
        ("ESZ24", IN_2024, Contract("ES", 2024, 12)),
        ("ESZ2024", IN_2024, Contract("ES", 2024, 12)),
        ("HGZ4", IN_2024, Contract("HG", 2024, 12)),  # a root that ends in a month code
        ("NGF5", IN_2024, Contract("NG", 2025, 1)),
        ("6MM5", IN_2024, Contract("6M", 2025, 6)),
        ("6NU5", IN_2024, Contract("6N", 2025, 9)),
        ("MHGH5", IN_2024, Contract("MHG", 2025, 3)),
        ("ESH0", date(2019, 12, 1), Contract("ES", 2020, 3)),
        ("ESH0", date(2026, 1, 15), Contract("ES", 2030, 3)),
        ("ESZ9", date(2019, 12, 31), Contract("ES", 2019, 12)),
        ("ESH20", date(2019, 12, 1), Contract("ES", 2020, 3)),
        ("CLX4", date(2024, 11, 1), Contract("CL", 2024, 11)),  # the delivery month itself is still current
        ("CLX4", date(2024, 11, 30), Contract("CL", 2024, 11)),
        ("CLX4", date(2024, 12, 31), Contract("CL", 2024, 11)),  # and the one after it
        ("CLX4", date(2025, 1, 1), Contract("CL", 2034, 11)),
        ("ESZ4", date(2025, 1, 31), Contract("ES", 2024, 12)),  # across the turn of the year
        ("ESZ4", date(2025, 2, 1), Contract("ES", 2034, 12)),
        ("ESZ2014", date(2025, 2, 1), Contract("ES", 2014, 12)),  # a full year needs no resolving
    ],
)
def test_outright_is_read_on_the_day_of_its_data(raw: str, on: date, contract: Contract) -> None:
    assert parse_contract(raw, on) == contract


@pytest.mark.parametrize(
    ("contract", "symbol", "traderspost", "expiry"),
    [
        (Contract("ES", 2024, 12), "ESZ4", "ESZ2024", (2024, 12)),
        (Contract("6E", 2025, 3), "6EH5", "6EH2025", (2025, 3)),
        (Contract("M2K", 2030, 6), "M2KM0", "M2KM2030", (2030, 6)),
    ],
)
def test_contract_has_a_name_for_every_place(
    contract: Contract, symbol: str, traderspost: str, expiry: tuple[int, int]
) -> None:
    assert contract.symbol == symbol
    assert contract.traderspost == traderspost
    assert contract.expiry == expiry


def test_micros_share_the_delivery_month() -> None:
    assert Contract("ES", 2024, 12).with_root("MES") == Contract("MES", 2024, 12)


@given(
    root=st.sampled_from(sorted(SPECS)),
    year=st.integers(2012, 2040),
    month=st.integers(1, 12),
    months_before=st.integers(0, 9 * 12),
    day=st.integers(1, 28),
    form=st.sampled_from(["one digit", "two digits", "four digits"]),
)
def test_symbol_read_on_any_day_of_the_nine_years_before_delivery_names_the_contract(
    root: str, year: int, month: int, months_before: int, day: int, form: str
) -> None:
    contract = Contract(root, year, month)
    y, m = divmod(year * 12 + month - 1 - months_before, 12)
    written = {
        "one digit": contract.symbol,
        "two digits": f"{contract.symbol[:-1]}{year % 100:02d}",
        "four digits": contract.traderspost,
    }[form]
    assert parse_contract(written, date(y, m + 1, day)) == contract
    assert parse_contract(written, date(y, m + 1, day), SPECS) == contract


@given(
    digits=st.from_regex(r"[0-9]{1,2}", fullmatch=True),
    month=st.integers(1, 12),
    on=st.dates(date(2011, 1, 1), date(2035, 1, 1)),
)
def test_resolved_year_is_the_first_that_is_not_over(digits: str, month: int, on: date) -> None:
    year = resolve_year(digits, month, on)
    # a delivery is over once the month after it is
    candidates = [y for y in range(on.year - 2, on.year + 102) if str(y).endswith(digits)]
    living = [y for y in candidates if (y, month) >= ((on.year, on.month - 1) if on.month > 1 else (on.year - 1, 12))]
    assert year == living[0]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("ESZ4", SymbolKind.OUTRIGHT),
        ("6EZ4", SymbolKind.OUTRIGHT),
        ("M2KH5", SymbolKind.OUTRIGHT),
        ("ESZ24", SymbolKind.OUTRIGHT),
        ("ESZ4-ESH5", SymbolKind.SPREAD),
        ("6EZ4-6EH5", SymbolKind.SPREAD),
        ("CLZ4-CLF5", SymbolKind.SPREAD),
        ("CL:BF F5-G5-H5", SymbolKind.USER_DEFINED),
        ("ZC:DF H5K5N5U5", SymbolKind.USER_DEFINED),
        ("CL:C1 RB-CL Z5", SymbolKind.USER_DEFINED),
        ("UD:1V: VT 2301", SymbolKind.USER_DEFINED),
        ("UD:U$: GN 0928", SymbolKind.USER_DEFINED),
        ("ESZ4 C4500", SymbolKind.OPTION),
        ("6EZ4 P1050", SymbolKind.OPTION),
        ("E1AZ4 C4500", SymbolKind.OPTION),
        ("", SymbolKind.UNKNOWN),
        ("ES", SymbolKind.UNKNOWN),
        ("ESZ", SymbolKind.UNKNOWN),
        ("ESA4", SymbolKind.UNKNOWN),  # A is no month
        ("ESZ204", SymbolKind.UNKNOWN),
        ("esz4", SymbolKind.UNKNOWN),
        (" ESZ4", SymbolKind.UNKNOWN),
        ("ESZ4\n", SymbolKind.UNKNOWN),
        ("ES.FUT", SymbolKind.UNKNOWN),
        ("ES.v.0", SymbolKind.UNKNOWN),
        ("Z4", SymbolKind.UNKNOWN),
    ],
)
def test_kind_of_symbol(raw: str, kind: SymbolKind) -> None:
    assert classify(raw) is kind


@pytest.mark.parametrize("raw", ["ESZ4-ESH5", "UD:1V: VT 2301", "CL:BF F5-G5-H5", "ESZ4 C4500", "", "ES", "ESZ", "Z4"])
def test_what_is_no_outright_is_refused_with_what_was_found(raw: str) -> None:
    with pytest.raises(ContractError, match="expected an outright such as ESZ4") as caught:
        parse_contract(raw, IN_2024)
    assert repr(raw) in str(caught.value)


def test_outright_of_another_root_is_refused_with_the_roots() -> None:
    with pytest.raises(ContractError, match="expected an outright of 6E, ES"):
        parse_contract("NQZ4", IN_2024, ["ES", "6E"])


@given(raw=st.text(max_size=12) | st.text("ESZ4M6-: CP0123456789", max_size=12))
def test_any_text_is_an_outright_or_refused(raw: str) -> None:
    if classify(raw) is SymbolKind.OUTRIGHT:
        contract = parse_contract(raw, IN_2024)
        assert raw.startswith(contract.root)
        assert 1 <= contract.month <= 12
    else:
        with pytest.raises(ContractError):
            parse_contract(raw, IN_2024)


@pytest.mark.parametrize("raw", ["ESZ٤", "ESZ२४", "ESZ４"])
def test_digits_of_other_scripts_are_no_year(raw: str) -> None:
    assert classify(raw) is not SymbolKind.OUTRIGHT


@pytest.mark.parametrize(("parent", "root"), [("ES.FUT", "ES"), ("6E.FUT", "6E"), ("M2K.FUT", "M2K")])
def test_parent_symbol_names_its_root(parent: str, root: str) -> None:
    assert root_of_parent(parent) == root


@pytest.mark.parametrize("parent", ["", "ES", ".FUT", "ES.", "ES.OPT", "ES.fut", "ES.FUT.0"])
def test_what_is_no_parent_symbol_is_refused(parent: str) -> None:
    with pytest.raises(ContractError, match=r"expected ROOT\.FUT"):
        root_of_parent(parent)
