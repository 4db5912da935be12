"""Settings of strategies."""

import math
from typing import Any, Literal

from attrs import field, frozen, validators

from pine.core.config.bounds import (
    OPTIONAL_POSITIVE,
    OPTIONAL_SESSIONS,
    POSITIVE,
    POSITIVE_FINITE,
    SESSIONS,
    finite,
    scorer_place,
)
from pine.core.config.market import Execution
from pine.core.config.secret import Secret
from pine.core.timeframe import Timeframe

Adjust = Literal["none", "difference", "ratio"]
Policy = Literal["none", "optional", "required"]


@frozen
class FilterConfig:
    """A condition that a feature must meet before the strategy may enter.

    Attributes
    ----------
    feature
        Address such as ``rsi(2)@daily``; without a condition, the name of a ready-made filter.
    between, above, below, equals
        The condition, one of them: within both bounds (included), beyond a number, or one of some numbers. All finite.
    """

    feature: str
    between: tuple[float, float] | None = None
    above: float | None = field(default=None, validator=finite)
    below: float | None = field(default=None, validator=finite)
    equals: tuple[float, ...] | None = None


@frozen
class StrategyInstrument:
    """What one strategy sets differently for one of its instruments; left out means as in ``instruments``.

    Attributes
    ----------
    size
        Contracts per entry.
    commission
        Dollars per contract and side.
    execution
        What is traded instead of the root itself.
    params
        Parameters of the strategy type, for this instrument.
    filters
        Conditions that come on top of the strategy's own.
    """

    size: int | None = field(default=None, validator=OPTIONAL_POSITIVE)
    commission: float | None = field(
        default=None, validator=validators.optional(validators.and_(validators.ge(0), validators.lt(math.inf)))
    )
    execution: Execution | None = None
    params: dict[str, Any] = field(factory=dict)
    filters: list[FilterConfig] = field(factory=list)


@frozen
class WarmUpConfig:
    """The history that a strategy is fed before its first live step.

    Attributes
    ----------
    daily, hourly, minute
        How many finished sessions, those with scheduled trading, the bars of each timeframe go back; the session
        under way comes on top. Only timeframes that the strategy reads are loaded.
    buy
        Whether minutes that neither streams nor archive have may be bought from Databento Historical.
    features
        Whether bars go back further where a feature needs more of them until it has a value.
    """

    daily: int = field(default=252, validator=SESSIONS)
    hourly: int = field(default=15, validator=SESSIONS)
    minute: int = field(default=1, validator=SESSIONS)
    buy: bool = True
    features: bool = True

    def sessions(self, timeframe: Timeframe) -> int:
        """Return how many finished sessions the bars of a timeframe go back."""
        return {Timeframe.DAY: self.daily, Timeframe.HOUR: self.hourly, Timeframe.MINUTE: self.minute}[timeframe]


@frozen
class StrategyWarmUp:
    """What one strategy sets differently of ``warm_up``; left out means as there.

    Attributes
    ----------
    daily, hourly, minute
        Finished sessions that the bars of each timeframe go back.
    buy
        Whether minutes may be bought.
    features
        Whether bars go back further where a feature needs more.
    """

    daily: int | None = field(default=None, validator=OPTIONAL_SESSIONS)
    hourly: int | None = field(default=None, validator=OPTIONAL_SESSIONS)
    minute: int | None = field(default=None, validator=OPTIONAL_SESSIONS)
    buy: bool | None = None
    features: bool | None = None


@frozen
class StrategyConfig:
    """One strategy with its money, limits and webhook.

    Attributes
    ----------
    type
        One of pine's strategy types, or ``module:Class`` of one's own.
    enabled
        Whether it may run.
    webhook
        Where its orders are posted; without one it trades on paper only.
    instruments
        What it trades: a list of roots, or settings by root.
    starting_cash
        Dollars on the paper account at the start.
    max_positions
        Most instruments in which a position may be open or on its way at once.
    daily_stop_loss
        Realised loss of one session, in dollars, after which nothing new is entered until the next.
    params
        Parameters of the strategy type, for all its instruments.
    warm_up
        What it sets differently of the general ``warm_up``; nothing for ``off``.
    adjust
        How bars of earlier contracts are shifted at a roll, for what the strategy sees.
    references
        Roots that are read and not traded, beyond `instruments`.
    features
        Addresses of features that are written down at every entry that is asked for; what a model is trained on.
    filters
        Conditions that must hold for an entry, in the order in which they are asked.
    model
        Whether entries need a model's consent: not at all; where there is a model; or always, so that an
        instrument without one is not entered.
    scorer
        ``module:callable`` that scores instead of xgboost.
    """

    type: str
    enabled: bool = True
    webhook: Secret = field(factory=Secret)
    starting_cash: float = field(default=150_000.0, validator=POSITIVE_FINITE)
    max_positions: int = field(default=2, validator=POSITIVE)
    daily_stop_loss: float = field(default=2_500.0, validator=POSITIVE_FINITE)
    params: dict[str, Any] = field(factory=dict)
    instruments: dict[str, StrategyInstrument] = field(factory=dict, validator=validators.min_len(1))
    warm_up: StrategyWarmUp | None = field(factory=StrategyWarmUp)
    adjust: Adjust = "none"
    references: list[str] = field(factory=list)
    features: list[str] = field(factory=list)
    filters: list[FilterConfig] = field(factory=list)
    model: Policy = "none"
    scorer: str | None = field(default=None, validator=scorer_place)


@frozen
class TradedInstrument:
    """One instrument as one strategy trades it, all layers of configuration merged.

    Attributes
    ----------
    symbol
        Root whose bars are read.
    root
        Root that is traded.
    size
        Contracts of `root` per entry.
    point_value
        Dollars per price point of one contract of `root`.
    params
        The strategy type's own parameter object.
    """

    symbol: str
    root: str
    size: int
    commission: float
    point_value: float
    params: Any
