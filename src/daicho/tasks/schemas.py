"""What comes into the tasks room and what goes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.tasks.models import Task

TASK = Text("task", "タスク")
COUNT_MAX = 2**31 - 1


class TaskStatus(StrEnum):
    """How far a task is. Seed 001 names running, completed, failed and stopped (and a folder ``paused``)."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether a task in this status goes on only when it is resumed."""
        return self in ENDED

    @classmethod
    def of(cls, value: object) -> "TaskStatus":
        """Read a status; raise Invalid for anything else."""
        try:
            return cls(str(value))
        except ValueError:
            known = ", ".join(cls)
            raise Invalid(
                f"unknown status {str(value)[:40]!r}; known: {known}",
                f"{str(value)[:40]!r} という状態はありません。使えるもの: {known}",
            ) from None


ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.STOPPED})
LEADS_TO: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.PENDING}),
    TaskStatus.RUNNING: frozenset({TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.PAUSED}),
    TaskStatus.PAUSED: frozenset({TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.PAUSED}),
    TaskStatus.COMPLETED: frozenset(TaskStatus) - {TaskStatus.FAILED, TaskStatus.STOPPED},
    TaskStatus.FAILED: frozenset(TaskStatus) - {TaskStatus.COMPLETED, TaskStatus.STOPPED},
    TaskStatus.STOPPED: frozenset(TaskStatus) - {TaskStatus.COMPLETED, TaskStatus.FAILED},
}
"""For each status, those that lead to it. One that has ended is left only by ``resume``."""


class Role(StrEnum):
    """Whose message it is, as the providers of models name them."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class Reaped:
    """A task whose process is gone, and how one knows."""

    task: Task
    reason: Text


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adoption did: tasks added, tasks that were there already.

    Attributes:
        differing: of those there already, the uuids of tasks whose status is another here.
    """

    added: int = 0
    existing: int = 0
    differing: tuple[str, ...] = field(default=())

    def __add__(self, other: "Adopted") -> "Adopted":
        return Adopted(
            self.added + other.added, self.existing + other.existing, self.differing + other.differing
        )


# -- what stands in a task's files -----------------------------------------------------------------


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) else value


Stamp = Annotated[str | None, BeforeValidator(_as_text)]
"""When a line was written: ISO 8601, or whatever an older program wrote."""
Number = int | float | None


class Record(BaseModel):
    """A line of a task's file. What an older program left out is None; what it added is kept."""

    model_config = ConfigDict(extra="allow")


class Message(Record):
    """A line of ``messages.jsonl``. ``content`` is a text, or the parts that a provider's API takes."""

    seq: int = Field(examples=[1])
    role: str = Field(examples=["user"])
    content: Any = Field(None, examples=["Fix the failing test."])
    timestamp: Stamp = Field(None, examples=["2026-11-21T08:18:22.000000+00:00"])
    tokens: Number = Field(None, examples=[7])
    tool_name: str | None = Field(None, examples=[None])


class CurrentMessage(Record):
    """A line of ``current.jsonl``: what the model is sent next."""

    role: str = Field(examples=["user"])
    content: Any = Field(None, examples=["Fix the failing test."])
    tool_name: str | None = None


class Summary(Record):
    """A line of ``summaries.jsonl``: it stands for the messages from ``start_seq`` to ``end_seq``."""

    id: int = Field(examples=[1])
    start_seq: int = Field(examples=[2])
    end_seq: int = Field(examples=[40])
    summary: str
    original_tokens: Number = Field(None, examples=[48_000])
    summary_tokens: Number = Field(None, examples=[900])
    ratio: float | None = Field(None, description="summary_tokens / original_tokens", examples=[0.01875])
    timestamp: Stamp = None


class ToolCall(Record):
    """A line of ``tools.jsonl``."""

    seq: int = Field(examples=[1])
    tool: str = Field(examples=["read_file"])
    args: Any = Field(None, examples=[{"path": "tests/test_app.py"}])
    result: Any = None
    status: str = Field("success", examples=["success"])
    error: str | None = None
    duration_ms: float | None = Field(None, examples=[12.5])
    timestamp: Stamp = None


# -- the API ---------------------------------------------------------------------------------------


