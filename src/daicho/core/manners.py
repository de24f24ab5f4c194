"""What code that was written for another program expects of the sessions that it holds.

Daicho's own way is the default. The drop-in distribution asks for the ways of the programs whose import names
it gives (``docs/decisions/024-drop-in.md``).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.engine import Transaction
from sqlalchemy.engine.default import DefaultExecutionContext as ExecutionContext
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


class Naive(StrEnum):
    """What a time without a zone means: the machine's local time, or UTC."""

    LOCAL = "local"
    UTC = "utc"


@dataclass(frozen=True, slots=True)
class Manners:
    """How sessions behave that a caller holds. Set on a ``Database`` before it is first used.

    Attributes:
        naive: what a time without a zone means; None: nothing, it is Invalid.
        rereads: on SQLite, whether a transaction that has only read begins anew at its first write, so that
            it is not refused when somebody has written in between. What it has read may be old by then, as
            with Python's own driver, which begins no transaction before the first write.
        plain: the class of plain sessions.
        tasks: the class of async ones.
    """

    naive: Naive | None = None
    rereads: bool = False
    plain: type[Session] = Session
    tasks: type[AsyncSession] = AsyncSession


# -- times without a zone ----------------------------------------------------------------------------


def zoned(value: Any, naive: Naive | None) -> Any:
    """Return a time without a zone with the one that it means, and anything else as it is.

    Times in mappings, lists and iterators are seen to as well.
    """
    if naive is None:
        return value
    match value:
        case datetime() if value.tzinfo is None:
            return value.astimezone() if naive is Naive.LOCAL else value.replace(tzinfo=UTC)
        case Mapping():
            return {key: zoned(held, naive) for key, held in value.items()}
        case list() | tuple():
            return [zoned(held, naive) for held in value]
        case Iterator():
            return (zoned(held, naive) for held in value)
        case _:
            return value


def with_zones(call: Callable[..., Any], naive: Naive) -> Callable[..., Any]:
    """Return a function that is handed the zones that its arguments' times mean."""

    @functools.wraps(call)
    def zone(*args: Any, **kwargs: Any) -> Any:
        return call(*zoned(args, naive), **zoned(kwargs, naive))

    return zone


def zone_instances(session: Session, naive: Naive) -> None:
    """Give the times without a zone of a session's new and changed instances the one that they mean."""
    for instance in (*session.new, *session.dirty):
        for name, value in list(vars(instance).items()):
            if isinstance(value, datetime) and value.tzinfo is None:
                setattr(instance, name, zoned(value, naive))


def remember(engine: Engine, naive: Naive | None) -> None:
    """Let the column types of an engine that was not used yet know what times without a zone mean."""
    setattr(engine.dialect, _MEANING, naive)


def meaning(dialect: Dialect) -> Naive | None:
    """What ``remember`` has said; None, if nothing."""
    naive: Naive | None = getattr(dialect, _MEANING, None)
    return naive


_MEANING = "daicho_naive"


# -- reading first, then writing ---------------------------------------------------------------------

READS = ("SELECT", "PRAGMA", "EXPLAIN", "VALUES", "WITH")
ENDS = ("BEGIN", "COMMIT", "ROLLBACK", "RELEASE")
REREADS = "daicho_rereads"
"""The execution option of connections whose transactions begin anew to write."""
_writing: WeakSet[Transaction] = WeakSet()


def begin_anew_to_write(connection: Connection) -> None:
    """On SQLite, let a transaction that has only read ask anew for the right to write.

    Only where ``Manners.rereads`` wants it so, once in a transaction, and not below a savepoint.
    """
    begun = connection.get_transaction()
    if begun is None or begun in _writing or not connection.get_execution_options().get(REREADS):
        return
    _writing.add(begun)
    if not connection.in_nested_transaction():
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def heed_first_writes(engine: Engine) -> Engine:
    """Call ``begin_anew_to_write`` before an engine's first statement in a transaction that writes."""

    @event.listens_for(engine, "before_cursor_execute")
    def execute(
        connection: Connection, _: object, statement: str, __: object, context: ExecutionContext, ___: bool
    ) -> None:
        word = statement.split(None, 1)[0].upper()
        changes = context.isinsert or context.isupdate or context.isdelete
        if word not in ENDS and (changes or word not in READS):
            begin_anew_to_write(connection)

    return engine
