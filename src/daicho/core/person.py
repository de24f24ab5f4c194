"""A person who is to be forgotten, and the places at which a person appears.

What is removed is removed. Where a row is kept for its counts and costs, the person's name gives way to one
made at random for this run, of which nobody keeps whose it was: a hash of a telephone number could be found
again by trying all numbers. Free text gives way to ``FORGOTTEN``.
"""

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, delete, func, inspect, or_, select, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from daicho.core.engine import Database
from daicho.core.errors import Invalid
from daicho.core.model import Base, check_text
from daicho.core.pace import Pace
from daicho.core.page import LIMIT_MAX, Page, keyset
from daicho.core.sweep import Advance, model_of
from daicho.core.types import SNOWFLAKE_MAX, uuid_text

FORGOTTEN = "[forgotten]"
"""What stands where a person's words stood."""
UNUSED = 2**22
"""Below it lies no id that Discord has ever given: they count milliseconds in steps of 2²²."""
LONGEST = 255


class Fate(StrEnum):
    """What becomes of a person's rows."""

    REMOVED = "removed"
    ANONYMISED = "anonymised"


@dataclass(frozen=True, slots=True)
class Traced:
    """How many rows of a table are, or were, removed or made nobody's.

    Attributes:
        columns: the columns that are changed; none where the row is removed.
    """

    table: str
    fate: Fate
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Person:
    """Whom to forget, by all the names that are known.

    Args:
        callers: telephone numbers or client ids, as calls have them.
        users: user names, ids of users and of Discord, e-mail addresses, authors.

    Raises Invalid for an empty name, or none.
    """

    callers: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    alias: str = field(default_factory=lambda: f"forgotten-{secrets.token_hex(6)}", repr=False)
    number: int = field(default_factory=lambda: 1 + secrets.randbelow(UNUSED - 1), repr=False)

    def __post_init__(self) -> None:
        for name in self.names:
            if not check_text("name", name, LONGEST).strip():
                raise Invalid("a name to forget is empty", "忘れる対象の名前が空です")
        if not self.names:
            raise Invalid(
                "whom? give --caller or --user", "対象がありません。--caller か --user を指定してください"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.callers, *self.users)

    @property
    def uuids(self) -> list[str]:
        """Those of the users that are UUIDs."""
        return [found for name in self.users if (found := uuid_text(name)) is not None]

    @property
    def snowflakes(self) -> list[int]:
        """Those of the users that can be ids of Discord."""
        numbers = [int(name) for name in self.users if re.fullmatch(r"[0-9]{1,19}", name)]
        return [number for number in numbers if UNUSED <= number <= SNOWFLAKE_MAX]


class Trace(ABC):
    """A place at which a person appears.

    Attributes:
        table, fate, columns: as of ``Traced``.
    """

    table: str
    fate: Fate
    columns: tuple[str, ...] = ()

    @abstractmethod
    def count(self, place: Any) -> int:
        """Return how many rows that is."""

    @abstractmethod
    def erase(self, place: Any, advance: Advance) -> int:
        """Clear them, and return how many there were."""

    def traced(self, rows: int) -> Traced:
        """Return it with a number of rows."""
        return Traced(self.table, self.fate, self.columns, rows)


class Rows(Trace):
    """Rows of a table that a condition tells.

    Args:
        room: the room's name in the change feed.
        where: the condition. What has been cleared must not satisfy it any more.
        values: what to write into them; None: they are deleted.
    """

    def __init__(
        self,
        room: str,
        model: type[Base],
        where: ColumnElement[bool],
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self.table = model.__tablename__
        self.fate = Fate.REMOVED if values is None else Fate.ANONYMISED
        self.columns = tuple(values or ())
        self._room, self._model, self._where, self._values = room, model, where, values
        self._key: Sequence[Any] = inspect(model).primary_key

    def count(self, place: Session) -> int:
        return place.scalar(select(func.count()).select_from(self._model).where(self._where)) or 0

    def erase(self, place: Database, advance: Advance) -> int:
        total, cursor, pace = 0, None, Pace()
        while True:
            page: Page[Any] = place.run(partial(self._find, cursor), writes=False)
            left = page.items
            while left:
                some, left = left[: pace.size], left[pace.size :]
                with pace.step():
                    cleared = place.run(partial(self._clear, some), idempotent=True)
                total += cleared
                place.changes.mark(frozenset({self._room}))
                advance(cleared)
            if (cursor := page.next) is None:
                return total

    def _find(self, cursor: str | None, session: Session) -> Page[Any]:
        due = select(*self._key).where(self._where)
        count = len(self._key)
        return keyset(
            session, due, self._key, limit=LIMIT_MAX, cursor=cursor, item=lambda row: tuple(row[:count])
        )

    def _clear(self, keys: Sequence[Any], session: Session) -> int:
        these = tuple_(*self._key).in_(keys)
        if len(self._key) == 1:
            these = self._key[0].in_([key for (key,) in keys])
        change: Any = delete(self._model) if self._values is None else update(self._model)
        if self._values is not None:
            change = change.values(self._values)
        return session.connection().execute(change.where(these, self._where)).rowcount


class Mentions(Rows):
    """Texts of others in which an id stands: the id alone gives way.

    Args:
        columns: of texts, or of JSON as text.
        ids: what to look for; only where no further letter or digit adjoins.
        instead: what to write in its place.
    """

    def __init__(
        self,
        room: str,
        columns: Sequence[InstrumentedAttribute[Any]],
        ids: Sequence[str],
        instead: str,
    ) -> None:
        model = model_of(columns[0])
        held = [holding(column, one) for column in columns for one in ids]
        super().__init__(room, model, or_(*held), {column.key: None for column in columns})
        self._texts, self._instead = columns, instead
        self._ids = re.compile("|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in ids))

    def count(self, place: Session) -> int:
        return sum(bool(self._changes(row)) for row in place.execute(self._those(self._where)))

    def _those(self, where: ColumnElement[bool]) -> Select[Any]:
        return select(*self._key, *self._texts).where(where)

    def _changes(self, row: Any) -> dict[str, str]:
        changed = {}
        for column, text in zip(self._texts, row[len(self._key) :], strict=True):
            if text is not None and (new := self._ids.sub(self._instead, text)) != text:
                changed[column.key] = new
        return changed

    def _clear(self, keys: Sequence[Any], session: Session) -> int:
        these = tuple_(*self._key).in_(keys)
        if len(self._key) == 1:
            these = self._key[0].in_([key for (key,) in keys])
        cleared = 0
        for row in session.execute(self._those(these).with_for_update()).all():
            if changes := self._changes(row):
                this = [key == value for key, value in zip(self._key, row, strict=False)]
                session.connection().execute(update(self._model).where(*this).values(changes))
                cleared += 1
        return cleared


def holding(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column holds a text somewhere, letter for letter on both databases."""
    plain = cast(column, String)
    held: ColumnElement[bool] = func.replace(plain, text, "") != plain
    return held
