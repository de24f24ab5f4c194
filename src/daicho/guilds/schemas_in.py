"""What comes into the guilds room as JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)

from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.model import Base
from daicho.guilds.enums import (
    AvatarHistoryType,
    LogType,
    LoopMode,
    MusicSource,
    TicketCategory,
    TicketPriority,
    TicketStatus,
)
from daicho.guilds.models import (
    AvatarHistory,
    GuildSettings,
    Log,
    MusicSession,
    Queue,
    Ticket,
    TicketMessage,
    Track,
)
from daicho.guilds.schemas_ids import Id, wrong

COUNT_MAX = 2**31 - 1
LOGS_MAX = 10_000
"""Logs that one request may bring."""


def _not_given() -> Any:
    """Stands where nothing was given and null cannot be; who reads only what is set never meets it."""
    return None


def _priority(value: object) -> object:
    """A priority's name stands for its number; True does not."""
    if isinstance(value, str) and value.upper() in TicketPriority.__members__:
        return TicketPriority[value.upper()]
    return str(value) if isinstance(value, bool) else value


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
    """The base of what comes in: a name that is not known is an error, for it would be lost.

    Each value is also checked as its column will check it, so that this too is told with its place.
    """

    model_config = ConfigDict(extra="forbid")
    table: ClassVar[type[Base]]

    @field_validator("*")
    @classmethod
    def _fits_its_column(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name)
        try:
            cls.table.row(**{name: value})
        except DaichoError as error:  # its place stands before it already
            raise wrong(Text(*(text.removeprefix(f"{name}: ") for text in error.message))) from None
        return value


class SettingsIn(In):
    """A guild's settings."""

    table = GuildSettings

    log_channel_id: Id | None = None
    ticket_category_id: Id | None = None
    ticket_archive_category_id: Id | None = None
    auto_role_id: Id | None = None
    prefix: str = "!"
    features_enabled: str = Field("tickets,logger", description="Names, separated by commas.")


class TicketIn(In):
    """A ticket that is opened."""

    table = Ticket

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

    table = Ticket

    channel_id: Id = Field(default_factory=_not_given)
    user_id: Id = Field(default_factory=_not_given)
    assigned_to: Id | None = None
    category: TicketCategory = Field(default_factory=_not_given)
    priority: Priority = Field(default_factory=_not_given)
    status: TicketStatus = Field(
        default_factory=_not_given,
        description="`closed` and `archived` set `closed_at`; the others empty it.",
    )
    title: str = Field(default_factory=_not_given)
    description: str | None = None


class TicketMessageIn(In):
    """A message in a ticket's channel."""

    table = TicketMessage

    user_id: Id
    message_id: Id = Field(
        0, description="Discord's id: sent twice, it is one message. 0 for what is no message there."
    )
    content: str
    is_system_message: bool = False
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")


class GuildLogIn(In):
    """Something that happened in a guild."""

    table = Log

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
Many = Annotated[list[GuildLogIn], Field(max_length=LOGS_MAX)]
_LOGS: TypeAdapter[list[GuildLogIn]] = TypeAdapter(Many)


def _one_or_many(value: object, _: Callable[[object], object]) -> GuildLogIn | list[GuildLogIn]:
    """What is wrong is told once, of what was sent, and not of each thing that it might have been."""
    return _LOGS.validate_python(value) if isinstance(value, list) else _LOG.validate_python(value)


LogsIn = Annotated[GuildLogIn | Many, WrapValidator(_one_or_many)]
"""One log, or several of which all are taken or none."""


class TrackIn(In):
    """A piece of music that somebody asked for."""

    table = Track

    title: str
    artist: str
    url: str
    duration: Whole = Field(description="Seconds.", examples=[212])
    requested_by: Id
    thumbnail_url: str | None = None
    source: MusicSource = MusicSource.YOUTUBE


class QueueIn(In):
    """A track that joins the queue."""

    table = Queue

    track_id: Key
    added_by: Id
    position: Place | None = Field(None, description="1 is next. Unset: the end.")


class MoveIn(In):
    """Where an entry of a queue goes."""

    table = Queue

    position: Place = Field(description="1 is next; beyond the end is the end.")


class SessionIn(In):
    """Where a guild listens."""

    table = MusicSession

    voice_channel_id: Id
    text_channel_id: Id


class SessionUpdateIn(In):
    """What changes about what a guild listens to; what is not given stays."""

    table = MusicSession

    is_paused: bool = Field(default_factory=_not_given, examples=[True])
    loop_mode: LoopMode = Field(default_factory=_not_given, examples=["queue"])
    current_track_id: Key | None = Field(None, description="Null: none plays.", examples=[1])


class AvatarIn(In):
    """A change of a user's avatar or banner."""

    table = AvatarHistory

    user_id: Id
    history_type: AvatarHistoryType
    old_avatar_url: str | None = None
    new_avatar_url: str | None = None
    guild_id: Id | None = Field(None, description="Unset: everywhere.")
    dominant_color: str | None = Field(None, examples=["#ff0000"])
    image_format: str | None = Field(None, examples=["png"])
    image_size: Whole | None = Field(None, description="Bytes.")
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")
