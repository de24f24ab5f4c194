"""Usage over HTTP, against a real server on both databases."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from daicho import Ledger
from tests.serving import Running

API = "/api/v1/usage"
NDJSON = {"Content-Type": "application/x-ndjson"}
CALL: dict[str, Any] = {"operation": "generate_assessment", "model": "own-model", "input_tokens": 10}


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
    assert ingest.post(API, json=[]).json() == {"accepted": 0, "duplicate": 0, "rejected": []}


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
    assert ingest.post(API, content=body, headers=NDJSON).json() == {
        "accepted": 0,
        "duplicate": 50,
        "rejected": [],
    }


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", {}, "the body is no JSON"),
        (b"{", {}, "the body is no JSON"),
        (b'"text"', {}, "record"),
        (b'{"operation": "o"}', {}, "model"),
        (b'{"operation": "o", "model": "m", "tokens": 3}', {}, "tokens"),
        (b'{"operation": "o", "model": "m", "created_at": "2026-11-21T08:00:00"}', {}, "no time zone"),
        (b'{"operation": "' + b"x" * 70_000, NDJSON, "line 1 is longer than"),
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
        assert client.get(f"{API}/report").status_code == 200  # this month
        for wrong in (
            {"month": "x"},
            {"tz": "x"},
            {"by": "x"},
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
