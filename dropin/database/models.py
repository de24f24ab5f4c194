"""Every model and enum of the bot (seed 004, データモデル設計)."""

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
    UserAvatarStats,
)

__all__ = [
    "AvatarHistory",
    "AvatarHistoryType",
    "GuildSettings",
    "Log",
    "LogType",
    "LoopMode",
    "MusicSession",
    "MusicSource",
    "Queue",
    "Ticket",
    "TicketCategory",
    "TicketMessage",
    "TicketPriority",
    "TicketStatus",
    "Track",
    "UserAvatarStats",
]
