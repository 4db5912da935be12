"""Who may see the page and press its buttons: judged before anything of it is reached, websocket included.

On loopback the danger is another page in the operator's own browser: it can send requests here, under a name of its
own that leads to this machine, or with its own origin. Elsewhere it is whoever can reach the port: nobody without the
token gets further than the question for it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from html import escape
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, urlsplit

from attrs import define, field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "pine_dashboard"
LOGIN: Final = "/login"
HEALTH: Final = "/healthz"
SESSION_SECONDS: Final = 30 * 86_400
LONGEST_FORM: Final = 4096
"""Bytes of a form with a token; what is longer is none."""

FORM_SECONDS: Final = 10.0
"""How long such a form may take to arrive."""

WRONG_SECONDS: Final = 1.0
"""How long the answer to a wrong token is held back."""
WRONG_TOKENS: Final = 5
"""Wrong tokens of one address within `WRONG_WINDOW` seconds, after which it is not listened to."""
WRONG_WINDOW: Final = 60.0
MOST_ADDRESSES: Final = 10_000

HEADERS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all a browser's form says that it comes from nowhere
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'self'; "
        b"object-src 'none'; frame-ancestors 'none'",
    ),
)
"""No other page may frame this one to have its buttons pressed, and the page itself asks nobody else for anything."""


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own and nobody else's."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@define(eq=False)
class Sessions:
    """Signed statements that a browser has shown the token; they end with the token, the secret, or after thirty days.

    Parameters
    ----------
    token
        What a person must know.
    secret
        What only this installation knows.
    clock
        Seconds since 1970.
    """

    _token: str = field(repr=False)
    _secret: bytes = field(repr=False)
    _clock: Callable[[], float] = time.time

    def knows(self, offered: str) -> bool:
        """Tell whether a token is the right one, in a time that tells nothing else."""
        return hmac.compare_digest(_digest(offered.encode()), _digest(self._token.encode()))

    def issue(self) -> str:
        """Return the value of a new cookie."""
        expires = str(int(self._clock()) + SESSION_SECONDS)
        return f"{expires}.{self._signature(expires)}"

    def holds(self, value: str) -> bool:
        """Tell whether a cookie was issued here, for the present token, and has not expired."""
        expires, _, signature = value.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(expires).encode())
        return genuine and int(expires) > self._clock()

    def _signature(self, expires: str) -> str:
        key = hmac.digest(self._secret, self._token.encode(), "sha256")
        return hmac.new(key, expires.encode(), "sha256").hexdigest()


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


@define(eq=False)
class Attempts:
    """Wrong tokens by the address that they came from."""

    _clock: Callable[[], float] = time.monotonic
    _wrong: dict[str, deque[float]] = field(factory=dict)

    def too_many(self, address: str) -> bool:
        """Tell whether an address must wait before it is listened to again."""
        return len(self._recent(address)) >= WRONG_TOKENS

    def reserve(self, address: str) -> float:
        """Count an attempt as wrong before it is read: many at once are as many as one after the other."""
        if len(self._wrong) >= MOST_ADDRESSES:
            self._wrong = {known: times for known in list(self._wrong) if (times := self._recent(known))}
        now = self._clock()
        self._recent(address).append(now)
        return now

    def forgive(self, address: str, reserved: float) -> None:
        """Take back what was counted of an attempt that was right."""
        with contextlib.suppress(ValueError):  # it is too old to count by now
            self._recent(address).remove(reserved)

    def _recent(self, address: str) -> deque[float]:
        times = self._wrong.setdefault(address, deque())
        while times and times[0] < self._clock() - WRONG_WINDOW:
            times.popleft()
        return times


@define(eq=False)
class Guard:
    """Stands before the application.

    Parameters
    ----------
    app
        The application.
    sessions
        Who has shown the token; nothing where none is asked for, which is on loopback only.
    attempts
        Counts wrong tokens.
    """

    app: ASGIApp
    sessions: Sessions | None = None
    attempts: Attempts = field(factory=Attempts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, ask for the token, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        wrong = foreign(headers, any_host=self.sessions is not None)
        if wrong:
            await _refuse(scope, receive, send, 403, wrong)
        elif self._passes(scope, headers):
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "http" and scope["path"] == LOGIN and scope["method"] == "POST":
            await self._log_in(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in ("/", LOGIN):
            await _answer(send, 200, _form())
        else:
            await _refuse(scope, receive, send, 401, "log in first")

    def _passes(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        if self.sessions is None or scope["path"] == HEALTH:
            return True
        cookie = _cookie(headers.get("cookie", ""))
        return cookie is not None and self.sessions.holds(cookie)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.sessions is not None
        address = (scope.get("client") or ("nobody",))[0]
        if self.attempts.too_many(address):
            await _answer(send, 429, _form("Too many wrong tokens: wait a minute."))
            return
        reserved = self.attempts.reserve(address)
        offered = parse_qs((await _body(receive)).decode(errors="replace")).get("token", [""])[0]
        if not self.sessions.knows(offered):
            await asyncio.sleep(WRONG_SECONDS)
            await _answer(send, 401, _form("That is not the token."))
            return
        self.attempts.forgive(address, reserved)
        attributes = f"Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict"
        secure = "; Secure" if _is_https(scope) else ""
        cookie = f"{COOKIE}={self.sessions.issue()}; {attributes}{secure}"
        await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])


def foreign(headers: Mapping[str, str], *, any_host: bool) -> str:
    """Return why a request comes from a page that is not ours, or nothing.

    Parameters
    ----------
    headers
        By lower-case name.
    any_host
        Whether this page may be asked for under any name: what protects it then is the cookie, which a browser does
        not send to another name.
    """
    host = headers.get("host", "")
    if not any_host and not is_loopback(_host_of(host)):
        return "Host: not a name of this machine's loopback; ask for http://localhost or http://127.0.0.1"
    origin = headers.get("origin")
    if origin is not None and (not host or origin.partition("://")[2].lower() != host.lower()):
        return "Origin: another page"
    site = headers.get("sec-fetch-site")
    if site == "cross-site" or (site == "same-site" and headers.get("sec-fetch-mode") != "navigate"):
        return "Sec-Fetch-Site: another page; type this address, or open a bookmark of it"
    return ""


def _host_of(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_https(scope: Scope) -> bool:
    return scope.get("scheme") == "https" or _headers(scope).get("x-forwarded-proto") == "https"


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


async def _body(receive: Receive) -> bytes:
    """Return what was posted, if it is short enough to be a token and comes at once."""
    body: bytes = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORM_SECONDS):
            while len(body) <= LONGEST_FORM:
                message = await receive()
                body += bytes(message.get("body", b""))
                if not message.get("more_body", False):
                    return body if len(body) <= LONGEST_FORM else b""
    return b""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status, "reason": why})  # before it is accepted: a 403
    else:
        await _answer(send, status, f"<p>{escape(why)}</p>")


async def _answer(send: Send, status: int, body: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    content = body.encode()
    own = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *more, *HEADERS]})
    await send({"type": "http.response.body", "body": content})


def _form(wrong: str = "") -> str:
    """Return the page that asks for the token; plain, since nothing else is served before the answer."""
    told = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>pine</title><link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark; font: 16px system-ui, sans-serif }}
body {{ display: grid; place-items: center; min-height: 90vh; margin: 0 }}
form {{ display: grid; gap: 12px; width: min(300px, 86vw) }}
input, button {{ font: inherit; padding: 10px 12px; border-radius: 8px; border: 1px solid #8888 }}
p {{ color: #d33f3f; margin: 0 }}
</style></head><body><form method="post" action="{LOGIN}">
<strong>pine</strong>{told}
<label for="token">Token of this dashboard</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Enter</button></form></body></html>"""
