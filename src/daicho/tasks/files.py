"""The folders of tasks: ``running/<uuid>``, ``paused/<uuid>``, ``completed/<uuid>``, and what is in them.

The database says how far a task is; its folder follows. Every move is one rename.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from daicho.core.errors import Conflict, Unavailable
from daicho.core.types import uuid_text
from daicho.tasks import jsonl, lock
from daicho.tasks.jsonl import Lines, to_json
from daicho.tasks.lock import Hold
from daicho.tasks.models import ADDED, Task
from daicho.tasks.process import hostname, lives
from daicho.tasks.schemas import ENDED, CurrentMessage, Message, Record, Summary, TaskStatus, ToolCall

R = TypeVar("R", bound=Record)
T = TypeVar("T")

RUNNING, PAUSED, COMPLETED = PLACES = ("running", "paused", "completed")
DELETED = "deleted"
"""Where a folder waits while its task is being deleted."""
METADATA = "metadata.json"
MESSAGES = "messages.jsonl"
CURRENT = "current.jsonl"
SUMMARIES = "summaries.jsonl"
TOOLS = "tools.jsonl"
LINES = (MESSAGES, CURRENT, SUMMARIES, TOOLS)


def place_of(status: str) -> str:
    """The folder in which a task of this status has its own."""
    if status == TaskStatus.PAUSED:
        return PAUSED
    return COMPLETED if status in ENDED else RUNNING


class TaskFiles:
    """The folders of all tasks. Reading needs no database and never changes a file.

    Args:
        base_dir: ``context_storage.base_dir`` of the settings.
    """

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir.absolute()  # agents change their working folder

    def folder(self, uuid: str) -> Path | None:
        """Return a task's folder, wherever it is now; None if it has none."""
        found = self.folders(uuid)
        return found[0] if found else None

    def folders(self, uuid: str) -> list[Path]:
        """Return every folder of a task: more than one only if someone has copied it."""
        name = uuid_text(uuid)
        paths = [self.base_dir / place / name for place in PLACES] if name else []
        return [path for path in paths if path.is_dir()]

    def every(self, place: str) -> Iterator[str]:
        """Yield the uuids of the tasks that have a folder in a place."""
        try:
            names = sorted(entry.name for entry in (self.base_dir / place).iterdir())
        except FileNotFoundError:
            return
        yield from (name for name in names if uuid_text(name) == name)

    # -- reading --------------------------------------------------------------------------------------

    def messages(
        self, uuid: str, *, limit: int = 100, cursor: int | None = None, newest_first: bool = False
    ) -> Lines[Message]:
        """Return some of a task's messages. Arguments and result as for ``jsonl.read``."""
        return self._read(uuid, MESSAGES, Message, limit, cursor, newest_first)

    def current(
        self, uuid: str, *, limit: int = 100, cursor: int | None = None, newest_first: bool = False
    ) -> Lines[CurrentMessage]:
        """Return some of the messages that the model is sent next. As ``messages``."""
        return self._read(uuid, CURRENT, CurrentMessage, limit, cursor, newest_first)

    def summaries(
        self, uuid: str, *, limit: int = 100, cursor: int | None = None, newest_first: bool = False
    ) -> Lines[Summary]:
        """Return some of a task's summaries. As ``messages``."""
        return self._read(uuid, SUMMARIES, Summary, limit, cursor, newest_first)

    def tool_calls(
        self, uuid: str, *, limit: int = 100, cursor: int | None = None, newest_first: bool = False
    ) -> Lines[ToolCall]:
        """Return some of a task's tool calls. As ``messages``."""
        return self._read(uuid, TOOLS, ToolCall, limit, cursor, newest_first)

    def _read(
        self, uuid: str, name: str, kind: type[R], limit: int, cursor: int | None, newest_first: bool
    ) -> Lines[R]:
        for _ in PLACES:  # a task that ends just now moves its folder
            folder = self.folder(uuid)
            if folder is not None:
                found = jsonl.read(folder / name, kind, limit=limit, cursor=cursor, newest_first=newest_first)
                if found.end or folder.is_dir():
                    return found
        return Lines([], None, 0)

    # -- changing -------------------------------------------------------------------------------------

    def make(self, uuid: str) -> Path:
        """Make a task's folder under ``running``, unless it has one; return it."""
        path = self.folder(uuid) or self.base_dir / RUNNING / uuid
        aside = self.base_dir / DELETED / uuid
        if not path.is_dir() and aside.is_dir():  # its deletion was broken off
            _moved(aside, path)
        _reported(path, lambda: path.mkdir(parents=True, exist_ok=True))
        return path

    def take(self, uuid: str) -> Hold | None:
        """Hold a task's folder; None while someone works in it. One that is not there nobody works in."""
        while (path := self.folder(uuid)) is not None:
            try:
                hold = lock.take(path)
            except FileNotFoundError:
                continue  # it has just moved
            except OSError as error:
                raise jsonl.unread(path, error) from None
            if hold is None or self.folder(uuid) == path:
                return hold
            hold.release()
        return Hold(None)

    def take_if_free(self, task: Task) -> Hold | None:
        """As ``take``; None also while a process may live that works on the task without holding its
        folder here, as other programs and other machines do."""
        if (task.claim is None or task.hostname != hostname()) and lives(task):
            return None
        return self.take(task.uuid)

    def settle(self, task: Task) -> Path | None:
        """Bring a task's folder to where its status belongs, and its ``metadata.json`` up to date.

        Only for who holds the folder. Returns the folder; None if there is none. Raises Conflict when
        there are two.
        """
        match self.folders(task.uuid):
            case []:
                return None
            case [here]:
                there = self.base_dir / place_of(task.status) / task.uuid
                if here != there:
                    _moved(here, there)
                write_metadata(there, task)
                return there
            case several:
                shown = ", ".join(map(str, several))
                raise Conflict(
                    f"task {task.uuid} has several folders: {shown}; keep one",
                    f"タスク {task.uuid} のフォルダーが複数あります: {shown}。1 つだけ残してください",
                )

    def settle_if_free(self, task: Task) -> bool:
        """``settle``, if nobody works in the folder; return whether that is so. Whoever does will do it."""
        hold = self.take_if_free(task)
        if hold is None:
            return False
        with hold:
            self.settle(task)
        return True

    def take_to_delete(self, task: Task) -> Hold:
        """Hold a task's folder. Raises Conflict while someone works on the task."""
        hold = self.take_if_free(task)
        if hold is None:
            raise Conflict(
                f"task {task.uuid} is being worked on; stop it first",
                f"タスク {task.uuid} は処理中です。先に停止してください",
            )
        return hold

    @contextmanager
    def out_of_sight(self, uuid: str) -> Iterator[None]:
        """Keep a task's folder aside while the task is deleted, and put it back if that fails.

        In this order a crash never leaves a folder that looks like a lost record. ``discard`` it after.
        """
        self.set_aside(uuid)
        try:
            yield
        except BaseException:
            self.put_back(uuid)
            raise

    def set_aside(self, uuid: str) -> Path | None:
        """Take a task's folder out of sight before the task is deleted; None if it has none."""
        here = self.folder(uuid)
        if here is None:
            return None
        there = self.base_dir / DELETED / here.name
        _moved(here, there)
        return there

    def put_back(self, uuid: str) -> None:
        """Undo ``set_aside``; does nothing if nothing was set aside."""
        if (self.base_dir / DELETED / uuid).is_dir():
            _moved(self.base_dir / DELETED / uuid, self.base_dir / COMPLETED / uuid)

    def discard(self, uuid: str) -> None:
        """Remove for good what was set aside."""
        path = self.base_dir / DELETED / uuid
        if path.is_symlink():
            _reported(path, path.unlink)
        elif path.is_dir():
            _reported(path, lambda: shutil.rmtree(path))


def metadata_of(task: Task) -> dict[str, Any]:
    """What ``metadata.json`` says of a task."""
    return {name: _plain(value) for name, value in task.values().items() if name not in ADDED}


def write_metadata(folder: Path, task: Task) -> None:
    """Write what the ledger knows of a task into its folder."""
    jsonl.replace(folder / METADATA, to_json(metadata_of(task)))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _moved(here: Path, there: Path) -> None:
    def move() -> None:
        there.parent.mkdir(parents=True, exist_ok=True)
        here.rename(there)
        jsonl.sync_folder(there.parent)
        jsonl.sync_folder(here.parent)

    _reported(here, move)


def _reported(path: Path, act: Callable[[], T]) -> T:
    """Do something with a folder; what the system refuses is Unavailable, naming it."""
    try:
        return act()
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise Conflict(f"{path}: {error.strerror}") from None
        raise Unavailable(f"{error.filename or path}: {error.strerror}") from None
