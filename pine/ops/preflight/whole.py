"""The preflight as a whole, and the part of it that a process runs before it starts."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pine.bus import keys
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.core.times import Clock
from pine.ops.preflight import machine
from pine.ops.preflight.looks import Finding, Look, Said, ok, run

if TYPE_CHECKING:
    from pine.ops.preflight.server import ServerLooks
    from pine.ops.preflight.vendor import VendorLooks

log = get_logger(__name__)

LOAD_SECONDS: Final = 60.0
"""For a strategy's class and models: xgboost alone takes seconds to import."""


def preflight(
    config: Config, clock: Clock, strategy: str | None = None, *, offline: bool = False, fail_fast: bool = False
) -> Iterator[Finding]:
    """Look at everything that a run needs, and yield what was found, one line after the other.

    Parameters
    ----------
    config
        A configuration without mistakes.
    clock
        Wall time in ns.
    strategy
        Look only at what matters to this one.
    offline
        Ask nothing outside this machine.
    fail_fast
        End with the first line that is wrong.
    """
    from pine.ops.preflight.server import ServerLooks
    from pine.ops.preflight.vendor import VendorLooks

    server = ServerLooks(config, clock)
    vendor = VendorLooks(config, clock, offline)
    try:
        yield from run(config, _looks(config, server, vendor, strategy), fail_fast=fail_fast)
    finally:
        server.close()


def _looks(config: Config, server: "ServerLooks", vendor: "VendorLooks", strategy: str | None) -> Iterator[Look]:
    names = _strategies(config, strategy)
    symbols = tuple(config.instruments) if strategy is None else config.reads(strategy)
    yield Look("configuration", "file", lambda: _summary(config, names))
    yield from _secrets(config, names, hub=True)
    yield Look("machine", "kill switch", lambda: machine.kill_switch(config))
    yield from _folders(config)
    yield Look("server", "server", server.reachable, 15.0)
    yield Look("clock", "server", server.clock_here)
    yield Look("clock", "databento", vendor.clock_there)
    yield Look("databento", "gateway", vendor.gateway)
    yield Look("databento", "account", vendor.account)
    yield from _markets(symbols, server, vendor)
    yield from _desk(config, names)
    yield from _people(config, strategy)
    yield Look("processes", "processes", lambda: server.roles(_roles(config, names, strategy)))


def before_hub(config: Config) -> Iterator[Finding]:
    """Look at what a hub needs of this machine; nothing here needs a network, or a server that may come later."""
    yield from run(config, [*_secrets(config, (), hub=True), *_folders(config)])


def before_worker(config: Config, strategy: str) -> Iterator[Finding]:
    """Look at what a worker needs of this machine; its class and models it loads itself, and refuses alike."""
    looks = [*_secrets(config, (strategy,), hub=False), *_folders(config)]
    yield from run(config, [*looks, Look("machine", "kill switch", lambda: machine.kill_switch(config))])


def refuse(findings: Iterable[Finding]) -> None:
    """Log what a person should know, and raise `PineError` with every line that is wrong."""
    told = []
    for finding in findings:
        if finding.state == "wrong":
            told.append(f"{finding.name}: {finding.text}")
        elif finding.state == "warning":
            log.warning("preflight", check=finding.name, found=finding.text)
    if told:
        raise PineError("\n".join(told))


def _secrets(config: Config, names: tuple[str, ...], *, hub: bool) -> Iterator[Look]:
    if hub:
        yield Look("secrets", "databento.api_key", lambda: machine.api_key(config))
    for name in names:
        yield Look("secrets", f"webhook {name}", _asking(machine.webhook_secret, config, name))
    yield Look("secrets", ".env", lambda: machine.dotenv_mode(config))
    for name in names:
        yield Look("webhooks", f"webhook {name}", _asking(machine.webhook_shape, config, name))
    if names:
        yield Look("webhooks", "apart", lambda: machine.webhooks_apart(config, names))


def _folders(config: Config) -> Iterator[Look]:
    yield Look("machine", "disk", lambda: machine.disk(config))
    yield Look("machine", "folders", lambda: machine.folders(config))


def _markets(symbols: tuple[str, ...], server: "ServerLooks", vendor: "VendorLooks") -> Iterator[Look]:
    from pine.ops.preflight import market

    leads = (server.lead, vendor.lead)
    yield Look("symbols", "symbols", lambda: market.contracts(symbols, leads, server.present), 20.0)
    for group in market.groups_of(symbols):
        yield Look("market", group, _asking(market.hours, group, server.present))


def _desk(config: Config, names: tuple[str, ...]) -> Iterator[Look]:
    from pine.ops.preflight.desk import StrategyLooks

    looks = {name: StrategyLooks(config, name) for name in names}
    for name in names:
        yield Look("strategies", name, looks[name].loads, LOAD_SECONDS)
    for name in names:
        yield Look("models", name, looks[name].models)


def _people(config: Config, strategy: str | None) -> Iterator[Look]:
    yield Look("desk", "alerts", lambda: machine.alerts(config))
    if strategy is None:
        yield Look("desk", "dashboard", lambda: machine.dashboard(config))


def _roles(config: Config, names: tuple[str, ...], strategy: str | None) -> list[str]:
    common = [keys.HUB] if strategy is not None else [keys.HUB, keys.ARCHIVE]
    couriers = {name for name in names if config.strategies[name].webhook}
    return [*common, *(f"{k}:{n}" for n in names for k in ("worker", "courier") if k == "worker" or n in couriers)]


def _strategies(config: Config, strategy: str | None) -> tuple[str, ...]:
    return tuple(config.strategies) if strategy is None else (strategy,)


def _summary(config: Config, names: tuple[str, ...]) -> Iterator[Said]:
    enabled = sum(config.strategies[name].enabled for name in names)
    yield ok(
        f"{config.path}: no mistakes; {len(config.instruments)} instruments, {enabled} of {len(names)} strategies on"
    )


def _asking(look: Callable[..., Iterable[Said]], *arguments: object) -> Callable[[], Iterable[Said]]:
    return lambda: look(*arguments)
