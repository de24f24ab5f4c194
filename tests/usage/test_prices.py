"""Own prices and discounts as they are set, and pricing calls anew, on both databases."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from daicho import Invalid, Ledger, NotFound
from daicho.usage.prices import price_book
from daicho.usage.repricing import Repriced, RepricedBatch, together
from tests.faces import Faces

OURS = "our-own-llama"
SONNET = "claude-3-5-sonnet-20241022"
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=30)
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
MAY: dict[str, Any] = {"since": BEGIN, "until": END}


@pytest.fixture
def tenant(ledger: Ledger) -> str:
    return ledger.usage.create_tenant("Acme").id


def calls(tenant: str, count: int, **values: Any) -> list[dict[str, Any]]:
    """Calls spread over May, by the minute: 1,000 tokens in, 100 out."""
    return [
        {
            "tenant_id": tenant,
            "operation": "chat",
            "model": OURS,
            "input_tokens": 1_000,
            "output_tokens": 100,
            "source": f"task:{number % 7}",
            "created_at": BEGIN + timedelta(minutes=number),
            **values,
        }
        for number in range(count)
    ]


def all_batches(step: Callable[..., RepricedBatch], **which: Any) -> Iterator[RepricedBatch]:
    """As the terminal does it: one batch after the other."""
    after = None
    while True:
        batch = step(**(MAY | which), after=after)
        yield batch
        if (after := batch.next) is None:
            return


def preview(ledger: Ledger, **which: Any) -> list[Repriced]:
    return together(all_batches(ledger.usage.reprice_preview, **which))


def reprice(ledger: Ledger, **which: Any) -> list[Repriced]:
    return together(all_batches(ledger.usage.reprice_batch, **which))


def differences(ledger: Ledger) -> int:
    return sum(one.differ for one in ledger.usage.verify())


def spent(ledger: Ledger) -> tuple[float | None, int]:
    total = ledger.usage.report(**MAY).total
    return total.total_cost_usd, total.unpriced_calls


# -- setting -----------------------------------------------------------------------------------------


def test_a_price_is_set_listed_applied_and_removed(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme").id
    price = face.usage.set_price(model=OURS, input_price=2, output_price=4.5, starts_at=BEGIN)
    less = face.usage.set_price(tenant_id=tenant, discount=0.5, starts_at=ALWAYS)
    assert (price.input_price, price.cache_read_price, price.tenant_id) == (2.0, None, None)
    assert [one.id for one in face.usage.list_prices()] == [price.id, less.id]
    call = calls(tenant, 1)[0]
    row = face.usage.record(**call)
    assert row.cost_usd == pytest.approx((1_000 * 2 + 100 * 4.5) / 1e6 / 2)
    assert row.priced_by == f"price {price.id}, discount {less.id}"
    face.usage.remove_price(less.id)
    assert face.usage.record(**call).cost_usd == pytest.approx((1_000 * 2 + 100 * 4.5) / 1e6)
    with pytest.raises(NotFound):
        face.usage.remove_price(less.id)
    with pytest.raises(NotFound):
        face.usage.remove_price("no uuid")


def test_a_price_begins_now_if_nothing_else_is_said(ledger: Ledger, tenant: str) -> None:
    ledger.usage.set_price(model=OURS, input_price=2, output_price=4)
    before, after = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
    assert ledger.usage.record(**calls(tenant, 1)[0] | {"created_at": before}).cost_usd is None
    assert ledger.usage.record(**calls(tenant, 1)[0] | {"created_at": after}).cost_usd == pytest.approx(
        0.0024
    )


def test_the_later_of_two_prices_with_one_beginning_applies(ledger: Ledger, tenant: str) -> None:
    for price in (2, 3):
        ledger.usage.set_price(model=OURS, input_price=price, output_price=0, starts_at=ALWAYS)
    assert ledger.usage.record(**calls(tenant, 1)[0]).cost_usd == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nothing is set"),
        ({"model": OURS}, "nothing is set"),
        ({"input_price": 1.0}, "the price of a model"),
        ({"model": OURS, "input_price": -0.1}, "input_price must be a number from 0 to 100,000, not -0.1"),
        ({"model": OURS, "output_price": float("nan")}, "output_price must be"),
        ({"model": OURS, "cache_read_price": float("inf")}, "cache_read_price must be"),
        ({"model": OURS, "cache_write_price": True}, "cache_write_price must be"),
        ({"model": OURS, "input_price": "2"}, "not '2'"),
        ({"discount": 1.01}, "discount must be a number from 0 to 1, not 1.01"),
        ({"model": "", "input_price": 1}, "model is empty"),
        ({"model": "x" * 101, "input_price": 1}, "101 characters long"),
        ({"discount": 0.5, "starts_at": BEGIN.replace(tzinfo=None)}, "no time zone"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_cannot_be_a_price_is_refused(sqlite_url: str, values: dict[str, Any], said: str) -> None:
    with Ledger(sqlite_url) as ledger:
        with pytest.raises(Invalid, match=said):
            ledger.usage.set_price(**values)
        assert not len(ledger.usage.list_prices())


def test_a_price_for_a_tenant_that_does_not_exist_is_not_set(ledger: Ledger) -> None:
    for unknown in (str(uuid4()), "no uuid"):
        with pytest.raises(NotFound, match="no such tenant"):
            ledger.usage.set_price(tenant_id=unknown, discount=0.1)


def test_prices_go_with_their_tenant(ledger: Ledger, tenant: str) -> None:
    ledger.usage.set_price(tenant_id=tenant, discount=0.1)
    ledger.usage.delete_tenant(tenant)
    assert not len(ledger.usage.list_prices())


def test_prices_come_in_pages_and_by_tenant(ledger: Ledger, tenant: str) -> None:
    other = ledger.usage.create_tenant("Other").id
    made = [
        ledger.usage.set_price(tenant_id=whose, discount=0.1, starts_at=BEGIN).id
        for whose in (None, tenant, other, tenant)
    ]
    page = ledger.usage.list_prices(limit=3)
    rest = ledger.usage.list_prices(limit=3, cursor=page.next)
    assert sorted(one.id for one in [*page, *rest]) == sorted(made)
    assert {one.tenant_id for one in ledger.usage.list_prices(tenant_id=tenant)} == {None, tenant}


def test_a_tenants_own_ledger_sees_the_prices_of_its_calls_and_sets_none(ledger: Ledger, tenant: str) -> None:
    other = ledger.usage.create_tenant("Other").id
    kept = [ledger.usage.set_price(tenant_id=whose, discount=0.1).id for whose in (None, tenant, other)]
    mine = ledger.for_tenant(tenant).usage
    assert {one.id for one in mine.list_prices()} == set(kept[:2])
    with pytest.raises(NotFound):
        mine.list_prices(tenant_id=other)
    for forbidden in (
        lambda: mine.set_price(discount=1.0),
        lambda: mine.set_price(tenant_id=tenant, discount=1.0),
        lambda: mine.remove_price(kept[1]),
        lambda: mine.remove_price(str(uuid4())),
        lambda: mine.reprice_preview(**MAY),
        lambda: mine.reprice_batch(**MAY),
    ):
        with pytest.raises(Invalid, match="prices are the operator's to set"):
            forbidden()
    assert {one.id for one in ledger.usage.list_prices()} == set(kept)


def test_a_tenants_own_records_cost_what_they_cost_everybody(ledger: Ledger, tenant: str) -> None:
    ledger.usage.set_price(model=OURS, input_price=2, output_price=0, starts_at=ALWAYS)
    ledger.usage.set_price(tenant_id=tenant, discount=0.5, starts_at=ALWAYS)
    call = calls(tenant, 1)[0]
    assert ledger.for_tenant(tenant).usage.record(**call).cost_usd == pytest.approx(0.001)
    assert ledger.usage.record(**call).cost_usd == pytest.approx(0.001)


def test_the_book_stays_the_same_while_prices_do(ledger: Ledger) -> None:
    def book() -> Any:
        with ledger.database.begin() as session:
            assert price_book(session) is price_book(session.connection())
            return price_book(session)

    first = book()
    assert book() is first
    price = ledger.usage.set_price(discount=0.5)
    assert book() is not first
    ledger.usage.remove_price(price.id)
    assert book() is first


# -- pricing anew ------------------------------------------------------------------------------------


def test_the_difference_is_shown_before_anything_is_written(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme").id
    face.usage.record_many(calls(tenant, 30))
    face.usage.record_many(calls(tenant, 5, model=SONNET, cost_usd=1.0))
    face.usage.record_many(calls(tenant, 5, model=SONNET))
    face.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=BEGIN + timedelta(minutes=10))
    sonnet = 5 + 5 * 0.0045
    due = [
        Repriced(SONNET, 10, 0, 5, 0, 0, pytest.approx(sonnet), pytest.approx(sonnet)),
        Repriced(OURS, 30, 20, 0, 30, 10, None, pytest.approx(20 * 0.0024)),
    ]
    before = face.usage.report(**MAY)
    assert together([face.usage.reprice_preview(**MAY)]) == due
    assert face.usage.report(**MAY) == before
    assert together([face.usage.reprice_batch(**MAY)]) == due
    total = face.usage.report(**MAY).total
    assert (total.total_cost_usd, total.unpriced_calls) == (pytest.approx(sonnet + 20 * 0.0024), 10)
    assert together([face.usage.reprice_batch(**MAY)])[1].changed == 0
    assert all(one.differ == 0 for one in face.usage.verify())


def test_many_calls_are_priced_in_batches_and_the_sums_follow(ledger: Ledger, tenant: str) -> None:
    same = BEGIN + timedelta(hours=1)
    ledger.usage.record_many(calls(tenant, 1_500))
    ledger.usage.record_many(calls(tenant, 1_200, created_at=same, model=SONNET, cache_read_tokens=100))
    ledger.usage.record_many(calls(ledger.usage.create_tenant("Other").id, 100, created_at=same))
    assert spent(ledger)[1] == 1_600
    ledger.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=ALWAYS)
    ledger.usage.set_price(model=SONNET, discount=0.5, starts_at=ALWAYS)
    batches = list(all_batches(ledger.usage.reprice_batch))
    assert [batch.calls for batch in batches] == [1_000, 1_000, 800]
    sonnet = (900 * 3 + 100 * 0.3 + 100 * 15) / 1e6
    assert spent(ledger) == (pytest.approx(1_600 * 0.0024 + 1_200 * sonnet / 2), 0)
    assert differences(ledger) == 0
    assert [(one.model, one.calls, one.changed) for one in together(batches)] == [
        (SONNET, 1_200, 1_200),
        (OURS, 1_600, 1_600),
    ]


def test_it_may_end_after_any_batch_and_begin_again(ledger: Ledger, tenant: str) -> None:
    ledger.usage.record_many(calls(tenant, 2_500))
    ledger.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=ALWAYS)
    first = ledger.usage.reprice_batch(**MAY)
    assert first.next is not None
    assert spent(ledger) == (pytest.approx(1_000 * 0.0024), 1_500)
    assert differences(ledger) == 0
    again = reprice(ledger)
    assert (again[0].calls, again[0].changed) == (2_500, 1_500)
    assert spent(ledger) == (pytest.approx(2_500 * 0.0024), 0)


def test_only_what_is_asked_for_is_priced_anew(ledger: Ledger, tenant: str) -> None:
    other = ledger.usage.create_tenant("Other").id
    quoted = 'it\'s "ours"; 100% ?:x'
    for whose, model in ((tenant, OURS), (tenant, quoted), (other, OURS)):
        ledger.usage.record_many(calls(whose, 20, model=model))
    for model in (OURS, quoted):
        ledger.usage.set_price(model=model, input_price=1, output_price=0, starts_at=ALWAYS)
    half: dict[str, Any] = {"since": BEGIN + timedelta(minutes=5), "until": BEGIN + timedelta(minutes=10)}
    assert [(one.model, one.changed) for one in reprice(ledger, model=quoted, tenant_id=tenant, **half)] == [
        (quoted, 5)
    ]
    assert [(one.model, one.changed) for one in reprice(ledger, tenant_id=other.upper())] == [(OURS, 20)]
    assert spent(ledger) == (pytest.approx(25 * 0.001), 35)
    assert differences(ledger) == 0


def test_given_costs_stay_unless_asked_for_and_where_there_is_no_price(ledger: Ledger, tenant: str) -> None:
    ledger.usage.record_many(calls(tenant, 3, model=SONNET, cost_usd=9.0))
    ledger.usage.record_many(calls(tenant, 2, cost_usd=7.0))
    assert [(one.model, one.given, one.changed) for one in reprice(ledger)] == [(SONNET, 3, 0), (OURS, 2, 0)]
    assert spent(ledger) == (pytest.approx(41.0), 0)
    anew = reprice(ledger, given=True)
    assert [(one.model, one.given, one.changed) for one in anew] == [(SONNET, 0, 3), (OURS, 0, 0)]
    assert spent(ledger) == (pytest.approx(14 + 3 * 0.0045), 0)
    assert differences(ledger) == 0


def test_a_call_whose_price_was_taken_back_becomes_unpriced(ledger: Ledger, tenant: str) -> None:
    price = ledger.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=ALWAYS)
    ledger.usage.record_many(calls(tenant, 3))
    ledger.usage.remove_price(price.id)
    assert spent(ledger)[1] == 0
    assert [(one.unpriced_before, one.unpriced_after, one.cost_after) for one in reprice(ledger)] == [
        (0, 3, None)
    ]
    assert spent(ledger) == (None, 3)
    assert all(row.priced_by is None for row in ledger.usage.list(tenant_id=tenant))
    assert differences(ledger) == 0


def test_what_another_writer_changes_meanwhile_is_not_overwritten(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, Ledger(postgres_url) as other:
        tenant = ledger.usage.create_tenant("Acme").id
        rows = calls(tenant, 50)
        ledger.usage.record_many([row | {"id": str(uuid4())} for row in rows])
        ledger.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=ALWAYS)
        looked = threading.Event()

        @event.listens_for(ledger.database.engine, "before_cursor_execute")
        def meddle(_: Any, __: Any, statement: str, *___: Any) -> None:
            if "UPDATE ai_usage_logs" in statement and not looked.is_set():
                looked.set()
                with other.database.begin() as session:
                    session.execute(
                        text("UPDATE ai_usage_logs SET cost_usd = 5 WHERE created_at < :at"),
                        {"at": BEGIN + timedelta(minutes=10)},
                    )

        done = reprice(ledger)
        assert looked.is_set()
        assert [(one.calls, one.changed) for one in done] == [(50, 40)]
        assert spent(ledger) == (pytest.approx(50 + 40 * 0.0024), 0)
        assert differences(ledger) == 0


def test_calls_recorded_while_others_are_priced_anew_are_counted_once(
    ledger: Ledger, url: str, tenant: str
) -> None:
    ledger.usage.record_many(calls(tenant, 2_000))
    ledger.usage.set_price(model=OURS, input_price=2, output_price=4, starts_at=ALWAYS)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            with Ledger(url) as other:
                for _ in range(10):
                    other.usage.record_many(calls(tenant, 100))
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    reprice(ledger)
    for writer in writers:
        writer.join()
    assert not errors
    reprice(ledger)
    assert spent(ledger) == (pytest.approx(4_000 * 0.0024), 0)
    assert differences(ledger) == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([OURS, SONNET]),
            st.integers(0, 5),
            st.none() | st.sampled_from([0.0, 0.25]),
            st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.tuples(st.none() | st.sampled_from([OURS, SONNET]), st.floats(0, 1)), max_size=4),
    st.booleans(),
)
def test_what_was_shown_is_what_happens_and_the_sums_are_the_rows(
    ledger: Ledger,
    made: list[tuple[str, int, float | None, int]],
    discounts: list[tuple[str | None, float]],
    given_too: bool,
) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    for model, minute, cost, tokens in made:
        ledger.usage.record(
            tenant_id=tenant,
            operation="chat",
            model=model,
            input_tokens=tokens,
            cost_usd=cost,
            created_at=BEGIN + timedelta(minutes=minute),
        )
    prices = [
        ledger.usage.set_price(tenant_id=tenant, model=model, discount=part, starts_at=ALWAYS)
        for model, part in discounts
    ]
    shown = preview(ledger, tenant_id=tenant, given=given_too)
    assert reprice(ledger, tenant_id=tenant, given=given_too) == shown
    assert not any(one.changed for one in preview(ledger, tenant_id=tenant, given=given_too))
    total = ledger.usage.report(**MAY, tenant_id=tenant).total
    costs = [one.cost_after for one in shown if one.cost_after is not None]
    assert (total.total_cost_usd or 0) == pytest.approx(sum(costs), rel=1e-9, abs=1e-12)
    assert total.unpriced_calls == sum(one.unpriced_after for one in shown)
    assert differences(ledger) == 0
    for price in prices:
        ledger.usage.remove_price(price.id)


def test_a_time_that_ends_before_it_begins_is_refused(ledger: Ledger) -> None:
    for step in (ledger.usage.reprice_preview, ledger.usage.reprice_batch):
        with pytest.raises(Invalid, match="does not begin before"):
            step(since=END, until=BEGIN)
        with pytest.raises(Invalid, match="not a cursor"):
            step(**MAY, after="nonsense")
        with pytest.raises(NotFound):
            step(**MAY, tenant_id="no uuid")
