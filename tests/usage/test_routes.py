"""Usage over HTTP, against a real server on both databases."""

import asyncio
import gzip
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from daicho import Ledger
from daicho.usage import ingest as ingesting
from tests.serving import TOKEN, Running, running

pytestmark = pytest.mark.in_turns

API = "/api/v1/usage"
NDJSON = {"Content-Type": "application/x-ndjson"}
CALL: dict[str, Any] = {"operation": "generate_assessment", "model": "own-model", "input_tokens": 10}
NOTHING = {"accepted": 0, "duplicate": 0, "rejected_count": 0, "rejected": []}


def wait_until(holds: Callable[[], object]) -> None:
    deadline = monotonic() + 20
    while not holds():
        assert monotonic() < deadline
        sleep(0.02)


@pytest.fixture
def tenant(server: Running, url: str) -> str:
    with Ledger(url) as ledger:
        return str(ledger.usage.create_tenant("Acme").id)


@pytest.fixture
def ingest(server: Running, url: str, tenant: str) -> Iterator[httpx.Client]:
    """A client with a key of the tenant's that may only send."""
    with Ledger(url) as ledger:
        key = ledger.usage.create_key(tenant, "ingest").key
    with server.client(key) as client:
        yield client


def test_one_record_is_answered_as_it_is_stored(server: Running, tenant: str) -> None:
    record = {**CALL, "tenant_id": tenant, "id": str(uuid4()), "cost_usd": 0.25, "source": "call:1"}
    record["created_at"] = "2026-11-21T17:18:22+09:00"
    with server.client() as client:
        first = client.post(API, json=record)
        assert first.status_code == 201
        assert first.json()["created_at"] == "2026-11-21T08:18:22Z"
        assert client.post(API, json={**record, "input_tokens": 99}).json() == first.json()
        assert client.get(f"{API}/{record['id']}").json() == first.json()
        assert [one["id"] for one in client.get(API, params={"source": "call:1"}).json()["items"]] == [
            record["id"]
        ]
        cost = client.get(f"{API}/cost", params={"source": "call:1"}).json()
        assert (cost["api_calls"], cost["total_cost_usd"]) == (1, 0.25)
        wrong = client.get(f"{API}/cost", params={"source": "foo"})
        assert (wrong.status_code, "a kind and a name" in wrong.json()["detail"]) == (422, True)
        assert client.delete(f"{API}/{record['id']}").status_code == 204
        assert client.get(f"{API}/{record['id']}").status_code == 404
        assert all(one["differ"] == 0 for one in client.get(f"{API}/verify").json())


def test_a_key_says_whose_record_it_is(ingest: httpx.Client, server: Running, tenant: str) -> None:
    stored = ingest.post(API, json=CALL)
    assert (stored.status_code, stored.json()["tenant_id"]) == (201, tenant)
    assert ingest.post(API, json={**CALL, "tenant_id": str(uuid4())}).status_code == 404
    assert ingest.get(API).status_code == 403


def test_an_array_is_recorded_but_for_its_bad_items(ingest: httpx.Client) -> None:
    name = str(uuid4())
    items = [
        {**CALL, "id": name},
        {**CALL, "input_tokens": -1},
        "no record",
        {**CALL, "id": name},
        CALL,
        {"model": "m"},
    ]
    answer = ingest.post(API, json=items)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["duplicate"]) == (2, 1)
    assert [one["line"] for one in body["rejected"]] == [2, 3, 6]
    assert "input_tokens" in body["rejected"][0]["reason"]
    assert "operation" in body["rejected"][2]["reason"]
    assert ingest.post(API, json=[]).json() == NOTHING


def test_lines_are_recorded_as_they_stream_in(ingest: httpx.Client, server: Running) -> None:
    def lines() -> Iterator[bytes]:
        for number in range(1, 12_001):
            if number in {7, 11_000}:
                yield b'{"operation": "o", \n'
            elif number == 8:
                yield b"\r\n"
            else:
                yield json.dumps({**CALL, "operation": "要約"}).encode() + (b"\r\n" if number % 2 else b"\n")
        yield json.dumps({**CALL, "user_id": str(uuid4())}).encode()  # without an end of line

    answer = ingest.post(API, content=lines(), headers=NDJSON)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["accepted"], body["duplicate"]) == (11_997, 0)
    assert [one["line"] for one in body["rejected"]] == [7, 11_000, 12_001]
    assert "no such user" in body["rejected"][2]["reason"]
    with server.client() as client:
        assert all(one["differ"] == 0 for one in client.get(f"{API}/verify").json())


