"""The single calls of LLMs, latest first, a page at a time; each leads to what it was made for."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypedDict

from daicho.core.cost import page_of, records_of
from daicho.core.elements import Chip, Row, Rows, box, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.core.money import money
from daicho.core.operation import Async
from daicho.core.screen import Pager, Screen
from daicho.usage.models import AIUsageLog
from daicho.usage.page_lines import trusted
from daicho.usage.page_names import Names
from daicho.usage.page_words import duration
from daicho.usage.schemas import Success, Sum
from daicho.usage.store import UsageStore

AT_ONCE = 25


class Criteria(TypedDict, total=False):
    """What ``usage.list`` filters by."""

    tenant_id: str | None
    model: str | None
    operation: str | None
    source: str | None
    since: datetime | None
    until: datetime | None


class Records:
    """A table of calls.

    Args:
        names: what tenants are called.
        screen: the page; ``after`` in its address is the page of the table to begin with.
        turn: shows the page that ``pager`` has come to.
        linked: whether a row says what its call was made for, and leads there.
    """

    def __init__(
        self,
        usage: UsageStore[Async],
        names: Names,
        screen: Screen,
        turn: Callable[[], Awaitable[None]],
        *,
        linked: bool,
    ) -> None:
        self._logs: list[AIUsageLog] = []
        self._mark: object = None
        self._usage, self._names, self._linked = usage, names, linked
        with box("d-section") as self.root:
            words(say("Latest records", "最新の記録"), tag="h2")
            one = "" if linked else "d-of-one"
            with box(f"d-sheet d-table d-records {one}", hidden=True) as self._table:
                with box("d-tr d-th"):
                    words(say("Time", "日時"))
                    words(say("Operation and model", "操作とモデル"))
                    words(say("Tenant", "テナント"))
                    words(say("For", "対象"))
                    words(say("Tokens in → out", "トークン 入力 → 出力"), "d-right")
                    words(say("Took", "所要"), "d-right")
                    words(say("Cost", "費用"), "d-right")
                self._rows = Rows(box(), lambda log: (log.id, log.tenant_id), self._row)
            with box("d-sheet d-empty d-slim", hidden=True) as self._nothing:
                self._why = words("")
            self.pager = Pager(screen, turn, screen.query.get("after"))

    async def look(self, criteria: Criteria, total: Sum | None = None) -> None:
        """Bring the table up to date.

        Args:
            total: the sum of all the calls that fit. While it is the same as before they are not read
                again: among millions, a few may take a while to find.
        """
        mark = (criteria, self.pager.cursor, total, trusted())
        if total is None or mark != self._mark:
            page = await self._usage.list(limit=AT_ONCE, cursor=self.pager.cursor, **criteria)
            self._logs, self._mark = page.items, mark
            self.pager.show(page.next)
        await self._names.know(log.tenant_id for log in self._logs)
        self._rows.show(self._logs)
        show(self._table, bool(self._logs))
        show(self._nothing, not self._logs)

    def explain(self, why: str) -> None:
        """Say why there is nothing."""
        self._why.set_text(why)

    def _row(self, log: AIUsageLog) -> Row[AIUsageLog]:
        href = (page_of(log.source) or records_of(log.source)) if log.source and self._linked else None
        with box("d-tr", "a" if href else "div", href=href) as root:
            moment(log.created_at)
            with box("d-two"):
                words(log.operation, tag="b", title=log.operation)
                words(log.model, "d-mono", title=log.model)
            tenant = words("", "d-cut", dir="auto")
            with box():
                if log.source:
                    Chip(log.source)
            words(f"{log.input_tokens:,} → {log.output_tokens:,}", "d-right d-number")
            with box("d-right d-number"):
                failed = Chip(say("Failed", "失敗"), "d-failed")
                took = words("" if log.duration_ms is None else duration(log.duration_ms))
            show(failed.root, log.success != Success.SUCCESS)
            show(took, log.success == Success.SUCCESS)
            cost = words("", "d-right d-number")

        def take(log: AIUsageLog) -> None:
            tenant.set_text(self._names.of(log.tenant_id))
            cost.set_text(money(log.cost_usd))
            set_attribute(cost, "title", log.priced_by)

        take(log)
        return Row(root, take)
