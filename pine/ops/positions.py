"""Positions three times over: on paper, as they were sent, and as a broker's list has them."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.contract import parse_contract
from pine.core.errors import DataError, PineError
from pine.core.timeframe import Timeframe
from pine.core.times import isoformat, to_datetime
from pine.orders.entries import Entry
from pine.orders.ledger import Deliveries, read_ledger
from pine.orders.portfolio import Portfolio
from pine.orders.sent import Sent, sent_positions

_CONTRACT: Final = ("contract", "ticker", "symbol", "instrument", "local symbol", "description")
_QUANTITY: Final = ("quantity", "qty", "position", "net", "net position", "net quantity", "contracts")
_SIDE: Final = ("side", "long/short", "direction")


@frozen
class Both:
    """One strategy's contracts of one instrument, on paper and as they were sent.

    Attributes
    ----------
    paper
        By contract what the paper account holds, and will hold when orders on their way are filled.
    sent
        By contract what was posted and taken; nothing where the strategy has no webhook.
    settled
        Whether nothing is still to be posted, nor of unknown outcome.
    """

    symbol: str
    paper: Mapping[str, int]
    sent: Mapping[str, int] | None
    settled: bool

    @property
    def differs(self) -> bool:
        """Whether the broker cannot hold what the paper account does."""
        return self.sent is not None and self.settled and self.sent != self.paper


def both_sides(portfolio: Portfolio, sent: Sent | None) -> list[Both]:
    """Return every instrument in which there is something on paper or was sent."""
    held = {symbol: {p.contract: p.quantity} for symbol, p in portfolio.positions.items()}
    for order in portfolio.orders.values():
        signed = {"buy": order.quantity, "sell": -order.quantity, "exit": 0}[order.action]
        held[order.symbol] = {order.contract: signed} if signed else {}
    symbols = held.keys() | ({symbol for symbol, _ in sent.quantities} | sent.unsettled.keys() if sent else set())
    return [
        Both(
            symbol,
            {contract: quantity for contract, quantity in held.get(symbol, {}).items() if quantity},
            None if sent is None else sent.of(symbol),
            sent is None or symbol not in sent.unsettled,
        )
        for symbol in sorted(symbols)
    ]


def list_positions(config: Config, client: Client, strategies: Iterable[str]) -> list[dict[str, Any]]:
    """Return what some strategies hold on paper and what was sent, a row for each contract; ready for JSON."""
    rows: list[dict[str, Any]] = []
    for strategy in strategies:
        entries = [entry for _, entry in read_ledger(client, strategy)]
        portfolio, sent = _folded(config, client, strategy, entries)
        for both in both_sides(portfolio, sent):
            last = last_bar(client, both.symbol)
            open_now = {p.contract for p in portfolio.positions.values() if p.symbol == both.symbol}
            contracts = sorted(open_now | both.paper.keys() | (both.sent or {}).keys())
            rows += [_row(config, strategy, both, contract, portfolio, last) for contract in contracts]
    return rows


def _folded(config: Config, client: Client, strategy: str, entries: Iterable[Entry]) -> tuple[Portfolio, Sent | None]:
    entries = list(entries)
    portfolio = Portfolio(config.strategies[strategy].starting_cash, config.desk_session)
    for entry in entries:
        portfolio.apply(entry)
    if not config.strategies[strategy].webhook:
        return portfolio, None
    known = Deliveries.read(client, strategy).by_intent
    return portfolio, sent_positions(entries, {intent: delivery.state for intent, delivery in known.items()})


def _row(
    config: Config, strategy: str, both: Both, contract: str, portfolio: Portfolio, last: Bar | None
) -> dict[str, Any]:
    position = portfolio.positions.get(both.symbol)
    mine = position if position is not None and position.contract == contract else None
    price = last.close if last is not None else None
    traded = config.traded[strategy].get(both.symbol)
    open_pnl = None
    if mine is not None and price is not None and traded is not None:
        open_pnl = round((price - mine.price) * mine.quantity * traded.point_value, 2)
    sent = None if both.sent is None else both.sent.get(contract, 0)
    return {
        "strategy": strategy,
        "symbol": both.symbol,
        "contract": contract,
        "paper": 0 if mine is None else mine.quantity,
        "coming": both.paper.get(contract, 0),
        "sent": sent,
        "settled": both.settled,
        "differs": both.settled and sent is not None and sent != both.paper.get(contract, 0),
        "price": None if mine is None else mine.price,
        "entered": None if mine is None else isoformat(mine.entered),
        "last": price,
        "open_pnl": open_pnl,
    }


def last_bar(client: Client, symbol: str) -> Bar | None:
    """Return the newest minute of a root; nothing without one."""
    stream = keys.bars(symbol, Timeframe.MINUTE)
    for _, fields in client.xrevrange(stream, count=1):
        return Bar.from_json(streams.field_of(stream, fields, "bar"))
    return None


def read_broker(path: Path, now: int) -> dict[str, int]:
    """Return the contracts of a broker's list of positions, negative when short, by contract in the exchange's form.

    Parameters
    ----------
    path
        A CSV file with a header: one column names the contract (``ESZ4``, ``ESZ24`` or ``ESZ2024``), one the quantity,
        negative when short; or with a column that says ``long`` or ``short``, ``buy`` or ``sell``.
    now
        Ns; says in which decade a year of one digit lies.

    Raises
    ------
    DataError
        With the line, if something in it cannot be understood.
    PineError
        If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PineError(f"{path}: cannot be read: {error}") from None
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    header = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    if not header:
        raise DataError(f"{path}: is empty, expected a header such as contract,quantity")
    contract, quantity, side = (_column(header, names) for names in (_CONTRACT, _QUANTITY, _SIDE))
    if contract is None or quantity is None:
        raise DataError(
            f"{path}: found columns {', '.join(header)}, expected one of {', '.join(_CONTRACT)} and one of "
            f"{', '.join(_QUANTITY)}"
        )
    found: Counter[str] = Counter()
    for row in rows:
        where = f"{path}:{rows.line_num}"
        said = "" if side is None else row[side] or ""
        found[broker_contract(row[contract] or "", now, where)] += _signed(row[quantity] or "", said, where)
    return {name: count for name, count in found.items() if count}


