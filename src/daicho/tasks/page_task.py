"""The page of one task: its facts, its numbers, and what its agent says, does and sums up."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from daicho.core.cost import Cost, has_pages
from daicho.core.elements import Words, box, set_attribute, words
from daicho.core.language import Text, say
from daicho.core.one_page import Missing, OnePageWithCost
from daicho.core.screen import SAFETY_SECONDS, Console, Screen
from daicho.tasks.files import TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.needs import LiveTaskLedger
from daicho.tasks.page_cancel import Cancel
from daicho.tasks.page_facts import Facts, Numbers
from daicho.tasks.page_messages import Messages
from daicho.tasks.page_records import Summaries, ToolCalls
from daicho.tasks.page_words import SignOfLife, StatusChip, repository, subject
from daicho.tasks.schemas import TaskStatus

FILE_SECONDS = 1.0
"""How often the files of a task that runs are looked at: what is appended to them announces no change."""
IN_PLACE = """(event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  emit();
}"""

Part = Messages | ToolCalls | Summaries
TABS: Mapping[str, tuple[Text, Callable[[TaskFiles, str, Screen], Part]]] = {
    "messages": (Text("Messages", "メッセージ"), Messages),
    "tools": (Text("Tool calls", "ツール実行"), ToolCalls),
    "summaries": (Text("Summaries", "要約"), Summaries),
}


def register(console: Console[LiveTaskLedger]) -> None:
    """Add the page of one task to the console."""
    has_pages("task", lambda uuid: f"/tasks/{quote(uuid, safe='')}")

    @console.page("/tasks/{uuid}", "tasks")
    async def one_task(screen: Screen) -> None:
        page = TaskPage(console.ledger, screen)
        await screen.follow("tasks", page.look, patience=page.patience)
        await screen.follow("usage", page.look_at_cost)


class TaskPage(OnePageWithCost[Task, "Drawn"]):
    """The page of one task."""

    def __init__(self, ledger: LiveTaskLedger, screen: Screen) -> None:
        self._ledger = ledger
        self._uuid = screen.route["uuid"]
        self._runs = False
        screen.name(say("Task", "タスク"))
        said = say("There is no such task.", "そのタスクはありません。")
        back = say("To all tasks", "タスク一覧へ")
        super().__init__(screen, Missing(said, self._uuid, back, "/tasks"))

    def patience(self) -> float:
        """How long the page may go without a look."""
        return FILE_SECONDS if self._runs else SAFETY_SECONDS

    async def _find(self) -> Task | None:
        task = await self._ledger.tasks.get_by_uuid(self._uuid)
        self._runs = task is not None and task.status == TaskStatus.RUNNING
        return task

    def _draw(self, found: Task) -> "Drawn":
        self._screen.name(f"{subject(found)} · {repository(found)}")
        return Drawn(found, self._ledger, self._screen)

    async def _take(self, drawn: "Drawn", found: Task) -> None:
        drawn.take(found)
        await drawn.tabs.look()


class Drawn:
    """The parts of a task's page that change."""

    def __init__(self, task: Task, ledger: LiveTaskLedger, screen: Screen) -> None:
        files = TaskFiles(ledger.database.settings.context_storage.base_dir)
        words(say("‹ All tasks", "‹ タスク一覧"), "d-link d-small", "a", href="/tasks")
        with box("d-row"):
            with box("d-head"):
                words(repository(task), "d-title d-quiet", "div")
                words(subject(task), "d-title", "h1")
            self._status, self._sign = StatusChip(), SignOfLife()
            self._cancel = Cancel(task, ledger, files, screen)
        self._cancel.draw_answer()
        self._numbers = Numbers()
        with box("d-call"):
            with box("d-beside"):
                self._facts = Facts(task)
                self.cost = Cost(ledger.usage, f"task:{task.uuid}")
            with box("d-section"):
                self.tabs = Tabs(files, task.uuid, screen)

    def take(self, task: Task) -> None:
        """Show the task as it is now."""
        self._status.take(task.status)
        self._sign.take(task)
        self._cancel.take(task)
        self._numbers.take(task)
        self._facts.take(task)


class Tabs:
    """The task's three files; one is shown, and the address says which."""

    def __init__(self, files: TaskFiles, uuid: str, screen: Screen) -> None:
        self._files, self._uuid, self._screen = files, uuid, screen
        self._ways: dict[str, Words] = {}
        with box("d-tabs", "nav", aria_label=say("The task's files", "タスクの記録")):
            for name, (title, _) in TABS.items():
                self._ways[name] = words(title, "", "a", href=f"?tab={name}")
                screen.on(self._ways[name], "click", self._turning_to(name), IN_PLACE)
        self._body = box("d-section")
        asked = screen.query.get("tab", "")
        self._draw(asked if asked in TABS else "messages")

    async def look(self) -> None:
        """Bring the tab that is shown up to date."""
        await self._part.look()

    def _turning_to(self, name: str) -> Callable[[object], Awaitable[None]]:
        async def turn(_: object) -> None:
            self._screen.remember({**self._screen.query, "tab": name})
            self._draw(name)
            await self.look()

        return turn

    def _draw(self, name: str) -> None:
        for other, way in self._ways.items():
            set_attribute(way, "aria-current", "page" if other == name else None)
        self._body.clear()
        with self._body:
            self._part: Part = TABS[name][1](self._files, self._uuid, self._screen)
