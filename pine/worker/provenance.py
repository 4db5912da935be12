"""What a decision was made by: hashes of configuration and code."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import asdict

import pine
from pine.core.config import Config, FilterConfig
from pine.strategies.catalog import STRATEGIES
from pine.strategies.plugins import source_files

_ROOMS: Final = ("core", "feeds", "history", "orders", "strategies", "worker")


def config_hash(config: Config, strategy: str) -> str:
    """Return a hash of every setting that can reach a strategy's decisions; secrets are not among them."""
    setting = config.strategies[strategy]
    relevant = {
        "type": setting.type,
        "cash": setting.starting_cash,
        "max_positions": setting.max_positions,
        "daily_stop_loss": setting.daily_stop_loss,
        "instruments": {symbol: asdict(traded) for symbol, traded in config.traded[strategy].items()},
        "adjust": setting.adjust,
        "judged": judged(config, strategy),
        "sessions": {symbol: str(rule) for symbol, rule in config.rules_of(strategy).items()},
    }
    return _short(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS))


def judged(config: Config, strategy: str) -> dict[str, Any]:
    """Return the settings by which a strategy's entries are judged, and what they read."""
    setting = config.strategies[strategy]
    return {
        "references": setting.references,
        "features": setting.features,
        "filters": {
            symbol: [_filter(one) for one in (*setting.filters, *own.filters)]
            for symbol, own in setting.instruments.items()
        },
        "model": setting.model,
        "scorer": setting.scorer,
        "pairs": config.pairs,
        "stand_ins": config.stand_ins,
    }


def provenance(config: Config, strategy: str, models: str | None) -> dict[str, str]:
    """Return by what a strategy decides: hashes of its settings, of the code and, if it has any, of its models."""
    known = {"config": config_hash(config, strategy), "code": code_hash(config.strategies[strategy].type)}
    return known if models is None else {**known, "models": models}


def _filter(setting: FilterConfig) -> dict[str, Any]:
    return asdict(setting, filter=lambda _, value: value is not None)


def code_hash(kind: str) -> str:
    """Return a hash of the source files that can reach a decision of a strategy type, also of a user's own."""
    if kind in STRATEGIES:
        return _own_code_hash()
    folder, files = source_files(kind)
    digest = hashlib.blake2b(_own_code_hash().encode(), digest_size=8)
    for path in files:
        _add(digest, path, folder)
    return digest.hexdigest()


@cache
def _own_code_hash() -> str:
    root = Path(pine.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            _add(digest, path, root)
    return digest.hexdigest()


def _add(digest: "hashlib.blake2b", path: Path, root: Path) -> None:
    digest.update(path.relative_to(root).as_posix().encode())
    digest.update(path.read_bytes())


def _short(payload: bytes) -> str:
    return hashlib.blake2b(payload, digest_size=8).hexdigest()
