"""A market as DBN files, and the archive that an import makes of them."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import zstandard

from pine.core.bar import Bar
from pine.core.config import Config, load_config
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.core.times import to_datetime
from pine.history.archive import Archive
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock
from pine.hub.dbn import Records, encode_header
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.strategies.catalog import PARAMS

CONFIG = "data_dir: data\nhub: {clock: tape}\ninstruments: {ES: {}, GC: {}}\n"


def made_market(start: str = "2024-03-11") -> GeneratedMarket:
    """ES and GC over five sessions, by default around the roll of March 2024."""
    return generate_market(["ES", "GC"], 5, seed=3, start=date.fromisoformat(start), trades_per_day=900)


def configured(folder: Path, text: str = CONFIG) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pine.yaml").write_text(text)
    return load_config(folder / "pine.yaml", PARAMS, {})


def write(
    path: Path,
    trades: Records,
    symbols: Mapping[int, str],
    begin: int,
    end: int,
    *,
    schema: str = "trades",
    parents: tuple[str, ...] = ("ES.FUT", "GC.FUT"),
) -> Path:
    """Write what of some records lies in ``begin <= t < end`` as Databento would."""
    times = trades["ts_recv" if schema == "trades" else "ts_event"]
    mine = trades[(times >= begin) & (times < end)]
    days = to_datetime(begin).date(), to_datetime(end).date() + timedelta(days=1)
    mappings = [(name, [(*days, str(number))]) for number, name in symbols.items()]
    header = encode_header("GLBX.MDP3", schema, begin, end, "parent", parents, mappings)
    path.write_bytes(zstandard.ZstdCompressor().compress(header + mine.tobytes()))
    return path


def of_version(path: Path, version: int) -> Path:
    """Write a file again as an older version, uncompressed."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    length = 8 + int.from_bytes(plain[4:8], "little")
    known = dbn.Metadata.decode(plain[:length])
    older = dbn.Metadata(
        dataset=known.dataset,
        start=known.start,
        end=known.end,
        stype_in=known.stype_in,
        stype_out=known.stype_out,
        schema=known.schema,
        symbols=known.symbols,
        mappings=[_Mapped(name, [_Span(**span) for span in spans]) for name, spans in known.mappings.items()],
        version=version,
    )
    written = path.with_name(f"v{version}.dbn")
    written.write_bytes(bytes(older) + plain[length:])
    assert written.read_bytes()[3] == version
    return written


class _Span:
    def __init__(self, start_date, end_date, symbol) -> None:
        self.start_date, self.end_date, self.symbol = start_date, end_date, symbol


class _Mapped:
    def __init__(self, raw_symbol, intervals) -> None:
        self.raw_symbol, self.intervals = raw_symbol, intervals


def live_bars(market: GeneratedMarket, roots: tuple[str, ...] = ("ES", "GC")) -> dict[Timeframe, list[Bar]]:
    """Return what the hub publishes of a market, batch by batch as its socket would bring it."""
    groups = {"ES": "equity", "GC": "metals"}
    aggregator = Aggregator({root: SessionRule(group=groups[root]) for root in roots}, TapeClock())
    aggregator.begin_session(replaying=False)
    first = int(market.trades["ts_recv"][0])
    for number, name in market.symbols.items():
        aggregator.table.add(number, name, first)
    closed = []
    for batch in np.array_split(market.trades, 40):
        aggregator.add(batch)
        closed += aggregator.advance()
    aggregator.heartbeat(int(market.trades["ts_recv"][-1]) + 26 * NS_PER_HOUR)
    closed += aggregator.advance()
    return {tf: [bar for item in closed for bar in item.bars if bar.timeframe is tf] for tf in Timeframe}


def archived(config: Config, timeframe: Timeframe) -> list[Bar]:
    archive = Archive.of(config)
    return [bar for root in config.instruments for bar in archive.bars(root, timeframe)]


def in_order(bars: list[Bar]) -> list[Bar]:
    return sorted(bars, key=lambda bar: (bar.symbol, bar.start))
