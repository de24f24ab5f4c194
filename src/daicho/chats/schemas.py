"""What goes in and out of the chats room: names, answers, what HTTP takes."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticKnownError

from daicho.chats.models import SESSION_MAX
from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.types import json_value

SESSION = Text("chat session", "チャットセッション")
MESSAGES_MAX = 10_000
"""Messages that one request may bring."""
NUMERIC = re.compile(r"\s*[-+]?[0-9.]+\s*", re.ASCII)


def _written_out(value: object) -> object:
    """An instant as it is written; a number might count seconds or milliseconds."""
    if value is None or (isinstance(value, str) and not NUMERIC.fullmatch(value)):
        return value
    raise PydanticKnownError("datetime_type")


Written = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out)]
"""An instant in ISO 8601, with its time zone."""


class MessageIn(BaseModel):
    """A message on its way in."""

    model_config = ConfigDict(extra="forbid")

    role: str = Field(min_length=1, max_length=32, examples=["user"])
    content: str = Field(examples=["予約をお願いします"])
    author: str | None = Field(None, max_length=255, examples=["hanako"])
    message_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Your own name for this message; sending it again changes nothing.",
    )
    details: Any = Field(None, description="Any JSON; a text that is JSON counts as such.")
    timestamp: Written | None = Field(None, description="With its time zone. Unset: now.")


class AnyMessageIn(MessageIn):
    """A message of any session on its way in."""

    session_id: str = Field(min_length=1, max_length=SESSION_MAX, examples=["discord:123:456"])


_MESSAGE: TypeAdapter[MessageIn] = TypeAdapter(MessageIn)
Many = Annotated[list[MessageIn], Field(max_length=MESSAGES_MAX)]
_MESSAGES: TypeAdapter[list[MessageIn]] = TypeAdapter(Many)


def _one_or_many(value: object, _: Callable[[object], object]) -> MessageIn | list[MessageIn]:
    """What is wrong is told of what was sent, and not of each thing that it might have been."""
    if isinstance(value, list):
        return _MESSAGES.validate_python(value)
    if isinstance(value, dict):
        return _MESSAGE.validate_python(value)
    raise Invalid(
        "body: send a JSON object or an array of them, as application/json",
        "body: JSON のオブジェクトか、その配列を application/json で送ってください",
    )


MessagesIn = Annotated[MessageIn | Many, WrapValidator(_one_or_many)]
"""One message, or several."""


def _many(value: object) -> object:
    if isinstance(value, list):
        return value
    raise Invalid(
        "body: send a JSON array of messages, as application/json",
        "body: メッセージの JSON 配列を application/json で送ってください",
    )


AnyMessagesIn = Annotated[list[AnyMessageIn], Field(max_length=MESSAGES_MAX), BeforeValidator(_many)]
"""Several messages of any sessions."""


class AddedOut(BaseModel):
    """What became of many messages."""

    model_config = ConfigDict(from_attributes=True)

    added: int = Field(description="Messages that are new.")
    existing: int = Field(description="Messages that were there already, by their `message_id`.")


class MessageOut(BaseModel):
    """A message as stored."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str = Field(examples=["discord:123:456"])
    timestamp: datetime = Field(
        description="To the microsecond; no two of a session are the same.",
        examples=["2026-11-21T08:18:25.120000Z"],
    )
    role: str = Field(examples=["user"])
    content: str = Field(examples=["予約をお願いします"])
    author: str | None = Field(examples=["hanako"])
    message_id: str
    details: Any

    @field_validator("details", mode="before")
    @classmethod
    def _as_json(cls, value: object) -> object:
        return json_value(value)


class SessionOut(BaseModel):
    """A session at a glance. ``messages`` is null where nobody has counted them."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str = Field(examples=["discord:123:456"])
    first_at: datetime
    last_at: datetime
    messages: int | None = Field(description="Null in DynamoDB's lists.", examples=[12])


class ChatMessagePage(BaseModel):
    """Messages of a session, and the way to the next ones."""

    model_config = ConfigDict(from_attributes=True)

    items: list[MessageOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class SessionPage(BaseModel):
    """Sessions, and the way to the next ones."""

    model_config = ConfigDict(from_attributes=True)

    items: list[SessionOut]
    next: str | None = Field(
        description="Pass it as `cursor`. In DynamoDB a page may be short, even empty, and have a next one."
    )
