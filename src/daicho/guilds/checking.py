"""What of an operation's arguments is checked alike for tickets, logs and settings."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.model import Base, check_whole
from daicho.core.types import SNOWFLAKE_MAX, check_instant, now, one_of

Row = dict[str, Any]
E = TypeVar("E", bound=Enum)


def named_row(model: type[Base], **values: object) -> Row:
    """Return a row as ``Base.whole_row``. Raises Invalid also for a ``request_id`` that is empty."""
    if values["request_id"] == "":
        raise Invalid("request_id is empty; leave it out", "request_id が空です。不要なら省いてください")
    return model.whole_row(**values)


def changed_row(model: type[Base], fixed: Iterable[str], values: Mapping[str, object]) -> Row:
    """Return checked values for columns of a row that is there already.

    Args:
        fixed: the columns that nobody changes.

    Raises Invalid as ``Base.whole_row``, and for one of the fixed columns.
    """
    row = model.whole_row(**values)
    for name in fixed:
        if name in row:
            raise Invalid(f"{name} cannot be changed", f"{name} は変えられません")
    return row


def row_key(name: str, value: object) -> int:
    """Return a row's number, or 0, which no row has, for one beyond what a database counts to.

    Raises Invalid for what is no whole number.
    """
    number = check_whole(name, value)
    return number if 0 < number <= SNOWFLAKE_MAX else 0


def counted(name: str, value: object, most: int | None = None) -> int:
    """Return a whole number from 1 up to ``most``, if there is one; raise Invalid for another."""
    number = check_whole(name, value)
    if number < 1 or (most is not None and number > most):
        en, ja = ("1 or more", "1 以上") if most is None else (f"1 to {most:,}", f"1 から {most:,} まで")
        raise Invalid(f"{name} is {number}; {en}", f"{name} が {number} です。{ja}")
    return number


def check_amount(name: str, number: int | None, unit: Text) -> None:
    """Raise Invalid for a number of seconds, bytes or the like that is below 0."""
    if number is not None and number < 0:
        raise Invalid(
            f"{name} is {number}; 0 {unit.en} or more", f"{name} が {number} です。0 {unit.ja}以上です"
        )


def several(name: str, value: object, kind: type[E]) -> list[E]:
    """Return the members of an enum that a value, or each of several, stands for. Raises Invalid."""
    some = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [one_of(name, one, kind) for one in some]


def period(
    column: InstrumentedAttribute[datetime], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    """Return what is true of the rows at or after ``since`` and before ``until``, aware instants or None.

    Raises Invalid for what is neither.
    """
    bounds = []
    if since is not None:
        bounds.append(column >= check_instant("since", since))
    if until is not None:
        bounds.append(column < check_instant("until", until))
    return bounds


def ago(name: str, number: float, unit: timedelta) -> datetime:
    """Return the instant that lies a number of units back from now.

    Raises Invalid for a number below 0, and for one that reaches back before the year 1.
    """
    try:
        if number >= 0:
            return now() - number * unit
    except (TypeError, ValueError, OverflowError):
        pass
    raise Invalid(
        f"{name} cannot be {str(number)[:40]}; a number from 0 that ends after the year 1",
        f"{name} を {str(number)[:40]} にはできません。0 以上で、西暦 1 年より後に収まる数だけです",
    )
