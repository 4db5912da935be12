"""What a worker thought, from its ledger and flight records: on the streams, in the archive, or partly on each."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.cursors import reached
from pine.core.bar import Bar
from pine.core.errors import DataError, PineError
from pine.core.timeframe import NS_PER_MS
from pine.feeds.warmup import WarmUp, read_bars
from pine.history.archive import Archive
from pine.history.refill import digest
from pine.hub.publisher import read_registered
from pine.orders.entries import OWN, Asked, Entry, Origin, decode
from pine.replay.record import Facts, Record
from pine.replay.recorder import Recorder
from pine.replay.settings import of_config
from pine.replay.source import Request
from pine.worker.provenance import config_hash

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config

UNKNOWN: Final = ("events", "bars")
"""Tables of inputs: what a worker saw of the market it wrote down as a digest only."""


def has_begun(strategy: str, archive: Archive, client: "Client | None") -> bool:
    """Tell whether a strategy has a ledger, on streams or in the archive: whether its worker has ever run."""
    if client is not None and client.exists(keys.ledger(strategy)):
        return True
    return next(iter(archive.ledger(strategy)), None) is not None


@define(eq=False)
class Life:
    """One strategy's life as it was recorded.

    Parameters
    ----------
    strategy
        Its name.
    archive
        Where sealed sessions are.
    client
        The streams, if they are at hand.

    Attributes
    ----------
    entries
        Its ledger by step in ns, in order.
    """

    strategy: str
    archive: Archive
    client: "Client | None"
    entries: list[tuple[int, Entry]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        found = dict(self.archive.ledger(self.strategy))
        if self.client is not None:
            found |= dict(streams.read_range(self.client, keys.ledger(self.strategy)))
        self.entries = [
            (_ns(at), decode(streams.field_of(keys.ledger(self.strategy), found[at], "entry")))
            for at in sorted(found, key=streams.id_pair)
        ]

    @property
    def origin(self) -> Origin:
        """Where it began.

        Raises
        ------
        PineError
            If there is no ledger.
        DataError
            If the ledger does not begin with it.
        """
        if not self.entries:
            raise PineError(
                f"{self.strategy}: found no ledger on streams or in the archive, expected one: no worker has run yet"
            )
        first = self.entries[0][1]
        if not isinstance(first, Origin):
            raise DataError(f"{keys.ledger(self.strategy)}: begins with {first}, expected the origin")
        return first

    @property
    def begin(self) -> int:
        """The step, in ns, after which it could decide; 0 if it began before there was any."""
        return self.origin.live_after * NS_PER_MS

    @property
    def end(self) -> int:
        """The last step, in ns, that it is known to have done."""
        newest = max((at for at, _ in self.flights()), default=self.begin)
        done = None if self.client is None else reached(self.client, keys.CLOCK, self.strategy)
        return max(newest, self.entries[-1][0], 0 if done is None else done[0] * NS_PER_MS)

    def requests(self) -> list[Request]:
        """Return what operators and couriers had booked, with the step after which each took effect."""
        asked = ((at, entry) for at, entry in self.entries if isinstance(entry, Asked))
        return [Request(at, entry) for at, entry in asked if not entry.request.startswith(OWN)]

    def warm_up(self) -> WarmUp | None:
        """Return the bars it was fed first, as they were kept; nothing if it was fed steps, or they are gone.

        Raises
        ------
        DataError
            If they are not those that its origin names.
        """
        fed = self.origin.warm_up
        if fed is None:
            return None
        bars = () if self.client is None else read_bars(self.client, self.strategy, fed.first, fed.last)
        bars = bars or tuple(self._archived_bars(fed.first, fed.last))
        return self.checked(WarmUp(self.begin, bars)) if bars else None

    def _archived_bars(self, first: str, last: str) -> Iterator[Bar]:
        ends = streams.id_pair(first), streams.id_pair(last)
        for identifier, fields in self.archive.warm_ups(self.strategy):
            if ends[0] <= streams.id_pair(identifier) <= ends[1]:
                payload = streams.field_of(keys.warm_up(self.strategy), fields, "bars")
                yield from (Bar.from_dict(raw) for raw in orjson.loads(payload))

    def checked(self, warm_up: WarmUp) -> WarmUp:
        """Return bars if they are those that the origin names; raise `DataError` if not."""
        fed = self.origin.warm_up
        assert fed is not None
        if digest(warm_up.bars) != fed.digest:
            raise DataError(
                f"{keys.warm_up(self.strategy)}: found {len(warm_up.bars)} bars with digest {digest(warm_up.bars)}, "
                f"expected {fed.bars} with digest {fed.digest} as in {keys.ledger(self.strategy)}"
            )
        return warm_up

    def flights(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield flight records by step in ns, in order."""
        found = dict(self.archive.flights(self.strategy))
        if self.client is not None:
            found |= dict(streams.read_range(self.client, keys.flight(self.strategy)))
        for at in sorted(found, key=streams.id_pair):
            yield _ns(at), self._read(at, streams.field_of(keys.flight(self.strategy), found[at], "flight"))

    def _read(self, at: str, payload: bytes) -> dict[str, Any]:
        try:
            flight: dict[str, Any] = orjson.loads(payload)
        except orjson.JSONDecodeError:
            flight = {}
        if not isinstance(flight, dict) or not flight.keys() >= {"observed", "decisions"}:
            raise DataError(f"{keys.flight(self.strategy)} {at}: found {payload[:80]!r}, expected a flight record")
        return flight

    def record(self, config: "Config", begin: int | None = None, end: int | None = None) -> Record:
        """Return what the worker thought, from its origin to the last step it has done.

        Parameters
        ----------
        config
            The configuration.
        begin, end
            Where to say that its life began and ended, in ns, if its ledger does not know.
        """
        rules = config.rules_of(self.strategy)
        recorder = Recorder(rules, config.strategies[self.strategy].starting_cash, config.desk_session)
        for at, entry in self.entries:
            if not isinstance(entry, Origin):
                recorder.book(at, [entry])
        made_by: dict[str, set[str]] = {"config": set(), "code": set(), "models": set()}
        for at, flight in self.flights():
            recorder.think(at, flight)
            for name in made_by.keys() & flight.keys():
                made_by[name].add(flight[name])
        facts = Facts(
            name=f"flight records of {self.strategy}",
            strategy=self.strategy,
            symbols=tuple(rules),
            begin=self.begin if begin is None else begin,
            end=self.end if end is None else end,
            fed_from=self.begin if begin is None else begin,
            settings=self._settings(config, {name: _joined(known) for name, known in made_by.items() if known}),
        )
        return recorder.record(facts, without=UNKNOWN)

    def _settings(self, config: "Config", made_by: dict[str, str]) -> dict[str, Any]:
        """Return what hub and worker wrote down of their settings; a hash that equals today's tells what made it."""
        known: dict[str, Any] = {}
        if self.client is not None:
            registered = read_registered(self.client)
            hubs = [registered.get(symbol, {}) for symbol in config.reads(self.strategy)]
            for name, key in (("clock", "bar_clock"), ("quiet filling", "fill_quiet_minutes")):
                found = {hub[key] for hub in hubs if key in hub}
                known |= {name: found.pop() if len(found) == 1 else _joined(map(str, found))} if found else {}
        if made_by.get("config") == config_hash(config, self.strategy):
            known |= of_config(config, self.strategy)
        return known | made_by


def _ns(identifier: str) -> int:
    return streams.ms_of(identifier) * NS_PER_MS


def _joined(known: Iterable[str]) -> str:
    return ", ".join(sorted(known))
