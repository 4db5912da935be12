"""``pine bars``: what the streams hold."""

import difflib
from typing import TYPE_CHECKING

import click

from pine.cli.columns import columns
from pine.cli.context import configuration, exits, print_json, visit
from pine.cli.options import Time, config_option

if TYPE_CHECKING:
    from pine.core.bar import Bar


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
@config_option
@click.pass_context
@exits
def bars(ctx: click.Context, symbol: str, timeframe: str, first: int | None, last: int | None, as_json: bool) -> None:
    """Print the bars of SYMBOL, such as ES, from the streams. Times are the starts of the periods, UTC."""
    config = configuration(ctx)
    from pine.bus import keys, streams
    from pine.core.bar import Bar
    from pine.core.errors import UnknownSymbol
    from pine.core.timeframe import Timeframe

    with visit(config) as client:
        registered = {name.decode() for name in client.hkeys(keys.SYMBOLS)}
        symbol = symbol if symbol in registered else symbol.upper()
        if symbol not in registered:
            near = difflib.get_close_matches(symbol, sorted(registered), n=3, cutoff=0.3)
            hint = f"did you mean {', '.join(near)}? " if near else ""
            known = ", ".join(sorted(registered)) or "none yet"
            raise UnknownSymbol(f"no hub has registered {symbol!r}; {hint}registered are: {known}")
        stream = keys.bars(symbol, Timeframe(timeframe))
        start = "-" if first is None else str(max(-(-first // 1_000_000), 0))
        end = "+" if last is None else str(-(-last // 1_000_000) - 1) if last > 0 else "0-0"
        found = [
            Bar.from_json(streams.field_of(stream, fields, "bar"))
            for _, fields in streams.read_range(client, stream, start, end)
        ]
    if as_json:
        print_json(
            {"symbol": symbol, "timeframe": timeframe, "count": len(found), "bars": [bar.to_dict() for bar in found]}
        )
    else:
        _print_table(found)


def _print_table(found: "list[Bar]") -> None:
    rows = [("time (UTC)", "open", "high", "low", "close", "volume", "contract")]
    for bar in found:
        opened, high, low, close = (f"{value:.10g}" for value in (bar.open, bar.high, bar.low, bar.close))
        time = f"{bar.timestamp:%Y-%m-%d %H:%M}"
        rows.append((time, opened, high, low, close, str(bar.volume), bar.contract_symbol))
    click.echo("\n".join([*columns(rows, frozenset(range(1, 6))), f"{len(found)} bars"]))
