"""The nine tables of seed 004, and what Daicho adds to them.

A guild is its row of ``guild_settings``. The database itself adds that row, with the defaults, before the
first ticket, log, track, queue entry or music session of a guild not seen before, and a row of
``user_avatar_stats`` before a user's first avatar change: whoever writes, the foreign keys hold.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daicho.core.types import JsonText, Key, OneOf, Snowflake, now
from daicho.guilds.defaults import WithDefaults
from daicho.guilds.enums import (
    AvatarHistoryType,
    LogType,
    LoopMode,
    MusicSource,
    TicketCategory,
    TicketPriority,
    TicketStatus,
    values_check,
)

GUILD = "guild_settings.guild_id"
NUMBERS_ONCE = {"sqlite_autoincrement": True}
"""The number of a row that is gone is never another's, on SQLite too: people and programs remember it."""
REQUESTED = text("request_id IS NOT NULL")


def _once(table: str, *columns: str) -> Index:
    """The index by which what is sent a second time is there already."""
    return Index(
        f"uq_{table}_{'_'.join(columns)}_request_id",
        *columns,
        "request_id",
        unique=True,
        sqlite_where=REQUESTED,
        postgresql_where=REQUESTED,
    )


class GuildSettings(WithDefaults):
    """A guild and its settings. ``features_enabled`` is a list of names, separated by commas."""

    __tablename__ = "guild_settings"
    __table_args__ = (Index("idx_guild_settings_guild", "guild_id", unique=True),)

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake)
    log_channel_id: Mapped[int | None] = mapped_column(Snowflake)
    ticket_category_id: Mapped[int | None] = mapped_column(Snowflake)
    ticket_archive_category_id: Mapped[int | None] = mapped_column(Snowflake)
    auto_role_id: Mapped[int | None] = mapped_column(Snowflake)
    prefix: Mapped[str] = mapped_column(Text, default="!")
    features_enabled: Mapped[str] = mapped_column(Text, default="tickets,logger")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class Ticket(WithDefaults):
    """What a member of a guild asks for help with. ``request_id`` is the caller's own name for it."""

    __tablename__ = "tickets"
    __table_args__ = (
        Index("idx_ticket_guild_status", "guild_id", "status"),
        Index("idx_ticket_user", "guild_id", "user_id"),
        Index("ix_tickets_guild_id_created_at_id", "guild_id", "created_at", "id"),
        Index(
            "ix_tickets_open",
            "created_at",
            "id",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        _once("tickets", "guild_id"),
        CheckConstraint(values_check("category", TicketCategory), name="category"),
        CheckConstraint(values_check("priority", TicketPriority), name="priority"),
        CheckConstraint(values_check("status", TicketStatus), name="status"),
        NUMBERS_ONCE,
    )

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake, ForeignKey(GUILD))
    channel_id: Mapped[int] = mapped_column(Snowflake)
    user_id: Mapped[int] = mapped_column(Snowflake)
    assigned_to: Mapped[int | None] = mapped_column(Snowflake)
    category: Mapped[TicketCategory] = mapped_column(OneOf(TicketCategory), default=TicketCategory.GENERAL)
    priority: Mapped[TicketPriority] = mapped_column(OneOf(TicketPriority), default=TicketPriority.MEDIUM)
    status: Mapped[TicketStatus] = mapped_column(OneOf(TicketStatus), default=TicketStatus.OPEN)
    created_at: Mapped[datetime] = mapped_column(default=now)
    closed_at: Mapped[datetime | None]
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))


class TicketMessage(WithDefaults):
    """A message in a ticket's channel. A Discord message (``message_id`` other than 0) is there once."""

    __tablename__ = "ticket_messages"
    __table_args__ = (
        Index("ix_ticket_messages_ticket_id_timestamp_id", "ticket_id", "timestamp", "id"),
        Index(
            "uq_ticket_messages_ticket_id_message_id",
            "ticket_id",
            "message_id",
            unique=True,
            sqlite_where=text("message_id <> 0"),
            postgresql_where=text("message_id <> 0"),
        ),
    )

    id: Mapped[Key]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tickets.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(Snowflake)
    message_id: Mapped[int] = mapped_column(Snowflake)
    content: Mapped[str] = mapped_column(Text)
    timestamp: Mapped[datetime] = mapped_column(default=now)
    is_system_message: Mapped[bool] = mapped_column(default=False)


