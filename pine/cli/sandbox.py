"""``pine sandbox``: stand-ins of the outside world for a machine without accounts."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pine.cli.context import exits
from pine.cli.options import Speed, Time

FILE = click.Path(dir_okay=False, path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])

_key = click.option("--key", envvar="PINE_SANDBOX_KEY", help="The only API key to accept; any if left out.")


def _tapes(command: Command) -> Command:
    """Give a command the options ``tapes`` and ``more``: files behind ``--dbn``, however many."""
    more = click.argument("more", nargs=-1, type=FILE, metavar="[FILE…]")
    return click.option(
        "--dbn",
        "tapes",
        type=FILE,
        multiple=True,
        required=True,
        metavar="FILE…",
        help="DBN trade files; repeat, or list after it.",
    )(more(command))


def _address(port: int) -> Callable[[Command], Command]:
    """Give a command the options ``host`` and ``port``."""

    def decorate(command: Command) -> Command:
        listen = click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            help="Port to listen on; 0 takes a free one.",
        )
        host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
        return host(listen(command))

    return decorate


@click.group()
def sandbox() -> None:
    """Stand in for Databento, TradersPost and who is alerted on this machine, or make up a market."""


@sandbox.command()
@_tapes
@_address(13000)
@click.option("--speed", type=Speed(), default="1", show_default=True, metavar="X|max", help="Times real time, or max.")
@click.option(
    "--then",
    type=click.Choice(["idle", "close", "loop"]),
    default="idle",
    show_default=True,
    help="What follows the end of the tape.",
)
@_key
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="MANNER[:BYTES]",
    help="What goes wrong in the next session; repeat for the ones after it. Early: refuse, mute, hangup-before-auth, "
    "reset-before-auth, hangup-before-metadata. After BYTES of the stream: fin, reset, silence, garbage, error. "
    "sound: nothing.",
)
@exits
def gateway(
    tapes: tuple[Path, ...],
    more: tuple[Path, ...],
    host: str,
    port: int,
    speed: float | None,
    then: str,
    key: str | None,
    faults: tuple[str, ...],
) -> None:
    """Serve DBN files by the Databento Live protocol.

    The real client connects with databento.Live(gateway="127.0.0.1", port=…); pine's hub with databento.gateway in
    its configuration and hub.clock: tape. What happens is told as JSON lines.
    """
    from pine.core.errors import DataError, SandboxError
    from pine.sandbox.faults import Fault
    from pine.sandbox.gateway import run_gateway

    planned = [Fault.parse(text) for text in faults]
    try:
        code = run_gateway(
            [*tapes, *more],
            host=host,
            port=port,
            speed=speed,
            then=then,  # type: ignore[arg-type]  # one of the choices
            key=key,
            faults=planned,
        )
    except DataError as error:
        raise SandboxError(str(error)) from None
    sys.exit(code)


@sandbox.command()
@_address(18000)
@click.option("--out", type=FILE, required=True, help="File to which every request is appended as a JSON line.")
@click.option(
    "--answer",
    type=click.Choice(["ok", "slow", "429", "500", "400", "drop", "drop_before", "drop_after"]),
    default="ok",
    show_default=True,
    help="How to treat valid requests; POST /_sandbox/behaviour changes it while running.",
)
@click.option("--delay", type=click.FloatRange(0), default=None, help="Seconds before a slow answer.")
@click.option("--retry-after", type=click.FloatRange(0), default=None, help="Seconds to name in a 429.")
@click.option("--times", type=click.IntRange(1), default=None, help="Only the first N requests, then ok.")
@exits
def broker(
    port: int, out: Path, host: str, answer: str, delay: float | None, retry_after: float | None, times: int | None
) -> None:
    """Receive webhooks as TradersPost does: validate, record, answer."""
    from pine.sandbox.behaviour import Behaviour
    from pine.sandbox.broker import Broker

    given = {"answer": answer, "delay": delay, "retry_after": retry_after, "times": times}
    behaviour = Behaviour(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    sys.exit(Broker(host=host, port=port, out=out, behaviour=behaviour).run())


@sandbox.command()
@_address(18080)
@click.option("--out", type=FILE, help="File to which every message is appended as a JSON line.")
@click.option(
    "--answer",
    type=click.Choice(["ok", "slow", "429", "500", "400", "drop"]),
    default="ok",
    show_default=True,
    help="How to treat messages; POST /_sandbox/behaviour changes it while running.",
)
@exits
def alerts(port: int, host: str, out: Path | None, answer: str) -> None:
    """Receive alerts: alerts.urls: ["json://127.0.0.1:18080/"] sends them here.

    What was received is at /_sandbox/requests.
    """
    from pine.sandbox.behaviour import Behaviour
    from pine.sandbox.inbox import Inbox

    sys.exit(Inbox(host=host, port=port, out=out, behaviour=Behaviour(answer)).run())


@sandbox.command()
@click.option("--out", type=FILE, required=True, help="DBN file to write, zstd-compressed.")
@click.option("--symbols", required=True, help="Roots, comma-separated, such as ES,GC,6E.")
@click.option("--days", type=click.IntRange(1, 2000), default=10, show_default=True, help="Trading sessions.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same bytes.")
@click.option("--start", type=Time(), default="2024-03-04", show_default=True, help="First trade date.")
@click.option(
    "--trades-per-day", type=click.IntRange(100), default=10_000, show_default=True, help="Per root and session, about."
)
@exits
def market(out: Path, symbols: str, days: int, seed: int, start: int, trades_per_day: int) -> None:
    """Make up a market and write it as DBN trades: expiries, spreads, a roll, halts, quiet minutes, bursts."""
    from pine.core.errors import SandboxError
    from pine.core.times import to_datetime
    from pine.sandbox.market import write_market

    roots = [symbol.strip().upper() for symbol in symbols.split(",") if symbol.strip()]
    try:
        made = write_market(out, roots, days, seed, to_datetime(start).date(), trades_per_day=trades_per_day)
    except OSError as error:
        raise SandboxError(f"--out {out}: cannot be written: {error.strerror}") from None
    click.echo(
        f"{out}: {len(made.trades):,} trades of {', '.join(roots)} in {days} sessions, {out.stat().st_size:,} bytes"
    )


@sandbox.command()
@_tapes
@_address(13443)
@click.option(
    "--cert-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for ca.pem, which clients name in REQUESTS_CA_BUNDLE; a temporary one if left out.",
)
@_key
@click.option("--out", type=FILE, help="File to which every request is appended as a JSON line, with its cost.")
@click.option("--until", type=Time(), help="End of what is available; else the end of the files.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="MANNER[:N][@ENDPOINT]",
    help="What goes wrong with the next request; repeat for the ones after it. 401, 402, 403, 422, 429:SECONDS, 500, "
    "503, 504, timeout:SECONDS, hangup; of the data: cut:BYTES, close:BYTES, short:RECORDS. sound: nothing. "
    "@get_range waits for that endpoint.",
)
@exits
def history(
    tapes: tuple[Path, ...],
    more: tuple[Path, ...],
    host: str,
    port: int,
    cert_dir: Path | None,
    key: str | None,
    out: Path | None,
    until: int | None,
    faults: tuple[str, ...],
) -> None:
    """Serve DBN files as Databento's Historical API does.

    The real client connects with databento.Historical(gateway="https://127.0.0.1:…") and REQUESTS_CA_BUNDLE in its
    environment; pine with databento.historical_gateway in its configuration. What was asked and what it cost is at
    /_sandbox/requests; POST /_sandbox/faults plans other faults.
    """
    from pine.core.errors import DataError, SandboxError
    from pine.sandbox.history import run_history
    from pine.sandbox.history_faults import HistoryFault

    planned = [HistoryFault.parse(text) for text in faults]
    try:
        code = run_history(
            [*tapes, *more], host=host, port=port, cert_dir=cert_dir, key=key, out=out, until=until, faults=planned
        )
    except DataError as error:
        raise SandboxError(str(error)) from None
    sys.exit(code)
