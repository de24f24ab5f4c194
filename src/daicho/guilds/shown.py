"""How guilds, tickets, logs, queues and avatars look in the terminal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from daicho.core.language import say
from daicho.core.terminal import Table, duration, local, printable, put
from daicho.guilds.enums import TicketPriority, TicketStatus
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
from daicho.guilds.schemas import GuildSummary
from daicho.guilds.titles import titled


def guild_table() -> Table:
    """The table of ``daicho guilds list``; rows by ``guild_row``."""
    return Table(
        say("GUILD", "サーバー"),
        say("OPEN", "未対応"),
        say("IN PROGRESS", "対応中"),
        say("QUEUED", "キュー"),
        say("PLAYING", "再生中"),
        say("LAST LOG", "最終ログ"),
        say("FEATURES", "機能"),
    )


def guild_row(guild: GuildSummary) -> Sequence[str]:
    """A guild's row in the table."""
    return (
        str(guild.settings.guild_id),
        f"{guild.open_tickets:,}",
        f"{guild.tickets_in_progress:,}",
        f"{guild.queued:,}",
        _song(guild.playing) if guild.playing else "",
        local(guild.last_log_at),
        guild.settings.features_enabled,
    )


def put_settings(settings: GuildSettings) -> None:
    """Write a guild's settings, a line each, by the names that ``--set`` takes."""
    facts = Table("", "")
    facts.add(
        (name, local(value) if hasattr(value, "astimezone") else _or_dash(value))
        for name, value in settings.values().items()
        if name != "id"
    )


# -- tickets -----------------------------------------------------------------------------------------


def ticket_table() -> Table:
    """The table of ``daicho guilds tickets``; rows by ``ticket_row``."""
    return Table(
        say("ID", "番号"),
        say("GUILD", "サーバー"),
        say("STATUS", "状態"),
        say("PRIORITY", "優先度"),
        say("CATEGORY", "カテゴリ"),
        say("USER", "ユーザー"),
        say("ASSIGNED", "担当"),
        say("OPENED", "作成"),
        say("CLOSED", "終了"),
        say("TITLE", "件名"),
    )


def ticket_row(ticket: Ticket) -> Sequence[str]:
    """A ticket's row in the table."""
    return (
        str(ticket.id),
        str(ticket.guild_id),
        ticket.status,
        ticket.priority.name.lower(),
        ticket.category,
        str(ticket.user_id),
        _or_nothing(ticket.assigned_to),
        local(ticket.created_at),
        local(ticket.closed_at),
        titled(ticket.title),
    )


def put_ticket(ticket: Ticket) -> None:
    """Write what is known of a ticket, a line each, and its description."""
    facts = Table("", "")
    facts.add(
        [
            (say("ticket", "チケット"), str(ticket.id)),
            (say("title", "件名"), titled(ticket.title)),
            (say("status", "状態"), ticket.status),
            (say("priority", "優先度"), ticket.priority.name.lower()),
            (say("category", "カテゴリ"), ticket.category),
            (say("guild", "サーバー"), str(ticket.guild_id)),
            (say("channel", "チャンネル"), str(ticket.channel_id)),
            (say("user", "ユーザー"), str(ticket.user_id)),
            (say("assigned to", "担当"), _or_dash(ticket.assigned_to)),
            (say("opened", "作成"), local(ticket.created_at)),
            (say("closed", "終了"), local(ticket.closed_at) or "-"),
        ]
    )
    if ticket.description:
        put("")
        for line in ticket.description.splitlines():
            put(printable(line))


def message_table() -> Table:
    """The table of a ticket's messages; rows by ``message_row``."""
    return Table(say("TIME", "時刻"), say("USER", "ユーザー"), say("MESSAGE", "内容"))


def message_row(message: TicketMessage) -> Sequence[str]:
    """A message's row in the table."""
    who = say("(system)", "(システム)") if message.is_system_message else str(message.user_id)
    return local(message.timestamp), who, message.content


def put_statistics(
    statuses: Mapping[TicketStatus, int], priorities: Mapping[TicketPriority, int], total: int
) -> None:
    """Write how many tickets there are, by status and by priority."""
    counts = Table("", "")
    counts.add((status.value, f"{statuses.get(status, 0):,}") for status in TicketStatus)
    put("")
    counts.add((one.name.lower(), f"{priorities.get(one, 0):,}") for one in TicketPriority)
    put("")
    counts.add([(say("total", "合計"), f"{total:,}")])


