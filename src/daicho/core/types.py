"""Column types that behave alike on SQLite and PostgreSQL."""

import os
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ARRAY, JSON, BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from daicho.core.errors import Invalid

SNOWFLAKE_MAX = 2**63 - 1


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
        value = utc(value)
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
        if value is not None and not 0 <= value <= SNOWFLAKE_MAX:
            raise Invalid(
                f"{value} is not a snowflake: 0 to {SNOWFLAKE_MAX}",
                f"{value} は snowflake ではありません: 0 から {SNOWFLAKE_MAX} まで",
            )
        return value


class UuidText(TypeDecorator[str]):
    """A UUID as text, lower case with hyphens: UUID on PostgreSQL, VARCHAR(36) on SQLite."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = postgresql.UUID(as_uuid=False)
        return dialect.type_descriptor(native if dialect.name == "postgresql" else String(36))


Key = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)]
"""A primary key that the database counts up: BIGINT on PostgreSQL, the rowid on SQLite."""


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
