"""What is measured: durations, rows, queues, pools, repeats, slow statements."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import text

from daicho import Ledger, NotFound, Settings
from daicho.core.measure import Distribution, Histogram
from daicho.core.slow import told
from daicho.core.watch import change_of
from tests.faces import Faces

SECRET = "a value that is nobody's business"


def until(holds: Callable[[], bool]) -> None:
    """Look again until something holds, at most for ten seconds."""
    end = monotonic() + 10
    while not holds():
        assert monotonic() < end
        sleep(0.002)


def test_operations_are_counted_by_name_on_either_face(face: Faces) -> None:
    face.calls.start("call-1", "client-001")
    face.calls.append_log("call-1", "user", "hello")
    with pytest.raises(NotFound):
        face.calls.get("nobody")
    measures = face.ledger.database.measures
    counted = {name: held.count for (name,), held in measures.operations.taken().items()}
    assert counted == {"calls.start": 1, "calls.append_log": 1, "calls.get": 1}
    assert measures.failures.counts() == {("calls.get", "NotFound"): 1}
    assert measures.operations.taken()["calls.append_log",].sum > 0
    rows = measures.rows.counts()
    assert rows["calls", "insert"] == 1
    assert rows["call_logs", "insert"] == 1
    assert measures.commits.taken().sum == 1


def test_rows_count_once_they_are_committed(ledger: Ledger) -> None:
    rows = ledger.database.measures.rows

    ledger.calls.start("call-9", "x")
    before = rows.counts()["calls", "insert"]
    assert before == 1
    with pytest.raises(ZeroDivisionError), ledger.begin() as tx:
        tx.calls.start("call-1", "x")
        raise ZeroDivisionError
    assert rows.counts()["calls", "insert"] == before
    with ledger.begin() as tx:
        tx.calls.start("call-1", "x")
        tx.calls.start("call-2", "x")
        assert rows.counts()["calls", "insert"] == before
    assert rows.counts()["calls", "insert"] == before + 2

    def half(session: Any) -> None:
        session.execute(text("UPDATE calls SET current_state = 'a'"))
        with session.begin_nested() as part:
            session.execute(text("DELETE FROM calls"))
            part.rollback()

    ledger.database.run(half)
    assert rows.counts()["calls", "update"] == 3
    assert ("calls", "delete") not in rows.counts()


def test_many_rows_at_once_are_counted(ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("many").id
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(30)]
    given = [
        {"id": one, "tenant_id": tenant, "operation": "summary", "model": "gpt-4o", "input_tokens": 1}
        for one in ids
    ]
    ledger.usage.record_many(given)
    ledger.usage.record_many([*given, {**given[0], "id": ids[0].replace("8000", "8001")}])
    assert ledger.database.measures.rows.counts()["ai_usage_logs", "insert"] == 31


def test_appends_that_wait_are_seen_and_share_a_commit(unmade_url: str) -> None:
    with Ledger(unmade_url) as ledger, ThreadPoolExecutor(4) as threads:
        database = ledger.database
        ledger.calls.list()
        held, on = threading.Event(), threading.Event()

        def slow(_: object, items: Any) -> list[object]:
            held.set()
            on.wait(10)
            return list(items)

        first = threads.submit(database.writer.submit, slow, 0)
        assert held.wait(10)
        others = [threads.submit(database.writer.submit, slow, number) for number in (1, 2, 3)]
        until(lambda: database.load().queue == 3)
        on.set()
        assert [one.result(10) for one in (first, *others)] == [0, 1, 2, 3]
        commits = database.measures.commits.taken()
        assert (commits.count, commits.sum, database.load().queue) == (2, 4, 0)


def test_who_waits_for_a_connection_is_seen(postgres_url: str) -> None:
    settings = Settings(database={"pool": {"size": 1, "max_overflow": 0}})
    with Ledger(postgres_url, settings=settings) as ledger, ThreadPoolExecutor(1) as threads:
        ledger.calls.list()
        with ledger.begin() as tx:
            tx.calls.start("call-1", "x")
            waiting = threads.submit(ledger.calls.list)
            until(lambda: ledger.database.load().pools["sync"].waiting == 1)
            pool = ledger.database.load().pools["sync"]
            assert (pool.in_use, pool.limit) == (1, 1)
        assert len(waiting.result(10)) == 1
        assert ledger.database.load().pools["sync"].waiting == 0


def test_a_deadlock_is_counted_and_so_is_what_is_tried_again(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, ThreadPoolExecutor(2) as threads:
        for name in ("a", "b"):
            ledger.calls.start(name, "x")
        both = threading.Barrier(2)
        met = set()

        def cross(first: str, second: str) -> None:
            def work(session: Any) -> None:
                session.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
                for place, name in enumerate((first, second)):
                    session.execute(
                        text("UPDATE calls SET current_state = 'x' WHERE call_id = :n"), {"n": name}
                    )
                    if place == 0 and first not in met:
                        met.add(first)
                        both.wait(10)

            ledger.database.run(work)

        list(threads.map(cross, "ab", "ba"))
        measures = ledger.database.measures
        assert measures.deadlocks == 1
        assert measures.retries.counts() == {("deadlock",): 1}
        assert measures.rows.counts()["calls", "update"] == 4


def slow_work(kind: str) -> Callable[[Any], object]:
    statement = {
        "postgresql": "SELECT pg_sleep(0.06), :secret, 'in-the-text'",
        "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000)"
        " SELECT count(*), :secret, 'in-the-text' FROM n",
    }[kind]
    return lambda session: session.execute(text(statement), {"secret": SECRET}).all()


def test_a_slow_statement_is_one_line_without_its_values(url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(database={"slow_query_ms": 20})
    with Ledger(url, settings=settings) as ledger, caplog.at_level(logging.WARNING, "daicho.slow_query"):
        ledger.calls.list()
        caplog.clear()
        work = slow_work(ledger.database.url.get_backend_name())
        with ledger.database.measures.timing("calls.search"):
            ledger.database.run(work, writes=False)
        (line,) = [record.getMessage() for record in caplog.records if "'…'" in record.getMessage()]
        assert line.startswith("slow query: ")
        assert " ms, calls.search: " in line
        assert SECRET not in line
        assert "in-the-text" not in line
        assert "\n" not in line
        latest = ledger.database.measures.slow.latest()[0]
        assert latest.seconds >= 0.02
        assert latest.operation == "calls.search"


def test_a_slow_statement_is_not_logged_unless_asked_for(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.database.measures.slow.seconds = 0.02
        ledger.database.run(slow_work("sqlite"), writes=False)
        assert ledger.database.measures.slow.count >= 1
    assert "slow query" not in caplog.text


def test_literals_and_length_of_a_statement_are_not_told() -> None:
    assert told("SELECT *\n  FROM t\tWHERE a = 'it''s' AND b = $x$secret$x$ AND c = 5") == (
        "SELECT * FROM t WHERE a = '…' AND b = '…' AND c = 5"
    )
    assert len(told("x" * 10_000)) == 2_001


@pytest.mark.parametrize(
    ("statement", "change"),
    [
        ("INSERT INTO calls (call_id) VALUES (?) ON CONFLICT DO UPDATE SET state = 1", ("calls", "insert")),
        ('WITH x AS (SELECT 1) UPDATE "calls" SET a = 1', ("calls", "update")),
        ("DELETE FROM call_logs WHERE id = 1", ("call_logs", "delete")),
        ("SELECT 1 FROM calls FOR UPDATE", None),
        ("INSERT INTO somebody_elses (a) VALUES (1)", None),
    ],
)
def test_what_a_statement_changes(statement: str, change: tuple[str, str] | None) -> None:
    assert change_of(statement) == change


def test_quantiles_lie_where_the_values_are() -> None:
    histogram = Histogram((0.001, 0.01, 0.1))
    assert histogram.taken().quantile(0.5) is None
    for _ in range(90):
        histogram.observe(0.005)
    for _ in range(10):
        histogram.observe(5)
    held = histogram.taken()
    assert 0.001 < (held.quantile(0.5) or 0) < 0.01
    assert held.quantile(0.99) == 0.1
    histogram.observe(0.0001)
    later = histogram.taken().since(held)
    assert later == Distribution((0.001, 0.01, 0.1), (1, 0, 0, 0), pytest.approx(0.0001))
