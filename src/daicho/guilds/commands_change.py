"""``daicho guilds close|assign|priority|status|settings|cleanup``: what changes guilds and their tickets."""

from typing import Annotated

import typer

from daicho.core.errors import NotFound
from daicho.core.language import say
from daicho.core.model import unknown_name
from daicho.core.options import Json, Yes
from daicho.core.terminal import note, printable, progress, put, put_json
from daicho.guilds import shown
from daicho.guilds.enums import TicketPriority, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.options import GuildId, OfGuild, TicketId, discord_id, priority, terminal_of
from daicho.guilds.schemas import GUILD, TICKET, GuildOut, TicketOut
from daicho.guilds.schemas_in import SettingsIn
from daicho.guilds.titles import titled

app = typer.Typer()

LOGS_AT_ONCE = 10_000
"""How many logs ``cleanup`` deletes in one transaction: others write in between."""


@app.command(help=say("Close a ticket.", "チケットをクローズする。"))
def close(context: typer.Context, ticket_id: TicketId, json: Json = False) -> None:
    with terminal_of(context).open() as ledger:
        _put(ledger.guilds.close_ticket(ticket_id), ticket_id, json=json)


@app.command(
    help=say(
        "Say who works on a ticket; --nobody, for no one.", "チケットの担当者を決める。--nobody で外す。"
    )
)
def assign(
    context: typer.Context,
    ticket_id: TicketId,
    user: Annotated[
        int | None,
        typer.Argument(
            parser=discord_id, metavar="USER", help=say("The user's Discord id.", "ユーザーの Discord ID。")
        ),
    ] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help=say("No one does.", "担当者を外す。"))] = False,
    json: Json = False,
) -> None:
    if nobody == (user is not None):
        raise typer.BadParameter(
            say("give a user, or --nobody", "ユーザーか --nobody のどちらかを指定してください")
        )
    with terminal_of(context).open() as ledger:
        _put(ledger.guilds.update_ticket(ticket_id, assigned_to=user), ticket_id, json=json)


@app.command("priority", help=say("Say how much a ticket presses.", "チケットの優先度を変える。"))
def priority_(
    context: typer.Context,
    ticket_id: TicketId,
    level: Annotated[
        TicketPriority,
        typer.Argument(
            parser=priority,
            metavar="PRIORITY",
            help=say("low, medium, high or urgent.", "low、medium、high、urgent のいずれか。"),
        ),
    ],
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        _put(ledger.guilds.update_ticket(ticket_id, priority=level), ticket_id, json=json)


@app.command(help=say("Move a ticket to another status.", "チケットの状態を変える。"))
def status(
    context: typer.Context,
    ticket_id: TicketId,
    to: Annotated[
        TicketStatus,
        typer.Argument(metavar="STATUS", case_sensitive=False, help=say("The new status.", "新しい状態。")),
    ],
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        _put(ledger.guilds.update_ticket(ticket_id, status=to), ticket_id, json=json)


@app.command(
    help=say(
        "Show a guild's settings; --set changes them first.",
        "サーバーの設定を表示する。--set で先に変更する。",
    )
)
def settings(
    context: typer.Context,
    guild: GuildId,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help=say(
                "Such as prefix=?; an id without a value is emptied. Any number of times.",
                "prefix=? など。ID は値を省くと空になる。複数指定可。",
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    given = dict(map(_setting, changes or []))
    with terminal_of(context).open() as ledger:
        there = ledger.guilds.get_guild_settings(guild)
        found = ledger.guilds.create_or_update_guild_settings(guild, **given) if given else there
    if found is None:
        raise NotFound(GUILD, guild)
    if there is None:
        note(
            say(
                f"guild {guild} was not there; it is registered now",
                f"サーバー {guild} は未登録だったため、登録しました",
            )
        )
    if json:
        put_json(GuildOut.model_validate(found))
    else:
        shown.put_settings(found)


@app.command(help=say("Delete old logs.", "古いログを削除する。"))
def cleanup(
    context: typer.Context,
    days: Annotated[
        int,
        typer.Option(min=0, help=say("Those that are older than so many days.", "この日数より古いもの。")),
    ] = 30,
    guild: OfGuild = None,
    yes: Yes = False,
) -> None:
    with terminal_of(context).open() as ledger:
        if not yes and not typer.confirm(_question(days, guild), err=True):
            raise typer.Exit(1)
        deleted, lot = 0, LOGS_AT_ONCE
        with progress(say("deleting", "削除中"), None) as advance:
            while lot == LOGS_AT_ONCE:
                lot = ledger.guilds.cleanup_old_logs(days, guild_id=guild, limit=LOGS_AT_ONCE)
                deleted += lot
                advance(lot)
    put(say(f"deleted {deleted:,} log{'' if deleted == 1 else 's'}", f"{deleted:,} 件のログを削除しました"))


def _setting(text: str) -> tuple[str, int | str | None]:
    """Read ``NAME=VALUE``. Raises typer.BadParameter; Invalid for a name that is no setting's."""
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise typer.BadParameter(
            say(
                f"--set {text!r}: write NAME=VALUE, such as prefix=?",
                f"--set {text!r}: NAME=VALUE の形で書いてください (例: prefix=?)",
            )
        )
    if name not in SettingsIn.model_fields:
        raise unknown_name(name, SettingsIn.model_fields)
    if name.endswith("_id"):
        return name, discord_id(value.strip()) if value.strip() else None
    return name, value


def _question(days: int, guild: int | None) -> str:
    if guild is None:
        return say(
            f"Delete all guilds' logs older than {days:,} days?",
            f"全サーバーの {days:,} 日より古いログを削除しますか",
        )
    return say(
        f"Delete the logs of guild {guild} older than {days:,} days?",
        f"サーバー {guild} の {days:,} 日より古いログを削除しますか",
    )


def _put(ticket: Ticket | None, ticket_id: int, *, json: bool) -> None:
    """Write a ticket as it is now. Raises NotFound where there is none."""
    if ticket is None:
        raise NotFound(TICKET, ticket_id)
    if json:
        put_json(TicketOut.model_validate(ticket))
        return
    nobody = say("nobody", "担当なし")
    assigned = nobody if ticket.assigned_to is None else str(ticket.assigned_to)
    facts = (str(ticket.id), ticket.status, ticket.priority.name.lower(), assigned, titled(ticket.title))
    put(printable("  ".join(facts)))
