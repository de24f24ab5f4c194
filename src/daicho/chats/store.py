"""The operations on chat logs, wherever they are kept: in the ledger's database or in DynamoDB."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy.orm import Session

from daicho.chats import places
from daicho.chats.keeping import ChatKeeping
from daicho.chats.models import SESSION_MAX, ChatLog, ChatSession
from daicho.chats.places import Added, Advance, NewMessage, Prepared, Restored, Span, logs_of
from daicho.chats.schemas import SESSION
from daicho.core.beside import Beside
from daicho.core.engine import Database
from daicho.core.errors import DaichoError, Invalid, NotFound, located
from daicho.core.language import Text
from daicho.core.model import check_text, check_whole
from daicho.core.operation import Mode, Runner, apart, grouped, idempotent, operation, query
from daicho.core.page import Page, check_limit
from daicho.core.settings import Settings
from daicho.core.types import check_instant, new_uuid, now

if TYPE_CHECKING:
    from daicho.chats.dynamo import ChatTable

Backend = Literal["sql", "dynamodb"]
DAYS_MAX = 36_500
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Every time zone can show what was said then."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _open_table(settings: Settings) -> Beside:
    try:
        from daicho.chats.dynamo import ChatTable
    except ModuleNotFoundError as error:
        raise Invalid(
            f"chat logs in DynamoDB need {error.name}; run: pip install 'daicho[dynamodb]'",
            f"DynamoDB には {error.name} が必要です。次を実行してください: pip install 'daicho[dynamodb]'",
        ) from None
    return ChatTable(settings.chats)


class ChatStore(ChatKeeping[Mode]):
    """``ledger.chats``: conversations, message by message (seed 002, future work).

    Args:
        backend: where they are kept; what ``CHATLOG_BACKEND`` says, if None.
    """

    room = "chats"

    def __init__(self, runner: Runner, tenant: str | None = None, *, backend: Backend | None = None) -> None:
        self.backend: Backend = backend or runner.database.settings.chats.backend
        self._database_runner = runner
        super().__init__(
            runner.beside("dynamodb", _open_table) if self.backend == "dynamodb" else runner, tenant
        )

    @property
    def tells(self) -> bool:
        """Whether the change feed tells of everybody's writes. It cannot know of those to DynamoDB."""
        return self.backend == "sql"

    def kept_in(self, backend: Backend) -> "ChatStore[Mode]":
        """Return the chat logs of the same ledger that are kept elsewhere."""
        return ChatStore(self._database_runner, self.tenant, backend=backend)

    @apart
    def prepare(self, place: "Database | ChatTable", *, advance: Advance = lambda _: None) -> Prepared:
        """Make sure that chat logs can be kept: create DynamoDB's tables if they are not there.

        A table that other programs have filled gets its index of sessions. Safe to repeat.

        Args:
            advance: told how many sessions more were looked at.
        """
        return places.prepare(place, advance)

    @grouped(places.write_messages)
    def append(
        self,
        session_id: str,
        role: str,
        content: str,
        *,
        author: str | None = None,
        message_id: str | None = None,
        details: object = None,
        timestamp: datetime | None = None,
    ) -> NewMessage:
        """Append a message to a session, which begins with its first one.

        Args:
            session_id: the conversation's name, at most 250 characters: ``discord:123:456``.
            role: whose part it is, at most 32 characters: ``user``, ``assistant``, ``system``, ``tool``.
            content: what was said, at most 16 Mi characters; in DynamoDB a message is at most 400 KB.
            author: who said it: a name or an id, at most 255 characters.
            message_id: the sender's own name for the message, at most 64 characters: sent a second time
                it changes nothing, and the message first stored is returned. One is made, if None.
            details: whatever JSON can hold; a text is taken as JSON where it is such.
            timestamp: when it was said, an aware instant of the years 1970 to 9998; now, if None. If the
                session has a message of the same microsecond, this one gets the next that is free. In the
                database one without a time comes after the session's last, though this machine's clock
                be behind by up to an hour.

        Returns the message as stored, once it is durable. Raises Invalid.
        """
        if message_id == "":
            raise Invalid("message_id is empty; leave it out", "message_id が空です。不要なら省いてください")
        row = ChatLog.whole_row(
            session_id=checked_session(session_id),
            timestamp=now() if timestamp is None else _said_at(timestamp),
            role=_filled("role", role),
            content=content,
            author=author,
            message_id=new_uuid() if message_id is None else message_id,
            details=details,
        )
        return NewMessage(row, named=message_id is not None, timed=timestamp is not None)

    @operation
    def append_many(self, place: "Session | ChatTable", messages: Iterable[Mapping[str, Any]]) -> Added:
        """Append many messages, of any sessions.

        Args:
            messages: mappings with the arguments of ``append`` as keys. All are checked before any is
                written. Those of a session that have no ``timestamp`` keep their order.

        In the database all of them are written or none. DynamoDB has no such thing: should it go away in
        the middle, the error says how many were written, and with message ids all may be sent again.
        Raises what ``append`` raises, naming the message's number.
        """
        return logs_of(place).write_many(list(self._checked_all(messages)))

    def _checked_all(self, messages: Iterable[Mapping[str, Any]]) -> Iterator[NewMessage]:
        if not isinstance(messages, Iterable) or isinstance(messages, str | bytes | Mapping):
            raise Invalid(
                f"messages must be a list of mappings, not {type(messages).__name__}",
                f"messages はマッピングのリストです ({type(messages).__name__} でした)",
            )
        check = cast("Any", ChatStore.append.item)
        for at, message in enumerate(messages, 1):
            where = Text(f"message {at}", f"{at} 番目のメッセージ")
            if not isinstance(message, Mapping):
                reason = Invalid(
                    f"must be a mapping, not {type(message).__name__}",
                    f"マッピングではありません ({type(message).__name__} でした)",
                )
                raise located(reason, where)
            try:
                yield check(self, **message)
            except TypeError as error:
                reason = Invalid(str(error).removeprefix("ChatStore.append() "))
                raise located(reason, where) from None
            except DaichoError as error:
                raise located(error, where) from None

    @query
    def history(
        self,
        place: "Session | ChatTable",
        session_id: str,
        *,
        before: datetime | None = None,
        after: datetime | None = None,
        newest_first: bool = False,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Page[ChatLog]:
        """Return a session's messages, oldest first; of a session that is not there, none.

        Args:
            before, after: only messages said before, and after, these aware instants.
            newest_first: turn the order round.
            limit: messages a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        span = Span(
            None if after is None else check_instant("after", after),
            None if before is None else check_instant("before", before),
            newest_first,
        )
        return logs_of(place).history(checked_session(session_id), span, check_limit(limit), cursor)

    @query
    def session(self, place: "Session | ChatTable", session_id: str) -> ChatSession:
        """Return a session, its messages counted. Raises NotFound."""
        found = logs_of(place).session(checked_session(session_id))
        if found is None:
            raise NotFound(SESSION, session_id)
        return found

    @query
    def sessions(
        self,
        place: "Session | ChatTable",
        *,
        prefix: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ChatSession]:
        """Return sessions, those with the newest messages first.

        Args:
            prefix: only sessions whose name begins so.
            since: only sessions with a message at or after this aware instant.
            limit: sessions a page, at most 1,000.
            cursor: a former page's ``next``.

        DynamoDB orders them to ten seconds, does not count their messages, and a page may come back short,
        even empty, with a ``next`` that goes on from there.
        """
        return logs_of(place).sessions(
            None if not prefix else check_text("prefix", prefix, SESSION_MAX),
            None if since is None else check_instant("since", since),
            check_limit(limit),
            cursor,
        )

    @idempotent
    def delete_session(self, place: "Session | ChatTable", session_id: str) -> int:
        """Delete a session with all its messages; return how many there were."""
        return logs_of(place).delete_session(checked_session(session_id))

    @apart
    def expire(self, place: "Database | ChatTable", days: int, *, advance: Advance = lambda _: None) -> int:
        """Delete all messages that are older than some days, some at a time; return how many.

        Messages written while ``CHATLOG_DAYS`` is set DynamoDB deletes by itself (TTL), within some days of
        their time.

        Args:
            days: 1 to 36,500.
            advance: told how many messages more were deleted.
        """
        if not 1 <= check_whole("days", days) <= DAYS_MAX:
            raise Invalid(
                f"days is {days}; 1 to {DAYS_MAX:,}", f"days が {days} です。1 から {DAYS_MAX:,} まで"
            )
        return places.expire(place, now() - timedelta(days=days), advance)

    @idempotent
    def restore(self, place: "Session | ChatTable", session_id: str, messages: Iterable[ChatLog]) -> Restored:
        """Put messages back exactly as they were: what is there already stays, and so does what differs.

        Args:
            messages: of this session, at most 1,000.
        """
        return logs_of(place).restore(checked_session(session_id), list(messages))


def checked_session(session_id: object) -> str:
    """Return a session's name. Raises Invalid for an empty or too long one, and for one with line breaks."""
    name = check_text("session_id", _filled("session_id", session_id), SESSION_MAX)
    if control := CONTROL.search(name):
        raise Invalid(
            f"session_id has a control character at character {control.start() + 1}; remove it",
            f"session_id の {control.start() + 1} 文字目に制御文字があります。取り除いてください",
        )
    return name


def _said_at(timestamp: object) -> datetime:
    instant = check_instant("timestamp", timestamp)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise Invalid(
            f"timestamp {instant.isoformat()} is outside the years {FIRST_YEAR} to {LAST_YEAR}",
            f"timestamp {instant.isoformat()} は {FIRST_YEAR} 年から {LAST_YEAR} 年の範囲にありません",
        )
    return instant


def _filled(name: str, value: object) -> str:
    text = check_text(name, value)
    if not text.strip():
        raise Invalid(f"{name} is empty", f"{name} が空です")
    return text
