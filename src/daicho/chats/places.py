"""Where chat logs are kept: what the store asks of the ledger's own database and of DynamoDB alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from daicho.chats.models import ChatLog, ChatSession
from daicho.core.engine import Database
from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.page import Page

if TYPE_CHECKING:
    from daicho.chats.dynamo import ChatTable

Row = dict[str, Any]
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A checked message on its way in.

    Attributes:
        row: a row of ``chat_logs``, whole.
        named: whether its ``message_id`` is the sender's: then it may have been sent before.
        timed: whether its instant is the sender's; otherwise it is that of its arrival.
    """

    row: Row
    named: bool
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Added:
    """What became of many messages: how many are new, and how many were there already."""

    added: int = 0
    existing: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of messages that were to come back as they were.

    Attributes:
        differing: the instants at which another message is, or whose ``message_id`` another one has.
    """

    added: int
    existing: int
    differing: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What ``prepare`` has found and done.

    Attributes:
        place: where chat logs are kept: ``chat_logs in sqlite:///daicho.db``, ``ChatLogs in DynamoDB, …``.
        created: the tables that were not there.
        indexed: sessions that were found in the table and not in its index.
        expires: whether the place itself removes messages that are too old (DynamoDB's TTL); None where
            it cannot.
    """

    place: Text
    created: Sequence[str] = ()
    indexed: int = 0
    expires: bool | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Which of a session's messages, and in which order: those after and before these instants."""

    after: datetime | None = None
    before: datetime | None = None
    newest_first: bool = False


class Logs(Protocol):
    """Chat logs in one place. Arguments are checked already; methods tell as those of ``ChatStore``."""

    def write_many(self, messages: Iterable[NewMessage]) -> Added: ...

    def history(self, session_id: str, span: Span, limit: int, cursor: str | None) -> Page[ChatLog]: ...

    def session(self, session_id: str) -> ChatSession | None: ...

    def sessions(
        self, prefix: str | None, since: datetime | None, limit: int, cursor: str | None
    ) -> Page[ChatSession]: ...

    def delete_session(self, session_id: str) -> int: ...

    def restore(self, session_id: str, messages: Sequence[ChatLog]) -> Restored: ...


def logs_of(place: "Session | ChatTable") -> Logs:
    """Return the chat logs of a session of the database, or of a table of DynamoDB."""
    if isinstance(place, Session):
        from daicho.chats.sql import SqlLogs

        return SqlLogs(place)
    return place


def write_messages(
    place: "Connection | ChatTable", messages: Sequence[NewMessage]
) -> list[ChatLog | DaichoError]:
    """Write messages of any sessions; return each as stored, in their order."""
    if isinstance(place, Connection):
        from daicho.chats.sql_writing import write

        return list(write(place, messages))
    return place.write(messages)


def expire(place: "Database | ChatTable", horizon: datetime, advance: Advance) -> int:
    """Delete the messages from before an instant; return how many."""
    if isinstance(place, Database):
        from daicho.chats.sql import expire_messages

        return expire_messages(place, horizon, advance)
    return place.expire(horizon, advance)


def prepare(place: "Database | ChatTable", advance: Advance) -> Prepared:
    """Make sure that chat logs can be kept in a place."""
    if isinstance(place, Database):
        table = ChatLog.__tablename__
        return Prepared(Text(f"{table} in {place.place}", f"{place.place} の {table}"))
    return place.prepare(advance)