class Out(BaseModel):
    """The base of what goes out: read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


Count = Annotated[int, BeforeValidator(lambda value: value or 0)]


class TaskOut(Out):
    """A task."""

    uuid: str = Field(examples=["5f0c5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d"])
    task_source: str = Field(examples=["github"])
    owner: str = Field(examples=["daicho"])
    repo: str = Field(examples=["ledger"])
    task_type: str = Field(examples=["issue"])
    task_id: str = Field(examples=["42"])
    status: str = Field(examples=["running"])
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    process_id: int | None
    hostname: str | None
    llm_provider: str | None
    model: str | None
    context_length: int | None
    llm_call_count: Count
    tool_call_count: Count
    total_tokens: Count
    compression_count: Count
    error_message: str | None
    user: str | None
    heartbeat_at: datetime | None


class TaskPage(Out):
    """Some tasks, newest first, and the cursor of the next ones."""

    items: list[TaskOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class TaskIn(BaseModel):
    """A task that is recorded."""

    model_config = ConfigDict(extra="forbid")

    uuid: str | None = Field(None, description="Your own UUID makes it safe to repeat. Unset: a new one.")
    task_source: str = Field(max_length=50, examples=["github"])
    owner: str = Field(max_length=255, examples=["daicho"])
    repo: str = Field(max_length=255, examples=["ledger"])
    task_type: str = Field(max_length=50, examples=["issue"])
    task_id: str = Field(max_length=50, examples=["42"])
    status: TaskStatus = TaskStatus.RUNNING
    created_at: datetime | None = Field(None, description="With its time zone. Unset: now.")
    process_id: int | None = Field(None, ge=1, le=COUNT_MAX)
    hostname: str | None = Field(None, max_length=255)
    llm_provider: str | None = Field(None, max_length=50, examples=["openai"])
    model: str | None = Field(None, max_length=100)
    context_length: int | None = Field(None, ge=0, le=COUNT_MAX)
    user: str | None = Field(None, max_length=255)


class UpdateIn(BaseModel):
    """Columns of a task that are set; null empties one that may be empty."""

    model_config = ConfigDict(extra="forbid")

    task_source: str | None = Field(None, max_length=50)
    owner: str | None = Field(None, max_length=255)
    repo: str | None = Field(None, max_length=255)
    task_type: str | None = Field(None, max_length=50)
    task_id: str | None = Field(None, max_length=50)
    status: TaskStatus | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    process_id: int | None = Field(None, ge=1, le=COUNT_MAX)
    hostname: str | None = Field(None, max_length=255)
    llm_provider: str | None = Field(None, max_length=50)
    model: str | None = Field(None, max_length=100, examples=["gpt-5"])
    context_length: int | None = Field(None, ge=0, le=COUNT_MAX, examples=[128_000])
    llm_call_count: int | None = Field(None, ge=0, le=COUNT_MAX)
    tool_call_count: int | None = Field(None, ge=0, le=COUNT_MAX)
    total_tokens: int | None = Field(None, ge=0, le=COUNT_MAX)
    compression_count: int | None = Field(None, ge=0, le=COUNT_MAX)
    error_message: str | None = None
    user: str | None = Field(None, max_length=255)


class StatusIn(BaseModel):
    """A task's new status."""

    model_config = ConfigDict(extra="forbid")

    status: TaskStatus
    error_message: str | None = None


class StatisticsIn(BaseModel):
    """What is added to a task's numbers."""

    model_config = ConfigDict(extra="forbid")

    llm_calls: int = Field(0, ge=0, le=COUNT_MAX)
    tool_calls: int = Field(0, ge=0, le=COUNT_MAX)
    tokens: int = Field(0, ge=0, le=COUNT_MAX)
    compressions: int = Field(0, ge=0, le=COUNT_MAX)


class ReasonIn(BaseModel):
    """Why a task fails or is stopped."""

    model_config = ConfigDict(extra="forbid")

    error_message: str | None = Field(None, examples=["cancelled by hand"])


class ResumeIn(BaseModel):
    """Who takes a task up again."""

    model_config = ConfigDict(extra="forbid")

    process_id: int | None = Field(None, ge=1, le=COUNT_MAX)
    hostname: str | None = Field(None, max_length=255)


class LineOut(Out):
    """A line of a file: where it begins, and what it says."""

    at: int = Field(description="Byte at which the line begins; a cursor of this file too.")
    problem: str | None = Field(description="Why it could not be read, if so.")


class MessageLine(LineOut):
    """A message."""

    record: Message | None


class CurrentLine(LineOut):
    """A message of the current context."""

    record: CurrentMessage | None


class SummaryLine(LineOut):
    """A summary."""

    record: Summary | None


class ToolCallLine(LineOut):
    """A tool call."""

    record: ToolCall | None


class FilePage(Out):
    """Some lines of a file.

    ``next`` is where the page after this one begins; null on the last. ``end`` is where lines that
    are added later will begin: read on from there, oldest first, to follow the file.
    """

    next: int | None
    end: int


class MessagePage(FilePage):
    """Some messages."""

    items: list[MessageLine]


class CurrentPage(FilePage):
    """Some messages of the current context."""

    items: list[CurrentLine]


class SummaryPage(FilePage):
    """Some summaries."""

    items: list[SummaryLine]


class ToolCallPage(FilePage):
    """Some tool calls."""

    items: list[ToolCallLine]


Outcome = Literal["success", "error"]
