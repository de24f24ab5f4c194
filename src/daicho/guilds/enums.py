"""The enums of seed 004. They are kept in the database by their values."""

from enum import Enum, IntEnum, StrEnum


class TicketStatus(StrEnum):
    """How far a ticket is."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"
    ARCHIVED = "archived"


class TicketCategory(StrEnum):
    """What a ticket is about."""

    TECHNICAL = "technical"
    MODERATION = "moderation"
    GENERAL = "general"
    OTHER = "other"


class TicketPriority(IntEnum):
    """How much a ticket presses."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    URGENT = 4


class LogType(StrEnum):
    """What kind of thing happened."""

    MESSAGE_DELETE = "message_delete"
    MESSAGE_EDIT = "message_edit"
    MEMBER_JOIN = "member_join"
    MEMBER_LEAVE = "member_leave"
    MEMBER_BAN = "member_ban"
    MEMBER_UNBAN = "member_unban"
    MEMBER_KICK = "member_kick"
    MEMBER_TIMEOUT = "member_timeout"
    ROLE_ADD = "role_add"
    ROLE_REMOVE = "role_remove"
    CHANNEL_CREATE = "channel_create"
    CHANNEL_DELETE = "channel_delete"
    SYSTEM_EVENT = "system_event"


class AvatarHistoryType(StrEnum):
    """What a user changed. A server avatar is the one that a user has in one guild."""

    AVATAR_CHANGE = "avatar_change"
    BANNER_CHANGE = "banner_change"
    SERVER_AVATAR_CHANGE = "server_avatar_change"


class MusicSource(StrEnum):
    """Where a track comes from."""

    YOUTUBE = "youtube"
    SPOTIFY = "spotify"
    SOUNDCLOUD = "soundcloud"
    URL = "url"


class LoopMode(StrEnum):
    """What is played again when a track has ended: nothing, the track, the whole queue."""

    NONE = "none"
    TRACK = "track"
    QUEUE = "queue"


ENDED = (TicketStatus.CLOSED, TicketStatus.ARCHIVED)
"""The statuses of a ticket that nobody works on any more."""


def values_check(column: str, kind: type[Enum]) -> str:
    """The SQL condition that a column holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(member.value) for member in kind)})"
