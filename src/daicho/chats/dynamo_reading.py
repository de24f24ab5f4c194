"""Messages and sessions as they are read from DynamoDB."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from daicho.chats.dynamo_index import Entry, Index
from daicho.chats.dynamo_items import (
    LEAST,
    MOST,
    Item,
    Scale,
    expired,
    just_after,
    just_before,
    message_of,
    micros_of,
    number_in,
)
from daicho.chats.dynamo_threads import Stop, Threads
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.places import Span
from daicho.core.errors import Invalid, located
from daicho.core.language import Text
from daicho.core.page import LIMIT_MAX, Page

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class Reading:
    """The reading side of a table. All of it sees what was written before.

    Args:
        table: the name of the table of messages.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, index: Index, scale: Scale, threads: Threads
    ) -> None:
        self._client, self._table, self._index = client, table, index
        self._scale, self._threads = scale, threads

    def history(self, session_id: str, span: Span, limit: int, cursor: str | None) -> Page[ChatLog]:
        """Return messages of a session; the cursor is the last one's timestamp as the table has it."""
        low, high = self._within(span)
        if cursor is not None:
            raw = number_in(cursor, cursor)
            if span.newest_first:
                high = min(high, just_before(raw), key=Decimal)
            else:
                low = max(low, just_after(raw), key=Decimal)
        found = list(
            islice(
                self.items(session_id, low, high, newest_first=span.newest_first, limit=limit + 1), limit + 1
            )
        )
        following = found[limit - 1]["timestamp"]["N"] if len(found) > limit else None
        seconds = time.time()
        there = [item for item in found[:limit] if not expired(item, seconds)]
        try:
            return Page([message_of(item, self._scale) for item in there], following)
        except Invalid as error:
            raise located(error, _named(session_id)) from None

    def _within(self, span: Span) -> tuple[str, str]:
        """The least and the greatest timestamp of a span."""
        low, high = LEAST, MOST
        if span.after is not None:
            low = self._scale.number(micros_of(span.after) + 1)
        if span.before is not None:
            high = just_before(self._scale.number(micros_of(span.before)))
        return low, high

    def session(self, session_id: str) -> ChatSession | None:
        """Return a session, its messages counted by reading them all."""
        edges = self._edges(session_id)
        if edges is None:
            return None
        try:
            instants = [self._scale.instant(raw) for raw in edges]
        except Invalid as error:
            raise located(error, _named(session_id)) from None
        count = 0
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="session_id = :session",
                FilterExpression="attribute_not_exists(expires_at) OR expires_at > :now",
                ExpressionAttributeValues={
                    ":session": {"S": session_id},
                    ":now": {"N": str(int(time.time()))},
                },
                Select="COUNT",
                ConsistentRead=True,
                **start,
            )
            count += answer["Count"]
            if not (key := answer.get("LastEvaluatedKey")):
                return _session(session_id, instants, count)
            start = {"ExclusiveStartKey": key}

    def sessions(
        self, prefix: str | None, since: datetime | None, limit: int, cursor: str | None
    ) -> Page[ChatSession]:
        """Return sessions by their entries; what has no message is left out.

        One with a timestamp that is no instant, another program's, is there with the end of time.
        """
        entries, following = self._index.sessions(
            prefix, None if since is None else micros_of(since), limit, cursor
        )
        found = [one for one in self._threads.each(self._seen, entries) if one is not None]
        found = [one for one in found if since is None or one.last_at >= since]
        found.sort(key=lambda one: (one.last_at, one.session_id), reverse=True)
        return Page(found, following)

    def _seen(self, entry: Entry, _: Stop) -> ChatSession | None:
        edges = self._edges(entry.session_id)
        if edges is None:
            self._index.drop(entry)
            return None
        return _session(entry.session_id, [self._scale.nearest(raw) for raw in edges], None)

    def _edges(self, session_id: str) -> tuple[str, str] | None:
        """The timestamps of a session's first and last messages; None if it has none."""
        last = self.edge(session_id, newest=True)
        first = None if last is None else self.edge(session_id, newest=False)
        return None if first is None or last is None else (first, last)

    def edge(self, session_id: str, *, newest: bool) -> str | None:
        """The timestamp of a session's first or last message, as the table has it; None if it has none."""
        seconds = time.time()
        for item in self.items(session_id, LEAST, MOST, newest_first=newest, limit=1, brief=True):
            if not expired(item, seconds):
                return str(item["timestamp"]["N"])
        return None

    def items(
        self,
        session_id: str,
        low: str,
        high: str,
        *,
        newest_first: bool,
        limit: int = LIMIT_MAX,
        brief: bool = False,
    ) -> Iterator[Item]:
        """Give the items of a session whose timestamps are from ``low`` to ``high``.

        Args:
            limit: how many are asked for at first; those after them come by the thousand.
            brief: only what names an item and ends it.
        """
        if Decimal(low) > Decimal(high):
            return
        request: dict[str, Any] = {"ExpressionAttributeNames": {"#at": "timestamp"}}
        if brief:
            request["ProjectionExpression"] = "session_id, #at, message_id, expires_at"
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="session_id = :session AND #at BETWEEN :low AND :high",
                ExpressionAttributeValues={
                    ":session": {"S": session_id},
                    ":low": {"N": low},
                    ":high": {"N": high},
                },
                ScanIndexForward=not newest_first,
                ConsistentRead=True,
                Limit=limit,
                **request,
            )
            yield from answer["Items"]
            if not (key := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = key
            limit = LIMIT_MAX


def _named(session_id: str) -> Text:
    return Text(f"session {session_id}", f"セッション {session_id}")


def _session(session_id: str, edges: Sequence[datetime], messages: int | None) -> ChatSession:
    first, last = edges
    return ChatSession.of(
        {"session_id": session_id, "first_at": first, "last_at": last, "messages": messages}
    )
