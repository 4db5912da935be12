"""Which contract led a root in each session of the past."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pine.core.calendar import scheduled_hours
from pine.core.contract import Contract
from pine.core.period import SessionRule, session, session_begin

Lead = TypeVar("Lead")
"""A contract, or its name."""

Choose = Callable[[Mapping[Contract, int], Contract | None], Contract | None]
"""Returns the lead after a session, from what each contract traded in it and the lead in it; `pine.hub.lead`."""


def decide_leads(
    volumes: Mapping[int, Mapping[Contract, int]],
    known: Mapping[int, Contract],
    rule: SessionRule,
    choose: Choose,
) -> dict[int, Contract]:
    """Decide the leads that are not known, as the hub does: at the close of each session with trades, for the next.

    Parameters
    ----------
    volumes
        Contracts traded, by session start and contract.
    known
        Leads that are decided already, by session start; they stay.
    rule
        The root's sessions.
    choose
        Decides.

    Returns
    -------
    dict
        Leads by session start. A session without an entry keeps the lead of the latest one before it.
    """
    leads = dict(known)
    for start in sorted(volumes):
        following = next_scheduled(session(start, rule).end, rule)
        if following in leads:
            continue
        lead = choose(volumes[start], lead_of(leads, start))
        if lead is not None:
            leads[following] = lead
    return leads


def lead_of(leads: Mapping[int, Lead], start: int) -> Lead | None:
    """Return the lead of the session that starts at `start`: its own, or that of the latest session before it."""
    decided = max((s for s in leads if s <= start), default=None)
    return None if decided is None else leads[decided]


def next_scheduled(boundary: int, rule: SessionRule) -> int:
    """Return the start of the first session from a close on in which trading is scheduled."""
    following = session(boundary, rule)
    while scheduled_hours(rule.group, following.start, following.end) == 0:
        following = session(following.end, rule)
    return following.start


def look_back(begin: int, count: int, rule: SessionRule) -> int:
    """Return where the session begins that is so many scheduled ones before the one whose first instant is `begin`."""
    while count:
        before = session(begin - 1, rule)
        begin = session_begin(begin - 1, rule)
        count -= scheduled_hours(rule.group, before.start, before.end) > 0
    return begin


def unknown_sessions(starts: Iterable[int], known: Mapping[int, Contract]) -> list[int]:
    """Return which sessions have no lead of their own."""
    return [start for start in starts if start not in known]
