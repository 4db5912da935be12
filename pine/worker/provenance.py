"""What a decision was made by: hashes of configuration and code."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from attrs import asdict

import pine
from pine.core.config import Config

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
        "sessions": {symbol: str(config.session_rule(symbol)) for symbol in config.traded[strategy]},
    }
    return _short(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS))


@cache
def code_hash() -> str:
    """Return a hash of the source files that can reach a decision."""
    root = Path(pine.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _short(payload: bytes) -> str:
    return hashlib.blake2b(payload, digest_size=8).hexdigest()
