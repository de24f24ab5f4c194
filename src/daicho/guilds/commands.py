"""``daicho guilds``: what a Discord bot keeps of its guilds, in the terminal.

Reading stands here; changing in ``commands_change``, an old bot's database in ``commands_adopt``.
"""

from functools import partial
from typing import Annotated

import typer

from daicho.core.errors import NotFound
from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Since, Until, note_more, pages, put_list
from daicho.core.terminal import put, put_json
from daicho.guilds import commands_adopt, commands_change, shown
from daicho.guilds.models import AvatarHistory
from daicho.guilds.needs import GuildLedger
from daicho.guilds.options import (
    Category,
    ChangeType,
    GuildId,
    OfAssignee,
    OfChannel,
    OfGuild,
    OfModerator,
    OfUser,
    OneGuild,
    Priority,
    Status,
    TicketId,
    Type,
    UserId,
    terminal_of,
)
from daicho.guilds.schemas import (
    AVATARS,
    GUILD,
    TICKET,
    AvatarOut,
    AvatarStatsOut,
    AvatarUserOut,
    GuildLogOut,
    GuildSummaryOut,
    MusicSessionOut,
    Out,
    QueueOut,
    StatisticsOut,
    TicketMessageOut,
    TicketOut,
    TrackOut,
)

app = typer.Typer(
    help=say(
        "Discord guilds: tickets, logs, music, avatars.", "Discord サーバー: チケット、ログ、音楽、アバター。"
    ),
    no_args_is_help=True,
)


class TicketWithMessages(TicketOut):
    """What ``ticket --json`` writes."""

    messages: list[TicketMessageOut]


class Listening(Out):
    """The first line that ``queue --json`` writes: what is listened to; an entry a line follows."""

    session: MusicSessionOut | None
    playing: TrackOut | None


@app.command("list", help=say("List guilds by id, each at a glance.", "サーバーを ID 順に一覧する。"))
def list_(
    context: typer.Context,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        found = pages(ledger.guilds.list_guilds, None if every else limit, cursor)
        put_list(found, shown.guild_table(), shown.guild_row, GuildSummaryOut.model_validate, json=json)


@app.command(help=say("List tickets, newest first.", "チケットを新しい順に一覧する。"))
def tickets(
    context: typer.Context,
    guild: OneGuild = None,
    status: Status = None,
    category: Category = None,
    priority: Priority = None,
    user: OfUser = None,
    assigned: OfAssignee = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        if guild is not None:
            _check_there(ledger, guild)
        read = partial(
            ledger.guilds.list_tickets,
            guild,
            status=status or None,
            category=category,
            priority=priority,
            user_id=user,
            assigned_to=assigned,
            since=since,
            until=until,
        )
        found = pages(read, None if every else limit, cursor)
        put_list(found, shown.ticket_table(), shown.ticket_row, TicketOut.model_validate, json=json)


@app.command(help=say("Show a ticket and what was written in it.", "チケットとその会話を表示する。"))
def ticket(context: typer.Context, ticket_id: TicketId, json: Json = False) -> None:
    with terminal_of(context).open() as ledger:
        found = ledger.guilds.get_ticket(ticket_id)
        if found is None:
            raise NotFound(TICKET, ticket_id)
        written = pages(partial(ledger.guilds.list_ticket_messages, ticket_id))
        if json:
            messages = [
                TicketMessageOut.model_validate(message) for page in written for message in page.items
            ]
            put_json(TicketWithMessages(**TicketOut.model_validate(found).model_dump(), messages=messages))
            return
        shown.put_ticket(found)
        put("")
        put_list(
            written, shown.message_table(), shown.message_row, TicketMessageOut.model_validate, json=False
        )


@app.command(help=say("Count a guild's tickets.", "サーバーのチケットを集計する。"))
def statistics(context: typer.Context, guild: GuildId, json: Json = False) -> None:
    with terminal_of(context).open() as ledger:
        _check_there(ledger, guild)
        counts = StatisticsOut.model_validate(ledger.guilds.get_ticket_statistics(guild))
    if json:
        put_json(counts)
    else:
        shown.put_statistics(counts.status_distribution, counts.priority_distribution, counts.total_tickets)


@app.command(help=say("List what was logged, latest first.", "ログを新しい順に一覧する。"))
def logs(
    context: typer.Context,
    guild: OneGuild = None,
    log_type: Type = None,
    user: OfUser = None,
    moderator: OfModerator = None,
    channel: OfChannel = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        if guild is not None:
            _check_there(ledger, guild)
        read = partial(
            ledger.guilds.list_logs,
            guild,
            log_type=log_type or None,
            user_id=user,
            moderator_id=moderator,
            channel_id=channel,
            since=since,
            until=until,
        )
        found = pages(read, None if every else limit, cursor)
        put_list(found, shown.log_table(), shown.log_row, GuildLogOut.model_validate, json=json)


@app.command(
    help=say(
        "Show what plays in a guild, and what is next. In JSON the session's line comes before the entries'.",
        "再生中の曲と、次に再生する曲を表示する。JSON では最初の行がセッション、以降がキュー。",
    )
)
def queue(
    context: typer.Context,
    guild: GuildId,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help=say("At most so many entries.", "最大件数。"))
    ] = 50,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        _check_there(ledger, guild)
        entries = ledger.guilds.get_guild_queue(guild, limit=limit)
        session = ledger.guilds.get_music_session(guild)
        playing = session and session.current_track_id
        track = ledger.guilds.get_track_by_id(playing) if playing else None
    if json:
        put_json(Listening.model_validate({"session": session, "playing": track}))
        for entry in entries:
            put_json(QueueOut.model_validate(entry))
        return
    shown.put_session(session, track)
    if entries:
        put("")
        shown.queue_table().add(map(shown.queue_row, entries))


@app.command(
    help=say(
        "Show how often a user changes avatars, and the changes.",
        "ユーザーのアバター変更の統計と履歴を表示する。",
    )
)
def avatars(
    context: typer.Context,
    user: UserId,
    kind: ChangeType = None,
    guild: OfGuild = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        stats = ledger.guilds.get_user_avatar_stats(user)
        if stats is None:
            raise NotFound(AVATARS, user)
        read = partial(ledger.guilds.list_avatar_changes, user_id=user, guild_id=guild, history_type=kind)
        found = pages(read, None if every else limit, cursor)
        if not json:
            shown.put_avatar_statistics(stats)
            put("")
            put_list(found, shown.avatar_table(), shown.avatar_row, AvatarOut.model_validate, json=False)
            return
        changes: list[AvatarHistory] = []
        following = None
        for page in found:
            changes += page.items
            following = page.next
    put_json(
        AvatarUserOut(
            statistics=AvatarStatsOut.model_validate(stats),
            items=[AvatarOut.model_validate(change) for change in changes],
            next=following,
        )
    )
    note_more(following)


def _check_there(ledger: GuildLedger, guild: int) -> None:
    """Raise NotFound for a guild that was not seen yet: its lists would be empty, as a silent one's are."""
    if ledger.guilds.get_guild_settings(guild) is None:
        raise NotFound(GUILD, guild)


app.add_typer(commands_change.app)
app.add_typer(commands_adopt.app)
