"""What a crash has left between the ledger and the folders of tasks, and how it is mended.

The ledger says how far a task is; its folder follows. A task that is being worked on is left alone.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.operation import Sync
from daicho.core.types import now, uuid_text
from daicho.tasks import files as names
from daicho.tasks.conversation import Conversation
from daicho.tasks.files import TaskFiles, metadata_of, place_of
from daicho.tasks.jsonl import is_torn
from daicho.tasks.models import Task
from daicho.tasks.process import hostname, lives
from daicho.tasks.rows import SETTABLE
from daicho.tasks.schemas import ENDED, TaskStatus
from daicho.tasks.store import TaskStore

TIMES = ("created_at", "started_at", "completed_at")
FOUND = "found without a record; how it went is not known"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit together.

    Attributes:
        uuid: whose it is.
        problem: what is wrong.
        remedy: what ``mend`` does; None if no program can know what is right.
        mend: mends it; does nothing without a remedy. Raises what ledger and folders raise.
    """

    uuid: str
    problem: Text
    remedy: Text | None
    mend: Callable[[], object]


def examine(tasks: TaskStore[Sync], files: TaskFiles) -> Iterator[Finding]:
    """Yield what does not fit together, folder by folder; mend each before asking for the next.

    A folder is held while it is looked at and mended, so that no agent works in it meanwhile; one that
    an agent holds is passed over.
    """
    for uuid in files.every(names.DELETED):
        yield _half_deleted(tasks, files, uuid)
    for uuid in sorted({uuid for place in names.PLACES for uuid in files.every(place)}):
        with files.take(uuid) or nullcontext() as hold:
            if hold is None:
                continue
            task = tasks.get_by_uuid(uuid)
            match files.folders(uuid):
                case [folder] if task is None:
                    yield _without_record(tasks, files, folder)
                case [folder] if task is not None and not _may_be_worked_on(task):
                    yield from _folder(files, folder, task)
                case [_, _, *_] as several:
                    yield _finding(
                        uuid,
                        f"has several folders: {_shown(several)}; keep one",
                        f"フォルダーが複数あります: {_shown(several)}。1 つだけ残してください",
                    )


def _may_be_worked_on(task: Task) -> bool:
    """Whether a program that does not hold its folder may be at work on a task."""
    elsewhere = task.claim is None or task.hostname != hostname()
    return lives(task) and (elsewhere or task.status == TaskStatus.RUNNING)


def _folder(files: TaskFiles, folder: Path, task: Task) -> Iterator[Finding]:
    """What is wrong with a folder that nobody works in."""
    if torn := [name for name in names.LINES if is_torn(folder / name)]:
        yield Finding(
            task.uuid,
            Text(f"unfinished last line: {', '.join(torn)}", f"最後の行が途中です: {', '.join(torn)}"),
            Text(
                "complete it, or cut it and keep what is cut in *.torn",
                "完成させるか、切り取って *.torn に残します",
            ),
            lambda: Conversation(folder).close(),
        )
    if left := list(folder.glob("*.tmp")):
        yield Finding(
            task.uuid,
            Text(f"half-written: {_shown(left)}", f"書きかけ: {_shown(left)}"),
            Text("remove it: the whole file is there", "削除します (完全なファイルがあります)"),
            lambda: _remove(left),
        )
    place = place_of(task.status)
    if folder.parent.name != place:
        yield Finding(
            task.uuid,
            Text(
                f"is {task.status}, but its folder is in {folder.parent.name}",
                f"{task.status} ですが、フォルダーは {folder.parent.name} にあります",
            ),
            Text(f"move it to {place}", f"{place} に移します"),
            lambda: files.settle(task),
        )
    elif _metadata(folder) != metadata_of(task):
        yield Finding(
            task.uuid,
            Text("metadata.json is not what the ledger says", "metadata.json が台帳と異なります"),
            Text("write it anew", "書き直します"),
            lambda: files.settle(task),
        )


def _without_record(tasks: TaskStore[Sync], files: TaskFiles, folder: Path) -> Finding:
    """A folder whose task the ledger does not know: its metadata may tell enough to record it."""
    uuid = folder.name
    problem = Text("the ledger has no such task", "台帳にタスクがありません")
    if not any(path.stat().st_size for path in folder.iterdir()):
        nothing = Text(
            "remove its folder: there is nothing in it", "フォルダーを削除します (中身はありません)"
        )
        return Finding(uuid, problem, nothing, lambda: _discard(files, uuid))
    row = _row(_metadata(folder), uuid)
    if row is None:
        return _finding(
            uuid,
            f"the ledger has no such task, and {folder / names.METADATA} does not tell what it was",
            f"台帳にタスクがなく、{folder / names.METADATA} からも内容がわかりません",
        )
    record = Text(f"record it as {row['status']}", f"{row['status']} として記録します")
    return Finding(uuid, problem, record, lambda: files.settle(tasks.create(row)))


def _half_deleted(tasks: TaskStore[Sync], files: TaskFiles, uuid: str) -> Finding:
    problem = Text("its deletion was broken off", "削除が途中で止まっています")
    task = tasks.get_by_uuid(uuid)
    if task is None:
        done = Text("remove its folder", "フォルダーを削除します")
        return Finding(uuid, problem, done, lambda: files.discard(uuid))
    if (other := files.folder(uuid)) is not None:
        aside = files.base_dir / names.DELETED / uuid
        return _finding(
            uuid,
            f"its deletion was broken off, and it has another folder now: {_shown([aside, other])}; keep one",
            f"削除が途中で止まり、別のフォルダーもあります: {_shown([aside, other])}。1 つだけ残してください",
        )
    back = Text("put its folder back; delete it again", "フォルダーを戻します。もう一度削除してください")

    def put_back() -> None:
        files.put_back(uuid)
        files.settle_if_free(task)

    return Finding(uuid, problem, back, put_back)


def _discard(files: TaskFiles, uuid: str) -> None:
    files.set_aside(uuid)
    files.discard(uuid)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _metadata(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / names.METADATA).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _row(metadata: dict[str, Any] | None, uuid: str) -> dict[str, Any] | None:
    """A task's row as its folder tells it; None if that is not enough."""
    if metadata is None or uuid_text(metadata.get("uuid", uuid)) != uuid:
        return None
    row = {name: value for name, value in metadata.items() if name in SETTABLE}
    try:
        row |= {name: datetime.fromisoformat(row[name]) for name in TIMES if row.get(name)}
        if row.get("status") not in ENDED:
            row |= {"status": TaskStatus.FAILED.value, "error_message": FOUND, "completed_at": now()}
        Task.row(**row)
    except (DaichoError, TypeError, ValueError):
        return None
    needed = ("task_source", "owner", "repo", "task_type", "task_id")
    return {**row, "uuid": uuid} if all(row.get(name) for name in needed) else None


def _finding(uuid: str, en: str, ja: str) -> Finding:
    return Finding(uuid, Text(en, ja), None, lambda: None)


def _shown(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths)
