"""Old tasks that leave with their folders, and what is left of a user who is to be forgotten.

A folder goes in the order in which ``daicho tasks delete`` takes it away: out of sight, then the row, then
for good. So a run that is killed leaves nothing that looks like a lost record, and the next one goes on.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.errors import Conflict
from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.operation import Mode
from daicho.core.pace import Pace
from daicho.core.page import LIMIT_MAX
from daicho.core.person import FORGOTTEN, Fate, Person, Rows, Trace
from daicho.core.sweep import Advance, Aged, Gone, Sweep
from daicho.tasks.files import DELETED, TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.schemas import ENDED

AT_ONCE = 50
"""Folders that are held at once."""
FOLDERS = "folders"
"""The name under which folders are counted."""
OVER = Task.status.in_([one.value for one in ENDED])


def _old(moment: datetime) -> ColumnElement[bool]:
    ended = func.coalesce(Task.completed_at, Task.started_at, Task.created_at)
    return and_(OVER, Task.created_at < moment, ended < moment)


class Tasks(Sweep):
    """Tasks that have ended, with their folders where this machine has them."""

    def __init__(self, folders: TaskFiles) -> None:
        self._folders = folders
        super().__init__("tasks", Task.uuid, "completed_at", _old, (Task.created_at, Task.uuid))

    def count(self, place: Session, moment: datetime) -> Gone:
        due = select(Task.uuid).where(_old(moment)).execution_options(yield_per=LIMIT_MAX)
        rows = folders = 0
        for uuid in place.scalars(due):
            rows += 1
            folders += self._folders.folder(uuid) is not None
        return {self.table: rows, FOLDERS: folders}

    def drop(self, place: Database, moment: datetime, *, files: bool, advance: Advance) -> Gone:
        if not files:
            return super().drop(place, moment, files=files, advance=advance)
        discard_leftovers(place, self._folders)
        gone: Counter[str] = Counter({self.table: 0, FOLDERS: 0})
        pace = Pace()
        for page in self.pages(place, moment):
            left = page
            while left:
                count = min(pace.size, AT_ONCE)
                some, left = left[:count], left[count:]
                with pace.step():
                    went = self._with_folders(place, moment, some)
                gone.update(went)
                place.changes.mark(frozenset({"tasks"}))
                advance(went[self.table])
        return gone

    def _with_folders(self, database: Database, moment: datetime, uuids: Sequence[str]) -> Gone:
        folders = self._folders
        with aside(folders, uuids) as (free, moved):
            went, _ = database.run(partial(self.drop_some, moment, free, len(free)), idempotent=True)
            there = database.run(partial(_there, free), writes=False)
            for uuid in moved:
                if uuid in there:
                    folders.put_back(uuid)
            taken = [uuid for uuid in moved if uuid not in there]
        for uuid in free:
            if uuid not in there:
                folders.discard(uuid)
        return {**went, FOLDERS: len(taken)}


@contextmanager
def aside(folders: TaskFiles, uuids: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Take the folders of some tasks out of sight; put them back if what follows fails.

    Gives the tasks in whose folders nobody works, and those of them that have one.
    """
    with ExitStack() as holds:
        free: list[str] = []
        moved: list[str] = []
        try:
            for uuid in uuids:
                hold = folders.take(uuid)
                if hold is None:
                    continue
                holds.enter_context(hold)
                try:
                    if folders.set_aside(uuid) is not None:
                        moved.append(uuid)
                except Conflict:  # a deletion was broken off, and it has another folder now: `repair` tells
                    continue
                free.append(uuid)
            yield free, moved
        except BaseException:
            for uuid in moved:
                folders.put_back(uuid)
            raise


def discard_leftovers(database: Database, folders: TaskFiles) -> None:
    """Remove for good what was set aside for tasks that are gone: their deletion was broken off."""
    names = list(folders.every(DELETED))
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        there = database.run(partial(_there, some), writes=False)
        for uuid in some:
            if uuid not in there:
                folders.discard(uuid)


def _there(uuids: Sequence[str], session: Session) -> set[str]:
    return set(session.scalars(select(Task.uuid).where(Task.uuid.in_(uuids))))


class Folders(Trace):
    """The folders of a user's tasks: what was said while they were worked on."""

    table, fate = "contexts", Fate.REMOVED

    def __init__(self, theirs: ColumnElement[bool], folders: TaskFiles) -> None:
        self._theirs, self._folders = theirs, folders

    def count(self, place: Session) -> int:
        found = place.scalars(select(Task.uuid).where(self._theirs))
        return sum(self._folders.folder(uuid) is not None for uuid in found)

    def erase(self, place: Database, advance: Advance) -> int:
        folders = self._folders
        uuids = place.run(self._uuids, writes=False)
        removed = 0
        for start in range(0, len(uuids), AT_ONCE):
            with aside(folders, uuids[start : start + AT_ONCE]) as (free, moved):
                pass
            for uuid in free:
                folders.discard(uuid)
            removed += len(moved)
            advance(len(moved))
        return removed

    def _uuids(self, session: Session) -> list[str]:
        return list(session.scalars(select(Task.uuid).where(self._theirs).order_by(Task.uuid)))


class TaskKeeping(Keeping[Mode]):
    """The part of ``ledger.tasks`` that old tasks and users leave by."""

    room = "tasks"

    @property
    def aged(self) -> Sequence[Aged]:
        return (Tasks(self._folders),)

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """A user's tasks stay for their numbers and cost; their folders, and whose they were, do not."""
        if not person.users:
            return ()
        names = person.users
        theirs = and_(OVER, or_(Task.user.in_(names), Task.owner.in_(names)))
        values: dict[str, Any] = {
            "user": case((Task.user.is_not(None), person.alias)),
            "owner": case((Task.owner.in_(names), person.alias), else_=Task.owner),
            "error_message": case((Task.error_message.is_not(None), FORGOTTEN)),
        }
        return (Folders(theirs, self._folders), Rows("tasks", Task, theirs, values))

    @property
    def _folders(self) -> TaskFiles:
        return TaskFiles(self.runner.database.settings.context_storage.base_dir)

    def left_of(self, session: Session, person: Person) -> list[Text]:
        names = person.users
        live = select(Task.uuid).where(~OVER, or_(Task.user.in_(names), Task.owner.in_(names))).limit(100)
        return [
            Text(
                f"task {uuid} has not ended, and its folder is in use; stop it and run this again",
                f"タスク {uuid} は終了しておらず、フォルダーも使用中です。停止後にもう一度実行してください",
            )
            for uuid in session.scalars(live)
        ]
