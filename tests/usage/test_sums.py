"""The sums that the database keeps: right for whoever writes, at any moment, to the last token."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, text

from daicho import Invalid, Ledger
from daicho.core.errors import DaichoError
from daicho.usage.models import NOBODY, dollars

AT = datetime(2026, 11, 21, 8, 18, 22, 120_000, tzinfo=UTC)
INSERT = """
INSERT INTO ai_usage_logs (id, tenant_id, user_id, operation, model, input_tokens, output_tokens, total_tokens,
    cost_usd, success, created_at, source)
VALUES (:id, :tenant, :user, :operation, :model, :tokens, 2, :tokens, :cost, :success, :at, :source)
"""


@contextmanager
def connected(ledger: Ledger) -> Iterator[Connection]:
    """A connection that knows nothing of our stores, as psql and other programs have one."""
    with ledger.database.engine.begin() as connection:
        yield connection


def moment(ledger: Ledger, at: datetime) -> object:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f") if ledger.database.in_threads else at


def differing(ledger: Ledger) -> dict[str, int]:
    return {one.table: one.differ for one in ledger.usage.verify() if one.differ}


@pytest.fixture
def tenants(ledger: Ledger) -> list[str]:
    return [ledger.usage.create_tenant(name).id for name in ("Acme", "いろは商店", "Zeta")]


def rows(ledger: Ledger, tenants: Sequence[str], number: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "id": str(UUID(int=chance.getrandbits(128), version=4)),
            "tenant": chance.choice(tenants),
            "user": None,
            "operation": chance.choice("ab"),
            "model": chance.choice(["x", "モデル"]),
            "tokens": chance.randrange(10_000),
            "cost": chance.choice(
                [None, 0.0, 1e-8 * chance.random(), chance.random(), 4e5 * chance.random()]
            ),
            "success": chance.choice(["success", "failure", "timeout"]),
            "at": moment(ledger, AT + timedelta(seconds=chance.uniform(-9e6, 9e6))),
            "source": chance.choice([None, "call:1", "member:華扇", "a word"]),
        }
        for _ in range(number)
    ]


def test_sums_follow_every_statement_of_any_program(ledger: Ledger, tenants: list[str]) -> None:
    users = [ledger.usage.create_user(tenants[0], f"u{n}").id for n in range(2)]
    made = rows(ledger, tenants, 200)
    for row in made[:100]:
        if row["tenant"] == tenants[0]:
            row["user"] = random.Random(row["id"]).choice(users)
    statements: list[tuple[str, Any]] = [
        (INSERT, made),
        ("UPDATE ai_usage_logs SET cost_usd = total_tokens * 0.37, model = 'y' WHERE operation = 'a'", {}),
        ("UPDATE ai_usage_logs SET success = 'failure', source = 'task:7' WHERE operation = 'b'", {}),
        ("UPDATE ai_usage_logs SET assessment_id = NULL", {}),
        ("UPDATE ai_usage_logs SET cost_usd = NULL WHERE success = 'failure'", {}),
        ("UPDATE ai_usage_logs SET created_at = :at WHERE model = 'y'", {"at": moment(ledger, AT)}),
        ("DELETE FROM ai_usage_logs WHERE source = 'task:7'", {}),
        (
            "UPDATE ai_usage_logs SET tenant_id = :to WHERE tenant_id = :from",
            {"to": tenants[1], "from": tenants[2]},
        ),
        ("DELETE FROM users WHERE id = :id", {"id": users[0]}),
        ("DELETE FROM tenants WHERE id = :id", {"id": tenants[1]}),
    ]
    for statement, values in statements:
        with connected(ledger) as connection:
            connection.execute(text(statement), values)
        assert differing(ledger) == {}, statement
    with connected(ledger) as connection:
        connection.execute(text("DELETE FROM ai_usage_logs"))
        for table in ("usage_totals", "usage_details", "usage_sources"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_money_is_summed_exactly_however_large_and_small_it_comes_and_goes(
    ledger: Ledger, tenants: list[str]
) -> None:
    costs = [400_000.123456789, 1e-9, 3.3e-7, 0.1, 999_999.999999, 2.5e-8]
    made = rows(ledger, tenants[:1], len(costs) * 40)
    for n, row in enumerate(made):
        row["cost"], row["source"] = costs[n % len(costs)], "call:1"
    with connected(ledger) as connection:
        connection.execute(text(INSERT), made)
    total = ledger.usage.cost_of("call:1").total_cost_usd
    assert total == pytest.approx(sum(costs) * 40, rel=1e-12)
    with connected(ledger) as connection:
        connection.execute(text("DELETE FROM ai_usage_logs WHERE cost_usd > 0.0000001"))
    left = ledger.usage.cost_of("call:1").total_cost_usd
    assert left == pytest.approx((1e-9 + 2.5e-8) * 40, rel=1e-9)  # nothing of the 56 millions sticks to it
    assert differing(ledger) == {}


@pytest.mark.parametrize("cost", [0.001956, 0.002015, -0.001956])
def test_a_cost_that_is_nearly_a_whole_millionth_is_summed_alone_and_with_others(
    ledger: Ledger, tenants: list[str], cost: float
) -> None:
    """In floating point 0.001956 dollars are 1955.9999999999998 millionths."""
    made = rows(ledger, tenants[:1], 3)
    for row in made:
        row["cost"], row["source"] = cost, "call:1"
        with connected(ledger) as connection:
            connection.execute(text(INSERT), row)
        assert differing(ledger) == {}
    assert ledger.usage.cost_of("call:1").total_cost_usd == pytest.approx(3 * cost, rel=1e-12)
    with connected(ledger) as connection:
        connection.execute(text("DELETE FROM ai_usage_logs WHERE id <> :id"), {"id": made[0]["id"]})
    assert differing(ledger) == {}


def test_a_rollback_takes_the_sums_back(ledger: Ledger, tenants: list[str]) -> None:
    with ledger.database.engine.connect() as connection:
        connection.execute(text(INSERT), rows(ledger, tenants, 5))
        connection.rollback()
    assert ledger.usage.verify()[0].buckets == 0
    assert differing(ledger) == {}


@pytest.mark.parametrize("cost", [1e9, -1e9, float("inf"), 1e300])
def test_a_cost_that_no_call_has_is_refused_by_the_database_itself(
    ledger: Ledger, tenants: list[str], cost: float
) -> None:
    (row,) = rows(ledger, tenants, 1)
    with pytest.raises(Exception, match="cost_usd|out of range"), connected(ledger) as connection:
        connection.execute(text(INSERT), {**row, "cost": cost})
    assert differing(ledger) == {}


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-21T08:18:22Z",
        "2026-11-21T08:18:22.123456",
        "2026-11-21 08:18:22.12345Z",
        "x" * 26,
        "2026-02-30 08:18:22.123456",
        "2026-13-01 08:18:22.123456",
    ],
)
def test_an_instant_of_another_form_is_refused_on_sqlite(sqlite_url: str, at: str) -> None:
    with Ledger(sqlite_url) as ledger:
        (row,) = rows(ledger, [ledger.usage.create_tenant("Acme").id], 1)
        with (
            pytest.raises(Exception, match=r"ck_ai_usage_logs_created_at\b"),
            connected(ledger) as connection,
        ):
            connection.execute(text(INSERT), {**row, "at": at})


@pytest.mark.parametrize("year", [1, 1971, 9999])
def test_a_year_for_which_no_report_can_be_made_is_refused(
    ledger: Ledger, tenants: list[str], year: int
) -> None:
    (row,) = rows(ledger, tenants, 1)
    at = datetime(year, 6, 1, tzinfo=UTC)
    shown = f"{year:04}-06-01 00:00:00.000000" if ledger.database.in_threads else at
    with pytest.raises(Exception, match="created_at_1972_to_9998"), connected(ledger) as connection:
        connection.execute(text(INSERT), {**row, "at": shown})
    assert differing(ledger) == {}


@pytest.mark.parametrize("at", ["infinity", "-infinity", "12000-01-01", "0044-03-15 BC"])
def test_what_postgresql_alone_takes_for_an_instant_is_refused(postgres_url: str, at: str) -> None:
    with Ledger(postgres_url) as ledger:
        (row,) = rows(ledger, [ledger.usage.create_tenant("Acme").id], 1)
        with pytest.raises(Exception, match="created_at_1972_to_9998"), connected(ledger) as connection:
            connection.execute(text(INSERT), {**row, "at": at})


def test_what_a_deleted_user_used_is_nobodys(ledger: Ledger, tenants: list[str]) -> None:
    user = ledger.usage.create_user(tenants[0], "花子").id
    for age in (40, 1):
        ledger.usage.record(
            tenant_id=tenants[0],
            operation="o",
            model="m",
            user_id=user,
            created_at=datetime.now(UTC) - timedelta(age),
        )
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert ledger.usage.prune(midnight - timedelta(20)) == 1
    ledger.usage.delete_user(user)
    assert [log.user_id for log in ledger.usage.list()] == [None]
    with connected(ledger) as connection:
        users = connection.execute(text("SELECT DISTINCT user_id FROM usage_details")).scalars().all()
        calls = connection.execute(text("SELECT sum(calls) FROM usage_details WHERE grain = 'day'")).scalar()
    assert ([str(one) for one in users], int(calls)) == ([NOBODY], 2)
    assert differing(ledger) == {}


@pytest.mark.parametrize("table", ["users", "tenants"])
def test_who_goes_and_comes_again_in_one_transaction_begins_at_nothing(
    ledger: Ledger, tenants: list[str], table: str
) -> None:
    user = ledger.usage.create_user(tenants[0], "花子").id
    made = [dict(row, user=user) for row in rows(ledger, tenants[:1], 6)]
    with connected(ledger) as connection:
        connection.execute(text(INSERT), made[:3])
    with connected(ledger) as connection:
        connection.execute(
            text(f"DELETE FROM {table} WHERE id = :id"), {"id": {"users": user}.get(table, tenants[0])}
        )
        if table == "tenants":
            connection.execute(text("INSERT INTO tenants (id) VALUES (:id)"), {"id": tenants[0]})
        connection.execute(
            text("INSERT INTO users (id, tenant_id) VALUES (:id, :tenant)"),
            {"id": user, "tenant": tenants[0]},
        )
        connection.execute(text(INSERT), made[3:])
    assert differing(ledger) == {}
    with connected(ledger) as connection:
        users = text(
            "SELECT user_id, sum(calls) FROM usage_details WHERE grain = 'day' GROUP BY 1 ORDER BY 1"
        )
        found = {str(one): int(calls) for one, calls in connection.execute(users)}
    assert found == ({user: 3, NOBODY: 3} if table == "users" else {user: 3})


@pytest.mark.parametrize("table", ["users", "tenants"])
def test_sums_are_right_where_sqlites_references_rest(sqlite_url: str, tmp_path: Any, table: str) -> None:
    with Ledger(sqlite_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        user = ledger.usage.create_user(tenant, "花子").id
        ledger.usage.record(tenant_id=tenant, user_id=user, operation="o", model="m", source="call:1")
        with sqlite3.connect(tmp_path / "ledger.db") as shell:
            assert shell.execute("PRAGMA foreign_keys").fetchone() == (0,)
            shell.execute(f"DELETE FROM {table}")
        shell.close()
        assert differing(ledger) == {}
        logs = ledger.usage.list()
        assert [log.user_id for log in logs] == ([None] if table == "users" else [])


def test_a_user_of_a_tenant_that_goes_may_have_calls_at_another(ledger: Ledger, tenants: list[str]) -> None:
    user = ledger.usage.create_user(tenants[0], "花子").id
    made = [dict(row, user=user) for row in rows(ledger, tenants[:2], 30)]
    with connected(ledger) as connection:
        connection.execute(text(INSERT), made)
    with connected(ledger) as connection:
        connection.execute(text("DELETE FROM tenants WHERE id = :id"), {"id": tenants[0]})
    assert differing(ledger) == {}


def test_many_rows_are_changed_and_deleted_on_postgresql_as_fast_as_few(postgres_url: str) -> None:
    # In a session that has changed a single row before: plans are kept.
    with Ledger(postgres_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        insert = (
            "INSERT INTO ai_usage_logs (id, tenant_id, operation, model, input_tokens, output_tokens,"
            " total_tokens, created_at) SELECT gen_random_uuid(), '{}', 'o', 'm' || i % 3, i, 2, 3,"
            " now() - i * interval '5 minutes' FROM generate_series(1, {}) i"
        )
        for statement in (
            "UPDATE ai_usage_logs SET provider = 'x'",
            "UPDATE ai_usage_logs SET input_tokens = input_tokens + 1",
            "DELETE FROM ai_usage_logs",
        ):
            with connected(ledger) as connection:
                connection.execute(text("DELETE FROM ai_usage_logs"))
                connection.execute(text(insert.format(tenant, 1)))
                connection.execute(text(statement))
                connection.execute(text(insert.format(tenant, 16_000)))
                before = time.perf_counter()
                connection.execute(text(statement))
                assert time.perf_counter() - before < 4, statement
            assert differing(ledger) == {}


def test_what_is_written_while_many_are_written_is_summed_once(ledger: Ledger, tenants: list[str]) -> None:
    user = ledger.usage.create_user(tenants[0], "花子").id
    call = {"tenant_id": tenants[0], "operation": "o", "model": "gpt-4o", "user_id": user}
    for _ in range(3):
        ledger.usage.record(**call, input_tokens=5)
    with ledger.begin() as tx:

        def records() -> Iterator[dict[str, object]]:
            for n in range(30):
                tx.usage.record(**call, input_tokens=10)
                if n == 10:
                    tx.usage.record_many([call, call])
                yield dict(call, user_id=None, created_at=AT + timedelta(minutes=n))
            tx.usage.delete_user(user)
            tx.usage.set_price(model="gpt-4o", input_price=3, output_price=1, starts_at=AT - timedelta(900))
            tx.usage.reprice_batch(since=AT - timedelta(400), until=AT + timedelta(4000))
            tx.usage.delete_tenant(tenants[1])
            yield dict(call, user_id=None)

        tx.usage.record_many(records())
    assert differing(ledger) == {}
    assert len(ledger.usage.list(limit=1000)) == 3 + 30 + 2 + 30 + 1
    with connected(ledger) as connection:
        assert connection.execute(text("SELECT in_bulk FROM rollup_state")).scalar() == 0
    ledger.usage.record(**{**call, "user_id": None})
    assert differing(ledger) == {}


def test_a_row_that_sqlite_replaces_is_found_by_verify(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        (row,) = rows(ledger, [ledger.usage.create_tenant("Acme").id], 1)
        for statement in (
            INSERT,
            INSERT + " ON CONFLICT DO NOTHING",
            INSERT + " ON CONFLICT DO UPDATE SET cost_usd = 7",
            INSERT.replace("INSERT", "INSERT OR IGNORE"),
        ):
            with connected(ledger) as connection:
                connection.execute(text(statement), row)
            assert differing(ledger) == {}, statement
        with pytest.raises(Exception, match="UNIQUE"), connected(ledger) as connection:
            connection.execute(text(INSERT), row)
        assert differing(ledger) == {}
        with connected(ledger) as connection:
            connection.execute(text(INSERT.replace("INSERT", "REPLACE")), row)
        assert "usage_totals" in differing(ledger)


# -- pruning -----------------------------------------------------------------------------------------


def test_dropped_records_leave_their_sums_and_cannot_come_again(ledger: Ledger, tenants: list[str]) -> None:
    name, old = str(uuid4()), datetime(2026, 1, 15, 12, tzinfo=UTC)
    call = {"tenant_id": tenants[0], "operation": "o", "model": "m", "cost_usd": 0.5, "source": "call:1"}
    ledger.usage.record(**call, id=name, created_at=old)
    ledger.usage.record(**call, created_at=AT)
    stretch = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2027, 1, 1, tzinfo=UTC)}
    before = ledger.usage.report(**stretch, by=["tenant", "model", "day"])
    assert ledger.usage.kept_from() is None
    day = datetime(2026, 2, 1, tzinfo=UTC)
    assert (ledger.usage.prune(day), ledger.usage.prune(day)) == (1, 0)
    assert ledger.usage.kept_from() == day
    assert ledger.usage.report(**stretch, by=["tenant", "model", "day"]) == before
    assert ledger.usage.cost_of("call:1").total_cost_usd == 1.0
    assert len(ledger.usage.list()) == 1
    with pytest.raises(Invalid, match="can no longer be known"):
        ledger.usage.record(**call, id=name, created_at=old)
    assert ledger.usage.record_many([{**call, "id": name, "created_at": old}], reject=True).accepted == 0
    (row,) = rows(ledger, tenants[:1], 1)
    with pytest.raises(Exception, match="older than the rows that are kept"), connected(ledger) as connection:
        connection.execute(text(INSERT), {**row, "at": moment(ledger, old)})
    assert ledger.usage.report(**stretch, by=["tenant", "model", "day"]) == before
    assert differing(ledger) == {}


def test_truncate_takes_no_sums_of_which_the_rows_are_gone(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        call = {"tenant_id": tenant, "operation": "o", "model": "m", "source": "call:1"}
        ledger.usage.record(**call)
        with connected(ledger) as connection:
            connection.execute(text("TRUNCATE ai_usage_logs"))
        assert ledger.usage.cost_of("call:1").api_calls == 0
        for at in (datetime(2026, 1, 15, tzinfo=UTC), AT):
            ledger.usage.record(**call, created_at=at)
        ledger.usage.prune(datetime(2026, 2, 1, tzinfo=UTC))
        with pytest.raises(Exception, match="use DELETE"), connected(ledger) as connection:
            connection.execute(text("TRUNCATE ai_usage_logs"))
        with connected(ledger) as connection:
            connection.execute(text("DELETE FROM ai_usage_logs"))
        assert ledger.usage.cost_of("call:1").api_calls == 1
        assert differing(ledger) == {}


def test_pruning_goes_on_where_it_broke_off_and_never_back(ledger: Ledger, tenants: list[str]) -> None:
    call = {"tenant_id": tenants[0], "operation": "o", "model": "m"}
    ledger.usage.record_many(
        [{**call, "created_at": datetime(2026, 1, 1, tzinfo=UTC)} for _ in range(12_000)]
    )
    day = datetime(2026, 2, 1, tzinfo=UTC)
    assert [ledger.usage.prune(day) for _ in range(3)] == [10_000, 2_000, 0]
    assert ledger.usage.prune(day - timedelta(20)) == 0
    assert ledger.usage.kept_from() == day
    total = ledger.usage.report(
        since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 2, 1, tzinfo=UTC)
    ).total
    assert total.api_calls == 12_000


@pytest.mark.parametrize(
    "wrong", [AT.replace(tzinfo=None), datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)]
)
def test_records_are_dropped_from_before_a_past_midnight_only(ledger: Ledger, wrong: datetime) -> None:
    with pytest.raises(Invalid, match="midnight"):
        ledger.usage.prune(wrong)


# -- verify ------------------------------------------------------------------------------------------


def test_verify_finds_what_was_tampered_with(ledger: Ledger, tenants: list[str]) -> None:
    ledger.usage.record(tenant_id=tenants[0], operation="o", model="m", source="call:1")
    for table in ("usage_totals", "usage_details", "usage_sources"):
        with connected(ledger) as connection:
            connection.execute(text(f"UPDATE {table} SET total_tokens = total_tokens + 1"))
        assert set(differing(ledger)) == {table}
        with connected(ledger) as connection:
            connection.execute(text(f"UPDATE {table} SET total_tokens = total_tokens - 1"))
    assert differing(ledger) == {}


def test_verify_holds_while_others_write(ledger: Ledger, tenants: list[str]) -> None:
    ended = threading.Event()

    def write() -> None:
        for n in range(60):
            ledger.usage.record_many(
                [{"tenant_id": tenants[n % 3], "operation": "o", "model": "m", "cost_usd": 0.01}] * 20
            )
        ended.set()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not ended.is_set():
        assert differing(ledger) == {}
    for thread in threads:
        thread.join()
    assert differing(ledger) == {}


# -- anything, in any order --------------------------------------------------------------------------


class Anything(RuleBasedStateMachine):
    """Our store, other programs, duplicates, late rows, failures, users and tenants that go: one ledger."""

    new_ledger: Callable[[], Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.new_ledger()
        self.ids: list[tuple[str, str]] = []
        self.users: list[tuple[str, str]] = []

    @initialize()
    def begin(self) -> None:
        self.tenants = [self.ledger.usage.create_tenant(name).id for name in "ab"]

    def teardown(self) -> None:
        self.ledger.close()

    @rule(seed=st.integers(0, 2**32), number=st.integers(1, 5))
    def recorded(self, seed: int, number: int) -> None:
        for row in rows(self.ledger, self.tenants, number, seed):
            values = {"tenant_id": row["tenant"], "operation": row["operation"], "model": row["model"]}
            values |= {"input_tokens": row["tokens"], "cost_usd": row["cost"], "id": row["id"]}
            source = row["source"] if row["source"] != "a word" else None
            self.ledger.usage.record(
                **values, source=source, created_at=AT - timedelta(minutes=seed % 100_000)
            )
            self.ids.append((row["id"], row["tenant"]))

    @rule(seed=st.integers(0, 2**32), number=st.integers(1, 30), bad=st.booleans())
    def recorded_many(self, seed: int, number: int, bad: bool) -> None:
        chance = random.Random(seed)
        records = [
            {
                "tenant_id": row["tenant"],
                "operation": row["operation"],
                "model": row["model"],
                "input_tokens": row["tokens"],
                "cost_usd": row["cost"],
                "created_at": AT + timedelta(seconds=chance.uniform(-9e6, 0)),
            }
            for row in rows(self.ledger, self.tenants, number, seed)
        ]
        if self.ids and chance.random() < 0.5:
            name, tenant = chance.choice(self.ids)
            records.append({"id": name, "tenant_id": tenant, "operation": "again", "model": "x"})
        if bad:
            records.insert(chance.randrange(len(records)), {"operation": "o"})
        self.ledger.usage.record_many(records, reject=True)

    @rule(seed=st.integers(0, 2**32), number=st.integers(1, 20))
    def written_by_another_program(self, seed: int, number: int) -> None:
        with connected(self.ledger) as connection:
            connection.execute(
                text(INSERT + " ON CONFLICT DO NOTHING"), rows(self.ledger, self.tenants, number, seed)
            )

    @rule(cost=st.none() | st.floats(0, 1e6), operation=st.sampled_from("ab"))
    def changed_by_another_program(self, cost: float | None, operation: str) -> None:
        with connected(self.ledger) as connection:
            connection.execute(
                text("UPDATE ai_usage_logs SET cost_usd = :cost, model = 'z' WHERE operation = :operation"),
                {"cost": cost, "operation": operation},
            )

    @rule(tokens=st.integers(0, 10_000))
    def deleted_by_another_program(self, tokens: int) -> None:
        with connected(self.ledger) as connection:
            connection.execute(
                text("DELETE FROM ai_usage_logs WHERE total_tokens < :tokens"), {"tokens": tokens}
            )

    @rule()
    def failed_within_a_transaction(self) -> None:
        with pytest.raises(DaichoError), self.ledger.begin() as tx:
            tx.usage.record(tenant_id=self.tenants[0], operation="o", model="m")
            tx.usage.record(tenant_id=str(uuid4()), operation="o", model="m")

    @rule(seed=st.integers(0, 2**32))
    def a_user_came_and_went(self, seed: int) -> None:
        user = self.ledger.usage.create_user(self.tenants[0], None).id
        self.ledger.usage.record(tenant_id=self.tenants[0], operation="o", model="m", user_id=user)
        if seed % 2:
            self.ledger.usage.delete_user(user)

    @rule()
    def a_tenant_went(self) -> None:
        self.ledger.usage.delete_tenant(self.tenants[1])
        self.tenants[1] = self.ledger.usage.create_tenant("b").id
        self.ids = [one for one in self.ids if one[1] == self.tenants[0]]

    @invariant()
    def sums_are_those_of_the_rows(self) -> None:
        assert differing(self.ledger) == {}
        with connected(self.ledger) as connection:
            calls, tokens, cost = connection.execute(
                text(
                    "SELECT count(*), coalesce(sum(total_tokens), 0), coalesce(sum(cost_usd), 0) FROM ai_usage_logs"
                )
            ).one()
            sums = connection.execute(
                text(
                    "SELECT coalesce(sum(calls), 0), coalesce(sum(total_tokens), 0), coalesce(sum(cost_micros), 0),"
                    " coalesce(sum(cost_rest), 0) FROM usage_details WHERE grain = 'quarter'"
                )
            ).one()
        assert (int(sums[0]), int(sums[1])) == (calls, tokens)
        assert dollars(int(sums[2]), int(sums[3])) == pytest.approx(cost, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_sums_and_rows_agree_whatever_happens(
    kind: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    count = iter(range(10_000))
    if kind == "sqlite":
        new_ledger = lambda _: Ledger(f"sqlite:///{tmp_path / f'{next(count)}.db'}")  # noqa: E731
    else:
        new_postgres = request.getfixturevalue("new_postgres")
        new_ledger = lambda _: Ledger(new_postgres())  # noqa: E731
    machine = type("Machine", (Anything,), {"new_ledger": new_ledger})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=7, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@given(st.lists(st.floats(0, 1e8), max_size=30))
def test_dollars_are_what_they_were(costs: list[float]) -> None:
    parts = [divmod(round(cost * 1e6 * 10**6), 10**6) for cost in costs]
    assert dollars(sum(one for one, _ in parts), sum(rest for _, rest in parts) * 10**6) == pytest.approx(
        sum(costs), rel=1e-9, abs=1e-9
    )


def test_a_month_of_which_records_were_dropped_is_proved_by_its_days_and_mended(
    ledger: Ledger, tenants: list[str]
) -> None:
    october = datetime(2026, 10, 1, 20, tzinfo=UTC)
    call = {"tenant_id": tenants[0], "operation": "o", "model": "m", "cost_usd": 0.001956, "input_tokens": 7}
    ledger.usage.record_many([{**call, "created_at": october + timedelta(n)} for n in range(31)])
    ledger.usage.prune(datetime(2026, 10, 10, tzinfo=UTC))
    month = {"since": october.replace(day=1, hour=0), "until": datetime(2026, 11, 1, tzinfo=UTC)}
    assert differing(ledger) == {}
    for grain in ("month", "month+9", "day", "hour"):
        with connected(ledger) as connection:
            wrong = "UPDATE usage_totals SET calls = calls + 1, cost_micros = cost_micros + 5 WHERE grain = :grain"
            connection.execute(
                text(f"{wrong} AND bucket >= :since"),
                {"grain": grain, "since": moment(ledger, datetime(2026, 9, 30, 15, tzinfo=UTC))},
            )
    assert differing(ledger)["usage_totals"] > 0
    ledger.usage.rebuild()
    assert differing(ledger) == {}
    # Of the hours from before nothing is known but themselves; what is made of them agrees.
    whole = ledger.usage.report(**month, by=["day"])
    assert sum(row.sum.api_calls for row in whole.rows) == ledger.usage.report(**month).total.api_calls


def test_a_month_alone_that_is_wrong_is_made_anew_of_its_hours(ledger: Ledger, tenants: list[str]) -> None:
    october = datetime(2026, 10, 1, 20, tzinfo=UTC)
    call = {"tenant_id": tenants[0], "operation": "o", "model": "m", "cost_usd": 0.001956}
    ledger.usage.record_many([{**call, "created_at": october + timedelta(n)} for n in range(31)])
    month = {"since": october.replace(day=1, hour=0), "until": datetime(2026, 11, 1, tzinfo=UTC)}
    right = ledger.usage.report(**month).total
    ledger.usage.prune(datetime(2026, 10, 10, tzinfo=UTC))
    with connected(ledger) as connection:
        connection.execute(text("UPDATE usage_totals SET calls = 99 WHERE grain IN ('month', 'month+9')"))
    assert differing(ledger)["usage_totals"] >= 2
    ledger.usage.rebuild()
    assert differing(ledger) == {}
    assert ledger.usage.report(**month).total == right
    assert [one.differ for one in ledger.for_tenant(tenants[0]).usage.verify()] == [0, 0]


# -- others who write meanwhile ----------------------------------------------------------------------


@contextmanager
def waiting(ledger: Ledger, work: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread; the body runs once that waits for a lock, and it ends after the body."""
    thread = threading.Thread(target=work)
    thread.start()
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    until = time.monotonic() + 20
    while True:
        with connected(ledger) as watcher:  # what is seen is kept for a transaction
            if watcher.execute(blocked).scalar_one():
                break
        assert time.monotonic() < until
        time.sleep(0.02)
    yield
    thread.join()


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM ai_usage_logs WHERE id = :id", "UPDATE ai_usage_logs SET cost_usd = 5 WHERE id = :id"],
)
def test_who_waits_for_one_bucket_changes_all_of_them(postgres_url: str, statement: str) -> None:
    """The plan that went wrong is one by index: the sums are more than a page."""
    with Ledger(postgres_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        call = {"tenant_id": tenant, "operation": "o", "model": "m", "input_tokens": 10, "cost_usd": 1.0}
        at = [datetime(2026, 9, 1, 0, 30, tzinfo=UTC) + timedelta(hours=n) for n in range(2_000)]
        names = [str(uuid4()) for _ in at]
        ledger.usage.record_many(
            [{**call, "id": name, "created_at": one} for name, one in zip(names, at, strict=True)]
        )
        with ledger.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE usage_totals"))

        def change() -> None:
            with connected(ledger) as connection:
                connection.execute(text(statement), {"id": names[1_900]})

        with ledger.database.engine.connect() as first, first.begin() as open_now:
            first.execute(
                text(INSERT),
                {
                    "id": str(uuid4()),
                    "tenant": tenant,
                    "user": None,
                    "operation": "o",
                    "model": "m",
                    "tokens": 20,
                    "cost": 1.0,
                    "success": "success",
                    "at": at[1_900],
                    "source": None,
                },
            )
            with waiting(ledger, change):
                open_now.commit()
        assert differing(ledger) == {}


def test_recording_deleting_and_pricing_anew_wait_for_each_other_in_no_circle(postgres_url: str) -> None:
    """Not one deadlock, of which each holds everybody up for a second."""
    with Ledger(postgres_url) as ledger:
        tenants = [ledger.usage.create_tenant(name).id for name in "abc"]
        begun = datetime(2026, 11, 1, tzinfo=UTC)

        def record(chance: random.Random) -> dict[str, Any]:
            at = begun + timedelta(seconds=chance.randrange(86_400 * 20))
            return {
                "tenant_id": chance.choice(tenants),
                "operation": "o",
                "model": "own",
                "input_tokens": 9,
            } | {"created_at": at}

        ledger.usage.record_many([record(random.Random(n)) for n in range(3_000)])
        until = time.monotonic() + 4
        errors: list[BaseException] = []

        def again(number: int, work: Callable[[random.Random], object]) -> None:
            chance = random.Random(number)
            while time.monotonic() < until and not errors:
                try:
                    work(chance)
                except DaichoError as error:
                    errors.append(error)

        def reprice(chance: random.Random) -> None:
            ledger.usage.set_price(model="own", input_price=chance.random(), starts_at=begun)
            after = None
            while time.monotonic() < until:
                batch = ledger.usage.reprice_batch(since=begun, until=begun + timedelta(30), after=after)
                if (after := batch.next) is None:
                    return

        works: list[Callable[[random.Random], object]] = [
            *[lambda chance: ledger.usage.record(**record(chance))] * 4,
            *[lambda chance: ledger.usage.record_many([record(chance) for _ in range(60)])] * 2,
            lambda _: [ledger.usage.delete(one.id) for one in ledger.usage.list(limit=5).items],
            reprice,
        ]
        threads = [threading.Thread(target=again, args=pair) for pair in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        with connected(ledger) as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            assert connection.execute(text(counted)).scalar_one() == 0
        assert differing(ledger) == {}
