"""``daicho calls``: calls and their transcripts in the terminal.

Reading stands here; recording in ``commands_record``, files in ``commands_files``.
"""

import asyncio
import sys
from functools import partial
from typing import Annotated

import typer

from daicho.calls import commands_files, commands_record, shown
from daicho.calls.export import Chosen, transcript, write_json
from daicho.calls.following import follow
from daicho.calls.options import CallId, Client, Live, State, Transferred, terminal_of
from daicho.calls.schemas import CallOut, HitOut, LogOut
from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Since, Until, pages, put_list
from daicho.core.terminal import note, put, put_json

app = typer.Typer(
    help=say("Telephone calls and their transcripts.", "通話とその会話。"), no_args_is_help=True
)


@app.command("list", help=say("List calls, latest first.", "通話を新しい順に一覧する。"))
def list_(
    context: typer.Context,
    client: Client = None,
    state: State = None,
    transferred: Transferred = None,
    live: Live = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    chosen = Chosen(
        client_id=client, state=state, transferred=transferred, live=live, since=since, until=until
    )
    with terminal_of(context).open() as ledger:
        found = pages(partial(ledger.calls.list, **chosen), None if every else limit, cursor)
        put_list(found, shown.call_table(), shown.call_row, CallOut.model_validate, json=json)


@app.command(help=say("Show a call and its transcript.", "通話とその会話を表示する。"))
def show(
    context: typer.Context,
    call_id: CallId,
    json: Annotated[
        bool, typer.Option("--json", help=say("One line, as export writes it.", "export と同じ形の 1 行。"))
    ] = False,
) -> None:
    with terminal_of(context).open() as ledger:
        call = ledger.calls.get(call_id)
        if json:
            write_json(ledger.calls, call, sys.stdout)
            return
        shown.put_facts(call)
        put("")
        for log in transcript(ledger.calls, call_id):
            shown.put_line(log, call.started_at)


@app.command(help=say("Follow a call as it is spoken, until it ends.", "通話が終わるまで会話を追う。"))
def tail(
    context: typer.Context,
    call_id: CallId,
    lines: Annotated[
        int,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            help=say("How many earlier lines come first.", "先に表示する、これまでの行数。"),
        ),
    ] = 10,
    wait: Annotated[
        bool,
        typer.Option("--wait", help=say("Wait for a call that is not there yet.", "まだない通話を待つ。")),
    ] = False,
    json: Json = False,
) -> None:
    async def run() -> None:
        async with terminal_of(context).open_async() as ledger:
            async for call, log in follow(ledger, call_id, history=lines, wait=wait):
                if log is None:
                    note(
                        say(
                            f"{call_id} has ended: {call.current_state}",
                            f"{call_id} 終了: {call.current_state}",
                        )
                    )
                elif json:
                    put_json(LogOut.model_validate(log))
                else:
                    shown.put_line(log, call.started_at)
                sys.stdout.flush()

    asyncio.run(run())


@app.command(help=say("Find transcript lines that contain a text.", "文字列を含む行を会話から探す。"))
def search(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help=say("Letter case aside.", "大文字小文字は区別しない。"))
    ],
    client: Client = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        found = pages(partial(ledger.calls.search, text, client_id=client), limit, cursor)
        put_list(found, shown.hit_table(), shown.hit_row, HitOut.model_validate, json=json)


app.add_typer(commands_files.app)
app.add_typer(commands_record.app)