def broker_contract(text: str, now: int, where: str) -> str:
    """Return the contract that somebody wrote, in the exchange's form; raises `DataError`, naming `where`, for none."""
    word = text.strip().upper().removeprefix("/").replace(" ", "")
    try:
        return parse_contract(word, to_datetime(now).date()).symbol
    except PineError as error:
        raise DataError(f"{where}: found contract {text!r}, expected one such as ESZ4 or ESZ2024: {error}") from None


def compare(rows: Iterable[Mapping[str, Any]], broker: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return every contract with what strategies that post hold on paper, what was sent, and what the broker has."""
    paper: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for row in rows:
        if row["sent"] is not None:
            paper[row["contract"]] += row["coming"]
            sent[row["contract"]] += row["sent"]
    return [
        {
            "contract": contract,
            "paper": paper[contract],
            "sent": sent[contract],
            "broker": broker.get(contract, 0),
            "differs": paper[contract] != broker.get(contract, 0),
        }
        for contract in sorted(paper.keys() | broker.keys())
        if paper[contract] or sent[contract] or broker.get(contract, 0)
    ]


def _column(header: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((header[name] for name in names if name in header), None)


def _signed(quantity: str, side: str, where: str) -> int:
    word = quantity.strip().replace(",", "").replace("\u2212", "-")
    try:
        number = float(word)
    except ValueError:
        number = 0.5
    if number != int(number):
        raise DataError(f"{where}: found quantity {quantity!r}, expected a whole number")
    said = side.strip().lower()
    if said in ("short", "sell", "s", "sold"):
        return -abs(int(number))
    if said in ("", "long", "buy", "b", "bought", "l", "flat"):
        return int(number)
    raise DataError(f"{where}: found side {side!r}, expected long or short")
