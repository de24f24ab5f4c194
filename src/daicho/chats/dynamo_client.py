"""The way to DynamoDB: its client, and what its errors mean to people."""

import re
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from pydantic import SecretStr

from daicho.chats.dynamo_settings import bad_endpoint, check_keys, checked_endpoint
from daicho.chats.dynamo_threads import Stopped
from daicho.core.errors import DaichoError, Invalid, Outdated, Unavailable, located
from daicho.core.language import Text
from daicho.core.sections import Dynamodb

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS = 5
READ_SECONDS = 10
CONNECTIONS = 64
"""Connections that are kept: those of our own threads, of tasks' threads and of the program's."""
LOCAL_REGION = "us-east-1"
"""What a local server is told, to which it is all the same."""

THROTTLING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "Throttling",
    }
)
LOGIN = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
KEYS = re.compile("key (condition|element|schema)|schema type|for key|missing the key", re.IGNORECASE)
"""What a request is refused for where a table has other keys."""
NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)
LOGIN_ERRORS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


def connect(settings: Dynamodb) -> "DynamoDBClient":
    """Return a client, without a request yet. What the settings leave open boto3 finds as it always does.

    Raises Invalid for what cannot be: no region, a malformed endpoint, half a pair of keys.
    """
    check_keys(settings)
    endpoint = checked_endpoint(settings.endpoint_url) if settings.endpoint_url else None
    try:
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=_secret(settings.secret_access_key),
            aws_session_token=_secret(settings.session_token) if settings.access_key_id else None,
        )
        region = settings.region or session.region_name or (LOCAL_REGION if endpoint else None)
        if region is None:
            raise Invalid(
                "DynamoDB: no region; set AWS_REGION (or, for a local server, AWS_ENDPOINT_URL_DYNAMODB)",
                "DynamoDB: リージョンがありません。AWS_REGION を設定してください"
                " (ローカルのサーバーなら AWS_ENDPOINT_URL_DYNAMODB)",
            )
        client = session.client(
            "dynamodb",
            region_name=region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard"},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
            ),
        )
    except BotoCoreError as error:
        raise Invalid(
            f"DynamoDB: {error}; check AWS_ENDPOINT_URL_DYNAMODB, AWS_REGION and AWS_PROFILE",
            f"DynamoDB: {error}。AWS_ENDPOINT_URL_DYNAMODB、AWS_REGION、AWS_PROFILE を確かめてください",
        ) from None
    except ValueError:
        raise bad_endpoint() from None
    endpoint_of(client)  # which boto3 may have from elsewhere
    return client


def endpoint_of(client: "DynamoDBClient") -> str:
    """Return where a client sends its requests, for people: without a password."""
    return checked_endpoint(client.meta.endpoint_url)


def code_of(error: Exception) -> str:
    """Return the name that DynamoDB has for an error; of what is not from there, nothing."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def refused(error: Exception) -> bool:
    """Whether a request was refused because its condition does not hold."""
    return code_of(error) == "ConditionalCheckFailedException"


def throttled(error: BaseException) -> bool:
    """Whether a request was refused because there were too many, which passes by itself."""
    return isinstance(error, ClientError) and code_of(error) in THROTTLING


def translated(error: Exception, place: Text) -> Exception:
    """Return the DaichoError that says what happened; an error that is not from here, as it is.

    Args:
        place: the table and its endpoint, which the error names.
    """
    if isinstance(error, DaichoError):
        return error
    said = _said(error)
    return error if said is None else located(said, place)


def _said(error: Exception) -> DaichoError | None:
    if isinstance(error, Stopped):
        return Unavailable(
            "the ledger was closed before the work was done",
            "処理が終わる前に台帳が閉じられました",
        )
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, LOGIN_ERRORS):
        return _no_login(type(error).__name__.removesuffix("Error"))
    if isinstance(error, ParamValidationError):
        return Invalid(str(error))
    if isinstance(error, NEVER_SENT):
        return _away(type(error).__name__)
    if isinstance(error, HTTPClientError):
        return Unavailable(
            f"the connection was lost ({type(error).__name__}); the request may have been done",
            f"接続が切れました ({type(error).__name__})。要求は実行された可能性があります",
        )
    if isinstance(error, BotoCoreError):
        return Unavailable(str(error))
    return None


def _answered(error: ClientError) -> DaichoError:
    code = code_of(error)
    reason = error.response.get("Error", {}).get("Message") or code
    if code == "ResourceNotFoundException":
        return Outdated(
            "a table is missing; run: daicho chats init",
            "テーブルがありません。次を実行してください: daicho chats init",
        )
    if code in LOGIN:
        return _no_login(code)  # its message repeats what was signed, a session's token among it
    if code in THROTTLING:
        return Unavailable(
            f"too many requests just now ({code}); try again later",
            f"要求が多すぎます ({code})。後でもう一度お試しください",
        )
    if code == "ValidationException":
        if "size" in reason.lower() and "exceeded" in reason.lower():
            return Invalid(
                f"the message is too large for DynamoDB, which takes at most 400 KB ({reason})",
                f"メッセージが大きすぎます。DynamoDB の上限は 400 KB です ({reason})",
            )
        if KEYS.search(reason):
            return Invalid(
                f"{reason}; does the table have other keys? It is said by: daicho chats init",
                f"{reason}。テーブルのキーが違うかもしれません。次を実行すると分かります: daicho chats init",
            )
        return Invalid(reason)
    return Unavailable(f"{code}: {reason}")


def _away(reason: str) -> Unavailable:
    return Unavailable(
        f"no answer ({reason}); check that DynamoDB can be reached there"
        " and AWS_ENDPOINT_URL_DYNAMODB and AWS_REGION are right",
        f"応答がありません ({reason})。DynamoDB に届くこと、"
        "AWS_ENDPOINT_URL_DYNAMODB と AWS_REGION が正しいことを確かめてください",
    )


def _no_login(reason: str) -> Unavailable:
    return Unavailable(
        f"login refused ({reason}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights"
        " that they have (a local server takes any; DynamoDB Local only a key id of A-Z, a-z, 0-9)",
        f"ログインできません ({reason})。AWS_ACCESS_KEY_ID と AWS_SECRET_ACCESS_KEY、その権限を"
        "確かめてください (ローカルのサーバーなら何でもかまいません。"
        "ただし DynamoDB Local のキー ID は A-Z、a-z、0-9 のみ)",
    )


def _secret(held: SecretStr | None) -> str | None:
    return held.get_secret_value() if held else None
