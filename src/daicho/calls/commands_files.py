"""``daicho calls import|export``: calls from files and into files."""

from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from daicho.calls.exchange import import_file
from daicho.calls.export import Chosen, CsvWriter, ordered, write_json
from daicho.calls.options import Client, Live, State, Transferred, checked_client, terminal_of
from daicho.calls.schemas import Imported
from daicho.core.errors import DaichoError
from daicho.core.language import Text, say
from daicho.core.options import Raw, Rejects, Since, Until
from daicho.core.terminal import destination, progress, put, source

app = typer.Typer()


class Format(StrEnum):
    """What ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command(
    "import",
    help=say(
        "Add calls from JSON lines; twice adds nothing.",
        "JSON Lines から通話を取り込む。2 度目は何も加えない。",
    ),
)
def import_(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help=say("Files to read; - is standard input.", "読むファイル。- は標準入力。")
        ),
    ],
    client: Annotated[
        str,
        typer.Option(
            help=say(
                "Whose calls they are, where the file does not say.",
                "ファイルに client_id がない通話のクライアント。",
            ),
            callback=checked_client,
        ),
    ] = "import",
    errors: Annotated[
        Path | None,
        typer.Option(
            help=say("Write every bad line's reason here.", "読めない行の理由をすべてこのファイルに書く。")
        ),
    ] = None,
) -> None:
    done = Imported()
    with ExitStack() as open_now:
        opened = [(name, *open_now.enter_context(source(name))) for name in files]
        log = open_now.enter_context(destination(errors)) if errors else None
        bad = Rejects(log)
        ledger = open_now.enter_context(terminal_of(context).open())
        for name, file, size in opened:
            with progress(name, size, in_bytes=True) as advance:
                done += import_file(
                    ledger.calls,
                    file,
                    client_id=client,
                    bad_line=partial(_report, bad, name if len(files) > 1 else None),
                    advance=advance,
                )
        bad.end()
    put(str(_summary(done, bad.count)))
    if bad.count:
        raise typer.Exit(1)


@app.command(
    help=say(
        "Write calls with their transcripts as JSON lines or CSV.",
        "通話と会話を JSON Lines か CSV で書き出す。",
    )
)
def export(
    context: typer.Context,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help=say(
                "Unset: what the file's name says, or jsonl.", "省略時はファイル名に従う。なければ jsonl。"
            ),
        ),
    ] = None,
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
    client: Client = None,
    state: State = None,
    transferred: Transferred = None,
    live: Live = None,
    since: Since = None,
    until: Until = None,
    bom: Annotated[
        bool,
        typer.Option(
            "--bom",
            help=say("CSV: begin with a byte order mark, for Excel.", "CSV: Excel 向けに BOM を付ける。"),
        ),
    ] = False,
    raw: Raw = False,
) -> None:
    chosen = Chosen(
        client_id=client, state=state, transferred=transferred, live=live, since=since, until=until
    )
    as_csv = (kind or _format_of(output)) is Format.CSV
    calls_written = lines_written = 0
    with (
        terminal_of(context).open() as ledger,
        destination(output, "utf-8-sig" if bom and as_csv else "utf-8") as to,
        progress(str(output or "-"), None) as advance,
    ):
        table = CsvWriter(to, raw=raw) if as_csv else None
        for call in ordered(ledger.calls, chosen):
            lines_written += table.write(ledger.calls, call) if table else write_json(ledger.calls, call, to)
            calls_written += 1
            advance(1)
    if output is not None and str(output) != "-":
        put(str(_written(calls_written, lines_written)))


def _report(bad: Rejects, file: str | None, number: int, error: DaichoError) -> None:
    """Report a line that cannot be read; ``file`` is None where there is but one."""
    where = say(f"line {number}", f"{number} 行目")
    bad.report(f"{file}: {where}: {error}" if file else f"{where}: {error}")


def _format_of(output: Path | None) -> Format:
    return Format.CSV if output is not None and output.suffix.lower() == ".csv" else Format.JSONL


def _summary(done: Imported, bad: int) -> Text:
    return Text(
        f"imported {_count(done.added, 'call')} ({_count(done.lines, 'line')}), "
        f"{done.existing:,} already there, {_count(bad, 'bad line')}",
        f"{done.added:,} 通話 ({done.lines:,} 行) を取り込みました。"
        f"既にあったもの {done.existing:,}、読めない行 {bad:,}",
    )


def _written(calls: int, lines: int) -> Text:
    return Text(
        f"exported {_count(calls, 'call')} ({_count(lines, 'line')})",
        f"{calls:,} 通話 ({lines:,} 行) を書き出しました",
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
