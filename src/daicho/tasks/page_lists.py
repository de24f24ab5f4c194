"""The two lists of the tasks page: cards of the tasks that go on, a table of those that have ended."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypedDict

from daicho.core.elements import Row, Rows, Words, box, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.screen import Pager, Screen
from daicho.tasks.models import Task
from daicho.tasks.page_words import Length, SignOfLife, StatusChip, number, repository, subject
from daicho.tasks.schemas import TaskStatus
from daicho.tasks.store import TaskStore

OPEN_AT_ONCE = 12
OPEN_AT_MOST = 240
ENDED_AT_ONCE = 25
REASON = 300
"""Characters of an error message that a row shows; its title has ten times as many."""
REASONED = {TaskStatus.FAILED, TaskStatus.STOPPED}


class Criteria(TypedDict):
    """What ``tasks.list`` filters by, apart from the status."""

    task_source: str | None
    owner: str | None
    repo: str | None
    task_type: str | None
    user: str | None
    since: datetime | None
    until: datetime | None


class OpenTasks:
    """The tasks that run, wait or rest, newest first.

    Args:
        look_again: asks the page to look again, when more tasks are wanted.
    """

    def __init__(
        self, tasks: TaskStore[Async], screen: Screen, look_again: Callable[[], Awaitable[None]]
    ) -> None:
        self.tasks: list[Task] = []
        self._store = tasks
        self._look_again = look_again
        self._limit = OPEN_AT_ONCE
        with box("d-section") as self.root:
            with box("d-row"), words(say("In progress", "進行中"), tag="h2"):
                self._count = words("", "d-count")
            self._cards = Rows(box("d-cards"), lambda task: task.uuid, _card)
            with box("d-sheet d-empty d-slim") as self._nothing:
                words(say("No task is being worked on just now.", "いま進行中のタスクはありません。"))
            self._more = words(say("Show more", "さらに表示"), "d-plain", "button", type="button")
            screen.on(self._more, "click", self._show_more)

    async def look(self, statuses: Sequence[TaskStatus], criteria: Criteria) -> int:
        """Bring the cards up to date; return how many there are."""
        page = await self._store.list(status=statuses, limit=self._limit, **criteria)
        self.tasks = page.items
        self._cards.show(page.items)
        self._count.set_text(f"{len(page)}{'+' if page.next else ''}" if page.items else "")
        show(self._nothing, not page.items)
        show(self._more, page.next is not None and self._limit < OPEN_AT_MOST)
        return len(page)

    async def _show_more(self, _: object) -> None:
        self._limit += OPEN_AT_ONCE
        await self._look_again()


class EndedTasks:
    """The tasks that have ended, newest first, a page at a time.

    Args:
        turn: shows the page that ``pager`` has come to.
        cursor: the page to begin with.
    """

    def __init__(
        self, tasks: TaskStore[Async], screen: Screen, turn: Callable[[], Awaitable[None]], cursor: str | None
    ) -> None:
        self.tasks: list[Task] = []
        self._store = tasks
        with box("d-section") as self.root:
            words(say("Ended", "終了したタスク"), tag="h2")
            with box("d-sheet d-table d-tasks") as self._table:
                with box("d-tr d-th"):
                    words(say("Status", "状態"))
                    words(say("Task", "タスク"))
                    words(say("User", "ユーザー"))
                    words(say("Model", "モデル"), "d-wide")
                    words(say("Tokens", "トークン"), "d-right")
                    words(say("LLM calls", "LLM"), "d-right d-wide", title=say("LLM calls", "LLM 呼び出し"))
                    words(say("Tools", "ツール"), "d-right d-wide", title=say("Tool calls", "ツール実行"))
                    words(say("Started", "開始"))
                    words(say("Length", "長さ"), "d-right")
                self._rows = Rows(box(), lambda task: task.uuid, _row)
            with box("d-sheet d-empty d-slim") as self._nothing:
                words(say("None has ended yet.", "終了したタスクはまだありません。"))
            self.pager = Pager(screen, turn, cursor)

    async def look(self, statuses: Sequence[TaskStatus], criteria: Criteria) -> int:
        """Bring the table up to date; return how many rows there are."""
        page = await self._store.list(
            status=statuses, limit=ENDED_AT_ONCE, cursor=self.pager.cursor, **criteria
        )
        self.tasks = page.items
        self._rows.show(page.items)
        show(self._table, bool(page.items))
        show(self._nothing, not page.items)
        self.pager.show(page.next)
        return len(page)


def _card(task: Task) -> Row[Task]:
    with box("d-sheet d-card", "a", href=f"/tasks/{task.uuid}") as root:
        with box("d-card-head"):
            words(repository(task), tag="b", title=repository(task))
            length = Length(task, "d-end")
        with box("d-row d-tight"):
            words(subject(task), "d-grow d-cut")
            status = StatusChip()
        counts = words("", "d-quiet d-small d-number")
        with box("d-card-foot"):
            sign = SignOfLife()
            user, model = words("", "d-cut"), words("", "d-mono")

    def take(task: Task) -> None:
        length.take(task)
        status.take(task.status)
        sign.take(task)
        user.set_text(task.user or "–")
        model.set_text(task.model or task.llm_provider or "–")
        counts.set_text(
            say(
                f"{number(task.total_tokens)} tokens · {number(task.llm_call_count)} LLM"
                f" · {number(task.tool_call_count)} tools",
                f"{number(task.total_tokens)} トークン · LLM {number(task.llm_call_count)}"
                f" · ツール {number(task.tool_call_count)}",
            )
        )

    take(task)
    return Row(root, take)


def _row(task: Task) -> Row[Task]:
    with box("d-tr", "a", href=f"/tasks/{task.uuid}") as root:
        with box():
            status = StatusChip()
        with box("d-two"):
            words(subject(task), tag="b")
            words(repository(task), "d-quiet d-small", title=repository(task))
        user, model = words(""), words("", "d-mono d-wide")
        with box("d-right d-number"):
            tokens = words("")
            words(say(" tokens", " トークン"), "d-narrow")
        llm, tools = (words("", "d-right d-number d-wide") for _ in range(2))
        moment(task.started_at or task.created_at)
        length = Length(task, "d-right")
        error = words("", "d-why", hidden=True)

    def take(task: Task) -> None:
        status.take(task.status)
        user.set_text(task.user or "–")
        model.set_text(task.model or task.llm_provider or "–")
        for shown, count in (
            (tokens, task.total_tokens),
            (llm, task.llm_call_count),
            (tools, task.tool_call_count),
        ):
            shown.set_text(number(count))
        length.take(task)
        _show_reason(error, task)

    take(task)
    return Row(root, take)


def _show_reason(shown: Words, task: Task) -> None:
    """Show why a task failed or was stopped, on a line of its own."""
    reason = task.error_message if task.status in REASONED else None
    shown.set_text((reason or "")[:REASON])
    shown.classes(**{"add" if task.status == TaskStatus.FAILED else "remove": "d-bad"})
    set_attribute(shown, "title", reason and reason[: 10 * REASON])
    show(shown, bool(reason))
