"""Signs of life of a process: the same facts in a key that expires, in a file, and for the service manager.

The file is whole at any moment and tells also while the server is away. It stays when a process is killed: how old
``updated_at`` is tells whether somebody still writes it.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.notify import READY, STOPPING, WELL, notify
from pine.core.config import Config
from pine.core.times import isoformat

SECONDS: Final = 1.0
TTL_MS: Final = 15_000
RUN: Final = Path("/var/run/pine")
"""Where files go that nobody configured a place for, if it can be written: a folder there for each desk."""

STOPPED: Final = "stopped"
AWAY: Final = "server away"
_WORKING: Final = frozenset({"running", "filling"})

_WHOLE: Final = frozenset(
    {
        *("pid", "token", "uptime_s", "unpublished", "connections", "bars", "trades", "unfilled", "sessions"),
        *("steps", "intents", "lag", "lag_s", "market_open", "fresh", "posted", "failed", "held"),
        *("alerts", "disagreements", "undelivered"),
    }
)
"""Facts that are whole numbers, and those that are not:"""

_REAL: Final = frozenset({"data_age_s", "cash", "realised", "day_pnl", "step_ms_p50", "step_ms_p99"})


def folder_of(config: Config) -> Path:
    """Return where the desk's heartbeat files are: as configured, else a folder of its own in `RUN`, else in data_dir.

    Two desks on one machine have different data directories, and so never the same folder.
    """
    if config.heartbeats is not None:
        return config.path.parent / Path(config.heartbeats).expanduser()
    if RUN.is_dir() and os.access(RUN, os.W_OK | os.X_OK):
        digest = hashlib.sha256(str(config.data_dir.resolve()).encode()).hexdigest()[:8]
        return RUN / f"{config.data_dir.name}-{digest}"
    return config.data_dir / "heartbeats"


def path_of(config: Config, role: str) -> Path:
    """Return the file of a role: ``hub.json``, ``worker-ibs_a.json``."""
    return folder_of(config) / f"{role.replace(':', '-')}.json"


def put(path: Path, document: Mapping[str, Any], *, durable: bool = False) -> None:
    """Write a JSON file that is whole at any moment; its folder is there.

    Raises
    ------
    OSError
        If it cannot be written; what was there before still is.
    """
    draft = path.with_suffix(".tmp")
    try:
        with draft.open("wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def read_file(path: Path) -> dict[str, Any]:
    """Return what a heartbeat file says; nothing if there is none, or nobody can read it."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def read(client: Client, role: str) -> dict[str, Any]:
    """Return what the key of a role says, numbers as numbers; nothing if no process has written it for a while."""
    found = {name.decode(): value.decode() for name, value in client.hgetall(keys.heartbeat(role)).items()}
    return {name: _number(name, text) for name, text in found.items()}


def _number(name: str, text: str) -> str | int | float | None:
    if name not in _WHOLE and name not in _REAL:
        return text
    if not text:
        return None
    try:
        return int(text) if name in _WHOLE else float(text)
    except ValueError:  # somebody else wrote it
        return text


@define(eq=False)
class Heartbeat:
    """Written about once a second by whoever holds a role.

    Parameters
    ----------
    client
        Connection to the stream server.
    config
        Says where the file is.
    role, token
        Who writes.
    """

    client: Client
    config: Config
    role: str
    token: int
    _path: Path = field(init=False)
    _began: float = field(factory=time.monotonic)
    _beat_at: float = -SECONDS
    _ready: bool = False

    def __attrs_post_init__(self) -> None:
        self._path = path_of(self.config, self.role)

    def due(self) -> bool:
        """Tell, once a second, that it is time."""
        now = time.monotonic()
        if now - self._beat_at < SECONDS:
            return False
        self._beat_at = now
        return True

    @property
    def uptime_s(self) -> int:
        """Seconds since this process took the role."""
        return int(time.monotonic() - self._began)

    def write(self, status: str, facts: Mapping[str, Any], *, well: bool = True) -> None:
        """Write the facts; the file says `AWAY` if the server does not take them. A full disk stops nobody.

        Parameters
        ----------
        status
            What the process does, in a few words.
        facts
            Numbers, texts, and lists and mappings of them.
        well
            Whether the service manager shall be told that all is well.
        """
        document = self._document(status, facts)
        try:
            pipeline = self.client.pipeline(transaction=True)
            pipeline.hset(keys.heartbeat(self.role), mapping={n: _flat(value) for n, value in document.items()})
            pipeline.pexpire(keys.heartbeat(self.role), TTL_MS)
            pipeline.execute()
        except redis.RedisError:
            self.away(facts)
            raise
        self._tell(document, well=well)

    def away(self, facts: Mapping[str, Any]) -> None:
        """Say, where no server is needed for it, that the server is away: that is no fault of this process."""
        self._tell(self._document(AWAY, facts), well=True)

    def _document(self, status: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "role": self.role,
            "status": status,
            "pid": os.getpid(),
            "token": self.token,
            "uptime_s": self.uptime_s,
            **facts,
            "updated_at": isoformat(time.time_ns()),
        }

    def _tell(self, document: Mapping[str, Any], *, well: bool) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            put(self._path, document)
        status = str(document["status"])
        words = [STOPPING] if status == STOPPED else [WELL] if well else []
        if not self._ready and status in _WORKING:
            self._ready = True
            words.append(READY)
        lag = document.get("lag")
        notify(*words, status=f"{status}, {lag} steps behind" if lag else status)


def _flat(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | int | float) else orjson.dumps(value).decode()
