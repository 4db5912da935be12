"""Tapes from files: every version and mixture, and errors that name the file."""

from datetime import date
from pathlib import Path
from typing import Any

import databento_dbn
import numpy as np
import pytest
import zstandard
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_DAY
from pine.sandbox.control import parse_subscription
from pine.sandbox.records import RTYPES, TRADE_DTYPE, TS_RECV_OFFSETS, TradeArray
from pine.sandbox.reel import Block
from pine.sandbox.routing import Router, resolve
from pine.sandbox.symbology import root_of
from pine.sandbox.tape import Tape

from .tapes import ES, GC, NEXT, SYMBOLS, T0, at, trades

dbn: Any = databento_dbn  # its stubs take enumeration members for plain values


@define
class Interval:
    start_date: date
    end_date: date
    symbol: str


@define
class Mapping:
    raw_symbol: str
    intervals: list[Interval]


def header(
    version: int = 3,
    schema: str | None = "trades",
    mappings: list[Mapping] | None = None,
    ts_out: bool = False,
    dataset: str = "GLBX.MDP3",
) -> bytes:
    day = Interval(date(2024, 3, 1), date(2024, 4, 1), "")
    default = [Mapping(name, [Interval(day.start_date, day.end_date, str(i))]) for i, name in SYMBOLS.items()]
    return bytes(
        dbn.Metadata(
            dataset=dataset,
            start=T0,
            stype_in=dbn.SType.PARENT,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=None if schema is None else dbn.Schema.from_str(schema),
            mappings=default if mappings is None else mappings,
            ts_out=ts_out,
            version=version,
        )
    )


def everything(tape: Tape) -> bytes:
    return tape.encode(np.arange(len(tape)))


def definition(symbol: str, number: int, ts: int, asset: str = "ES") -> Any:
    kind = dbn.InstrumentClass.FUTURE
    update = dbn.SecurityUpdateAction.ADD
    return dbn.InstrumentDefMsg(1, number, ts, ts, 25 * 10**7, 10**9, symbol, asset, "FUT", kind, update)


def test_trade_layout_is_the_vendors() -> None:
    assert np.dtype(dbn.TradeMsg._dtypes) == TRADE_DTYPE


def test_schemas_and_record_types_are_the_vendors() -> None:
    known = {str(schema) for schema in dbn.Schema.variants()}
    assert set(RTYPES) == known
    for schema, rtype in RTYPES.items():
        assert dbn.RType.from_schema(dbn.Schema.from_str(schema)).value == rtype


@pytest.mark.parametrize(
    ("kind", "schemas"),
    [
        ("TradeMsg", ["trades"]),
        ("MBP1Msg", ["mbp-1", "tbbo"]),
        ("MBP10Msg", ["mbp-10"]),
        ("MBOMsg", ["mbo"]),
        ("StatusMsg", ["status"]),
        ("InstrumentDefMsg", ["definition"]),
        ("ImbalanceMsg", ["imbalance"]),
        ("StatMsg", ["statistics"]),
        ("BBOMsg", ["bbo-1s", "bbo-1m"]),
        ("CBBOMsg", ["cbbo-1s", "cbbo-1m"]),
        ("CMBP1Msg", ["cmbp-1", "tcbbo"]),
    ],
)
def test_ts_recv_lies_where_the_vendor_has_it(kind: str, schemas: list[str]) -> None:
    offset = np.dtype(getattr(dbn, kind)._dtypes).fields["ts_recv"][1]
    assert {TS_RECV_OFFSETS[RTYPES[schema]] for schema in schemas} == {offset}


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compressed", [False, True])
def test_trades_of_any_version(tmp_path: Path, version: int, compressed: bool) -> None:
    made = trades((0, ES), (1, GC))
    data = header(version) + made.tobytes()
    path = tmp_path / "a.dbn"
    path.write_bytes(zstandard.compress(data) if compressed else data)
    tape = Tape.load([path])
    assert everything(tape) == made.tobytes()
    assert (tape.first, tape.last) == (at(0), at(1))
    assert tape.schemas == {"trades"}
    assert {i.instrument_id: i.symbol for i in tape.instruments} == SYMBOLS


