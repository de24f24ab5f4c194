"""``daicho db copy``: a whole ledger from one database to another, and the proof that it is the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.engine import Database
from daicho.core.errors import Conflict
from daicho.core.language import say
from daicho.core.options import Json
from daicho.core.terminal import Table, Terminal, note, progress, put_json
from daicho.ledger import AsyncLedger, Ledger, open_database
from daicho.ops.copy import CHECKING, COPYING, Copied, TableCopy, compare, copy, size

app = typer.Typer()


class CopyOut(BaseModel):
    """What a copy has done, for programs."""

    rows: int | None
    seconds: float | None
    same: bool | None
    tables: list["TableOut"]


class TableOut(BaseModel):
    """What a table holds on both sides. A checksum does not depend on the rows' order."""

    table: str
    rows: int
    checksum: str
    other_rows: int
    other_checksum: str
    same: bool


@app.command(
    "copy",
    help=say(
        "Copy a whole ledger into an empty database of either kind, and prove that both hold the same."
        " Interrupted, it goes on where it was. The source is only read; stop its writers before you switch.",
        "台帳全体を空のデータベース (SQLite・PostgreSQL) へコピーし、同じ内容であることを確かめる。"
        "中断しても続きから再開できる。コピー元は読むだけ。切り替え時は先に書き込みを止めること。",
    ),
)
def copy_(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE_URL", help=say("sqlite:///daicho.db", "sqlite:///daicho.db"))
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET_URL", help=say("postgresql://user@host/name", "postgresql://user@host/name")
        ),
    ],
    verify_only: Annotated[
        bool,
        typer.Option(
            "--verify-only", help=say("Copy nothing; only compare.", "コピーせず、比較だけを行う。")
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help=say("Compare all rows afterwards.", "コピー後に全行を比較する。")
        ),
    ] = True,
    json: Json = False,
) -> None:
    with _both(context, source, target) as (one, other):
        copied = None if verify_only else _copied(one, other)
        tables = _compared(one, other) if verify or verify_only else []
    differing = [table.table for table in tables if not table.same]
    if json:
        _put(copied, tables)
    elif tables:
        table = Table(say("Table", "表"), say("Source", "コピー元"), say("Target", "コピー先"), "")
        table.add([_row(one) for one in tables])
    if copied is not None:
        note(
            say(
                f"{copied.rows:,} rows copied in {copied.seconds:.1f} s",
                f"{copied.rows:,} 行を {copied.seconds:.1f} 秒でコピーしました",
            )
        )
    if differing:
        names = ", ".join(differing)
        raise Conflict(
            f"not the same: {names}; if the source was written to meanwhile, stop its writers, empty the"
            " target and copy again",
            f"一致しません: {names}。コピー中に書き込みがあった場合は、書き込みを止めてコピー先を空にし、"
            "もう一度コピーしてください",
        )
    if tables:
        note(say("both hold the same rows", "両方の内容は一致しています"))


def _copied(source: Database, target: Database) -> Copied:
    built = 0

    def advance(step: str, count: int) -> None:
        nonlocal built
        if step == COPYING:
            rows(count)
        elif (built := built + count) == 1:
            note(say("rows are over; now their indexes", "行のコピー完了。インデックスを作成中"))

    with progress(say("rows", "行"), size(source)) as rows:
        return copy(source, target, advance)


def _compared(source: Database, target: Database) -> list[TableCopy]:
    with progress(say("comparing", "比較"), size(source)) as rows:
        return compare(source, target, lambda step, count: rows(count) if step == CHECKING else None)


def _row(table: TableCopy) -> tuple[str, str, str, str]:
    verdict = say("same", "一致") if table.same else say("DIFFERENT", "不一致")
    return table.table, f"{table.rows:,}", f"{table.other_rows:,}", verdict


def _put(copied: Copied | None, tables: list[TableCopy]) -> None:
    put_json(
        CopyOut(
            rows=copied and copied.rows,
            seconds=copied and round(copied.seconds, 3),
            same=all(table.same for table in tables) if tables else None,
            tables=[
                TableOut(
                    table=table.table,
                    rows=table.rows,
                    checksum=f"{table.checksum:016x}",
                    other_rows=table.other_rows,
                    other_checksum=f"{table.other_checksum:016x}",
                    same=table.same,
                )
                for table in tables
            ],
        )
    )


@contextmanager
def _both(context: typer.Context, source: str, target: str) -> Iterator[tuple[Database, Database]]:
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    settings = terminal.settings()
    one, other = open_database(source, settings), open_database(target, settings)
    try:
        yield one, other
    finally:
        one.close()
        other.close()
