"""What a ledger says that keeps earlier intents from going out: halts, and positions said by an operator."""

from attrs import define, field

from pine.bus.client import Client
from pine.bus.streams import id_pair
from pine.orders.entries import Control, Correction, Intent
from pine.orders.ledger import read_ledger


@define
class StandingOrders:
    """Read again right before each post, from where the last look ended."""

    _last_id: str = "0-0"
    _halt: tuple[tuple[int, int], str] | None = None
    _corrected: dict[str, tuple[int, int]] = field(factory=dict)

    def refresh(self, client: Client, strategy: str) -> None:
        """Heed what was booked since the last look."""
        for identifier, entry in read_ledger(client, strategy, f"({self._last_id}"):
            self._last_id = identifier
            if isinstance(entry, Control) and entry.order == "halt":
                self._halt = id_pair(identifier), f"halted by {entry.who}: {entry.reason}"
            elif isinstance(entry, Correction):
                self._corrected[entry.symbol] = id_pair(identifier)

    def halted(self, identifier: str) -> str | None:
        """Return which halt came after an entry was decided, also one that is lifted; nothing if none did."""
        if self._halt is None or id_pair(identifier) > self._halt[0]:
            return None
        return self._halt[1]

    def superseded(self, identifier: str, intent: Intent) -> str | None:
        """Return that somebody has said since what the position is, which makes an intent void; nothing if not."""
        corrected = self._corrected.get(intent.symbol)
        if corrected is None or id_pair(identifier) > corrected:
            return None
        return "the position was corrected after it"