def test_file_of_several_zstd_frames(tmp_path: Path) -> None:
    made = trades((0, ES), (1, GC))
    path = tmp_path / "a.dbn.zst"
    path.write_bytes(zstandard.compress(header()) + b"".join(zstandard.compress(row.tobytes()) for row in made))
    assert everything(Tape.load([path])) == made.tobytes()


def test_mixed_file_keeps_records_and_takes_symbols_from_definitions(tmp_path: Path) -> None:
    made = trades((2, 77), (3, ES))
    bar = dbn.OHLCVMsg(33, 1, 77, at(2.5), 1, 2, 1, 2, 10)
    mapping = dbn.SymbolMappingMsg(0, 88, at(0), dbn.SType.PARENT, "GC.FUT", dbn.SType.RAW_SYMBOL, "GCJ4", at(0), at(1))
    definitions = [definition("ESU4", 77, at(1)), definition("UD:1V: VT 2301", 78, at(1))]
    messages = [dbn.SystemMsg(at(0), "Heartbeat", dbn.SystemCode.HEARTBEAT), mapping, *definitions]
    path = tmp_path / "mixed.dbn"
    path.write_bytes(header(schema=None, mappings=[]) + b"".join(map(bytes, messages)) + made.tobytes() + bytes(bar))
    tape = Tape.load([path])
    assert tape.schemas == {"definition", "trades", "ohlcv-1m"}
    assert everything(tape) == b"".join(map(bytes, [*definitions, made[0], bar, made[1]]))
    roots = {instrument.symbol: instrument.root for instrument in tape.instruments if instrument.symbol}
    assert roots == {"ESU4": "ES", "UD:1V: VT 2301": "ES", "GCJ4": "GC"}


def test_mixed_tape_is_shifted_as_a_whole(tmp_path: Path) -> None:
    bar = dbn.OHLCVMsg(33, 1, ES, at(1), 1, 2, 1, 2, 10)
    made = trades((0, ES))
    path = tmp_path / "mixed.dbn"
    path.write_bytes(header(schema=None) + made.tobytes() + bytes(bar))
    moved = Tape.load([path]).encode(np.arange(2), shift=5)
    expected = made.copy()
    expected["ts_event"] += 5
    expected["ts_recv"] += 5
    assert moved == expected.tobytes() + bytes(dbn.OHLCVMsg(33, 1, ES, at(1) + 5, 1, 2, 1, 2, 10))


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([ES, GC])), max_size=8), min_size=1, max_size=4))
def test_files_are_merged_by_ts_recv_and_equal_times_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[int, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("tapes")
    made: list[TradeArray] = []
    for number, rows in enumerate(files):
        made.append(trades(*rows))
        made[-1]["ts_in_delta"] = number
        (folder / f"{number}.dbn").write_bytes(header() + made[-1].tobytes())
    expected = sorted(np.concatenate(made), key=lambda row: row["ts_recv"])
    tape = Tape.load([folder / f"{number}.dbn" for number in range(len(files))])
    assert everything(tape) == b"".join(row.tobytes() for row in expected)


def test_id_that_is_given_to_another_instrument_the_next_day(tmp_path: Path) -> None:
    day = NS_PER_DAY / 10**9
    made = trades((0, 9), (day, 9), (day + 1, 9))
    path = tmp_path / "a.dbn"
    mappings = [
        Mapping("ESH4", [Interval(date(2024, 3, 5), date(2024, 3, 6), "9")]),
        Mapping("GCJ4", [Interval(date(2024, 3, 6), date(2024, 3, 7), "9")]),
    ]
    path.write_bytes(header(mappings=mappings) + made.tobytes())
    tape = Tape.load([path])

    def picked(parent: str) -> list[int]:
        router = Router(tape)
        router.add(resolve(tape, parse_subscription({"schema": "trades", "stype_in": "parent", "symbols": parent})))
        positions: list[int] = router.pick(Block(0, 3, 0, 3)).tolist()
        return positions

    assert picked("ES.FUT") == [0]
    assert picked("GC.FUT") == [1, 2]
    router = Router(tape)
    request = parse_subscription({"schema": "trades", "stype_in": "parent", "symbols": "ES.FUT,GC.FUT"})
    route = resolve(tape, request)
    router.add(route)
    block = Block(0, 3, 0, 3)
    stream = router.encode(block, np.arange(3), list(router.renamings(block, np.arange(3))))
    records = dbn.DBNDecoder(has_metadata=False, input_version=3).write_and_decode(
        router.announcement(route, at(0), 0) + stream
    )
    said = [getattr(record, "stype_out_symbol", type(record).__name__) for record in records[1:]]
    assert said == ["ESH4", "TradeMsg", "GCJ4", "TradeMsg", "TradeMsg"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "expected a DBN header"),
        (b"not a market", "expected a DBN header"),
        (b"DBN\x03\xff\xff\x00\x00garbage", "metadata"),
        (header() + trades((0, ES)).tobytes()[:-1], "no whole record"),
        (header() + b"\x0c\xee" + bytes(46), "unreadable record after 0 good ones"),
        (zstandard.compress(header() + trades((0, ES)).tobytes())[:-4], "ends? inside a zstd frame"),
        (b"\x28\xb5\x2f\xfdgarbage", "zstd"),
        (header(ts_out=True), "ts_out"),
    ],
    ids=["empty", "text", "metadata", "cut short", "rtype", "cut zstd", "bad zstd", "ts_out"],
)
def test_bad_file_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(content)
    with pytest.raises(DataError, match=found) as error:
        Tape.load([path])
    assert str(path) in str(error.value)
    assert "expected" in str(error.value)


