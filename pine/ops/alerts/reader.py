"""What is new on the streams, from where it was told last."""

from typing import Final

from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.ops.alerts.events import StrategyRecord, market_events
from pine.ops.alerts.message import Message
from pine.orders.entries import decode

BEGINNING: Final = "0-0"


@define
class Reader:
    """Reads ledgers, deliveries and market events; remembers how far.

    Parameters
    ----------
    client, config
        The server, and whose streams.
    option
        What a suggested command needs at its end to find the same configuration.

    Attributes
    ----------
    told
        Id of the last entry of each stream that was told, or need not be; it outlives the process.
    """

    client: Client
    config: Config
    option: str = ""
    told: dict[str, str] = field(factory=dict)
    _records: dict[str, StrategyRecord] = field(factory=dict)
    _read: dict[str, str] = field(factory=dict)

    def begin(self) -> None:
        """Begin at the present on streams of which nothing was told yet: history is no news."""
        for stream in self._streams():
            if stream not in self.told:
                self.told[stream] = streams.last_id(self.client, stream) or BEGINNING

    def look(self) -> list[Message]:
        """Return what new entries mean, in the order of each stream, and take it as told."""
        found: list[Message] = []
        for name in self.config.strategies:
            found += self._ledger(name)
            found += self._deliveries(name)
        new = list(streams.read_range(self.client, keys.EVENTS, f"({self.told[keys.EVENTS]}"))
        if new:
            self.told[keys.EVENTS] = new[-1][0]
        return found + market_events(new, self.option)

    def _ledger(self, name: str) -> list[Message]:
        stream, found = keys.ledger(name), list[Message]()
        for identifier, fields in self._unread(stream):
            messages = self._record(name).entry(decode(streams.field_of(stream, fields, "entry")))
            found += self._if_new(stream, identifier, messages)
        return found

    def _deliveries(self, name: str) -> list[Message]:
        stream, found = keys.deliveries(name), list[Message]()
        for identifier, fields in self._unread(stream):
            record = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
            found += self._if_new(stream, identifier, self._record(name).delivery(record))
        return found

    def _if_new(self, stream: str, identifier: str, messages: list[Message]) -> list[Message]:
        """Return the messages of an entry unless it was told already, and note how far the stream is read."""
        self._read[stream] = identifier
        if streams.id_pair(identifier) <= streams.id_pair(self.told[stream]):
            return []
        self.told[stream] = identifier
        return messages

    def _unread(self, stream: str) -> list[streams.Entry]:
        return list(streams.read_range(self.client, stream, f"({self._read.get(stream, BEGINNING)}"))

    def _record(self, name: str) -> StrategyRecord:
        if name not in self._records:
            setting = self.config.strategies[name]
            self._records[name] = StrategyRecord(
                name, setting.starting_cash, setting.daily_stop_loss, self.config.desk_session, self.option
            )
        return self._records[name]

    def _streams(self) -> list[str]:
        names = self.config.strategies
        return [keys.EVENTS, *map(keys.ledger, names), *map(keys.deliveries, names)]
