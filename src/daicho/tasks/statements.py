"""What several operations on tasks share: how a task is found, begins, moves and is taken over."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from daicho.core.dialect import clock, insert
from daicho.core.errors import Conflict
from daicho.core.model import check_text
from daicho.core.page import check_limit, check_offset
from daicho.core.types import now, uuid_text
from daicho.tasks.models import Task
from daicho.tasks.process import STALE_AFTER, recorded_identity, why_gone
from daicho.tasks.rows import IDENTITY
from daicho.tasks.schemas import ENDED, LEADS_TO, TaskStatus

log = logging.getLogger("daicho")


def found(session: Session, uuid: str | UUID, *, lock: bool = False) -> Task | None:
    statement = select(Task).where(Task.uuid == uuid_text(uuid))
    return session.execute(statement.with_for_update() if lock else statement).scalar_one_or_none()


def nothing(uuid: str | UUID) -> bool:
    """Say in the log that there is no such task, as the answer says it: False."""
    log.debug("no such task: %.60s", uuid)
    return False


def inserted(session: Session, row: dict[str, Any]) -> Task | None:
    statement = insert(session, Task).values(row).on_conflict_do_nothing(index_elements=["uuid"])
    return session.execute(statement.returning(Task)).scalar_one_or_none()


def same(session: Session, row: Mapping[str, Any], *, lock: bool = False) -> Task:
    """Return the task of a row's uuid, which must be about the same thing."""
    task = found(session, row["uuid"], lock=lock)
    if task is not None and all(getattr(task, name) == row[name] for name in IDENTITY):
        return task
    raise Conflict(
        f"task {row['uuid']} is there already, and about something else",
        f"タスク {row['uuid']} は既にあり、対象が異なります",
    )


def some(session: Session, condition: Any, limit: int, offset: int) -> Sequence[Task]:
    newest = select(Task).where(condition).order_by(Task.created_at.desc(), Task.uuid.desc())
    page = newest.limit(check_limit(limit)).offset(check_offset(offset))
    return session.execute(page).scalars().all()


def move(
    session: Session,
    uuid: str | UUID,
    status: TaskStatus,
    error_message: str | None = None,
    claim: str | None = None,
) -> bool:
    """Move a task to a status if its present one leads there; return whether there is such a task."""
    key, moment = uuid_text(uuid), now()
    values: dict[str, Any] = {"status": status.value}
    if status is TaskStatus.RUNNING:
        values["started_at"] = func.coalesce(Task.started_at, moment)
        values["heartbeat_at"] = case((Task.heartbeat_at.is_not(None), clock(session)))
    if status.ended:
        values["completed_at"] = func.coalesce(Task.completed_at, moment)
    if error_message is not None:
        message = check_text("error_message", error_message)
        # What was said when it ended stays: who ends it a second time knows less.
        first = func.coalesce(Task.error_message, message) if status.ended else message
        values["error_message"] = case((Task.status == status.value, first), else_=message)
    left = [other.value for other in TaskStatus if other not in LEADS_TO[status]]
    mine = [Task.uuid == key, *([Task.claim == claim] if claim else [])]
    moved = session.execute(
        update(Task).where(*mine, Task.status.not_in(left)).values(values).returning(Task.uuid)
    )
    if moved.first() is not None:
        return True
    task = found(session, uuid)
    if task is None:
        return nothing(uuid)
    if claim and task.claim != claim:
        raise Conflict(
            f"task {key} is in the hands of another process", f"タスク {key} は別のプロセスが引き継いでいます"
        )
    raise Conflict(
        f"task {key} is {task.status}: it cannot become {status.value}"
        + (" unless it is resumed" if task.status in ENDED else ""),
        f"タスク {key} は {task.status} なので {status.value} にできません"
        + ("。先に再開してください" if task.status in ENDED else ""),
    )


def take(session: Session, task: Task, values: Mapping[str, Any]) -> None:
    """Let a locked task run, for the process that the values name.

    Raises Conflict while another process works on it, as far as anyone here can know.
    """
    process = Task.row(process_id=values.get("process_id"), hostname=values.get("hostname"))
    process["process_identity"] = recorded_identity(process["process_id"], process["hostname"], now())
    at = clock(session)
    seen = task.process_id is not None or task.heartbeat_at is not None
    own = task.process_identity is not None and task.process_identity == process["process_identity"]
    if task.status == TaskStatus.RUNNING and seen and not own and why_gone(task, at, STALE_AFTER) is None:
        where = f"{task.process_id or '?'} ({task.hostname or '?'})"
        raise Conflict(
            f"task {task.uuid} is being worked on by process {where}",
            f"タスク {task.uuid} はプロセス {where} が処理中です",
        )
    taken = {
        **values,
        **process,
        "heartbeat_at": at if process["process_id"] else None,
        "claim": str(uuid4()),
        "status": TaskStatus.RUNNING.value,
        "started_at": func.coalesce(Task.started_at, now()),
        "completed_at": None,
        "error_message": None,
    }
    session.execute(update(Task).where(Task.uuid == task.uuid).values(taken))


def fail_unseen(session: Session, task: Task, reason: str) -> bool:
    """Mark a task failed unless anything of its process has changed since it was read."""
    failed = session.execute(
        update(Task)
        .where(
            Task.uuid == task.uuid,
            Task.status == TaskStatus.RUNNING,
            Task.process_id.is_not_distinct_from(task.process_id),
            Task.process_identity.is_not_distinct_from(task.process_identity),
            Task.heartbeat_at.is_not_distinct_from(task.heartbeat_at),
        )
        .values(status=TaskStatus.FAILED.value, completed_at=now(), error_message=reason)
        .returning(Task.uuid)
    )
    return failed.first() is not None
