"""What the gateway says at each step, to well-behaved clients and to others."""

import contextlib
import socket
from collections.abc import Callable

import databento_dbn as dbn
import pytest

from pine.core.errors import SandboxError
from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket
from pine.sandbox.tape import Tape

from .client import LsgClient, wire
from .tapes import ES, GC, NEXT, SPREAD, at, tape, trades

Serve = Callable[[Gateway], GatewayThread]

ROWS = ((0, ES), (1, SPREAD), (2, GC), (3, ES), (4, NEXT))


def ids(client: LsgClient) -> list[int]:
    return [trade.instrument_id for trade in client.trades]


@pytest.fixture
def port(serve: Serve) -> int:
    return serve(Gateway(tape(*ROWS), then="close")).port


def test_stream_opens_with_version_3_metadata_of_a_live_session(port: int) -> None:
    with LsgClient(port) as client:
        header = client.open(start=0).read_all().records[0]
    assert isinstance(header, dbn.Metadata)
    assert (header.version, header.dataset, header.schema, header.stype_in) == (3, "GLBX.MDP3", None, None)
    assert str(header.stype_out) == "instrument_id"
    assert (header.symbols, header.mappings) == ([], {})


def test_messages_come_in_the_order_of_a_live_session(port: int) -> None:
    with LsgClient(port) as client:
        client.open(start=0).read_all()
    kinds = [str(getattr(record, "code", type(record).__name__)) for record in client.records[1:]]
    assert kinds[:5] == ["subscription_ack", *["SymbolMappingMsg"] * 3, "replay_completed"]
    assert kinds[5:9] == ["TradeMsg"] * 4
    assert set(kinds[9:]) == {"heartbeat"}


def test_parent_brings_spreads_and_tells_what_each_instrument_is(port: int) -> None:
    with LsgClient(port) as client:
        client.open("ES.FUT", start=0).read_all()
    mapped = {(m.stype_in_symbol, m.stype_out_symbol, m.instrument_id) for m in client.of(dbn.SymbolMappingMsg)}
    assert mapped == {("ES.FUT", "ESH4", ES), ("ES.FUT", "ESH4-ESM4", SPREAD), ("ES.FUT", "ESM4", NEXT)}
    assert ids(client) == [ES, SPREAD, ES, NEXT]


@pytest.mark.parametrize(
    ("symbols", "stype", "expected"),
    [
        ("ESH4", "raw_symbol", [ES, ES]),
        ("ESH4-ESM4,GCJ4", "raw_symbol", [SPREAD, GC]),
        ("3", "instrument_id", [GC]),
        ("ES.c.0", "continuous", [ES, ES]),
        ("ES.c.1", "continuous", [NEXT]),
        ("ES.v.0", "continuous", [ES, ES]),
        ("ALL_SYMBOLS", "raw_symbol", [ES, SPREAD, GC, ES, NEXT]),
        ("GC.FUT,ES.FUT", "parent", [ES, SPREAD, GC, ES, NEXT]),
    ],
)
def test_symbology(port: int, symbols: str, stype: str, expected: list[int]) -> None:
    with LsgClient(port) as client:
        client.open(symbols, stype, start=0).read_all()
    assert ids(client) == expected
    assert not client.of(dbn.ErrorMsg)


def test_most_traded_contract_leads_by_volume(serve: Serve) -> None:
    made = trades((0, ES), (1, NEXT), (2, ES))
    made["size"] = [1, 5, 1]
    thread = serve(Gateway(Tape.of_trades(made, {ES: "ESH4", NEXT: "ESM4"}), then="close"))
    with LsgClient(thread.port) as client:
        assert ids(client.open("ES.v.0", "continuous", start=0).read_all()) == [NEXT]


def test_unresolved_symbol_is_an_error_and_the_session_goes_on(port: int) -> None:
    with LsgClient(port) as client:
        client.open("XX.FUT,GC.FUT", start=0).read_all()
    (error,) = client.of(dbn.ErrorMsg)
    assert int(error.code) == 4
    assert "XX.FUT" in error.err
    assert ids(client) == [GC]


@pytest.mark.parametrize(
    "line",
    [
        "schema=mbo|stype_in=parent|symbols=ES.FUT|id=0|is_last=1",
        "schema=nonsense|stype_in=parent|symbols=ES.FUT",
        "schema=trades|stype_in=smart|symbols=ES.FUT",
        "schema=trades|stype_in=parent|symbols=",
        "schema=trades|stype_in=parent|symbols=ES.FUT|start=yesterday",
    ],
)
def test_impossible_subscription_ends_the_session_with_an_error(port: int, line: str) -> None:
    with LsgClient(port) as client:
        client.authenticate()
        client.say(line)
        client.start()
        client.read_all()
    (error,) = client.of(dbn.ErrorMsg)
    assert int(error.code) == 5
    assert not client.trades


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ts_out", 1),
        ("auth", "x"),
        ("dataset", "XNAS.ITCH"),
        ("encoding", "json"),
        ("compression", "lz4"),
        ("heartbeat_interval_s", 0),
    ],
)
def test_authentication_refuses_what_the_gateway_cannot_do(port: int, field: str, value: object) -> None:
    with LsgClient(port) as client:
        assert client.authenticate(**{field: value}).startswith("success=0|error=")
        assert client.socket.recv(1) == b""


