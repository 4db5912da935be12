"""What Databento says, for nothing: whether it knows the key and has the dataset, its clock, which contracts lead."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from attrs import define, field

from pine.core.config import Config
from pine.core.config.webhook import LOOPBACK
from pine.core.contract import Contract, parse_contract
from pine.core.errors import ContractError, HistoryError, KeyRefused, PineError, SecretMissing, Unreachable
from pine.core.timeframe import NS_PER_DAY
from pine.core.times import Clock, isoformat, to_datetime
from pine.history.account import gateway_answers, vendor_clock
from pine.history.vendor import Patience, Vendor, expect_own_market
from pine.ops.preflight.looks import Said, ok, skipped, warning, wrong
from pine.ops.preflight.server import skew

ONCE: Final = Patience(attempts=1, timeout_s=8.0)
STALE_DAYS: Final = 5


@define
class VendorLooks:
    """Looks at the account; asks nothing outside this machine if `offline`."""

    config: Config
    clock: Clock
    offline: bool = False
    _vendor: Vendor | None = field(default=None, init=False)
    _last_day: date | None = field(default=None, init=False)
    _leads: dict[str, str] | None = field(default=None, init=False)

    def why_not(self) -> str | None:
        """Return why Historical is not asked; nothing if it is."""
        gateway = self.config.databento.historical_gateway
        if self.offline and not (gateway and _is_here(gateway.partition("://")[2])):
            return "not asked: --offline"
        if self.config.databento.gateway is not None and gateway is None:
            return "not asked: databento.gateway is another market's, and no historical_gateway is set"
        return None

    def gateway(self) -> Iterator[Said]:
        """Look whether the live gateway answers."""
        host, port = self.config.databento.live_gateway
        if self.offline and not _is_here(f"{host}:{port}"):
            yield skipped(f"{host}:{port}: not asked: --offline")
            return
        try:
            yield ok(gateway_answers(self.config.databento))
        except PineError as error:
            yield wrong(f"{error}; look at the network, or at databento.gateway if that is set")

    def account(self) -> Iterator[Said]:
        """Look whether the key is accepted and the dataset is there."""
        if reason := self.why_not():
            yield skipped(reason)
            return
        try:
            self.config.databento.api_key.reveal()
        except SecretMissing:
            yield skipped("not asked: there is no key")
            return
        settings = self.config.databento
        try:
            ranges = self._asked().ranges()
        except KeyRefused as error:
            yield wrong(f"{error}; put the key of your account in .env (databento.com/portal/keys)")
            return
        except Unreachable as error:
            yield wrong(f"{error}; look at the network, or use --offline")
            return
        except HistoryError as error:
            yield wrong(f"{error}; correct databento.dataset, or see what the account may read")
            return
        if not ranges:
            raise HistoryError(f"databento.dataset: {settings.dataset} has no schema; correct it")
        end = max(end for _, end in ranges.values())
        self._last_day = to_datetime(end - 1).date()
        age = (self.clock() - end) / NS_PER_DAY
        text = f"accepts the key; {settings.dataset} is there until {isoformat(end - end % 10**9)}"
        if self.config.hub.clock == "wall" and age > STALE_DAYS:
            yield warning(f"{text}, {age:.0f} days ago; see that databento.dataset is one that goes on")
        else:
            yield ok(text)

    def clock_there(self) -> Iterator[Said]:
        """Compare this machine's clock with the vendor's."""
        if reason := self.why_not():
            yield skipped(reason)
            return
        expect_own_market(self.config.databento)
        try:
            reading = vendor_clock(self.config.databento, self.clock)
        except Unreachable as error:
            yield skipped(f"not read: {error}")  # that it does not answer is told with the account
            return
        yield skew(reading, "Databento's")

    def lead(self, symbol: str) -> tuple[Contract, str] | None:
        """Return the contract of a root with most volume, and when that was so; nothing if nobody is to be asked."""
        if self._last_day is None:
            return None
        if self._leads is None:
            self._leads = {}  # asked once, also if that fails
            self._leads = self._asked().leads(list(self.config.instruments), self._last_day)
        if symbol not in self._leads:
            return None
        try:
            contract = parse_contract(self._leads[symbol], self._last_day, [symbol])
        except ContractError:
            return None
        return contract, f"by Databento's {symbol}.v.0 on {self._last_day}"

    def _asked(self) -> Vendor:
        if self._vendor is None:
            self._vendor = Vendor(self.config.databento, ONCE)
        return self._vendor


def _is_here(address: str) -> bool:
    return address.rpartition(":")[0].strip("[]") in LOOPBACK
