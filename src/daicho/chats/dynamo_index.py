"""The table beside the table of messages: which sessions there are, and where a sender's message is.

``session#<session>`` is there before the session's first message, and says to ten seconds when the newest
one was said. ``message#<session>#<message_id>`` is there before a message that its sender has named, and
says at which timestamp it is, or is to be put. A crash between the two leaves an entry that nothing stands
behind: the session is not shown, the message is put when it is sent again.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from daicho.chats.dynamo_client import LOGIN, code_of, refused
from daicho.chats.dynamo_items import SECOND, Item, expired, expiry, number_in
from daicho.core.page import decode_texts, encode

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_LAST_AT = "by_last_at"
SHELF = {"S": "sessions"}
COARSE = 10
"""Seconds to which an entry knows when a session's newest message was said."""
REMEMBERED_SECONDS = 600
"""How long a process may trust that an entry that it has touched is there."""
IDLE_SECONDS = 3_600
"""How long nobody must have touched an entry that is removed: far longer than anybody trusts in it."""
MEMORY = 10_000
ROUNDS = 20
"""Requests of 1,000 entries for one page of those that match a prefix."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A session's entry.

    Attributes:
        last_at: epoch seconds, as DynamoDB writes the number.
        touched_at: when somebody last saw to it that the entry is there, epoch seconds.
    """

    session_id: str
    last_at: str
    touched_at: str


