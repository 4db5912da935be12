"""Positions three times over: on paper, as they were sent, and as a broker has them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.timeframe import Timeframe
from pine.core.times import isoformat
from pine.orders.entries import Entry
from pine.orders.ledger import Deliveries, read_ledger
from pine.orders.portfolio import Portfolio
from pine.orders.sent import Sent, sent_positions


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
        "due": both.paper.get(contract, 0),
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


def compare(rows: Iterable[Mapping[str, Any]], broker: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return every contract with what strategies that post hold together, and what the broker has; ready for JSON.

    It differs where the broker does not have what is due, which is what they hold when orders on their way are filled.
    """
    sums = {kind: Counter[str]() for kind in ("paper", "due", "sent")}
    unsettled: set[str] = set()
    for row in rows:
        if row["sent"] is None:
            continue
        for kind, counts in sums.items():
            counts[row["contract"]] += row[kind]
        if not row["settled"] or row["paper"] != row["due"]:
            unsettled.add(row["contract"])
    contracts = sorted(sums["due"].keys() | broker.keys())
    found = [
        {
            "contract": contract,
            **{kind: counts[contract] for kind, counts in sums.items()},
            "broker": broker.get(contract, 0),
            "on_its_way": contract in unsettled,
            "differs": sums["due"][contract] != broker.get(contract, 0),
        }
        for contract in contracts
    ]
    return [row for row in found if row["on_its_way"] or any(row[kind] for kind in (*sums, "broker"))]
