"""What the stream server is, and what it promises."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import redis

from pine.bus.client import Client
from pine.bus.connection import write_problem
from pine.core.config import Config
from pine.core.config.sentinel import SentinelUrl

POWER_CUT: Final = {
    "always": "a power cut loses nothing acknowledged",
    "everysec": "a power cut may lose the last second or two",
    "no": "a power cut may lose the last half minute",
    None: "what a power cut loses is not known: this account may not ask for appendfsync",
}
"""What each policy of writing to disk promises."""

FULL_BYTES: Final = 1_000_000
"""With less than that a server cannot go on."""

_FAILOVER: Final = {
    True: "a failover loses nothing acknowledged",
    False: "a failover may lose what the replica lacks (bus.replicas: 0)",
}


def server_facts(client: Client, config: Config) -> dict[str, Any]:
    """Return what there is to know of the server, ready for JSON; under Sentinel of the present master."""
    info = client.info()
    fsync, min_replicas = _setting(client, "appendfsync"), _setting(client, "min-replicas-to-write")
    sentinel = SentinelUrl.is_one(config.bus.url)
    promises = [POWER_CUT[fsync], *([_FAILOVER[config.bus.replicas > 0]] if sentinel else [])]
    return {
        "url": shown_url(config.bus.url),
        "version": f"{'Valkey' if 'valkey_version' in info else 'Redis'} "
        f"{info.get('valkey_version') or info['redis_version']}",
        "run_id": info["run_id"],
        "uptime_s": info["uptime_in_seconds"],
        "fsync": fsync,
        "memory_bytes": info["used_memory"],
        "keys": client.dbsize(),
        "master": client.master(),
        "replicas": _in_step(info),
        "replicas_asked": config.bus.replicas,
        "min_replicas": None if min_replicas is None else int(min_replicas),
        "promise": "; ".join(promises),
        "cannot_write": write_problem(client),
    }


def cannot_write(config: Config, words: str) -> str:
    """Return what is wrong with a server that takes nothing, by what it says, and what to do."""
    where = f"of {config.data_dir / 'bus'}" if config.bus.url == "embedded" else "of the server"
    return f"the server cannot write ({words.rstrip('.')}): make room on the disk {where}, and everybody goes on"


def full_disk(config: Config) -> Iterator[str]:
    """Yield what is wrong with a disk that is full, which is why an embedded server may have ended."""
    with contextlib.suppress(OSError):  # it is not there yet
        free = shutil.disk_usage(config.data_dir).free
        if free < FULL_BYTES:
            yield f"the disk of {config.data_dir} is full ({free:,} bytes are free): make room, and everybody goes on"


def shown_url(url: str) -> str:
    """Return a server's URL without user, password and options."""
    if url == "embedded":
        return url
    if SentinelUrl.is_one(url):
        return SentinelUrl.parse(url).shown
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def server_problems(server: dict[str, Any]) -> Iterator[str]:
    """Yield what somebody must mend."""
    found, asked = server["replicas"], server["replicas_asked"]
    if found < asked:
        yield f"the server has {found} of the {asked} replicas that bus.replicas asks for: everybody waits for more"


def server_notes(server: dict[str, Any]) -> Iterator[str]:
    """Yield what somebody should know."""
    if server["master"] is None:
        return
    if not server["replicas"] and not server["replicas_asked"]:
        yield "the master has no replica that follows: if it fails, nobody can take over"
    if server["min_replicas"] == 0 and not server["replicas_asked"]:
        yield (
            "min-replicas-to-write is 0: a master that is cut off goes on writing what will be lost; "
            "CONFIG SET min-replicas-to-write 1, or bus.replicas: 1"
        )


def _in_step(info: dict[str, Any]) -> int:
    """Count the replicas that follow; one that is being sent everything first holds nothing, or something old."""
    listed = (info.get(f"slave{n}", {}) for n in range(info["connected_slaves"]))
    return sum(replica.get("state") == "online" for replica in listed)


def _setting(client: Client, name: str) -> str | None:
    """Return a setting of the server, or nothing if this account may not ask."""
    try:
        return client.config_get(name).get(name)
    except redis.ResponseError:
        return None