class Index:
    """The entries of sessions and messages.

    Args:
        table: the index's own name.
        days: how long the entry of a message is kept, if not for ever.
    """

    def __init__(self, client: "DynamoDBClient", table: str, days: int | None) -> None:
        self._client, self.table, self._days = client, table, days
        self._touched: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = Lock()

    # -- sessions --------------------------------------------------------------------------------

    def touch(self, session_id: str, micros: int) -> bool:
        """See to it that a session's entry is there, and no older than a message of it.

        Returns whether the entry is new. Most calls are answered out of memory.
        """
        at = micros // (COARSE * SECOND) * COARSE
        with self._lock:
            known = self._touched.get(session_id)
            if known and known[0] >= at and time.monotonic() - known[1] < REMEMBERED_SECONDS:
                return False
        began = time.monotonic()
        new = self._put_session(session_id, at)
        with self._lock:
            self._touched[session_id] = (at if known is None else max(at, known[0]), began)
            self._touched.move_to_end(session_id)
            if len(self._touched) > MEMORY:
                self._touched.popitem(last=False)
        return new

    def _put_session(self, session_id: str, at: int) -> bool:
        key = {"key": {"S": _session_key(session_id)}}
        while True:
            now = {"N": str(int(time.time()))}
            try:
                before = self._client.update_item(
                    TableName=self.table,
                    Key=key,
                    UpdateExpression="SET shelf = :shelf, session_id = :session, last_at = :last,"
                    " touched_at = :now",
                    ConditionExpression="attribute_not_exists(last_at) OR last_at < :last",
                    ExpressionAttributeValues={
                        ":shelf": SHELF,
                        ":session": {"S": session_id},
                        ":last": {"N": str(at)},
                        ":now": now,
                    },
                    ReturnValues="ALL_OLD",
                )
                return not before.get("Attributes")
            except ClientError as error:
                if not refused(error):
                    raise
            try:  # it is there, with a newer message
                self._client.update_item(
                    TableName=self.table,
                    Key=key,
                    UpdateExpression="SET touched_at = :now",
                    ConditionExpression="attribute_exists(last_at)",
                    ExpressionAttributeValues={":now": now},
                )
                return False
            except ClientError as error:
                if not refused(error):
                    raise  # otherwise it was removed just now

    def sessions(
        self, prefix: str | None, since: int | None, limit: int, cursor: str | None
    ) -> tuple[list[Entry], str | None]:
        """Return entries, the newest first, and the cursor of the following ones.

        Args:
            since: only sessions that may have a message since these microseconds.
        """
        names = {"#shelf": "shelf"}
        values: dict[str, Any] = {":shelf": SHELF}
        request: dict[str, Any] = {"KeyConditionExpression": "#shelf = :shelf"}
        if since is not None:
            request["KeyConditionExpression"] += " AND last_at >= :since"
            values[":since"] = {"N": str(since // (COARSE * SECOND) * COARSE)}
        if prefix is not None:
            request["FilterExpression"] = "begins_with(session_id, :prefix)"
            values[":prefix"] = {"S": prefix}
        if cursor is not None:
            request["ExclusiveStartKey"] = _start(cursor)
        found: list[Entry] = []
        for _ in range(ROUNDS):
            answer = self._client.query(
                TableName=self.table,
                IndexName=BY_LAST_AT,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                Limit=limit + 1 if prefix is None else 1000,
                **request,
            )
            found += [_entry(item) for item in answer["Items"]]
            if len(found) > limit:
                last = found[limit - 1]
                return found[:limit], _cursor(last.last_at, last.session_id)
            if not (key := answer.get("LastEvaluatedKey")):
                return found, None
            request["ExclusiveStartKey"] = key
        last_read = request["ExclusiveStartKey"]
        return found, _cursor(last_read["last_at"]["N"], _session_in(last_read["key"]["S"]))

    def forget(self, session_id: str) -> None:
        """Remove the entry of a session without messages, unless somebody may be about to put one."""
        answer = self._client.get_item(
            TableName=self.table, Key={"key": {"S": _session_key(session_id)}}, ConsistentRead=True
        )
        if "Item" in answer:
            self.drop(_entry(answer["Item"]))

    def drop(self, entry: Entry) -> None:
        """As ``forget``, for an entry that was read just now."""
        if float(entry.touched_at) > time.time() - IDLE_SECONDS:
            return
        try:
            self._client.delete_item(
                TableName=self.table,
                Key={"key": {"S": _session_key(entry.session_id)}},
                ConditionExpression="touched_at = :seen AND last_at = :last",
                ExpressionAttributeValues={
                    ":seen": {"N": entry.touched_at},
                    ":last": {"N": entry.last_at},
                },
            )
        except ClientError as error:
            if not refused(error) and code_of(error) not in LOGIN:  # who may only read leaves it there
                raise

    # -- messages --------------------------------------------------------------------------------

    def claim(self, session_id: str, message_id: str, micros: int) -> tuple[int, bool]:
        """Return where a named message is, or is to be put, and whether nobody had sent it before.

        An entry whose time is up counts as none, as DynamoDB may remove the message before it.

        Args:
            micros: where it is to be put, if nobody has.
        """
        while True:
            item = {**message_key(session_id, message_id), "at": {"N": str(micros)}}
            if self._days is not None:
                item["expires_at"] = {"N": expiry(micros, self._days)}
            try:
                self._client.put_item(
                    TableName=self.table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(#key) OR expires_at <= :now",
                    ExpressionAttributeNames={"#key": "key"},
                    ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
                )
                return micros, True
            except ClientError as error:
                if not refused(error):
                    raise
            there = self._where(session_id, message_id)
            if there is not None:  # otherwise it was removed just now
                return there, False

    def move(self, session_id: str, message_id: str, before: int, after: int) -> int:
        """Say that a named message is to be put elsewhere; return where it is to be put now.

        That is another place where another process was quicker.
        """
        try:
            self._client.update_item(
                TableName=self.table,
                Key=message_key(session_id, message_id),
                UpdateExpression="SET #at = :after",
                ConditionExpression="#at = :before",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":before": {"N": str(before)}, ":after": {"N": str(after)}},
            )
            return after
        except ClientError as error:
            if not refused(error):
                raise
        return self.claim(session_id, message_id, after)[0]

    def give_up(self, session_id: str, message_id: str, at: int) -> None:
        """Take the entry back of a named message that could not be put where it was to be."""
        try:
            self._client.delete_item(
                TableName=self.table,
                Key=message_key(session_id, message_id),
                ConditionExpression="#at = :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"N": str(at)}},
            )
        except ClientError as error:
            if not refused(error):
                raise

    def _where(self, session_id: str, message_id: str) -> int | None:
        answer = self._client.get_item(
            TableName=self.table, Key=message_key(session_id, message_id), ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None or expired(item, time.time()) else int(item["at"]["N"])


def message_key(session_id: str, message_id: str) -> Item:
    """Return the key of a message's entry."""
    return {"key": {"S": f"message#{_quoted(session_id)}#{message_id}"}}


def _session_key(session_id: str) -> str:
    return f"session#{session_id}"


def _session_in(key: str) -> str:
    return key.removeprefix("session#")


def _quoted(session_id: str) -> str:
    """A session's name without ``#``, so that no two messages have the same key."""
    return session_id.replace("%", "%25").replace("#", "%23")


def _entry(item: Item) -> Entry:
    return Entry(item["session_id"]["S"], item["last_at"]["N"], item.get("touched_at", {}).get("N", "0"))


def _cursor(last_at: str, session_id: str) -> str:
    return encode([last_at, session_id])


def _start(cursor: str) -> Item:
    last_at, session_id = decode_texts(cursor, 2)
    number = number_in(cursor, last_at)
    return {"shelf": SHELF, "last_at": {"N": number}, "key": {"S": _session_key(session_id)}}
