"""How sessions and their messages look in the terminal."""

import sys
from collections.abc import Sequence
from datetime import date
from shutil import get_terminal_size

from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.places import Prepared
from daicho.core.language import say
from daicho.core.terminal import GAP, Table, local, note, printable, put

ROLE_WIDTH = len("assistant")
AUTHOR_WIDTH = 12
DETAILS_LEAST = 30
"""How much of a message's details is shown on however narrow a terminal."""
ROLE_STYLES = {"user": "bold", "system": "dim", "tool": "dim", "developer": "dim"}


def session_table() -> Table:
    """The table of ``daicho chats sessions``; rows by ``session_row``."""
    return Table(
        say("SESSION", "セッション"),
        say("MESSAGES", "メッセージ"),
        say("FIRST", "最初"),
        say("LAST", "最後"),
    )


def session_row(session: ChatSession) -> Sequence[str]:
    """A session's row in the table."""
    return (session.session_id, _counted(session), local(session.first_at), local(session.last_at))


def put_facts(session: ChatSession) -> None:
    """Write what is known of a session, a line each."""
    facts = Table("", "")
    facts.add(
        [
            (say("session", "セッション"), session.session_id),
            (say("messages", "メッセージ"), _counted(session)),
            (say("first", "最初"), local(session.first_at)),
            (say("last", "最後"), local(session.last_at)),
        ]
    )


class Conversation:
    """Writes messages as people read them: each day under its date, the lines of a text under each other.

    Args:
        details: write messages' details whole, and not only as much as fits into the line.
    """

    def __init__(self, *, details: bool = False) -> None:
        self._day: date | None = None
        self._details = details

    def put(self, message: ChatLog) -> None:
        """Write a message."""
        from rich.cells import cell_len

        said_at = message.timestamp.astimezone()
        if said_at.date() != self._day:
            self._day = said_at.date()
            self._put_day(f"{self._day:%Y-%m-%d}")
        author = printable(message.author or "")
        before = GAP.join(
            [
                f"{said_at:%H:%M:%S}",
                f"{printable(message.role):<{ROLE_WIDTH}}",
                author + " " * (AUTHOR_WIDTH - cell_len(author)),
                "",
            ]
        )
        lines = [printable(line) for line in message.content.splitlines()] or [""]
        details = self._details_of(message, cell_len(before))
        if sys.stdout.isatty():
            _draw(before, lines, ROLE_STYLES.get(message.role, ""), details)
            return
        put((before + lines[0]).rstrip())
        for line in [*lines[1:], *details]:
            put((" " * cell_len(before) + line).rstrip())

    def _details_of(self, message: ChatLog, indented: int) -> list[str]:
        """A message's details as a line, or none."""
        from rich.text import Text

        if message.details is None:
            return []
        line = Text(f"details: {printable(message.details)}")
        if not self._details:
            line.truncate(max(get_terminal_size().columns - indented, DETAILS_LEAST), overflow="ellipsis")
        return [line.plain]

    def _put_day(self, day: str) -> None:
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.text import Text

            Console().print(Text(day, style="dim bold"))
        else:
            put(day)


def put_prepared(done: Prepared, days: int | None) -> None:
    """Write what was found and done where chat logs are kept.

    Args:
        days: how long they are to be kept.
    """
    put(say(f"chat logs are kept as {done.place.en}", f"チャットログの保存先: {done.place.ja}"))
    if done.created:
        named = ", ".join(done.created)
        put(say(f"created: {named}", f"作成しました: {named}"))
    else:
        put(say("all of it was there already", "必要なものは既にすべてあります"))
    if done.indexed:
        sessions = "session was" if done.indexed == 1 else "sessions were"
        put(
            say(
                f"{done.indexed:,} {sessions} in the table and not in its index; now they are",
                f"索引になかった {done.indexed:,} セッションを索引に加えました",
            )
        )
    if days is None:
        put(
            say(
                "messages are kept until they are deleted (CHATLOG_DAYS for how many days)",
                "メッセージは削除するまで残ります (日数で区切るには CHATLOG_DAYS)",
            )
        )
    elif done.expires:
        put(
            say(
                f"the table itself deletes messages some time after {days:,} days (TTL)",
                f"{days:,} 日を過ぎたメッセージは、テーブルがしばらく後に自動で削除します (TTL)",
            )
        )
    else:
        note(
            say(
                f"nothing deletes messages by itself after {days:,} days here; run now and then:"
                " daicho chats expire",
                f"{days:,} 日を過ぎても自動では削除されません。定期的に実行してください: daicho chats expire",
            )
        )


def _draw(before: str, lines: Sequence[str], style: str, details: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn.grid(expand=False)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    drawn.add_row(Text(before, style="dim"), Text("\n".join(lines), style=style))
    for line in details:
        drawn.add_row("", Text(line, style="dim italic"))
    Console().print(drawn)


def _counted(session: ChatSession) -> str:
    return "–" if session.messages is None else f"{session.messages:,}"
