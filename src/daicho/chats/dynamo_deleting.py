"""Deletes in DynamoDB: some at a time, and again what it was too busy for."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_random_exponential

from daicho.chats.dynamo_client import throttled
from daicho.chats.dynamo_index import Index, message_key
from daicho.chats.dynamo_items import Item
from daicho.chats.dynamo_threads import Stop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

BATCH = 25
"""The most deletes that DynamoDB takes in one request."""
KEY_MAX = 2048
"""The most bytes of a key: no entry is of what other programs have given a longer name."""
BUSY_SECONDS = 10.0
"""How long deletes are sent again of which none is carried out. The client's own repeats of the last request
may take some three seconds more."""
WAIT = wait_random_exponential(multiplier=0.05, max=4)


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Divide items into as many as DynamoDB deletes at once."""
    rest = iter(items)
    while some := list(islice(rest, BATCH)):
        yield some


class _TooBusy(Exception):
    """Some deletes of a request were not carried out."""


class Deleting:
    """The deleting side of a table."""

    def __init__(self, client: "DynamoDBClient", table: str, index: Index) -> None:
        self._client, self._table, self._index = client, table, index

    def delete(self, items: Sequence[Item], stop: Stop) -> int:
        """Delete at most 25 messages and then their entries; return how many are gone.

        Those are fewer than there were where DynamoDB stays too busy.

        Args:
            items: with their keys, and ``message_id`` where they have one.
            stop: ends the waits for DynamoDB.
        """
        keys = [{name: item[name] for name in ("session_id", "timestamp")} for item in items]
        left = self._delete(self._table, keys, stop)
        if not left:
            left = self._delete(self._index.table, _entries(items), stop)
        return len(items) - left

    def _delete(self, table: str, keys: Sequence[Item], stop: Stop) -> int:
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
                    stop=stop_before_delay(BUSY_SECONDS),
                    wait=WAIT,
                    sleep=stop.sleep,
                    reraise=True,
                )(some)
            except Exception as error:
                if not _passes(error):
                    raise
                if len(left) == before:
                    return before
        return 0


def _entries(items: Sequence[Item]) -> list[Item]:
    """The keys of the entries of messages, each once: other programs may have repeated a name."""
    named = [item for item in items if "S" in item.get("message_id", {})]
    keys = [message_key(item["session_id"]["S"], item["message_id"]["S"]) for item in named]
    texts = {key["key"]["S"]: key for key in keys}
    return [key for text, key in texts.items() if len(text.encode()) <= KEY_MAX]


def _passes(error: BaseException) -> bool:
    return isinstance(error, _TooBusy) or throttled(error)
