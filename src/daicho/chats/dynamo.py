"""Chat logs in DynamoDB: what the store asks of a place, asked of its tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import islice
from threading import Lock
from typing import Any

from daicho.chats import dynamo_tables as tables
from daicho.chats.dynamo_client import connect, endpoint_of, translated
from daicho.chats.dynamo_deleting import Deleting, batches
from daicho.chats.dynamo_index import Index
from daicho.chats.dynamo_items import LEAST, MOST, Item, Scale, author_of, item_of, just_before, micros_of
from daicho.chats.dynamo_reading import Reading
from daicho.chats.dynamo_threads import Stop, Threads
from daicho.chats.dynamo_writing import Writing
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.places import Added, Advance, NewMessage, Prepared, Restored, Row, Span
from daicho.core.beside import Beside
from daicho.core.errors import DaichoError, Invalid, Unavailable, located
from daicho.core.language import Text
from daicho.core.page import Page
from daicho.core.sections import Chats

SEGMENTS = 8
"""Parts of the table that are gone through side by side: half of the threads, as that may take long."""


class ChatTable(Beside):
    """A table of messages and its index.

    Args:
        settings: the table's name, its scale, where it is, how long messages are kept.

    Raises Invalid for settings that cannot be. Nothing is asked of DynamoDB yet.
    """

    def __init__(self, settings: Chats) -> None:
        where = settings.dynamodb
        self._client = connect(where)
        self._table = where.table
        self._days = settings.days
        self._scale = Scale(6 if where.unit == "s" else 3)
        self._index = Index(self._client, f"{where.table}-index", settings.days)
        self._writing = Writing(self._client, where.table, self._index, self._scale, settings.days)
        self._deleting = Deleting(self._client, where.table, self._index)
        self._threads = Threads()
        self._reading = Reading(self._client, where.table, self._index, self._scale, self._threads)
        server = endpoint_of(self._client)
        self.place = Text(f"{where.table} in DynamoDB, {server}", f"DynamoDB の {where.table} ({server})")

    def __repr__(self) -> str:
        return f"<ChatTable {self.place.en}>"

    def translated(self, error: Exception) -> Exception:
        return translated(error, self.place)

    def close(self) -> None:
        self._threads.close()
        self._client.close()

    # -- the tables ------------------------------------------------------------------------------

    def prepare(self, advance: Advance) -> Prepared:
        """Make the tables that are missing, and enter the sessions that other programs have begun."""
        wanted = (tables.messages_table(self._table), tables.index_table(self._index.table))
        created = [table["TableName"] for table in wanted if tables.make(self._client, table, self.place)]
        keep = self._days is not None
        expires = [tables.end_messages(self._client, table["TableName"], wanted=keep) for table in wanted]
        news: list[bool] = []

        def enter(session_id: str, _: Stop) -> None:
            newest = self._reading.edge(session_id, newest=True)
            news.append(newest is not None and self._index.touch(session_id, self._scale.micros(newest)))
            tell(1)

        tell = _one_at_a_time(advance)
        self._everywhere(enter)
        return Prepared(self.place, created, sum(news), None if None in expires else all(expires))

    def _everywhere(self, work: Callable[[str, Stop], None]) -> None:
        """Do the work on every session of the table, some side by side."""

        def in_part(part: int, stop: Stop) -> None:
            for session_id in self._sessions_in(part):
                stop.check()
                work(session_id, stop)

        for _ in self._threads.each(in_part, range(SEGMENTS)):
            pass

    def _sessions_in(self, part: int) -> Iterator[str]:
        """A part's sessions: a message is found, and the rest of its session passed over."""
        start: dict[str, Any] = {}
        while True:
            answer = self._client.scan(
                TableName=self._table,
                Segment=part,
                TotalSegments=SEGMENTS,
                Limit=1,
                ProjectionExpression="session_id",
                **start,
            )
            if answer["Items"]:
                found = answer["Items"][0]["session_id"]
                yield found["S"]
                start = {"ExclusiveStartKey": {"session_id": found, "timestamp": {"N": MOST}}}
            elif "LastEvaluatedKey" in answer:
                start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
            else:
                return

    # -- writing ---------------------------------------------------------------------------------

    def write(self, messages: Sequence[NewMessage]) -> list[ChatLog | DaichoError]:
        """Put messages, one after the other; return each as stored, or what kept it out."""
        return [self._written(message) for message in messages]

    def _written(self, message: NewMessage) -> ChatLog | DaichoError:
        try:
            return self._writing.add(message)[0]
        except Exception as error:
            known = self.translated(error)
            if not isinstance(known, DaichoError):
                raise
            return known

    def write_many(self, messages: Iterable[NewMessage]) -> Added:
        """Put the messages of each session in their order, some sessions side by side."""
        sessions: dict[str, list[NewMessage]] = {}
        for number, message in enumerate(messages, 1):
            self._check_size(message, number)
            sessions.setdefault(message.row["session_id"], []).append(message)
        news: list[bool] = []

        def put(one: list[NewMessage], stop: Stop) -> None:
            for message in one:
                stop.check()
                news.append(self._writing.add(message)[1])

        try:
            for _ in self._threads.each(put, sessions.values()):
                pass
        except Exception as error:
            known = self.translated(error)
            if not isinstance(known, DaichoError):
                raise
            count = sum(map(len, sessions.values()))
            raise located(
                known,
                Text(
                    f"{len(news):,} of {count:,} messages were written",
                    f"{count:,} 件中 {len(news):,} 件を書き込みました",
                ),
            ) from None
        return Added(sum(news), len(news) - sum(news))

    def _check_size(self, message: NewMessage, number: int) -> None:
        """Raise Invalid, naming its number, for a message that is too large: before any is written."""
        try:
            item_of(message.row, micros_of(message.row["timestamp"]), self._scale, self._days)
        except Invalid as error:
            raise located(error, Text(f"message {number}", f"{number} 番目のメッセージ")) from None

    def restore(self, session_id: str, messages: Sequence[ChatLog]) -> Restored:
        """Put messages back exactly as they were, side by side."""
        if not messages:
            return Restored(0, 0, ())
        rows = [ChatLog.whole_row(**{**message.values(), "session_id": session_id}) for message in messages]
        places = [micros_of(row["timestamp"]) for row in rows]
        for row, place in zip(rows, places, strict=True):
            item_of(row, place, self._scale, self._days)  # what is too large is refused before any is written
        around = (self._scale.number(min(places)), self._scale.number(max(places)))
        there = {
            self._scale.micros(item["timestamp"]["N"]): item
            for item in islice(self._reading.items(session_id, *around, newest_first=False), len(rows))
        }
        self._index.touch(session_id, max(places))

        def put(one: tuple[Row, int], _: Stop) -> bool | None:
            return self._writing.put_back(one[0], there.get(one[1]))

        became = list(self._threads.each(put, zip(rows, places, strict=True)))
        differing = [row["timestamp"] for row, new in zip(rows, became, strict=True) if new is None]
        return Restored(became.count(True), became.count(False), differing)

    # -- reading ---------------------------------------------------------------------------------

    def history(self, session_id: str, span: Span, limit: int, cursor: str | None) -> Page[ChatLog]:
        return self._reading.history(session_id, span, limit, cursor)

    def session(self, session_id: str) -> ChatSession | None:
        return self._reading.session(session_id)

    def sessions(
        self, prefix: str | None, since: datetime | None, limit: int, cursor: str | None
    ) -> Page[ChatSession]:
        return self._reading.sessions(prefix, since, limit, cursor)

    # -- deleting --------------------------------------------------------------------------------

    def delete_session(self, session_id: str) -> int:
        """Delete the messages of a session. Raises Unavailable, with how many are gone, if it cannot."""
        items = self._reading.items(session_id, LEAST, MOST, newest_first=False, brief=True)
        gone: list[int] = []

        def delete(some: Sequence[Item], stop: Stop) -> bool:
            count = self._deleting.delete(some, stop)
            gone.append(count)
            return count == len(some)

        with closing(self._threads.each(delete, batches(items))) as each:
            whole = all(each)
        if not whole:
            raise self._busy(session_id, sum(gone))
        self._index.forget(session_id)
        return sum(gone)

    def expire(self, horizon: datetime, advance: Advance) -> int:
        """Delete what was said before an instant, in every session."""
        before = just_before(self._scale.number(micros_of(horizon)))
        gone: list[int] = []

        def expire(session_id: str, stop: Stop) -> None:
            items = self._reading.items(session_id, LEAST, before, newest_first=False, brief=True)
            some: Sequence[Item] = ()
            for some in batches(items):
                stop.check()
                count = self._deleting.delete(some, stop)
                gone.append(count)
                tell(count)
                if count < len(some):
                    raise self._busy(session_id, sum(gone))
            if some and self._reading.edge(session_id, newest=True) is None:
                self._index.forget(session_id)

        tell = _one_at_a_time(advance)
        self._everywhere(expire)
        return sum(gone)

    # -- keeping ---------------------------------------------------------------------------------

    def count_before(self, horizon: datetime) -> int:
        """Return how many messages were said before an instant."""
        before = just_before(self._scale.number(micros_of(horizon)))
        return self._counted(before, lambda _: True)

    def session_ids(self) -> list[str]:
        """Return every session of the table, in or out of its index."""
        found: list[str] = []
        self._everywhere(lambda session_id, _: found.append(session_id))
        return found

    def count_authored(self, names: Sequence[str]) -> int:
        """Return how many messages these authors have written. Reads the whole table."""
        return self._counted(MOST, lambda item: author_of(item) in names)

    def forget_author(self, names: Sequence[str], alias: str, mark: str, advance: Advance) -> int:
        """Put another name and a mark where authors' names and words are; return in how many messages.

        Args:
            alias: the name; mark: the words.
        """
        forgotten: list[int] = []

        def forget(session_id: str, stop: Stop) -> None:
            for item in self._reading.items(session_id, LEAST, MOST, newest_first=False):
                stop.check()
                if author_of(item) in names and self._writing.forget(item, alias, mark):
                    forgotten.append(1)
                    tell(1)

        tell = _one_at_a_time(advance)
        self._everywhere(forget)
        return len(forgotten)

    def _counted(self, until: str, wanted: Callable[[Item], bool]) -> int:
        counts: list[int] = []

        def count(session_id: str, stop: Stop) -> None:
            for item in self._reading.items(session_id, LEAST, until, newest_first=False):
                stop.check()
                counts.append(wanted(item))

        self._everywhere(count)
        return sum(counts)

    def _busy(self, session_id: str, gone: int) -> Unavailable:
        return Unavailable(
            f"{self.place.en}: too busy; {gone:,} messages are deleted, others of {session_id} are left:"
            " try again",
            f"{self.place.ja}: 混み合っています。{gone:,} 件を削除しましたが、{session_id} に"
            "まだ残っています。後でもう一度お試しください",
        )


def _one_at_a_time(advance: Advance) -> Advance:
    lock = Lock()

    def tell(count: int) -> None:
        with lock:
            advance(count)

    return tell
