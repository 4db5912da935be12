"""What a desk had seen last by a step, read back from the streams without going through every step again."""

from collections.abc import Iterable

from attrs import field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import to_ms
from pine.feeds.steps import parse_event
from pine.feeds.warmup import WarmUp


@frozen
class Recalled:
    """The newest minute of each symbol, if its contract is still the lead, and the lead contract."""

    bars: dict[str, Bar] = field(factory=dict)
    leads: dict[str, str] = field(factory=dict)


def recall(client: Client, steps: tuple[int, int], symbols: Iterable[str], history: WarmUp | None = None) -> Recalled:
    """Return what a desk has seen last that did every step from one on up to another.

    Parameters
    ----------
    client
        Connection to the server.
    steps
        The step, in ms, after which it began to see minutes of the streams, and the last one that it has done.
    symbols
        What is traded.
    history
        What came before the first step; minutes on the streams go over it.
    """
    found = Recalled()
    for bar in history.bars if history is not None else ():
        if bar.timeframe is Timeframe.MINUTE:
            found.bars[bar.symbol], found.leads[bar.symbol] = bar, bar.contract_symbol
    begun, done = steps
    newest = max(done - to_ms(NS_PER_MINUTE), 0)
    for symbol in symbols:
        stream = keys.bars(symbol, Timeframe.MINUTE)
        for _, fields in client.xrevrange(stream, max=str(newest), min=str(begun), count=1):
            bar = Bar.from_json(streams.field_of(stream, fields, "bar"))
            found.bars[symbol], found.leads[symbol] = bar, bar.contract_symbol
    _roll(client, done, found)
    return found


def _roll(client: Client, step_ms: int, found: Recalled) -> None:
    """Take back prices of contracts that were left at a later step than their newest minute's."""
    if not found.bars:
        return
    oldest = min(bar.start for bar in found.bars.values()) + NS_PER_MINUTE
    last = f"{step_ms}-{(1 << 64) - 1}"
    for identifier, fields in streams.read_range(client, keys.EVENTS, str(to_ms(oldest)), last):
        event = parse_event(streams.ms_of(identifier), fields)
        bar = found.bars.get(event.symbol)
        if event.kind == "roll" and bar is not None and streams.ms_of(identifier) * NS_PER_MS > bar.start:
            found.leads[event.symbol] = event.details["to"]
            del found.bars[event.symbol]
