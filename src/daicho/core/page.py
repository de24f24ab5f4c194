"""Keyset pages: every list has a limit and a cursor, and page 10,000 costs what page 1 costs."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from daicho.core.errors import Invalid
from daicho.core.model import check_text, check_whole

T = TypeVar("T")
LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list and the way to the next ones.

    Attributes:
        items: the items, in the list's order.
        next: the cursor of the following page; None on the last.
    """

    items: list[T]
    next: str | None = None

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


SortKey = ColumnElement[Any] | InstrumentedAttribute[Any]


def keyset(
    session: Session,
    statement: Select[Any],
    keys: Sequence[SortKey],
    *,
    limit: int,
    cursor: str | None,
    descending: bool = False,
    item: Callable[[Row[Any]], Any] = lambda row: row[0],
) -> Page[Any]:
    """Run a statement for one page, sorted by ``keys``, which together are unique.

    Args:
        limit: 1 to 1,000 items.
        cursor: a former page's ``next``; None for the first page.
        descending: the direction, the same for every key.
        item: makes an item of a row.

    Raises Invalid for a limit or a cursor that cannot be.
    """
    check_limit(limit)
    selected = statement.add_columns(*[key.label(f"_key_{at}") for at, key in enumerate(keys)])
    if cursor is not None:
        place = tuple_(
            *[literal(value, key.type) for key, value in zip(keys, _decode(cursor, keys), strict=True)]
        )
        here = tuple_(*keys)
        selected = selected.where(here < place if descending else here > place)
    order = [key.desc() if descending else key.asc() for key in keys]
    rows = session.execute(selected.order_by(*order).limit(limit + 1)).all()
    following = encode(rows[limit - 1][-len(keys) :]) if len(rows) > limit else None
    return Page([item(row) for row in rows[:limit]], following)


def check_limit(limit: object) -> int:
    """Return the limit, or raise Invalid when it is not a whole number from 1 to 1,000."""
    number = check_whole("limit", limit)
    if not 1 <= number <= LIMIT_MAX:
        raise Invalid(
            f"limit is {number}; 1 to {LIMIT_MAX}", f"limit が {number} です。1 から {LIMIT_MAX} まで"
        )
    return number


def check_offset(offset: object) -> int:
    """Return how many rows to leave out, or raise Invalid when it is not a whole number from 0 on."""
    number = check_whole("offset", offset)
    if not 0 <= number < 2**63:
        raise Invalid(f"offset is {number}; 0 or more", f"offset が {number} です。0 以上にしてください")
    return number


def encode(values: Sequence[Any]) -> str:
    """Write a place in a list as a cursor: opaque, short, safe in a URL."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, keys: Sequence[SortKey]) -> list[Any]:
    check_cursor(cursor)
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(keys):
            raise ValueError
        return [_typed(value, key) for value, key in zip(values, keys, strict=True)]
    except (ValueError, TypeError, Invalid):
        raise no_cursor(cursor) from None


def check_cursor(cursor: object) -> str:
    """Return a cursor, which is a text at least. Raises Invalid."""
    if not isinstance(cursor, str):
        raise no_cursor(cursor)
    return cursor


def no_cursor(cursor: object) -> Invalid:
    """The error of what is no cursor of a list."""
    shown = repr(cursor[:40] if isinstance(cursor, str) else cursor)[:42]
    return Invalid(
        f"{shown} is not a cursor of this list; begin again without one",
        f"{shown} はこの一覧のカーソルではありません。カーソルなしで始めてください",
    )


def _typed(value: Any, key: SortKey) -> Any:
    wanted = key.type.python_type
    typed = datetime.fromisoformat(value) if wanted is datetime else value
    if not isinstance(typed, wanted) or isinstance(typed, bool) or (wanted is int and abs(typed) >= 2**63):
        raise ValueError
    if isinstance(typed, str):
        check_text("cursor", typed)
    return typed


def decode_number(cursor: str | None) -> int | None:
    """Read a cursor of one number, as ``encode([number])`` wrote it."""
    if cursor is None:
        return None
    number: int = _decode(cursor, [literal(0)])[0]
    return number


def decode_texts(cursor: str, count: int) -> list[str]:
    """Read a cursor of some texts, as ``encode`` wrote it. Raises Invalid."""
    return _decode(cursor, [literal("")] * count)
