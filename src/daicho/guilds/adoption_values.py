"""What stands in a cell of a bot's database, read as what the ledger's column holds."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer

from daicho.core.cells import Plain, as_text, as_whole, shown
from daicho.core.errors import Invalid
from daicho.core.types import Instant, OneOf, Snowflake, utc

EXACT = 2**53
"""Floating-point numbers from here on have lost digits."""
YES = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}


class Clock:
    """Reads times that name no zone, as the clock on the wall of one zone showed them.

    Args:
        zone: the zone; None: this machine's.

    Attributes:
        zoneless: times that named no zone.
        ambiguous: times that the clock showed twice; they are taken for the first.
        skipped: times that it never showed; they are taken as if it had not been put forward.
    """

    def __init__(self, zone: ZoneInfo | None) -> None:
        self.zone = zone
        self.zoneless = 0
        self.ambiguous = 0
        self.skipped = 0

    def read(self, value: Plain) -> datetime:
        """Return an instant. Raises Invalid."""
        try:
            read = datetime.fromisoformat(str(value).strip())
            return utc(read) if read.tzinfo else self._placed(read)
        except (ValueError, OverflowError, OSError):
            raise Invalid(
                f"{shown(value)} is not a time; write it as 2025-11-21 08:18:22",
                f"{shown(value)} は時刻ではありません。2025-11-21 08:18:22 のように書いてください",
            ) from None

    def _placed(self, read: datetime) -> datetime:
        self.zoneless += 1
        first, second = (
            read.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)
        )  # without a zone Python takes the machine's
        if first < second:
            self.ambiguous += 1
        elif first > second:
            self.skipped += 1
        return first


def reader(column: Column[Any], clock: Clock) -> Callable[[Plain], object]:
    """Return what reads the cells of a column. It raises Invalid."""
    kind = column.type
    if column.key == "id":
        return row_number
    if isinstance(kind, Instant):
        return clock.read
    if isinstance(kind, OneOf):
        return lambda value: member(value, kind.kind)
    if isinstance(kind, Snowflake | BigInteger):
        return not_negative
    if isinstance(kind, Boolean):
        return yes_or_no
    if isinstance(kind, Integer):  # a bot may have counted places from anywhere
        return whole if column.key == "position" else not_negative
    if isinstance(kind, Float):
        return real
    return as_text


def member(value: Plain, kind: type[Enum]) -> Enum | Plain:
    """Return the member of an enum that a cell names: SQLAlchemy writes names, others write values.

    What names none is returned as it is: the gate to the table says so.
    """
    return _members(kind).get(as_text(value).strip().casefold(), value)


@cache
def _members(kind: type[Enum]) -> dict[str, Enum]:
    return {said: item for item in kind for said in (item.name.casefold(), str(item.value).casefold())}


def row_number(value: Plain) -> int:
    """Return a row's own number, of a size that leaves room for many after it."""
    number = not_negative(value)
    if number >= EXACT:
        raise Invalid(
            f"{number} is too large for the number of a row", f"{number} は行の番号として大きすぎます"
        )
    return number


def not_negative(value: Plain) -> int:
    """Return an id or a count. Raises Invalid for what is negative, or has lost digits."""
    number = whole(value)
    if number < 0:
        raise Invalid(f"{number} is negative; it must not be", f"{number} は負です。負にはなりません")
    return number


def whole(value: Plain) -> int:
    """Return a whole number, however it was written."""
    if isinstance(value, int):
        return value
    if isinstance(value, float) and (not value.is_integer() or abs(value) >= EXACT):
        raise Invalid(
            f"{value!r} is not a whole number, or has lost digits",
            f"{value!r} は整数でないか、桁が失われています",
        )
    number = as_whole(value)
    if number is None:
        raise Invalid(f"{shown(value)} is not a whole number", f"{shown(value)} は整数ではありません")
    return number


def real(value: Plain) -> float:
    """Return a finite number."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(f"{shown(value)} is not a number", f"{shown(value)} は数ではありません")
    return number


def yes_or_no(value: Plain) -> bool:
    """Return what SQLite keeps as 1 or 0."""
    found = YES.get(as_text(value).strip().casefold())
    if found is None:
        raise Invalid(f"{shown(value)} is neither 0 nor 1", f"{shown(value)} は 0 でも 1 でもありません")
    return found
