"""How messages reach the database: ``write``, the batch behind ``append``, and ``write_many``, the bulk.

A message goes where it asks to be, or to the next microsecond of its session that is free; one whose name
is there already is not written. Others write meanwhile, from other processes. So a batch is put in by one
statement that leaves out what meets others' rows, in the order of the keys: batches wait for each other, but
not in a circle. If anything was left out, the batch is taken back, what is there is looked at, and the rest
is put in again: a batch that held some of its rows while it asks for others could close the circle.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.places import Added, NewMessage, Row
from daicho.core.bulk import BULK_ROWS, REFUSED, insert_many
from daicho.core.dialect import insert_for
from daicho.core.errors import Unavailable
from daicho.core.types import json_text, json_value

Name = tuple[str, str]
STEP = timedelta(microseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
AHEAD = timedelta(hours=1)
"""How far a session's last message may be ahead of the clock, and the next one still come after it."""
LOOK = 1_000
"""Instants that one look at a session returns."""
ATTEMPTS = 100
"""Each one that fails does so because another's messages were committed meanwhile."""

SESSION, KEY = itemgetter("session_id"), itemgetter("session_id", "timestamp")
LOGS = ChatLog.__table__
FROM_THERE_ON = (
    select(LOGS.c.timestamp)
    .where(LOGS.c.session_id == bindparam("session"), LOGS.c.timestamp >= bindparam("since"))
    .order_by(LOGS.c.timestamp)
    .limit(LOOK)
)
LAST_SAID = select(ChatSession.session_id, ChatSession.last_at).where(
    ChatSession.session_id.in_(bindparam("sessions", expanding=True))
)
NAMED = select(LOGS).where(
    LOGS.c.session_id == bindparam("session"), LOGS.c.message_id.in_(bindparam("names", expanding=True))
)
"""A session at a time: of pairs PostgreSQL would make as many conditions, and try each row with them."""


def write(connection: Connection, messages: Sequence[NewMessage]) -> list[ChatLog]:
    """Write messages of any sessions, and return each as stored, in their order.

    One whose ``message_id`` is there already is answered with the message that was first stored.
    """
    batch = _Batch(connection, _each_once(messages))
    new = {_name(row): as_read(row) for row in batch.write()}
    answers = batch.there | new
    return [answers[_name(message.row)] for message in messages]


def write_many(session: Session, messages: Sequence[NewMessage]) -> Added:
    """Write any number of messages in bulk: in rounds, and in the order of their keys across all of them."""
    once = sorted(_each_once(messages), key=lambda message: KEY(message.row))
    added = sum(_write_round(session, once[at : at + BULK_ROWS]) for at in range(0, len(once), BULK_ROWS))
    return Added(added, len(messages) - added)


def as_read(row: Row) -> ChatLog:
    """A message that was written, as a reader gets it: details that are a text without quotes."""
    held = json_value(row["details"])
    return ChatLog.of(row | {"details": held if held is None or isinstance(held, str) else json_text(held)})


def _write_round(session: Session, messages: Sequence[NewMessage]) -> int:
    """Write messages with different names; return how many are new. As if all of them were, first."""
    connection = session.connection()
    batch = _Batch(connection, messages)
    rows = batch.planned()
    try:
        with connection.begin_nested():
            insert_many(session, ChatLog, rows)
    except REFUSED:
        rows = batch.write()
    return len(rows)


