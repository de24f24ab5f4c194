"""``daicho chats``: chat logs in the terminal.

Reading stands here; changing in ``commands_change``, files in ``commands_files``, from one place to another
in ``commands_copy``.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Annotated

import typer

from daicho.chats import commands_change, commands_copy, commands_files, shown
from daicho.chats.exchange import each
from daicho.chats.following import follow
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.options import After, Before, Prefix, SessionId, terminal_of
from daicho.chats.schemas import MessageOut, SessionOut
from daicho.core.errors import Unavailable
from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Since, pages, put_list
from daicho.core.page import Page
from daicho.core.terminal import note, printable, progress, put, put_json

LAST = 200
"""How many messages ``show`` shows, if it is not told."""

app = typer.Typer(
    help=say(
        "Chat logs: conversations, in the database or in DynamoDB.",
        "チャットログ: データベースか DynamoDB にある会話。",
    ),
    no_args_is_help=True,
)


@app.command(
    help=say(
        "Make sure that chat logs can be kept: DynamoDB's tables, their index and TTL. Twice does no harm.",
        "チャットログの保存先を用意する (DynamoDB のテーブル、索引、TTL)。何度実行してもよい。",
    )
)
def init(context: typer.Context) -> None:
    terminal = terminal_of(context)
    with terminal.open() as ledger:
        with progress(say("sessions", "セッション"), None) as advance:
            done = ledger.chats.prepare(advance=advance)
        if ledger.chats.tells:  # a database is whole as it is: its schema came with it
            put(
                say(
                    f"chat logs are kept as {done.place.en}; there is nothing to do",
                    f"チャットログの保存先: {done.place.ja}。準備は不要です",
                )
            )
        else:
            shown.put_prepared(done, terminal.settings().chats.days)


@app.command(help=say("List sessions, those with the newest messages first.", "新しい順に一覧する。"))
def sessions(
    context: typer.Context,
    prefix: Prefix = None,
    since: Since = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        read = partial(ledger.chats.sessions, prefix=prefix, since=since)
        found = _noted(pages(read, None if every else limit, cursor))
        put_list(found, shown.session_table(), shown.session_row, SessionOut.model_validate, json=json)


@app.command(help=say("Show a session's conversation.", "セッションの会話を表示する。"))
def show(
    context: typer.Context,
    session_id: SessionId,
    last: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=str(LAST),
            help=say("Only so many messages, the last ones.", "最後の何件を表示するか。"),
        ),
    ] = None,
    after: After = None,
    before: Before = None,
    every: Every = False,
    details: Annotated[
        bool,
        typer.Option("--details", help=say("Messages' details whole.", "details を省略せずに表示する。")),
    ] = False,
    json: Json = False,
) -> None:
    if every and last is not None:
        raise typer.BadParameter(
            say("give --last or --all, not both", "--last と --all は同時に指定できません")
        )
    with terminal_of(context).open() as ledger:
        read = partial(ledger.chats.history, session_id, after=after, before=before)
        found, earlier = (each(pages(read)), False) if every else _last(read, last or LAST)
        first = next(found, None)
        if first is None or not json:
            session = ledger.chats.session(session_id)  # raises NotFound
            if not json:
                shown.put_facts(session)
                put("")
            if first is None:
                note(say("no messages found", "該当するメッセージはありません"))
        written = shown.Conversation(details=details)
        for message in chain([first] if first else [], found):
            if json:
                put_json(MessageOut.model_validate(message))
            else:
                written.put(message)
    if earlier:
        note(say("there are earlier ones: --all, or --last N", "これより前もあります: --all または --last N"))


@app.command(
    help=say(
        "Follow a session, until stopped; one that is not there yet is waited for.",
        "止めるまで会話を追う。まだないセッションは待つ。",
    )
)
def tail(
    context: typer.Context,
    session_id: SessionId,
    lines: Annotated[
        int,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            help=say("How many earlier messages come first.", "先に表示する、これまでの件数。"),
        ),
    ] = 10,
    json: Json = False,
) -> None:
    async def run() -> None:
        async with terminal_of(context).open_async() as ledger:
            if not (await ledger.chats.history(session_id, limit=1)).items:
                note(
                    say(
                        f"{printable(session_id)} is not there yet; waiting for its first message",
                        f"{printable(session_id)} はまだありません。最初のメッセージを待っています",
                    )
                )
            written = shown.Conversation()
            async for message in follow(ledger, session_id, history=lines, away=_away):
                if json:
                    put_json(MessageOut.model_validate(message))
                else:
                    written.put(message)
                sys.stdout.flush()

    asyncio.run(run())


def _away(error: Unavailable | None) -> None:
    """Say that ``tail`` waits, or that it goes on."""
    if error is None:
        note(say("it answers again; going on", "応答が戻りました。続けます"))
    else:
        note(say(f"{error}; waiting", f"{error}。待っています"))


def _noted(found: Iterator[Page[ChatSession]]) -> Iterator[Page[ChatSession]]:
    """Give some pages of sessions; where nothing is on them and none follows, say so."""
    some = False
    for page in found:
        some = some or bool(page.items or page.next)
        yield page
    if not some:
        note(say("no sessions found", "該当するセッションはありません"))


def _last(read: Callable[..., Page[ChatLog]], count: int) -> tuple[Iterator[ChatLog], bool]:
    """Return the last messages, in spoken order, and whether there are earlier ones."""
    newest = list(each(pages(partial(read, newest_first=True), count + 1)))
    return reversed(newest[:count]), len(newest) > count


app.add_typer(commands_change.app)
app.add_typer(commands_files.app)
app.add_typer(commands_copy.app)
