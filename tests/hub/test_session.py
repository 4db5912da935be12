"""The hub's connection: the vendor's protocol over a real socket, and records that are no trades."""

import asyncio
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import databento_dbn as dbn
import pytest
from tapes import ESH4, MINUTE, NAMES, RULES, SECOND, SPREAD, at, lines, trades

from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.hub.session import HubSession
from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.tape import Tape

T = at("2024-03-05T14:00")


def listen(gateway: Gateway, *, key: str = "db-" + "x" * 29) -> tuple[Aggregator, list[Closed], HubSession]:
    """Connect to a gateway, take everything until it hangs up, and return what became of it."""
    aggregator = Aggregator(RULES, TapeClock())
    closed: list[Closed] = []

    async def run() -> HubSession:
        aggregator.begin_session(replaying=True)

        def fresh() -> HubSession:
            return HubSession(key, "GLBX.MDP3", 5, aggregator, 1, lambda: closed.extend(aggregator.advance()))

        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(fresh, "127.0.0.1", gateway.port)
        await session.authenticated
        session.subscribe(schema="trades", symbols=["ES.FUT", "GC.FUT"], stype_in="parent", start=0)
        session.start()
        await asyncio.wait([session.disconnected])
        return session

    with GatewayThread(gateway):
        session = asyncio.run(run())
    return aggregator, closed, session


def test_a_whole_parent_symbol_with_spreads_arrives_and_only_outrights_make_bars() -> None:
    rows = [(T, ESH4, 10, 1), (T + 1, SPREAD, 0.5, 7), (T + MINUTE, ESH4, 11, 2)]
    aggregator, closed, _ = listen(Gateway(Tape.of_trades(trades(rows), NAMES), then="close"))
    assert [(b[1], b[6]) for b in lines(closed)] == [(T, 1), (T + MINUTE, 2)]
    assert aggregator.counts["trades"] == 3
    assert aggregator.counts["spread"] == 1


def test_the_tail_of_heartbeats_closes_the_last_hour_and_day() -> None:
    _, closed, _ = listen(Gateway(Tape.of_trades(trades([(T, ESH4, 10, 1)]), NAMES), then="close"))
    assert [b[1] for b in lines(closed, "hourly")] == [T]
    assert [b[1] for b in lines(closed, "daily")] == [at("2024-03-04T23:00")]


def test_records_of_other_schemas_are_counted_and_make_no_bar(tmp_path: Path) -> None:
    ohlcv = dbn.OHLCVMsg(
        dbn.RType.OHLCV_1M, 1, ESH4, T, 99_000_000_000, 99_000_000_000, 99_000_000_000, 99_000_000_000, 9
    )
    first, second = trades([(T, ESH4, 10, 1), (T + SECOND, ESH4, 11, 1)])
    days = SimpleNamespace(start_date=date(2024, 3, 5), end_date=date(2024, 3, 6), symbol=str(ESH4))
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=T,
        stype_in=dbn.SType.PARENT,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=None,
        symbols=["ES.FUT"],
        mappings=[SimpleNamespace(raw_symbol="ESH4", intervals=[days])],
    )
    path = tmp_path / "mixed.dbn"
    path.write_bytes(bytes(metadata) + first.tobytes() + bytes(ohlcv) + second.tobytes())
    aggregator, closed, _ = listen(Gateway(Tape.load([path]), then="close"))
    assert lines(closed) == [("ES", T, 10.0, 11.0, 10.0, 11.0, 2, "ESH4")]
    assert aggregator.counts["trades"] == 2


def test_other_records_between_trades_are_counted() -> None:
    aggregator = Aggregator(RULES, TapeClock())

    async def feed() -> None:
        session = HubSession("k" * 32, "GLBX.MDP3", 5, aggregator, 0, lambda: None)
        session.received_record(dbn.OHLCVMsg(dbn.RType.OHLCV_1M, 1, ESH4, T, 1, 1, 1, 1, 9))
        session.received_record(dbn.ErrorMsg(T, "symbol resolution failed", True))

    asyncio.run(feed())
    assert aggregator.counts["other_schema:OHLCVMsg"] == 1
    assert aggregator.counts["gateway_error"] == 1


def test_a_wrong_key_is_refused_with_the_gateways_words() -> None:
    gateway = Gateway(Tape.of_trades(trades([(T, ESH4, 10, 1)]), NAMES), key="db-" + "y" * 29)
    with pytest.raises(Exception, match=r"[Aa]uthentication failed"):
        listen(gateway)


def test_an_id_that_moves_to_another_root_in_mid_session_resets_that_root(tmp_path: Path) -> None:
    """The gateway sends the new mapping before the first record under it."""
    from pine.sandbox.records import TRADE_DTYPE

    assert trades([]).dtype == TRADE_DTYPE
    aggregator = Aggregator(RULES, TapeClock())

    async def feed() -> None:
        session = HubSession("k" * 32, "GLBX.MDP3", 5, aggregator, 0, lambda: None)
        aggregator.begin_session(replaying=False)
        session.received_record(_mapping(4, "GCJ4"))
        session.received_record(_mapping(ESH4, "ESH4"))
        for row in trades([(T, ESH4, 10, 1), (T + SECOND, 4, 20, 1)]):
            session.received_record(_trade(row))
        session.received_record(_mapping(4, "ESM4"))
        session.received_record(_trade(trades([(T + 2 * MINUTE, 4, 30, 1)])[0]))
        session.received_record(dbn.SystemMsg(T + 5 * MINUTE, "Heartbeat", dbn.SystemCode.HEARTBEAT))

    asyncio.run(feed())
    closed = aggregator.advance()
    assert [(e.kind, e.symbol) for item in closed for e in item.events] == [("reset", "ES")]
    assert [(b[0], b[1]) for b in lines(closed)] == [("GC", T), ("ES", T + 2 * MINUTE)]


def _mapping(instrument: int, raw: str) -> dbn.SymbolMappingMsg:
    return dbn.SymbolMappingMsg(
        1, instrument, T, dbn.SType.PARENT, f"{raw[:2]}.FUT", dbn.SType.RAW_SYMBOL, raw, (1 << 64) - 1, (1 << 64) - 1
    )


def _trade(row) -> dbn.TradeMsg:
    return dbn.TradeMsg(
        1,
        int(row["instrument_id"]),
        int(row["ts_event"]),
        int(row["price"]),
        int(row["size"]),
        dbn.Action.TRADE,
        dbn.Side.NONE,
        0,
        int(row["ts_recv"]),
    )
