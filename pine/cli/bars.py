"""``pine bars``: what is known of the past."""

import contextlib
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pine.cli.context import configuration, exits, print_json
from pine.cli.options import Time, config_option
from pine.cli.sources import look, vendor

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config
    from pine.history.answer import Answer, History
    from pine.history.historical import Price

TOLD_HOLES: Final = 3


@click.command()
@click.argument("symbol")
@click.option(
    "--timeframe",
    type=click.Choice(["1min", "hourly", "daily"]),
    default="1min",
    show_default=True,
    help="Length of the bars.",
)
@click.option("--from", "first", type=Time(), help="First bar start, ISO 8601, UTC by default.")
@click.option("--to", "last", type=Time(), help="Bars that start before this time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write a Parquet file.")
@click.option("--plot", is_flag=True, help="Draw candlesticks, as wide as the terminal.")
@click.option("--price", is_flag=True, help="Say what --buy would cost, and buy nothing.")
@click.option("--buy", is_flag=True, help="Buy what is missing from Databento Historical; needs --from.")
@config_option
@click.pass_context
@exits
def bars(
    ctx: click.Context,
    symbol: str,
    timeframe: str,
    first: int | None,
    last: int | None,
    as_json: bool,
    as_csv: bool,
    parquet: Path | None,
    plot: bool,
    price: bool,
    buy: bool,
) -> None:
    """Print the bars of SYMBOL, such as ES, from streams and archive. Times are the starts of the periods, UTC.

    What is missing is named on standard error. With --buy it is bought from Databento Historical, for at most
    databento.max_cost_usd, and kept in the archive, so that it is never bought twice.
    """
    if sum(map(bool, (as_json, as_csv, parquet, plot, price))) > 1:
        raise click.UsageError("choose one of --json, --csv, --parquet, --plot and --price")
    if price and buy:
        raise click.UsageError("--price buys nothing; leave --buy out")
    if (buy or price) and first is None:
        raise click.UsageError("--buy and --price need --from: Databento has many years")
    if first is not None and last is not None and last <= first:
        raise click.UsageError("--to: expected a time after --from")
    config = configuration(ctx)
    from pine.core.timeframe import Timeframe

    with _history(config, symbol, paying=buy or price) as (history, sources, root):
        if price:
            _print_price(history.price(root, Timeframe(timeframe), first, last))
            return
        answer = history.bars(root, Timeframe(timeframe), first, last, buy=buy, on_price=_say_price)
    _say_holes(answer, bought=buy)
    if answer.cost:
        click.echo(f"bought for ${answer.cost:.4f}", err=True)
    if as_json:
        print_json(_document(answer, sources))
        return
    from pine.cli import bars_view

    if as_csv:
        click.echo(bars_view.csv_text(answer.bars), nl=False)
    elif parquet is not None:
        bars_view.write_parquet(answer, parquet)
        click.echo(f"{len(answer.bars)} bars written to {parquet}")
    elif plot:
        click.echo(bars_view.picture(answer))
    else:
        click.echo(bars_view.table(answer.bars))


@contextlib.contextmanager
def _history(config: "Config", symbol: str, *, paying: bool) -> "Iterator[tuple[History, list[str], str]]":
    """Provide the history, the names of what it is made of, and the root; without the streams if there is no server."""
    from pine.history.answer import History

    with look(config) as (client, reason):
        root = _known(config, client, symbol, reason, paying=paying)
        if reason:
            click.echo(f"note: {reason}; answered without the streams", err=True)
        names = ["archive"] if client is None else ["streams", "archive"]
        history = History.of(config, client, vendor(config) if paying else None)
        yield history, [*names, "historical"] if paying else names, root


def _known(config: "Config", client: "Client | None", symbol: str, reason: str, *, paying: bool) -> str:
    """Return a root that somebody can know something of, in capitals if only they are known.

    Raises
    ------
    UnknownSymbol
        If nobody can.
    BusError
        If there is no server and nothing is in the archive.
    """
    from pine.bus import keys
    from pine.core.errors import BusError, UnknownSymbol
    from pine.history.archive import Archive

    registered = set() if client is None else {name.decode() for name in client.hkeys(keys.SYMBOLS)}
    tables = [table for table in Archive.of(config).tables() if table.kind == "bars"]
    archived = {value for table in tables for name, value in table.parts if name == "symbol"}
    known = registered | archived | (set(config.instruments) if paying else set())
    for name in (symbol, symbol.upper()):
        if name in known:
            return name
    if not known and reason:
        raise BusError(f"nothing is in the archive, and {reason}")
    near = difflib.get_close_matches(symbol.upper(), sorted(known), n=3, cutoff=0.3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    what, where = ("the archive has nothing of", "there") if client is None else ("no hub has registered", "registered")
    why = f" ({reason})" if reason else ""
    raise UnknownSymbol(f"{what} {symbol!r}; {hint}{where} are: {', '.join(sorted(known)) or 'none yet'}{why}")


def _say_price(price: "Price") -> None:
    click.echo(f"buying from Databento Historical for {price}", err=True)


def _print_price(price: "Price | None") -> None:
    click.echo("nothing to buy" if price is None else f"--buy would cost {price}")


def _say_holes(answer: "Answer", *, bought: bool) -> None:
    """Name what is missing, in one line."""
    if not answer.holes:
        return
    from pine.core.times import to_datetime

    told = [f"{to_datetime(a):%Y-%m-%d %H:%M} to {to_datetime(b):%Y-%m-%d %H:%M}" for a, b in answer.holes]
    more = f" and {len(told) - TOLD_HOLES} more" if len(told) > TOLD_HOLES else ""
    way_out = "" if bought else "; --buy asks Databento Historical, --price says for how much"
    click.echo(f"missing: {', '.join(told[:TOLD_HOLES])}{more}{way_out}", err=True)


def _document(answer: "Answer", sources: list[str]) -> dict[str, object]:
    from pine.core.times import isoformat

    return {
        "symbol": answer.symbol,
        "timeframe": answer.timeframe.value,
        "count": len(answer.bars),
        "sources": sources,
        "holes": [{"from": isoformat(begin), "to": isoformat(end)} for begin, end in answer.holes],
        "cost_usd": answer.cost,
        "bars": [bar.to_dict() for bar in answer.bars],
    }
