"""What Databento has of a session, to compare a record with: bought once, kept apart from every record."""

from collections import Counter

import orjson
from attrs import frozen

from pine.bus import streams
from pine.core.bar import Bar
from pine.core.contract import Contract, parse_contract
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import to_datetime, to_ms
from pine.history.archive import Archive
from pine.history.historical import HistoricalSource, Price
from pine.history.manifest import Interval, Table, vendor_bars_table, without
from pine.history.vendor import Budget


def vendor_volumes_table(symbol: str) -> Table:
    """Return the table of the hourly volumes of all contracts of a root that Databento has."""
    return Table("vendor_volumes", (("symbol", symbol),))


@frozen
class Comparison:
    """Buys what a record is compared with, and keeps it in tables of its own.

    No question for bars is ever answered from these tables.

    Parameters
    ----------
    source
        Buys; asked only for what is not kept already.
    archive
        Keeps.
    """

    source: HistoricalSource
    archive: Archive

    def available(self) -> Interval | None:
        """Return the stretch of time, in ns, of which there are minutes to buy; raises as `minutes` does."""
        return self.source.available()

    def has_minutes(self, symbol: str, contract: str, span: Interval) -> bool:
        """Tell whether the minutes of a contract are kept already."""
        return not without([span], self.archive.covered_of(vendor_bars_table(symbol, contract)))

    def has_volumes(self, symbol: str, span: Interval) -> bool:
        """Tell whether the hourly volumes of a root are kept already."""
        return not without([span], self.archive.covered_of(vendor_volumes_table(symbol)))

    def price(self, symbol: str, contract: str, start: int, span: Interval, before: Interval | None) -> Price:
        """Return what is still to be paid for a session, and for the volumes of the one before; raises as `minutes`.

        Parameters
        ----------
        symbol, contract
            Root, and what led it.
        start, span
            The session: its start, from its first instant to its end, in ns.
        before
            The session before, if its volumes are wanted.
        """
        prices = [Price()]
        if not self.has_minutes(symbol, contract, span):
            prices.append(self.source.price(symbol, *span, [(start, contract)]))
        if before is not None and not self.has_volumes(symbol, before):
            prices.append(self.source.volumes_price(symbol, *before))
        return Price(sum(price.dollars for price in prices), all(price.exact for price in prices))

    def minutes(self, symbol: str, contract: str, start: int, span: Interval, budget: Budget) -> list[Bar]:
        """Return the minutes of a contract over a session, bought if they are not kept yet.

        Where the vendor's data ends before the session, no trading is taken to have been scheduled.

        Raises
        ------
        HistoryError, KeyRefused, SecretMissing
            If they cannot be bought, or cost more than the budget has left.
        """
        table = vendor_bars_table(symbol, contract)
        if not self.has_minutes(symbol, contract, span):
            found = self.source.minutes(symbol, *span, [(start, contract)], budget)
            if found.begin < found.end:
                self.archive.add_bars(
                    symbol, Timeframe.MINUTE, found.bars, *span, "historical", table=table, replace=True
                )
        return self.archive.bars_of(table, *span)

    def volumes(self, symbol: str, span: Interval, budget: Budget) -> dict[Contract, int]:
        """Return what each contract of a root traded in a session, bought if not kept yet; raises as `minutes`."""
        table = vendor_volumes_table(symbol)
        if not self.has_volumes(symbol, span):
            hours = self.source.volumes(symbol, *span, budget)
            entries = [_entry(hour, traded) for hour, traded in sorted(hours.items())]
            self.archive.add_entries(table, entries, [span])
        total: Counter[Contract] = Counter()
        for identifier, fields in self.archive.entries(table, *span):
            on = to_datetime(streams.ms_of(identifier) * NS_PER_MS).date()
            for raw, traded in orjson.loads(fields[b"volume"]).items():
                total[parse_contract(raw, on, [symbol])] += traded
        return dict(total)


def _entry(hour: int, traded: dict[Contract, int]) -> streams.Entry:
    payload = orjson.dumps({contract.symbol: volume for contract, volume in sorted(traded.items(), key=_expiry)})
    return streams.entry_id(to_ms(hour)), {b"volume": payload}


def _expiry(item: tuple[Contract, int]) -> tuple[int, int]:
    return item[0].expiry
