"""Rows of ``tasks`` on their way in: checked by the columns that callers may set, and made whole."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from daicho.core.errors import Invalid
from daicho.core.model import unknown_name
from daicho.core.types import now
from daicho.tasks.models import ADDED, COUNTS, Task
from daicho.tasks.process import recorded_identity
from daicho.tasks.schemas import TaskStatus

IDENTITY = ("task_source", "owner", "repo", "task_type", "task_id")
"""What a task is about: two records of one uuid must agree in it."""
SETTABLE = {column.key: column for column in Task.__table__.columns if column.key not in ADDED}


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check values by the columns that callers may set."""
    for name in values:
        if name not in SETTABLE:
            raise unknown_name(str(name), SETTABLE)
    row = Task.row(**values)
    for name in COUNTS:
        if row.get(name) is not None:
            whole_count(name, row[name])
    if row.get("status") is not None:
        row["status"] = TaskStatus.of(row["status"]).value
    return row


def new_row(task_data: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in checked(task_data).items() if value is not None}
    if missing := [name for name in IDENTITY if name not in given]:
        raise Invalid(f"{missing[0]} is missing", f"{missing[0]} がありません")
    moment = now()
    row = {"uuid": str(uuid4()), "status": TaskStatus.RUNNING.value, "created_at": moment, **given}
    status = TaskStatus(row["status"])
    if status is not TaskStatus.PENDING:
        row.setdefault("started_at", moment)
    if status.ended:
        row.setdefault("completed_at", moment)
    since = row.get("started_at") or row["created_at"]
    identity = recorded_identity(row.get("process_id"), row.get("hostname"), since)
    return _complete({**row, "process_identity": identity})


def whole_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a row that is to be kept as it is: nothing is made up for it."""
    row = _complete(checked(values))
    if missing := [name for name, column in SETTABLE.items() if row[name] is None and not column.nullable]:
        raise Invalid(f"{missing[0]} is missing", f"{missing[0]} がありません")
    return row


def _complete(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row every column."""
    row = {**dict.fromkeys(SETTABLE), "process_identity": None, **row}
    for name in COUNTS:
        row[name] = row[name] or 0
    return row


def whole_count(name: str, number: int) -> int:
    if number is None:
        raise Invalid(f"{name} must be a whole number", f"{name} は整数でなければなりません")
    Task.row(**{name: number})
    if number < 0:
        raise Invalid(f"{name}: {number} is negative", f"{name}: {number} は負の数です")
    return number
