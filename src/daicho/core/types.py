"""Column types that behave alike on SQLite and PostgreSQL."""

import json
import math
import os
import re
import time
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, JSON, BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from daicho.core.errors import Invalid, located
from daicho.core.language import Text as Words
from daicho.core.manners import meaning, zoned
from daicho.core.nesting import JSON_LEVELS, TooDeepError, measure, measure_text, plain

SNOWFLAKE_MAX = 2**63 - 1
E = TypeVar("E", bound=Enum)


class Instant(TypeDecorator[datetime]):
    """A point in time: timezone-aware UTC going in and coming out.

    PostgreSQL keeps TIMESTAMPTZ. SQLite keeps naive UTC text, ``2026-11-21 08:18:22.000000``, the
    form that SQLAlchemy programs have always written there, so that older files sort and read alike.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = utc(zoned(value, meaning(dialect)))
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StringList(TypeDecorator[list[str]]):
    """A list of strings: TEXT[] on PostgreSQL, a JSON array on SQLite."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        none_is_null = JSON(none_as_null=True)  # not JSON's null, which differs from SQL's
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else none_is_null)


Json = JSON().with_variant(postgresql.JSONB(), "postgresql")
"""Anything that JSON can hold: JSONB on PostgreSQL."""


class Snowflake(TypeDecorator[int]):
    """A 64-bit Discord id. One that does not fit is ``Invalid`` before it reaches the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else snowflake("id", value)


class OneOf(TypeDecorator[Enum]):
    """A member of an enum, kept by its value: text, or a whole number where the enum's values are numbers.

    Args:
        kind: the enum.
    """

    impl = String
    cache_ok = True

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if issubclass(self.kind, int) else String(50))

    @property
    def python_type(self) -> type[Enum]:
        return self.kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else one_of("value", value, self.kind).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Enum | None:
        return None if value is None else self.kind(value)


class JsonText(TypeDecorator[str]):
    """JSON that programs hand over and get back as text: JSONB on PostgreSQL, a JSON text on SQLite.

    What is no JSON is kept as a JSON string, and comes back as it was: ``hello`` is ``"hello"`` in the
    database and ``hello`` outside of it.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            postgresql.JSONB(none_as_null=True) if dialect.name == "postgresql" else Text()
        )

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        held = check_levels("value", value)
        if held is None:
            return None
        return held if dialect.name == "postgresql" else json_text(held)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        held = value if dialect.name == "postgresql" else json_value(value)
        return held if isinstance(held, str) else json_text(held)


class UuidText(TypeDecorator[str]):
    """A UUID as text, lower case with hyphens: UUID on PostgreSQL, VARCHAR(36) on SQLite."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = postgresql.UUID(as_uuid=False)
        return dialect.type_descriptor(native if dialect.name == "postgresql" else String(36))


Key = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)]
"""A primary key that the database counts up: BIGINT on PostgreSQL, the rowid on SQLite."""


def snowflake(name: str, value: object) -> int:
    """Return a Discord id, or raise Invalid for what cannot be one."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SNOWFLAKE_MAX:
        raise Invalid(
            f"{name} is no Discord id: {str(value)[:40]!r}; a whole number from 0 to {SNOWFLAKE_MAX}",
            f"{name} が Discord の ID ではありません: {str(value)[:40]!r} (0 から {SNOWFLAKE_MAX} まで)",
        )
    return value


def one_of(name: str, value: object, kind: type[E]) -> E:
    """Return the member of an enum that a value stands for, or raise Invalid with those that there are."""
    try:
        member = kind(value)
        # True and 2.0 are as good as 1 and 2 to an enum of numbers.
        if isinstance(value, bool) or not isinstance(value, kind | type(member.value)):
            raise ValueError
        return member
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise Invalid(
            f"{name} cannot be {str(value)[:40]!r}; one of: {known}",
            f"{name} を {str(value)[:40]!r} にはできません。使える値: {known}",
        ) from None


