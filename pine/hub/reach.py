"""From when on the gateway must replay, and how far back it can."""

import logging
from typing import Final

from attrs import frozen

from pine.core.config import Config
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import isoformat
from pine.hub.aggregator import Aggregator
from pine.hub.clock import HubClock

REPLAY_WINDOW: Final = 24 * NS_PER_HOUR

logger = logging.getLogger(__name__)


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

    def floor(self) -> int:
        """Return the first minute to build from a replay, in ns; 0 is the beginning of what there is.

        What lies further back than the gateway replays is lost: hours and sessions over it are never published.
        """
        needed, reach = self.needed(), self.earliest()
        if not needed or reach <= needed:
            return needed
        self.aggregator.lose(needed, reach - NS_PER_MINUTE)
        lost = {"from": isoformat(needed), "to": isoformat(reach)}
        logger.error("gap: longer away than the gateway replays", extra={"fields": lost})
        return reach

    def needed(self) -> int:
        """Return the first minute, in ns, that is not closed, at first that of the sessions under way."""
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
