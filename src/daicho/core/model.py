"""The declarative base, and ``row``: the one gate through which values reach a table."""

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Self, cast

from sqlalchemy import BigInteger, Boolean, Integer, MetaData, String, inspect
from sqlalchemy.orm import DeclarativeBase

from daicho.core.errors import Invalid
from daicho.core.types import (
    Instant,
    JsonText,
    OneOf,
    Snowflake,
    StringList,
    UuidText,
    check_instant,
    check_levels,
    json_text,
    one_of,
    snowflake,
    uuid_text,
)

TEXT_MAX = 16 * 1024 * 1024
"""The longest text that any column takes, in characters."""


class Base(DeclarativeBase):
    """Every table's base: one naming convention, aware instants, short reprs."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Instant}

    @classmethod
    def row(cls, **values: object) -> dict[str, Any]:
        """Check values against this table's columns and return them as a row to write.

        Raises Invalid for a column that does not exist (with the nearest name), a text that is too
        long for its column or that PostgreSQL could not store (NUL bytes, lone surrogates), what is no
        list of texts, a number that does not fit, a time without a zone, and what is no UUID.
        """
        checks = _checks(cls)
        try:
            return {name: checks[name](name, value) for name, value in values.items()}
        except KeyError as error:
            raise unknown_name(str(error.args[0]), checks) from None

    @classmethod
    def whole_row(cls, **values: object) -> dict[str, Any]:
        """As ``row``. Raises Invalid also for a None where the column takes none."""
        row = cls.row(**values)
        for name, value in row.items():
            if value is None and not cls.__table__.c[name].nullable:
                raise Invalid(f"{name} cannot be empty", f"{name} は空にできません")
        return row

    def values(self) -> dict[str, Any]:
        """Return this row as a mapping of column names to values."""
        return {attribute.key: getattr(self, attribute.key) for attribute in inspect(type(self)).column_attrs}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build an instance from a complete row, as if it had been read (cheaper than its constructor)."""
        made = cast("Self", _maker(cls)())
        made.__dict__.update(values)
        return made

    def __repr__(self) -> str:
        key = ", ".join(str(key) for key in inspect(type(self)).primary_key_from_instance(self))
        return f"<{type(self).__name__} {key}>"


@cache
def _maker(model: type[Base]) -> Callable[[], object]:
    model.registry.configure()  # a program may make an instance before it has asked for any
    make: Callable[[], object] = inspect(model).class_manager.new_instance
    return make


def unknown_name(name: str, known: Mapping[str, object]) -> Invalid:
    """The error for a name that is not among those known, with the nearest one that is."""
    near = difflib.get_close_matches(name, known, 1)
    return Invalid(
        f"unknown name {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"),
        f"{name!r} という名前はありません。"
        + (f"{near[0]!r} ではありませんか" if near else f"使える名前: {', '.join(known)}"),
    )


def check_text(name: str, value: object, longest: int = TEXT_MAX) -> str:
    """Return a text that both databases can store, or raise Invalid naming what is wrong with it."""
    if not isinstance(value, str):
        raise Invalid(
            f"{name} must be text, not {type(value).__name__}",
            f"{name} は文字列でなければなりません ({type(value).__name__} でした)",
        )
    if len(value) > longest:
        raise Invalid(
            f"{name} is {len(value):,} characters long; at most {longest:,} fit",
            f"{name} が長すぎます: {len(value):,} 文字 (最大 {longest:,} 文字)",
        )
    if "\x00" in value:
        at = value.index("\x00")
        raise Invalid(
            f"{name} has a NUL byte at character {at + 1}; remove it",
            f"{name} の {at + 1} 文字目に NUL があります。取り除いてください",
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Invalid(
                f"{name} has half a character (a lone surrogate) at character {error.start + 1}",
                f"{name} の {error.start + 1} 文字目が壊れています (単独のサロゲート)",
            ) from None
    return value


def check_texts(name: str, value: object) -> list[str]:
    """Return a list of texts that both databases can store, or raise Invalid naming the one that is wrong."""
    if not isinstance(value, list | tuple):
        raise Invalid(
            f"{name} must be a list of texts, not {type(value).__name__}",
            f"{name} は文字列のリストでなければなりません ({type(value).__name__} でした)",
        )
    return [check_text(f"{name}[{place}]", text) for place, text in enumerate(value)]


def check_whole(name: str, value: object) -> int:
    """Return a whole number, or raise Invalid for what is none (True and False are none)."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(
            f"{name} must be a whole number, not {type(value).__name__}",
            f"{name} は整数でなければなりません ({type(value).__name__} でした)",
        )
    return value


def check_json(name: str, value: object) -> str:
    """Return a value as JSON text that both databases can store (``JsonText``).

    Args:
        value: a text, JSON or not, or what JSON can hold: mappings, lists, texts, numbers.

    Raises Invalid for what JSON cannot hold, for texts that PostgreSQL could not store, and as
    ``check_levels``.
    """
    try:
        held = check_levels(name, value)
        written = json_text(held)
    except (ValueError, TypeError) as error:
        raise Invalid(
            f"{name} cannot be written as JSON: {error}", f"{name} を JSON にできません: {error}"
        ) from None
    if r"\u0000" in written:  # a NUL, or a backslash before these letters: the exact look is the dear one
        _each_text(name, held)
    return check_text(name, written)


def _each_text(name: str, value: object) -> None:
    match value:
        case str():
            check_text(name, value)
        case dict():
            for key, held in value.items():
                check_text(name, str(key))
                _each_text(name, held)
        case list() | tuple():
            for held in value:
                _each_text(name, held)


Check = Callable[[str, Any], Any]


@cache
def _checks(model: type[Base]) -> dict[str, Check]:
    return {column.key: _check_for(column.type) for column in inspect(model).columns}


def _check_for(kind: object) -> Check:
    if isinstance(kind, String):
        longest = kind.length or TEXT_MAX
        return lambda name, value: None if value is None else check_text(name, value, longest)
    if isinstance(kind, StringList):
        return lambda name, value: None if value is None else check_texts(name, value)
    if isinstance(kind, Instant):
        return lambda name, value: None if value is None else check_instant(name, value)
    if isinstance(kind, UuidText):
        return _uuid
    if isinstance(kind, OneOf):
        return lambda name, value: None if value is None else one_of(name, value, kind.kind)
    if isinstance(kind, Snowflake):
        return lambda name, value: None if value is None else snowflake(name, value)
    if isinstance(kind, JsonText):
        return lambda name, value: None if value is None else check_json(name, value)
    if isinstance(kind, Boolean):
        return lambda name, value: None if value is None else _yes_or_no(name, value)
    if isinstance(kind, Integer):
        most = 2**63 - 1 if isinstance(kind, BigInteger) else 2**31 - 1
        return lambda name, value: None if value is None else _number(name, value, most)
    return lambda _, value: value


def _number(name: str, value: object, most: int) -> int:
    number = check_whole(name, value)
    if abs(number) > most:
        raise Invalid(
            f"{name} is {number:,}; at most {most:,} fits",
            f"{name} が大きすぎます: {number:,} (最大 {most:,})",
        )
    return number


def _yes_or_no(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Invalid(
        f"{name} is True or False, not {str(value)[:40]!r}",
        f"{name} は True か False です ({str(value)[:40]!r} でした)",
    )


def _uuid(name: str, value: object) -> str:
    text = uuid_text(value)
    if text is None:
        raise Invalid(
            f"{name} is not a UUID: {str(value)[:60]!r}",
            f"{name} が UUID ではありません: {str(value)[:60]!r}",
        )
    return text
