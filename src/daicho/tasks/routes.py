"""Tasks over HTTP: each route translates to one operation. For signed-in callers only."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, status

from daicho.core.errors import NotFound
from daicho.core.operation import Async
from daicho.core.web import problems
from daicho.tasks.files import TaskFiles
from daicho.tasks.schemas import (
    TASK,
    CurrentPage,
    MessagePage,
    ReasonIn,
    ResumeIn,
    StatisticsIn,
    StatusIn,
    SummaryPage,
    TaskIn,
    TaskOut,
    TaskPage,
    TaskStatus,
    ToolCallPage,
    UpdateIn,
)
from daicho.tasks.store import TaskStore

router = APIRouter(tags=["tasks"], responses=problems(401, 422, 503))


def _store(request: Request) -> TaskStore[Async]:
    store: TaskStore[Async] = request.app.state.ledger.tasks
    return store


def _files(request: Request) -> TaskFiles:
    return TaskFiles(request.app.state.ledger.database.settings.context_storage.base_dir)


Tasks = Annotated[TaskStore[Async], Depends(_store)]
Files = Annotated[TaskFiles, Depends(_files)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]


@router.get("/tasks")
async def list_tasks(
    tasks: Tasks,
    status: TaskStatus | None = None,
    task_source: str | None = None,
    owner: str | None = None,
    repo: str | None = None,
    task_type: str | None = None,
    task_id: str | None = None,
    user: str | None = None,
    since: Annotated[datetime | None, Query(description="Created at or after; with its zone.")] = None,
    until: Annotated[datetime | None, Query(description="Created before; with its zone.")] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(description="A former page's `next`.")] = None,
) -> TaskPage:
    """Tasks, newest first."""
    page = await tasks.list(
        status=status,
        task_source=task_source,
        owner=owner,
        repo=repo,
        task_type=task_type,
        task_id=task_id,
        user=user,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return TaskPage.model_validate(page)


@router.post("/tasks", status_code=status.HTTP_201_CREATED, responses=problems(409))
async def create_task(tasks: Tasks, task: TaskIn) -> TaskOut:
    """Record a new task. With a `uuid` of your own, safe to repeat."""
    return TaskOut.model_validate(await tasks.create(task.model_dump(exclude_none=True)))


@router.get("/tasks/{uuid}", responses=problems(404))
async def get_task(tasks: Tasks, uuid: str) -> TaskOut:
    """One task."""
    task = await tasks.get_by_uuid(uuid)
    if task is None:
        raise NotFound(TASK, uuid)
    return TaskOut.model_validate(task)


@router.patch("/tasks/{uuid}", responses=problems(404, 409))
async def update_task(tasks: Tasks, files: Files, uuid: str, updates: UpdateIn) -> TaskOut:
    """Set columns of a task; what is not given stays. A status follows the rules of `/status`."""
    return await _moved(tasks, files, uuid, tasks.update(uuid, updates.model_dump(exclude_unset=True)))


@router.post("/tasks/{uuid}/status", responses=problems(404, 409))
async def move_task(tasks: Tasks, files: Files, uuid: str, to: StatusIn) -> TaskOut:
    """Move a task to a status. The one that it has already changes nothing."""
    return await _moved(tasks, files, uuid, tasks.update_status(uuid, to.status, to.error_message))


@router.post("/tasks/{uuid}/statistics", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def add_statistics(tasks: Tasks, uuid: str, add: StatisticsIn) -> None:
    """Add to a task's numbers. Not safe to repeat: it adds again."""
    if not await tasks.update_statistics(uuid, **add.model_dump()):
        raise NotFound(TASK, uuid)


@router.post("/tasks/{uuid}/complete", responses=problems(404, 409))
async def complete_task(tasks: Tasks, files: Files, uuid: str) -> TaskOut:
    """The task is done."""
    return await _moved(tasks, files, uuid, tasks.complete(uuid))


@router.post("/tasks/{uuid}/fail", responses=problems(404, 409))
async def fail_task(tasks: Tasks, files: Files, uuid: str, why: ReasonIn) -> TaskOut:
    """The task has failed."""
    return await _moved(tasks, files, uuid, tasks.fail(uuid, why.error_message or ""))


