"""Errors over HTTP are problem documents, in the caller's language, and tell no secrets."""

import httpx
import pytest

from daicho import Ledger, migrations
from tests.serving import Running, running


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/calls/nowhere", None, 404),
        ("GET", "/api/v1/nowhere", None, 404),
        ("PUT", "/api/v1/calls", None, 404),
        ("DELETE", "/health", None, 405),
        ("GET", "/api/v1/calls?limit=0", None, 422),
        ("GET", "/api/v1/calls?limit=many", None, 422),
        ("GET", "/api/v1/calls?cursor=nonsense", None, 422),
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
        ("POST", "/api/v1/calls", b"[" * 100_000, 400),
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
        assert {"type", "title", "status", "detail"} <= set(problem)
        assert problem["status"] == status
        assert len(answer.content) < 2000
        assert "Traceback" not in answer.text
        assert client.get("/api/v1/calls").json()["items"] == []


def test_a_problem_speaks_the_callers_language(one_server: Running) -> None:
    with one_server.client(**{"Accept-Language": "ja"}) as client:
        assert client.get("/api/v1/calls/x").json()["detail"] == "通話が見つかりません: x"
    with one_server.client(**{"Accept-Language": "en"}) as client:
        assert client.get("/api/v1/calls/x").json()["detail"] == "no such call: x"


def test_an_unforeseen_failure_is_said_without_its_insides(sqlite_url: str) -> None:
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
        assert answer.headers["retry-after"] == "1"
        assert "daicho db upgrade" in answer.json()["detail"]


def test_health_is_public_and_names_the_revision(server: Running) -> None:
    answer = httpx.get(f"{server.base}/health", trust_env=False)
    assert answer.json() == {"status": "ok", "revision": migrations.HEAD}
