"""What a call costs: as genai-prices says for every model it knows, and by rules of one's own."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot, types
from hypothesis import given, settings
from hypothesis import strategies as st

from daicho import Invalid
from daicho.usage.price_list import KEPT, edition, listed
from daicho.usage.pricing import PriceBook, Rule

SELLERS = data_snapshot.get_snapshot().providers
DAY = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
LIST = f"genai-prices {genai_prices.__version__}"
SONNET = "claude-3-5-sonnet-20241022"
OURS = "our-own-llama"
ANYONE = "tenant"
FIRST_DAY, LAST_DAY = datetime.fromisoformat("2023-01-01"), datetime.fromisoformat("2027-12-31")


def words_of(clause: Any) -> Iterator[str]:
    """The words that a clause of the list looks for."""
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value
        else:
            for inner in value:
                yield from words_of(inner)


def models() -> Iterator[tuple[str, str, types.ModelInfo]]:
    """Every model of the list, its seller, and a name by which it is found: not every id is one."""
    for seller in SELLERS:
        for model in seller.models:
            for name in [model.id, *words_of(model.match)]:
                if seller.find_model(name, all_providers=SELLERS) is model:
                    yield seller.id, name, model
                    break


MODELS = list(models())


def instants_of(model: types.ModelInfo) -> Iterator[datetime]:
    """A day, and both sides of every instant at which a model's price changes."""
    yield DAY
    for price in model.prices if isinstance(model.prices, list) else []:
        match price.constraint:
            case types.StartDateConstraint(start_date=day):
                begins = datetime.combine(day, time.min, UTC)
                yield from (begins - timedelta(microseconds=1), begins, begins + timedelta(hours=12))
            case types.TimeOfDateConstraint(start_time=start, end_time=end):
                for moment in (start, end):
                    turn = datetime.combine(DAY.date(), moment)
                    yield from (turn - timedelta(microseconds=1), turn)


