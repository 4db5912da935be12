"""What is looked at before the first connection; nothing is ever posted for it."""

from collections.abc import Callable, Iterable

from attrs import frozen

from pine.bus.heartbeat import read_file
from pine.core.config import Config
from pine.core.config.webhook import host_of, mistake_in
from pine.core.errors import PineError, SecretMissing
from pine.core.instruments import SPECS
from pine.history.account import gateway_answers
from pine.legacy.heartbeat import heartbeat_path, holds_live
from pine.legacy.strategy import KINDS
from pine.orders.gates import KillSwitch


@frozen
class Check:
    """One thing that was looked at: whether it is as it must be, and what was found."""

    name: str
    passed: bool
    text: str


@frozen
class Preflight:
    """The checks before a run.

    Parameters
    ----------
    config, strategy
        What is to run.
    live
        Whether orders will be posted; without, the webhook is not looked at and a kill switch stops nothing.
    models, past
        Load the models, read the past; each says what it found, or raises `PineError`.
    """

    config: Config
    strategy: str
    live: bool
    models: Callable[[], str]
    past: Callable[[], str]

    def run(self, *, fail_fast: bool = True) -> list[Check]:
        """Return the checks in order, up to the first that fails if `fail_fast`."""
        done: list[Check] = []
        for name, look in self._looks():
            try:
                done.append(Check(name, True, look()))
            except PineError as error:
                done.append(Check(name, False, str(error)))
                if fail_fast or name == "configuration":  # nothing else can be asked of a strategy that is not there
                    break
        return done

    def _looks(self) -> Iterable[tuple[str, Callable[[], str]]]:
        return (
            ("kill switch", self._kill_switch),
            ("configuration", self._configuration),
            ("databento key", self._key),
            ("webhook", self._webhook),
            ("symbols", self._symbols),
            ("models", self.models),
            ("earlier run", self._earlier_run),
            ("gateway", self._gateway),
            ("history", self.past),
        )

    def _kill_switch(self) -> str:
        reason = KillSwitch(self.config.path.with_name(".env")).reason()
        if reason is None:
            return "off"
        if self.live:
            raise PineError(reason)
        return f"{reason}; nothing is posted without --live anyway"

    def _configuration(self) -> str:
        from pine.worker.run import check_strategy  # nothing else of the worker is the reference's

        check_strategy(self.config, self.strategy)
        setting = self.config.strategies[self.strategy]
        if setting.type not in KINDS:
            raise PineError(f"strategy type {setting.type!r}: the reference has {', '.join(KINDS)}")
        limits = f"at most {setting.max_positions} positions, daily stop {setting.daily_stop_loss:g} dollars"
        return f"{self.config.path}: {setting.type}, {limits}"

    def _key(self) -> str:
        self.config.databento.api_key.reveal()
        return "set"

    def _webhook(self) -> str:
        webhook = self.config.strategies[self.strategy].webhook
        if not self.live:
            return "not needed: nothing is posted without --live"
        if not webhook:
            raise SecretMissing(f"strategies.{self.strategy}.webhook: is empty, and --live posts to it")
        if wrong := mistake_in(webhook):
            raise PineError(f"strategies.{self.strategy}.webhook: {wrong}")
        return f"has the shape of one, at {host_of(webhook)}"

    def _symbols(self) -> str:
        read = self.config.reads(self.strategy)
        unknown = [symbol for symbol in read if symbol not in SPECS or symbol not in self.config.instruments]
        if unknown:
            raise PineError(f"instruments: {', '.join(unknown)} not known; known are {', '.join(sorted(SPECS))}")
        return ", ".join(f"{symbol} ({self.config.parent(symbol)})" for symbol in read)

    def _earlier_run(self) -> str:
        path = heartbeat_path(self.config, self.strategy)
        said = read_file(path)
        ordered = said.get("ordered") or {}
        held = {**ordered, **(said.get("positions") or {})}
        if self.live and said.get("live") and held:
            listed = ", ".join(f"{quantity} {contract}" for contract, quantity in held.items())
            how = "open or on its way" if ordered else "open"
            raise PineError(
                f"the run before ended with {listed} {how}, which this one does not know of; close it at the broker, "
                f"then remove {path}"
            )
        if holds_live(said):
            return f"posted, and left positions, which {path} goes on telling; this one is on paper"
        return "left no position" if not held else "left paper positions, which are forgotten"

    def _gateway(self) -> str:
        return gateway_answers(self.config.databento)
