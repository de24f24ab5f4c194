"""``daicho tasks stop|reap|repair|delete``: what puts tasks and their folders right, or away."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.errors import Conflict, DaichoError
from daicho.core.language import Text, say
from daicho.core.options import DryRun, Json, Yes
from daicho.core.terminal import note, printable, put, put_json
from daicho.tasks import shown
from daicho.tasks.files import TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.needs import TaskLedger
from daicho.tasks.options import StaleAfter, TaskId, files_of, terminal_of
from daicho.tasks.process import STALE_AFTER
from daicho.tasks.repair import Finding, examine
from daicho.tasks.schemas import ENDED

app = typer.Typer()


class ReapedOut(BaseModel):
    """A line of ``reap --json``."""

    uuid: str
    reason: str


class FindingOut(BaseModel):
    """A line of ``repair --json``. ``mended`` is false where nothing was done, or nothing can be."""

    uuid: str
    problem: str
    remedy: str | None
    mended: bool


@app.command(help=say("Stop tasks: their agents are told.", "タスクを停止し、エージェントに知らせる。"))
def stop(
    context: typer.Context,
    uuids: Annotated[
        list[str],
        typer.Argument(
            metavar="UUID...",
            help=say("The tasks' uuids, or how they begin.", "タスクの uuid またはその先頭。"),
        ),
    ],
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help=say("Why; it is kept.", "理由 (記録される)。"))
    ] = None,
) -> None:
    failures = Failures()
    with terminal_of(context).open() as ledger:
        for uuid in uuids:
            with failures.told():
                put(_stopped(ledger, uuid, reason))
    failures.end()


@app.command(
    help=say("Mark tasks failed whose process is gone.", "プロセスがなくなったタスクを failed にする。")
)
def reap(
    context: typer.Context, stale_after: StaleAfter = None, dry_run: DryRun = False, json: Json = False
) -> None:
    failures = Failures()
    with terminal_of(context).open() as ledger:
        found = ledger.tasks.reap(stale_after=stale_after or STALE_AFTER, dry_run=dry_run)
        for one in found:
            if json:
                put_json(ReapedOut(uuid=one.task.uuid, reason=one.reason.en))
            else:
                put(printable(f"{one.task.uuid}  {one.reason}"))
            if not dry_run:
                with failures.told():
                    _settled(ledger, one.task.uuid)
    if not found:
        note(say("nothing to reap", "該当するタスクはありません"))
    elif dry_run:
        note(say("nothing was changed (--dry-run)", "何も変えていません (--dry-run)"))
    failures.end()


@app.command(
    help=say(
        "Mend what crashes have left between ledger and folders.",
        "異常終了で生じた、台帳とフォルダーの食い違いを直す。",
    )
)
def repair(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    failures = Failures()
    any_found = False
    with terminal_of(context).open() as ledger:
        for finding in examine(ledger.tasks, files_of(ledger)):
            any_found, mended = True, False
            if finding.remedy is None:
                failures.count += 1
            elif not dry_run:
                with failures.told(finding.uuid):
                    finding.mend()
                    mended = True
            _put_finding(finding, mended=mended, json=json)
    if not any_found:
        note(say("nothing to mend", "直すところはありません"))
    elif dry_run:
        note(say("nothing was changed (--dry-run)", "何も変えていません (--dry-run)"))
    failures.end()


@app.command(help=say("Delete a task and its files.", "タスクとそのファイルを削除する。"))
def delete(
    context: typer.Context,
    uuid: TaskId,
    yes: Yes = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help=say("Leave its folder where it is.", "フォルダーは残す。"))
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help=say("Even while a process works on it.", "処理中でも削除する。")),
    ] = False,
) -> None:
    with terminal_of(context).open() as ledger:
        task, files = ledger.tasks.find(uuid), files_of(ledger)
        hold = nullcontext() if force else files.take_if_free(task)
        if hold is None:
            raise Conflict(
                f"task {task.uuid} is being worked on; stop it first, or --force",
                f"タスク {task.uuid} は処理中です。先に停止するか --force を付けてください",
            )
        if not yes and not typer.confirm(_question(task, keep_files), err=True):
            raise typer.Exit(1)
        with hold:
            if keep_files:
                ledger.tasks.delete(task.uuid)
            else:
                delete_with_files(ledger, files, task.uuid)


class Failures:
    """Counts what could not be done where the rest is to be done all the same."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def told(self, uuid: str | None = None) -> Iterator[None]:
        """Say an error and go on; ``uuid`` names whose it is, where the error does not."""
        try:
            yield
        except DaichoError as error:
            self.count += 1
            note("daicho: " + printable(f"{uuid}: {error}" if uuid else str(error)))

    def end(self) -> None:
        """Exit with 1 if anything could not be done."""
        if self.count:
            raise typer.Exit(1)


def _stopped(ledger: TaskLedger, prefix: str, reason: str | None) -> str:
    """Stop a task; say what that means for its agent or its folder."""
    task = ledger.tasks.find(prefix)
    if task.status in ENDED:
        raise Conflict(
            f"task {task.uuid} has ended already: {task.status}",
            f"タスク {task.uuid} は既に終了しています: {task.status}",
        )
    ledger.tasks.stop(task.uuid, reason)
    if not _settled(ledger, task.uuid):
        return say(
            f"{task.uuid}  stopped; its agent is told at its next heartbeat",
            f"{task.uuid}  停止しました。エージェントには次のハートビートで伝わります",
        )
    folder = files_of(ledger).folder(task.uuid)
    if folder is None:
        return say(
            f"{task.uuid}  stopped; nobody works on it",
            f"{task.uuid}  停止しました。処理中のプロセスはありません",
        )
    return say(
        f"{task.uuid}  stopped; nobody works on it, its folder is {folder}",
        f"{task.uuid}  停止しました。処理中のプロセスはなく、フォルダーは {folder} です",
    )


def _settled(ledger: TaskLedger, uuid: str) -> bool:
    """Let a task's folder follow its status; return False where an agent still works there."""
    task = ledger.tasks.get_by_uuid(uuid)
    return task is None or files_of(ledger).settle_if_free(task)


def delete_with_files(ledger: TaskLedger, files: TaskFiles, uuid: str) -> None:
    """Delete a task and its folder; where it is broken off in between, ``repair`` knows what to do."""
    with files.out_of_sight(uuid):
        ledger.tasks.delete(uuid)
    files.discard(uuid)


def _question(task: Task, keep_files: bool) -> str:
    named = f"{task.uuid} ({task.owner}/{task.repo} {shown.what(task)}, {task.status})"
    if keep_files:
        return say(
            f"Delete task {named}, but not its files?", f"タスク {named} を削除しますか (ファイルは残します)"
        )
    return say(f"Delete task {named} and its files?", f"タスク {named} とそのファイルを削除しますか")


def _put_finding(finding: Finding, *, mended: bool, json: bool) -> None:
    if json:
        remedy = None if finding.remedy is None else finding.remedy.en
        put_json(FindingOut(uuid=finding.uuid, problem=finding.problem.en, remedy=remedy, mended=mended))
        return
    by_hand = Text("this needs a person", "人の判断が必要です")
    put(printable(f"{finding.uuid}  {finding.problem} → {finding.remedy or by_hand}"))
