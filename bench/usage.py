"""Usage: records in bulk and one by one, and the monthly report, against the bare driver and the seed's SQL.

The records are like those of a live system: agents make some twenty calls of a model within ten minutes,
then rest. The driver writes into the same table with the same indexes, but without triggers.
"""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bench.harness import Place, Row, best_each, best_ms, seconds
from daicho import Ledger
from daicho.core.rollups import spelled
from daicho.core.summing import adding
from daicho.usage.models import USAGE
from daicho.usage.periods import month_in, zone_of

BULK = 100_000
SINGLE = 6_400
THREADS = 32
TENANTS = 1_000
FEW, MANY = 500_000, 5_000_000
MODELS = ("claude-3-5-sonnet-20241022", "gpt-4o", "gpt-4o-mini", "claude-3-haiku-20240307", "gemini-1.5-pro")
OPERATIONS = ("generate_assessment", "analyze_lead_insights", "chat", "summarise")
COLUMNS = (
    "id, tenant_id, user_id, operation, model, input_tokens, output_tokens, total_tokens, cost_usd, assessment_id,"
    " lead_id, duration_ms, success, created_at, provider, cache_read_tokens, cache_write_tokens, source, priced_by"
)


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        yield bulk(place)
    for place in fresh():
        yield from one_by_one(place)
    for few, many in zip(fresh(), fresh(), strict=True):
        yield from report(few, many)


# -- recording ---------------------------------------------------------------------------------------


def sessions(ledger: Ledger, tenants: int, number: int) -> list[dict[str, Any]]:
    """Records with ids and without costs, in the order of their time."""
    chance = random.Random(1)
    people = []
    for n in range(tenants):
        tenant = ledger.usage.create_tenant(f"tenant {n}").id
        people += [(tenant, ledger.usage.create_user(tenant, f"user {m}").id) for m in range(3)]
    begun = datetime.now(UTC) - timedelta(days=1)
    records: list[dict[str, Any]] = []
    while len(records) < number:
        (tenant, user), at = chance.choice(people), begun + timedelta(seconds=chance.uniform(0, 80_000))
        values = {"tenant_id": tenant, "user_id": user, "operation": chance.choice(OPERATIONS)}
        values |= {"model": chance.choice(MODELS), "source": f"task:{UUID(int=chance.getrandbits(128))}"}
        if chance.random() < 0.5:
            del values["source"]
        for _ in range(20):
            at += timedelta(seconds=chance.uniform(0, 60))
            used = {"input_tokens": chance.randrange(50, 5_000), "output_tokens": chance.randrange(10, 900)}
            name = str(UUID(int=chance.getrandbits(128), version=4))
            records.append({"id": name, **values, **used, "duration_ms": 900, "created_at": at})
    records.sort(key=lambda one: one["created_at"])
    return records[:number]


def bulk(place: Place) -> Row:
    with Ledger(place.url) as ledger:
        records = sessions(ledger, 100, BULK)
        ledger.usage.record_many([{**records[0], "id": None}])  # the price list is loaded
        ours = BULK / seconds(lambda: ledger.usage.record_many(records))
        assert sum(one.differ for one in ledger.usage.verify()) == 0
        assert ledger.usage.record_many(records[:1000]).duplicates == 1000
    connection = place.connect()
    bare(place, connection)
    values = [as_row(place, record) for record in records]
    driver = BULK / seconds(lambda: by_driver(place, connection, values))
    connection.close()
    return Row(f"record_many of {BULK:,}, {place.kind}", "records/s", ours, driver)


def bare(place: Place, connection: Any) -> None:
    """Empty the table, and take its triggers away."""
    if place.kind == "PostgreSQL":
        connection.execute("TRUNCATE ai_usage_logs")
    else:
        connection.execute("DELETE FROM ai_usage_logs")
    kind = "postgresql" if place.kind == "PostgreSQL" else "sqlite"
    for statement in spelled(kind, USAGE).drop():
        connection.execute(statement)


def as_row(place: Place, record: dict[str, Any]) -> tuple[Any, ...]:
    given, read, written = record.get, record["input_tokens"], record["output_tokens"]
    at = record["created_at"]
    return (
        given("id"),
        given("tenant_id"),
        given("user_id"),
        given("operation"),
        given("model"),
        read,
        written,
        read + written,
        (3 * read + 15 * written) / 1e6,
        None,
        None,
        given("duration_ms"),
        "success",
        at if place.kind == "PostgreSQL" else at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        None,
        None,
        None,
        given("source"),
        None,
    )


def by_driver(place: Place, connection: Any, values: list[tuple[Any, ...]]) -> None:
    if place.kind == "PostgreSQL":
        with connection.cursor().copy(f"COPY ai_usage_logs ({COLUMNS}) FROM STDIN") as copy:
            for value in values:
                copy.write_row(value)
        return
    marks = ", ".join("?" * len(values[0]))
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO ai_usage_logs ({COLUMNS}) VALUES ({marks})", values)
    connection.execute("COMMIT")


