"""Which buckets of the sums make up a stretch of time, in any time zone.

Sums are kept by month, day, hour and quarter of an hour in UTC. A month in Kolkata is the month in UTC,
with five and a half hours before it and without its last ones: a few ranges of buckets (``Segment``).
Sums are exact, so taking away is as good as adding. Months are kept by the clocks of Tokyo too, where
many of our users are: a month there is one bucket, and one in Shanghai that without an hour, and with one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from daicho.core.errors import Invalid
from daicho.usage.fields import FIRST_YEAR, LAST_YEAR
from daicho.usage.schemas import By

QUARTER = timedelta(minutes=15)
MONTHS = {"month": timedelta(0), "month+9": timedelta(hours=9)}
"""The grains of months, and how far their clocks are ahead of UTC."""
PERIODS_MOST = 10_000
"""The most hours, days or months that one report tells apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Buckets of one grain, from ``first`` until before ``last``: for (1) or against (-1) a period."""

    period: int
    grain: str
    first: datetime
    last: datetime
    sign: int


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises Invalid for one that is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"unknown time zone {name!r}; use a name as Asia/Tokyo or UTC",
            f"時間帯 {name!r} はありません。Asia/Tokyo や UTC のように指定してください",
        ) from None


def check_stretch(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return both ends in UTC. Raises Invalid for ends off a quarter of an hour, or the wrong way round."""
    for name, at in (("since", since), ("until", until)):
        if at.tzinfo is None:
            raise Invalid(f"{name} has no time zone: {at}", f"{name} に時間帯がありません: {at}")
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise Invalid(
                f"{name} lies outside the years {FIRST_YEAR} to {LAST_YEAR}: {at}",
                f"{name} は {FIRST_YEAR} 年から {LAST_YEAR} 年の範囲で指定してください: {at}",
            )
        if (at - datetime.min.replace(tzinfo=UTC)) % QUARTER:
            raise Invalid(
                f"{name} must lie on a quarter of an hour, not {at.isoformat()}: sums are kept by quarters",
                f"{name} は 15 分単位で指定してください ({at.isoformat()} でした)",
            )
    begin, end = since.astimezone(UTC), until.astimezone(UTC)
    if begin >= end:
        raise Invalid(f"since {since} is not before until {until}", f"開始 {since} が終了 {until} 以降です")
    return begin, end


def month_in(month: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a month (``2026-11``) begins and ends in a time zone. Raises Invalid for what is none."""
    try:
        first = date.fromisoformat(f"{month}-01")
        following = (first + timedelta(days=31)).replace(day=1)
        midnight(first, zone)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{month!r} is no month; write it as 2026-11", f"{month!r} は月ではありません (例: 2026-11)"
        ) from None
    return check_stretch(midnight(first, zone), midnight(following, zone))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins in a time zone, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def periods(
    since: datetime, until: datetime, by: By | None, zone: ZoneInfo
) -> list[tuple[datetime, datetime]]:
    """Cut a stretch into hours, days or months of a time zone; the first and last may be parts of one.

    Returns the bounds of each in UTC. Raises Invalid for too many.
    """
    if by is None:
        return [(since, until)]
    cuts = [since]
    for cut in _cuts(since, by, zone):
        if cut >= until:
            break
        if cut > cuts[-1]:
            cuts.append(cut)
        if len(cuts) > PERIODS_MOST:
            raise Invalid(
                f"more than {PERIODS_MOST:,} of {by.value}; choose a shorter time or a longer unit",
                f"{by.value} の数が {PERIODS_MOST:,} を超えます。期間を短くするか単位を長くしてください",
            )
    return list(zip(cuts, [*cuts[1:], until], strict=True))


def _cuts(since: datetime, by: By, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants after ``since`` at which a new hour, day or month begins in a time zone."""
    local = since.astimezone(zone)
    if by is By.HOUR:
        at, seen = since, _hour(local)
        while True:
            at += QUARTER
            if (hour := _hour(at.astimezone(zone))) != seen:
                seen = hour
                yield at
    day = local.date() if by is By.DAY else local.date().replace(day=1)
    while True:
        day = day + timedelta(days=1) if by is By.DAY else (day + timedelta(days=31)).replace(day=1)
        yield midnight(day, zone)


def _hour(local: datetime) -> tuple[datetime, timedelta | None]:
    return local.replace(minute=0, second=0, microsecond=0, tzinfo=None), local.utcoffset()


def begins(at: datetime, by: By, zone: ZoneInfo) -> datetime:
    """Return when the hour, day or month that an instant lies in begins, by the clocks of a time zone."""
    there = at.astimezone(zone)
    local = there.replace(minute=0, second=0, microsecond=0)
    if by is By.HOUR:
        is_shown = local.astimezone(UTC).astimezone(zone).time() == local.time()
        if is_shown and local.utcoffset() == there.utcoffset():
            return local
        # The clocks skipped the hour's beginning, or went back into its middle: it begins where they went on.
        while _hour((at - QUARTER).astimezone(zone)) == _hour(at.astimezone(zone)):
            at -= QUARTER
        return at.astimezone(zone)
    return local.replace(hour=0, fold=0, day=local.day if by is By.DAY else 1)


def segments(bounds: Sequence[tuple[datetime, datetime]], grains: Sequence[str]) -> list[Segment]:
    """Make up stretches of time of buckets, of few ranges and few buckets.

    Args:
        bounds: where each begins and ends, in UTC.
        grains: the lengths of the buckets that there are, coarsest first, down to ``quarter``. Of
            several of months each stretch takes those that fit it best.
    """
    return [
        Segment(period, grain, first, last, sign)
        for period, (begin, end) in enumerate(bounds)
        for grain, first, last, sign in _made_of(begin, end, _fitting(begin, end, grains), 1)
    ]


def _fitting(begin: datetime, end: datetime, grains: Sequence[str]) -> list[str]:
    """The grains, with one of months at most: the one of which least is left over at both ends."""

    def left(grain: str) -> timedelta:
        return abs(_nearest(begin, grain) - begin) + abs(_nearest(end, grain) - end)

    months = [grain for grain in grains if grain in MONTHS]
    best = [min(months, key=left)] if months else []
    return [*best, *[grain for grain in grains if grain not in MONTHS]]


def _made_of(
    begin: datetime, end: datetime, grains: list[str], sign: int
) -> Iterator[tuple[str, datetime, datetime, int]]:
    if begin >= end:
        return
    grain, finer = grains[0], grains[1:]
    if not finer:
        yield grain, begin, end, sign
        return
    first, last = _nearest(begin, grain), _nearest(end, grain)
    if first >= last or abs(first - begin) + abs(last - end) > end - begin:  # more to mend than it makes
        yield from _made_of(begin, end, finer, sign)
        return
    yield grain, first, last, sign
    yield from _made_of(begin, first, finer, sign)
    yield from _made_of(first, begin, finer, -sign)
    yield from _made_of(last, end, finer, sign)
    yield from _made_of(end, last, finer, -sign)


def _nearest(at: datetime, grain: str) -> datetime:
    """The beginning of a bucket that lies nearest to an instant."""
    if grain in MONTHS:
        there = at + MONTHS[grain]
        first = there.replace(day=1, hour=0, minute=0)
        before, after = first - MONTHS[grain], (first + timedelta(days=31)).replace(day=1) - MONTHS[grain]
    elif grain == "day":
        before = at.replace(hour=0, minute=0)
        after = before + timedelta(days=1)
    else:
        before = at.replace(minute=0)
        after = before + timedelta(hours=1)
    return before if at - before <= after - at else after
