"""``/metrics``: what it says, who may read it, and that it answers while the database does not."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url

from daicho import Ledger
from daicho.ops import facts
from daicho.ops.metrics import FAMILIES
from tests.serving import TOKEN, Running, running

READER = "a-token-for-prometheus-only"


def scraped(server: Running, token: str = TOKEN) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Scrape a server; return each sample's value by its name and labels."""
    with server.client(token) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Any, name: str, **labels: str) -> float:
    """One sample's value."""
    found: float = samples[name, frozenset(labels.items())]
    return found


def test_a_scrape_tells_what_was_done(server: Running, url: str) -> None:
    with Ledger(url) as other:
        tenant = other.usage.create_tenant("scraped").id
    record = {
        "id": "11111111-1111-4111-8111-111111111111",
        "tenant_id": tenant,
        "operation": "summary",
        "model": "gpt-4o",
        "input_tokens": 10,
    }
    with server.client() as client:
        assert client.post("/api/v1/calls", json={"call_id": "call-1", "client_id": "c"}).status_code == 201
        line = {"role": "user", "text": "hello"}
        assert client.post("/api/v1/calls/call-1/logs", json=line).status_code == 201
        assert client.get("/api/v1/calls/nobody").status_code == 404
        assert client.post("/api/v1/usage", json=[record, record, {"model": 5}]).status_code == 200
        assert client.post("/api/v1/usage", json={"model": 5}).status_code == 422
    samples = scraped(server)
    assert value(samples, "daicho_up") == 1
    assert value(samples, "daicho_operation_duration_seconds_count", operation="calls.append_log") == 1
    assert value(samples, "daicho_operation_errors_total", operation="calls.get", error="NotFound") == 1
    assert value(samples, "daicho_rows_written_total", table="call_logs", change="insert") == 1
    assert value(samples, "daicho_rows_written_total", table="ai_usage_logs", change="insert") == 1
    assert value(samples, "daicho_group_commit_size_sum") == 1
    assert value(samples, "daicho_connections_in_use", pool="sync") == 0
    results = {
        result: value(samples, "daicho_ingest_records_total", source="usage", result=result)
        for result in ("accepted", "duplicate", "rejected")
    }
    assert results == {"accepted": 1, "duplicate": 1, "rejected": 2}
    lost = {"method": "GET", "route": "/api/v1/calls/{call_id}", "status": "404"}
    assert value(samples, "daicho_http_request_duration_seconds_count", **lost) == 1
    assert value(samples, "daicho_table_size_bytes", table="calls") > 0
    assert value(samples, "daicho_database_size_bytes") > 0
    samples = scraped(server)
    parts = {f"{name}{end}" for name in FAMILIES for end in ("_bucket", "_count", "_sum")}
    assert {name for name, _ in samples if name.startswith("daicho_")} <= set(FAMILIES) | parts


def test_the_sizes_of_tables_are_those_of_the_database(server: Running, url: str) -> None:
    with Ledger(url) as ledger:
        ledger.calls.start("call-1", "c")
        ledger.calls.append_logs([{"call_id": "call-1", "role": "user", "text": "x" * 500}] * 2000)
        if not url.startswith("sqlite"):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("ANALYZE call_logs")
    samples = scraped(server)
    assert value(samples, "daicho_table_rows", table="call_logs") == 2000
    assert value(samples, "daicho_table_size_bytes", table="call_logs") > 1_000_000


def test_only_the_operator_and_the_scraper_may_read_it(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        theirs = ledger.usage.create_key(tenant, "admin").key
    with running(sqlite_url, metrics_token=READER) as server:

        def status(token: str | None, path: str = "/metrics") -> int:
            with server.client(token) as client:
                return client.get(path).status_code

        assert [status(token) for token in (TOKEN, READER)] == [200, 200]
        assert [status(token) for token in (None, "wrong", READER[:-1], theirs)] == [401, 401, 401, 403]
        # Least privilege: the scraper's token opens nothing else.
        assert [status(READER, path) for path in ("/api/v1/calls", "/calls", "/metrics/")] == [401, 401, 401]


def test_a_scrape_of_a_dead_database_still_answers(
    new_postgres: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "KEPT_SECONDS", 0.0)
    url = new_postgres()
    with running(url) as server:
        assert value(scraped(server), "daicho_up") == 1
        name = make_url(url).database
        with psycopg.connect(
            make_url(url).set(database="postgres").render_as_string(False), autocommit=True
        ) as other:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            with monkeypatch.context() as impatient:
                impatient.setattr(facts, "PATIENCE_SECONDS", 0.3)
                samples = scraped(server)
            assert value(samples, "daicho_up") == 0
            assert value(samples, "process_start_time_seconds") > 0
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        for _ in range(20):
            if value(scraped(server), "daicho_up") == 1:
                break
        else:
            pytest.fail("it did not come back")


def test_openmetrics_for_who_asks_for_it(one_server: Running) -> None:
    with one_server.client() as client:
        answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
