"""How guilds look on the console: their words, and the small things that many of their pages show.

Discord ids stand on pages as text, and come back as text: JavaScript's numbers would round them.
"""

import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Generic, TypeVar

from daicho.core.elements import Chip, set_attribute, words
from daicho.core.errors import Invalid
from daicho.core.language import Text, say
from daicho.core.one_page import Missing
from daicho.core.types import SNOWFLAKE_MAX, snowflake
from daicho.guilds.enums import (
    AvatarHistoryType,
    LogType,
    LoopMode,
    MusicSource,
    TicketCategory,
    TicketPriority,
    TicketStatus,
)
from daicho.guilds.mention import copied_id

V = TypeVar("V", bound=Enum)
K = TypeVar("K", bound=StrEnum)

STATUSES: Mapping[TicketStatus, Text] = {
    TicketStatus.OPEN: Text("Open", "未対応"),
    TicketStatus.IN_PROGRESS: Text("In progress", "対応中"),
    TicketStatus.CLOSED: Text("Closed", "完了"),
    TicketStatus.ARCHIVED: Text("Archived", "保管済み"),
}
STATUS_COLOURS: Mapping[TicketStatus, str] = {
    TicketStatus.OPEN: "d-waits",
    TicketStatus.IN_PROGRESS: "d-live",
    TicketStatus.CLOSED: "d-done",
    TicketStatus.ARCHIVED: "d-halted",
}
PRIORITIES: Mapping[TicketPriority, Text] = {
    TicketPriority.LOW: Text("Low", "低"),
    TicketPriority.MEDIUM: Text("Medium", "中"),
    TicketPriority.HIGH: Text("High", "高"),
    TicketPriority.URGENT: Text("Urgent", "緊急"),
}
PRIORITY_COLOURS: Mapping[TicketPriority, str] = {
    TicketPriority.LOW: "d-low",
    TicketPriority.MEDIUM: "",
    TicketPriority.HIGH: "d-warn d-high",
    TicketPriority.URGENT: "d-urgent",
}
CATEGORIES: Mapping[TicketCategory, Text] = {
    TicketCategory.TECHNICAL: Text("Technical", "技術"),
    TicketCategory.MODERATION: Text("Moderation", "モデレーション"),
    TicketCategory.GENERAL: Text("General", "一般"),
    TicketCategory.OTHER: Text("Other", "その他"),
}
LOG_TYPES: Mapping[LogType, Text] = {
    LogType.MESSAGE_DELETE: Text("Message deleted", "メッセージ削除"),
    LogType.MESSAGE_EDIT: Text("Message edited", "メッセージ編集"),
    LogType.MEMBER_JOIN: Text("Member joined", "メンバー参加"),
    LogType.MEMBER_LEAVE: Text("Member left", "メンバー退出"),
    LogType.MEMBER_BAN: Text("Member banned", "メンバー BAN"),
    LogType.MEMBER_UNBAN: Text("Ban lifted", "BAN 解除"),
    LogType.MEMBER_KICK: Text("Member kicked", "メンバーのキック"),
    LogType.MEMBER_TIMEOUT: Text("Member timed out", "タイムアウト"),
    LogType.ROLE_ADD: Text("Role given", "ロール付与"),
    LogType.ROLE_REMOVE: Text("Role taken", "ロール解除"),
    LogType.CHANNEL_CREATE: Text("Channel created", "チャンネル作成"),
    LogType.CHANNEL_DELETE: Text("Channel deleted", "チャンネル削除"),
    LogType.SYSTEM_EVENT: Text("System", "システム"),
}
AVATAR_TYPES: Mapping[AvatarHistoryType, Text] = {
    AvatarHistoryType.AVATAR_CHANGE: Text("Avatar", "アバター"),
    AvatarHistoryType.BANNER_CHANGE: Text("Banner", "バナー"),
    AvatarHistoryType.SERVER_AVATAR_CHANGE: Text("Server avatar", "サーバー用アバター"),
}
LOOPS: Mapping[LoopMode, Text] = {
    LoopMode.NONE: Text("No loop", "ループなし"),
    LoopMode.TRACK: Text("Loops the track", "1 曲ループ"),
    LoopMode.QUEUE: Text("Loops the queue", "キューをループ"),
}
SOURCES: Mapping[MusicSource, str] = {
    MusicSource.YOUTUBE: "YouTube",
    MusicSource.SPOTIFY: "Spotify",
    MusicSource.SOUNDCLOUD: "SoundCloud",
    MusicSource.URL: "URL",
}
LINKED = re.compile(r"https://[^\s\x00-\x1f\x7f\\]{1,4000}")
"""Only such an address becomes a link: a record may hold any text."""
SHORT = 300
"""Characters of a text that stands on a few lines: a browser takes seconds to lay out 100,000."""


