"""Retention: what the settings let go (``retention:``), room by room, and what went.

Rooms say themselves what of them may leave and how it is found (``core.keeping``). A new room's tables are in
as soon as it says so, and the settings know their names.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daicho.core.errors import Invalid
from daicho.core.keeping import Keeping
from daicho.core.operation import Sync
from daicho.core.sections import Retention
from daicho.core.sweep import Advance
from daicho.ledger import ROOMS, Ledger


@dataclass(frozen=True, slots=True)
class Rule:
    """A table, and how long its rows stay.

    Attributes:
        store: its room.
        column: what says how old a row is.
        before: the instant before which rows go.
    """

    store: Keeping[Sync]
    table: str
    column: str
    length: timedelta
    before: datetime


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many rows of a table are to go, or went.

    Attributes:
        rows: of the table itself.
        along: of what goes along with them: rows of other tables, folders.
    """

    rule: Rule
    rows: int
    along: Mapping[str, int]


def tables(ledger: Ledger) -> dict[str, Keeping[Sync]]:
    """Return every table that may have a retention, with its room."""
    return {one.table: store for store in rooms(ledger) for one in store.aged}


def rooms(ledger: Ledger) -> Iterator[Keeping[Sync]]:
    """Yield the rooms of a ledger."""
    for name in ROOMS:
        store: Any = getattr(ledger, name)
        yield store


def rules(ledger: Ledger, retention: Retention, at: datetime, only: Sequence[str] = ()) -> list[Rule]:
    """Return what the settings let go at an instant, in the rooms' order.

    Args:
        only: these tables alone.

    Raises Invalid for a table that may not have a retention, with the nearest name, and for one of ``only``
    that has none.
    """
    known = tables(ledger)
    for table in only:
        if table not in known:
            raise _unknown(table, known)
        if retention.of(table) is None:
            raise Invalid(
                f"{table} are kept for good: the settings have no retention.{table}",
                f"{table} は無期限に保存されます。設定に retention.{table} がありません",
            )
    found = []
    for store in rooms(ledger):
        for one in store.aged:
            length = retention.of(one.table)
            if length is not None and (not only or one.table in only):
                found.append(Rule(store, one.table, one.column, length, one.since(at - length)))
    return found


def due(rule: Rule) -> Cleaned:
    """Return how many rows a rule lets go now. Nothing is written."""
    return _cleaned(rule, rule.store.count_before(rule.table, rule.before))


def clean(rule: Rule, advance: Advance, *, files: bool = True) -> Cleaned:
    """Delete what a rule lets go, in short transactions; killed, the next run goes on.

    Args:
        advance: told how many rows of the table more are gone.
        files: whether tasks' folders go too.
    """
    return _cleaned(rule, rule.store.drop_before(rule.table, rule.before, files=files, advance=advance))


def _unknown(table: str, known: Iterable[str]) -> Invalid:
    near = difflib.get_close_matches(table, known, 1)
    en, ja = (f", did you mean {near[0]!r}", f" ({near[0]!r} ではありませんか)") if near else ("", "")
    return Invalid(
        f"no table {table!r} that may be cleaned{en}; those that may: {', '.join(known)}",
        f"{table!r} は削除の対象にできる表ではありません{ja}。対象にできる表: {', '.join(known)}",
    )


def _cleaned(rule: Rule, gone: Mapping[str, int]) -> Cleaned:
    along = {name: number for name, number in gone.items() if name != rule.table}
    return Cleaned(rule, gone[rule.table], along)
