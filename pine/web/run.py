"""The dashboard's process: one port, one watcher, any number of browsers."""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from pine.bus.ending import ENDING
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.web.guard import HEALTH, Guard, Sessions, is_loopback
from pine.web.watch import Watcher

BACKLOG: Final = 128
RECONNECT_SECONDS: Final = 20.0
"""How long a browser that lost its connection finds its page as it left it."""

GRACE_SECONDS: Final = 1
"""How long open connections are waited for at the end."""

log = get_logger(__name__)


def run_dashboard(config: Config, host: str | None = None, port: int | None = None, option: str = "") -> None:
    """Serve the page until SIGINT or SIGTERM.

    Parameters
    ----------
    config
        The configuration; ``dashboard`` says where, and with which token.
    host, port
        Instead of those.
    option
        What a suggested command needs at its end to find the same configuration.

    Raises
    ------
    PineError
        If the host is not this machine's own and there is no token, or the port cannot be had.
    SecretMissing
        If the token's variable is not set.
    """
    host, port = host or config.dashboard.host, port or config.dashboard.port
    token = config.dashboard.token.reveal() if config.dashboard.token else ""
    if not token and not is_loopback(host):
        raise PineError(
            f"dashboard host: found {host}, which others can reach, and no token; set dashboard.token, "
            "or stay on 127.0.0.1 and come through a tunnel"
        )
    listening = listen(host, port)
    with contextlib.closing(listening):
        folder = private_folder(config.data_dir / "dashboard")
        secret = kept_secret(folder / "secret")
        watcher = Watcher(config, time.time_ns, option)
        watcher.look()
        watcher.start()
        sessions = Sessions(token, secret) if token else None
        application = Guard(make_app(watcher, folder, secret), sessions)
        told = {"url": f"http://{_netloc(host, port)}", "token": "asked for" if token else "none"}
        log.info("dashboard", **told)
        if not is_loopback(host):
            log.warning("not encrypted: whoever is between can read the token; see docs/dashboard.md")
        serve(application, listening)
        watcher.stop()


def make_app(watcher: Watcher, folder: Path, secret: bytes) -> FastAPI:
    """Return the application without its guard; what it keeps for browsers goes to a folder."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(folder)  # read when it is imported; the working folder is not ours
    os.environ.pop("NICEGUI_REDIS_URL", None)
    from nicegui import ui

    from pine.web.asking import asker
    from pine.web.page import build

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get(HEALTH)
    def health() -> JSONResponse:
        healthy = watcher.healthy()
        return JSONResponse({"status": "ok" if healthy else "no server"}, 200 if healthy else 503)

    ui.page("/")(build(watcher, asker(watcher.config)))
    ui.run_with(
        app,
        title="pine",
        favicon="🌲",
        dark=None,
        tailwind=False,
        reconnect_timeout=RECONNECT_SECONDS,
        binding_refresh_interval=None,
        storage_secret=secret.hex(),
        session_middleware_kwargs={"session_cookie": "pine_browser", "same_site": "strict"},
        show_welcome_message=False,
    )
    return app


class _Server(uvicorn.Server):
    """Ends as this process is asked to, and leaves the exit code alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take up requests to end."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self.force_exit, self.should_exit = self.should_exit, True  # asked twice: at once


def serve(application: Guard, listening: socket.socket) -> None:
    """Answer requests until this process is asked to end."""
    settings = uvicorn.Config(
        application,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    asyncio.run(_Server(settings).serve([listening]))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port somebody has is told before anything else is begun."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        why = "somebody listens there already" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise PineError(f"dashboard on {_netloc(host, port)}: {why}; another port: --port, or dashboard.port") from None
    return listening


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user may look into."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise PineError(f"dashboard folder {folder}: cannot be made: {error.strerror}") from None
    return folder


def kept_secret(path: Path) -> bytes:
    """Return the secret that signs cookies: random, made once, readable by this user only."""
    with contextlib.suppress(FileNotFoundError):
        found = path.read_bytes()
        if len(found) >= 32:
            return found
        path.unlink()
    made = secrets.token_bytes(32)
    with contextlib.suppress(FileExistsError):  # two of us at once: the first one's holds
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
    return path.read_bytes()


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
