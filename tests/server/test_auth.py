"""The door: who comes in, by what, and from where."""

import re
import subprocess
import sys

import httpx
import pytest
from fastapi.routing import APIRoute

from daicho import AsyncLedger, Invalid, Settings
from daicho.core.settings import Server
from daicho.server.app import create_app
from daicho.server.auth import PUBLIC
from daicho.server.run import serve
from daicho.server.sessions import Sessions
from tests.serving import TOKEN, Running


def every_route() -> list[tuple[str, str]]:
    app = create_app(AsyncLedger("sqlite://"), Settings(), console=False)
    paths = app.openapi()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    hidden = [
        (next(iter(route.methods)), route.path)
        for route in app.routes
        if isinstance(route, APIRoute) and not route.include_in_schema
    ]
    return [
        *routes,
        *hidden,
        ("GET", "/api/openapi.json"),
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/_nicegui"),
    ]


@pytest.mark.parametrize(("method", "path"), every_route())
@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1], "トークン"])
def test_no_route_answers_without_the_right_key(
    one_server: Running, method: str, path: str, token: str | None
) -> None:
    concrete = re.sub(r"\{[^}]*\}", "call-1", path)
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    with one_server.client(None) as client:
        answer = client.request(method, concrete, headers=headers)
    if path in PUBLIC:
        assert answer.status_code == 200
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
        assert other.get(f"/?token={one_server.sessions.link_token}").status_code == 303


def test_a_browser_without_a_session_gets_a_form_that_signs_it_in(one_server: Running) -> None:
    with one_server.client(None, Accept="text/html", **{"Accept-Language": "ja"}) as browser:
        page = browser.get("/calls?state=%22%3E%3Cscript%3E")
        assert page.status_code == 401
        assert "サインイン" in page.text
        assert "<script>" not in page.text
        assert browser.post("/login", data={"token": "wrong"}).status_code == 401
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
    with one_server.client(None) as browser:
        browser.get(f"/?token={one_server.sessions.link_token}")
        foreign = browser.post("/api/v1/calls", json=call, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert browser.get("/api/v1/calls/call-1").status_code == 404
        own = browser.post("/api/v1/calls", json=call, headers={"Origin": one_server.base})
        assert own.status_code == 201
        login = browser.post("/login", data={"token": TOKEN}, headers={"Origin": "https://evil.example"})
        assert login.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_server_on_loopback_answers_to_its_own_names_only(one_server: Running, host: str) -> None:
    with one_server.client(Host=host) as client:
        assert client.get("/health").status_code == 421


def test_a_forged_or_foreign_cookie_does_not_come_in(one_server: Running) -> None:
    name = next(iter(one_server.client(None).get(f"/?token={one_server.sessions.link_token}").cookies))
    foreign = Sessions("another-token-altogether").new_cookie()
    for value in ("", "x", "x.y.z", foreign):
        with one_server.client(None) as client:
            assert client.get("/api/v1/calls", headers={"Cookie": f"{name}={value}"}).status_code == 401


def test_a_websocket_without_a_session_is_refused(one_server: Running) -> None:
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with one_server.client(None) as client:
        assert client.get("/_nicegui_ws/socket.io/?transport=websocket", headers=handshake).status_code == 403
        client.get(f"/?token={one_server.sessions.link_token}")
        foreign = client.get("/x", headers=handshake | {"Origin": "https://evil.example"})
        assert foreign.status_code == 403


def test_a_host_other_than_loopback_needs_a_token() -> None:
    with pytest.raises(Invalid, match="set DAICHO_TOKEN"):
        serve(Settings(server=Server(host="0.0.0.0", port=0)))  # noqa: S104


def test_a_port_in_use_is_said(one_server: Running, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    port = int(one_server.base.rsplit(":", 1)[1])
    with pytest.raises(Invalid, match=rf"port {port} .* in use; choose another with --port"):
        serve(Settings(server=Server(port=port)))


def test_serve_prints_a_link_serves_and_ends_in_order(sqlite_url: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "daicho", "--database", sqlite_url, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    said = [child.stdout.readline() for _ in range(3)]
    link = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)", said[1])
    bearer = re.search(r"Bearer (\S+)", said[2])
    assert link
    assert bearer
    deadline = httpx.HTTPTransport(retries=20)
    with httpx.Client(base_url=link[1], transport=deadline, trust_env=False, timeout=20) as client:
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/api/v1/calls").status_code == 401
        assert (
            client.get("/api/v1/calls", headers={"Authorization": f"Bearer {bearer[1]}"}).status_code == 200
        )
        assert client.get(f"/?token={link[2]}").status_code == 303
        assert "token=" in child.stdout.readline()
        client.post("/api/v1/calls", json={"call_id": "call-1", "client_id": "c"})
        with client.stream("GET", "/api/v1/calls/call-1/events") as stream:
            assert next(stream.iter_lines()) == "event: call"
            child.terminate()  # with a reader still there
            assert child.wait(15) == 0
    assert child.stderr.read() == ""