def test_a_stream_of_lines_may_be_longer_than_any_other_request(ingest: httpx.Client) -> None:
    line = json.dumps({**CALL, "operation": "x" * 101}).encode() + b" " * 60_000 + b"\n"

    def lines() -> Iterator[bytes]:
        for _ in range(400):
            yield line

    answer = ingest.post(API, content=lines(), headers=NDJSON)
    assert (answer.status_code, len(answer.json()["rejected"])) == (200, 400)
    assert ingest.post(API, content=lines()).status_code == 413


def test_lines_with_ids_may_be_sent_again(ingest: httpx.Client) -> None:
    body = "\n".join(json.dumps({**CALL, "id": str(uuid4())}) for _ in range(50))
    assert ingest.post(API, content=body, headers=NDJSON).json()["accepted"] == 50
    assert ingest.post(API, content=body, headers=NDJSON).json() == {**NOTHING, "duplicate": 50}


def test_bad_lines_are_told_to_a_thousand_and_counted_to_the_last(ingest: httpx.Client) -> None:
    lines = b"bad\n" * 6_000 + json.dumps(CALL).encode()
    for body in (
        ingest.post(API, content=lines, headers=NDJSON).json(),
        ingest.post(API, json=[*["bad"] * 6_000, CALL]).json(),
    ):
        assert (body["accepted"], body["rejected_count"]) == (1, 6_000)
        assert [one["line"] for one in body["rejected"]] == list(range(1, 1_001))


def test_a_line_too_long_or_too_deep_is_rejected_and_those_after_it_are_taken(ingest: httpx.Client) -> None:
    good = json.dumps(CALL).encode() + b"\n"

    def lines() -> Iterator[bytes]:
        yield b"\xef\xbb"
        yield b"\xbf" + good
        yield b'{"operation": "'
        for _ in range(200):
            yield b"x" * 10_000
        yield b'"}\n' + good
        yield b"[" * 60_000 + b"\n" + good
        yield b"y" * 70_000

    answer = ingest.post(API, content=lines(), headers=NDJSON)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3), answer.text
    told = answer.json()["rejected"]
    assert [one["line"] for one in told] == [2, 4, 6]
    assert told[0]["reason"] == told[2]["reason"] == "is longer than 65,536 bytes"
    assert "recursion" in told[1]["reason"]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1 << 20])
def test_lines_are_the_same_however_they_are_cut(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "LINE_BYTES", 10)
    monkeypatch.setattr(ingesting, "LOT_BYTES", 14)
    text = b"\xef\xbb\xbfone\r\n\n" + b"x" * 11 + b"\n" + b"y" * 10 + b"\n  \n\xef\xbb\xbfsix\n" + b"z" * 99

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(text), size):
            yield text[at : at + size]

    async def lots() -> list[list[tuple[int, bytes | None]]]:
        return [lot async for lot in ingesting._together(pieces())]

    wanted = [(1, b"one\r"), (3, None), (4, b"y" * 10), (6, b"\xef\xbb\xbfsix"), (7, None)]
    some = asyncio.run(lots())
    assert [line for lot in some for line in lot] == wanted
    assert [len(lot) for lot in some] == [3, 2]


def test_a_key_that_is_revoked_during_an_upload_ends_it(server: Running, url: str, tenant: str) -> None:
    with Ledger(url) as ledger:
        key = ledger.usage.create_key(tenant, "ingest")
        line = json.dumps(CALL).encode() + b"\n"

        def lines() -> Iterator[bytes]:
            yield line * 2_000
            wait_until(lambda: len(ledger.usage.list()) == 50)
            ledger.usage.revoke_key(key.stored.id)
            yield line * 15_000

        with server.client(key.key) as client:
            answer = client.post(API, content=lines(), headers=NDJSON)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert "what lines 1 to 2,000 say is recorded" in answer.json()["detail"]
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]
        with server.client() as operator:
            first = operator.get(API, params={"limit": 1000}).json()
            pages = 1
            while first["next"]:
                first = operator.get(API, params={"limit": 1000, "cursor": first["next"]}).json()
                pages += 1
        assert pages == 2


