"""What comes into the guilds room as JSON. Discord ids are texts, or whole numbers where those are exact."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from daicho.core.language import Text
from daicho.core.types import SNOWFLAKE_MAX
from daicho.guilds.enums import (
    AvatarHistoryType,
    LogType,
    LoopMode,
    MusicSource,
    TicketCategory,
    TicketPriority,
    TicketStatus,
)

COUNT_MAX = 2**31 - 1
LOGS_MAX = 10_000
"""Logs that one request may bring."""
ID_DIGITS = len(str(SNOWFLAKE_MAX))


def _discord_id(value: object) -> int:
    if isinstance(value, float):
        raise _error(
            Text(
                "is a number with a fraction or an exponent, which rounds ids; send it as text",
                "小数または指数表記の数値では ID が丸められます。文字列で送ってください",
            )
        )
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= ID_DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SNOWFLAKE_MAX:
        raise _error(
            Text(
                f'is no Discord id; send digits as text, as "123456789012345678", at most {SNOWFLAKE_MAX}',
                f'Discord の ID ではありません。"123456789012345678" のように数字の文字列で'
                f"送ってください (最大 {SNOWFLAKE_MAX})",
            )
        )
    return value


def _error(reason: Text) -> PydanticCustomError:
    return PydanticCustomError("value", "{reason}", {"reason": str(reason)})


def _priority(value: object) -> object:
    """A priority's name stands for its number; True does not."""
    if isinstance(value, str) and value.upper() in TicketPriority.__members__:
        return TicketPriority[value.upper()]
    return str(value) if isinstance(value, bool) else value


Id = Annotated[
    int,
    BeforeValidator(_discord_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^[0-9]{{1,{ID_DIGITS}}}$"},
                {"type": "integer", "minimum": 0, "maximum": SNOWFLAKE_MAX},
            ],
            "description": "A Discord id, best as text.",
            "examples": ["123456789012345678"],
        }
    ),
]
"""A Discord id."""
Priority = Annotated[
    TicketPriority,
    BeforeValidator(_priority),
    WithJsonSchema(
        {
            "enum": [
                *(int(one) for one in TicketPriority),
                *(one.name.lower() for one in TicketPriority),
            ],
            "description": "1 low, 2 medium, 3 high, 4 urgent: the number or the name.",
        }
    ),
]
"""How much a ticket presses, by number or by name."""
Whole = Annotated[int, Field(strict=True, ge=0, le=COUNT_MAX)]
"""A whole number that a column of 32 bits takes."""
Key = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
"""The id that a row of ours has."""
Place = Annotated[int, Field(strict=True, ge=1, le=COUNT_MAX)]
"""A position in a queue."""


class In(BaseModel):
    """The base of what comes in: a name that is not known is an error, for it would be lost."""

    model_config = ConfigDict(extra="forbid")


class SettingsIn(In):
    """A guild's settings."""

    log_channel_id: Id | None = None
    ticket_category_id: Id | None = None
    ticket_archive_category_id: Id | None = None
    auto_role_id: Id | None = None
    prefix: str = "!"
    features_enabled: str = Field("tickets,logger", description="Names, separated by commas.")


class TicketIn(In):
    """A ticket that is opened."""

    channel_id: Id
    user_id: Id
    title: str = Field(examples=["サーバーエラーについて"])
    description: str | None = None
    category: TicketCategory = TicketCategory.GENERAL
    priority: Priority = TicketPriority.MEDIUM
    assigned_to: Id | None = None
    created_at: datetime | None = Field(None, description="With its time zone. Unset: now.")


class TicketUpdateIn(In):
    """Columns of a ticket that are set; what is not given stays, null empties one that may be empty."""

    channel_id: Id | None = None
    user_id: Id | None = None
    assigned_to: Id | None = None
    category: TicketCategory | None = None
    priority: Priority | None = None
    status: TicketStatus | None = Field(
        None, description="`closed` and `archived` set `closed_at`; the others empty it."
    )
    title: str | None = None
    description: str | None = None


class TicketMessageIn(In):
    """A message in a ticket's channel."""

    user_id: Id
    message_id: Id = Field(
        0, description="Discord's id: sent twice, it is one message. 0 for what is no message there."
    )
    content: str
    is_system_message: bool = False
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")


class GuildLogIn(In):
    """Something that happened in a guild."""

    log_type: LogType
    action: str = Field(examples=["Message Deleted"])
    user_id: Id | None = None
    moderator_id: Id | None = None
    channel_id: Id | None = None
    details: Any = Field(
        None, description="Any JSON; a text that is JSON counts as such.", examples=[{"content": "Hello"}]
    )
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")
    request_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Your own name for it: sent twice, it is one log. As the header `Idempotency-Key`.",
    )


_LOG: TypeAdapter[GuildLogIn] = TypeAdapter(GuildLogIn)
_LOGS: TypeAdapter[list[GuildLogIn]] = TypeAdapter(Annotated[list[GuildLogIn], Field(max_length=LOGS_MAX)])


def _one_or_many(value: object, _: Callable[[object], object]) -> GuildLogIn | list[GuildLogIn]:
    """What is wrong is told once, of what was sent, and not of each thing that it might have been."""
    return _LOGS.validate_python(value) if isinstance(value, list) else _LOG.validate_python(value)


LogsIn = Annotated[GuildLogIn | list[GuildLogIn], WrapValidator(_one_or_many)]
"""One log, or several of which all are taken or none."""


class TrackIn(In):
    """A piece of music that somebody asked for."""

    title: str
    artist: str
    url: str
    duration: Whole = Field(description="Seconds.", examples=[212])
    requested_by: Id
    thumbnail_url: str | None = None
    source: MusicSource = MusicSource.YOUTUBE


class QueueIn(In):
    """A track that joins the queue."""

    track_id: Key
    added_by: Id
    position: Place | None = Field(None, description="1 is next. Unset: the end.")


class MoveIn(In):
    """Where an entry of a queue goes."""

    position: Place = Field(description="1 is next; beyond the end is the end.")


class SessionIn(In):
    """Where a guild listens."""

    voice_channel_id: Id
    text_channel_id: Id


class SessionUpdateIn(In):
    """What changes about what a guild listens to; what is not given stays."""

    is_paused: bool | None = None
    loop_mode: LoopMode | None = None
    current_track_id: Key | None = Field(None, description="Null: none plays.")


class AvatarIn(In):
    """A change of a user's avatar or banner."""

    user_id: Id
    history_type: AvatarHistoryType
    old_avatar_url: str | None = None
    new_avatar_url: str | None = None
    guild_id: Id | None = Field(None, description="Unset: everywhere.")
    dominant_color: str | None = Field(None, examples=["#ff0000"])
    image_format: str | None = Field(None, examples=["png"])
    image_size: Whole | None = Field(None, description="Bytes.")
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")
