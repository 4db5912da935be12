"""pine: durable bars, deterministic strategies and exactly-once order intents for CME futures."""

from typing import Final

__version__: Final = "0.1.0"
