"""Messages on their way into DynamoDB: each put once, none over another.

A message is put only where none is. Where another one is, it goes to the next free microsecond. Whether
a request was carried out whose answer was lost, the message that is there tells by its name.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from daicho.chats.comparing import differing
from daicho.chats.dynamo_client import refused
from daicho.chats.dynamo_index import Index
from daicho.chats.dynamo_items import MOST, Item, Scale, forgotten, instant_at, item_of, message_of, micros_of
from daicho.chats.models import ChatLog
from daicho.chats.places import NewMessage
from daicho.core.errors import Invalid

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

LOOK = 100
"""Keys that are looked through at once for a free microsecond."""
MEMORY = 1_000
LAST = micros_of(datetime.max.replace(tzinfo=UTC))
"""The last microsecond that there is."""


class Writing:
    """The writing side of a table.

    Args:
        table: the name of the table of messages.
        days: how long a message is kept, if not for ever.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, index: Index, scale: Scale, days: int | None
    ) -> None:
        self._client, self._table, self._index = client, table, index
        self._scale, self._days = scale, days
        self._ties = _Ties()

    def add(self, message: NewMessage) -> tuple[ChatLog, bool]:
        """Put a message; return it as stored, and whether it was put now.

        Raises Invalid for one that is too large, and where no later microsecond is free.
        """
        row = message.row
        session_id, message_id = row["session_id"], row["message_id"]
        at, new = micros_of(row["timestamp"]), True
        item_of(row, at, self._scale, self._days)  # refuses what is too large before anything is written
        if message.named:
            at, new = self._index.claim(session_id, message_id, at)
        if (placed := self._place(row, at, new=new)) is None:
            # One after the other, or all of this process would go for the same place.
            with self._ties.turn(session_id):
                start = at
                while placed is None:
                    try:
                        free = self._ties.known(session_id, start, at) or self._free_after(session_id, at)
                    except Invalid:
                        if message.named:  # or the name would lead to no message for ever
                            self._index.give_up(session_id, message_id, at)
                        raise
                    at = self._index.move(session_id, message_id, at, free) if message.named else free
                    placed = self._place(row, at, new=new)
                self._ties.note(session_id, start, at + 1)
        return placed

    def _place(self, row: Mapping[str, Any], at: int, *, new: bool) -> tuple[ChatLog, bool] | None:
        """Put a message in a place; return it as it is there, and whether it was put now.

        None where another one is.

        Args:
            new: whether nobody had sent it before: if it is there when a request is repeated, that request
                has put it.
        """
        self._index.touch(row["session_id"], at)
        item = item_of(row, at, self._scale, self._days)
        while (refusal := self._refused(item)) is not None:
            if (there := self._get(row["session_id"], at)) is not None:  # otherwise deleted just now
                ours = there.get("message_id") == item["message_id"]
                put = new and refusal["ResponseMetadata"].get("RetryAttempts", 0) > 0
                return (message_of(there, self._scale), put) if ours else None
        return message_of(item, self._scale), True

    def put_back(self, row: Mapping[str, Any], there: Item | None) -> bool | None:
        """Put a message back exactly where it was.

        Args:
            there: what was seen in its place.

        Returns True where it is new, False where it was there already, None where something else is there,
        or the message is elsewhere.
        """
        if there is not None:
            return self._as_before(row, there)
        session_id, message_id, at = row["session_id"], row["message_id"], micros_of(row["timestamp"])
        where, _ = self._index.claim(session_id, message_id, at)
        while where != at:
            other = self._get(session_id, where)
            if other is not None and other.get("message_id") == {"S": message_id}:
                return None
            # Whoever meant to put it there has not done so.
            where = self._index.move(session_id, message_id, where, at)
        item = item_of(row, at, self._scale, self._days)
        while self._refused(item) is not None:
            if (there := self._get(session_id, at)) is not None:
                return self._as_before(row, there)
        return True

    def forget(self, item: Item, alias: str, mark: str) -> bool:
        """Put a name and a mark into the place of a message's author and words; return whether it was there.

        Repeated it changes nothing: the author is another one then.
        """
        try:
            self._client.put_item(
                TableName=self._table,
                Item=forgotten(item, alias, mark),
                ConditionExpression="author = :author",
                ExpressionAttributeValues={":author": item["author"]},
            )
        except ClientError as error:
            if refused(error):
                return False
            raise
        return True

    def _as_before(self, row: Mapping[str, Any], there: Item) -> bool | None:
        return None if differing(message_of(there, self._scale), ChatLog.of(dict(row))) else False

    def _refused(self, item: Item) -> Mapping[str, Any] | None:
        """Put an item where none is; return the answer that refuses it where one is."""
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(session_id)"
            )
        except ClientError as error:
            if refused(error):
                return error.response
            raise
        return None

    def _get(self, session_id: str, at: int) -> Item | None:
        key = {"session_id": {"S": session_id}, "timestamp": {"N": self._scale.number(at)}}
        return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _free_after(self, session_id: str, at: int) -> int:
        """The first microsecond after another at which the session has no message."""
        free = at + 1
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="session_id = :session AND #at BETWEEN :free AND :most",
                ExpressionAttributeNames={"#at": "timestamp"},
                ExpressionAttributeValues={
                    ":session": {"S": session_id},
                    ":free": {"N": self._scale.number(at + 1)},
                    ":most": {"N": MOST},
                },
                ProjectionExpression="#at",
                ConsistentRead=True,
                Limit=LOOK,
                **start,
            )
            for item in answer["Items"]:
                taken = self._scale.micros(item["timestamp"]["N"])
                if taken > free:
                    break
                free = taken + 1
            else:
                if key := answer.get("LastEvaluatedKey"):
                    start = {"ExclusiveStartKey": key}
                    continue
            if free > LAST:
                raise Invalid(
                    f"session {session_id} has no free microsecond left after {instant_at(at).isoformat()};"
                    " give the message an earlier timestamp",
                    f"セッション {session_id} には {instant_at(at).isoformat()} より後に空きがありません。"
                    "もっと前の timestamp にしてください",
                )
            return free


class _Ties:
    """Where the runs of messages end that were all to be at one instant."""

    def __init__(self) -> None:
        self._turns = [Lock() for _ in range(16)]
        self._ends: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._lock = Lock()

    def turn(self, session_id: str) -> Lock:
        """Return the lock of those who look for a place in a session."""
        return self._turns[hash(session_id) % len(self._turns)]

    def known(self, session_id: str, start: int, at: int) -> int | None:
        """Return a place after ``at`` that was free when one was last found for ``start``."""
        with self._lock:
            end = self._ends.get((session_id, start), at)
        return end if end > at else None

    def note(self, session_id: str, start: int, end: int) -> None:
        """Remember where the run that begins at ``start`` ends."""
        with self._lock:
            self._ends[session_id, start] = end
            self._ends.move_to_end((session_id, start))
            if len(self._ends) > MEMORY:
                self._ends.popitem(last=False)
