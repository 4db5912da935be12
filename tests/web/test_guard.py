"""Nobody who is not meant to gets through to the page, its routes or its websocket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pine.web import guard
from pine.web.guard import COOKIE, SESSION_SECONDS, WRONG_TOKENS, Guard, Sessions, is_loopback

TOKEN = "HIDDEN-correct-horse"
SECRET = b"s" * 32
HERE = "http://127.0.0.1:8787"

app = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("inside"), methods=["GET", "POST"])])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "WRONG_SECONDS", 0.0)


def ask(door: Guard, method: str, path: str, base: str = HERE, **request: Any) -> httpx.Response:
    async def asking() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url=base) as client:
            return await client.request(method, path, **request)

    return asyncio.run(asking())


def knock(door: Guard, **headers: str) -> list[str]:
    """Open a websocket; return what the door, or the application behind it, sends."""
    sent = []
    raw = [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in {"host": "127.0.0.1:8787", **headers}.items()
    ]

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    scope = {"type": "websocket", "path": "/_nicegui_ws/socket.io/", "headers": raw}
    asyncio.run(Guard(behind, door.sessions)(scope, receive, send))
    return sent


def locked(clock: Callable[[], float] = lambda: 1000.0) -> Guard:
    return Guard(app, Sessions(TOKEN, SECRET, clock))


def cookie(door: Guard) -> dict[str, str]:
    assert door.sessions is not None
    return {"cookie": f"other=1; {COOKIE}={door.sessions.issue()}"}


# ---- on loopback, without a token


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost:9000", "[::1]:8787", "LOCALHOST"])
def test_names_of_this_machine_are_let_in(host: str) -> None:
    assert ask(Guard(app), "GET", "/", headers={"host": host}).text == "inside"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "10.0.0.7:8787", "", "[", "a@b"]
)
def test_any_other_name_is_refused_though_it_leads_here(host: str) -> None:
    assert ask(Guard(app), "GET", "/", headers={"host": host}).status_code == 403
    assert knock(Guard(app), host=host) == ["websocket.close"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:3000", "https://localhost:8787", "null"])
def test_another_page_can_neither_ask_nor_open_the_websocket(origin: str) -> None:
    assert ask(Guard(app), "POST", "/any", headers={"origin": origin}).status_code == 403
    assert knock(Guard(app), origin=origin) == ["websocket.close"]


def test_the_page_itself_can() -> None:
    assert ask(Guard(app), "POST", "/any", headers={"origin": HERE}).text == "inside"
    assert knock(Guard(app), origin=HERE) == ["websocket.accept"]


@pytest.mark.parametrize(
    ("site", "mode", "code"),
    [
        ("cross-site", "no-cors", 403),
        ("cross-site", "navigate", 403),
        ("same-site", "no-cors", 403),
        ("same-site", "navigate", 200),  # a link on a page of the same desk
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
def test_a_request_that_a_browser_says_is_from_elsewhere_is_refused(site: str, mode: str, code: int) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode}
    assert ask(Guard(app), "GET", "/", headers=headers).status_code == code


def test_no_other_page_may_frame_this_one_and_it_asks_nobody_else() -> None:
    headers = ask(Guard(app), "GET", "/").headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert ("http:" in headers["content-security-policy"]) is False


# ---- with a token


def test_without_the_token_nothing_is_reached_but_the_question_for_it() -> None:
    door = locked()
    assert "password" in ask(door, "GET", "/").text
    for path in ("/_nicegui/3.18.0/static/nicegui.js", "/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/any"):
        found = ask(door, "GET", path)
        assert (found.status_code, "inside" in found.text) == (401, False)
    assert ask(door, "GET", "/healthz").text == "inside"
    assert knock(door) == ["websocket.close"]


def test_the_token_is_asked_for_once() -> None:
    door = locked()
    found = ask(door, "POST", "/login", data={"token": TOKEN}, headers={"origin": HERE})
    given = found.headers["set-cookie"]
    assert (found.status_code, found.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(given.split("; "))
    assert TOKEN not in given
    value = {"cookie": given.split(";")[0]}
    assert ask(door, "GET", "/", headers=value).text == "inside"
    assert knock(door, **value) == ["websocket.accept"]
    assert knock(door, **value, origin="http://evil.example") == ["websocket.close"]


@pytest.mark.parametrize(
    ("scheme", "forwarded", "secure"),
    [("http", {}, False), ("http", {"x-forwarded-proto": "https"}, True), ("https", {}, True)],
)
def test_a_cookie_given_over_tls_stays_there(scheme: str, forwarded: dict[str, str], secure: bool) -> None:
    found = ask(locked(), "POST", "/login", f"{scheme}://desk.example", data={"token": TOKEN}, headers=forwarded)
    assert ("Secure" in found.headers["set-cookie"]) is secure


def test_with_a_token_the_page_has_any_name() -> None:
    door = locked()
    assert ask(door, "GET", "/", headers={"host": "desk.example", **cookie(door)}).text == "inside"


def test_cookies_that_were_not_issued_here_for_this_token_now_are_none() -> None:
    door = locked()
    assert door.sessions is not None
    good = door.sessions.issue()
    later = str(int(good.split(".")[0]) + 1)
    forged = [later + good[good.index(".") :], good[:-1], "", ".", "1." + "0" * 64, "é.x", "x." + good.split(".")[1]]
    for value in forged:
        assert not door.sessions.holds(value)
    assert door.sessions.holds(good)
    assert not Sessions("another token", SECRET, lambda: 1000.0).holds(good)
    assert not Sessions(TOKEN, b"t" * 32, lambda: 1000.0).holds(good)
    assert not Sessions(TOKEN, SECRET, lambda: 1001.0 + SESSION_SECONDS).holds(good)
    assert TOKEN not in repr(door)


def test_whoever_guesses_is_held_back_and_soon_not_listened_to() -> None:
    door = locked()
    waits = iter(range(100))
    door.attempts._clock = lambda: 0.1 * next(waits)
    for n in range(WRONG_TOKENS):
        found = ask(door, "POST", "/login", data={"token": f"wrong {n}"})
        assert (found.status_code, "set-cookie" in found.headers) == (401, False)
    assert ask(door, "POST", "/login", data={"token": TOKEN}).status_code == 429
    door.attempts._clock = lambda: 120.0
    assert ask(door, "POST", "/login", data={"token": TOKEN}).status_code == 303


def test_many_guesses_at_once_are_as_many_as_one_after_the_other() -> None:
    door = locked()

    async def guess(client: httpx.AsyncClient, number: int) -> int:
        async def slowly() -> AsyncIterator[bytes]:
            await asyncio.sleep(0)
            yield f"token={number}".encode()

        return (await client.post("/login", content=slowly())).status_code

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url=HERE) as client:
            return await asyncio.gather(*(guess(client, number) for number in range(4 * WRONG_TOKENS)))

    codes = asyncio.run(all_at_once())
    assert (codes.count(401), codes.count(429)) == (WRONG_TOKENS, 3 * WRONG_TOKENS)


def test_a_form_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "FORM_SECONDS", 0.01)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait() and {}  # type: ignore[return-value]

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [(b"host", b"127.0.0.1:8787")]}
    asyncio.run(locked()(scope, receive, send))
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("content", [b"", b"token=" + b"x" * 100_000, b"\xff\xfe", b"other=1"])
def test_a_form_without_a_token_is_wrong(content: bytes) -> None:
    assert ask(locked(), "POST", "/login", content=content).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_what_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "desk", "10.0.0.1", ""])  # noqa: S104  # nothing is bound
def test_what_others_may_reach(host: str) -> None:
    assert not is_loopback(host)
