"""Chat logs in the ledger's own database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from daicho.chats.comparing import canonical
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.places import Added, Advance, NewMessage, Restored, Row, Span
from daicho.chats.sql_writing import as_read, write_many
from daicho.core.dialect import insert_for
from daicho.core.engine import Database
from daicho.core.errors import Invalid, located
from daicho.core.language import Text
from daicho.core.pace import Pace
from daicho.core.page import LIMIT_MAX, Page, keyset

SESSIONS_AT_ONCE = 200
"""Sessions that one transaction takes old messages from: each is a row that those who append wait for."""

LOGS, SESSIONS = ChatLog.__table__, ChatSession.__table__
KEY = (LOGS.c.session_id, LOGS.c.timestamp)


class SqlLogs:
    """The chat logs that a session of the database sees (``places.Logs``)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write_many(self, messages: Iterable[NewMessage]) -> Added:
        return write_many(self._session, list(messages))

    def history(self, session_id: str, span: Span, limit: int, cursor: str | None) -> Page[ChatLog]:
        # Rows, not the session's own instances: those would not change with what begin() has changed.
        statement = select(LOGS).where(LOGS.c.session_id == session_id)
        if span.after is not None:
            statement = statement.where(LOGS.c.timestamp > span.after)
        if span.before is not None:
            statement = statement.where(LOGS.c.timestamp < span.before)
        return keyset(
            self._session,
            statement,
            [LOGS.c.timestamp],
            limit=limit,
            cursor=cursor,
            descending=span.newest_first,
            item=lambda row: _log(row[:-1]),
        )

    def session(self, session_id: str) -> ChatSession | None:
        found = self._session.execute(select(SESSIONS).where(SESSIONS.c.session_id == session_id)).first()
        return None if found is None else _session(found)

    def sessions(
        self, prefix: str | None, since: datetime | None, limit: int, cursor: str | None
    ) -> Page[ChatSession]:
        statement = select(SESSIONS)
        if prefix is not None:
            # Not LIKE, for which SQLite takes a and A for the same letter.
            statement = statement.where(func.substr(SESSIONS.c.session_id, 1, len(prefix)) == prefix)
        if since is not None:
            statement = statement.where(SESSIONS.c.last_at >= since)
        return keyset(
            self._session,
            statement,
            [SESSIONS.c.last_at, SESSIONS.c.session_id],
            limit=limit,
            cursor=cursor,
            descending=True,
            item=lambda row: _session(row[:-2]),
        )

    def delete_session(self, session_id: str) -> int:
        of_session = delete(ChatLog).where(LOGS.c.session_id == session_id)
        return self._session.connection().execute(of_session).rowcount

    def restore(self, session_id: str, messages: Sequence[ChatLog]) -> Restored:
        rows = [_row(session_id, message) for message in messages]
        first: dict[datetime, Row] = {}
        for row in rows:
            first.setdefault(row["timestamp"], row)
        new = self._insert([first[at] for at in sorted(first)])
        others = [row for row in rows if row is not first[row["timestamp"]] or row["timestamp"] not in new]
        there = self._at(session_id, [row["timestamp"] for row in others])
        differing = [
            row["timestamp"] for row in others if canonical(as_read(row)) != there.get(row["timestamp"])
        ]
        return Restored(len(new), len(others) - len(differing), differing)

    def _insert(self, rows: Sequence[Row]) -> set[datetime]:
        """Insert rows, but for those whose instant or name is there; return the instants of the new ones."""
        if not rows:
            return set()
        insert = _restoring(self._session.get_bind().dialect.name)
        return set(self._session.connection().execute(insert, rows).scalars())

    def _at(self, session_id: str, instants: Sequence[datetime]) -> dict[datetime, str]:
        """The messages of a session that are at some instants, each as what it can be compared by."""
        if not instants:
            return {}
        wanted = select(LOGS).where(LOGS.c.session_id == session_id, LOGS.c.timestamp.in_(instants))
        found = [_log(row) for row in self._session.execute(wanted)]
        return {message.timestamp: canonical(message) for message in found}


def expire_messages(database: Database, horizon: datetime, advance: Advance) -> int:
    """Delete the messages from before an instant, some at a time; return how many."""
    total = 0
    before: Sequence[str] = ()
    pace = Pace()
    while True:
        with pace.step():
            sessions, deleted = database.run(partial(_expire_some, horizon, pace.size), idempotent=True)
        if not sessions or (not deleted and sessions == before):
            return total
        before = sessions
        total += deleted
        database.changes.mark(frozenset({"chats"}))
        advance(deleted)


def _expire_some(horizon: datetime, limit: int, session: Session) -> tuple[Sequence[str], int]:
    """Delete some messages of the sessions that are the oldest; return these, and how many it were."""
    oldest = select(SESSIONS.c.session_id).where(SESSIONS.c.first_at < horizon)
    found = session.scalars(oldest.order_by(SESSIONS.c.first_at).limit(SESSIONS_AT_ONCE)).all()
    if not found:
        return (), 0
    # Locked in the order of their keys: two that delete the same ones wait, but not in a circle.
    old = (
        select(*KEY)
        .where(LOGS.c.session_id.in_(found), LOGS.c.timestamp < horizon)
        .order_by(*KEY)
        .limit(limit)
        .with_for_update()
    )
    return found, session.connection().execute(delete(ChatLog).where(tuple_(*KEY).in_(old))).rowcount


def _row(session_id: str, message: ChatLog) -> Row:
    """A message as a row to write. Raises Invalid for what cannot be kept here, saying of which message."""
    try:
        return ChatLog.whole_row(**message.values() | {"session_id": session_id})
    except Invalid as error:
        said_at = message.timestamp.isoformat()
        raise located(error, Text(f"the message of {said_at}", f"{said_at} のメッセージ")) from None


def _log(values: Sequence[Any]) -> ChatLog:
    return ChatLog.of(dict(zip(LOGS.c.keys(), values, strict=True)))


def _session(values: Sequence[Any]) -> ChatSession:
    return ChatSession.of(dict(zip(SESSIONS.c.keys(), values, strict=True)))


@cache
def _restoring(dialect: str) -> Any:
    """The INSERT of exact messages that leaves out those that meet others; it returns their instants."""
    insert = insert_for(dialect, ChatLog).on_conflict_do_nothing().returning(LOGS.c.timestamp)
    return insert.execution_options(insertmanyvalues_page_size=LIMIT_MAX)