def counts_of(model: types.ModelInfo) -> Iterator[tuple[int, int, int, int]]:
    """Counts of tokens: few, none, cached, and both sides of every size of prompt that costs more."""
    yield from [(0, 0, 0, 0), (1_000, 200, 0, 0), (1_000, 200, 300, 0), (1_000, 0, 300, 700), (0, 7, 0, 0)]
    prices = [one.prices for one in model.prices] if isinstance(model.prices, list) else [model.prices]
    tiered = [one for price in prices for one in vars(price).values() if isinstance(one, types.TieredPrices)]
    for start in {tier.start for one in tiered for tier in one.tiers}:
        yield from [(start, 200, start // 2, 0), (start + 1, 200, start // 2, 10)]


def by_list(model: str, seller: str | None, at: datetime, *counts: int) -> types.PriceCalculation:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return genai_prices.calc_price(
        genai_prices.Usage(**dict(zip(names, counts, strict=True))),
        model_ref=model,
        provider_id=seller,
        genai_request_timestamp=at,
    )


def sold_by_tokens(price: types.ModelPrice) -> bool:
    """Whether it is free, or has a price that counts tokens or calls."""
    priced = {name for name, value in vars(price).items() if value is not None}
    return not priced or bool(
        priced & {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "requests_kcount"}
    )


def test_every_model_costs_what_the_list_says_at_every_change_of_price_and_size_of_prompt() -> None:
    book, compared, others = PriceBook(), 0, 0
    for seller, name, model in MODELS:
        for at in instants_of(model):
            for counts in counts_of(model):
                due = by_list(name, seller, at, *counts)
                cost, priced_by = book.cost(ANYONE, name, seller, at, *counts)
                if sold_by_tokens(due.model_price):
                    assert cost == pytest.approx(float(due.total_price), rel=1e-12, abs=0), (
                        seller,
                        name,
                        at,
                        counts,
                    )
                    assert priced_by == LIST
                    compared += 1
                else:
                    assert (cost, priced_by) == (None, None), (seller, name)
                    others += 1
    assert len({id(model) for _, _, model in MODELS}) > 0.98 * sum(len(seller.models) for seller in SELLERS)
    assert compared > 12_000
    assert 0 < others < compared / 50


def test_every_model_costs_what_the_list_says_where_the_seller_is_not_named() -> None:
    book, compared = PriceBook(), 0
    for name in sorted({name for _, name, _ in MODELS}):
        try:
            due = by_list(name, None, DAY, 1_000, 200, 300, 40)
        except LookupError:
            continue
        if sold_by_tokens(due.model_price):
            cost, _ = book.cost(ANYONE, name, None, DAY, 1_000, 200, 300, 40)
            assert cost == pytest.approx(float(due.total_price), rel=1e-12, abs=0), name
            compared += 1
    assert compared > 300


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.datetimes(FIRST_DAY, LAST_DAY, timezones=st.just(UTC)),
    *[st.integers(0, 2_000_000)] * 4,
)
def test_any_call_costs_what_the_list_says(
    which: tuple[str, str, types.ModelInfo], at: datetime, fresh: int, out: int, read: int, write: int
) -> None:
    seller, name, _ = which
    due = by_list(name, seller, at, fresh + read + write, out, read, write)
    if sold_by_tokens(due.model_price):
        cost, _ = BOOK.cost(ANYONE, name, seller, at, fresh + read + write, out, read, write)
        assert cost == pytest.approx(float(due.total_price), rel=1e-12, abs=0)


BOOK = PriceBook()


@pytest.mark.parametrize(
    ("model", "provider", "seller", "found"),
    [
        ("openai:gpt-4o", None, "openai", "gpt-4o"),
        ("openai/gpt-4o", None, "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "openai", "gpt-4o"),
        ("openai/gpt-4o", "litellm", "openai", "gpt-4o"),
        ("GPT-4o", "OpenAI", "openai", "gpt-4o"),
        ("gpt-4o", "our-gateway", "openai", "gpt-4o"),
        ("azure/gpt-4o", None, "azure", "gpt-4o"),
        (f"anthropic/{SONNET}", None, "anthropic", SONNET),
        (f"anthropic.{SONNET}-v2:0", None, "aws", f"anthropic.{SONNET}-v2:0"),
        (f"us.anthropic.{SONNET}-v2:0", None, "aws", f"us.anthropic.{SONNET}-v2:0"),
        (f"bedrock/us.anthropic.{SONNET}-v2:0", None, "aws", f"us.anthropic.{SONNET}-v2:0"),
        ("vertex_ai/gemini-2.5-pro", None, "google", "gemini-2.5-pro"),
        ("openrouter/anthropic/claude-sonnet-4", None, "openrouter", "anthropic/claude-sonnet-4"),
    ],
)
def test_names_that_gateways_give_a_model_are_found(
    model: str, provider: str | None, seller: str, found: str
) -> None:
    due = float(by_list(found, seller, DAY, 1_000, 200, 0, 0).total_price)
    assert due > 0
    assert BOOK.cost(ANYONE, model, provider, DAY, 1_000, 200) == (pytest.approx(due), LIST)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("no-such-model", None),
        ("no-such-model", "openai"),
        ("gpt-4o", "anthropic"),
        ("", None),
        ("/", "/"),
        ("x:", None),
    ],
)
def test_what_the_list_does_not_have_is_unpriced_and_not_free(model: str, provider: str | None) -> None:
    assert BOOK.cost(ANYONE, model, provider, DAY, 1_000, 200) == (None, None)
    assert BOOK.saved(ANYONE, model, provider, DAY, 1_000) is None


def test_what_is_sold_by_the_hour_is_not_priced_by_its_tokens() -> None:
    assert by_list("whisper-1", "openai", DAY, 1_000, 200, 0, 0).total_price == 0
    assert BOOK.cost(ANYONE, "whisper-1", "openai", DAY, 1_000, 200) == (None, None)


def test_more_cached_tokens_than_tokens_is_unpriced() -> None:
    with pytest.raises(ValueError, match="cannot exceed"):
        by_list("gpt-4o", None, DAY, 100, 0, 101, 0)
    assert BOOK.cost(ANYONE, "gpt-4o", None, DAY, 100, 0, 101) == (None, None)
    assert BOOK.cost(ANYONE, "gpt-4o", None, DAY, 100, 0, 60, 60) == (None, None)


def test_counts_of_cached_tokens_may_be_missing() -> None:
    assert BOOK.cost(ANYONE, "gpt-4o", None, DAY, 100, 5, None, None) == BOOK.cost(
        ANYONE, "gpt-4o", None, DAY, 100, 5
    )


