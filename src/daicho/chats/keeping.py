"""Old messages that leave, and what is left of an author who is to be forgotten: in either place."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from daicho.chats import places
from daicho.chats.models import ChatLog, ChatSession
from daicho.core.engine import Database
from daicho.core.keeping import Keeping
from daicho.core.naming import names_part
from daicho.core.operation import Mode
from daicho.core.person import FORGOTTEN, Fate, Person, Rows, Trace, holding
from daicho.core.sweep import Advance, Aged, Gone

if TYPE_CHECKING:
    from daicho.chats.dynamo import ChatTable


class Messages(Aged):
    """Messages, by when they were said: as ``daicho chats expire`` lets them go."""

    table, column = ChatLog.__tablename__, "timestamp"

    def count(self, place: "Session | ChatTable", moment: datetime) -> Gone:
        if isinstance(place, Session):
            old = select(func.count()).select_from(ChatLog).where(ChatLog.timestamp < moment)
            return {self.table: place.scalar(old) or 0}
        return {self.table: place.count_before(moment)}

    def drop(self, place: "Database | ChatTable", moment: datetime, *, files: bool, advance: Advance) -> Gone:
        return {self.table: places.expire(place, moment, advance)}


class Authored(Trace):
    """Messages that the person has written."""

    table, fate, columns = ChatLog.__tablename__, Fate.ANONYMISED, ("author", "content", "details")

    def __init__(self, person: Person) -> None:
        self._person = person
        values = {"author": person.alias, "content": FORGOTTEN, "details": None}
        self._rows = Rows("chats", ChatLog, ChatLog.author.in_(person.names), values)

    def count(self, place: "Session | ChatTable") -> int:
        if isinstance(place, Session):
            return self._rows.count(place)
        return place.count_authored(self._person.names)

    def erase(self, place: "Database | ChatTable", advance: Advance) -> int:
        if isinstance(place, Database):
            return self._rows.erase(place, advance)
        return place.forget_author(self._person.names, self._person.alias, FORGOTTEN, advance)


class OwnSessions(Trace):
    """Sessions whose name has the person's as a part (``discord:<user>:…``): they leave whole."""

    table, fate = ChatSession.__tablename__, Fate.REMOVED

    def __init__(self, person: Person) -> None:
        self._names = person.names

    def count(self, place: "Session | ChatTable") -> int:
        return len(self._found(place))

    def erase(self, place: "Database | ChatTable", advance: Advance) -> int:
        found = place.run(self._found, writes=False) if isinstance(place, Database) else self._found(place)
        for session_id in found:
            if isinstance(place, Database):
                Rows("chats", ChatLog, ChatLog.session_id == session_id).erase(place, lambda _: None)
            else:
                place.delete_session(session_id)
            advance(1)
        return len(found)

    def _found(self, place: "Session | ChatTable") -> list[str]:
        if isinstance(place, Session):
            held = or_(*[holding(ChatSession.session_id, name) for name in self._names])
            found = list(place.scalars(select(ChatSession.session_id).where(held)))
        else:
            found = place.session_ids()
        return sorted(name for name in found if names_part(name, self._names))


AGED: Sequence[Aged] = (Messages(),)
"""What of this room may leave."""


class ChatKeeping(Keeping[Mode]):
    """The part of ``ledger.chats`` that old messages and authors leave by."""

    room = "chats"

    @property
    def aged(self) -> Sequence[Aged]:
        return AGED

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """An author's messages stay in their place, without words or name; sessions of theirs leave."""
        return (OwnSessions(person), Authored(person))
