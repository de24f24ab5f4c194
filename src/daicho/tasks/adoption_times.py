"""The times of an old agent's database, in whatever way they were written there."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from daicho.core.errors import Invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = 10**8, 4_102_444_800
"""Numbers outside of 1973 to 2100 are no Unix seconds: 20251121 is a date, say."""

UNIX = re.compile(r"\d{9,13}(?:\.\d*)?")
CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
SPOKEN = r"(?P<hour>\d{1,2})時(?:\s*(?P<minute>\d{1,2})分(?:\s*(?P<second>\d{1,2})秒)?)?"
ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?"
DASHED = r"(?P<year>\d{4})(?P<between>[-/])(?P<month>\d{1,2})(?P=between)(?P<day>\d{1,2})"
JAPANESE = r"(?P<year>\d{4})年\s*(?P<month>\d{1,2})月\s*(?P<day>\d{1,2})日"
BASIC = (
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2})(?P<minute>\d{2})(?:(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
)
FORMS = tuple(
    re.compile(form + ZONE, re.IGNORECASE)
    for form in (
        rf"{DASHED}(?:(?:T|\s+){CLOCK})?",
        rf"{JAPANESE}(?:\s*{CLOCK})?",
        rf"{JAPANESE}\s*{SPOKEN}",
        BASIC,
    )
)
RFC_2822 = re.compile(
    r"(?:[A-Z]{3},\s*)?\d{1,2}\s+[A-Z]{3}\s+\d{4}\s+\d{2}:\d{2}(?::\d{2})?"
    r"(?:\s+(?:[+-]\d{4}|UTC?|GMT|Z|[ECMP][SD]T))?",
    re.IGNORECASE,
)


def read_time(value: str | float, zone: ZoneInfo) -> tuple[datetime, bool]:
    """Read a time: ISO 8601, ``2025/11/21 08:18``, ``2025年11月21日 8時18分``, RFC 2822, Unix time.

    Args:
        zone: where a time was written that names no zone.

    Returns the instant, in UTC, and whether it names its zone. Raises Invalid for anything else.
    """
    text = unicodedata.normalize("NFKC", str(value)).strip()
    try:
        found = _unix(text) or _calendar(text) or _rfc_2822(text)
        if found is not None:
            placed = found if found.tzinfo else found.replace(tzinfo=zone)
            return placed.astimezone(UTC), found.tzinfo is not None
    except (ValueError, OverflowError):  # February 30, or before the year 1
        pass
    raise Invalid(
        f"{text[:60]!r} is not a time; write it as 2025-11-21T08:18:22+09:00",
        f"{text[:60]!r} は時刻ではありません。2025-11-21T08:18:22+09:00 のように書いてください",
    )


def _unix(text: str) -> datetime | None:
    """Seconds or milliseconds since 1970."""
    if not UNIX.fullmatch(text):
        return None
    number = Decimal(text)
    for unit in (1, 1000):
        if FIRST_SECOND * unit <= number < LAST_SECOND * unit:
            return EPOCH + timedelta(microseconds=int(number * 1_000_000 / unit))
    return None


def _calendar(text: str) -> datetime | None:
    """A year, a month and a day, and perhaps a time and a zone."""
    found = next((found for form in FORMS if (found := form.fullmatch(text))), None)
    if found is None:
        return None
    parts = found.groupdict()
    year, month, day, hour, minute, second = (
        int(parts.get(name) or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    micro = int((parts.get("fraction") or "")[:6].ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, micro, _zone(parts["zone"]))


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    digits = re.sub(r"\D", "", text).ljust(6, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    return timezone(-offset if text.startswith("-") else offset)


def _rfc_2822(text: str) -> datetime | None:
    # -0000 is UTC too: it says that nobody knows the writer's zone.
    return parsedate_to_datetime(text.replace("-0000", "+0000")) if RFC_2822.fullmatch(text) else None
