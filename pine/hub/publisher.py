"""Puts what closed onto the streams, clock entries last."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.pauses import pause, wanted
from pine.bus.writer import Writer, Written
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.contract import parse_contract
from pine.core.errors import ContractError, DataError, WentBack
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import to_datetime, to_ms
from pine.hub.aggregator import Closed
from pine.hub.root import Lead

HEARTBEAT_TTL_MS: Final = 15_000
LOG_LENGTH: Final = 10_000
LEFT: Final = "left"
"""Field of a registered root: the last clock entry, in ms, before a hub without it took over."""
HELD: Final = 3_000
"""Minute boundaries kept after they were published, for a server that comes back without the newest of them."""


def read_leads(client: Client, symbols: Iterable[str]) -> dict[str, dict[int, Lead]]:
    """Return the leads that are already written, by root and session start."""
    leads: dict[str, dict[int, Lead]] = {}
    for symbol in symbols:
        leads[symbol] = {}
        for name, value in client.hgetall(keys.lead(symbol)).items():
            try:
                start, raw = int(name) * NS_PER_MS, value.decode()
                contract = parse_contract(raw, to_datetime(start).date(), [symbol])
            except (ValueError, OverflowError, ContractError) as error:
                raise DataError(f"{keys.lead(symbol)}: found {name!r}: {value!r}, which is no lead: {error}") from None
            leads[symbol][start] = Lead(symbol, start, contract, raw)
    return leads


def read_registered(client: Client) -> dict[str, dict[str, Any]]:
    """Return what hubs have registered, by root; a root that a later hub did not have says since when it was left."""
    return {
        symbol.decode(): orjson.loads(described) or {} for symbol, described in client.hgetall(keys.SYMBOLS).items()
    }


def read_session(client: Client, symbol: str, begin: int, end: int) -> tuple[list[Bar], dict[str, int]]:
    """Return what a hub published of a root between two times in ns: its minutes, and the volume by contract."""
    first, last = streams.entry_id(to_ms(begin)), f"{to_ms(end) - 1}-{(1 << 64) - 1}"
    stream = keys.bars(symbol, Timeframe.MINUTE)
    minutes = [
        Bar.from_json(streams.field_of(stream, fields, "bar"))
        for _, fields in streams.read_range(client, stream, first, last)
    ]
    volume: Counter[str] = Counter()
    for _, fields in streams.read_range(client, keys.volume(symbol), first, last):
        volume.update(orjson.loads(streams.field_of(keys.volume(symbol), fields, "volume")))
    return minutes, dict(volume)


def read_holes(client: Client, symbol: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Return first and last minute, in ns, of the holes and resets of a root published between two times."""
    holes = []
    for _, fields in streams.read_range(client, keys.EVENTS, str(to_ms(begin)), str(to_ms(end))):
        event = orjson.loads(streams.field_of(keys.EVENTS, fields, "event"))
        if event["symbol"] == symbol and event["kind"] in ("gap", "reset"):
            holes.append((event["first_minute"], event["last_minute"]))
    return holes


