"""A desk of its own for a replay: configuration, archive and stream server in a folder that goes away with it."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from pine.core.errors import PineError
from pine.replay.guard import Guard, guarded

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config, FilterConfig

PREFIX: Final = ".bus-"
"""How the folders begin, in the folder of the runs."""


@frozen(eq=False)
class PrivateDesk:
    """A desk that nothing else knows of.

    Attributes
    ----------
    config
        Posts nothing and buys nothing; its server and archive are in `folder`.
    client
        Connection to its stream server.
    guard
        Ends what was started if this process is killed.
    """

    folder: Path
    config: "Config"
    client: "Client"
    guard: Guard


@contextlib.contextmanager
def private_desk(config: "Config", strategies: Sequence[str], runs: Path) -> "Iterator[PrivateDesk]":
    """Provide a desk for some strategies in a new folder in `runs`; its server ends, and the folder goes, afterwards.

    Raises
    ------
    PineError
        If it cannot be made.
    """
    from pine.bus.connection import connect
    from pine.bus.embedded import EmbeddedServer

    with _folder(runs) as folder, guarded(folder) as guard:
        private = _written(config, strategies, folder / "pine.yaml")
        server = EmbeddedServer(private.data_dir, private.bus.fsync)
        try:
            client = connect(private)
            try:
                yield PrivateDesk(folder, private, client, guard)
            finally:
                client.close()
        finally:
            server.stop()


@contextlib.contextmanager
def _folder(runs: Path) -> Iterator[Path]:
    try:
        runs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=runs))
    except OSError as error:
        raise PineError(f"{runs}: no folder can be made there: {error.strerror or error}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            runs.rmdir()  # unless there are runs


def _written(config: "Config", strategies: Sequence[str], path: Path) -> "Config":
    """Write the settings that can reach a decision of some strategies, and no others; return them as they are read.

    Raises
    ------
    PineError
        If they read back as others.
    """
    import yaml

    from pine.core.config import load_config
    from pine.strategies.catalog import PARAMS

    symbols = dict.fromkeys(symbol for name in strategies for symbol in config.reads(name))
    document = {
        "data_dir": "data",
        "strategy_folder": str(config.strategy_folder),
        "bus": {"fsync": "everysec"},  # it goes away anyway: no power cut can cost more than the run
        "sessions": {group: asdict(setting) for group, setting in config.sessions.items()},
        "warm_up": False,  # what is fed first is put where a worker that began already finds it
        "models": str(config.models_folder),
        "pairs": config.pairs,
        "stand_ins": config.stand_ins,
        "instruments": {symbol: {} for symbol in symbols},
        "strategies": {name: _strategy(config, name) for name in strategies},
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    private = load_config(path, PARAMS, {})
    for name in strategies:
        if _reaching(private, name) != _reaching(config, name):
            raise PineError(f"{path}: {name}: found other settings than in {config.path}, expected the same")
    return private


def _strategy(config: "Config", name: str) -> dict[str, Any]:
    """Return a strategy's settings with those of its instruments, all layers merged."""
    setting = config.strategies[name]
    return {
        "type": setting.type,
        "starting_cash": setting.starting_cash,
        "max_positions": setting.max_positions,
        "daily_stop_loss": setting.daily_stop_loss,
        "instruments": {
            symbol: {
                "commission": traded.commission,
                "execution": {"root": traded.root, "size": traded.size},
                "params": asdict(traded.params),
                "filters": [_filter(one) for one in setting.instruments[symbol].filters],
            }
            for symbol, traded in config.traded[name].items()
        },
        "warm_up": False,
        "adjust": setting.adjust,
        "references": setting.references,
        "features": setting.features,
        "filters": [_filter(one) for one in setting.filters],
        "model": setting.model,
        "scorer": setting.scorer,
    }


def _filter(setting: "FilterConfig") -> dict[str, Any]:
    found = asdict(setting, filter=lambda _, value: value is not None)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _reaching(config: "Config", strategy: str) -> tuple[object, ...]:
    """Return everything by which a strategy's decisions could differ."""
    from pine.worker.provenance import config_hash

    return (
        config_hash(config, strategy),
        config.traded[strategy],
        config.rules_of(strategy),
        config.desk_session,
    )