def test_missing_file_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing-here"):
        Tape.load([tmp_path / "nothing-here.dbn"])
    with pytest.raises(DataError, match="at least one"):
        Tape.load([])


def test_files_of_two_datasets_do_not_mix(tmp_path: Path) -> None:
    for name, dataset in (("a", "GLBX.MDP3"), ("b", "IFEU.IMPACT")):
        (tmp_path / name).write_bytes(header(dataset=dataset) + trades((0, ES)).tobytes())
    with pytest.raises(DataError, match="IFEU"):
        Tape.load([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("second", ["a.dbn", "./a.dbn", "copy.dbn.zst"])
def test_a_file_that_is_given_twice_is_refused(second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name or compressed too; each trade would count double."""
    monkeypatch.chdir(tmp_path)
    content = header() + trades((0, ES), (1, GC)).tobytes()
    Path("a.dbn").write_bytes(content)
    Path("copy.dbn.zst").write_bytes(zstandard.compress(content))
    Path("b.dbn").write_bytes(header() + trades((2, ES)).tobytes())
    assert len(Tape.load([Path("a.dbn"), Path("b.dbn")])) == 3
    with pytest.raises(DataError, match=r"a\.dbn: found the same"):
        Tape.load([Path("a.dbn")] * 2)
    with pytest.raises(DataError, match=rf"{Path(second)}: found the same records as in a\.dbn"):
        Tape.load([Path("a.dbn"), Path("b.dbn"), Path(second)])


def test_files_without_a_record_may_be_many(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(header())
    assert len(Tape.load(paths)) == 0


@pytest.mark.parametrize(
    ("symbol", "asset", "root"),
    [
        ("ESH4", None, "ES"),
        ("6EZ24", None, "6E"),
        ("ESH4-ESM4", None, "ES"),
        ("CL:C1 RB-CL Z5", None, "CL"),
        ("UD:1V: VT 2301", None, "1V"),
        ("UD:1V: VT 2301", "ES", "ES"),
        ("ESH4 C5000", None, None),
        ("ES.c.0", None, None),
        ("", None, None),
    ],
)
def test_root_of_every_kind_of_instrument(symbol: str, asset: str | None, root: str | None) -> None:
    assert root_of(symbol, date(2024, 3, 5), asset) == root


def test_record_without_ts_recv_is_placed_by_its_event() -> None:
    made = trades((0, ES), (1, NEXT))
    made["ts_recv"][0] = (1 << 64) - 1
    made["ts_event"][0] = at(2)
    tape = Tape.of_trades(made, SYMBOLS)
    assert tape.ts.tolist() == [at(1), at(2)]
