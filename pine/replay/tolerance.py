"""By how much numbers of a column may differ and still count as the same."""

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from pine.core.errors import PineError
from pine.replay.record import Record
from pine.replay.tables import SHAPES


@frozen
class Tolerances:
    """Absolute differences by column.

    Attributes
    ----------
    by_name
        A column (``close``), one of one table (``fills.price``), or the name of a value that strategies look at
        (``ibs``), and by how much it may differ at most.
    """

    by_name: Mapping[str, float] = field(factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Tolerances":
        """Read ``COLUMN=1e-9``.

        Raises
        ------
        PineError
            If one has another shape.
        """
        found = {}
        for text in texts:
            name, equals, number = text.partition("=")
            try:
                value = float(number)
            except ValueError:
                value = -1.0
            if not (name and equals and 0 <= value < float("inf")):
                raise PineError(f"--tolerance: found {text!r}, expected COLUMN=NUMBER such as ibs=1e-9")
            found[name] = value
        return cls(found)

    def check(self, *records: Record) -> None:
        """Raise `PineError` for a name that no number of some records has."""
        known = {
            name
            for table, shape in SHAPES.items()
            for column, kind in shape.columns.items()
            if kind == "Float64" and column != "value"
            for name in (column, f"{table}.{column}")
        }
        for record in records:
            known |= set(record.table("values")["name"].unique().to_list())
        wrong = sorted(self.by_name.keys() - known)
        if wrong:
            raise PineError(f"--tolerance: found {wrong[0]!r}, expected one of {', '.join(sorted(known))}")

    def of(self, table: str, column: str) -> float:
        """Return by how much a column may differ."""
        return self.by_name.get(f"{table}.{column}", self.by_name.get(column, 0.0))

    def __bool__(self) -> bool:
        return any(self.by_name.values())
