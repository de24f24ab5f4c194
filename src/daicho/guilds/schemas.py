"""What goes out of the guilds room. Discord ids go out as text: JavaScript's numbers would round them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from daicho.core.language import Text
from daicho.core.types import json_value
from daicho.guilds.enums import (
    AvatarHistoryType,
    LogType,
    LoopMode,
    MusicSource,
    TicketCategory,
    TicketPriority,
    TicketStatus,
)
from daicho.guilds.models import GuildSettings, Queue, Track

GUILD = Text("guild", "サーバー")
TICKET = Text("ticket", "チケット")
TRACK = Text("track", "曲")
AVATARS = Text("avatar history of user", "アバター履歴のあるユーザー")
Item = TypeVar("Item")

DiscordId = Annotated[
    str, BeforeValidator(str), Field(description="A Discord id, as text.", examples=["123456789012345678"])
]
MaybeId = Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))]


@dataclass(frozen=True, slots=True)
class GuildSummary:
    """A guild at a glance.

    Attributes:
        settings: the guild's own row.
        open_tickets, tickets_in_progress: how many there are.
        queued: entries in its music queue.
        playing: the track that plays, if one does.
        last_log_at: when something was last logged.
    """

    settings: GuildSettings
    open_tickets: int
    tickets_in_progress: int
    queued: int
    playing: Track | None
    last_log_at: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a music bot is to play now.

    Attributes:
        track: the track.
        entry: its queue entry as it stood; None where the track that played is played again.
    """

    track: Track
    entry: Queue | None


class Out(BaseModel):
    """The base of what goes out: read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class PageOut(Out, Generic[Item]):
    """Some items, and the cursor of the next ones."""

    items: list[Item]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class GuildOut(Out):
    """A guild's settings."""

    guild_id: DiscordId
    log_channel_id: MaybeId
    ticket_category_id: MaybeId
    ticket_archive_category_id: MaybeId
    auto_role_id: MaybeId
    prefix: str
    features_enabled: str = Field(description="Names, separated by commas.", examples=["tickets,logger"])
    created_at: datetime
    updated_at: datetime


class TicketOut(Out):
    """A ticket."""

    id: int
    guild_id: DiscordId
    channel_id: DiscordId
    user_id: DiscordId
    assigned_to: MaybeId
    category: TicketCategory
    priority: TicketPriority = Field(description="1 low, 2 medium, 3 high, 4 urgent.")
    status: TicketStatus
    created_at: datetime
    closed_at: datetime | None
    title: str
    description: str | None


class TicketPage(PageOut[TicketOut]):
    """Some tickets, newest first."""


class StatisticsOut(BaseModel):
    """How many tickets a guild has."""

    status_distribution: dict[TicketStatus, int]
    priority_distribution: dict[TicketPriority, int] = Field(description="By the priority's number.")
    total_tickets: int


class TicketMessageOut(Out):
    """A message in a ticket's channel."""

    id: int
    ticket_id: int
    user_id: DiscordId
    message_id: DiscordId
    content: str
    timestamp: datetime
    is_system_message: bool


class TicketMessagePage(PageOut[TicketMessageOut]):
    """Some of a ticket's messages."""


class GuildLogOut(Out):
    """Something that happened in a guild."""

    id: int
    guild_id: DiscordId
    log_type: LogType
    user_id: MaybeId
    moderator_id: MaybeId
    channel_id: MaybeId
    action: str
    details: Annotated[Any, BeforeValidator(json_value)] = Field(description="Any JSON.")
    timestamp: datetime


class GuildLogPage(PageOut[GuildLogOut]):
    """Some logs, latest first."""


class TrackOut(Out):
    """A track. `duration` is in seconds."""

    id: int
    guild_id: DiscordId
    title: str
    artist: str
    url: str
    source: MusicSource
    duration: int
    thumbnail_url: str | None
    requested_by: DiscordId
    created_at: datetime


class TrackPage(PageOut[TrackOut]):
    """Some tracks, newest first."""


class GuildSummaryOut(Out):
    """A guild at a glance."""

    settings: GuildOut
    open_tickets: int
    tickets_in_progress: int
    queued: int
    playing: TrackOut | None
    last_log_at: datetime | None


class GuildPage(PageOut[GuildSummaryOut]):
    """Some guilds, by id."""


class QueueOut(Out):
    """A track's place in a queue; 1 is next."""

    id: int
    guild_id: DiscordId
    position: int
    added_by: DiscordId
    created_at: datetime
    track: TrackOut


class EntryOut(Out):
    """A queue's entry as it stood."""

    id: int
    track_id: int
    position: int
    added_by: DiscordId
    created_at: datetime


class TakenOut(Out):
    """What is to be played now. `entry` is null where the track that played is played again."""

    track: TrackOut
    entry: EntryOut | None


class MusicSessionOut(Out):
    """What a guild listens to, and where."""

    guild_id: DiscordId
    voice_channel_id: DiscordId
    text_channel_id: DiscordId
    current_track_id: int | None
    is_paused: bool
    loop_mode: LoopMode
    created_at: datetime
    updated_at: datetime


class AvatarOut(Out):
    """A change of a user's avatar or banner. `image_size` is in bytes."""

    id: int
    user_id: DiscordId
    guild_id: MaybeId
    history_type: AvatarHistoryType
    old_avatar_url: str | None
    new_avatar_url: str | None
    dominant_color: str | None
    image_format: str | None
    image_size: int | None
    timestamp: datetime


class AvatarStatsOut(Out):
    """How often a user changes avatars."""

    user_id: DiscordId
    total_avatar_changes: int
    total_banner_changes: int
    first_seen: datetime
    last_avatar_change: datetime | None
    last_banner_change: datetime | None
    most_used_format: str | None
    average_change_frequency: float | None = Field(description="Days from one change to the next.")


class AvatarStatsPage(PageOut[AvatarStatsOut]):
    """The statistics of some users, by id."""


class AvatarUserOut(Out):
    """A user's statistics, and some of the changes behind them, latest first."""

    statistics: AvatarStatsOut
    items: list[AvatarOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")
