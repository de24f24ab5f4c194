"""``daicho tasks adopt``: the tasks of an old agent's database."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from daicho.core.language import Text, say
from daicho.core.options import DryRun, Rejects, zone
from daicho.core.terminal import destination, note, printable, progress, put
from daicho.tasks.adoption import OldTasks, adopt, would_adopt
from daicho.tasks.adoption_own import has_ledger, source_of
from daicho.tasks.adoption_row import BadRow, RowReader
from daicho.tasks.options import terminal_of
from daicho.tasks.schemas import Adopted, TaskStatus

app = typer.Typer()

DIFFERING_SHOWN = 20


def meanings(pairs: list[str]) -> dict[str, TaskStatus]:
    """Read ``OLD=NEW`` pairs of statuses. Raises typer.BadParameter and Invalid."""
    found = {}
    for pair in pairs:
        old, equals, new = pair.rpartition("=")
        if not equals:
            raise typer.BadParameter(
                say(
                    f"--status {pair!r}: write OLD=NEW, such as weird=failed",
                    f"--status {pair!r}: OLD=NEW の形で書いてください (例: weird=failed)",
                )
            )
        found[old] = TaskStatus.of(new.strip().lower())
    return found


@app.command(
    "adopt",
    help=say(
        "Bring the tasks of an old agent's tasks.db into the ledger; twice adds nothing.",
        "旧エージェントの tasks.db のタスクを台帳に取り込む。2 度目は何も加えない。",
    ),
)
def adopt_(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help=say("The old agent's SQLite file.", "旧エージェントの SQLite ファイル。")
        ),
    ],
    timezone: Annotated[
        str,
        typer.Option(
            metavar="ZONE",
            help=say(
                "Where times were written that name no zone: Asia/Tokyo.",
                "時間帯のない時刻の時間帯: Asia/Tokyo など。",
            ),
        ),
    ] = "UTC",
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW",
            help=say(
                "What a status there means here; any number of times.",
                "旧データベースでの状態がどの状態に当たるか。複数指定可。",
            ),
        ),
    ] = None,
    dry_run: DryRun = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=say(
                "Write every reason why a task is not adopted here.",
                "取り込まない理由をすべてこのファイルに書く。",
            ),
        ),
    ] = None,
) -> None:
    terminal = terminal_of(context)
    reader = RowReader(zone(timezone), meanings(status or []))
    settings = terminal.settings()
    source = source_of(file, settings, move=not dry_run)
    if source.name != file.name:
        note(printable(say(f"the old database is {source} now", f"旧データベースは {source} になりました")))
    with ExitStack() as open_now:
        old = open_now.enter_context(OldTasks(source))
        rejects = Rejects(open_now.enter_context(destination(errors)) if errors else None)
        if dry_run and not has_ledger(settings):
            into = _all_new
        else:
            ledger = open_now.enter_context(terminal.open())
            into = partial(would_adopt, ledger.tasks) if dry_run else ledger.tasks.adopt
        with progress(str(file), len(old)) as advance:
            done = adopt(old, reader, into, refused=partial(_report, rejects), advance=advance)
        rejects.end()
        _note_taken_for_granted(old, reader, timezone)
    _note_differing(done)
    put(str(_summary(done, rejects.count, dry_run=dry_run)))
    if rejects.count:
        raise typer.Exit(1)


def _all_new(rows: Sequence[Mapping[str, Any]]) -> Adopted:
    """What ``tasks.adopt`` would do with a ledger that is not there yet."""
    return Adopted(len(rows))


def _report(rejects: Rejects, name: str, error: BadRow) -> None:
    rejects.report(say(f"task {name}: ", f"タスク {name}: ") + "; ".join(map(str, error.reasons)))


def _note_taken_for_granted(old: OldTasks, reader: RowReader, timezone: str) -> None:
    if reader.zoneless:
        note(
            say(
                f"{reader.zoneless:,} times without a zone were read as {timezone} (--timezone for another)",
                f"時間帯のない時刻 {reader.zoneless:,} 個を {timezone} として読みました (--timezone で変更)",
            )
        )
    if reader.undated:
        note(
            say(
                f"{reader.undated:,} without created_at: when it started, or ended, stands for it",
                f"created_at のない {reader.undated:,} 件は、開始または終了の時刻で代えました",
            )
        )
    if old.ignored:
        columns = printable(", ".join(old.ignored))
        note(say(f"columns not adopted: {columns}", f"取り込まない列: {columns}"))


def _note_differing(done: Adopted) -> None:
    if not done.differing:
        return
    count = len(done.differing)
    note(say(f"{count:,} there already in another status:", f"既にあり、状態が異なるもの {count:,} 件:"))
    for uuid in done.differing[:DIFFERING_SHOWN]:
        note(f"  {uuid}")
    if (more := count - DIFFERING_SHOWN) > 0:
        note(say(f"and {more:,} more", f"ほか {more:,} 件"))


def _summary(done: Adopted, refused: int, *, dry_run: bool) -> Text:
    tasks = f"{done.added:,} task" + ("" if done.added == 1 else "s")
    rest = Text(
        f"{tasks}, {done.existing:,} already there, {refused:,} not adopted",
        f"既にあったもの {done.existing:,}、取り込めないもの {refused:,}",
    )
    if dry_run:
        return Text(
            f"would adopt {rest.en} (--dry-run)",
            f"{done.added:,} タスクを取り込むところです。{rest.ja} (--dry-run)",
        )
    return Text(f"adopted {rest.en}", f"{done.added:,} タスクを取り込みました。{rest.ja}")