def test_a_client_that_hangs_up_leaves_one_line_in_the_log(
    one_server: Running, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    at = urlsplit(one_server.base)
    with Ledger(sqlite_url) as ledger, caplog.at_level(logging.INFO):
        tenant = ledger.usage.create_tenant("Acme").id
        body = json.dumps({**CALL, "tenant_id": tenant}).encode() + b"\n"
        for sent, told in (
            (1, "nothing of it is recorded"),
            (2_001, "what lines 1 to 2,000 say is recorded"),
        ):
            caplog.clear()
            with socket.create_connection((str(at.hostname), int(at.port or 0))) as client:
                client.sendall(
                    f"POST {API} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
                    "Content-Type: application/x-ndjson\r\nContent-Length: 100000000\r\n\r\n".encode()
                )
                client.sendall(body * sent)
                wait_until(lambda sent=sent: sent == 1 or len(ledger.usage.list()) == 50)
            wait_until(lambda: any("hung up" in one.getMessage() for one in caplog.records))
            (said,) = (one for one in caplog.records if "hung up" in one.getMessage())
            assert told in said.getMessage()
            assert not [one for one in caplog.records if one.exc_info or one.levelno > logging.INFO]


def test_a_body_that_is_packed_is_not_read(ingest: httpx.Client) -> None:
    packed = gzip.compress(json.dumps(CALL).encode())
    for kind in ({}, NDJSON):
        answer = ingest.post(API, content=packed, headers={**kind, "Content-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")
        assert "without Content-Encoding" in answer.json()["detail"]
    plain = ingest.post(API, content=json.dumps(CALL), headers={"Content-Encoding": "identity"})
    assert plain.status_code == 201


WRONG: list[tuple[str, Any, str]] = [
    ("input_tokens", True, "input_tokens: must be a JSON number"),
    ("input_tokens", "1_000", "input_tokens: must be a JSON number"),
    ("input_tokens", 1.5, "input_tokens: Input should be a valid integer"),
    ("duration_ms", "5", "duration_ms: must be a JSON number"),
    ("cost_usd", True, "cost_usd"),
    ("cost_usd", "0.5", "cost_usd"),
    ("created_at", 20261121, "created_at: must be a text in ISO 8601"),
    ("created_at", "20261121", "created_at: must be a text in ISO 8601"),
    ("created_at", "2026-11-21", "created_at: must be a text in ISO 8601"),
    ("created_at", "2026-11-21T00:00:00", "created_at: has no time zone"),
    ("created_at", "1971-12-31T23:59:59Z", "created_at: lies outside the years 1972 to 9998"),
    ("created_at", "9999-01-01T00:00:00Z", "created_at: lies outside the years 1972 to 9998"),
    ("created_at", "0001-01-01T00:00:00+09:00", "created_at: lies outside the years 1972 to 9998"),
    ("operation", " ", "operation: is blank"),
    ("model", "", "model: is blank"),
    ("model", 5, "model"),
]


def test_a_value_of_another_type_is_refused_however_it_is_sent(ingest: httpx.Client) -> None:
    records = [{**CALL, name: value} for name, value, _ in WRONG]
    ones = [ingest.post(API, json=one) for one in records]
    assert {one.status_code for one in ones} == {422}
    array = ingest.post(API, json=records).json()
    lines = ingest.post(API, content="\n".join(map(json.dumps, records)), headers=NDJSON).json()
    assert array["accepted"] == lines["accepted"] == 0
    for (_, _, reason), one, of_array, of_lines in zip(
        WRONG, ones, array["rejected"], lines["rejected"], strict=True
    ):
        for said in (one.json()["detail"].removeprefix("body."), of_array["reason"], of_lines["reason"]):
            assert said.startswith(reason)
        assert [told["place"].removeprefix("body.") for told in one.json()["errors"]] == [
            reason.partition(":")[0]
        ]


def test_what_is_wrong_with_records_is_said_in_the_senders_language(ingest: httpx.Client) -> None:
    bad = ['"text"', '{"operation": "o", "success": "x", "tokens": 1}', '{"operation": "o", "model": " "}']
    broken = ['{"operation" "o"}', '{"' + "x" * 1_000 + '": 1}']
    fields = "model: {}; success: {}; tokens: {}"
    one_of = "使える値: 'success', 'failure'"
    in_japanese = [
        "record: JSON のオブジェクトにしてください",
        fields.format("必須です", one_of, "この名前の項目はありません"),
        "model: 空です",
        "record: 14 バイト目から先を JSON として読めません: expected `:`",
    ]
    in_english = [
        "record: should be a JSON object",
        fields.format(
            "Field required", "Input should be 'success' or 'failure'", "Extra inputs are not permitted"
        ),
        "model: is blank",
        "record: Invalid JSON: expected `:` at column 14",
    ]
    for language, reasons in (("ja", in_japanese), ("en", in_english)):
        spoken = {"Accept-Language": language}
        lines = ingest.post(API, content="\n".join(bad + broken), headers=NDJSON | spoken).json()["rejected"]
        assert [one["reason"] for one in lines[:-1]] == reasons
        assert ("x" * 100 + "…: " in lines[-1]["reason"], len(lines[-1]["reason"]) < 300) == (True, True)
        array = ingest.post(API, content=f"[{','.join(bad)}]", headers=spoken).json()["rejected"]
        assert [one["reason"] for one in array] == reasons[: len(bad)]


def test_a_number_of_thousands_of_digits_is_said_to_be_too_long(ingest: httpx.Client) -> None:
    for body in ('{"input_tokens": %s}', '[{"input_tokens": %s}]'):
        answer = ingest.post(API, content=body % ("1" * 5_000))
        assert (answer.status_code, answer.json()["detail"]) == (422, "a number in the body is too long")
    line = '{"input_tokens": %s}' % ("1" * 5_000)
    for language, told in (("en", "Invalid JSON: a number is too long"), ("ja", "数の桁数が多すぎます")):
        spoken = NDJSON | {"Accept-Language": language}
        (one,) = ingest.post(API, content=line, headers=spoken).json()["rejected"]
        assert (told in one["reason"], "limit" in one["reason"]) == (True, False)


# -- a database that fails -----------------------------------------------------------------------------------


@pytest.fixture
def read_only(
    new_sqlite: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """A ledger's URL whose file cannot be written, with a key of a tenant's; root reads it as nobody."""
    folder = Path(tempfile.mkdtemp())  # others may look into it, as into no folder of pytest's
    file, me = folder / "ledger.db", os.geteuid()
    url = new_sqlite(file)
    with Ledger(url) as ledger:
        key = ledger.usage.create_key(ledger.usage.create_tenant("Acme").id, "admin").key
    monkeypatch.chdir(folder)
    folder.chmod(0o777)
    file.chmod(0o444)
    try:
        if me == 0:
            os.seteuid(65534)
        yield url, key
    finally:
        os.seteuid(me)
        shutil.rmtree(folder)


def test_a_tenant_is_not_told_where_the_database_is(
    read_only: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url, key = read_only
    refused = "the database cannot do this; the server's log says why"
    so_far = "; nothing of it is recorded, go on after that (records with an id may be sent again)"
    line = json.dumps(CALL)
    sent: list[tuple[str, dict[str, str], str]] = [
        (line, {}, refused),
        (f"[{line}]", {}, refused),
        (line, NDJSON, refused + so_far),
    ]
    with running(url) as server, server.client(key) as tenant, server.client() as operator:
        (acme,) = operator.get("/api/v1/tenants").json()["items"]
        for body, kind, told in sent:
            caplog.clear()
            answer = tenant.post(API, content=body, headers=kind)
            assert (answer.status_code, answer.json()["detail"]) == (503, told)
            assert answer.headers["retry-after"] == "1"
            assert "ledger.db" not in answer.text
            assert any(f"POST {API}: {url}: cannot be written" in one.getMessage() for one in caplog.records)
            whole = body.replace("{", f'{{"tenant_id": "{acme["id"]}", ')
            answer = operator.post(API, content=whole, headers=kind)
            assert (answer.status_code, f"{url}: cannot be written" in answer.json()["detail"]) == (503, True)
        spoken = tenant.post(API, content=line, headers=NDJSON | {"Accept-Language": "ja"}).json()["detail"]
    assert spoken.startswith("データベースで処理できません。詳しくはサーバーのログにあります。まだ何も")


def test_a_tenant_is_not_told_which_database_has_no_table(one_server: Running, sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        key = ledger.usage.create_key(ledger.usage.create_tenant("Acme").id, "read").key
        with one_server.client(key) as tenant, one_server.client() as operator:
            assert tenant.get(API).status_code == 200
            with ledger.database.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE ai_usage_logs RENAME TO gone")
            told, whole = tenant.get(API), operator.get(API)
    assert (told.status_code, whole.status_code) == (503, 503)
    assert told.json()["detail"] == "the database cannot do this; the server's log says why"
    assert (told.json()["title"], sqlite_url in whole.json()["detail"]) == (whole.json()["title"], True)


def test_a_value_spelled_in_any_way_that_json_has_is_taken(ingest: httpx.Client) -> None:
    for name, value in (
        ("input_tokens", 1000.0),
        ("cost_usd", 1),
        ("created_at", "1972-01-01T00:00:00Z"),
        ("created_at", "2026-11-20 23:59:59.123456789+09:00"),
    ):
        assert ingest.post(API, json={**CALL, name: value}).status_code == 201, name


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", {}, "the body is no JSON"),
        (b"{", {}, "the body is no JSON"),
        (b'"text"', {}, "body: should be a JSON object"),
        (b'{"operation": "o"}', {}, "model"),
        (b'{"operation": "o", "model": "m", "tokens": 3}', {}, "tokens"),
        (b'{"operation": "o", "model": "m", "created_at": "2026-11-21T08:00:00"}', {}, "no time zone"),
        (b"[" * 100_000, {}, "the body is nested too deeply"),
        (b"\xff\xfe", {}, "the body is no JSON"),
    ],
    ids=range(8),
)
def test_a_body_that_cannot_be_is_refused_with_the_reason(
    ingest: httpx.Client, body: bytes, headers: dict[str, str], reason: str
) -> None:
    answer = ingest.post(API, content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"]


def test_reports_over_http(server: Running, tenant: str) -> None:
    with server.client() as client:
        for day, cost in (
            ("2026-10-31T14:59:59Z", 1),
            ("2026-10-31T15:00:00Z", 2),
            ("2026-11-30T14:59:59Z", 4),
        ):
            client.post(API, json={**CALL, "tenant_id": tenant, "created_at": day, "cost_usd": cost})
        month = {"month": "2026-11", "tz": "Asia/Tokyo"}
        report = client.get(f"{API}/report", params=month).json()
        assert (report["since"], report["until"]) == ("2026-10-31T15:00:00Z", "2026-11-30T15:00:00Z")
        assert [(row["tenant_id"], row["api_calls"], row["total_cost_usd"]) for row in report["rows"]] == [
            (tenant, 2, 6)
        ]
        daily = client.get(f"{API}/report", params={**month, "by": ["model", "day"]}).json()
        assert [row["begins"] for row in daily["rows"]] == [
            "2026-11-01T00:00:00+09:00",
            "2026-11-30T00:00:00+09:00",
        ]
        for by in ({"by": "model,day"}, {"by": ["model, day", "model"]}):
            assert client.get(f"{API}/report", params={**month, **by}).json() == daily
        (whole,) = client.get(f"{API}/report", params={**month, "by": ""}).json()["rows"]
        assert (whole["tenant_id"], whole["total_cost_usd"]) == (None, 6)
        assert client.get(f"{API}/report").status_code == 200  # this month
        unknown = client.get(f"{API}/report", params={"mont": "2026-11"})
        assert (unknown.status_code, unknown.json()["errors"][0]["place"]) == (422, "query.mont")
        for wrong in (
            {"month": "x"},
            {"tz": "x"},
            {"by": "x"},
            {"by": "day,month"},
            {"since": "2026-11-01T00:00:00Z"},
            {"limit": 0},
        ):
            assert client.get(f"{API}/report", params=wrong).status_code == 422


def test_prices_over_http(server: Running, tenant: str) -> None:
    with server.client() as client:
        made = client.post(f"{API}/prices", json={"model": "own-model", "input_price": 100_000})
        assert made.status_code == 201, made.text
        assert client.post(API, json={**CALL, "tenant_id": tenant}).json()["cost_usd"] == 1
        assert [one["id"] for one in client.get(f"{API}/prices").json()["items"]] == [made.json()["id"]]
        assert client.delete(f"{API}/prices/{made.json()['id']}").status_code == 204
        assert client.delete(f"{API}/prices/{made.json()['id']}").status_code == 404
        assert client.post(f"{API}/prices", json={"input_price": 1}).status_code == 422
