"""Everything that can reach a decision, by name, so that two runs can say in what they differ."""

from typing import TYPE_CHECKING, Any

from attrs import asdict

from pine.worker.provenance import code_hash, config_hash, judged

if TYPE_CHECKING:
    from pine.core.config import Config


def settings_of(config: "Config", strategy: str, source: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a strategy's run.

    Parameters
    ----------
    config, strategy
        What runs.
    source
        Where its bars come from.
    more
        Further facts about the run.
    """
    return {
        "source": source,
        "clock": config.hub.bar_clock,
        "quiet filling": config.hub.fill_quiet_minutes,
        **of_config(config, strategy),
        "config": config_hash(config, strategy),
        "code": code_hash(config.strategies[strategy].type),
        **more,
    }


def of_config(config: "Config", strategy: str) -> dict[str, Any]:
    """Return the settings that `config_hash` is of, and the rule by which every hub has chosen the lead contract."""
    setting = config.strategies[strategy]
    return {
        "lead": "volume",
        "sessions": {symbol: str(rule.close) for symbol, rule in config.rules_of(strategy).items()},
        "type": setting.type,
        "starting cash": setting.starting_cash,
        "max positions": setting.max_positions,
        "daily stop loss": setting.daily_stop_loss,
        "adjust": setting.adjust,
        **judged(config, strategy),
        "instruments": {symbol: asdict(traded) for symbol, traded in config.traded[strategy].items()},
    }


def differing(left: dict[str, Any], right: dict[str, Any], place: str = "") -> list[tuple[str, Any, Any]]:
    """Return the settings that two runs do not share: dotted name, and what each has (nothing where it has none)."""
    found: list[tuple[str, Any, Any]] = []
    for name in [*left, *(name for name in right if name not in left)]:
        a, b = left.get(name), right.get(name)
        where = f"{place}.{name}" if place else name
        if isinstance(a, dict) and isinstance(b, dict):
            found += differing(a, b, where)
        elif a != b:
            found.append((where, a, b))
    return found
