"""Deletes in DynamoDB: some at a time, and again what it was too busy for."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from daicho.chats.dynamo_client import throttled
from daicho.chats.dynamo_index import Index, message_key
from daicho.chats.dynamo_items import Item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

BATCH = 25
"""The most deletes that DynamoDB takes in one request."""
ATTEMPTS = 10
"""Tries in a row of which none gets on. With the waits between them they last some ten seconds."""
WAIT = wait_random_exponential(multiplier=0.05, max=4)


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Divide items into as many as DynamoDB deletes at once."""
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


class _TooBusy(Exception):
    """Some deletes of a request were not carried out."""


class Deleting:
    """The deleting side of a table."""

    def __init__(self, client: "DynamoDBClient", table: str, index: Index) -> None:
        self._client, self._table, self._index = client, table, index

    def delete(self, items: Sequence[Item]) -> int:
        """Delete at most 25 messages and then their entries; return how many are gone.

        Those are fewer than there were where DynamoDB stays too busy.

        Args:
            items: with their keys, and ``message_id`` where they have one.
        """
        keys = [{name: item[name] for name in ("session_id", "timestamp")} for item in items]
        left = self._delete(self._table, keys)
        if not left:
            named = [item for item in items if "S" in item.get("message_id", {})]
            entries = [message_key(item["session_id"]["S"], item["message_id"]["S"]) for item in named]
            left = self._delete(self._index.table, entries)
        return len(items) - left

    def _delete(self, table: str, keys: Sequence[Item]) -> int:
        """Delete what has these keys; return how many are left where DynamoDB stays too busy."""
        left: Sequence[WriteRequestUnionTypeDef] = [{"DeleteRequest": {"Key": key}} for key in keys]

        def some() -> None:
            nonlocal left
            answer = self._client.batch_write_item(RequestItems={table: left})
            left = answer.get("UnprocessedItems", {}).get(table, [])
            if left:
                raise _TooBusy

        while left:
            before = len(left)
            try:
                Retrying(
                    retry=retry_if_exception(_passes),
                    stop=stop_after_attempt(ATTEMPTS),
                    wait=WAIT,
                    reraise=True,
                )(some)
            except Exception as error:
                if not _passes(error):
                    raise
                if len(left) == before:
                    return before
        return 0


def _passes(error: BaseException) -> bool:
    return isinstance(error, _TooBusy) or throttled(error)
