"""Leases: at most one process acts in a role, and each holder has a higher number than the one before."""

import math
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
from attrs import define, field

from pine.bus import keys, replicas
from pine.bus.client import Client
from pine.bus.connection import is_away
from pine.bus.notify import notify
from pine.core.errors import Fenced

TTL_MS: Final = 6_000
RENEW_SECONDS: Final = 1.5
JOIN_SECONDS: Final = 2.0

_ACQUIRE: Final = """
local held = redis.call('GET', KEYS[1])
if held then return {0, held} end
local token = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1] .. '#' .. token, 'PX', ARGV[2])
return {1, token}
"""
_RENEW: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('GET', KEYS[2]) == ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
local given = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('EXISTS', KEYS[1]) == 0 and given < tonumber(ARGV[3]) then
  redis.call('SET', KEYS[2], ARGV[3])
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def holder_name() -> str:
    """Return who asks for a lease: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


@define
class Lease:
    """A role held by this process.

    Attributes
    ----------
    token
        Fencing token: greater than that of every holder before.
    lost
        Set when the server said that somebody else holds the role now.
    """

    client: Client
    role: str
    holder: str
    token: int
    lost: threading.Event = field(factory=threading.Event)
    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def try_acquire(cls, client: Client, role: str, holder: str | None = None) -> "Lease | str":
        """Take the role if it is free; otherwise return the name of its holder."""
        name = holder or holder_name()
        (taken, answer), reached = replicas.run(client, _ACQUIRE, [keys.lease(role), keys.fence(role)], [name, TTL_MS])
        if not taken:
            return str(answer.decode())
        replicas.insist(client, reached)  # a number that a failover forgets would be given twice
        return cls(client, role, f"{name}#{answer}", int(answer))

    @classmethod
    def acquire(
        cls,
        client: Client,
        role: str,
        on_wait: Callable[[str], None],
        stop: threading.Event,
        patience: float = math.inf,
        on_away: Callable[[], None] = lambda: None,
    ) -> "Lease | None":
        """Wait until the role is free and take it.

        Parameters
        ----------
        client, role
            What to take, and where.
        on_wait
            Told the holder, once.
        stop, patience
            End the wait with nothing, `patience` after so many seconds.
        on_away
            Called whenever the server does not answer: where everybody waits for a role, nobody else would start it.
        """
        told = False
        deadline = time.monotonic() + patience
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                outcome = cls.try_acquire(client, role)
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                outcome = "a server that does not answer"
                on_away()
            if isinstance(outcome, Lease):
                return outcome
            if not told:
                on_wait(outcome)
                notify(status=f"waiting for the role {role}, which {outcome.rpartition('#')[0] or outcome} has")
                told = True
            stop.wait(0.5)
        return None

    def renew(self) -> bool:
        """Prolong the lease; return False if somebody else has it.

        A server that came back without knowing that the role was given is told so again, unless it has given the
        role to somebody else meanwhile.
        """
        script = self.client.register_script(_RENEW)
        held = script(keys=[keys.lease(self.role), keys.fence(self.role)], args=[self.holder, TTL_MS, str(self.token)])
        if not held:
            self.lost.set()
        return bool(held)

    def keep(self) -> None:
        """Renew in the background until released; an unreachable server is waited for."""
        self._thread = threading.Thread(target=self._renew_forever, name=f"keep {self.role}", daemon=True)
        self._thread.start()

    def _renew_forever(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            try:
                if not self.renew():
                    return
            except redis.RedisError:
                continue

    def check(self) -> None:
        """Raise `Fenced` if the role was lost."""
        if self.lost.is_set():
            raise Fenced(f"{self.role}: the lease went to another process")

    def release(self) -> None:
        """Give the role back, so that the next process need not wait for the lease to run out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)  # it may hang on a server that has vanished
        try:
            self.client.register_script(_RELEASE)(keys=[keys.lease(self.role)], args=[self.holder])
        except redis.RedisError:
            return  # it runs out by itself
