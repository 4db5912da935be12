"""``pine backfill``: what neither streams nor archive have, from Databento Historical."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.context import FINE, WRONG, configuration, exits, print_json
from pine.cli.options import Time, config_option
from pine.cli.sources import progress, roots, streams, vendor

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.history.backfill import Backfill, Filled, Missing
    from pine.history.historical import Fetched, Price
    from pine.history.manifest import Interval

TOLD: Final = 3


@click.command()
@click.argument("symbols", nargs=-1, metavar="[SYMBOL…]")
@click.option("--all", "everything", is_flag=True, help="All roots in instruments.")
@click.option("--from", "begin", type=Time(), required=True, help="First minute, ISO 8601, UTC by default.")
@click.option("--to", "end", type=Time(), help="Minutes that start before this time; else up to what Databento has.")
@click.option("--dry-run", is_flag=True, help="Say what is missing and what it would cost; buy nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def backfill(
    ctx: click.Context,
    symbols: tuple[str, ...],
    everything: bool,
    begin: int,
    end: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Buy the minutes that neither streams nor archive have from Databento Historical, into the archive.

    Asks nothing; databento.max_cost_usd is what the whole command may cost. Running it again buys nothing. Hours and
    days are folded from the minutes when they are asked for. Exit code 1 if something could not be had, which is
    named. It needs no server.
    """
    if bool(symbols) == everything:
        raise click.UsageError("name one or more SYMBOLs, or --all")
    if end is not None and end <= begin:
        raise click.UsageError("--to: expected a time after --from")
    config = configuration(ctx)
    wanted = roots(config, tuple(config.instruments) if everything else symbols)
    with streams(config) as client:
        work = _backfill(config, client)
        with _survey_shown(wanted) as on_root:
            missing = [on_root(found) for found in work.survey(wanted, begin, end)]
        if not as_json:
            _tell_missing(missing, config.databento.max_cost_usd)
        filled = None if dry_run else _fill(work, missing)
    if as_json:
        print_json(_document(missing, filled, config.databento.max_cost_usd))
    elif filled is not None:
        _tell_filled(filled)
    short = any(found.beyond or found.reason for found in missing)
    sys.exit(WRONG if short or any(done.left for done in filled or ()) else FINE)


def _backfill(config: "Config", client: Any) -> "Backfill":
    from pine.history.answer import History
    from pine.history.backfill import Backfill
    from pine.history.purchases import HistoricalBars

    history = History.of(config, client, vendor(config))
    assert isinstance(history.historical, HistoricalBars)
    return Backfill(history, history.historical)


def _fill(work: "Backfill", missing: "Sequence[Missing]") -> "list[Filled]":
    """Buy; if the vendor is lost on the way, say what is kept before the command ends."""
    from pine.core.errors import PineError

    kept: dict[str, int] = {}
    done: list[Filled] = []
    try:
        with _fill_shown(work, missing) as on_piece:

            def keep(symbol: str, piece: "Fetched") -> None:
                kept[symbol] = kept.get(symbol, 0) + len(piece.bars)
                on_piece(symbol, piece)

            done.extend(work.fill(missing, work.shop.source.budget(), keep))
    except PineError:
        if kept:
            told = ", ".join(f"{count:,} bars of {symbol}" for symbol, count in kept.items())
            click.echo(f"kept in the archive, and not bought again: {told}", err=True)
        raise
    return done


def _tell_missing(missing: "Sequence[Missing]", ceiling: float) -> None:
    for found in missing:
        if not found.holes and not found.beyond:
            click.echo(f"{found.symbol}: nothing is missing")
        if found.holes:
            price = f"; not to be had: {found.reason}" if found.reason else f"; {found.price}"
            click.echo(f"{found.symbol}: missing {_shown(found.holes)}, {found.sessions} sessions{price}")
        if found.beyond:
            click.echo(f"{found.symbol}: Databento has nothing of {_shown(found.beyond)}")
    if len(missing) > 1 and any(found.holes for found in missing):
        click.echo(f"together {_total(missing)}")
    if _total(missing).dollars > ceiling:
        click.echo(f"databento.max_cost_usd allows ${ceiling:.4f}")


def _tell_filled(filled: "Sequence[Filled]") -> None:
    for done in filled:
        if done.bars or done.cost:
            click.echo(f"{done.symbol}: {done.bars:,} bars bought for ${done.cost:.4f}")
        if done.left:
            click.echo(f"{done.symbol}: still missing {_shown(done.left)}" + (done.reason and f": {done.reason}"))
    if len(filled) > 1:
        click.echo(f"{sum(done.bars for done in filled):,} bars bought for ${sum(done.cost for done in filled):.4f}")


def _total(missing: "Sequence[Missing]") -> "Price":
    from pine.history.historical import Price

    prices = [found.price for found in missing if not found.reason]
    return Price(sum(price.dollars for price in prices), all(price.exact for price in prices))


def _shown(intervals: "Sequence[Interval]") -> str:
    from pine.core.times import to_datetime

    told = [f"{to_datetime(a):%Y-%m-%d %H:%M} to {to_datetime(b):%Y-%m-%d %H:%M}" for a, b in intervals]
    more = f" and {len(told) - TOLD} more" if len(told) > TOLD else ""
    return ", ".join(told[:TOLD]) + more


def _document(missing: "Sequence[Missing]", filled: "Sequence[Filled] | None", ceiling: float) -> dict[str, Any]:
    done = {item.symbol: item for item in filled or ()}
    symbols = {}
    for found in missing:
        facts: dict[str, Any] = {
            "missing": _spans(found.holes),
            "not_available": _spans(found.beyond),
            "sessions": found.sessions,
            "price_usd": found.price.dollars,
            "price_is_exact": found.price.exact,
            "reason": found.reason or None,
        }
        if (item := done.get(found.symbol)) is not None:
            facts |= {"bars": item.bars, "cost_usd": item.cost, "left": _spans(item.left)}
            facts["reason"] = item.reason or None
        symbols[found.symbol] = facts
    return {
        "dry_run": filled is None,
        "max_cost_usd": ceiling,
        "cost_usd": sum(item.cost for item in done.values()),
        "symbols": symbols,
    }


def _spans(intervals: "Sequence[Interval]") -> list[dict[str, str]]:
    from pine.core.times import isoformat

    return [{"from": isoformat(begin), "to": isoformat(end)} for begin, end in intervals]


@contextlib.contextmanager
def _survey_shown(wanted: Sequence[str]) -> "Iterator[Callable[[Missing], Missing]]":
    """Show how many roots were looked at."""
    with progress() as shown:
        task = None if shown is None else shown.add_task("what is missing", total=len(wanted))

        def on_root(found: "Missing") -> "Missing":
            if shown is not None and task is not None:
                shown.advance(task)
            return found

        yield on_root


@contextlib.contextmanager
def _fill_shown(work: "Backfill", missing: "Sequence[Missing]") -> "Iterator[Callable[[str, Fetched], None]]":
    """Show root, sessions and rows as they come."""
    rows = 0
    with progress() as shown:
        task = None if shown is None else shown.add_task("buying", total=sum(found.sessions for found in missing))

        def on_piece(symbol: str, piece: "Fetched") -> None:
            nonlocal rows
            rows += len(piece.bars)
            if shown is not None and task is not None:
                shown.advance(task, work.sessions(symbol, [(piece.begin, piece.end)]))
                shown.update(task, description=f"{symbol}, {rows:,} bars, sessions")

        yield on_piece