@router.post("/tasks/{uuid}/stop", responses=problems(404, 409))
async def stop_task(tasks: Tasks, files: Files, uuid: str, why: ReasonIn | None = None) -> TaskOut:
    """Stop a task; its agent hears of it at its next heartbeat."""
    return await _moved(tasks, files, uuid, tasks.stop(uuid, why.error_message if why else None))


@router.post("/tasks/{uuid}/resume", responses=problems(404, 409))
async def resume_task(tasks: Tasks, files: Files, uuid: str, by: ResumeIn | None = None) -> TaskOut:
    """Take a task up again that has ended, is paused, or whose process is gone."""
    by = by or ResumeIn()
    going_on = tasks.resume(uuid, process_id=by.process_id, hostname=by.hostname)
    return await _moved(tasks, files, uuid, going_on)


@router.post("/tasks/{uuid}/heartbeat", responses=problems(404))
async def beat(tasks: Tasks, uuid: str) -> dict[str, str]:
    """The task's process lives. Answers with the task's status: other than `running`, give up."""
    found = await tasks.heartbeat(uuid)
    if found is None:
        raise NotFound(TASK, uuid)
    return {"status": found}


@router.delete("/tasks/{uuid}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404, 409))
async def delete_task(tasks: Tasks, files: Files, uuid: str) -> None:
    """Delete a task and its folder; 409 while someone works on it."""
    task = await tasks.get_by_uuid(uuid)
    if task is None:
        raise NotFound(TASK, uuid)
    with await asyncio.to_thread(files.take_to_delete, task):
        with files.out_of_sight(task.uuid):
            await tasks.delete(task.uuid)
        await asyncio.to_thread(files.discard, task.uuid)


# -- its files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Which lines of a file are wanted."""

    limit: Annotated[int, Query(ge=1, le=1000, description="Lines a page.")] = 100
    cursor: Annotated[
        int | None, Query(ge=0, lt=2**63, description="A former page's `next` or `end`, or a line's `at`.")
    ] = None
    newest_first: Annotated[bool, Query(description="From the end backwards, to before `cursor`.")] = False


Wanted = Annotated[Part, Depends()]


@router.get("/tasks/{uuid}/messages", responses=problems(404))
async def read_messages(tasks: Tasks, files: Files, uuid: str, part: Wanted) -> MessagePage:
    """A task's messages. To follow them, read on from `end`."""
    return MessagePage.model_validate(await _read(tasks, uuid, files.messages, part))


@router.get("/tasks/{uuid}/current", responses=problems(404))
async def read_current(tasks: Tasks, files: Files, uuid: str, part: Wanted) -> CurrentPage:
    """The messages that the model is sent next."""
    return CurrentPage.model_validate(await _read(tasks, uuid, files.current, part))


@router.get("/tasks/{uuid}/summaries", responses=problems(404))
async def read_summaries(tasks: Tasks, files: Files, uuid: str, part: Wanted) -> SummaryPage:
    """A task's summaries."""
    return SummaryPage.model_validate(await _read(tasks, uuid, files.summaries, part))


@router.get("/tasks/{uuid}/tools", responses=problems(404))
async def read_tool_calls(tasks: Tasks, files: Files, uuid: str, part: Wanted) -> ToolCallPage:
    """A task's tool calls."""
    return ToolCallPage.model_validate(await _read(tasks, uuid, files.tool_calls, part))


async def _read(tasks: TaskStore[Async], uuid: str, read: Callable[..., object], part: Part) -> object:
    task = await tasks.get_by_uuid(uuid)
    if task is None:
        raise NotFound(TASK, uuid)
    return await asyncio.to_thread(read, task.uuid, **asdict(part))


async def _moved(tasks: TaskStore[Async], files: TaskFiles, uuid: str, moving: Awaitable[object]) -> TaskOut:
    """Answer with the task after a move; where nobody works on it, let its folder follow."""
    await moving
    task = await tasks.get_by_uuid(uuid)
    if task is None:
        raise NotFound(TASK, uuid)
    await asyncio.to_thread(files.settle_if_free, task)
    return TaskOut.model_validate(task)
