"""What goes in and out of the chats room: names, answers, what HTTP takes."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator

from daicho.core.language import Text
from daicho.core.types import json_value

SESSION = Text("chat session", "チャットセッション")


class MessageIn(BaseModel):
    """A message on its way in."""

    model_config = ConfigDict(extra="forbid")

    role: str
    content: str
    author: str | None = None
    message_id: str | None = None
    details: Any = None
    timestamp: AwareDatetime | None = None


class MessageOut(BaseModel):
    """A message as stored."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str
    timestamp: datetime
    role: str
    content: str
    author: str | None
    message_id: str
    details: Any

    @field_validator("details", mode="before")
    @classmethod
    def _as_json(cls, value: object) -> object:
        return json_value(value)


class SessionOut(BaseModel):
    """A session at a glance. ``messages`` is null where nobody has counted them."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str
    first_at: datetime
    last_at: datetime
    messages: int | None


class MessagePage(BaseModel):
    """Messages of a session, and the way to the next ones."""

    model_config = ConfigDict(from_attributes=True)

    items: list[MessageOut]
    next: str | None


class SessionPage(BaseModel):
    """Sessions, and the way to the next ones."""

    model_config = ConfigDict(from_attributes=True)

    items: list[SessionOut]
    next: str | None
