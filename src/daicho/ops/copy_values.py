"""Values between two kinds of databases, and what is the same on both.

On the way a value has the form in which SQLite keeps it: times as text in UTC, JSON and lists as JSON texts,
UUIDs as text, True as 1. PostgreSQL reads nearly all of these as they are.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Table
from sqlalchemy.types import TypeEngine

from daicho.core.types import Instant, JsonText, StringList, UuidText

Values = Sequence[Any]
"""A row's values, in the order of its table's columns."""
Change = Callable[[Any], Any]
WHOLE_SECONDS = len("2026-11-21 08:18:22")
BITS = 64


def selected(column: Column[Any]) -> str:
    """What PostgreSQL is asked for to give a column's value as it is on the way."""
    name = f'"{column.name}"'
    kind = column.type
    if isinstance(kind, Instant):
        return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    if isinstance(kind, StringList):
        return f"to_json({name})::text"
    if isinstance(kind, UuidText) or _is_json(kind):
        return f"{name}::text"
    return f"{name}::int" if isinstance(kind, Boolean) else name


def for_postgresql(table: Table) -> Callable[[Values], Values]:
    """Return what makes of a row on the way the values that psycopg sends."""
    return _changing(table, lambda kind: json.loads if isinstance(kind, StringList) else None)


def checksum(table: Table, rows: Iterable[Values]) -> tuple[int, int]:
    """Return how many rows there are, and a sum of their hashes that does not depend on their order."""
    canonical = _changing(table, _canonical)
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(blake2b(repr(tuple(canonical(row))).encode(), digest_size=8).digest())
    return count, total % 2**BITS


def _changing(
    table: Table, change_for: Callable[[TypeEngine[Any]], Change | None]
) -> Callable[[Values], Values]:
    changes = [(at, change_for(column.type)) for at, column in enumerate(table.columns)]
    needed = [(at, change) for at, change in changes if change is not None]
    if not needed:
        return lambda row: row

    def changed(row: Values) -> Values:
        values = list(row)
        for at, change in needed:
            if values[at] is not None:
                values[at] = change(values[at])
        return values

    return changed


def _canonical(kind: TypeEngine[Any]) -> Change | None:
    if isinstance(kind, Instant):
        return _instant
    return _json if isinstance(kind, StringList) or _is_json(kind) else None


def _is_json(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, JsonText | JSON)


def _instant(text: str) -> str:
    return text + ".000000" if len(text) == WHOLE_SECONDS else text


def _json(text: str) -> str:
    """JSON with its names in order and its numbers by their value: ``1e2`` is ``100``."""
    held = json.loads(text, parse_int=_number, parse_float=_number)
    return json.dumps(held, sort_keys=True, ensure_ascii=False)


def _number(digits: str) -> str:
    return f"\0{Decimal(digits).normalize()}"
