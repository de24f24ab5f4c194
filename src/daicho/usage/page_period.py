"""The stretches of time that the usage page shows, by the clocks where its reader is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from daicho.core.language import Text, say
from daicho.usage import fields, periods
from daicho.usage.schemas import By

PERIODS: Mapping[str, Text] = {
    "": Text("This month", "今月"),
    "last-month": Text("Last month", "先月"),
    "30-days": Text("Last 30 days", "過去 30 日"),
    "today": Text("Today by hour", "今日 (時間別)"),
}
MONTHS_BACK = 12
"""Months that are offered by name, besides this one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, and the units that it is told apart by.

    Attributes:
        zone: the IANA name of the time zone whose days and hours they are.
    """

    since: datetime
    until: datetime
    unit: By
    zone: str

    @property
    def begins(self) -> list[datetime]:
        """When each of its days or hours begins, as reports say it."""
        place = periods.zone_of(self.zone)
        bounds = periods.periods(self.since, self.until, self.unit, place)
        return [periods.begins(begin, self.unit, place) for begin, _ in bounds]

    def label(self, begin: datetime) -> str:
        """How one of its days or hours is called on an axis."""
        if self.unit is By.HOUR:
            return f"{begin:%H:%M}"
        return say(f"{begin:%b} {begin.day}", f"{begin.month}/{begin.day}")


def stretch(name: str, zone: tzinfo, at: datetime) -> Stretch:
    """Return the stretch of time that a choice means at an instant; this month for what is no choice.

    Args:
        name: one of ``PERIODS``, or a month (``2026-11``).
        zone: where the reader is.
    """
    key = getattr(zone, "key", "UTC")
    place = periods.zone_of(key)
    today = at.astimezone(place).date()
    month = _month(name) or today.replace(day=1)
    following = today + timedelta(days=1)
    unit = By.DAY
    match name:
        case "today":
            first, last, unit = today, following, By.HOUR
        case "30-days":
            first, last = today - timedelta(days=29), following
        case "last-month":
            first, last = (month - timedelta(days=1)).replace(day=1), month
        case _:
            first, last = month, (month + timedelta(days=31)).replace(day=1)
    return Stretch(periods.midnight(first, place), periods.midnight(last, place), unit, key)


def choices(chosen: str, zone: tzinfo, at: datetime, older: Sequence[date] = ()) -> list[tuple[str, str]]:
    """Return what a reader may choose from, each with what it is called; a month that is chosen among it.

    Args:
        older: months from before those that are always offered.
    """
    this = at.astimezone(zone).date().replace(day=1)
    # This month and the last have names of their own.
    named = [*(month_before(this, back) for back in range(2, MONTHS_BACK + 1)), *older]
    if (month := _month(chosen)) and month not in named:
        named.append(month)
    offered = [(name, str(text)) for name, text in PERIODS.items()]
    return [*offered, *((f"{one:%Y-%m}", month_text(one)) for one in named)]


def month_text(month: date) -> str:
    """How a month is called."""
    return say(f"{month:%B %Y}", f"{month.year}年{month.month}月")


def month_before(month: date, count: int) -> date:
    """Return the first day of the month so many months before (after, if negative) another."""
    years, index = divmod(month.year * 12 + month.month - 1 - count, 12)
    return date(years, index + 1, 1)


def _month(name: str) -> date | None:
    """The first day of a month, as ``2026-11``; None for what is no month that could be reported."""
    try:
        first = date.fromisoformat(f"{name}-01")
    except ValueError:
        return None
    return first if fields.FIRST_YEAR < first.year < fields.LAST_YEAR else None
