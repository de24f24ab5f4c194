"""Rows that are too old: how they are counted and let go, some at a time.

What is to go is looked up by reading, which holds nobody up on either database. Then some of it is deleted in
a short transaction, which looks again whether it is still to go: a task may have been taken up meanwhile.
Killed in between, the next run goes on.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, delete, func, inspect, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from daicho.core.engine import Database
from daicho.core.model import Base
from daicho.core.pace import Pace
from daicho.core.page import LIMIT_MAX, Page, keyset

Advance = Callable[[int], None]
Gone = Mapping[str, int]
"""How many rows of each table: of the one that is asked for, and of those whose rows go along with it."""
Old = Callable[[datetime], ColumnElement[bool]]


class Aged(ABC):
    """A table whose rows may leave when they are old.

    Attributes:
        table: its name, also in the settings (``retention.<table>``).
        column: what says how old a row is, in words for people.
        along: the table whose rows go along, if there is one.
    """

    table: str
    column: str
    along: str | None = None

    def since(self, moment: datetime) -> datetime:
        """Return the instant before which rows go, where not every instant can be one."""
        return moment

    @abstractmethod
    def count(self, place: Any, moment: datetime) -> Gone:
        """Return how many rows are older than an instant.

        Args:
            place: a session of the database, or the place beside it in which a room keeps its rows.
        """

    @abstractmethod
    def drop(self, place: Any, moment: datetime, *, files: bool, advance: Advance) -> Gone:
        """Delete them, and return how many went.

        Args:
            place: the database, or the place beside it.
            files: whether files that belong to them go too.
            advance: told how many rows of the table more are gone.
        """


def model_of(column: InstrumentedAttribute[Any]) -> type[Base]:
    """Return the table that a column belongs to."""
    return cast("type[Base]", column.class_)


@dataclass(frozen=True)
class Along:
    """Rows that go along: ``reference`` is their column that names the row they belong to."""

    reference: InstrumentedAttribute[Any]

    @property
    def model(self) -> type[Base]:
        """Their table."""
        return model_of(self.reference)


class Sweep(Aged):
    """Rows of a table that a condition tells, and those that belong to them.

    Args:
        room: the room's name in the change feed.
        key: the column that names a row, alone; what goes along refers to it.
        column: in words for people.
        old: the condition, by an instant.
        order: columns that are unique together, by whose index the rows are gone through.
        along: what belongs to them.
    """

    def __init__(
        self,
        room: str,
        key: InstrumentedAttribute[Any],
        column: str,
        old: Old,
        order: Sequence[InstrumentedAttribute[Any]],
        along: Along | None = None,
    ) -> None:
        model = model_of(key)
        self.table, self.column = model.__tablename__, column
        self.along = along.model.__tablename__ if along else None
        self._room, self._model, self._key, self._old = room, model, key, old
        self._order, self._belonging = order, along

    def count(self, place: Session, moment: datetime) -> Gone:
        due = select(self._key).where(self._old(moment))
        found = {self.table: place.scalar(select(func.count()).select_from(due.subquery())) or 0}
        if (more := self._belonging) is not None:
            counted = select(func.count()).select_from(more.model).where(more.reference.in_(due))
            found[more.model.__tablename__] = place.scalar(counted) or 0
        return found

    def drop(self, place: Database, moment: datetime, *, files: bool, advance: Advance) -> Gone:
        gone: Counter[str] = Counter({name: 0 for name in (self.table, self.along) if name})
        pace = Pace()
        for page in self.pages(place, moment):
            left = page
            while left:
                some, rest = left[: pace.size], left[pace.size :]
                with pace.step():
                    went, again = place.run(partial(self.drop_some, moment, some, pace.size), idempotent=True)
                gone.update(went)
                place.changes.mark(frozenset({self._room}))
                advance(went.get(self.table, 0))
                left = [*again, *rest]
        return gone

    def pages(self, database: Database, moment: datetime) -> Any:
        """Yield the keys of all rows that are old, by and by."""
        cursor: str | None = None
        while True:
            page: Page[Any] = database.run(partial(self._find, moment, cursor), writes=False)
            yield page.items
            if (cursor := page.next) is None:
                return

    def _find(self, moment: datetime, cursor: str | None, session: Session) -> Page[Any]:
        due = select(self._key).where(self._old(moment))
        return keyset(session, due, self._order, limit=LIMIT_MAX, cursor=cursor)

    def drop_some(
        self, moment: datetime, keys: Sequence[Any], limit: int, session: Session
    ) -> tuple[Gone, Sequence[Any]]:
        """Delete those of some rows that are still old; return what went, and the keys to come again with.

        Where more than ``limit`` rows belong to one, they go first, so many at a time.
        """
        if self._belonging is None:
            return {
                self.table: _deleted(session, self._model, and_(self._among(keys), self._old(moment)))
            }, ()
        there = select(self._key).where(self._key.in_(keys)).order_by(self._key)
        locked = session.scalars(there.with_for_update()).all()
        # A statement of its own: it sees what those have written that the lock has waited for.
        due = session.scalars(there.where(self._key.in_(locked), self._old(moment))).all()
        left: Sequence[Any] = ()
        more, along = self._belonging, self._belonging.model.__tablename__
        refers = select(more.reference).where(more.reference.in_(due)).order_by(more.reference)
        found = session.scalars(refers.limit(limit + 1)).all()
        if len(found) > limit:
            last = due.index(found[-1])
            due, left = due[:last], due[last:]
        if left and not due:
            own = inspect(more.model).primary_key[0]
            piece = select(own).where(more.reference == left[0]).order_by(own).limit(limit)
            return {along: _deleted(session, more.model, own.in_(piece))}, left
        belonging = _deleted(session, more.model, more.reference.in_(due)) if found else 0
        return {self.table: _deleted(session, self._model, self._key.in_(due)), along: belonging}, left

    def _among(self, keys: Sequence[Any]) -> ColumnElement[bool]:
        """These rows, which were found one after the other: by their range, if they are in a row's order."""
        if keys and list(self._order) == [self._key]:
            return self._key.between(keys[0], keys[-1])
        return self._key.in_(keys)


def _deleted(session: Session, model: type[Base], condition: ColumnElement[bool]) -> int:
    return session.connection().execute(delete(model).where(condition)).rowcount
