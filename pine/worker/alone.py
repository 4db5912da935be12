"""Requests that are booked without a worker: whoever asks takes the strategy's role for a moment."""

import threading
from pathlib import Path

from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.orders.ledger import read_ledger
from pine.worker.run import CourierAttendant, make_desk


def book_alone(config: Config, strategy: str, client: Client) -> bool:
    """Book what was asked of a strategy at the last step that it has done.

    Returns whether that was possible: not while a worker holds the role, and not before the strategy's life has begun;
    then its worker books it.
    """
    if next(read_ledger(client, strategy), None) is None:
        return False
    from pine.worker.live import LiveSource

    lease = Lease.try_acquire(client, f"worker:{strategy}")
    if not isinstance(lease, Lease):
        return False
    lease.keep()
    try:
        desk, stop = make_desk(config, strategy), threading.Event()
        LiveSource(config, strategy, client, lease, desk, stop, provenance={}, on_beat=dict).open()
    finally:
        lease.release()
    return True


def courier_of(config: Config, strategy: str, client: Client) -> CourierAttendant:
    """Return who starts a courier that nobody else starts; it ends by itself when everything is posted."""
    return CourierAttendant(config, strategy, client, threading.Event(), courier_log(config, strategy))


def courier_log(config: Config, strategy: str) -> Path:
    """Return where a courier logs whose worker is not there to show it."""
    return config.data_dir / "logs" / f"courier-{strategy}.log"
