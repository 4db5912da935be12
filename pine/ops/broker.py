"""A broker's own list of positions, as it comes out of its web page or platform."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pine.core.config import Config
from pine.core.contract import MONTH_CODES, parse_contract
from pine.core.errors import ContractError, DataError, PineError
from pine.core.times import to_datetime

_CONTRACT: Final = ("contract", "ticker", "symbol", "instrument", "local symbol", "description")
_QUANTITY: Final = ("quantity", "qty", "position", "net", "net position", "net quantity", "contracts")
_SIDE: Final = ("side", "long/short", "direction")
_KIND: Final = ("asset class", "asset type", "security type", "sectype", "instrument type", "product type", "type")

_WHOLE: Final = re.compile(r"[+-]?([0-9]{1,9}|[0-9]{1,3}(,[0-9]{3}){1,2})(\.(?!000$)0+)?")
"""A whole number; ``1.000`` is a thousand to some and one to others, so it is neither."""

_MONTHS: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_OPTION: Final = re.compile(
    rf"\S+ +[CP][0-9.]+|[A-Z0-9]+[{MONTH_CODES}][0-9]{{1,4}}[CP][0-9.]+|[A-Z. ]+[0-9]{{6}}[CP][0-9]+"
)
_OTHER_KINDS: Final = {
    **dict.fromkeys(("stk", "stock", "stocks", "equity", "equities", "etf"), "stock"),
    **dict.fromkeys(
        ("opt", "option", "options", "fop", "futures option", "future option", "futures options"), "option"
    ),
    **dict.fromkeys(("bag", "spread", "combo"), "spread"),
    **dict.fromkeys(("cash", "forex", "fx", "bond", "bonds", "fund", "crypto", "cfd"), "other"),
}


@frozen
class LeftOut:
    """A row that is no future: its line, what it is instead, and what stood in place of the contract."""

    line: int
    kind: str
    contract: str

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"line": self.line, "kind": self.kind, "contract": self.contract}


@frozen
class BrokerList:
    """What a broker holds.

    Attributes
    ----------
    held
        Futures by contract in the exchange's form, negative when short.
    left_out
        Rows of anything else.
    """

    held: Mapping[str, int]
    left_out: tuple[LeftOut, ...] = ()


def read_broker(path: Path, roots: Iterable[str], now: int) -> BrokerList:
    """Read a broker's list of positions.

    Parameters
    ----------
    path
        A CSV file with a header, separated by commas, semicolons or tabs: one column names the contract (``ESZ4``,
        ``ESZ24`` or ``ESZ2024``), one the quantity, negative when short; or with a column that says ``long`` or
        ``short``, ``buy`` or ``sell``.
    roots
        The desk's roots: a row that looks like a future of one of them is an error if it cannot be read.
    now
        Ns; says in which decade a year of one digit lies.

    Raises
    ------
    DataError
        With the line, if something in it cannot be understood.
    PineError
        If the file cannot be read.
    """
    text = _text(path)
    layout = _layout(text, path)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, skipinitialspace=True, strict=True)
    known = frozenset(roots)
    held: Counter[str] = Counter()
    left_out: list[LeftOut] = []
    try:
        for n, row in enumerate(filter(None, rows)):
            if n == 0:
                continue
            where = f"{path}:{rows.line_num}"
            contract, kind = layout.cell(row, layout.contract), layout.cell(row, layout.kind)
            symbol, other = _future(contract, kind, known, now, where)
            if symbol is None:
                left_out.append(LeftOut(rows.line_num, other, contract))
                continue
            if any(cell.strip() for cell in row[layout.width :]):
                raise DataError(f"{where}: found {len(row)} fields, expected {layout.width} as in the header")
            held[symbol] += layout.signed(row, where)
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: cannot be read as CSV: {error}") from None
    return BrokerList({name: count for name, count in held.items() if count}, tuple(left_out))


def desk_roots(config: Config) -> frozenset[str]:
    """Return every root whose futures the desk reads or trades."""
    traded = (one.root for instruments in config.traded.values() for one in instruments.values())
    return frozenset([*config.instruments, *traded])


def _text(path: Path) -> str:
    """Return a file's text, of whatever program wrote it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PineError(f"{path}: cannot be read: {error.strerror}") from None
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # every byte is a letter; what matters here is ASCII
    if "\0" in text:
        raise DataError(f"{path}: is no text, expected a CSV file")
    return text


