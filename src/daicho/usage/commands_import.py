"""``daicho usage import``: records from CSV and JSON lines."""

import csv
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from daicho.core.language import Text, say
from daicho.core.options import Rejects
from daicho.core.terminal import destination, note, printable, progress, put, source
from daicho.usage.importing import FIELDS, Imported, import_file, mapping_of
from daicho.usage.importing_lines import UsageFile
from daicho.usage.options import tenant_of, terminal_of
from daicho.usage.periods import zone_of

app = typer.Typer()


def pairs_of(texts: list[str]) -> list[tuple[str, str]]:
    """Read ``COLUMN=FIELD,…``; a column with a comma stands in quotes. Raises typer.BadParameter."""
    found = []
    for piece in (piece for text in texts for piece in next(csv.reader([text], skipinitialspace=True), [])):
        column, equals, name = piece.rpartition("=")
        if not equals or not column.strip() or not name.strip():
            raise typer.BadParameter(
                say(
                    f"--map {piece!r}: write COLUMN=FIELD, such as TIMESTAMP=created_at",
                    f"--map {piece!r}: 列名=項目 の形で書いてください (例: TIMESTAMP=created_at)",
                )
            )
        found.append((column.strip(), name.strip()))
    return found


@app.command(
    "import",
    help=say(
        "Add records from CSV or JSON lines; twice adds nothing.",
        "CSV か JSON Lines から利用記録を取り込む。2 度目は何も加えない。",
    ),
)
def import_(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help=say("CSV or JSON lines; - is standard input.", "CSV か JSON Lines。- は標準入力。"),
        ),
    ],
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD,…",
            help=say(
                "Which column is what; those that are spelled like our fields need not stand here.",
                "どの列がどの項目か。項目と同じ名前の列は指定不要。",
            ),
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="ID|NAME",
            help=say("Whose calls they are, where the file does not say.", "ファイルにない場合のテナント。"),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help=say("Their model, where the file does not say.", "ファイルにない場合のモデル。")),
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            help=say("What they were for, where the file does not say.", "ファイルにない場合の操作。")
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            help=say("Their provider, where the file does not say.", "ファイルにない場合の提供元。")
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--source",
            help=say(
                "What they were made for, where the file does not say: ticket:42.",
                "ファイルにない場合の対象: ticket:42 など。",
            ),
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            "--tz",
            metavar="ZONE",
            show_default="UTC",
            help=say(
                "Where times were written that name no zone: Asia/Tokyo.",
                "時間帯のない時刻の時間帯: Asia/Tokyo など。",
            ),
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=say(
                "Write every bad line's reason here.", "取り込めない行の理由をすべてこのファイルに書く。"
            ),
        ),
    ] = None,
) -> None:
    columns, place = mapping_of(pairs_of(mapped or [])), zone_of(zone or "UTC")
    with ExitStack() as open_now:
        opened, size = open_now.enter_context(source(file))
        bad = Rejects(open_now.enter_context(destination(rejects)) if rejects else None)
        ledger = open_now.enter_context(terminal_of(context).open())
        given = {
            "tenant_id": tenant_of(ledger, tenant),
            "model": model,
            "operation": operation,
            "provider": provider,
            "source": of,
        }
        refused = partial(_report, bad)
        read = UsageFile(opened, file, [*columns.values(), *FIELDS], refused)
        with progress(file, size, in_bytes=True) as advance:
            done = import_file(
                ledger.usage,
                read,
                columns,
                {name: value for name, value in given.items() if value is not None},
                place,
                refused=refused,
                advance=advance,
            )
        bad.end()
    if done.ignored:
        named = printable(", ".join(done.ignored))
        note(say(f"columns not imported: {named}", f"取り込まない列: {named}"))
    if done.zoneless and zone is None:
        note(
            say(
                f"{done.zoneless:,} times without a zone were read as UTC (--tz for another)",
                f"時間帯のない時刻 {done.zoneless:,} 個を UTC として読みました (--tz で変更)",
            )
        )
    put(str(_summary(done, bad.count)))
    if bad.count:
        raise typer.Exit(1)


def _report(bad: Rejects, number: int, reason: Text) -> None:
    bad.report(say(f"line {number:,}: ", f"{number:,} 行目: ") + str(reason))


def _summary(done: Imported, bad: int) -> Text:
    return Text(
        f"imported {done.added:,} {'record' if done.added == 1 else 'records'},"
        f" {done.existing:,} already there, {bad:,} bad {'line' if bad == 1 else 'lines'}",
        f"利用記録 {done.added:,} 件を取り込みました。既にあったもの {done.existing:,}、読めない行 {bad:,}",
    )