# -- addresses and ids -------------------------------------------------------------------------------


def guild_address(guild_id: int, part: str = "") -> str:
    """The address of a guild's page, or of a part of it: ``logs``."""
    return f"/guilds/{guild_id}/{part}" if part else f"/guilds/{guild_id}"


def ticket_address(ticket_id: object) -> str:
    """The address of a ticket's page."""
    return f"/guilds/tickets/{ticket_id}"


def missing(said: str, given: str) -> Missing:
    """What the page of one thing says where there is none; ``given`` is what its address names."""
    return Missing(said, given, say("To all guilds", "サーバー一覧へ"), "/guilds")


def number_in(text: str) -> int | None:
    """Return the id that an address names; None if it is no number that an id could be."""
    number = int(text) if re.fullmatch("[0-9]{1,19}", text) else SNOWFLAKE_MAX + 1
    return number if number <= SNOWFLAKE_MAX else None


def typed_id(text: str) -> int | None:
    """Return the Discord id that a reader has typed or pasted; None for an empty text.

    Raises Invalid for what is none.
    """
    if not text:
        return None
    number = copied_id(text)
    if number is None:
        raise Invalid(
            f"{text[:40]!r} is no Discord id: a whole number is wanted",
            f"{text[:40]!r} は Discord の ID ではありません。数字で入力してください",
        )
    return snowflake("ID", number)


def options(texts: Mapping[K, Text]) -> list[tuple[str, str]]:
    """What a filter offers of an enum kept as text: all, and each of its values."""
    return [("", say("All", "すべて")), *((str(kind), str(text)) for kind, text in texts.items())]


def shortened(text: str) -> str:
    """Return a text, or its beginning if it is long."""
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


# -- small things ------------------------------------------------------------------------------------


class ValueChip(Generic[V]):
    """A label for a value of an enum.

    Args:
        texts: what each value is called.
        colours: the classes of each value.
        role: what it is to those who do not see it; a ``status`` is read out when it changes.
    """

    def __init__(self, texts: Mapping[V, Text], colours: Mapping[V, str], role: str | None = None) -> None:
        self._texts, self._colours = texts, colours
        self._chip = Chip("", "")
        set_attribute(self._chip.root, "role", role)
        self._value: V | None = None

    def take(self, value: V) -> None:
        """Show a value."""
        if value is not self._value:
            self._value = value
            self._chip.root.classes(replace=f"d-chip {self._colours.get(value, '')}")
            self._chip.name(str(self._texts.get(value, value.value)))


def status_chip() -> ValueChip[TicketStatus]:
    """Add a label that says how far a ticket is."""
    return ValueChip(STATUSES, STATUS_COLOURS, "status")


def priority_chip() -> ValueChip[TicketPriority]:
    """Add a label that says how much a ticket presses."""
    return ValueChip(PRIORITIES, PRIORITY_COLOURS)


class Address:
    """A web address from a record: its text, and a link where it is https. Nothing is loaded from it."""

    def __init__(self, classes: str = "") -> None:
        self._link = words("", f"d-url {classes}", "a", target="_blank", rel="noopener noreferrer")

    def take(self, address: str | None) -> None:
        """Show an address; a dash for None."""
        linked = LINKED.fullmatch(address or "")
        self._link.set_text(shortened(address or "–"))
        set_attribute(self._link, "href", address if linked else None)
        set_attribute(self._link, "title", address and shortened(address))
        self._link.classes(**{"add" if linked else "remove": "d-link"})


def clock(seconds: int) -> str:
    """How long music plays.

    >>> [clock(length) for length in (7, 212, 3_605, 90_000)]
    ['0:07', '3:32', '1:00:05', '25:00:00']
    """
    hours, rest = divmod(max(seconds, 0), 3600)
    minutes, over = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{over:02}" if hours else f"{minutes}:{over:02}"