class _Batch:
    """Messages with different names on their way to the database.

    Attributes:
        there: the messages that were there already.
    """

    def __init__(self, connection: Connection, messages: Sequence[NewMessage]) -> None:
        self.there: dict[Name, ChatLog] = {}
        self._connection = connection
        self._rows = sorted(self._in_order(messages), key=KEY)
        self._named = {_name(message.row) for message in messages if message.named}
        self._taken: dict[str, set[datetime]] = {}

    def _in_order(self, messages: Sequence[NewMessage]) -> list[Row]:
        """The rows; one whose sender gives no time comes after its session's last, whatever the clock says.

        A clock may be set back, and that of another machine may be ahead. One that is off by more than
        ``AHEAD`` is believed all the same: a message of tomorrow does not carry today's with it.
        """
        asked = {message.row["session_id"] for message in messages if not message.timed}
        if not asked:
            return [message.row for message in messages]
        found = self._connection.execute(LAST_SAID, {"sessions": sorted(asked)})
        last = {row.session_id: row.last_at for row in found}
        rows = []
        for message in messages:
            row, at = message.row, last.get(message.row["session_id"], FIRST)
            behind = not message.timed and row["timestamp"] <= at <= row["timestamp"] + AHEAD
            rows.append(row | {"timestamp": at + STEP} if behind else row)
        return rows

    def write(self) -> list[Row]:
        """Write them; return the rows that are new."""
        for _ in range(ATTEMPTS):
            rows = self.planned()
            if not rows:
                return []
            left_out = self._insert(rows)
            if not left_out:
                return rows
            self._look(left_out)
        raise Unavailable(
            "others keep taking the instants of these messages; nothing was written: try again",
            "他の書き込みと時刻が競合し続けたため、何も書き込まれていません。もう一度お試しください",
        )

    def planned(self) -> list[Row]:
        """Return the rows with the instants at which they are to be, as far as is known what is taken."""
        rows: list[Row] = []
        for session_id, asking in groupby(self._rows, SESSION):
            taken, last = set(self._taken.get(session_id, ())), FIRST
            for row in asking:
                at = last = _free(max(row["timestamp"], last), taken)
                taken.add(at)
                rows.append(row if at == row["timestamp"] else row | {"timestamp": at})
        return rows

    def _insert(self, rows: Sequence[Row]) -> list[Row]:
        """Put all of the rows in, or none; return those that something kept out."""
        insert = _insert_new(self._connection.dialect.name)
        if len(rows) == 1:
            return [] if self._connection.execute(insert, rows).first() else list(rows)
        nested = self._connection.begin_nested()
        new = {tuple(name) for name in self._connection.execute(insert, rows)}
        left_out = [row for row in rows if _name(row) not in new]
        if left_out:
            nested.rollback()
        else:
            nested.commit()
        return left_out

    def _look(self, left_out: Sequence[Row]) -> None:
        """Find out what kept rows out: a message of the same name, or else one of the same instant."""
        again = [row for row in left_out if _name(row) in self._named]
        for session_id, rows in groupby(again, SESSION):
            asked = {"session": session_id, "names": [row["message_id"] for row in rows]}
            for found in self._connection.execute(NAMED, asked).mappings():
                self.there[_name(dict(found))] = ChatLog.of(dict(found))
        self._rows = [row for row in self._rows if _name(row) not in self.there]
        tied = [row for row in left_out if _name(row) not in self.there]
        for session_id, rows in groupby(tied, SESSION):
            first, *others = [row["timestamp"] for row in rows]
            self._taken.setdefault(session_id, set()).update(self._seen(session_id, first, 1 + len(others)))

    def _seen(self, session_id: str, since: datetime, places: int) -> set[datetime]:
        """The instants from one on at which messages are, up to where so many are free between them."""
        seen: set[datetime] = set()
        at = since
        while True:
            asked = {"session": session_id, "since": at}
            found = list(self._connection.execute(FROM_THERE_ON, asked).scalars())
            seen.update(found)
            if len(found) < LOOK or found[-1] == LAST:
                return seen
            at = found[-1] + STEP
            if (at - since) // STEP - len(seen) >= places:
                return seen


def _each_once(messages: Iterable[NewMessage]) -> list[NewMessage]:
    """Messages with different names: of several with one name the first to come is the one to write."""
    first: dict[Name, NewMessage] = {}
    for message in messages:
        first.setdefault(_name(message.row), message)
    return list(first.values())


def _free(at: datetime, taken: set[datetime]) -> datetime:
    """The first instant from one on that is not taken: new ones end years before the calendar does."""
    while at in taken:
        at += STEP
    return at


def _name(row: Row) -> Name:
    return row["session_id"], row["message_id"]


@cache
def _insert_new(dialect: str) -> Any:
    """The INSERT of messages that leaves out those that meet others, and returns the names of the rest."""
    insert = insert_for(dialect, ChatLog).on_conflict_do_nothing()
    returning = insert.returning(LOGS.c.session_id, LOGS.c.message_id)
    # As one statement: several would hold some of the rows while they ask for the others.
    return returning.execution_options(insertmanyvalues_page_size=BULK_ROWS)
