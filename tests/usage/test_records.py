"""Recording usage: once each, complete, refused with a reason; on both databases and both faces."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from daicho import Conflict, Invalid, Ledger, NotFound, Unavailable
from daicho.core.bulk import insert_new
from daicho.usage.checking import checked
from daicho.usage.models import AIUsageLog
from daicho.usage.writing import write_records
from tests.faces import Faces

AT = datetime(2026, 11, 21, 8, 18, 22, 120_000, tzinfo=UTC)
CALL: dict[str, Any] = {"operation": "generate_assessment", "model": "own-model"}


@pytest.fixture
def tenant(face: Faces) -> str:
    return str(face.usage.create_tenant("Acme").id)


def differing(usage: Any) -> int:
    return sum(one.differ for one in usage.verify())


def test_a_record_comes_back_as_it_is_stored(face: Faces, tenant: str) -> None:
    user = face.usage.create_user(tenant, "花子").id
    stored = face.usage.record(
        **CALL,
        tenant_id=tenant,
        user_id=user,
        input_tokens=1000,
        output_tokens=2000,
        cost_usd=0.033,
        duration_ms=1200,
        success="failure",
        created_at=AT,
        provider="anthropic",
        cache_read_tokens=800,
        cache_write_tokens=0,
        source="call:call-123",
    )
    assert face.usage.get(stored.id).values() == stored.values()
    assert (stored.total_tokens, stored.created_at, stored.success) == (3000, AT, "failure")
    assert (stored.user_id, stored.cost_usd, stored.priced_by) == (user, 0.033, None)


def test_what_is_not_said_has_its_default(face: Faces, tenant: str) -> None:
    before = datetime.now(UTC)
    stored = face.usage.record(**CALL, tenant_id=tenant)
    assert (stored.input_tokens, stored.total_tokens, stored.success) == (0, 0, "success")
    assert before <= stored.created_at <= datetime.now(UTC)
    assert UUID(stored.id).version == 7
    assert stored.cost_usd is None  # nobody knows a price for this model: it is not 0


def test_a_record_sent_twice_is_there_once_and_answered_as_it_was(face: Faces, tenant: str) -> None:
    name = str(uuid4())
    first = face.usage.record(**CALL, tenant_id=tenant, id=name, input_tokens=5)
    again = face.usage.record(**CALL, tenant_id=tenant, id=name.upper(), input_tokens=7)
    assert again.values() == first.values()
    done = face.usage.record_many([{**CALL, "tenant_id": tenant, "id": name}, {**CALL, "tenant_id": tenant}])
    assert (done.accepted, done.duplicates) == (1, 1)
    assert face.usage.cost_of("x:y").api_calls == 0
    assert len(face.usage.list(tenant_id=tenant)) == 2
    assert differing(face.usage) == 0


def test_a_duplicate_does_not_take_new_records_of_its_batch_with_it(ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    names = [str(uuid4()) for _ in range(64)]
    for name in names[::2]:
        ledger.usage.record(**CALL, tenant_id=tenant, id=name)
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(lambda name: ledger.usage.record(**CALL, tenant_id=tenant, id=name), names)
        )
    assert [answer.id for answer in answers] == names
    assert {log.id for log in ledger.usage.list(limit=100)} == set(names)
    assert differing(ledger.usage) == 0


def test_what_was_there_a_moment_ago_is_looked_up_again_when_it_is_gone(url: str) -> None:
    with Ledger(url) as ledger, Ledger(url) as elsewhere:
        tenant = ledger.usage.create_tenant("Acme").id
        user = ledger.usage.create_user(tenant, None).id
        ledger.usage.record(**CALL, tenant_id=tenant, user_id=user)
        elsewhere.usage.delete_user(user)
        with pytest.raises(NotFound, match="no such user"):
            ledger.usage.record(**CALL, tenant_id=tenant, user_id=user)
        elsewhere.usage.delete_tenant(tenant)
        with pytest.raises(NotFound, match="no such tenant"):
            ledger.usage.record(**CALL, tenant_id=tenant)
        assert differing(ledger.usage) == 0


def batch_of(tenant: str, names: list[str], **values: Any) -> list[dict[str, Any]]:
    """Checked rows, as the writer gets them."""
    return [checked({**CALL, **values, "tenant_id": tenant, "id": name}) for name in names]


@pytest.mark.parametrize("number", [1, 2, 3, 31, 32, 33, 64, 70])
def test_of_each_row_of_a_batch_is_told_whether_it_is_new(ledger: Ledger, number: int) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    names = [str(uuid4()) for _ in range(number)]
    for name in names[::3]:
        ledger.usage.record(**CALL, tenant_id=tenant, id=name)
    twice = names + names[1::3]
    rows = batch_of(tenant, twice, input_tokens=3)
    new = ledger.database.run_batch(lambda connection: insert_new(connection, AIUsageLog, rows))
    assert new == [n % 3 != 0 for n in range(number)] + [False] * len(names[1::3])
    assert {log.id: log.input_tokens for log in ledger.usage.list(limit=100)} == {
        name: 0 if n % 3 == 0 else 3 for n, name in enumerate(names)
    }
    assert differing(ledger.usage) == 0


@pytest.mark.parametrize("number", [5, 32, 33, 40])
def test_a_row_that_its_batch_finds_refused_leaves_the_others_there(url: str, number: int) -> None:
    with Ledger(url) as ledger, Ledger(url) as elsewhere:
        tenant = ledger.usage.create_tenant("Acme").id
        user = ledger.usage.create_user(tenant, None).id
        ledger.usage.record(**CALL, tenant_id=tenant, user_id=user)
        elsewhere.usage.delete_user(user)
        names = [str(uuid4()) for _ in range(number)]
        rows = batch_of(tenant, names[:-1]) + batch_of(tenant, names[-1:], user_id=user)
        *stored, refused = ledger.database.run_batch(lambda connection: write_records(connection, rows))
        assert isinstance(refused, NotFound)
        assert [one.id for one in stored if isinstance(one, AIUsageLog)] == names[:-1]
        assert {log.id for log in ledger.usage.list(limit=100)} > set(names[:-1])
        assert len(ledger.usage.list(limit=100)) == number
        assert differing(ledger.usage) == 0


def test_two_tenants_may_have_the_same_id(face: Faces, tenant: str) -> None:
    other, name = face.usage.create_tenant("Other").id, str(uuid4())
    first = face.usage.record(**CALL, tenant_id=tenant, id=name, input_tokens=1)
    second = face.usage.record(**CALL, tenant_id=other, id=name, input_tokens=2)
    assert (first.input_tokens, second.input_tokens) == (1, 2)
    assert face.usage.get(name, tenant_id=other).input_tokens == 2


WRONG = {
    "operation is missing": {"operation": ""},
    "model is missing": {"model": None},
    "input_tokens is negative: -1": {"input_tokens": -1},
    "input_tokens must be a whole number": {"input_tokens": 1.5},
    "output_tokens is 2,147,483,648": {"output_tokens": 2**31},
    "cost_usd must be a number": {"cost_usd": float("nan")},
    "cost_usd must be a number from 0": {"cost_usd": -0.1},
    "success must be success or failure": {"success": "maybe"},
    "source must be a kind and a name": {"source": "call-123"},
    "has no time zone": {"created_at": AT.replace(tzinfo=None)},
    "id is not a UUID": {"id": "7"},
    "did you mean 'input_tokens'": {"input_token": 3},
    "priced_by is not for a record to say": {"priced_by": "me"},
    "model has a NUL byte": {"model": "a\0b"},
    "operation is 101 characters long": {"operation": "x" * 101},
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_bad_record_is_refused_with_the_reason(face: Faces, tenant: str, reason: str) -> None:
    values = {**CALL, "tenant_id": tenant, **WRONG[reason]}
    with pytest.raises(Invalid, match=reason.replace("(", r"\(")):
        face.usage.record(**values)
    with pytest.raises(Invalid, match=f"record 2: .*{reason}"):
        face.usage.record_many([{**CALL, "tenant_id": tenant}, values])
    done = face.usage.record_many(
        [{**CALL, "tenant_id": tenant}, values, {**CALL, "tenant_id": tenant}], reject=True
    )
    assert (done.accepted, [one.line for one in done.rejected]) == (2, [2])
    assert reason in done.rejected[0].reason.en
    assert len(face.usage.list()) == 2
    assert differing(face.usage) == 0


def test_what_a_tenant_does_not_have_is_not_found(face: Faces, tenant: str) -> None:
    other = face.usage.create_tenant("Other").id
    user = face.usage.create_user(other, "theirs").id
    for values in (
        {"tenant_id": str(uuid4())},
        {"tenant_id": tenant, "user_id": user},
        {"tenant_id": tenant, "user_id": str(uuid4())},
        {"tenant_id": tenant, "assessment_id": str(uuid4())},
        {"tenant_id": tenant, "lead_id": str(uuid4())},
    ):
        with pytest.raises(NotFound):
            face.usage.record(**CALL, **values)
        with pytest.raises(NotFound, match="record 1: "):
            face.usage.record_many([{**CALL, **values}])
    assert len(face.usage.list()) == 0


def test_records_and_mappings_and_any_iterable_are_taken(face: Faces, tenant: str) -> None:
    one = face.usage.record(**CALL, tenant_id=tenant, input_tokens=3)
    fresh = AIUsageLog.of({**one.values(), "id": str(uuid4())})
    lines = ({**CALL, "tenant_id": UUID(tenant).hex, "input_tokens": n} for n in range(3))
    assert face.usage.record_many([fresh, one]).accepted == 1
    assert face.usage.record_many(lines).accepted == 3
    assert face.usage.record_many([]).accepted == 0
    with pytest.raises(Invalid, match="record 1: a record is a mapping of columns to values, not int"):
        face.usage.record_many([5])


def test_a_bulk_larger_than_one_round_is_all_or_nothing(face: Faces, tenant: str) -> None:
    lines = [{**CALL, "tenant_id": tenant, "input_tokens": 1} for _ in range(25_000)]
    with pytest.raises(Invalid, match="record 25001: "):
        face.usage.record_many([*lines, {**CALL, "tenant_id": tenant, "input_tokens": -1}])
    assert len(face.usage.list()) == 0
    assert face.usage.record_many(lines).accepted == 25_000
    assert differing(face.usage) == 0


def test_lists_are_filtered_and_paged(face: Faces, tenant: str) -> None:
    other = face.usage.create_tenant("Other").id
    for n in range(10):
        face.usage.record(
            tenant_id=tenant if n % 2 else other,
            operation="a" if n < 5 else "b",
            model="m",
            cost_usd=None if n < 3 else 0.5,
            created_at=AT + timedelta(seconds=n // 2),
            source="call:1" if n == 4 else None,
        )
    assert len(face.usage.list(tenant_id=tenant)) == 5
    assert len(face.usage.list(operation="b", tenant_id=other)) == 2
    assert [log.source for log in face.usage.list(source="call:1")] == ["call:1"]
    assert (len(face.usage.list(unpriced=True)), len(face.usage.list(unpriced=False))) == (3, 7)
    assert len(face.usage.list(since=AT + timedelta(seconds=1), until=AT + timedelta(seconds=3))) == 4
    seen, cursor = [], None
    while True:
        page = face.usage.list(limit=3, cursor=cursor)
        seen += [log.id for log in page]
        if (cursor := page.next) is None:
            break
    assert seen == [log.id for log in face.usage.list(limit=100)]
    assert len(set(seen)) == 10


def test_unknown_ids_are_not_found(face: Faces, tenant: str) -> None:
    for wrong in (str(uuid4()), "no uuid", ""):
        with pytest.raises(NotFound):
            face.usage.get(wrong)
        with pytest.raises(NotFound):
            face.usage.delete(wrong)


def test_deleting_a_record_takes_it_out_of_the_sums(face: Faces, tenant: str) -> None:
    kept = face.usage.record(**CALL, tenant_id=tenant, source="call:1", cost_usd=0.25)
    gone = face.usage.record(**CALL, tenant_id=tenant, source="call:1", cost_usd=0.5)
    face.usage.delete(gone.id)
    assert face.usage.cost_of("call:1").total_cost_usd == 0.25
    face.usage.delete(kept.id)
    assert face.usage.cost_of("call:1").api_calls == 0
    assert differing(face.usage) == 0


def test_a_transaction_that_fails_records_nothing(ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    with pytest.raises(RuntimeError), ledger.begin() as tx:
        tx.usage.record(**CALL, tenant_id=tenant)
        tx.usage.record_many([{**CALL, "tenant_id": tenant}])
        raise RuntimeError
    assert len(ledger.usage.list()) == 0
    assert differing(ledger.usage) == 0


def test_an_error_within_a_transaction_that_goes_on_leaves_nothing_half_done(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        with ledger.begin() as tx:
            tx.usage.record(**CALL, tenant_id=tenant)
            with pytest.raises(Invalid):
                tx.usage.record_many([{**CALL, "tenant_id": tenant}] * 20_001 + [{}])
            tx.usage.record(**CALL, tenant_id=tenant)
        assert len(ledger.usage.list()) == 2
        assert differing(ledger.usage) == 0


def test_many_threads_and_processes_record_at_once(url: str) -> None:
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        code = (
            "import sys; from daicho import Ledger\n"
            "with Ledger(sys.argv[1]) as ledger:\n"
            "    for n in range(50): ledger.usage.record(tenant_id=sys.argv[2], operation='o', model='m', cost_usd=0.1)\n"
            "    ledger.usage.record_many([dict(tenant_id=sys.argv[2], operation='o', model='m', cost_usd=0.1)] * 500)\n"
        )
        others = [subprocess.Popen([sys.executable, "-c", code, url, tenant]) for _ in range(2)]
        with ThreadPoolExecutor(8) as threads:
            list(
                threads.map(
                    lambda n: ledger.usage.record(
                        **CALL, tenant_id=tenant, cost_usd=0.1, source=f"call:{n % 3}"
                    ),
                    range(200),
                )
            )
        assert [other.wait(60) for other in others] == [0, 0]
        total = ledger.usage.report(
            since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2036, 1, 1, tzinfo=UTC)
        ).total
        assert total.api_calls == 200 + 2 * 550
        assert total.total_cost_usd == pytest.approx(130, rel=1e-12)
        assert differing(ledger.usage) == 0


def test_an_iterator_is_not_read_twice(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id

        def lines(*, cut: bool) -> Any:
            for number in range(30_000):
                if number == 25_000 and cut:
                    with psycopg.connect(postgres_url, autocommit=True) as other:
                        other.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )
                yield {**CALL, "tenant_id": tenant}

        with pytest.raises(Unavailable, match="send it again"):
            ledger.usage.record_many(lines(cut=True))
        assert len(ledger.usage.list()) == 0
        assert ledger.usage.record_many(lines(cut=False)).accepted == 30_000


def test_an_id_of_several_tenants_is_none_without_the_tenants(face: Faces, tenant: str) -> None:
    other, name = face.usage.create_tenant("Other").id, str(uuid4())
    for whose in (tenant, other):
        face.usage.record(**CALL, tenant_id=whose, id=name)
    for named in (face.usage.get, face.usage.delete):
        with pytest.raises(Conflict, match="several tenants have a record .*; name the tenant"):
            named(name)
    face.usage.delete(name, tenant_id=other)
    assert face.usage.get(name).tenant_id == tenant
    face.usage.delete(name)
    with pytest.raises(NotFound):
        face.usage.delete(name)


def test_records_that_old_ones_are_dropped_under_are_told_by_number(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.usage.writing.CHUNK", 10)
    with Ledger(postgres_url) as ledger, Ledger(postgres_url) as other:
        tenant = ledger.usage.create_tenant("Acme").id
        day = datetime(2026, 11, 6, tzinfo=UTC)
        call = {**CALL, "tenant_id": tenant}

        class Lines:
            """Records amid which everything from before a day is dropped."""

            def __iter__(self) -> Iterator[dict[str, Any]]:
                yield from [{**call, "created_at": day}] * 15
                other.usage.prune(day)
                yield from [{**call, "created_at": day - timedelta(hours=n)} for n in range(-3, 3)]

        done = ledger.usage.record_many(Lines(), reject=True)
        assert done.accepted == 19
        assert [one.line for one in done.rejected] == [20, 21]
        assert "before 2026-11-06 00:00, from when on" in str(done.rejected[0].reason)
        assert len(ledger.usage.list()) == 19
        assert sum(one.differ for one in ledger.usage.verify()) == 0


def test_tokens_of_no_known_kind_have_no_price(ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    stored = ledger.usage.record(tenant_id=tenant, operation="o", model="gpt-4o", total_tokens=3000)
    assert stored.cost_usd is None
    stretch = {"since": stored.created_at - timedelta(days=1), "until": stored.created_at + timedelta(days=1)}
    ledger.usage.reprice_batch(**stretch)
    assert ledger.usage.get(stored.id).cost_usd is None


def test_a_user_that_cannot_be_has_no_records(face: Faces, tenant: str) -> None:
    face.usage.record(**CALL, tenant_id=tenant)
    assert len(face.usage.list(user_id="abc")) == 0


# -- enqueue -----------------------------------------------------------------------------------------


def test_a_receipt_has_its_answer_once_the_record_is_durable(face: Faces, tenant: str) -> None:
    receipt = face.usage.enqueue(**CALL, tenant_id=tenant, source="call:1")
    stored = receipt.result(30)
    assert receipt.done
    assert face.usage.get(stored.id).source == "call:1"


def test_a_receipt_tells_of_a_record_that_could_not_be_stored(face: Faces, tenant: str) -> None:
    bad = face.usage.enqueue(**CALL, tenant_id=str(uuid4()))
    good = face.usage.enqueue(**CALL, tenant_id=tenant)
    with pytest.raises(NotFound):
        bad.result(30)
    assert good.result(30).tenant_id == tenant
    with pytest.raises(Invalid):
        face.usage.enqueue(operation="o", model="m", tenant_id=tenant, input_tokens=-1)


def test_closing_writes_what_is_enqueued(url: str) -> None:
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        receipts = [ledger.usage.enqueue(**CALL, tenant_id=tenant) for _ in range(2_500)]
    assert all(receipt.done for receipt in receipts)
    with pytest.raises(Unavailable, match="closed"):
        ledger.usage.enqueue(**CALL, tenant_id=tenant)
    with Ledger(url) as again:
        assert len(again.usage.list(limit=1000)) == 1000
        assert differing(again.usage) == 0


def test_a_program_that_just_ends_has_written_what_it_enqueued(url: str) -> None:
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
    code = (
        "import sys; from daicho import Ledger\n"
        "ledger = Ledger(sys.argv[1])\n"
        "for n in range(10): ledger.usage.enqueue(tenant_id=sys.argv[2], operation='o', model='m')\n"
    )
    subprocess.run([sys.executable, "-c", code, url, tenant], check=True)
    with Ledger(url) as ledger:
        assert len(ledger.usage.list()) == 10


def test_a_full_buffer_makes_its_callers_wait(url: str) -> None:
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        ledger.database.settings.database.buffer.size = 5
        ledger.database.settings.database.buffer.seconds = 60
        enough = threading.Event()

        def work() -> None:
            with contextlib.suppress(Unavailable):  # the sixth is told that the ledger is closed
                for _ in range(6):
                    ledger.usage.enqueue(**CALL, tenant_id=tenant)
                enough.set()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert not enough.wait(0.5)  # the sixth waits, for nothing is written for a minute
    thread.join(10)
    with Ledger(url) as ledger:
        assert len(ledger.usage.list()) == 5


def test_enqueue_has_no_place_in_a_transaction(face: Faces, tenant: str) -> None:
    refused = pytest.raises(Invalid, match="record within it")
    with Ledger(face.ledger.database.url) as ledger, ledger.begin() as tx, refused:
        tx.usage.enqueue(**CALL, tenant_id=tenant)
