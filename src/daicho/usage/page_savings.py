"""What caching has saved, by the prices of each day: an estimate made of the sums of a report."""

import asyncio
from collections.abc import Sequence

from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX
from daicho.usage.pricing import PriceBook, Rule
from daicho.usage.schemas import ReportRow
from daicho.usage.store import UsageStore


class Savings:
    """What cached tokens cost less than the same ones uncached, by model.

    An estimate: sums do not tell a call's provider, nor the tenant where all are shown together.
    """

    def __init__(self, usage: UsageStore[Async]) -> None:
        self._usage = usage
        self._rules: list[Rule] | None = None
        self._book = PriceBook()

    async def look(self, tenant_id: str | None, rows: Sequence[ReportRow]) -> dict[str, float]:
        """Return dollars by model; those without cached tokens or without a price are left out.

        Args:
            tenant_id: whose calls; None: everybody's, by what is everybody's price.
            rows: a report by time and model.
        """
        cached = [row for row in rows if row.sum.total_cache_read_tokens or row.sum.total_cache_write_tokens]
        if not cached:
            return {}
        prices = await self._usage.list_prices(tenant_id=tenant_id, limit=LIMIT_MAX)
        rules = [
            Rule(**{name: getattr(price, name) for name in Rule.__slots__})
            for price in reversed(prices.items)
            if price.tenant_id in {None, tenant_id}
        ]
        if rules != self._rules:
            self._rules, self._book = rules, PriceBook(rules)
        # In a thread: the price list takes a while to be read for the first time.
        return await asyncio.to_thread(_saved, self._book, tenant_id or "", cached)


def _saved(book: PriceBook, tenant_id: str, rows: Sequence[ReportRow]) -> dict[str, float]:
    saved: dict[str, float] = {}
    for row in rows:
        if row.model is None or row.begins is None:
            continue
        spent = row.sum
        less = book.saved(
            tenant_id,
            row.model,
            None,
            row.begins,
            spent.total_cache_read_tokens,
            spent.total_cache_write_tokens,
        )
        if less is not None:
            saved[row.model] = saved.get(row.model, 0.0) + less
    return saved