def one_by_one(place: Place) -> Iterator[Row]:
    """Against one connection that commits each row: into the table as it is, whose sums the database keeps
    whoever writes, and into the bare one."""
    with Ledger(place.url) as ledger:
        records = sessions(ledger, 100, SINGLE)
        ledger.usage.record(**{**records[0], "id": None})
        shares = [records[n::THREADS] for n in range(THREADS)]

        def work(share: list[dict[str, Any]]) -> None:
            for record in share:
                ledger.usage.record(**record)

        def together() -> None:
            threads = [threading.Thread(target=work, args=(share,)) for share in shares]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        ours = SINGLE / seconds(together)
        verified = ledger.usage.verify()
        assert sum(one.differ for one in verified) == 0
    connection = place.connect()
    values = [as_row(place, record) for record in records]
    marks = ", ".join([place.mark] * len(values[0]))
    statement = f"INSERT INTO ai_usage_logs ({COLUMNS}) VALUES ({marks})"

    def committing_each() -> None:
        for value in values:
            connection.execute(statement, value)

    connection.execute("DELETE FROM ai_usage_logs")
    summed = SINGLE / seconds(committing_each)
    bare(place, connection)
    unsummed = SINGLE / seconds(committing_each)
    connection.close()
    name = f"record from {THREADS} threads"
    yield Row(f"{name}; driver: a row a commit, {place.kind}", "records/s", ours, summed)
    yield Row(f"{name}; driver: the same without sums, {place.kind}", "records/s", ours, unsummed)


# -- the monthly report ------------------------------------------------------------------------------

FILL = {
    "SQLite": """
INSERT INTO ai_usage_logs (id, tenant_id, operation, model, input_tokens, output_tokens, total_tokens, cost_usd,
    success, created_at)
WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {last}),
    calls AS (SELECT n, (n / 20) * 2654435761 % 4294967296 AS s FROM numbers)
SELECT printf('%08x-0000-4000-8000-%012x', n, n), printf('00000000-0000-4000-8000-%012x', s % 1000),
    'operation ' || s % 5, 'model ' || s % 7, n % 5000, n % 900, n % 5000 + n % 900, (n % 5000) * 0.000003, 'success',
    strftime('%Y-%m-%d %H:%M:%f000', '2026-08-01', '+' || ((n / 20) * 20 * 10540800 / {all} + (n % 20) * 25) || ' seconds')
FROM calls
""",
    "PostgreSQL": """
INSERT INTO ai_usage_logs (id, tenant_id, operation, model, input_tokens, output_tokens, total_tokens, cost_usd,
    success, created_at)
SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
    ('00000000-0000-4000-8000-' || lpad(to_hex(s % 1000), 12, '0'))::uuid,
    'operation ' || s % 5, 'model ' || s % 7, n % 5000, n % 900, n % 5000 + n % 900, (n % 5000) * 0.000003, 'success',
    timestamptz '2026-08-01 00:00:00+00' + ((n / 20) * 20 * 10540800 / {all} + (n % 20) * 25) * interval '1 second'
FROM (SELECT n, (n / 20) * 2654435761 % 4294967296 AS s FROM generate_series({first}::bigint, {last} - 1) AS n) AS calls
""",
}
"""Four months of calls in the order of time, as they come in; a session of one tenant is twenty of them."""
MONTHLY = """
SELECT tenant_id, COUNT(*) as api_calls, SUM(input_tokens) as total_input_tokens,
    SUM(output_tokens) as total_output_tokens, SUM(total_tokens) as total_tokens, SUM(cost_usd) as total_cost_usd
FROM ai_usage_logs WHERE created_at >= ? AND created_at < ? GROUP BY tenant_id ORDER BY total_cost_usd DESC
"""


def report(small: Place, large: Place) -> Iterator[Row]:
    """Four months of 1,000 tenants: October in Tokyo, of 500,000 records and of ten times as many."""
    since, until = month_in("2026-10", zone_of("Asia/Tokyo"))
    with Ledger(small.url) as of_few, Ledger(large.url) as of_many:
        fill(of_few, small, FEW)
        fill(of_many, large, MANY)

        def ours(ledger: Ledger) -> list[Any]:
            return ledger.usage.report(since=since, until=until, by=["tenant"], zone="Asia/Tokyo").rows

        few, many = best_each([partial(ours, of_few), partial(ours, of_many)], 75)
        connection = large.connect()
        if large.kind == "PostgreSQL":
            bounds: tuple[Any, Any] = (since, until)
        else:
            bounds = (f"{since:%Y-%m-%d %H:%M:%S.%f}", f"{until:%Y-%m-%d %H:%M:%S.%f}")
        theirs = connection.execute(large.sql(MONTHLY), bounds).fetchall()
        assert {(str(one[0]), one[1], one[4]) for one in theirs} == {
            (one.tenant_id, one.sum.api_calls, one.sum.total_tokens) for one in ours(of_many)
        }
        seed = best_ms(lambda: connection.execute(large.sql(MONTHLY), bounds).fetchall(), 3)
        connection.close()
    yield Row(f"monthly report of {MANY:,} records against the seed's SQL, {large.kind}", "ms", many, seed)
    yield Row(f"the same against that of {FEW:,} records, {large.kind}", "ms", many, few)


def fill(ledger: Ledger, place: Place, number: int) -> None:
    """Let the database make so many records itself, and their sums, and tidy up until it is at rest."""
    tenants = [{"id": f"00000000-0000-4000-8000-{n:012x}", "name": f"tenant {n}"} for n in range(TENANTS)]
    ledger.usage.list_tenants()
    with ledger.database.engine.begin() as connection:
        connection.execute(text("INSERT INTO tenants (id, name) VALUES (:id, :name)"), tenants)
    for start in range(0, number, 500_000):
        statement = FILL[place.kind].format(first=start, last=start + 500_000, all=number)
        with ledger.database.engine.begin() as connection, adding(connection, USAGE):
            connection.exec_driver_sql(
                statement.replace("%", "%%") if place.kind == "PostgreSQL" else statement
            )
    connection = place.connect()
    for tidy in ("VACUUM ANALYZE", "CHECKPOINT") if place.kind == "PostgreSQL" else ("ANALYZE",):
        connection.execute(tidy)
    connection.close()
