"""The tables of a bot's ``kyrios.db``, and what each of them is in the ledger."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from daicho.core.model import Base
from daicho.guilds.models import (
    AvatarHistory,
    GuildSettings,
    Log,
    MusicSession,
    Queue,
    Ticket,
    TicketMessage,
    Track,
    UserAvatarStats,
)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of row of a bot's database.

    Attributes:
        model: what it is in the ledger.
        names: the names that the table may have there: the one of seed 004's indexes, SQLModel's own.
        needed: columns without which it is no such table. What else is missing, older bots did not have.
        lasting: columns that no operation changes. By them one sees whether a row that the ledger has
            already is the same.
        key: the column that tells rows apart: the number that others refer to a row by, or what there
            is one row of.
        parents: columns that refer to another kind's number.
        renumbers: whether a row whose number is another's gets another one; else it is refused, because
            people remember it by its number.
    """

    model: type[Base]
    names: tuple[str, ...]
    needed: tuple[str, ...]
    lasting: tuple[str, ...]
    key: str = "id"
    parents: dict[str, "Kind"] = field(default_factory=dict)
    renumbers: bool = False

    @property
    def table(self) -> Table:
        """The ledger's table."""
        return Base.metadata.tables[self.model.__tablename__]

    @property
    def order(self) -> tuple[str, ...]:
        """The columns in whose order rows are read: queues as they are played, all else by its key."""
        return ("guild_id", "position", "id") if self.model is Queue else (self.key,)

    @property
    def columns(self) -> list[str]:
        """The columns that a bot has too."""
        return [str(column.key) for column in self.table.columns if column.key != "request_id"]

    def name_of(self, row: dict[str, Any]) -> str:
        """How a row of the ledger is named to people: ``tickets 42``, ``music_sessions of 123``."""
        return f"{self.table.name} {'' if self.key == 'id' else 'of '}{row[self.key]}"


SETTINGS = Kind(
    GuildSettings, ("guild_settings", "guildsettings"), ("guild_id",), ("created_at",), key="guild_id"
)
TICKETS = Kind(Ticket, ("tickets", "ticket"), ("id", "guild_id", "user_id"), ("guild_id", "created_at"))
MESSAGES = Kind(
    TicketMessage,
    ("ticket_messages", "ticketmessages", "ticketmessage", "ticket_message"),
    ("id", "ticket_id", "user_id", "content"),
    ("ticket_id", "user_id", "message_id", "content", "timestamp"),
    parents={"ticket_id": TICKETS},
)
LOGS = Kind(
    Log,
    ("logs", "log"),
    ("id", "guild_id", "log_type"),
    (
        *("guild_id", "log_type", "user_id", "moderator_id", "channel_id"),
        *("action", "details", "timestamp"),
    ),
)
TRACKS = Kind(
    Track,
    ("tracks", "track"),
    ("id", "guild_id", "url"),
    ("guild_id", "url", "created_at"),
    renumbers=True,
)
QUEUES = Kind(
    Queue,
    ("queues", "queue"),
    ("id", "guild_id", "track_id"),
    ("guild_id", "track_id", "added_by", "created_at"),
    parents={"track_id": TRACKS},
    renumbers=True,
)
SESSIONS = Kind(
    MusicSession,
    ("music_sessions", "musicsessions", "musicsession", "music_session"),
    ("guild_id",),
    ("created_at",),
    key="guild_id",
    parents={"current_track_id": TRACKS},
)
STATISTICS = Kind(
    UserAvatarStats,
    ("user_avatar_stats", "useravatarstats"),
    ("user_id",),
    (),
    key="user_id",
)
HISTORIES = Kind(
    AvatarHistory,
    ("avatar_histories", "avatarhistories", "avatarhistory", "avatar_history"),
    ("id", "user_id", "history_type"),
    (
        *("user_id", "guild_id", "history_type", "old_avatar_url", "new_avatar_url"),
        *("dominant_color", "image_format", "image_size", "timestamp"),
    ),
)
KINDS = (SETTINGS, TICKETS, MESSAGES, LOGS, TRACKS, QUEUES, SESSIONS, STATISTICS, HISTORIES)
"""All of them, each after those that it refers to."""
