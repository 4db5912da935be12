"""What may keep an entry from being posted, judged at the moment of posting; exits always go."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from pine.bus import heartbeat, keys
from pine.bus.client import Client
from pine.core.config import Config, Secret
from pine.core.config.webhook import leads_here
from pine.core.freshness import data_age
from pine.core.times import Clock
from pine.orders.entries import Intent
from pine.strategies.models.card import GENERATED

VARIABLE: Final = "POLICY_KILLSWITCH"
_SETTING: Final = re.compile(
    rf"\s*(?:export\s+)?{VARIABLE}\s*=\s*"
    r"(?:(?P<quote>[\"'])(?P<quoted>[^\"']*)(?P=quote)|(?P<bare>[^\"'#]*?))\s*(?:#.*)?"
)
OFF: Final = frozenset({"", "0", "false", "no", "off"})
ON: Final = frozenset({"1", "true", "yes", "on"})


@frozen
class KillSwitch:
    """The desk's emergency stop: ``POLICY_KILLSWITCH`` in the environment or in ``.env``, read anew each time.

    Parameters
    ----------
    path
        The ``.env`` file beside the configuration; it need not exist.
    environ
        The environment.
    """

    path: Path
    environ: Mapping[str, str] = field(factory=lambda: os.environ)

    def reason(self) -> str | None:
        """Return why nothing may be entered, or nothing; what cannot be read or understood counts as on."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeDecodeError) as error:
            return f"kill switch: {self.path} cannot be read: {type(error).__name__}"
        words = [("the environment", self.environ.get(VARIABLE, ""))]
        words += [(str(self.path), _value(line)) for line in lines if _mentions(line)]
        for where, value in words:
            word = value.strip().lower()
            if word in ON:
                return f"kill switch: {VARIABLE} is on in {where}"
            if word not in OFF:
                return f"kill switch: {VARIABLE} in {where} is neither on nor off, which counts as on"
        return None


def _mentions(line: str) -> bool:
    """Tell whether a line that is no comment names the switch, in whatever spelling."""
    return VARIABLE in line.upper() and not line.lstrip().startswith("#")


def _value(line: str) -> str:
    """Return what a line sets the switch to; of a line that merely names it, the line, which is neither on nor off."""
    found = _SETTING.fullmatch(line)
    return line if found is None else found["quoted"] if found["quoted"] is not None else found["bare"]


def generated(intent: Intent, webhook: Secret) -> str | None:
    """Return why an entry may not go out: its model learned from a generated market, and the webhook is a real one."""
    model = intent.facts.get("model")
    if not isinstance(model, dict) or model.get("data") != GENERATED or leads_here(webhook):
        return None
    return "its model was trained on a generated market, and the webhook is a real one"


@frozen
class Freshness:
    """Whether the hub's data is recent enough to enter on.

    Parameters
    ----------
    client
        Connection to the stream server.
    config
        The configuration; ``orders.stale_after_s`` is the limit, and with ``hub.clock: tape`` the present is the
        hub's watermark.
    clock
        Wall time in ns.
    """

    client: Client
    config: Config
    clock: Clock

    def reason(self, symbol: str) -> str | None:
        """Return why nothing may be entered on a symbol, or nothing; a closed market is silent and healthy."""
        limit = self.config.orders.stale_after_s
        if limit is None:
            return None
        facts = heartbeat.read(self.client, keys.HUB)
        if not facts:
            return "stale data: no hub is running"
        now = int(facts.get("watermark", 0)) if self.config.hub.clock == "tape" else self.clock()
        data = data_age(int(facts.get("last_trade", 0)), now, [self.config.session_rule(symbol).group])
        # A market that has just opened is fresh, and nothing can be entered in it before it has traded.
        if data.age_s is None or data.age_s <= limit or not data.market_open:
            return None
        return f"stale data: the newest trade is {data.age_s:.0f} s old in an open market, the limit is {limit} s"
