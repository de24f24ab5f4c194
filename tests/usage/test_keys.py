"""API keys: shown once, told apart by their hash, good for what they say and nothing else."""

import hashlib
import logging
import re
from datetime import timedelta

import pytest
from fastapi import WebSocket
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from daicho import Invalid, Ledger, NotFound, Settings
from daicho.core.access import KeyScope, allowed
from daicho.core.types import now
from daicho.ledger import AsyncLedger
from daicho.server.app import create_app
from daicho.server.sessions import Sessions
from daicho.usage.models import ApiKey
from tests.cli.terminal import Here, one_line
from tests.faces import Faces
from tests.serving import TOKEN, Running

FORM = re.compile(r"dk_[A-Za-z0-9_-]{43}")


def test_a_key_is_kept_as_its_hash_only(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme")
    new = face.usage.create_key(tenant.id, "ingest", name="importer")
    assert FORM.fullmatch(new.key)
    assert new.stored.hash == hashlib.sha256(new.key.encode()).hexdigest()
    assert new.stored.hint == f"{new.key[:6]}…{new.key[-4:]}"
    kept = " ".join(str(value) for value in new.stored.values().values())
    for said in (repr(new), str(new), kept, repr(new.stored)):
        assert new.key not in said
    found = face.usage.key_for(new.key)
    assert (found.id, found.tenant_id, found.scope, found.name) == (
        new.stored.id,
        tenant.id,
        "ingest",
        "importer",
    )
    assert face.usage.create_key(tenant.id, "ingest").key != new.key


def test_no_other_token_is_a_key(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme")
    key = face.usage.create_key(tenant.id, "read").key
    other = face.usage.create_tenant("Other")
    stored = face.usage.list_keys().items[0]
    for token in (
        "",
        "dk_",
        key[:-1],
        key + "x",
        key.swapcase(),
        f" {key}",
        f"{key}\n",
        stored.hash,
        "鍵",
        "dk_" + "x" * 43,
    ):
        assert face.usage.key_for(token) is None
    scoped = Faces(face.ledger.for_tenant(other.id), face._finish)
    assert scoped.usage.key_for(key) is None


def test_a_revoked_key_is_a_key_no_more(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme")
    new = face.usage.create_key(tenant.id, "admin")
    revoked = face.usage.revoke_key(new.stored.id)
    assert face.usage.key_for(new.key) is None
    assert face.usage.revoke_key(new.stored.id).revoked_at == revoked.revoked_at
    for key in ("nonsense", tenant.id):
        with pytest.raises(NotFound, match="no such API key"):
            face.usage.revoke_key(key)


def test_keys_are_listed_latest_first(face: Faces) -> None:
    tenant, other = face.usage.create_tenant("Acme"), face.usage.create_tenant("Other")
    made = [face.usage.create_key(tenant.id, scope).stored.id for scope in KeyScope]
    face.usage.create_key(other.id, "read")
    first = face.usage.list_keys(tenant_id=tenant.id, limit=2)
    rest = face.usage.list_keys(tenant_id=tenant.id, limit=2, cursor=first.next)
    assert [one.id for one in [*first, *rest]] == made[::-1]
    assert len(face.usage.list_keys()) == 4
    with pytest.raises(Invalid, match="ingest, read or admin, not 'write'"):
        face.usage.create_key(tenant.id, "write")


def test_a_use_is_noted_once_a_minute(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme")
    key = face.usage.create_key(tenant.id, "read")
    face.usage.note_key_used(key.stored.id)
    first = face.usage.key_for(key.key).last_used_at
    face.usage.note_key_used(key.stored.id)
    assert face.usage.key_for(key.key).last_used_at == first
    with Ledger(face.ledger.database.url) as ledger, ledger.database.engine.begin() as connection:
        earlier = ApiKey.__table__.update().values(last_used_at=now() - timedelta(minutes=2))
        connection.execute(earlier)
    face.usage.note_key_used(key.stored.id)
    assert face.usage.key_for(key.key).last_used_at > first


# -- the door ----------------------------------------------------------------------------------------


@pytest.fixture
def acme(server: Running, url: str) -> dict[str, str]:
    """A tenant of a served ledger, and a key of each scope."""
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme")
        keys = {scope.value: ledger.usage.create_key(tenant.id, scope).key for scope in KeyScope}
    return {"id": tenant.id, **keys}


def test_each_scope_opens_its_own_routes(server: Running, acme: dict[str, str]) -> None:
    body = {"operation": "o", "model": "m"}
    wanted = {"ingest": (201, 403, 403), "read": (403, 200, 403), "admin": (201, 200, 200)}
    for scope, answers in wanted.items():
        with server.client(acme[scope]) as client:
            post = client.post("/api/v1/usage", json=body)
            get = client.get("/api/v1/usage")
            own = client.get(f"/api/v1/tenants/{acme['id']}/keys")
            assert (post.status_code, get.status_code, own.status_code) == answers, scope
            for answer, needed in (
                (post, "ingest or admin"),
                (get, "read or admin"),
                (own, "admin"),
                (client.get("/api/v1/calls"), None),
            ):
                kind = answer.headers["content-type"]
                assert (kind == "application/problem+json") == (answer.status_code == 403)
                if answer.status_code == 403:
                    about = f"This API key's scope is {scope}; this needs {needed}."
                    alone = f"Only the operator may do this; this API key's scope is {scope}."
                    assert answer.json()["detail"] == (about if needed else alone)


def routes() -> list[tuple[str, str, frozenset[KeyScope]]]:
    app = create_app(AsyncLedger("sqlite://"), Settings(), console=False)
    found = {
        (method, str(context.path), allowed(context.endpoint))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    }
    assert ("GET", "/api/v1/tenants", frozenset({KeyScope.ADMIN})) in found
    return [*sorted(found, key=str), ("GET", "/", frozenset()), ("POST", "/_nicegui", frozenset())]


def test_what_says_nothing_of_keys_is_the_operators(one_server: Running, sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        key = ledger.usage.create_key(ledger.usage.create_tenant("Acme").id, "admin").key
    unmarked = [route for route in routes() if not route[2]]
    assert len(unmarked) > 20
    with one_server.client(key) as client:
        for method, path, _ in unmarked:
            if path.startswith(("/health", "/login", "/webhooks/")):
                continue
            answer = client.request(method, re.sub(r"\{[^}]*\}", "x", path), content=b"{")
            assert answer.status_code == 403, (method, path)
    with one_server.client() as operator:
        assert operator.get("/api/v1/calls").status_code == 200


def test_unknown_and_revoked_keys_are_refused_alike(server: Running, acme: dict[str, str], url: str) -> None:
    with server.client() as operator:
        (key, *_) = operator.get(f"/api/v1/tenants/{acme['id']}/keys").json()["items"]
        assert operator.delete(f"/api/v1/tenants/{acme['id']}/keys/{key['id']}").status_code == 200
    answers = []
    for token in (acme[key["scope"]], "dk_" + "x" * 43, "dk_", "dk_鍵"):
        with server.client(None) as client:
            bearer = {"Authorization": f"Bearer {token}".encode()}
            answers.append(client.get("/api/v1/usage", headers=bearer))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["detail"] == "This token or API key is not known, or has been revoked."
    with server.client(None) as client:
        for sent in ({}, {"Authorization": "Basic YTpi"}):
            assert "'daicho serve' printed" in client.get("/api/v1/usage", headers=sent).json()["detail"]
        spoken = {"Authorization": "Bearer x", "Accept-Language": "ja"}
        told = client.get("/api/v1/usage", headers=spoken).json()["detail"]
        assert told == "このトークンまたは API キーは登録されていないか、無効になっています。"


def test_a_key_is_noted_as_used_without_its_request_waiting(
    server: Running, acme: dict[str, str], url: str
) -> None:
    with server.client(acme["read"]) as client, Ledger(url) as ledger:
        for _ in range(20):
            assert client.get("/api/v1/usage").status_code == 200
        deadline = now() + timedelta(seconds=10)
        while ledger.usage.key_for(acme["read"]).last_used_at is None:  # type: ignore[union-attr]
            assert now() < deadline
            assert client.get("/api/v1/usage").status_code == 200
        assert ledger.usage.key_for(acme["ingest"]).last_used_at is None  # type: ignore[union-attr]


def test_a_key_does_not_sign_in(server: Running, acme: dict[str, str]) -> None:
    with server.client(None) as browser:
        assert browser.post("/login", data={"token": acme["admin"]}).status_code == 401
        assert browser.get(f"/api/v1/tenants?token={acme['admin']}").status_code == 401


def test_a_key_opens_no_websocket() -> None:
    ledger, sessions = AsyncLedger("sqlite://"), Sessions(TOKEN)
    app = create_app(ledger, Settings(), sessions=sessions, console=False)

    @app.websocket("/greeting")
    async def greet(socket: WebSocket) -> None:
        await socket.accept()

    with TestClient(app, "http://127.0.0.1") as client:
        operator = {"Authorization": f"Bearer {TOKEN}"}
        tenant = client.post("/api/v1/tenants", json={"name": "Acme"}, headers=operator).json()
        path = f"/api/v1/tenants/{tenant['id']}/keys"
        made = client.post(path, json={"scope": "admin"}, headers=operator).json()
        tenants = {"Authorization": f"Bearer {made['key']}"}
        assert client.get(path, headers=tenants).status_code == 200
        with client.websocket_connect("ws://127.0.0.1/greeting", headers=operator):
            pass
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("ws://127.0.0.1/greeting", headers=tenants),
        ):
            pass
        assert closed.value.code == 1008
        assert FORM.fullmatch(made["key"])
        listed = client.get(path, headers=operator).text
        assert made["key"] not in listed
        assert "hash" not in listed


def test_no_key_is_written_to_a_log(
    server: Running, acme: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), server.client(acme["admin"]) as client:
        client.get("/api/v1/tenants/nonsense")
        client.get("/api/v1/calls")
        client.post("/api/v1/usage", content=b"{")
    assert caplog.records
    assert all(
        acme["admin"] not in one.getMessage() for one in caplog.records if one.name.startswith("daicho")
    )


# -- the command line --------------------------------------------------------------------------------


def test_a_key_stands_alone_on_standard_output(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = Here(sqlite_url, capsys)
    tenant = run("tenants", "create", "Acme").strip()
    key = run("keys", "create", "--tenant", "Acme", "--scope", "ingest", "--name", "importer").strip()
    assert FORM.fullmatch(key)
    assert "not shown again" in run.said
    assert key not in run.said
    listed = run("keys", "list", "--tenant", tenant)
    assert f"{key[:6]}…{key[-4:]}" in listed
    assert key not in listed + run("keys", "list", "--json")
    assert '"key":"dk_' in run("keys", "create", "--tenant", tenant, "--scope", "read", "--json")
    with Ledger(sqlite_url) as ledger:
        found = ledger.usage.key_for(key)
        assert found is not None
        assert run("keys", "revoke", found.id).startswith(f"revoked: {found.hint}")
        assert ledger.usage.key_for(key) is None
    run("keys", "revoke", "nonsense", code=1)
    assert one_line(run.said) == "no such API key: nonsense"
    run("keys", "create", "--tenant", "Nobody", "--scope", "read", code=1)
    assert one_line(run.said) == "no such tenant: Nobody"
    run("keys", "create", "--tenant", "Acme", "--scope", "write", code=2)
