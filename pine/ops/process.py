"""Starting pine from pine."""

import sys
from collections.abc import Sequence


def pine_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs ``pine`` with arguments, with this Python."""
    # -P: nothing in the present folder may stand in front of what pine imports
    return [sys.executable, "-P", "-m", "pine", *arguments]
