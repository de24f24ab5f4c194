"""The door: who comes in, by what, and from where."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.routing import iter_route_contexts
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from daicho import AsyncLedger, Settings
from daicho.server.app import create_app
from daicho.server.auth import PUBLIC
from daicho.server.sessions import Sessions
from tests.serving import TOKEN, Running, running


def every_route() -> list[tuple[str, str]]:
    app = create_app(AsyncLedger("sqlite://"), Settings(), console=False)
    routes = {
        (method, str(context.path))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    }
    assert ("DELETE", "/api/v1/calls/{call_id:path}") in routes
    return [*sorted(routes), ("GET", "/"), ("GET", "/nowhere"), ("POST", "/_nicegui")]


@pytest.fixture(scope="module")
def closed_server(
    new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One server for whom nothing lets in: they leave it as it was."""
    with running(new_sqlite(tmp_path_factory.mktemp("closed") / "ledger.db")) as running_server:
        yield running_server


@pytest.mark.parametrize(("method", "path"), every_route())
@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1], "トークン"])
def test_no_route_answers_without_the_right_key(
    closed_server: Running, method: str, path: str, token: str | None
) -> None:
    concrete = re.sub(r"\{[^}]*\}", "call-1", path)
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    with closed_server.client(None) as client:
        answer = client.request(method, concrete, headers=headers)
    if path in PUBLIC:
        off = path.startswith("/webhooks/")  # until it has a token of its own
        assert answer.status_code == (404 if off else 200)
    else:
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_bearer_token_comes_in(one_server: Running) -> None:
    with one_server.client() as client:
        assert client.get("/api/v1/calls").status_code == 200


def test_a_link_works_once_and_leaves_a_session(one_server: Running) -> None:
    link = one_server.sessions.link_token
    with one_server.client(None) as browser, one_server.client(None) as other:
        answer = browser.get(f"/api/v1/calls?limit=5&token={link}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/api/v1/calls?limit=5")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert browser.get("/api/v1/calls").status_code == 200
        assert other.get(f"/api/v1/calls?token={link}").status_code == 401
        assert one_server.sessions.link_token != link
        unused = one_server.sessions.link_token
        assert other.post(f"/?token={unused}").status_code == 401
        assert other.get(f"/?token={unused}").status_code == 303


def test_a_browser_without_a_session_gets_a_form_that_signs_it_in(one_server: Running) -> None:
    with one_server.client(None, Accept="text/html", **{"Accept-Language": "ja"}) as browser:
        page = browser.get("/calls?state=%22%3E%3Cscript%3E")
        assert page.status_code == 401
        assert "サインイン" in page.text
        assert "<script>" not in page.text
        assert browser.post("/login", data={"token": "wrong"}).status_code == 401
        assert browser.post("/login", data={"token": "x" * 5000}).status_code == 413
        assert browser.put("/login").status_code == 405
        answer = browser.post("/login", data={"token": TOKEN, "next": "/calls?state=x"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/calls?state=x")
        assert browser.get("/api/v1/calls").status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\n/x"]
)
def test_signing_in_leads_to_this_site_only(one_server: Running, elsewhere: str) -> None:
    with one_server.client(None) as browser:
        answer = browser.post("/login", data={"token": TOKEN, "next": elsewhere})
        assert answer.headers["location"] == "/"


def test_another_site_cannot_act_through_a_session(one_server: Running) -> None:
    call = {"call_id": "call-1", "client_id": "c"}
    port = one_server.base.rsplit(":", 1)[1]
    with one_server.client(None) as browser:
        browser.get(f"/?token={one_server.sessions.link_token}")
        for origin in (
            "https://evil.example",
            f"http://evil.example:{port}",
            "http://127.0.0.1:1",
            f"http://localhost:{port}",
            f"ftp://127.0.0.1:{port}",
            f"127.0.0.1:{port}",
            f"http://x@127.0.0.1:{port}",
            "http://[",
            "null",
            "",
        ):
            foreign = browser.post("/api/v1/calls", json=call, headers={"Origin": origin})
            assert foreign.status_code == 403
        assert browser.get("/api/v1/calls/call-1").status_code == 404
        own = browser.post("/api/v1/calls", json=call, headers={"Origin": one_server.base})
        assert own.status_code == 201
        login = browser.post("/login", data={"token": TOKEN}, headers={"Origin": "https://evil.example"})
        assert login.status_code == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "evil_host.example", "127.0.0.1.evil.example", "8.8.8.8", "[", ""],
)
def test_a_server_on_loopback_answers_to_no_other_name(closed_server: Running, host: str) -> None:
    with closed_server.client(Host=host) as client:
        assert client.get("/health").status_code == 421


@pytest.mark.parametrize("host", ["localhost:80", "LOCALHOST", "127.0.0.1", "127.0.0.2:8765", "[::1]:8765"])
def test_a_server_on_loopback_answers_to_every_name_of_loopback(closed_server: Running, host: str) -> None:
    with closed_server.client(Host=host) as client:
        assert client.get("/health").status_code == 200


def test_a_session_is_found_among_whatever_cookies_the_machine_has(one_server: Running) -> None:
    with one_server.client(None) as client:
        ours = client.get(f"/?token={one_server.sessions.link_token}").headers["set-cookie"].split(";")[0]
        client.cookies.clear()
        for others in ('json={"a": [1, 2]}', "a b=c", "=", "名前=x", 'open="'):
            cookies = f"{others}; {ours}; {others}".encode()
            assert client.get("/api/v1/calls", headers={"Cookie": cookies}).status_code == 200


def test_a_forged_or_foreign_cookie_does_not_come_in(one_server: Running) -> None:
    name = next(iter(one_server.client(None).get(f"/?token={one_server.sessions.link_token}").cookies))
    foreign = Sessions("another-token-altogether").new_cookie()
    for value in ("", "x", "x.y.z", foreign):
        with one_server.client(None) as client:
            assert client.get("/api/v1/calls", headers={"Cookie": f"{name}={value}"}).status_code == 401


def test_a_websocket_opens_for_a_session_on_a_page_of_this_server_only(
    bare_app: tuple[FastAPI, Sessions], run_app: Callable[[FastAPI, Sessions], Running]
) -> None:
    app, sessions = bare_app

    @app.websocket("/greeting")
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")

    server = run_app(app, sessions)
    with server.client(None) as browser:
        browser.get(f"/?token={sessions.link_token}")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    greeting = f"{server.base.replace('http', 'ws')}/greeting"

    def heard(path: str = "", **headers: str) -> str | int:
        try:
            with connect(greeting + path, additional_headers=headers, proxy=None) as socket:
                return str(socket.recv(timeout=10))
        except InvalidStatus as refused:
            return refused.response.status_code

    assert heard(Cookie=cookie, Origin=server.base) == "hello"
    assert heard(Cookie=cookie) == "hello"
    assert heard(Authorization=f"Bearer {TOKEN}") == "hello"
    assert heard(Cookie=cookie, Origin="https://evil.example") == 403
    assert heard(Origin=server.base) == 403
    assert heard(Authorization="Bearer wrong") == 403
    unused = sessions.link_token
    assert heard(f"?token={unused}") == 403
    assert sessions.link_token == unused
