"""What a call of an LLM costs: by the price list of its day, by own prices, less discounts.

The list is genai-prices' own, which comes with its package: nothing is fetched, and a call of last year
is priced by last year's prices. Asking it takes 0.1 ms; here a price is asked for once a model and
day, and a call then costs four multiplications. What comes out is what ``genai_prices.calc_price`` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import NamedTuple

from daicho.core.types import utc
from daicho.usage.models import COST_MOST
from daicho.usage.price_list import Rates, Steps, edition, listed

KEPT = 50_000
"""Tariffs that a price book remembers, one a model and day."""
UNPRICED = (None, None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A price of one's own, or a discount, from an instant on. Prices are dollars for a million tokens.

    Args:
        tenant_id: whose calls; None: everybody's.
        model: calls of which model, spelled as they are recorded; None: of every model.
        discount: the part that is taken off, 0 to 1.
    """

    id: str
    starts_at: datetime
    tenant_id: str | None = None
    model: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None
    discount: float | None = None

    @property
    def rates(self) -> "Rates":
        """Its prices, those that it does not give None."""
        return Rates(self.input_price, self.output_price, self.cache_read_price, self.cache_write_price)


class Step(NamedTuple):
    """What a call of more than ``over`` input tokens costs: dollars for a million of each."""

    over: int
    input: float
    output: float
    cache_read: float
    cache_write: float
    fee: float


@dataclass(frozen=True, slots=True)
class Tariff:
    """All that a call's cost depends on, but for its counts.

    Args:
        steps: dearest prompts first.
        part: what is left to pay after the discount, 0 to 1.
        unknown: which kinds of tokens have no price, by their place in ``Rates``.
        priced_by: what it comes from.
    """

    steps: tuple[Step, ...]
    part: float
    unknown: tuple[int, ...]
    priced_by: str


def has_price(input_tokens: int, output_tokens: int, total_tokens: int) -> bool:
    """Whether a call's tokens can have a price: not those of which nobody knows whether they came or went."""
    return bool(input_tokens or output_tokens or not total_tokens)


