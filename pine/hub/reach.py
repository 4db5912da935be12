"""From when on the gateway must replay, and how far back it can."""

from typing import Final

from attrs import frozen

from pine.core.config import Config
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.hub.aggregator import Aggregator
from pine.hub.clock import HubClock

REPLAY_WINDOW: Final = 24 * NS_PER_HOUR


@frozen
class Reach:
    """What is missing, against what the gateway has.

    Parameters
    ----------
    config
        The configuration.
    clock
        The hub's own clock.
    aggregator
        Knows what is there.
    """

    config: Config
    clock: HubClock
    aggregator: Aggregator

    def needed(self) -> int:
        """Return the first minute, in ns, that is not closed, at first that of the sessions under way; 0 if unknown."""
        if self.aggregator.closed_until:
            return self.aggregator.closed_until
        now = self.clock.now()
        rules = (self.config.session_rule(symbol) for symbol in self.config.instruments)
        return min(session_begin(now, rule) for rule in rules) if now else 0

    def earliest(self) -> int:
        """Return the first minute, in ns, that the gateway replays surely."""
        if self.config.hub.clock == "tape":
            return 0
        reach = self.clock.now() - REPLAY_WINDOW + 2 * NS_PER_MINUTE
        return reach + -reach % NS_PER_MINUTE
