"""A position taken over as the broker has it: checked here, booked by the worker."""

import time

from pine.bus.client import Client
from pine.core.config import Config
from pine.core.contract import parse_contract
from pine.core.errors import PineError, UnknownSymbol
from pine.core.times import to_datetime
from pine.ops.control import PATIENCE, Booked, Request
from pine.orders.ledger import read_ledger
from pine.orders.portfolio import Portfolio
from pine.orders.requests import POSITION, ask_position
from pine.worker.run import check_name


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
    now: int,
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
        Whether orders on their way in the symbol are forgotten, instead of being a reason to refuse.
    now
        Ns; says in which decade a year of one digit lies.

    Raises
    ------
    PineError
        If something of it cannot be, or an order is on its way.
    """
    check_name(config, strategy)
    traded = config.traded[strategy]
    if symbol not in traded:
        raise UnknownSymbol(f"{symbol}: {strategy} does not trade it; it trades {', '.join(traded)}")
    if quantity:
        if not contract:
            raise PineError(f"contract: expected the contract of {quantity:+d} {symbol}, such as ESZ4")
        if price is None or not price == price or abs(price) == float("inf"):
            raise PineError(f"--price: expected what {quantity:+d} {contract} cost on average, in points")
        contract = parse_contract(contract.upper(), to_datetime(now).date(), [traded[symbol].root]).symbol
    elif contract:
        parse_contract(contract.upper(), to_datetime(now).date(), [traded[symbol].root])
        contract = ""
    portfolio = Portfolio(config.strategies[strategy].starting_cash, config.desk_session)
    for _, entry in read_ledger(client, strategy):
        portfolio.apply(entry)
    if (pending := portfolio.pending(symbol)) and not force:
        raise PineError(
            f"{pending[0].id} is on its way: wait until it is filled and compare again, or forget it with --force"
        )
    fields = ask_position(symbol, contract, quantity, price, who, reason)
    return Request.put(config, client, strategy, POSITION, fields).follow(time.monotonic() + PATIENCE)
