"""The operations on tasks: the only place that queries ``tasks``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from daicho.core.dialect import clock, insert
from daicho.core.errors import Conflict, Invalid, NotFound
from daicho.core.model import check_text
from daicho.core.operation import Mode, grouped, idempotent, operation, query
from daicho.core.page import LIMIT_MAX, Page, keyset
from daicho.core.types import now, uuid_text
from daicho.tasks.counting import Addition, add_up
from daicho.tasks.keeping import TaskKeeping
from daicho.tasks.models import COUNTS, Task
from daicho.tasks.process import STALE_AFTER, recorded_identity, why_gone
from daicho.tasks.rows import SETTABLE, checked, new_row, whole_count, whole_row
from daicho.tasks.schemas import ENDED, TASK, Adopted, Reaped, TaskStatus
from daicho.tasks.statements import fail_unseen, found, inserted, move, nothing, same, some, take


class TaskStore(TaskKeeping[Mode]):
    """``ledger.tasks``: coding-agent tasks (seed 001, ``TaskRepository``)."""

    room = "tasks"

    # -- seed 001, the table of 2.4.1 -----------------------------------------------------------------

    @operation
    def create(self, session: Session, task_data: Mapping[str, Any]) -> Task:
        """Record a new task.

        Args:
            task_data: values by the columns' names. Needed: ``task_source``, ``owner``, ``repo``,
                ``task_type``, ``task_id``. Unset, ``uuid`` is a new one, ``status`` is ``running`` and
                ``created_at`` is now; a task that runs has started.

        Returns the task as stored. The same uuid a second time changes nothing and returns the task
        that is there. Raises Conflict if that one is about something else; Invalid. Seed 001, ``create``.
        """
        row = new_row(task_data)
        return inserted(session, row) or same(session, row)

    @query
    def get_by_uuid(self, session: Session, uuid: str | UUID) -> Task | None:
        """Return a task, or None if there is none. Seed 001, ``get_by_uuid``."""
        return found(session, uuid)

    @operation
    def update(self, session: Session, uuid: str | UUID, updates: Mapping[str, Any]) -> Task | None:
        """Set columns of a task.

        Args:
            updates: values by the columns' names; ``status`` follows the rules of ``update_status``.

        Returns the task as it is then, or None if there is none. Raises Invalid for a column that does
        not exist or cannot be set; Conflict as ``update_status``. Seed 001, ``update``.
        """
        values = checked(updates)
        if "uuid" in values:
            raise Invalid("uuid cannot be changed", "uuid は変えられません")
        if empty := [name for name in values if values[name] is None and not SETTABLE[name].nullable]:
            raise Invalid(f"{empty[0]} cannot be empty", f"{empty[0]} は空にできません")
        status = values.pop("status", None)
        task = found(session, uuid, lock=True)
        if task is None:
            return None
        if "process_id" in values or "hostname" in values:
            pid, host = (values.get(name, getattr(task, name)) for name in ("process_id", "hostname"))
            values["process_identity"] = recorded_identity(pid, host, now())
            values["heartbeat_at"] = None  # was another's
        if (status or task.status) in ENDED and values.get("completed_at", now()) is None:
            raise Invalid(
                "completed_at cannot be empty: the task has ended",
                "completed_at は空にできません: タスクは終了しています",
            )
        if status is not None:
            move(session, task.uuid, TaskStatus(status))
        if values:
            session.execute(update(Task).where(Task.uuid == task.uuid).values(values))
        return session.execute(
            select(Task).where(Task.uuid == task.uuid), execution_options={"populate_existing": True}
        ).scalar_one()

    @operation
    def update_status(
        self,
        session: Session,
        uuid: str | UUID,
        status: str,
        error_message: str | None = None,
        *,
        claim: str | None = None,
    ) -> bool:
        """Move a task to a status, and note the time: ``started_at`` when it first runs, ``completed_at``
        when it ends.

        Args:
            status: pending, running, paused, completed, failed or stopped.
            error_message: why it failed or was stopped.
            claim: only if the task is still in the hands of who claimed it so (``Task.claim``).

        Returns whether there is such a task. The status that it has already changes nothing. Raises
        Invalid for an unknown status; Conflict where the task has ended (``resume`` takes it up again),
        or is in other hands. Seed 001, ``update_status``.
        """
        return move(session, uuid, TaskStatus.of(status), error_message, claim)

    @grouped(add_up)
    def update_statistics(
        self,
        uuid: str | UUID,
        llm_calls: int = 0,
        tool_calls: int = 0,
        tokens: int = 0,
        compressions: int = 0,
    ) -> Addition:
        """Add to a task's numbers, in the database: whoever else adds at the same time, nothing is lost.

        Returns, once it is durable, whether there is such a task. Raises Invalid for a negative number
        and for a sum beyond 2,147,483,647. Seed 001, ``update_statistics``.
        """
        numbers = (llm_calls, tool_calls, tokens, compressions)
        for name, number in zip(COUNTS, numbers, strict=True):
            whole_count(name, number)
        return Addition(uuid_text(uuid), numbers)

    @operation
    def complete(self, session: Session, uuid: str | UUID) -> bool:
        """Record that a task is done. As ``update_status``. Seed 001, ``complete``."""
        return move(session, uuid, TaskStatus.COMPLETED)

    @operation
    def fail(self, session: Session, uuid: str | UUID, error_message: str) -> bool:
        """Record that a task has failed, and why. As ``update_status``. Seed 001, ``fail``."""
        return move(session, uuid, TaskStatus.FAILED, error_message)

    @query
    def list_by_status(
        self, session: Session, status: str, limit: int = 100, offset: int = 0
    ) -> Sequence[Task]:
        """Return tasks of a status, newest first. ``list`` goes deep at less cost.

        Args:
            limit: 1 to 1,000. offset: how many to leave out.
        """
        return some(session, Task.status == TaskStatus.of(status).value, limit, offset)

    @query
    def list_by_user(self, session: Session, user: str, limit: int = 100, offset: int = 0) -> Sequence[Task]:
        """Return a user's tasks, newest first. As ``list_by_status``."""
        return some(session, Task.user == check_text("user", user), limit, offset)

    @operation
    def delete(self, session: Session, uuid: str | UUID) -> bool:
        """Delete a task; its files stay. Returns whether there was one. Seed 001, ``delete``."""
        gone = session.execute(delete(Task).where(Task.uuid == uuid_text(uuid)).returning(Task.uuid))
        return gone.first() is not None or nothing(uuid)

    # -- what Daicho adds -----------------------------------------------------------------------------

    @query
    def list(
        self,
        session: Session,
        *,
        status: str | Iterable[str] | None = None,
        task_source: str | None = None,
        owner: str | None = None,
        repo: str | None = None,
        task_type: str | None = None,
        task_id: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Task]:
        """Return tasks, newest first.

        Args:
            status: only tasks in this status, or in one of these.
            task_source, owner, repo, task_type, task_id, user: only tasks with this value.
            since, until: only tasks created at or after, and before, these aware instants.
            limit: tasks a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        wanted = {
            "task_source": task_source,
            "owner": owner,
            "repo": repo,
            "task_type": task_type,
            "task_id": task_id,
            "user": user,
        }
        statement = select(Task)
        if status is not None:
            statuses = [status] if isinstance(status, str) else status
            statement = statement.where(Task.status.in_([TaskStatus.of(one).value for one in statuses]))
        for name, value in wanted.items():
            if value is not None:
                statement = statement.where(getattr(Task, name) == check_text(name, value))
        if since is not None:
            statement = statement.where(Task.created_at >= since)
        if until is not None:
            statement = statement.where(Task.created_at < until)
        return keyset(
            session, statement, [Task.created_at, Task.uuid], limit=limit, cursor=cursor, descending=True
        )

    @query
    def find(self, session: Session, prefix: str) -> Task:
        """Return the one task whose uuid begins so.

        Raises NotFound if there is none; Invalid if there are several, or less than four characters.
        """
        digits = prefix.replace("-", "").lower()
        if len(digits) < 4:
            raise Invalid(
                f"{prefix!r}: at least four characters of the uuid",
                f"{prefix!r}: uuid の先頭を 4 文字以上書いてください",
            )
        first, last = uuid_text(digits.ljust(32, "0")), uuid_text(digits.ljust(32, "f"))
        if first is None or last is None:
            raise NotFound(TASK, prefix[:60])
        tasks = session.execute(
            select(Task).where(Task.uuid >= first, Task.uuid <= last).order_by(Task.uuid).limit(2)
        ).scalars()
        match tasks.all():
            case []:
                raise NotFound(TASK, prefix)
            case [task]:
                return task
            case _:
                raise Invalid(
                    f"{prefix!r} begins several uuids; write more of it",
                    f"{prefix!r} で始まる uuid が複数あります。もう少し長く書いてください",
                )

    @operation
    def stop(self, session: Session, uuid: str | UUID, error_message: str | None = None) -> bool:
        """Record that a task is stopped; its agent is told at its next heartbeat. As ``update_status``."""
        return move(session, uuid, TaskStatus.STOPPED, error_message)

    @operation
    def resume(
        self,
        session: Session,
        uuid: str | UUID,
        *,
        process_id: int | None = None,
        hostname: str | None = None,
    ) -> bool:
        """Take a task up again, whatever it was: it runs, it has not ended, and there is no error.

        Args:
            process_id, hostname: who works on it now.

        Returns whether there is such a task. Raises Conflict while another process works on it.
        """
        task = found(session, uuid, lock=True)
        if task is None:
            return nothing(uuid)
        take(session, task, {"process_id": process_id, "hostname": hostname})
        return True

    @operation
    def claim(self, session: Session, task_data: Mapping[str, Any], *, resume: bool = False) -> Task:
        """Record a new task, or take over one that waits, for the process that ``task_data`` names.

        Args:
            task_data: as for ``create``, with ``uuid``, ``process_id`` and ``hostname``.
            resume: take it over even if it has ended, or if its process has.

        Returns the task, which runs; its ``claim`` is new. Raises Conflict while another process works
        on it, if it has ended and is not to be resumed, or if it is about something else.
        """
        row = new_row({**task_data, "status": "running"})
        row |= {"heartbeat_at": clock(session), "claim": str(uuid4())}
        if (task := inserted(session, row)) is not None:
            return task
        task = same(session, row, lock=True)
        if not resume and task.status != TaskStatus.PENDING:
            raise Conflict(
                f"task {task.uuid} is {task.status} already; resume it",
                f"タスク {task.uuid} は既に {task.status} です。再開してください",
            )
        fresh = {name: row[name] for name in row if name in task_data and name not in {"uuid", "created_at"}}
        take(session, task, fresh)
        return session.execute(
            select(Task).where(Task.uuid == task.uuid), execution_options={"populate_existing": True}
        ).scalar_one()

    @idempotent
    def heartbeat(self, session: Session, uuid: str | UUID, *, claim: str | None = None) -> str | None:
        """Note that a task's process lives. Returns the task's status: other than ``running``, someone
        has stopped it. None if there is no such task, or it is not in the hands of ``claim`` any more.
        """
        mine = [Task.uuid == uuid_text(uuid), *([Task.claim == claim] if claim else [])]
        alive = (
            update(Task).where(*mine, Task.status == TaskStatus.RUNNING).values(heartbeat_at=clock(session))
        )
        status: str | None = session.execute(alive.returning(Task.status)).scalar()
        return status or session.scalar(select(Task.status).where(*mine))

    @operation
    def reap(
        self, session: Session, *, stale_after: timedelta = STALE_AFTER, dry_run: bool = False
    ) -> Sequence[Reaped]:
        """Mark tasks failed that run, as the ledger has it, but whose process is gone.

        A process of this machine is looked up; elsewhere the heartbeat decides. A task of which
        nobody here can know is left alone, and so is one that shows a sign of life meanwhile.

        Args:
            stale_after: how old the last heartbeat may be.
            dry_run: only say which they are.

        Returns the tasks and the reasons.
        """
        at = clock(session)
        running = select(Task).where(Task.status == TaskStatus.RUNNING)
        reaped: list[Reaped] = []
        cursor: str | None = None
        while True:
            page = keyset(session, running, [Task.uuid], limit=LIMIT_MAX, cursor=cursor)
            for task in page.items:
                reason = why_gone(task, at, stale_after)
                if reason is not None and (dry_run or fail_unseen(session, task, reason.en)):
                    reaped.append(Reaped(task, reason))
            if (cursor := page.next) is None:
                return reaped

    @idempotent
    def adopt(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> Adopted:
        """Add whole rows as an older program left them. One that is there already is left as it is.

        Raises Invalid for a row that cannot be: check each by ``Task.row`` before.
        """
        checked = {row["uuid"]: row for row in map(whole_row, rows)}
        statement = insert(session, Task).on_conflict_do_nothing(index_elements=["uuid"])
        added = set(
            session.execute(
                statement.returning(Task.uuid), [checked[key] for key in sorted(checked)]
            ).scalars()
        )
        there = session.execute(
            select(Task.uuid, Task.status).where(Task.uuid.in_(checked.keys() - added))
        ).all()
        differing = sorted(uuid for uuid, status in there if checked[uuid]["status"] != status)
        return Adopted(len(added), len(rows) - len(added), tuple(differing))
