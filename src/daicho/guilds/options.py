"""What the commands of guilds have in common: the ledger, ids, arguments, options."""

from typing import Annotated

import typer

from daicho.core.language import say
from daicho.core.terminal import Terminal
from daicho.core.types import SNOWFLAKE_MAX
from daicho.guilds.enums import AvatarHistoryType, LogType, TicketCategory, TicketPriority, TicketStatus
from daicho.guilds.mention import copied_id
from daicho.guilds.needs import GuildLedger, LiveGuildLedger


def terminal_of(context: typer.Context) -> Terminal[GuildLedger, LiveGuildLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[GuildLedger, LiveGuildLedger] = context.obj
    return terminal


def discord_id(text: str) -> int:
    """Read a Discord id, or a mention of it: ``<@5>``. Raises typer.BadParameter."""
    number = copied_id(text)
    if number is not None and number <= SNOWFLAKE_MAX:
        return number
    raise typer.BadParameter(
        say(
            f"{text!r} is no Discord id; write its digits, or a mention: 123456789012345678, '<@123>'",
            f"{text!r} は Discord の ID ではありません。数字かメンションで書いてください:"
            " 123456789012345678、'<@123>'",
        )
    )


def priority(text: str) -> TicketPriority:
    """Read a priority, by name or number. Raises typer.BadParameter."""
    named = {one.name.lower(): one for one in TicketPriority} | {str(int(one)): one for one in TicketPriority}
    found = named.get(text.strip().lower())
    if found is None:
        raise typer.BadParameter(
            say(
                f"{text!r} is no priority; one of: low, medium, high, urgent, or 1 to 4",
                f"{text!r} という優先度はありません。low、medium、high、urgent、または 1 から 4 です",
            )
        )
    return found


GuildId = Annotated[
    int,
    typer.Argument(
        parser=discord_id, metavar="GUILD", help=say("The guild's Discord id.", "サーバーの Discord ID。")
    ),
]
OneGuild = Annotated[
    int | None,
    typer.Argument(
        parser=discord_id,
        metavar="GUILD",
        help=say(
            "The guild's Discord id; all guilds, if not given.", "サーバーの Discord ID。省略時は全サーバー。"
        ),
    ),
]
UserId = Annotated[
    int,
    typer.Argument(
        parser=discord_id, metavar="USER", help=say("The user's Discord id.", "ユーザーの Discord ID。")
    ),
]
TicketId = Annotated[
    int, typer.Argument(metavar="ID", min=1, help=say("The ticket's number.", "チケットの番号。"))
]
OfUser = Annotated[
    int | None,
    typer.Option(
        "--user", parser=discord_id, metavar="ID", help=say("Only this user's.", "このユーザーのみ。")
    ),
]
OfAssignee = Annotated[
    int | None,
    typer.Option(
        "--assigned",
        parser=discord_id,
        metavar="ID",
        help=say("Only those that this user works on.", "このユーザーが担当するもののみ。"),
    ),
]
OfModerator = Annotated[
    int | None,
    typer.Option(
        "--moderator",
        parser=discord_id,
        metavar="ID",
        help=say("Only what this user did to others.", "このユーザーが実行したもののみ。"),
    ),
]
OfChannel = Annotated[
    int | None,
    typer.Option(
        "--channel",
        parser=discord_id,
        metavar="ID",
        help=say("Only of this channel.", "このチャンネルのみ。"),
    ),
]
OfGuild = Annotated[
    int | None,
    typer.Option(
        "--guild", parser=discord_id, metavar="ID", help=say("Only in this guild.", "このサーバーのみ。")
    ),
]
Status = Annotated[
    list[TicketStatus] | None,
    typer.Option(
        case_sensitive=False,
        help=say("Only in this status; any number of times.", "この状態のみ。複数指定可。"),
    ),
]
Category = Annotated[
    TicketCategory | None,
    typer.Option(case_sensitive=False, help=say("Only about this.", "このカテゴリのみ。")),
]
Priority = Annotated[
    TicketPriority | None,
    typer.Option(
        parser=priority,
        metavar="PRIORITY",
        help=say("Only this: low, medium, high, urgent.", "この優先度のみ: low、medium、high、urgent。"),
    ),
]
Type = Annotated[
    list[LogType] | None,
    typer.Option(
        "--type",
        case_sensitive=False,
        help=say("Only of this type; any number of times.", "この種類のみ。複数指定可。"),
    ),
]
ChangeType = Annotated[
    AvatarHistoryType | None,
    typer.Option("--type", case_sensitive=False, help=say("Only of this type.", "この種類のみ。")),
]
