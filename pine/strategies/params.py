"""Parameters of a strategy type that has none."""

from attrs import frozen


@frozen
class NoParams:
    """Nothing to set."""
