"""``daicho chats import|export``: messages from files and into files."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from daicho.chats.exchange import export_session, import_file, new_sessions
from daicho.chats.needs import ChatLedger
from daicho.chats.options import Prefix, Sessions, terminal_of
from daicho.chats.schemas import SESSION
from daicho.core.errors import DaichoError, NotFound
from daicho.core.language import say
from daicho.core.options import Rejects
from daicho.core.terminal import destination, progress, put, source

app = typer.Typer()


@app.command(
    "import",
    help=say(
        "Add messages from JSON lines. What has a message_id is added once, however often.",
        "JSON Lines からメッセージを取り込む。message_id のあるものは 2 度目に何も加えない。",
    ),
)
def import_(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help=say("What export writes; - is standard input.", "export が書いたもの。- は標準入力。"),
        ),
    ],
    errors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=say("Write every bad line's reason here.", "読めない行の理由をすべてこのファイルに書く。"),
        ),
    ] = None,
) -> None:
    with ExitStack() as open_now:
        opened, size = open_now.enter_context(source(file))
        bad = Rejects(open_now.enter_context(destination(errors)) if errors else None)
        ledger = open_now.enter_context(terminal_of(context).open())

        def report(number: int, error: DaichoError) -> None:
            bad.report(say(f"line {number:,}: {error}", f"{number:,} 行目: {error}"))

        with progress(file, size, in_bytes=True) as advance:
            done = import_file(ledger.chats, opened, bad_line=report, advance=advance)
        bad.end(None if errors else "--errors")
    messages = "message" if done.added == 1 else "messages"
    lines = "bad line" if bad.count == 1 else "bad lines"
    put(
        say(
            f"imported {done.added:,} {messages}, {done.existing:,} already there, {bad.count:,} {lines}",
            f"{done.added:,} 件のメッセージを取り込みました。"
            f"既にあったもの {done.existing:,}、読めない行 {bad.count:,}",
        )
    )
    if bad.count:
        raise typer.Exit(1)


@app.command(help=say("Write messages as JSON lines.", "メッセージを JSON Lines で書き出す。"))
def export(
    context: typer.Context,
    sessions: Sessions = None,
    prefix: Prefix = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=say(
                "Takes its place once it is complete; unset: standard output.",
                "完成してから置き換わる。省略時は標準出力。",
            ),
        ),
    ] = None,
) -> None:
    if sessions and prefix:
        raise typer.BadParameter(
            say("name sessions or give --prefix, not both", "セッション名と --prefix は併用できません")
        )
    messages = count = 0
    with (
        terminal_of(context).open() as ledger,
        destination(output) as to,
        progress(str(output or "-"), None) as advance,
    ):
        for session_id in sessions or _names(ledger, prefix):
            written = export_session(ledger.chats, session_id, to)
            if sessions and not written:
                raise NotFound(SESSION, session_id)
            messages += written
            count += 1
            advance(written)
    if output is not None and str(output) != "-":
        put(
            say(
                f"exported {messages:,} message{'' if messages == 1 else 's'}"
                f" of {count:,} session{'' if count == 1 else 's'}",
                f"{count:,} セッションのメッセージ {messages:,} 件を書き出しました",
            )
        )


def _names(ledger: ChatLedger, prefix: str | None) -> Iterator[str]:
    for found in new_sessions(ledger.chats, prefix):
        for session in found:
            yield session.session_id
