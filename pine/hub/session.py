"""One connection to the Databento Live gateway: the vendor's protocol, handing batches of trades to the aggregator."""

import time
from collections.abc import Callable
from typing import Any

import databento_dbn as dbn
import numpy as np
from databento.live.protocol import DatabentoLiveProtocol

from pine.core.log import get_logger
from pine.hub.aggregator import Aggregator
from pine.hub.dbn import TRADE, Records
from pine.hub.runs import Runs
from pine.hub.sieve import Sieve
from pine.hub.tape import Tape

log = get_logger(__name__)


class HubSession(DatabentoLiveProtocol):
    """Feeds everything that one connection receives into an aggregator, in order.

    Parameters
    ----------
    api_key, dataset, heartbeat_interval_s
        As for the vendor's protocol.
    aggregator
        Takes trades, mappings and heartbeats.
    replays
        How many subscriptions replay history first; nothing closes before all have completed.
    on_progress
        Called after every read from the socket.
    careful
        Whether to look at every record and leave out those that cannot be decoded, instead of giving up.
    tape
        Takes what is received, too.

    Attributes
    ----------
    undecodable
        Whether something came that could not be decoded.
    fatal
        Text of an error after which the gateway ends the connection.
    last_read
        Monotonic time of the last bytes from the gateway.
    """

    def __init__(
        self,
        api_key: str,
        dataset: str,
        heartbeat_interval_s: int,
        aggregator: Aggregator,
        replays: int,
        on_progress: Callable[[], None],
        *,
        careful: bool = False,
        tape: Tape | None = None,
    ) -> None:
        super().__init__(
            api_key=api_key, dataset=dataset, heartbeat_interval_s=heartbeat_interval_s, slow_reader_behavior="warn"
        )
        self._aggregator = aggregator
        self._replays = replays
        self._on_progress = on_progress
        self._tape = tape
        self._sieve = Sieve(aggregator.counts) if careful else None
        self.undecodable = False
        self._runs = Runs()
        self._check: Any = None
        self.fatal: str | None = None
        self.last_read = time.monotonic()

    def buffer_updated(self, nbytes: int) -> None:
        """Decode what one read brought, and let what it closes be published."""
        self.last_read = time.monotonic()
        super().buffer_updated(nbytes)
        self._on_progress()

    def _process_dbn(self, data: bytes) -> None:
        """Take trades as they are, decode the rest; what cannot be decoded ends the connection, and is remembered."""
        try:
            for piece in self._sound_pieces(data if self._sieve is None else self._sieve.sift(data)):
                if isinstance(piece, bytes):
                    super()._process_dbn(piece)
                else:
                    self._received_trades(piece)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # the vendor's decoder can panic, which is no Exception
            self.undecodable = True
            self.transport.close()
            raise ValueError(f"undecodable: {error}") from None

    def _sound_pieces(self, data: bytes) -> "list[Records | bytes]":
        """Return what one read completed, all of it or, if something in it cannot be decoded, nothing.

        Where a stream breaks off within a record, what follows completes that record to a trade that never was.
        """
        pieces = list(self._runs.split(data))
        for piece in pieces:
            if isinstance(piece, bytes):
                if self._check is None:  # the header, which the vendor's decoder looks at
                    policy: Any = dbn.VersionUpgradePolicy.UPGRADE_TO_V3
                    self._check = dbn.DBNDecoder(has_metadata=False, input_version=piece[3], upgrade_policy=policy)
                else:
                    self._check.write_and_decode(piece)
        return pieces

    def received_record(self, record: Any) -> None:
        """Take one record."""
        if isinstance(record, dbn.TradeMsg):
            self._received_trades(np.frombuffer(bytes(record), dtype=TRADE))
        elif isinstance(record, dbn.SymbolMappingMsg):
            self._aggregator.map_instrument(record.instrument_id, record.stype_out_symbol)
            if self._tape is not None:
                self._tape.name(record.instrument_id, record.stype_out_symbol)
        elif isinstance(record, dbn.SystemMsg):
            self._system(record)
        elif isinstance(record, dbn.ErrorMsg):
            self._error_msgs.clear()  # the vendor would name an old, harmless error as the reason of any later end
            if record.code != dbn.ErrorCode.SYMBOL_RESOLUTION_FAILED:
                self.fatal = record.err
            self._aggregator.counts["gateway_error"] += 1
            log.warning("gateway error", code=str(record.code), text=record.err)
        else:
            self._aggregator.counts[f"other_schema:{type(record).__name__}"] += 1

    def _system(self, record: Any) -> None:
        if record.is_heartbeat():
            self._aggregator.heartbeat(record.ts_event)
            if self._tape is not None:
                self._tape.heartbeat(record.ts_event)
        elif record.code == dbn.SystemCode.REPLAY_COMPLETED:
            self._replays -= 1
            if self._replays == 0:
                self._aggregator.end_replay()
                if self._tape is not None:
                    self._tape.end_replay()

    def _received_trades(self, trades: Records) -> None:
        self._aggregator.add(trades)
        if self._tape is not None:
            self._tape.add(trades)