@frozen
class _Layout:
    """Which column is what."""

    delimiter: str
    width: int
    contract: int
    quantity: int
    side: int | None
    kind: int | None

    def cell(self, row: list[str], column: int | None) -> str:
        return row[column].strip() if column is not None and column < len(row) else ""

    def signed(self, row: list[str], where: str) -> int:
        quantity, side = self.cell(row, self.quantity), self.cell(row, self.side)
        word = quantity.replace("\u2212", "-")
        # where semicolons separate, a comma is as likely to begin a fraction
        if not _WHOLE.fullmatch(word) or (self.delimiter == ";" and "," in word):
            raise DataError(f"{where}: found quantity {_short(quantity)}, expected a whole number such as -2 or 1,234")
        number = int(word.partition(".")[0].replace(",", ""))
        if side.lower() in ("short", "sell", "s", "sold"):
            return -abs(number)
        if side.lower() in ("", "long", "buy", "b", "bought", "l", "flat"):
            return number
        raise DataError(f"{where}: found side {_short(side)}, expected long or short")


def _layout(text: str, path: Path) -> _Layout:
    """Find the columns in the header, whatever separates them."""
    if not text.strip():
        raise DataError(f"{path}: is empty, expected a header such as contract,quantity")
    first = text.lstrip("\r\n").splitlines()[0]
    for delimiter in (",", ";", "\t"):
        try:
            names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
        except csv.Error as error:
            raise DataError(f"{path}: the header cannot be read as CSV: {error}") from None
        contract, quantity, side, kind = (_column(names, known) for known in (_CONTRACT, _QUANTITY, _SIDE, _KIND))
        if contract is not None and quantity is not None:
            return _Layout(delimiter, len(names), contract, quantity, side, kind)
    raise DataError(
        f"{path}: found columns {', '.join(part.strip().lower() for part in first.split(','))[:200]}, expected one of "
        f"{', '.join(_CONTRACT)} and one of {', '.join(_QUANTITY)}"
    )


def _column(names: list[str], known: Iterable[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _future(text: str, kind: str, roots: frozenset[str], now: int, where: str) -> tuple[str | None, str]:
    """Return the contract in the exchange's form; or nothing, and what the row is instead.

    Raises
    ------
    DataError
        If it looks like a future of one of the roots and is in no form that is known.
    """
    word = text.upper().removeprefix("/")
    if (other := _OTHER_KINDS.get(kind.lower()) or _other(word)) is not None:
        return None, other
    try:
        return parse_contract(word.replace(" ", ""), to_datetime(now).date()).symbol, ""
    except ContractError:
        if _looks_like_one_of(roots, word):
            raise DataError(
                f"{where}: found contract {_short(text)}, expected one such as ESZ4, ESZ24 or ESZ2024"
            ) from None
        return None, "other"


def _other(word: str) -> str | None:
    """Return what a row is that is surely no future, by what stands in place of the contract."""
    if not word:
        return "blank"
    if re.match(r"(GRAND |SUB-?)?TOTAL\b|SUM\b", word):
        return "total"
    if _OPTION.fullmatch(word) or re.search(r"\b(CALL|PUT)\b", word):
        return "option"
    outright = rf"/?[A-Z0-9]{{1,5}}[{MONTH_CODES}][0-9]{{1,4}}"
    return "spread" if re.fullmatch(rf"{outright}( ?- ?{outright})+", word) or word.startswith("UD:") else None


def _looks_like_one_of(roots: frozenset[str], word: str) -> bool:
    """Tell whether a root stands alone in it, or with a month and a year after it, such as ``ES 03-24``."""
    any_root = "|".join(map(re.escape, sorted(roots)))
    pattern = re.compile(rf"({any_root})([{MONTH_CODES}][0-9]\w*|({_MONTHS})\w*)?")
    return bool(roots) and any(pattern.fullmatch(part) for part in re.findall(r"\w+", word))


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
