"""DynamoDB's tables of chat logs: made, checked, given an end of their messages."""

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from daicho.chats.dynamo_client import code_of
from daicho.chats.dynamo_index import BY_LAST_AT
from daicho.core.errors import Invalid, Unavailable
from daicho.core.language import Text

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import CreateTableInputTypeDef, TableDescriptionTypeDef

EXPIRES_AT = "expires_at"
READY_SECONDS = 300
"""How long making a table may take."""
LOOK_SECONDS = 2.0
"""The longest wait before it is looked at again."""


def messages_table(name: str) -> "CreateTableInputTypeDef":
    """Return the table of messages, as the seed has it."""
    return {
        "TableName": name,
        "KeySchema": [
            {"AttributeName": "session_id", "KeyType": "HASH"},
            {"AttributeName": "timestamp", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "session_id", "AttributeType": "S"},
            {"AttributeName": "timestamp", "AttributeType": "N"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def index_table(name: str) -> "CreateTableInputTypeDef":
    """Return the table of entries, which a message's table has beside it."""
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "key", "AttributeType": "S"},
            {"AttributeName": "shelf", "AttributeType": "S"},
            {"AttributeName": "last_at", "AttributeType": "N"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": BY_LAST_AT,
                "KeySchema": [
                    {"AttributeName": "shelf", "KeyType": "HASH"},
                    {"AttributeName": "last_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }


def make(client: "DynamoDBClient", wanted: "CreateTableInputTypeDef", place: Text) -> bool:
    """See to it that a table is there and can be used; return whether it was made here.

    Raises Invalid for one that has other keys, Unavailable for one that does not get ready.
    """
    name = wanted["TableName"]
    made = False
    if _described(client, name) is None:
        try:
            client.create_table(**wanted)
            made = True
        except ClientError as error:
            if code_of(error) != "ResourceInUseException":  # somebody else was quicker
                raise
    deadline, wait = time.monotonic() + READY_SECONDS, 0.02
    while (table := _described(client, name)) is None or not _ready(table):
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{place.en}: {name} is not ready after {READY_SECONDS} seconds; try again later",
                f"{place.ja}: {name} が {READY_SECONDS} 秒待っても使えません。後でもう一度お試しください",
            )
        time.sleep(wait)
        wait = min(2 * wait, LOOK_SECONDS)
    _check(table, wanted, place)
    return made


def end_messages(client: "DynamoDBClient", table: str, *, wanted: bool) -> bool | None:
    """Let DynamoDB remove what is past its ``expires_at``, if wanted; return whether it does.

    None where it cannot: the server knows no TTL, or the table's TTL goes by another attribute.
    """
    try:
        said = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if said.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
            return said.get("AttributeName") == EXPIRES_AT or None
        if wanted:
            client.update_time_to_live(
                TableName=table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT},
            )
        return wanted
    except ClientError as error:
        if code_of(error) in {"UnknownOperationException", "UnsupportedOperationException"}:
            return None
        if code_of(error) == "ValidationException" and "already enabled" in str(error):
            return True  # by somebody else, just now
        raise


def _described(client: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef | None":
    try:
        return client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise


def _ready(table: "TableDescriptionTypeDef") -> bool:
    indexes = table.get("GlobalSecondaryIndexes", [])
    return table.get("TableStatus") in {"ACTIVE", "UPDATING"} and all(
        index.get("IndexStatus", "ACTIVE") in {"ACTIVE", "UPDATING"} for index in indexes
    )


def _check(table: "TableDescriptionTypeDef", wanted: "CreateTableInputTypeDef", place: Text) -> None:
    has, needs = _keys(table), _keys(wanted)
    if has == needs:
        return
    raise Invalid(
        f"{place.en}: the table {wanted['TableName']} has {has}; needed: {needs};"
        " give chat logs a table of another name (CHATLOG_TABLE)",
        f"{place.ja}: テーブル {wanted['TableName']} のキーは {has} ですが、{needs} でなければなりません。"
        "別の名前のテーブルにしてください (CHATLOG_TABLE)",
    )


def _keys(table: Any) -> str:
    """The keys of a table and of the index that is used, for people: ``session_id S HASH, …``."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    indexes = [each for each in table.get("GlobalSecondaryIndexes", []) if each["IndexName"] == BY_LAST_AT]
    said = [
        ", ".join(f"{key['AttributeName']} {types[key['AttributeName']]} {key['KeyType']}" for key in keys)
        for keys in (table["KeySchema"], *(each["KeySchema"] for each in indexes))
    ]
    return f"; {BY_LAST_AT}: ".join(said)
