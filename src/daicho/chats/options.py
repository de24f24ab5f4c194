"""What the commands of chats have in common: the ledger, arguments, options."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from daicho.chats.models import SESSION_MAX
from daicho.chats.needs import ChatLedger, LiveChatLedger
from daicho.chats.store import checked_session
from daicho.core.language import say
from daicho.core.model import check_text
from daicho.core.terminal import Terminal, instant


def terminal_of(context: typer.Context) -> Terminal[ChatLedger, LiveChatLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[ChatLedger, LiveChatLedger] = context.obj
    return terminal


def checked_sessions(values: list[str] | None) -> list[str]:
    """Return sessions' names, each once. Raises Invalid for one that no session can have."""
    return list(dict.fromkeys(map(checked_session, values or [])))


def checked_prefix(value: str | None) -> str | None:
    """Return how sessions' names begin. Raises Invalid where none can."""
    return None if value is None else check_text("prefix", value, SESSION_MAX)


def given_json(text: str) -> Any:
    """Read JSON of the command line. Raises typer.BadParameter."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(
            say(
                f"not JSON: {error}; write it as '{{\"channel\": 42}}'",
                f"JSON ではありません: {error}。'{{\"channel\": 42}}' のように書いてください",
            )
        ) from None


SessionId = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", help=say("The session's name.", "セッション ID。"), callback=checked_session
    ),
]
Sessions = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SESSION",
        help=say("The sessions' names; all, if none is given.", "セッション ID。省略時はすべて。"),
        callback=checked_sessions,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help=say("Only sessions whose name begins so.", "ID がこの文字列で始まるセッションのみ。"),
        callback=checked_prefix,
    ),
]
After = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help=say(
            "Only messages after this: 2026-11-21, 2026-11-21T09:30, or 7d for 7 days ago.",
            "この時刻より後のメッセージのみ: 2026-11-21、2026-11-21T09:30、7d (7 日前)。",
        ),
    ),
]
Before = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help=say("Only messages before this.", "この時刻より前のメッセージのみ。"),
    ),
]
