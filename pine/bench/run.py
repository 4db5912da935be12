"""One run over several rows: what cannot be measured takes nothing else with it."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from attrs import define, field

from pine.bench.catalog import SCALES, rows
from pine.bench.measure import compare
from pine.bench.peer import Peer
from pine.bench.peer import measure as measure_peer
from pine.bench.row import Bench, Result, Row
from pine.bench.scale import Table, tables
from pine.core.errors import PineError


@define
class Run:
    """What was measured so far.

    Parameters
    ----------
    names
        Of rows and tables; of none, every row.
    repeat
        Pairs of runs, instead of each row's own number.
    quick
        Whether to run on tiny data.
    peer
        Python program with another engine, if its time is wanted too.

    Attributes
    ----------
    refused
        Why something could not be measured, by name.
    """

    names: Sequence[str]
    repeat: int | None = None
    quick: bool = False
    peer: str | None = None
    results: list[Result] = field(factory=list)
    grown: list[Table] = field(factory=list)
    peers: list[Peer] = field(factory=list)
    refused: dict[str, str] = field(factory=dict)

    def measure(self, tell: Callable[[str], None]) -> None:
        """Measure everything, one after the other, each in a folder of its own.

        Raises
        ------
        BenchError
            If a name is not known; nothing is measured then.
        """
        named = [name for name in self.names if name not in SCALES]
        chosen = rows(named) if named or not self.names else []
        for row in chosen:
            self._measure(row.name, partial(self._compare, row), tell)
        for name in SCALES:
            if name in self.names:
                self._measure(name, partial(self._grow, name), tell)
        if self.peer is not None:
            self._measure("peer", partial(self._meet, self.peer), tell)

    def _measure(self, name: str, measure: Callable[[Bench], None], tell: Callable[[str], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="pine-bench-") as made:
            try:
                measure(Bench(Path(made), self.quick, tell))
            except PineError as error:
                self.refused[name] = str(error)

    def _compare(self, row: Row, bench: Bench) -> None:
        self.results.append(compare(row, bench, self.repeat))

    def _grow(self, name: str, bench: Bench) -> None:
        self.grown += tables(name, bench)

    def _meet(self, python: str, bench: Bench) -> None:
        self.peers.append(measure_peer(bench, python, self.repeat))
