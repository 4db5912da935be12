"""What a stand-in tells the program that started it."""

import json
import sys
from collections.abc import Mapping


def print_event(event: str, fields: Mapping[str, object]) -> None:
    """Write one event as a JSON line on standard output, at once."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()
