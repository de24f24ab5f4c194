"""What stands in a file, as the values of a record."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from daicho.core.errors import Invalid
from daicho.usage.schemas import Success

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = 10**8, 4_102_444_800
"""Numbers outside of 1973 to 2100 are no seconds since 1970: 20261121 is a date, say."""
UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
"""Parts of a second in which systems count: none, milli, micro, nano."""
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
WHOLE = re.compile(r"(\d{1,18})(?:\.0*)?", re.ASCII)
"""With the ``.0`` that programs write behind whole numbers of a column with gaps."""
UTC_WORDS = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)
ONE_DIGIT = re.compile(r"(?<![\d.])(\d)(?!\d)", re.ASCII)
"""As spreadsheets write months, days and hours."""
OUTCOMES = {"true": Success.SUCCESS, "false": Success.FAILURE}


class Clock:
    """Reads times.

    Args:
        zone: where times were written that name no zone.

    Attributes:
        zoneless: how many named none.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zoneless = 0
        self._zone = zone

    def read(self, name: str, value: object) -> datetime:
        """Read a time: ISO 8601, ``2026/11/21 8:18``, or (milli-, micro-, nano-)seconds since 1970.

        Raises Invalid.
        """
        text = str(value).strip()
        try:
            if NUMBER.fullmatch(text) and (unix := _since_epoch(Decimal(text))) is not None:
                return unix
            found = _calendar(text)
            if found.tzinfo is None:
                found = found.replace(tzinfo=self._zone)
                self.zoneless += 1
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise Invalid(
                f"{name}: {text[:60]!r} is not a time; write it as 2026-11-21T08:18:22+09:00",
                f"{name}: {text[:60]!r} は時刻ではありません。2026-11-21T08:18:22+09:00 と書いてください",
            ) from None


def _calendar(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        padded = ONE_DIGIT.sub(r"0\1", text.replace("/", "-"))
        return datetime.fromisoformat(UTC_WORDS.sub("+00:00", padded))


def _since_epoch(number: Decimal) -> datetime | None:
    for unit in UNITS:
        if FIRST_SECOND * unit <= number < LAST_SECOND * unit:
            return EPOCH + timedelta(microseconds=int(number * 1_000_000 / unit))
    return None


def whole(name: str, value: object) -> int:
    """Read a whole number. Raises Invalid."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if found := WHOLE.fullmatch(str(value)):
        return int(found[1])
    raise Invalid(
        f"{name}: {str(value)[:60]!r} is not a whole number; write it without separators, as 1200",
        f"{name}: {str(value)[:60]!r} は整数ではありません。1200 のように区切りなしで書いてください",
    )


def number(name: str, value: object) -> float:
    """Read a number. Raises Invalid."""
    if not isinstance(value, bool) and NUMBER.fullmatch(str(value)):
        return float(str(value))
    raise Invalid(
        f"{name}: {str(value)[:60]!r} is not a number; write it as 0.0125",
        f"{name}: {str(value)[:60]!r} は数ではありません。0.0125 のように書いてください",
    )


def rounded(name: str, value: object) -> int:
    """Read a number as a whole one: parts of a millisecond do not count. Raises Invalid."""
    return round(number(name, value))


def outcome(name: str, value: object) -> str:
    """Read how a call ended: ``success``, ``failure``, or whether it succeeded, ``true`` or ``false``."""
    text = str(value).lower()
    return OUTCOMES.get(text, text)


def same(name: str, value: object) -> object:
    """Leave a value as it is: the ledger checks it."""
    return value


READ: Mapping[str, Callable[[str, Any], object]] = {
    "input_tokens": whole,
    "output_tokens": whole,
    "total_tokens": whole,
    "cache_read_tokens": whole,
    "cache_write_tokens": whole,
    "duration_ms": rounded,
    "cost_usd": number,
    "success": outcome,
}
"""How a field is read; the others are taken as they are."""