def test_the_day_is_that_of_utc_wherever_the_clock_stands() -> None:
    book, price = PriceBook(), ("deepseek-chat", "deepseek")
    for hour in range(24):
        at = datetime(2025, 3, 1, hour, 45, tzinfo=timezone(timedelta(hours=9, minutes=30)))
        cost, _ = book.cost(ANYONE, *price, at, 1_000, 200)
        assert cost == pytest.approx(float(by_list(*price, at, 1_000, 200, 0, 0).total_price), rel=1e-12)
    with pytest.raises(Invalid, match="no time zone"):
        book.cost(ANYONE, "gpt-4o", None, FIRST_DAY, 1, 1)


def test_a_price_that_depends_on_the_hour_is_asked_for_each_time() -> None:
    book = PriceBook()
    costs = {
        book.cost(ANYONE, "deepseek-chat", "deepseek", datetime(2025, 3, 1, hour, tzinfo=UTC), 10**6, 0)[0]
        for hour in (0, 12, 20)
    }
    assert len(costs) == 2


# -- savings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4o", SONNET, "gemini-2.5-pro"])
def test_savings_are_the_difference_to_the_same_tokens_uncached(model: str) -> None:
    uncached, _ = BOOK.cost(ANYONE, model, None, DAY, 1_500, 0)
    cached, _ = BOOK.cost(ANYONE, model, None, DAY, 1_500, 0, 1_000, 500)
    assert uncached is not None
    assert cached is not None
    assert BOOK.saved(ANYONE, model, None, DAY, 1_000, 500) == pytest.approx(uncached - cached, rel=1e-9)


def test_writing_a_cache_that_nobody_reads_saves_less_than_nothing() -> None:
    saved = BOOK.saved(ANYONE, SONNET, None, DAY, 0, 1_000_000)
    assert saved == pytest.approx(3.0 - 3.75)


# -- rules -------------------------------------------------------------------------------------------


def rule(name: str, **values: Any) -> Rule:
    return Rule(id=name, **{"starts_at": DAY - timedelta(days=30), **values})


def test_an_own_price_prices_a_model_that_the_list_does_not_have() -> None:
    book = PriceBook([rule("p", model=OURS, input_price=2.0, output_price=8.0)])
    assert book.cost("a", OURS, None, DAY, 1_000_000, 500_000) == (pytest.approx(6.0), "price p")
    assert book.cost("a", OURS, None, DAY, 1_000, 0, 1) == (None, None), "cached tokens have no price"
    assert book.saved("a", OURS, None, DAY, 1) is None
    assert book.cost("a", OURS, None, DAY - timedelta(days=31), 1_000, 0) == (None, None)


def test_what_an_own_price_does_not_say_is_the_lists() -> None:
    book = PriceBook([rule("p", model=SONNET, output_price=10.0)])
    cost, priced_by = book.cost("a", SONNET, None, DAY, 1_000_000, 1_000_000, 500_000)
    assert (cost, priced_by) == (pytest.approx(0.5 * 3.0 + 0.5 * 0.3 + 10.0), "price p")


def test_cached_tokens_that_the_list_counts_as_input_cost_ones_own_input() -> None:
    name, seller = next(
        (name, seller)
        for seller, name, model in MODELS
        if isinstance(model.prices, types.ModelPrice)
        and set(vars(model.prices)) == {"input_mtok", "output_mtok"}
    )
    book = PriceBook([rule("p", model=name, input_price=4.0)])
    assert book.cost("a", name, seller, DAY, 1_000_000, 0, 250_000, 250_000)[0] == pytest.approx(4.0)


def test_a_tenants_discount_lowers_the_list_and_own_prices_and_only_its_own() -> None:
    book = PriceBook(
        [rule("p", model=OURS, input_price=2.0, output_price=0.0), rule("d", tenant_id="a", discount=0.25)]
    )
    assert book.cost("a", OURS, None, DAY, 1_000_000, 0) == (pytest.approx(1.5), "price p, discount d")
    assert book.cost("b", OURS, None, DAY, 1_000_000, 0) == (pytest.approx(2.0), "price p")
    assert book.cost("a", "gpt-4o", None, DAY, 1_000_000, 0) == (pytest.approx(1.875), f"{LIST}, discount d")
    assert book.saved("a", "gpt-4o", None, DAY, 1_000_000) == pytest.approx(1.25 * 0.75)


def test_prices_change_at_the_instant_at_which_a_rule_starts() -> None:
    noon = DAY.replace(hour=12)
    book = PriceBook(
        [rule("p", model=OURS, input_price=2.0), rule("q", model=OURS, input_price=3.0, starts_at=noon)]
    )
    for _ in range(2):
        assert book.cost("a", OURS, None, noon - timedelta(microseconds=1), 10**6, 0) == (2.0, "price p")
        assert book.cost("a", OURS, None, noon, 10**6, 0) == (3.0, "price q")


