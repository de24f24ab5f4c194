"""``daicho doctor``: what is wrong with an installation, and the way out."""

from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.language import say
from daicho.core.options import Json
from daicho.core.terminal import Table, Terminal, note, put_json
from daicho.ledger import AsyncLedger, Ledger
from daicho.ops.doctor import examine
from daicho.ops.findings import Finding, State, worst

app = typer.Typer()
SIGNS = {State.OK: "✓", State.WARN: "!", State.FAIL: "✗"}


class FindingOut(BaseModel):
    """What a check has found, for programs."""

    name: str
    state: State
    message: str
    mend: str | None


class Examined(BaseModel):
    """All that was found, for programs."""

    state: State
    checks: list[FindingOut]


@app.command(
    help=say(
        "Look at a whole installation, and say how to mend what is found. It changes nothing."
        " Exits with 1 if something fails (✗); what is only to be looked at (!) is no failure.",
        "環境全体を調べ、問題と直し方を示す。何も変更しない。"
        "✗ がひとつでもあれば終了コード 1、! は確認を勧めるもの。",
    )
)
def doctor(
    context: typer.Context,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help=say(
                "Look through all of the ledger too; takes as long as it is large.",
                "台帳全体の整合性も調べる (大きさに応じて時間がかかる)。",
            ),
        ),
    ] = False,
    json: Json = False,
) -> None:
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    found = list(examine(terminal.settings, deep=deep))
    if json:
        put_json(Examined(state=worst(found), checks=[_out(one) for one in found]))
    else:
        table = Table("", "", "")
        table.add([row for one in found for row in _rows(one)])
        count = {state: sum(one.state is state for one in found) for state in State}
        note(
            say(
                f"{count[State.FAIL]} to mend, {count[State.WARN]} to look at, {count[State.OK]} well",
                f"要対応 {count[State.FAIL]} 件、要確認 {count[State.WARN]} 件、正常 {count[State.OK]} 件",
            )
        )
    if worst(found) is State.FAIL:
        raise typer.Exit(1)


def _rows(one: Finding) -> list[tuple[str, str, str]]:
    mend = [("", "", f"→ {one.mend}")] if one.mend else []
    return [(SIGNS[one.state], one.name, str(one.message)), *mend]


def _out(one: Finding) -> FindingOut:
    mend = None if one.mend is None else str(one.mend)
    return FindingOut(name=one.name, state=one.state, message=str(one.message), mend=mend)
