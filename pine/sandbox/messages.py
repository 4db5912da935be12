"""The binary messages that a gateway makes itself, as bytes for the wire."""

from typing import Final

import databento_dbn as dbn

from pine.sandbox.records import TS_EVENT_OFFSET
from pine.sandbox.symbology import Instrument

_HEARTBEAT: Final = dbn.SystemCode.from_str("heartbeat")
_ACKNOWLEDGED: Final = dbn.SystemCode.from_str("subscription_ack")
_REPLAY_COMPLETED: Final = dbn.SystemCode.from_str("replay_completed")
_UNRESOLVED: Final = dbn.ErrorCode.from_str("symbol_resolution_failed")
_INVALID_SUBSCRIPTION: Final = dbn.ErrorCode.from_str("invalid_subscription")
_INSTRUMENT_ID: Final = dbn.SType.from_str("instrument_id")
_RAW_SYMBOL: Final = dbn.SType.from_str("raw_symbol")

# A quiet tape makes more heartbeats than trades, so they are stamped, not built.
_BEAT: Final = bytes(dbn.SystemMsg(0, "Heartbeat", _HEARTBEAT))


def metadata(dataset: str, start: int) -> bytes:
    """Return the header of a live stream; `start` in ns."""
    header = dbn.Metadata(
        dataset=dataset,
        start=start,
        stype_in=None,
        stype_out=_INSTRUMENT_ID,
        schema=None,
        version=dbn.DBN_VERSION,
    )
    return bytes(header)


def heartbeat(ts: int) -> bytes:
    """Return the message of an idle stream at tape time `ts` in ns."""
    return _BEAT[:TS_EVENT_OFFSET] + ts.to_bytes(8, "little") + _BEAT[TS_EVENT_OFFSET + 8 :]


def acknowledged(ts: int, number: str, schema: str) -> bytes:
    """Return the confirmation of a subscription."""
    text = f"Subscription request {number} for {schema} data succeeded"
    return bytes(dbn.SystemMsg(ts, text, _ACKNOWLEDGED))


def replay_completed(ts: int, schema: str) -> bytes:
    """Return the message between the replayed and the live records of a schema."""
    return bytes(dbn.SystemMsg(ts, f"Finished {schema} replay", _REPLAY_COMPLETED))


def mapping(ts: int, stype: str, subscribed: str, instrument: Instrument) -> bytes:
    """Return the message that tells what an instrument id stands for."""
    return bytes(
        dbn.SymbolMappingMsg(
            0,
            instrument.instrument_id,
            ts,
            dbn.SType.from_str(stype),
            subscribed,
            _RAW_SYMBOL,
            instrument.symbol,
            dbn.UNDEF_TIMESTAMP,
            dbn.UNDEF_TIMESTAMP,
        )
    )


def unresolved(ts: int, symbol: str) -> bytes:
    """Return the error for a symbol that means nothing on this tape; the session goes on."""
    return bytes(dbn.ErrorMsg(ts, f"Failed to resolve symbol {symbol}", True, _UNRESOLVED))


def refused(ts: int, reason: str) -> bytes:
    """Return the error after which the gateway closes the session."""
    return bytes(dbn.ErrorMsg(ts, reason[:290], True, _INVALID_SUBSCRIPTION))
