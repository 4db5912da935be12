"""A position taken over as the broker has it: checked here, booked by the worker."""

import time
from typing import Final

from attrs import evolve

from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.contract import parse_contract
from pine.core.errors import PineError, UnknownSymbol
from pine.core.times import to_datetime
from pine.ops.control import PATIENCE, Booked, Request
from pine.ops.positions import last_bar
from pine.orders.ledger import read_ledger
from pine.orders.portfolio import Portfolio
from pine.orders.requests import HIGHEST_PRICE, MOST_CONTRACTS, POSITION, ask_position
from pine.orders.sent import sent_by
from pine.worker.run import check_name

FAR: Final = 0.2
"""A price that differs from the last one by this part of it is probably mistyped."""


def correct(
    config: Config,
    client: Client,
    strategy: str,
    symbol: str,
    quantity: int,
    contract: str,
    price: float | None,
    *,
    who: str,
    reason: str,
    force: bool,
) -> Booked:
    """Have a correction booked, see `pine.orders.entries.Correction`.

    Parameters
    ----------
    config, client, strategy
        Whose position.
    symbol, quantity, contract, price
        What the broker has.
    who, reason
        For the record.
    force
        Whether orders on their way in the symbol are given up, and a price far from the last one is taken, instead of
        either being a reason to refuse.

    Raises
    ------
    PineError
        If something of it cannot be, or an order is on its way.
    """
    check_name(config, strategy)
    traded = config.traded[strategy]
    if symbol not in traded:
        raise UnknownSymbol(f"{symbol}: {strategy} does not trade it; it trades {', '.join(traded)}")
    last = last_bar(client, symbol)
    contract = _checked(symbol, quantity, contract, price, traded[symbol].root, last) if quantity else ""
    if not force:
        _check_nothing_comes(config, client, strategy, symbol)
        _check_price(price, last)
    fields = ask_position(symbol, contract, quantity, price, who, reason, force=force)
    request = Request.put(config, client, strategy, POSITION, fields)
    answer = request.book(time.monotonic() + PATIENCE)
    held = f"{quantity:+d} {contract} at {price:.10g}" if quantity else f"nothing in {symbol}"
    return evolve(answer, effect=f"it holds {held} on paper now") if answer.step is not None else answer


def _checked(symbol: str, quantity: int, contract: str, price: float | None, root: str, last: Bar | None) -> str:
    """Return the contract in the exchange's form if it can be held: the one that leads, for which there are prices."""
    if not contract:
        raise PineError(f"contract: expected the contract of {quantity:+d} {symbol}, such as ESZ4")
    if price is None or not abs(price) < HIGHEST_PRICE or abs(quantity) > MOST_CONTRACTS:
        raise PineError(f"--price: expected what {quantity:+d} {contract} cost on average, in points")
    if last is None:
        raise PineError(f"{symbol}: there is no bar of it yet, so nothing can be held on paper")
    day = to_datetime(last.start).date()
    leads = parse_contract(last.contract_symbol, day).with_root(root)
    if parse_contract(contract.upper(), day, [root]) != leads:
        raise PineError(
            f"{contract}: found a contract that has no bars now, expected {leads.symbol}, which leads; what the broker "
            f"holds in another one is closed there, and pine positions set … {symbol} 0 says that it is gone"
        )
    return leads.symbol


def _check_nothing_comes(config: Config, client: Client, strategy: str, symbol: str) -> None:
    """Raise `PineError` if an order of the symbol is not filled yet, or not posted for good."""
    portfolio = Portfolio(config.strategies[strategy].starting_cash, config.desk_session)
    for _, entry in read_ledger(client, strategy):
        portfolio.apply(entry)
    order = next((pending.id for pending in portfolio.pending(symbol)), None)
    if order is None and config.strategies[strategy].webhook:
        order = sent_by(client, strategy).unsettled.get(symbol)
    if order is not None:
        raise PineError(
            f"{order} is on its way: wait until it is filled and posted, and compare again; --force gives it up"
        )


def _check_price(price: float | None, last: Bar | None) -> None:
    if price is not None and last is not None and abs(price - last.close) > FAR * abs(last.close):
        raise PineError(
            f"--price: found {price:.10g}, and the last price is {last.close:.10g}; say --force if it is no mistake"
        )
