"""``daicho calls start|append|transfer|complete|delete``: what lets a shell script record a call."""

from typing import Annotated

import typer

from daicho.calls.options import CallId, terminal_of
from daicho.core.language import say
from daicho.core.options import Yes
from daicho.core.terminal import typed_in

app = typer.Typer()


@app.command(help=say("Delete a call and its transcript.", "通話とその会話を削除する。"))
def delete(
    context: typer.Context,
    call_id: CallId,
    yes: Yes = False,
) -> None:
    with terminal_of(context).open() as ledger:
        ledger.calls.get(call_id)
        question = say(f"Delete {call_id} and its transcript?", f"{call_id} とその会話を削除しますか")
        if yes or typer.confirm(question, err=True):
            ledger.calls.delete(call_id)
        else:
            raise typer.Exit(1)


@app.command(help=say("Record that a call begins.", "通話の開始を記録する。"))
def start(
    context: typer.Context,
    call_id: CallId,
    client_id: Annotated[
        str, typer.Argument(metavar="CLIENT", help=say("Whose call it is.", "クライアント ID。"))
    ],
    state: Annotated[str, typer.Option(help=say("Where the conversation stands.", "会話の状態。"))] = "init",
    caller: Annotated[str | None, typer.Option(help=say("The caller's number.", "発信者番号。"))] = None,
) -> None:
    with terminal_of(context).open() as ledger:
        ledger.calls.start(call_id, client_id, state=state, caller_number=caller)


@app.command(help=say("Append a line to a call's transcript.", "通話に 1 行を追加する。"))
def append(
    context: typer.Context,
    call_id: CallId,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=say("user or ai.", "user か ai。"))],
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help=say("What was said; - reads it from standard input.", "発話。- は標準入力から読む。"),
        ),
    ],
    state: Annotated[
        str | None,
        typer.Option(
            help=say(
                "Where the conversation stands; the call's, if not given.", "会話の状態。省略時は通話の状態。"
            )
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            help=say(
                "Create an unknown call for this client.",
                "通話がなければ、このクライアントの通話として作る。",
            )
        ),
    ] = None,
    message_id: Annotated[
        str | None,
        typer.Option(
            help=say(
                "Your name for the line: twice changes nothing.",
                "行の名前。同じ名前の 2 度目は何も変えない。",
            )
        ),
    ] = None,
) -> None:
    said = typed_in() if text == "-" else text
    with terminal_of(context).open() as ledger:
        ledger.calls.append_log(call_id, role, said, state=state, client_id=client, message_id=message_id)


@app.command(help=say("Record that a call was handed to a person.", "人への転送を記録する。"))
def transfer(
    context: typer.Context,
    call_id: CallId,
    summary: Annotated[
        str, typer.Argument(metavar="SUMMARY", help=say("What that person is told.", "引き継ぎの要約。"))
    ],
) -> None:
    with terminal_of(context).open() as ledger:
        ledger.calls.mark_transfer(call_id, summary)


@app.command(help=say("Record that a call has ended.", "通話の終了を記録する。"))
def complete(
    context: typer.Context,
    call_id: CallId,
    state: Annotated[str, typer.Option(help=say("Its last state.", "最後の状態。"))] = "completed",
) -> None:
    with terminal_of(context).open() as ledger:
        ledger.calls.complete(call_id, state=state)
