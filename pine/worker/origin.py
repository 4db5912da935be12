"""Where a strategy's life begins: the first entry of its ledger, with the history that it is fed before."""

from typing import Final

from pine.bus import keys, streams
from pine.bus.writer import Writer
from pine.core.config import WarmUpConfig
from pine.core.times import to_ms
from pine.feeds.warmup import WarmUp, chunks
from pine.history.refill import digest
from pine.orders.entries import Entry, Origin, WarmedUp, encode

CHUNKS_AT_ONCE: Final = 20
"""Entries of the warm-up's stream in one write: some 2.5 MB."""


def begin_at(writer: Writer, strategy: str, origin: int, live_after: int) -> tuple[str, Entry]:
    """Record a life whose features are fed from the streams; return the entry of the ledger with its id.

    Parameters
    ----------
    writer
        Of the worker's role.
    strategy
        Whose life.
    origin, live_after
        First clock entry that features are fed from, and the one after which it decides; in ms, 0 for none.
    """
    identifier = streams.entry_id(live_after, 0 if live_after else 1)
    return _record(writer, strategy, identifier, Origin(origin, live_after))


def begin_after(writer: Writer, strategy: str, history: WarmUp, reach: WarmUpConfig) -> tuple[str, Entry]:
    """Record the bars that come first, and that life begins after them: the bars never without the origin.

    Parameters
    ----------
    writer, strategy
        As in `begin_at`.
    history
        The bars.
    reach
        How many sessions they go back.
    """
    stream, until = keys.warm_up(strategy), to_ms(history.until)
    newest = streams.last_id(writer.client, stream)
    first = n = streams.id_pair(newest)[1] + 1 if newest and streams.ms_of(newest) == until else 0
    for n, chunk in enumerate(chunks(history.bars), first):
        writer.append(stream, streams.entry_id(until, n), {"bars": chunk})
        if n % CHUNKS_AT_ONCE == CHUNKS_AT_ONCE - 1:
            writer.commit()
    ids = streams.entry_id(until, first), streams.entry_id(until, n)
    fed = WarmedUp(reach.daily, reach.hourly, reach.minute, *ids, len(history.bars), digest(history.bars))
    return _record(writer, strategy, streams.entry_id(until), Origin(until, until, fed))


def _record(writer: Writer, strategy: str, identifier: str, origin: Origin) -> tuple[str, Entry]:
    writer.append(keys.ledger(strategy), identifier, {"entry": encode(origin)})
    writer.commit()
    return identifier, origin
