"""How tasks look on the console: what they are about, how far they are, whether anyone works on them."""

from collections.abc import Mapping

from daicho.core.elements import Chip, box, elapsed, set_attribute, show, words
from daicho.core.language import Text, say
from daicho.core.types import now
from daicho.tasks.models import Task
from daicho.tasks.process import STALE_AFTER, why_gone
from daicho.tasks.schemas import ENDED, TaskStatus

STATUSES: Mapping[str, Text] = {
    TaskStatus.PENDING: Text("Pending", "待機中"),
    TaskStatus.RUNNING: Text("Running", "実行中"),
    TaskStatus.PAUSED: Text("Paused", "一時停止"),
    TaskStatus.COMPLETED: Text("Completed", "完了"),
    TaskStatus.FAILED: Text("Failed", "失敗"),
    TaskStatus.STOPPED: Text("Stopped", "中止"),
}
COLOURS: Mapping[str, str] = {
    TaskStatus.PENDING: "d-waits",
    TaskStatus.RUNNING: "d-live",
    TaskStatus.PAUSED: "d-rests",
    TaskStatus.COMPLETED: "d-done",
    TaskStatus.FAILED: "d-failed",
    TaskStatus.STOPPED: "d-halted",
}
TYPES: Mapping[str, Text] = {
    "issue": Text("Issue", "Issue"),
    "pull_request": Text("Pull request", "プルリクエスト"),
    "merge_request": Text("Merge request", "マージリクエスト"),
}
SOURCES: Mapping[str, str] = {"github": "GitHub", "gitlab": "GitLab"}


def repository(task: Task) -> str:
    """Whose work it is: ``owner/repo``."""
    return f"{task.owner}/{task.repo}"


def subject(task: Task) -> str:
    """What it is about: ``Issue #42``, ``Merge request !7``."""
    sign = "!" if task.task_type == "merge_request" else "#"
    return f"{TYPES.get(task.task_type, task.task_type)} {sign}{task.task_id}"


def number(count: int | None) -> str:
    """A count, its thousands apart; an older program's missing one is 0."""
    return f"{count or 0:,}"


class StatusChip(Chip):
    """A label that says how far a task is."""

    def __init__(self) -> None:
        super().__init__("", "")
        self._status: str | None = None

    def take(self, status: str) -> None:
        """Show a status."""
        if status != self._status:
            self._status = status
            self.root.classes(replace=f"d-chip {COLOURS.get(status, '')}")
            self.name(str(STATUSES.get(status, status)))


class SignOfLife:
    """A warning, shown while a task runs although nobody seems to work on it."""

    def __init__(self) -> None:
        self._chip = Chip("", "d-warn")
        show(self._chip.root, False)

    def take(self, task: Task) -> None:
        """Look for the task's process."""
        reason = why_gone(task, now(), STALE_AFTER) if task.status == TaskStatus.RUNNING else None
        show(self._chip.root, reason is not None)
        if reason is not None:
            self._chip.name(say("No sign of life", "応答なし"))
            set_attribute(self._chip.root, "title", str(reason))


class Length:
    """How long a task has been worked on, or has waited; it runs until the task ends."""

    def __init__(self, task: Task, classes: str = "") -> None:
        with box(classes):
            self._clock = elapsed(task.started_at or task.created_at, task.completed_at)
            self._unknown = words("–")
        self.take(task)

    def take(self, task: Task) -> None:
        """Show the task's length as it is now; none where nobody has noted the task's end."""
        unknown = task.completed_at is None and task.status in ENDED
        set_attribute(self._clock, "since", (task.started_at or task.created_at).isoformat())
        set_attribute(self._clock, "until", task.completed_at and task.completed_at.isoformat())
        show(self._clock, not unknown)
        show(self._unknown, unknown)
