"""Calls priced anew: which cost something else now, and writing that where nothing has changed meanwhile."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Row,
    and_,
    cast,
    column,
    literal,
    select,
    tuple_,
    update,
    values,
)
from sqlalchemy.orm import Session

from daicho.core.page import LIMIT_MAX, Page, keyset
from daicho.core.summing import changing
from daicho.usage.models import USAGE, AIUsageLog
from daicho.usage.pricing import PriceBook, has_price

LOG = AIUsageLog.__table__.c
KEY = (LOG.id, LOG.tenant_id)
ORDER = (LOG.created_at, *KEY)
SEEN = (*ORDER, LOG.model, LOG.provider, LOG.cost_usd, LOG.priced_by, LOG.total_tokens)
COUNTS = (LOG.input_tokens, LOG.output_tokens, LOG.cache_read_tokens, LOG.cache_write_tokens)
NEW = (*[column(of.key, of.type) for of in KEY], column("was", Float), column("cost", Float))
SAME = 1e-12
"""Costs that differ by a smaller part of them are the same."""
Key = tuple[str, str]
Changes = dict[Key, tuple[float | None, float | None, str | None]]
"""Of calls whose cost changes: what it was, what it is, and by what."""


@dataclass(frozen=True, slots=True)
class Repriced:
    """What pricing a model's calls anew changes. Costs are dollars; None: not one call has a price.

    Args:
        calls: all of its calls that were looked at.
        changed: those whose cost changes.
        given: those left alone, because whoever recorded them said what they cost.
    """

    model: str
    calls: int = 0
    changed: int = 0
    given: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    cost_before: float | None = None
    cost_after: float | None = None

    def __add__(self, other: "Repriced") -> "Repriced":
        """Both together."""
        return Repriced(
            self.model,
            self.calls + other.calls,
            self.changed + other.changed,
            self.given + other.given,
            self.unpriced_before + other.unpriced_before,
            self.unpriced_after + other.unpriced_after,
            _total([self.cost_before, other.cost_before]),
            _total([self.cost_after, other.cost_after]),
        )


@dataclass(frozen=True, slots=True)
class RepricedBatch:
    """Some calls priced anew.

    Args:
        models: what changes, by model.
        calls: how many calls were looked at.
        next: where the following batch begins; None after the last.
    """

    models: list[Repriced]
    calls: int
    next: str | None


def together(batches: Iterable[RepricedBatch]) -> list[Repriced]:
    """Return what batches change together, one line a model, by name."""
    found: dict[str, Repriced] = {}
    for batch in batches:
        for one in batch.models:
            found[one.model] = found.get(one.model, Repriced(one.model)) + one
    return [found[model] for model in sorted(found)]


def calls_of(session: Session, where: Sequence[ColumnElement[bool]], after: str | None) -> Page[Row[Any]]:
    """Return the next calls, with all that their cost depends on."""
    statement = select(*SEEN, *COUNTS).where(*where)
    return keyset(session, statement, ORDER, limit=LIMIT_MAX, cursor=after, item=lambda row: row)


def _key(row: Row[Any]) -> Key:
    return row.id, row.tenant_id


def between(first: Row[Any], last: Row[Any]) -> ColumnElement[bool]:
    """Which calls lie between two, both included."""
    begin, end = (tuple_(*[literal(getattr(row, of.key), of.type) for of in ORDER]) for row in (first, last))
    return and_(tuple_(*ORDER) >= begin, tuple_(*ORDER) <= end)


def _is_given(row: Row[Any]) -> bool:
    return row.priced_by is None and row.cost_usd is not None


def changes_of(rows: Iterable[Row[Any]], book: PriceBook, *, given: bool) -> Changes:
    """Return which calls cost something else by these prices."""
    found: Changes = {}
    for row in rows:
        if _is_given(row) and not given:
            continue
        counts = [getattr(row, count.key) for count in COUNTS]
        cost, priced_by = None, None
        if has_price(row.input_tokens, row.output_tokens, row.total_tokens):
            cost, priced_by = book.cost(row.tenant_id, row.model, row.provider, row.created_at, *counts)
        if not _same(cost, row.cost_usd) and not (_is_given(row) and cost is None):
            found[_key(row)] = (row.cost_usd, cost, priced_by)
    return found


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=SAME)


def write(connection: Connection, changes: Changes, chosen: ColumnElement[bool]) -> set[Key]:
    """Write new costs where the old ones still stand, and return where that was.

    Args:
        chosen: a condition that holds for these calls, before and after, and for few others.

    One statement for all that is priced by the same: on PostgreSQL each sums anew what it changes.
    """
    words = chosen.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    written: set[Key] = set()
    with changing(connection, USAGE, str(words)):
        for priced_by in {by for _, _, by in changes.values()}:
            rows = [(*key, was, cost) for key, (was, cost, by) in changes.items() if by == priced_by]
            new = values(*NEW).data(rows).cte("new")
            was, cost = (cast(new.c[name], Float) for name in ("was", "cost"))  # all NULL, they would be text
            statement = (
                update(AIUsageLog)
                .where(LOG.id == new.c.id, LOG.tenant_id == new.c.tenant_id)
                .where(LOG.cost_usd.is_not_distinct_from(was))
                .values(cost_usd=cost, priced_by=priced_by)
                .returning(*KEY)
            )
            written.update((id_, tenant) for id_, tenant in connection.execute(statement))
    return written


def batch_of(page: Page[Row[Any]], changes: Changes, *, given: bool) -> RepricedBatch:
    """Return what changes make of a page of calls, by model."""
    found: dict[str, list[tuple[Row[Any], float | None]]] = {}
    for row in page.items:
        _, cost, _ = changes.get(_key(row), (None, row.cost_usd, None))
        found.setdefault(row.model, []).append((row, cost))
    models = [
        Repriced(
            model,
            calls=len(calls),
            changed=sum(_key(row) in changes for row, _ in calls),
            given=0 if given else sum(_is_given(row) for row, _ in calls),
            unpriced_before=sum(row.cost_usd is None for row, _ in calls),
            unpriced_after=sum(cost is None for _, cost in calls),
            cost_before=_total(row.cost_usd for row, _ in calls),
            cost_after=_total(cost for _, cost in calls),
        )
        for model, calls in found.items()
    ]
    return RepricedBatch(models, len(page), page.next)


def _total(costs: Iterable[float | None]) -> float | None:
    priced = [cost for cost in costs if cost is not None]
    return math.fsum(priced) if priced else None
