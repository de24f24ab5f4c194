"""The price list that comes with genai-prices: what a model's tokens cost, and when.

It is read once a model, into rates that are plain numbers. Nothing is fetched from anywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

KEPT = 4_096
"""Models that are remembered with their prices, or that they have none."""


class Rates(NamedTuple):
    """Dollars for a million tokens of each kind. ``fee``: dollars for a million calls. None: not said."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    fee: float | None = None


Steps = tuple[tuple[int, Rates], ...]
"""Rates, and how many input tokens a call must exceed for them: dearest prompts first."""


class Constraint(Protocol):
    """When a price of the list applies."""

    def active(self, request_timestamp: datetime, /) -> bool:
        """Whether it applies at an instant."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model's list prices: the last that is active applies, the first if none is."""

    prices: tuple[tuple[Constraint | None, Steps | None], ...]
    whole_days: bool
    """Whether they only ever change at midnight, UTC."""

    def at(self, instant: datetime) -> Steps | None:
        """Return the price at an instant; None where the model is sold by something else than tokens."""
        for constraint, steps in reversed(self.prices):
            if constraint is None or constraint.active(instant):
                return steps
        return self.prices[0][1]


@cache
def edition() -> str:
    """Return which price list this is, as ``priced_by`` says it: "genai-prices 0.2.3"."""
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"


@lru_cache(KEPT)
def listed(model: str, provider: str | None) -> Listed | None:
    """Return a model's list prices, or None if the list does not know it."""
    from genai_prices.types import ConditionalPrice, StartDateConstraint

    for name, seller in _spellings(model, provider):
        found = _find(name, seller)
        if found is not None:
            prices = (
                found.prices if isinstance(found.prices, list) else [ConditionalPrice(prices=found.prices)]
            )
            return Listed(
                tuple((price.constraint, _steps(price.prices)) for price in prices),
                all(isinstance(price.constraint, StartDateConstraint | None) for price in prices),
            )
    return None


BEDROCK = re.compile(
    r"([a-z-]+\.)?(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|stability|writer)\.",
    re.IGNORECASE,
)
"""How Amazon Bedrock's own names of models begin, with or without a region."""


def _spellings(model: str, provider: str | None) -> Iterator[tuple[str, str | None]]:
    """The names and sellers by which a model may stand in the list, the first that does counts.

    A seller that the list knows is believed. Else gateways' names are taken apart ("openai/gpt-4o",
    "openai:gpt-4o"), and Bedrock's belong to Amazon.
    """
    yield model, provider
    prefix, rest = _split(model)
    if provider is not None and _sells(provider):
        if prefix is not None and _sells(prefix) == _sells(provider):
            yield rest, provider
        return
    by_prefix = [(rest, prefix)] if prefix is not None and _sells(prefix) else []
    if provider is None:
        yield from by_prefix
    else:
        yield from [*by_prefix, (model, None)]
    if BEDROCK.match(model):
        yield model, "aws"


def _split(model: str) -> tuple[str | None, str]:
    mark = re.search("[/:]", model)
    return (model[: mark.start()], model[mark.end() :]) if mark else (None, model)


def _sells(provider: str) -> str | None:
    """The list's own name of a seller; None if it knows no such."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    found = find_provider_by_id(get_snapshot().providers, provider)
    return found.id if found else None


def _find(model: str, provider: str | None) -> "ModelInfo | None":
    """A model of the list. As its own look-up, which would remember every name that was ever asked for."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    sellers, name = get_snapshot().providers, model.lower()
    if provider is not None:
        seller = find_provider_by_id(sellers, provider)
    else:
        seller = next((one for one in sellers if one.model_match and one.model_match.is_match(name)), None)
    return seller.find_model(name, all_providers=sellers) if seller else None


def _steps(price: "ModelPrice") -> Steps | None:
    """A price of the list as rates by the size of the prompt. None if it has prices, but none of tokens.

    What the list does not charge for is free, but cached tokens, which then count as input.
    """
    from genai_prices.types import TieredPrices

    names = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "requests_kcount")
    values: list[Decimal | TieredPrices | None] = [getattr(price, name) for name in names]
    if any(price.__dict__.values()) and not any(value is not None for value in values):
        return None
    tiered = [value for value in values if isinstance(value, TieredPrices)]
    starts = {-1}.union(tier.start for value in tiered for tier in value.tiers)

    def rate(value: Decimal | TieredPrices | None, over: int) -> float | None:
        if isinstance(value, TieredPrices):
            value = next((tier.price for tier in reversed(value.tiers) if tier.start <= over), value.base)
        return None if value is None else float(value)

    found = []
    for over in sorted(starts, reverse=True):
        tokens_in, tokens_out, read, write, requests = [rate(value, over) for value in values]
        found.append(
            (over, Rates(tokens_in or 0.0, tokens_out or 0.0, read, write, (requests or 0.0) * 1000))
        )
    return tuple(found)