# -- logs --------------------------------------------------------------------------------------------


def log_table() -> Table:
    """The table of ``daicho guilds logs``; rows by ``log_row``."""
    return Table(
        say("TIME", "時刻"),
        say("GUILD", "サーバー"),
        say("TYPE", "種類"),
        say("USER", "ユーザー"),
        say("MODERATOR", "実行者"),
        say("CHANNEL", "チャンネル"),
        say("ACTION", "内容"),
        say("DETAILS", "詳細"),
    )


def log_row(log: Log) -> Sequence[str]:
    """A log's row in the table."""
    return (
        local(log.timestamp),
        str(log.guild_id),
        log.log_type,
        _or_nothing(log.user_id),
        _or_nothing(log.moderator_id),
        _or_nothing(log.channel_id),
        log.action,
        log.details or "",
    )


# -- music -------------------------------------------------------------------------------------------


def put_session(session: MusicSession | None, playing: Track | None) -> None:
    """Write what a guild listens to, a line each."""
    if session is None:
        put(say("no music session", "音楽セッションはありません"))
        return
    yes, no = say("yes", "はい"), say("no", "いいえ")
    facts = Table("", "")
    facts.add(
        [
            (say("playing", "再生中"), _song(playing) if playing else "-"),
            (say("paused", "一時停止"), yes if session.is_paused else no),
            (say("loop mode", "ループ"), session.loop_mode),
            (say("voice channel", "ボイスチャンネル"), str(session.voice_channel_id)),
            (say("text channel", "テキストチャンネル"), str(session.text_channel_id)),
        ]
    )


def queue_table() -> Table:
    """The table of ``daicho guilds queue``; rows by ``queue_row``."""
    return Table(
        say("NO", "順番"),
        say("TITLE", "曲名"),
        say("ARTIST", "アーティスト"),
        say("LENGTH", "長さ"),
        say("ADDED BY", "追加者"),
        say("ENTRY", "項目"),
        say("URL", "URL"),
    )


def queue_row(entry: Queue) -> Sequence[str]:
    """A queue entry's row in the table."""
    return (
        str(entry.position),
        entry.track.title,
        entry.track.artist,
        duration(timedelta(seconds=entry.track.duration)),
        str(entry.added_by),
        str(entry.id),
        entry.track.url,
    )


# -- avatars -----------------------------------------------------------------------------------------


def put_avatar_statistics(stats: UserAvatarStats) -> None:
    """Write how often a user changes avatars, a line each."""
    every = stats.average_change_frequency
    facts = Table("", "")
    facts.add(
        [
            (say("user", "ユーザー"), str(stats.user_id)),
            (say("avatar changes", "アバター変更"), f"{stats.total_avatar_changes:,}"),
            (say("banner changes", "バナー変更"), f"{stats.total_banner_changes:,}"),
            (say("first seen", "初回"), local(stats.first_seen)),
            (say("last avatar", "最終アバター変更"), local(stats.last_avatar_change) or "-"),
            (say("last banner", "最終バナー変更"), local(stats.last_banner_change) or "-"),
            (say("format", "形式"), stats.most_used_format or "-"),
            (
                say("changes every", "変更間隔"),
                "-" if every is None else say(f"{every:,.1f} days", f"{every:,.1f} 日"),
            ),
        ]
    )


def avatar_table() -> Table:
    """The table of a user's changes; rows by ``avatar_row``."""
    return Table(
        say("TIME", "時刻"),
        say("TYPE", "種類"),
        say("GUILD", "サーバー"),
        say("FORMAT", "形式"),
        say("BYTES", "バイト"),
        say("COLOUR", "色"),
        say("NEW", "変更後"),
    )


def avatar_row(change: AvatarHistory) -> Sequence[str]:
    """A change's row in the table."""
    return (
        local(change.timestamp),
        change.history_type,
        _or_nothing(change.guild_id),
        change.image_format or "",
        "" if change.image_size is None else f"{change.image_size:,}",
        change.dominant_color or "",
        change.new_avatar_url or "",
    )


def _song(track: Track) -> str:
    return f"{track.title} / {track.artist}"


def _or_nothing(value: object) -> str:
    return "" if value is None else str(value)


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
