"""``daicho forget``: a person leaves the ledger; what they cost stays in its sums."""

from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.language import Text, say
from daicho.core.options import DryRun, Json, Yes
from daicho.core.person import Person, Traced
from daicho.core.terminal import Table, Terminal, note, printable, progress, put, put_json
from daicho.ledger import AsyncLedger, Ledger
from daicho.ops import forgetting
from daicho.ops.forgetting import ELSEWHERE, Mentioned

app = typer.Typer()


class ForgetOut(BaseModel):
    """What was done, for programs. ``mentions``: where a name still stands; ``out_of_reach``: sentences."""

    dry_run: bool
    rows: int
    tables: list["TracedOut"]
    mentions: list["MentionedOut"]
    out_of_reach: list[str]


class TracedOut(BaseModel):
    """Rows of a table that were removed or anonymised (``fate``), and the columns that were changed."""

    table: str
    fate: str
    columns: list[str]
    rows: int


class MentionedOut(BaseModel):
    """A column in whose values a name of the person still stands."""

    table: str
    column: str
    rows: int


@app.command(
    help=say(
        "Forget a person in every room: what is theirs is removed or made nobody's; sums and costs stay."
        " What is live stays until it has ended. A second run finds nothing left. There is no way back.",
        "ある人をすべての記録から消す: 本人のものは削除または匿名化し、集計と費用は残す。進行中のものは"
        "終了後に再実行する。2 回目は何も残っていない。元には戻せない。",
    )
)
def forget(
    context: typer.Context,
    caller: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER",
            help=say(
                "A telephone number, or a client id: all of its calls. May be repeated.",
                "電話番号またはクライアント ID (そのすべての通話)。複数指定可。",
            ),
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=say(
                "A user's name or id, a Discord id, an e-mail address, an author. May be repeated.",
                "ユーザー名、ユーザー ID、Discord ID、メールアドレス、発言者名。複数指定可。",
            ),
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    if not caller and not user:
        raise typer.BadParameter(
            say("whom? --caller or --user", "--caller か --user で対象を指定してください")
        )
    person = Person(tuple(caller or ()), tuple(user or ()))
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    with terminal.open() as ledger:
        found = [one for one in forgetting.find(ledger, person) if one.rows]
        left = forgetting.out_of_reach(ledger, person)
        total = sum(one.rows for one in found)
        if total and not dry_run:
            if not yes:
                _put(found)
                _confirm(total)
            with progress(say("forgetting", "処理中"), total) as advance:
                found = [one for one in forgetting.forget(ledger, person, advance) if one.rows]
        mentioned = forgetting.mentions(ledger, person)
    if json:
        put_json(_out(found, mentioned, left, dry_run=dry_run))
        return
    if found:
        _put(found)
    else:
        put(say("nothing of this person is left to forget", "この人について処理するものはありません"))
    _note(mentioned, left, dry_run=dry_run)


def _confirm(total: int) -> None:
    question = say(
        f"Forget this person in {total:,} rows? There is no way back",
        f"{total:,} 行からこの人を消しますか。元には戻せません",
    )
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _put(found: list[Traced]) -> None:
    table = Table(say("TABLE", "表"), say("ROWS", "行"), say("WHAT", "処理"), say("COLUMNS", "列"))
    fates = {"removed": say("removed", "削除"), "anonymised": say("anonymised", "匿名化")}
    table.add((one.table, f"{one.rows:,}", fates[one.fate], ", ".join(one.columns)) for one in found)


def _note(mentioned: list[Mentioned], left: list[Text], *, dry_run: bool) -> None:
    if dry_run:
        note(say("nothing was changed (--dry-run)", "何も変えていません (--dry-run)"))
    if mentioned and not dry_run:
        note(
            say(
                "a name still stands in other words; look yourself:",
                "次の箇所にまだ名前があります。確認してください:",
            )
        )
        for one in mentioned:
            note(
                say(
                    f"  {one.table}.{one.column}: {one.rows:,} rows",
                    f"  {one.table}.{one.column}: {one.rows:,} 行",
                )
            )
    note(say("out of reach:", "この操作の対象外:"))
    for text in (*left, *ELSEWHERE):
        note(f"  {printable(str(text))}")


def _out(found: list[Traced], mentioned: list[Mentioned], left: list[Text], *, dry_run: bool) -> ForgetOut:
    return ForgetOut(
        dry_run=dry_run,
        rows=sum(one.rows for one in found),
        tables=[
            TracedOut(table=one.table, fate=one.fate.value, columns=list(one.columns), rows=one.rows)
            for one in found
        ],
        mentions=[MentionedOut(table=one.table, column=one.column, rows=one.rows) for one in mentioned],
        out_of_reach=[text.en for text in (*left, *ELSEWHERE)],
    )
