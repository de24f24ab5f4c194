"""What a reader has asked for, read from the sums: with every look only what may have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TypedDict, TypeVar

from daicho.core.operation import Async
from daicho.core.types import now
from daicho.usage import periods
from daicho.usage.page_period import Stretch
from daicho.usage.page_words import together
from daicho.usage.reports import LINES_MOST
from daicho.usage.schemas import By, Report, ReportRow, Sum
from daicho.usage.store import UsageStore

Name = TypeVar("Name", str, str | None)
TRUSTED_SECONDS = 300
"""After this time all is read again, should ever the same sum be that of other calls."""


def trusted() -> int:
    """A number that is the same for some minutes."""
    return int(monotonic() // TRUSTED_SECONDS)


class Chosen(TypedDict):
    """What reports and records are narrowed to; None: not."""

    tenant_id: str | None
    model: str | None
    operation: str | None


@dataclass(slots=True)
class Lines:
    """Sums by time and model, by operation, and by the kind of source."""

    over_time: list[ReportRow] = field(default_factory=list)
    operations: dict[str | None, Sum] = field(default_factory=dict)
    kinds: dict[str | None, Sum] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, Sum]:
        """Sums by model, over all the time."""
        parts: dict[str, list[Sum]] = {}
        for row in self.over_time:
            parts.setdefault(row.model or "", []).append(row.sum)
        return {model: together(sums) for model, sums in parts.items()}


class LiveLines:
    """Reads ``Lines`` again and again. What lies before today is kept until its sum has changed.

    These are the reports that cost most: where there are many users, they add up a row a user and day.
    The sum of a tenant, or of all, is read in no time.
    """

    def __init__(self, usage: UsageStore[Async]) -> None:
        self._usage = usage
        self._mark: object = None
        self._before = Lines()

    async def look(self, period: Stretch, chosen: Chosen) -> Lines:
        """Return the lines of a stretch of time."""
        place = periods.zone_of(period.zone)
        today = periods.midnight(now().astimezone(place).date(), place)
        cut = min(max(today, period.since), period.until)
        if period.since == cut:
            return await self._read(period, cut, period.until, chosen)
        total = await self._usage.report(
            since=period.since, until=cut, by=(), zone=period.zone, tenant_id=chosen["tenant_id"]
        )
        mark = (period, cut, chosen, total.total, trusted())
        if mark != self._mark:
            self._before = await self._read(period, period.since, cut, chosen)
            self._mark = mark
        if cut == period.until:
            return self._before
        after = await self._read(period, cut, period.until, chosen)
        return Lines(
            [*self._before.over_time, *after.over_time],
            _merged(self._before.operations, after.operations),
            _merged(self._before.kinds, after.kinds),
        )

    async def _read(self, period: Stretch, since: datetime, until: datetime, chosen: Chosen) -> Lines:
        async def report(by: Sequence[By]) -> Report:
            return await self._usage.report(
                since=since, until=until, by=by, zone=period.zone, limit=LINES_MOST, **chosen
            )

        over_time = await report([period.unit, By.MODEL])
        if not over_time.total.api_calls:
            return Lines()
        operations, kinds = await report([By.OPERATION]), await report([By.SOURCE])
        return Lines(
            over_time.rows,
            {row.operation: row.sum for row in operations.rows},
            {row.source_kind: row.sum for row in kinds.rows},
        )


def dearest(sums: Mapping[Name, Sum]) -> list[tuple[Name, Sum]]:
    """Return what there are sums of, dearest first, then by tokens."""
    return sorted(
        sums.items(),
        key=lambda item: (-(item[1].total_cost_usd or 0), -item[1].total_tokens, item[0] or ""),
    )


def _merged(one: Mapping[str | None, Sum], other: Mapping[str | None, Sum]) -> dict[str | None, Sum]:
    return {
        key: together(sums[key] for sums in (one, other) if key in sums) for key in one.keys() | other.keys()
    }