def test_record_of_two_subscriptions_is_sent_once(port: int) -> None:
    with LsgClient(port) as client:
        client.authenticate()
        client.subscribe("ES.FUT", start=0, id=0)
        client.subscribe("ESH4,GCJ4", "raw_symbol", start=0, id=1)
        client.start()
        client.read_all()
    assert ids(client) == [ES, SPREAD, GC, ES, NEXT]
    assert len(client.system("subscription_ack")) == 2
    assert len(client.system("replay_completed")) == 1


def test_subscription_in_parts_is_acknowledged_once(port: int) -> None:
    with LsgClient(port) as client:
        client.authenticate()
        client.subscribe("ESH4", "raw_symbol", is_last=0)
        client.subscribe("GCJ4", "raw_symbol", is_last=1)
        client.start()
        client.read_all()
    assert ids(client) == [ES, GC, ES]
    assert len(client.system("subscription_ack")) == 1


def test_subscription_during_the_stream_is_answered(serve: Serve) -> None:
    thread = serve(Gateway(tape(*ROWS), then="idle"))
    with LsgClient(thread.port) as client:
        client.open("ES.FUT").read_until(lambda c: len(c.trades) == 4)
        client.subscribe("GC.FUT", id=7)
        client.read_until(lambda c: len(c.system("subscription_ack")) == 2)
        client.read_until(lambda c: GC in {m.instrument_id for m in c.of(dbn.SymbolMappingMsg)})
        client.subscribe("GC.FUT", schema="mbo")
        client.read_all()
    assert [int(error.code) for error in client.of(dbn.ErrorMsg)] == [5]


def test_records_that_no_subscription_wants_are_not_sent(port: int, serve: Serve) -> None:
    with LsgClient(port) as client:
        client.authenticate()
        client.start()
        client.read_all()
    assert not client.trades
    assert not client.of(dbn.ErrorMsg)


GARBAGE = [
    b"",
    b"\n",
    b"\x00\xff\xfe\n" * 10,
    b"GET / HTTP/1.1\r\n\r\n",
    b"auth=|||\n",
    b"x" * 300_000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("phase", ["authentication", "subscription", "stream"])
def test_garbage_harms_nobody_else(serve: Serve, phase: str, garbage: bytes) -> None:
    thread = serve(Gateway(tape(*ROWS), then="idle"))
    with LsgClient(thread.port) as bad, LsgClient(thread.port) as good:
        if phase != "authentication":
            bad.authenticate()
        if phase == "stream":
            bad.subscribe("ES.FUT")
            bad.start()
        with contextlib.suppress(OSError):  # it may have had enough before it has everything
            bad.socket.sendall(garbage)
            bad.socket.shutdown(socket.SHUT_WR)
        assert len(good.open(start=0).read_until(lambda c: len(c.trades) == 4).trades) == 4


def test_client_that_never_reads_does_not_hold_up_another(serve: Serve, tape: Tape, market: GeneratedMarket) -> None:
    thread = serve(Gateway(tape, then="loop"))
    with LsgClient(thread.port) as deaf, LsgClient(thread.port) as good:
        deaf.open("ALL_SYMBOLS", "raw_symbol", start=0)
        good.open("ALL_SYMBOLS", "raw_symbol", start=0)
        good.read_until(lambda c: len(c.trades) >= len(market.trades))


def test_zstd_stream_can_be_read_as_it_comes(serve: Serve) -> None:
    thread = serve(Gateway(tape(*ROWS), then="idle"))
    with LsgClient(thread.port, zstd=True) as client:
        client.open(start=0).read_until(lambda c: len(c.trades) == 4)


def test_bytes_are_those_of_the_tape(serve: Serve) -> None:
    made = trades(*ROWS)
    thread = serve(Gateway(Tape.of_trades(made, {}), then="close"))
    with LsgClient(thread.port) as client:
        client.open("ALL_SYMBOLS", "raw_symbol", start=at(1)).read_all()
    assert wire(client.trades) == made[2:].tobytes()


def test_gateway_without_records_or_with_a_speed_of_zero_is_refused(serve: Serve) -> None:
    with pytest.raises(SandboxError, match="no records"):
        Gateway(tape())
    with pytest.raises(SandboxError, match="speed"):
        Gateway(tape(*ROWS), speed=0)


def test_taken_port_is_an_error(port: int) -> None:
    with pytest.raises(SandboxError, match=str(port)):
        GatewayThread(Gateway(tape(*ROWS), port=port)).start()
