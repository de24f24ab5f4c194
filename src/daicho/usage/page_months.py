"""The months in which something was used: what the usage page offers besides those of the last year."""

from datetime import date, datetime, tzinfo

from daicho.core.operation import Async
from daicho.usage import periods
from daicho.usage.page_lines import trusted
from daicho.usage.page_period import MONTHS_BACK, month_before
from daicho.usage.schemas import By
from daicho.usage.store import UsageStore

MONTHS_MOST = 120
"""How many months are looked through: a report by month, of tenants' sums, which are quickly read."""


class Months:
    """The months of use, by the clocks where the reader is. ``older`` are those that a year ago were past."""

    def __init__(self, usage: UsageStore[Async], zone: tzinfo) -> None:
        self._usage = usage
        self._place = periods.zone_of(getattr(zone, "key", "UTC"))
        self._mark: object = None
        self.older: list[date] = []

    async def look(self, at: datetime) -> None:
        """Read the older months, once in some minutes: they seldom become more."""
        if self._mark != trusted():
            self.older = await self._used(month_before(self._month(at), MONTHS_BACK), None)
            self._mark = trusted()

    async def latest(self, at: datetime, tenant_id: str | None) -> date | None:
        """Return the latest month in which a tenant, or anybody, used something; None if there is none."""
        used = await self._used(month_before(self._month(at), -1), tenant_id)
        return used[0] if used else None

    async def _used(self, before: date, tenant_id: str | None) -> list[date]:
        """Those before a month, latest first."""
        report = await self._usage.report(
            since=periods.midnight(month_before(before, MONTHS_MOST), self._place),
            until=periods.midnight(before, self._place),
            by=[By.MONTH],
            zone=self._place.key,
            tenant_id=tenant_id,
        )
        return [row.begins.date() for row in reversed(report.rows) if row.begins]

    def _month(self, at: datetime) -> date:
        return at.astimezone(self._place).date().replace(day=1)
