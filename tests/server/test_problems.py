"""Errors over HTTP are problem documents, in the caller's language, and tell no secrets."""

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from daicho import Ledger, migrations
from daicho.server.sessions import Sessions
from tests.serving import TOKEN, Running, running


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/calls/nowhere", None, 404),
        ("GET", "/api/v1/nowhere", None, 404),
        ("PUT", "/api/v1/calls", None, 405),
        ("POST", "/api/v1/calls/call-1", None, 405),
        ("OPTIONS", "/api/v1/calls", None, 405),
        ("DELETE", "/health", None, 405),
        ("GET", "/nowhere", None, 404),
        ("GET", "/api/v1/calls/" + "x" * 20_000, None, 404),
        ("GET", "/api/v1/calls?limit=0", None, 422),
        ("GET", "/api/v1/calls?limit=many", None, 422),
        ("GET", "/api/v1/calls?cursor=nonsense", None, 422),
        ("GET", "/api/v1/calls?cursor=" + "A" * 20_000, None, 422),
        ("GET", f"/api/v1/calls/x/transcript?after={2**63}", None, 422),
        ("GET", f"/api/v1/calls/x/events?after={2**63}", None, 422),
        ("GET", "/api/v1/calls?since=2026-11-21T00:00:00", None, 422),
        ("GET", "/api/v1/search/calls?q=", None, 422),
        ("POST", "/api/v1/calls", b"{", 422),
        ("POST", "/api/v1/calls", b"[]", 422),
        ("POST", "/api/v1/calls", b"\xff\xfe", 422),
        ("POST", "/api/v1/calls", b'{"call_id": "x"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "", "client_id": "c"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "' + b"x" * 65 + b'", "client_id": "c"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "x", "client_id": "c", "stat": "s"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "a\\u0000b", "client_id": "c"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "a\\ud800b", "client_id": "c"}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "x", "client_id": "c", "\\ud800": 1}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": "x", "client_id": "c", "' + b"k" * 100_000 + b'": 1}', 422),
        ("POST", "/api/v1/calls", b'{"call_id": 1' + b"0" * 5_000 + b"}", 422),
        ("POST", "/api/v1/calls", b"[" * 100_000, 422),
        ("POST", "/api/v1/calls/x/logs", b'{"role": "ai", "text": "a\\ud800b"}', 422),
        ("POST", "/api/v1/calls/x/logs", b'{"role": "ai", "text": "a\\u0000b"}', 422),
        ("POST", "/api/v1/calls/x/logs", b'{"role": "' + b"r" * 100_000 + b'", "text": "b"}', 422),
        ("POST", "/api/v1/calls", b'"' + b"x" * (21 * 1024 * 1024) + b'"', 413),
    ],
)
def test_every_error_is_a_problem_document(
    one_server: Running, method: str, path: str, body: bytes | None, status: int
) -> None:
    with one_server.client(**{"Content-Type": "application/json"}) as client:
        answer = client.request(method, path, content=body)
        assert answer.status_code == status, answer.text[:300]
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert {"type", "title", "status", "detail", "instance"} <= set(problem)
        assert problem["status"] == status
        assert path.startswith(problem["instance"][:500])
        assert len(answer.content) < 2000
        assert "Traceback" not in answer.text
        assert client.get("/api/v1/calls").json()["items"] == []


def test_a_body_that_turns_out_too_long_is_refused_on_the_way(one_server: Running) -> None:
    megabytes = iter([b"x" * 1024 * 1024] * 21)
    with one_server.client(**{"Content-Type": "application/json"}) as client:
        answer = client.post("/api/v1/calls", content=megabytes)
        assert (answer.status_code, answer.json()["title"]) == (413, "too large")


def test_another_method_is_told_which_there_are(one_server: Running) -> None:
    with one_server.client() as client:
        assert client.put("/api/v1/calls").headers["allow"] == "GET, POST"
        assert client.put("/api/v1/calls/call-1").headers["allow"] == "DELETE, GET"


def test_each_place_that_is_wrong_is_named(one_server: Running) -> None:
    lines = [{"role": "ai", "text": "x"}, {"role": "robot", "text": 1}]
    with one_server.client() as client:
        errors = client.post("/api/v1/calls/call-1/logs/batch", json=lines).json()["errors"]
    assert [error["place"] for error in errors] == ["body[1].role", "body[1].text"]
    assert errors[0]["reason"] == "Input should be 'user' or 'ai'"


def test_a_problem_speaks_the_callers_language(one_server: Running) -> None:
    with one_server.client(**{"Accept-Language": "ja"}) as client:
        assert client.get("/api/v1/calls/x").json()["detail"] == "通話が見つかりません: x"
    with one_server.client(**{"Accept-Language": "en"}) as client:
        assert client.get("/api/v1/calls/x").json()["detail"] == "no such call: x"


def test_an_unforeseen_failure_is_said_without_its_insides(
    bare_app: tuple[FastAPI, Sessions], run_app: Callable[[FastAPI, Sessions], Running]
) -> None:
    @bare_app[0].get("/broken")
    async def broken() -> None:
        raise RuntimeError("the vault is behind the picture")

    with run_app(*bare_app).client(**{"Accept-Language": "ja"}) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["title"], "picture" in answer.text) == ("内部エラー", False)


def test_a_database_that_has_lost_its_tables_is_said_without_the_statement(sqlite_url: str) -> None:
    with running(sqlite_url) as server, server.client() as client:
        client.get("/api/v1/calls")
        with Ledger(sqlite_url) as ledger, ledger.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'x'")
            connection.exec_driver_sql("DROP TABLE call_logs")
        answer = client.get("/api/v1/search/calls?q=abcd")
        assert answer.status_code == 503
        assert "SELECT" not in answer.text


def test_a_database_that_is_not_ready_makes_health_fail(empty_url: str) -> None:
    with Ledger(empty_url) as ledger:
        migrations.run(ledger.database, "upgrade", "20251121_01")
    with running(empty_url) as server, server.client(None) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert "127.0.0.1" not in answer.text  # where the database is, is not for anyone
        assert "ledger.db" not in answer.text
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert "daicho db upgrade" in client.get("/api/v1/calls", headers=token).json()["detail"]


def test_health_is_public_and_names_the_revision(server: Running) -> None:
    answer = httpx.get(f"{server.base}/health", trust_env=False)
    assert answer.json() == {"status": "ok", "revision": migrations.HEAD}