def json_value(value: object) -> Any:
    """Return what a text says as JSON; a text that is no JSON, and what is no text, as it is.

    With ``NaN`` in it, a number that is not finite here, ``1e999``, or more than ``JSON_LEVELS`` levels
    a text is no JSON. Nor does a lone number, ``true`` or ``null`` count: a Discord id as text stays one.
    """
    if not isinstance(value, str):
        return value
    try:
        if measure_text(value):
            held = json.loads(value, parse_constant=_no_number, parse_float=_finite)
            return value if held is None or isinstance(held, int | float) else held
    except ValueError:
        pass
    return value


def check_levels(name: str, value: object) -> Any:
    """Return a value as ``json_value``, each mapping in it as a dict.

    Raises Invalid for more than ``JSON_LEVELS`` levels, and for names that are the same as text.
    """
    try:
        if not isinstance(value, str):
            measure(value)
            return plain(name, value)
        measure_text(value)
    except TooDeepError:
        raise Invalid(
            f"{name} is nested too deep; at most {JSON_LEVELS} levels",
            f"{name} の入れ子が深すぎます。{JSON_LEVELS} 段までです",
        ) from None
    return json_value(value)


def json_text(value: object) -> str:
    """Return a value as JSON text. Raises ValueError or TypeError for what JSON cannot hold."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def readable_json(text: str | None) -> str:
    """Return JSON with line breaks, to read; a text that is none as it is.

    >>> print(readable_json('{"content": "Hello", "attachments": []}'))
    {
      "content": "Hello",
      "attachments": []
    }
    """
    value = json_value(text)
    return text or "" if value is text else json.dumps(value, ensure_ascii=False, indent=2)


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def utc(value: datetime) -> datetime:
    """Return an aware instant in UTC.

    Raises Invalid for a naive one (nobody can know which instant it means), and for one that lies
    outside the years 1 to 9999 once it is in UTC.
    """
    if value.tzinfo is None:
        raise Invalid(
            f"{value.isoformat()} has no time zone; write {value.isoformat()}+00:00 or +09:00",
            f"{value.isoformat()} に時間帯がありません。{value.isoformat()}+09:00 のように書いてください",
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid(
            f"{value.isoformat()} is outside the years 1 to 9999 in UTC",
            f"{value.isoformat()} は UTC で 1 年から 9999 年の範囲にありません",
        ) from None


def check_instant(name: str, value: object) -> datetime:
    """Return an aware instant in UTC. Raises Invalid as ``utc``, and for what is no datetime, by its name."""
    if not isinstance(value, datetime):
        raise Invalid(
            f"{name} must be a datetime, not {type(value).__name__}",
            f"{name} は datetime でなければなりません ({type(value).__name__} でした)",
        )
    try:
        return utc(value)
    except Invalid as error:
        raise located(error, Words(name, name)) from None


def now() -> datetime:
    """The present instant in UTC, to the microsecond."""
    return datetime.now(UTC)


def new_uuid() -> str:
    """A new UUID that begins with the time (version 7): rows made together lie together in an index."""
    millis = time.time_ns() // 1_000_000
    bits = int.from_bytes(os.urandom(10))
    version, variant = 0x7 << 76, 0b10 << 62
    random = ((bits >> 64 & 0xFFF) << 64) | (bits & (1 << 62) - 1)
    return str(UUID(int=(millis << 80) | version | variant | random))


UUID_FORM = re.compile(
    r"(\{)?[0-9a-f]{8}(-?)[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12}(?(1)\})", re.IGNORECASE
)


def uuid_text(value: object) -> str | None:
    """Return a UUID as both databases keep it, or None for what is no UUID.

    Upper case, no hyphens and braces are other spellings of the same.
    """
    text = str(value).strip()
    return str(UUID(text)) if UUID_FORM.fullmatch(text) else None
