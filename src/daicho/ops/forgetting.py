"""Forgetting a person: room by room, and what of them is still there when it is done.

Rooms say themselves where a person appears (``core.keeping``). What they cannot know, other words in which a
name stands, is looked for here, in every text of every table.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, Integer, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.model import Base
from daicho.core.operation import Sync
from daicho.core.person import Person, Traced, holding
from daicho.core.sweep import Advance
from daicho.core.types import Snowflake
from daicho.ledger import Ledger
from daicho.ops.retention import rooms

SHORTEST = 3
"""Shorter names stand in too many words to look for them there."""
ELSEWHERE = (
    Text(
        "backups and copies of the database hold the person until they are replaced: after restoring one, run"
        " this again",
        "バックアップやコピーには残っています。世代交代で消えるまで復元しないか、復元後に再実行してください",
    ),
    Text(
        "logs of other systems (reverse proxy, PostgreSQL, Discord, S3); folders of tasks on other machines",
        "他のシステムのログ (リバースプロキシ、PostgreSQL、Discord、S3) と、別のマシンのタスクフォルダー",
    ),
)
"""What no run reaches."""


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A column in whose values a name of the person still stands, and in how many rows."""

    table: str
    column: str
    rows: int


def find(ledger: Ledger, person: Person) -> list[Traced]:
    """Return what ``forget`` would do, table by table. Nothing is written. Raises Conflict, Invalid."""
    out_of_reach(ledger, person)  # a name that means several persons is told first
    return [one for store in rooms(ledger) for one in store.find_person(person)]


def out_of_reach(ledger: Ledger, person: Person) -> list[Text]:
    """Return what stays, sentence by sentence: what is live, and what would come back."""
    return [text for store in rooms(ledger) for text in store.out_of_reach(person)]


def forget(ledger: Ledger, person: Person, advance: Advance) -> list[Traced]:
    """Forget a person in every room, in short transactions. Killed, the next run goes on.

    Args:
        advance: told how many rows more are done.
    """
    return [one for store in rooms(ledger) for one in _forget(store, person, advance)]


def _forget(store: Keeping[Sync], person: Person, advance: Advance) -> list[Traced]:
    return store.forget(person, advance=advance)


def mentions(ledger: Ledger, person: Person) -> list[Mentioned]:
    """Return where names of the person still stand in the database: every text of every table is looked at.

    A name of less than three characters is looked for as a whole value only.
    """
    return ledger.database.run(lambda session: list(_mentioned(session, person)), writes=False)


def _mentioned(session: Session, person: Person) -> Iterator[Mentioned]:
    for table in Base.metadata.sorted_tables:
        wanted = {column.name: _held(column, person) for column in table.columns}
        looks = {name: held for name, held in wanted.items() if held is not None}
        if not looks:
            continue
        counts = [func.count().filter(held).label(f"_{at}") for at, held in enumerate(looks.values())]
        found = session.execute(select(*counts).select_from(table)).one()
        yield from (
            Mentioned(table.name, name, rows) for name, rows in zip(looks, found, strict=True) if rows
        )


def _held(column: ColumnElement[object], person: Person) -> ColumnElement[bool] | None:
    """The condition that a value has a name of the person; None for what cannot have one."""
    if isinstance(column.type, BigInteger | Snowflake):
        return column.in_(person.snowflakes) if person.snowflakes else None
    if isinstance(column.type, Integer) or not _is_text(column):
        return None
    return or_(*[holding(column, name) if len(name) >= SHORTEST else column == name for name in person.names])


def _is_text(column: ColumnElement[object]) -> bool:
    try:
        return column.type.python_type in {str, list, dict}
    except NotImplementedError:
        return True