@define
class Publisher:
    """Writes closed bars, volumes, leads, events and clock entries under the hub's token.

    Attributes
    ----------
    last_clock
        Id in ms of the newest clock entry, 0 while there is none.
    bars
        Bars added to the streams, repeats left out.
    """

    writer: Writer
    last_clock: int = 0
    bars: int = 0
    repeated: int = 0
    _held: deque[Closed] = field(factory=deque)
    _held_after: int = 0

    @classmethod
    def resume(cls, client: Client, token: int) -> "Publisher":
        """Continue after what the streams hold."""
        newest = streams.last_id(client, keys.CLOCK)
        reached = streams.ms_of(newest) if newest else 0
        return cls(Writer(client, keys.HUB, token), reached, held_after=reached)

    def is_behind(self) -> bool:
        """Tell whether the server does not hold the newest clock entry that it had acknowledged."""
        newest = streams.last_id(self.writer.client, keys.CLOCK)
        return (streams.ms_of(newest) if newest else 0) < self.last_clock

    def take_back(self) -> None:
        """Begin again where the server is now; the next `publish` sends once more what it lost.

        Raises
        ------
        WentBack
            If it lost more than is still held here.
        """
        newest = streams.last_id(self.writer.client, keys.CLOCK)
        reached = streams.ms_of(newest) if newest else 0
        if reached < self._held_after:
            raise WentBack(
                f"{keys.CLOCK}: found {reached}, expected at least {self._held_after}; older is not held here"
            )
        self.writer.newest.clear()
        self.last_clock = reached

    def register(self, config: Config, late: Mapping[str, int]) -> None:
        """Say which symbols this hub publishes, before anything else.

        `late` are roots that no hub had for a while, with the last clock entry, in ms, before that: it stays on
        record until the gap is published.
        """
        client = self.writer.client
        described: dict[str, bytes | str | int | float] = {
            symbol: orjson.dumps(
                {
                    "parent": config.parent(symbol),
                    "dataset": config.databento.dataset,
                    "session_close": str(config.session_rule(symbol).close),
                    "bar_clock": config.hub.bar_clock,
                    "fill_quiet_minutes": config.hub.fill_quiet_minutes,
                    **({LEFT: late[symbol]} if symbol in late else {}),
                }
            )
            for symbol in config.instruments
        }
        for symbol, registered in read_registered(client).items():
            if symbol not in described and LEFT not in registered:
                described[symbol] = orjson.dumps({**registered, LEFT: self.last_clock})
        client.hset(keys.SYMBOLS, mapping=described)

    def publish(self, closed: list[Closed]) -> None:
        """Append everything that closed, in order; a part that stands there already, equal, is passed over.

        A minute goes out as one write: a reader, and a server that stops, has all of it or nothing. What is more than
        a write can hold (`pine.bus.writer.MAX_OPERATIONS`) goes in several, all clock entries last.

        Raises
        ------
        Conflict
            If a stream holds something else under one of the ids.
        Fenced
            If another hub took over.
        WentBack
            If the server does not hold any more what it had acknowledged; see `take_back`.
        """
        closed = self._lost() + closed
        for item in closed:
            self._append_facts(item)
        facts = Written()
        if wanted(keys.HUB, "facts-written"):
            facts = self.writer.commit()
            pause(keys.HUB, "facts-written")
        reached = self._append_clock(closed)
        self.repeated += facts.repeated + self.writer.commit().repeated
        self.bars += sum(len(item.bars) for item in closed)
        pause(keys.HUB, "clock-written")
        self._hold(closed)
        self.last_clock = reached

    def _append_clock(self, closed: Iterable[Closed]) -> int:
        """Append the clock entries of what closed, after everything else; return the newest, in ms."""
        reached = self.last_clock
        for item in closed:
            boundary = to_ms(item.boundary)
            if boundary > reached:
                previous = streams.entry_id(reached) if reached else ""
                self.writer.append(keys.CLOCK, streams.entry_id(boundary), {"prev": previous})
                reached = boundary
        return reached

    def _lost(self) -> list[Closed]:
        """Return what was published and is not on the server any more."""
        if not self._held or to_ms(self._held[-1].boundary) <= self.last_clock:
            return []
        return [item for item in self._held if to_ms(item.boundary) > self.last_clock]

    def _hold(self, closed: Iterable[Closed]) -> None:
        newest = self._held[-1].boundary if self._held else 0
        for item in closed:
            if item.boundary > newest:
                self._held.append(item)
        while len(self._held) > HELD:
            self._held_after = to_ms(self._held.popleft().boundary)

    def _append_facts(self, item: Closed) -> None:
        minute = streams.entry_id(to_ms(item.boundary - NS_PER_MINUTE))
        for symbol, volume in item.volumes.items():
            self.writer.append(keys.volume(symbol), minute, {"volume": orjson.dumps(volume)})
        for lead in item.leads:
            self.writer.set_once(keys.lead(lead.symbol), str(to_ms(lead.session_start)), lead.raw_symbol)
        for bar in item.bars:
            self.writer.append(
                keys.bars(bar.symbol, bar.timeframe), streams.entry_id(to_ms(bar.start)), {"bar": bar.to_json()}
            )
        for n, event in enumerate(item.events):
            payload = {"kind": event.kind, "symbol": event.symbol, **event.details}
            self.writer.append(keys.EVENTS, streams.entry_id(to_ms(item.boundary), n), {"event": orjson.dumps(payload)})

    def log(self, event: str, **fields: str | int) -> None:
        """Append a diagnostic that influences nothing."""
        self.writer.client.xadd(keys.HUB_LOG, {"event": event, **fields}, maxlen=LOG_LENGTH, approximate=True)