class Log(WithDefaults):
    """Something that happened in a guild. ``details`` is JSON as text."""

    __tablename__ = "logs"
    __table_args__ = (
        Index("idx_log_guild_type", "guild_id", "log_type"),
        Index("idx_log_timestamp", "timestamp"),
        Index("ix_logs_guild_id_timestamp_id", "guild_id", "timestamp", "id"),
        Index("ix_logs_guild_id_log_type_timestamp_id", "guild_id", "log_type", "timestamp", "id"),
        Index(
            "ix_logs_guild_id_user_id_timestamp_id",
            "guild_id",
            "user_id",
            "timestamp",
            "id",
            sqlite_where=text("user_id IS NOT NULL"),
            postgresql_where=text("user_id IS NOT NULL"),
        ),
        Index(
            "ix_logs_guild_id_channel_id_timestamp_id",
            "guild_id",
            "channel_id",
            "timestamp",
            "id",
            sqlite_where=text("channel_id IS NOT NULL"),
            postgresql_where=text("channel_id IS NOT NULL"),
        ),
        _once("logs", "guild_id"),
        CheckConstraint(values_check("log_type", LogType), name="log_type"),
    )

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake, ForeignKey(GUILD))
    log_type: Mapped[LogType] = mapped_column(OneOf(LogType))
    user_id: Mapped[int | None] = mapped_column(Snowflake)
    moderator_id: Mapped[int | None] = mapped_column(Snowflake)
    channel_id: Mapped[int | None] = mapped_column(Snowflake)
    action: Mapped[str] = mapped_column(Text)
    details: Mapped[str | None] = mapped_column(JsonText)
    timestamp: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str | None] = mapped_column(String(64))


class Track(WithDefaults):
    """A piece of music that somebody asked for. ``duration`` is in seconds."""

    __tablename__ = "tracks"
    __table_args__ = (
        Index("idx_track_guild", "guild_id"),
        Index("idx_track_source", "source"),
        CheckConstraint(values_check("source", MusicSource), name="source"),
        NUMBERS_ONCE,
    )

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake, ForeignKey(GUILD))
    title: Mapped[str] = mapped_column(Text)
    artist: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    source: Mapped[MusicSource] = mapped_column(OneOf(MusicSource), default=MusicSource.YOUTUBE)
    duration: Mapped[int]
    thumbnail_url: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Queue(WithDefaults):
    """A track's place in a guild's queue: 1 is next, and no number is left out."""

    __tablename__ = "queues"
    __table_args__ = (
        Index("idx_queue_guild_position", "guild_id", "position"),
        Index("idx_queue_track", "track_id"),
        _once("queues", "guild_id"),
        NUMBERS_ONCE,
    )

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake, ForeignKey(GUILD))
    track_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tracks.id", ondelete="CASCADE"))
    position: Mapped[int]
    added_by: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str | None] = mapped_column(String(64))

    track: Mapped[Track] = relationship(lazy="raise_on_sql", viewonly=True)


class MusicSession(WithDefaults):
    """What a guild listens to, and where. ``current_track_id`` is the track that plays."""

    __tablename__ = "music_sessions"
    __table_args__ = (
        Index("idx_music_session_guild", "guild_id", unique=True),
        Index("ix_music_sessions_current_track_id", "current_track_id"),
        CheckConstraint(values_check("loop_mode", LoopMode), name="loop_mode"),
    )

    id: Mapped[Key]
    guild_id: Mapped[int] = mapped_column(Snowflake, ForeignKey(GUILD))
    voice_channel_id: Mapped[int] = mapped_column(Snowflake)
    text_channel_id: Mapped[int] = mapped_column(Snowflake)
    current_track_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("tracks.id", ondelete="SET NULL")
    )
    is_paused: Mapped[bool] = mapped_column(default=False)
    loop_mode: Mapped[LoopMode] = mapped_column(OneOf(LoopMode), default=LoopMode.NONE)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class UserAvatarStats(WithDefaults):
    """How often a user changes avatars. ``average_change_frequency`` is in days from one to the next."""

    __tablename__ = "user_avatar_stats"
    __table_args__ = (Index("idx_avatar_stats_user", "user_id", unique=True),)

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(Snowflake)
    total_avatar_changes: Mapped[int] = mapped_column(default=0)
    total_banner_changes: Mapped[int] = mapped_column(default=0)
    first_seen: Mapped[datetime] = mapped_column(default=now)
    last_avatar_change: Mapped[datetime | None]
    last_banner_change: Mapped[datetime | None]
    most_used_format: Mapped[str | None] = mapped_column(Text)
    average_change_frequency: Mapped[float | None] = mapped_column(Float)


class AvatarHistory(WithDefaults):
    """A change of a user's avatar or banner; of the avatar in one guild, if ``guild_id`` is given."""

    __tablename__ = "avatar_histories"
    __table_args__ = (
        Index("idx_avatar_history_user", "user_id"),
        Index("idx_avatar_history_type", "history_type"),
        Index("idx_avatar_history_timestamp", "timestamp"),
        Index("ix_avatar_histories_user_id_timestamp_id", "user_id", "timestamp", "id"),
        _once("avatar_histories", "user_id"),
        CheckConstraint(values_check("history_type", AvatarHistoryType), name="history_type"),
    )

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(Snowflake, ForeignKey("user_avatar_stats.user_id"))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    history_type: Mapped[AvatarHistoryType] = mapped_column(OneOf(AvatarHistoryType))
    old_avatar_url: Mapped[str | None] = mapped_column(Text)
    new_avatar_url: Mapped[str | None] = mapped_column(Text)
    dominant_color: Mapped[str | None] = mapped_column(Text)
    image_format: Mapped[str | None] = mapped_column(Text)
    image_size: Mapped[int | None]
    timestamp: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str | None] = mapped_column(String(64))