def test_a_price_that_cannot_be_leaves_calls_unpriced() -> None:
    for wrong in (float("nan"), -1.0, 1e300):
        book = PriceBook([rule("p", model=OURS, input_price=wrong)])
        assert book.cost("a", OURS, None, DAY, 2**31 - 1, 0) == (None, None)


TENANTS, NAMES = ["a", "b"], [SONNET, "gpt-4o", OURS]
HOURS = [DAY + timedelta(hours=12 * number) for number in range(-3, 4)]
PRICE = st.none() | st.sampled_from([0.0, 0.5, 2.0])
RULES = st.lists(
    st.builds(
        Rule,
        id=st.uuids().map(str),
        starts_at=st.sampled_from(HOURS),
        tenant_id=st.none() | st.sampled_from(TENANTS),
        model=st.none() | st.sampled_from(NAMES),
        input_price=PRICE,
        output_price=PRICE,
        cache_read_price=PRICE,
        cache_write_price=PRICE,
        discount=st.none() | st.sampled_from([0.0, 0.1, 1.0]),
    ),
    max_size=8,
)
PRICES = ("input_price", "output_price", "cache_read_price", "cache_write_price")
LIST_PRICES = {SONNET: (3.0, 15.0, 0.3, 3.75), "gpt-4o": (2.5, 10.0, 1.25, 2.5), OURS: (None,) * 4}


@settings(max_examples=100, deadline=None)
@given(RULES, st.sampled_from([*TENANTS, "c"]), st.tuples(*[st.integers(0, 1000)] * 4))
def test_the_rule_that_says_most_applies(
    rules: list[Rule], tenant: str, counts: tuple[int, int, int, int]
) -> None:
    """Worked out anew without any of the book's ways: the best rule is a maximum."""
    book = PriceBook(rules)
    fresh, out, read, write = counts
    for name in NAMES:
        for at in HOURS:

            def best(has: Any, name: str = name, at: datetime = at) -> Rule | None:
                fit = [
                    (one.tenant_id is not None, one.model is not None, one.starts_at, place, one)
                    for place, one in enumerate(rules)
                    if one.tenant_id in (None, tenant)
                    and one.model in (None, name)
                    and one.starts_at <= at
                    and has(one)
                ]
                return max(fit)[-1] if fit else None

            own = best(lambda one: any(getattr(one, price) is not None for price in PRICES))
            discount = best(lambda one: one.discount is not None)
            due: float | None = 0.0
            for count, price, of_list in zip(counts, PRICES, LIST_PRICES[name], strict=True):
                mine = getattr(own, price) if own else None
                if name == "gpt-4o" and price == "cache_write_price" and mine is None and own:
                    mine = own.input_price  # the list has no price for it: it is input
                rate = of_list if mine is None else mine
                due = (
                    None
                    if due is None or (rate is None and (count or own is None))
                    else due + count * (rate or 0.0)
                )
            cost, priced_by = book.cost(tenant, name, None, at, fresh + read + write, out, read, write)
            if due is None:
                assert (cost, priced_by) == (None, None)
                continue
            part = 1 - discount.discount if discount and discount.discount else 1
            assert cost == pytest.approx(due / 1e6 * part, rel=1e-9, abs=1e-15)
            by = [f"price {own.id}" if own else LIST]
            by += [f"discount {discount.id}"] if discount and discount is not own else []
            assert priced_by == ", ".join(by)


def test_what_names_the_price_fits_its_column() -> None:
    own, less = "0" * 36, "1" * 36
    book = PriceBook([rule(own, model=OURS, input_price=1.0), rule(less, discount=0.5)])
    assert len(str(book.cost("a", OURS, None, DAY, 1, 0)[1])) <= 100
    assert len(f"{edition()}, discount {less}") <= 100


def test_names_that_are_not_in_the_list_are_remembered_only_so_long() -> None:
    snapshot = data_snapshot.get_snapshot()
    before = len(snapshot._provider_misses)
    for number in range(KEPT + 10):
        listed(f"nobody-{number}", None)
    assert listed.cache_info().currsize <= KEPT
    assert len(snapshot._provider_misses) == before


def test_importing_daicho_does_not_import_the_price_list() -> None:
    code = "import sys, daicho, daicho.usage.prices; print('genai_prices' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