class PriceBook:
    """Prices calls by the list and by rules of one's own.

    The rule that says most applies: of tenant and model, else of the tenant, else of the model, else of
    all; among those the one that has started last. Prices and discounts are looked up each by
    themselves, so a tenant's discount also lowers a model's own price. What a rule gives no price for has
    the list's, where cached tokens that have none count as input.

    Any number of threads may use it.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules: dict[tuple[str | None, str | None], list[Rule]] = {}
        for rule in sorted(rules, key=lambda rule: rule.starts_at):
            self._rules.setdefault((rule.tenant_id, rule.model), []).append(rule)
        self._tenants = {rule.tenant_id for rule in rules}
        self._tariffs: dict[tuple[str | None, str, str | None, int], Tariff | None] = {}

    def cost(
        self,
        tenant_id: str,
        model: str,
        provider: str | None,
        at: datetime,
        input_tokens: int,
        output_tokens: int,
        cache_read_tokens: int | None = 0,
        cache_write_tokens: int | None = 0,
    ) -> tuple[float | None, str | None]:
        """Return what a call costs in dollars, and what says so. 0.6 µs.

        Args:
            at: when it was called; aware.
            input_tokens: those read from and written to a cache included.

        (None, None) where it cannot be known: no price for the model, or for a kind of tokens that was
        used; more cached tokens than tokens; a sum that is no amount.
        """
        tariff = self._tariff(tenant_id, model, provider, at)
        read, write = cache_read_tokens or 0, cache_write_tokens or 0
        fresh = input_tokens - read - write
        if tariff is None or fresh < 0:
            return UNPRICED
        for step in tariff.steps:
            if input_tokens > step[0]:
                break
        _, per_input, per_output, per_read, per_write, fee = step
        if tariff.unknown and _any_of(tariff.unknown, fresh, output_tokens, read, write):
            return UNPRICED
        total = fee + per_input * fresh + per_output * output_tokens + per_read * read + per_write * write
        dollars = total / 1e6 * tariff.part
        return (dollars, tariff.priced_by) if 0 <= dollars < COST_MOST else UNPRICED

    def saved(
        self,
        tenant_id: str,
        model: str,
        provider: str | None,
        at: datetime,
        cache_read_tokens: int,
        cache_write_tokens: int = 0,
    ) -> float | None:
        """Return how many dollars less cached tokens cost than the same ones uncached.

        Negative where writing a cache cost more than reading it has saved; None where there is no price.
        Made for sums of calls: where long prompts cost more, it is the price of short ones.
        """
        tariff = self._tariff(tenant_id, model, provider, at)
        if tariff is None:
            return None
        if tariff.unknown and _any_of(tariff.unknown, 1, 0, cache_read_tokens, cache_write_tokens):
            return None
        step = tariff.steps[-1]
        less = (step.input - step.cache_read) * cache_read_tokens
        less += (step.input - step.cache_write) * cache_write_tokens
        dollars = less / 1e6 * tariff.part
        return dollars if abs(dollars) < COST_MOST else None

    # -- tariffs -------------------------------------------------------------------------------------

    def _tariff(self, tenant_id: str, model: str, provider: str | None, at: datetime) -> Tariff | None:
        if at.tzinfo is not UTC:
            at = utc(at)
        key = (tenant_id if tenant_id in self._tenants else None, model, provider, at.toordinal())
        try:
            return self._tariffs[key]
        except KeyError:
            return self._work_out(key, at)

    def _work_out(self, key: tuple[str | None, str, str | None, int], at: datetime) -> Tariff | None:
        """The tariff at an instant; kept if it is that of the whole day (UTC)."""
        tenant_id, model, provider, _ = key
        scopes = [(tenant_id, model), (tenant_id, None), (None, model), (None, None)]
        chosen = [rules for scope in dict.fromkeys(scopes) if (rules := self._rules.get(scope))]
        started = [rule for rules in chosen for rule in reversed(rules) if rule.starts_at <= at]
        own = next((rule for rule in started if rule.rates != Rates()), None)
        discount = next((rule for rule in started if rule.discount is not None), None)
        prices = listed(model, provider)
        tariff = _tariff(prices.at(at) if prices else None, own, discount)
        if (prices is None or prices.whole_days) and not any(
            rule.starts_at.date() == at.date() and rule.starts_at.time() != time.min
            for rules in chosen
            for rule in rules
        ):
            if len(self._tariffs) >= KEPT:
                self._tariffs.clear()
            self._tariffs[key] = tariff
        return tariff


def _any_of(kinds: tuple[int, ...], *counts: int) -> bool:
    return any(counts[kind] for kind in kinds)


def _tariff(steps: Steps | None, own: Rule | None, discount: Rule | None) -> Tariff | None:
    if own is None and steps is None:
        return None
    rates = own.rates if own else Rates()
    merged = [(over, _merged(rates, listed)) for over, listed in steps] if steps else [(-1, rates)]
    unknown = tuple(kind for kind, rate in enumerate(merged[0][1][:4]) if rate is None)
    priced_by, part = f"price {own.id}" if own else edition(), 1.0
    if discount is not None and discount.discount is not None:
        part -= discount.discount
        priced_by += f", discount {discount.id}" if discount is not own else ""
    whole = tuple(Step(over, *[rate or 0.0 for rate in rates]) for over, rates in merged)
    return Tariff(whole, part, unknown, priced_by)


def _merged(own: Rates, listed: Rates) -> Rates:
    """One's own rates, and the list's for the rest."""
    known = Rates(*[theirs if mine is None else mine for mine, theirs in zip(own, listed, strict=True)])
    return known._replace(
        cache_read=known.input if known.cache_read is None else known.cache_read,
        cache_write=known.input if known.cache_write is None else known.cache_write,
    )
