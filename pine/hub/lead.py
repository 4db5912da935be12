"""Which contract makes a root's bars."""

from collections.abc import Mapping

from pine.core.contract import Contract


def choose_lead(volume: Mapping[Contract, int], current: Contract | None) -> Contract | None:
    """Return the lead contract after an interval: the most traded, never an earlier expiry than the current one.

    Parameters
    ----------
    volume
        Contracts traded in the interval, by contract of one root.
    current
        The lead so far, if there is one; it stays where nothing else qualifies.

    Returns
    -------
    Contract or None
        Of equal volumes the nearer expiry leads. None if nothing ever traded.
    """
    eligible = [c for c in volume if volume[c] > 0 and (current is None or c.expiry >= current.expiry)]
    if not eligible:
        return current
    return min(eligible, key=lambda c: (-volume[c], c.expiry))
