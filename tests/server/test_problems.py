"""Errors over HTTP are problem documents, in the caller's language, and tell no secrets."""

from collections.abc import Callable
from typing import get_args

import httpx
import pytest
from fastapi import FastAPI
from pydantic_core.core_schema import ErrorType

from daicho import Ledger, migrations
from daicho.core.mistakes import JAPANESE
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


WORDS: list[tuple[str, str, str, str]] = [
    ("GET", "calls?limit=many", "", "query.limit: 整数として読めません"),
    ("GET", "calls?limit=0", "", "query.limit: 1 以上にしてください"),
    ("GET", "calls?limit=1001", "", "query.limit: 1000 以下にしてください"),
    ("GET", "calls?since=noon", "", "query.since: 日時として読めません"),
    (
        "GET",
        "calls?since=2023-11-01T00:00:00+09:00",
        "",
        "query.since: URL の + は空白になります。+09:00 は %2B",
    ),
    ("GET", "usage?until=2023-11-01 00:00+0900", "", "UTC の時刻に Z を付けてください"),
    ("GET", "calls?live=perhaps", "", "query.live: true か false にしてください"),
    ("POST", "calls", "{}", "body.call_id: 必須です; body.client_id: 必須です"),
    ("POST", "calls", '{"call_id": 1, "client_id": "c"}', "body.call_id: 文字列にしてください"),
    ("POST", "calls", '{"call_id": "x", "client_id": "c", "a": 1}', "body.a: この名前の項目はありません"),
    ("POST", "calls", '{"call_id": "\\ud800", "client_id": "c"}', "body.call_id: 文字として壊れています"),
    ("POST", "calls", "[]", "body: JSON のオブジェクトにしてください"),
    ("POST", "calls", '{"call_id": }', "body: 13 文字目から先を JSON として読めません"),
    ("POST", "calls/x/logs", '{"role": "robot", "text": "x"}', "body.role: 使える値: 'user', 'ai'"),
    ("POST", "calls/x/logs/batch", "{}", "body: JSON の配列にしてください"),
    ("POST", "calls/x/logs/batch", f"[{'1,' * 10_000}1]", "body: 多すぎます: 10001 件 (最大 10000 件)"),
    ("POST", "guilds/1/queue", '{"track_id": 1.5}', "body.track_id: 整数にしてください"),
    (
        "POST",
        "guilds/1/tickets",
        '{"category": "x"}',
        "使える値: 'technical', 'moderation', 'general', 'other'",
    ),
    ("POST", "guilds/1/logs", f'{{"request_id": "{"x" * 65}"}}', "長すぎます (最大 64 文字)"),
    ("POST", "guilds/1/logs", '{"request_id": ""}', "短すぎます (最小 1 文字)"),
    (
        "POST",
        "usage",
        '{"operation": "o", "tokens": 1}',
        "body.model: 必須です; body.tokens: この名前の項目はありません",
    ),
    ("POST", "usage", '{"success": "yes"}', "body.success: 使える値: 'success', 'failure'"),
    (
        "POST",
        "usage",
        '{"cost_usd": "1", "input_tokens": 1e400}',
        "body.input_tokens: 有限の数にしてください",
    ),
    ("POST", "usage", '{"cost_usd": "1"}', "body.cost_usd: 数値にしてください"),
    ("POST", "usage", '"text"', "body: JSON のオブジェクトにしてください"),
    ("POST", "usage", f'{{"input_tokens": {"1" * 5_000}}}', "本文に桁数の多すぎる数があります"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    WORDS,
    ids=[f"{at}-{path}" for at, (_, path, _, _) in enumerate(WORDS)],
)
def test_what_is_wrong_with_a_value_is_said_in_japanese(
    one_server: Running, method: str, path: str, body: str, told: str
) -> None:
    spoken = {"Accept-Language": "ja", "Content-Type": "application/json"}
    with one_server.client(**spoken) as client:
        problem = client.request(method, f"/api/v1/{path}", content=body or None).json()
    assert (problem["status"], problem["title"]) == (422, "入力が正しくありません")
    assert told in problem["detail"]


def test_json_that_breaks_off_is_told_by_its_character(one_server: Running) -> None:
    with one_server.client(**{"Content-Type": "application/json"}) as client:
        (error,) = client.post("/api/v1/calls", content='{"call_id": }').json()["errors"]
    assert error["place"] == "body"
    assert error["reason"].startswith("cannot be read as JSON at character 13: ")


def test_a_plus_that_a_url_has_made_a_space_is_told_so(one_server: Running) -> None:
    with one_server.client() as client:
        for time, told in (
            ("2023-11-01T00:00:00.5+09:00", "write +09:00 as %2B09:00, or give the time in UTC with Z"),
            ("2023-11-01 24:00:00 x", "Input should be"),
        ):
            answer = client.get(f"/api/v1/usage?since={time}")
            assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text
        assert client.get("/api/v1/usage?since=2023-11-01T00:00:00%2B09:00").status_code == 200


def test_every_kind_of_error_that_has_japanese_words_is_one_that_there_is() -> None:
    assert set(JAPANESE) <= set(get_args(ErrorType))


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
