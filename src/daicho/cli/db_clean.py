"""``daicho db clean``: what is older than the settings keep it leaves, while others go on writing."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.duration import written
from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import say
from daicho.core.options import DryRun, Json
from daicho.core.terminal import Table, Terminal, local, note, printable, progress, put_json
from daicho.core.types import now
from daicho.ledger import AsyncLedger, Ledger
from daicho.ops.retention import Cleaned, Rule, clean, due, rules

app = typer.Typer()


class CleanOut(BaseModel):
    """What was cleaned, for programs."""

    dry_run: bool
    rows: int
    tables: list["TableOut"]


class TableOut(BaseModel):
    """What of a table is gone, or would go. ``along``: other tables' rows and folders that go with it."""

    table: str
    column: str
    retention: str
    before: datetime
    rows: int
    along: dict[str, int]


@app.command(
    "clean",
    help=say(
        "Delete what is older than the settings keep it (retention:), in short transactions. What is live"
        " stays, and so do all sums. Interrupted, the next run goes on.",
        "設定 (retention:) の保存期間を過ぎた行を、短いトランザクションで削除する。進行中のものと集計は"
        "残る。中断しても次の実行で続きから進む。",
    ),
)
def clean_(
    context: typer.Context,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE", help=say("Only this table; may be repeated.", "この表のみ (複数指定可)。")
        ),
    ] = None,
    dry_run: DryRun = False,
    keep_files: Annotated[
        bool,
        typer.Option("--keep-files", help=say("Leave the folders of tasks.", "タスクのフォルダーは残す。")),
    ] = False,
    json: Json = False,
) -> None:
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    retention = terminal.settings().retention
    with terminal.open() as ledger:
        wanted = rules(ledger, retention, now(), table or ())
        if not wanted:
            raise Invalid(
                "nothing to clean: the settings have no retention, so all is kept for good"
                " (config.yaml: retention: {call_logs: 365d})",
                "削除の対象がありません。設定に retention がないため、すべて無期限に保存されます"
                " (config.yaml: retention: {call_logs: 365d})",
            )
        failures = Failures()
        found = [one for rule in wanted for one in failures.kept(rule, due)]
        left = 0
        if not dry_run:
            with progress(say("cleaning", "削除中"), sum(one.rows for one in found)) as advance:
                foreseen, found = found, []
                for was in foreseen:
                    for one in failures.kept(
                        was.rule, lambda rule: clean(rule, advance, files=not keep_files)
                    ):
                        found.append(one)
                        # Fewer than foreseen: gone with another table's rows, or still in use?
                        left += due(was.rule).rows if one.rows < was.rows else 0
    rows = sum(one.rows + sum(one.along.values()) for one in found)
    if json:
        put_json(CleanOut(dry_run=dry_run, rows=rows, tables=[_out(one) for one in found]))
    else:
        _put(found)
    if dry_run:
        note(say("nothing was changed (--dry-run)", "何も変えていません (--dry-run)"))
    elif left:
        note(
            say(
                f"{left:,} rows stay: they are in use again, or something works in their folder",
                f"{left:,} 行は残しました (再び使用中、またはフォルダーで処理中)",
            )
        )
    if failures.any:
        raise typer.Exit(1)


class Failures:
    """Tells what could not be done with one table, where the others are to be cleaned all the same."""

    def __init__(self) -> None:
        self.any = False

    def kept(self, rule: Rule, work: Callable[[Rule], Cleaned]) -> Iterator[Cleaned]:
        """Yield what became of a rule; nothing, once its error is said."""
        try:
            yield work(rule)
        except DaichoError as error:
            self.any = True
            note("daicho: " + printable(f"{rule.table}: {error}"))


def _put(found: list[Cleaned]) -> None:
    shown = Table(
        say("TABLE", "表"),
        say("COLUMN", "列"),
        say("KEPT", "保存期間"),
        say("BEFORE", "期限"),
        say("ROWS", "行"),
    )
    rows: list[tuple[str, ...]] = []
    for one in found:
        rule = one.rule
        rows.append((rule.table, rule.column, written(rule.length), local(rule.before), f"{one.rows:,}"))
        rows += [(f"  + {name}", "", "", "", f"{number:,}") for name, number in one.along.items()]
    shown.add(rows)


def _out(one: Cleaned) -> TableOut:
    rule = one.rule
    return TableOut(
        table=rule.table,
        column=rule.column,
        retention=written(rule.length),
        before=rule.before,
        rows=one.rows,
        along=dict(one.along),
    )
