"""``daicho chats append|delete|expire``: what adds and removes messages."""

from datetime import datetime
from typing import Annotated, Any

import typer

from daicho.chats.exchange import Fields, check
from daicho.chats.models import ChatLog
from daicho.chats.options import SessionId, given_json, terminal_of
from daicho.chats.schemas import MessageOut
from daicho.chats.store import DAYS_MAX
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.options import Yes
from daicho.core.terminal import instant, local, note, printable, progress, put, put_json, typed_in

SHOWN = 60
"""How much of a message is said, in characters."""

app = typer.Typer()


@app.command(help=say("Append a message to a session.", "セッションにメッセージを追加する。"))
def append(
    context: typer.Context,
    session_id: SessionId,
    role: Annotated[
        str,
        typer.Argument(
            metavar="ROLE",
            help=say("user, assistant, system, tool, …", "user、assistant、system、tool など。"),
        ),
    ],
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            show_default=False,
            help=say(
                "What was said; without it, or with -, standard input.",
                "発言。省略時と - は標準入力から読む。",
            ),
        ),
    ] = "-",
    author: Annotated[
        str | None, typer.Option(help=say("Who said it: a name or an id.", "発言者の名前か ID。"))
    ] = None,
    message_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help=say(
                "Your name for the message: twice changes nothing.",
                "メッセージの名前。同じ名前の 2 度目は何も変えない。",
            ),
        ),
    ] = None,
    details: Annotated[
        Any,
        typer.Option(
            parser=given_json,
            metavar="JSON",
            help=say("Whatever else there is to it.", "その他の情報 (JSON)。"),
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help=say("When it was said; now, if not given.", "発言の時刻。省略時は現在。"),
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help=say("Write the message as it is stored.", "保存した内容を表示する。")),
    ] = False,
) -> None:
    said = typed_in() if text == "-" else text
    if text == "-" and not said:
        raise Invalid(
            "standard input is empty; nothing to append", "標準入力が空です。追加するものがありません"
        )
    with terminal_of(context).open() as ledger:
        chats = ledger.chats
        named = {"author": author, "message_id": message_id, "details": details, "timestamp": at}
        given: Fields = {"session_id": session_id, "role": role, "content": said, **named}
        check(chats, given)
        existing = message_id is not None and chats.append_many([given]).existing
        stored = chats.append(**given)  # with a name it is there once, however often it is sent
    if existing:
        _note_kept(stored)
    if json:
        put_json(MessageOut.model_validate(stored))


@app.command(help=say("Delete a session with all its messages.", "セッションとその全メッセージを削除する。"))
def delete(context: typer.Context, session_id: SessionId, yes: Yes = False) -> None:
    with terminal_of(context).open() as ledger:
        count = ledger.chats.session(session_id).messages or 0
        name = printable(session_id)
        question = say(
            f"Delete {name} and its {_messages(count)}?",
            f"{name} とそのメッセージ {count:,} 件を削除しますか",
        )
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        _put_deleted(ledger.chats.delete_session(session_id))


@app.command(
    help=say(
        "Delete messages that are older than some days. Does not ask where CHATLOG_DAYS says how many.",
        "指定した日数より古いメッセージを削除する。CHATLOG_DAYS に従うときは確認しない。",
    )
)
def expire(
    context: typer.Context,
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=DAYS_MAX,
            show_default="CHATLOG_DAYS",
            help=say("How many.", "日数。"),
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    terminal = terminal_of(context)
    kept = days or terminal.settings().chats.days
    if kept is None:
        raise Invalid(
            "how old messages may become is not set: give --days, or set CHATLOG_DAYS",
            "保存日数が決まっていません。--days を指定するか、CHATLOG_DAYS を設定してください",
        )
    question = say(
        f"Delete all messages older than {kept:,} days?", f"{kept:,} 日より古いメッセージをすべて削除しますか"
    )
    if days is not None and not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)
    with terminal.open() as ledger, progress(say("deleting", "削除中"), None) as advance:
        deleted = ledger.chats.expire(kept, advance=advance)
    _put_deleted(deleted)


def _note_kept(stored: ChatLog) -> None:
    name = printable(stored.message_id)
    kept = f"{local(stored.timestamp)} {printable(stored.role)}: {_cut(printable(stored.content))}"
    note(
        say(
            f"{name} was there already and stays as it is: {kept}",
            f"{name} は既にあり、そのままです: {kept}",
        )
    )


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _put_deleted(count: int) -> None:
    put(say(f"deleted {_messages(count)}", f"{count:,} 件のメッセージを削除しました"))


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"
