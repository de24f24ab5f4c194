"""The tasks on the console: those that go on, and those that have ended.

Parts of this page stand in ``page_lists`` and ``page_words``; one task's own page in ``page_task``.
"""

from daicho.core.elements import box, show, words
from daicho.core.filters import Filters, suggest
from daicho.core.language import Text, say
from daicho.core.screen import Console, Screen
from daicho.tasks import page_task
from daicho.tasks.needs import LiveTaskLedger
from daicho.tasks.page_lists import Criteria, EndedTasks, OpenTasks
from daicho.tasks.page_words import SOURCES, STATUSES, TYPES, repository
from daicho.tasks.schemas import ENDED, TaskStatus

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one task."""


def register(console: Console[LiveTaskLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("tasks", Text("Tasks", "タスク"), "/tasks")

    @console.page("/tasks", "tasks")
    async def overview(screen: Screen) -> None:
        await Overview(console.ledger, screen).open()

    page_task.register(console)


class Overview:
    """The page of all tasks. What the reader chose is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveTaskLedger, screen: Screen) -> None:
        self.screen = screen
        self.filters = Filters(screen, self._choose)
        screen.name(say("Tasks", "タスク"))
        words(say("Tasks", "タスク"), tag="h1")
        self._filter_fields()
        self.open_tasks = OpenTasks(ledger.tasks, screen, self.look)
        self.ended = EndedTasks(ledger.tasks, screen, self._turn_page, screen.query.get("after"))
        self._empty_states()

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self.screen.follow("tasks", self.look, LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the page up to date."""
        filtered, criteria = self.filters.any, self._criteria()
        self.filters.offer_to_clear()
        asked = [status for status in TaskStatus if status == self.filters.chosen["status"]] or [*TaskStatus]
        going_on = [status for status in asked if status not in ENDED]
        ended = [status for status in asked if status in ENDED]
        found = await self.open_tasks.look(going_on, criteria) if going_on else 0
        found += await self.ended.look(ended, criteria) if ended else 0
        some = found > 0 or self.ended.pager.cursor is not None
        show(self.open_tasks.root, some and bool(going_on))
        show(self.ended.root, some and bool(ended))
        show(self.welcome, not some and not filtered)
        show(self.no_match, not some and filtered)
        tasks = [*self.open_tasks.tasks, *self.ended.tasks]
        suggest(self.repositories, [repository(task) for task in tasks])
        suggest(self.users, [task.user for task in tasks])

    async def _choose(self) -> None:
        self.ended.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        self.screen.remember({**self.filters.chosen, "after": self.ended.pager.cursor or ""})
        await self.look()

    def _criteria(self) -> Criteria:
        chosen = self.filters.chosen
        owner, repo = owner_and_repo(chosen["repository"])
        return Criteria(
            task_source=chosen["source"] or None,
            owner=owner,
            repo=repo,
            task_type=chosen["type"] or None,
            user=chosen["user"] or None,
            since=self.filters.day("from"),
            until=self.filters.day("to", 1),
        )

    # -- what the reader chooses with ----------------------------------------------------------------

    def _filter_fields(self) -> None:
        filters, any_one = self.filters, ("", say("All", "すべて"))
        with filters.bar():
            self.repositories = filters.text(
                "repository", say("Repository", "リポジトリ"), say("owner/repo", "owner/repo"), 511
            )
            self.users = filters.text("user", say("User", "ユーザー"), say("Any", "すべて"), 255)
            statuses = [(status, str(text)) for status, text in STATUSES.items()]
            filters.select("status", say("Status", "状態"), [any_one, *statuses])
            filters.select("source", say("Source", "ソース"), [any_one, *SOURCES.items()])
            types = [(kind, str(text)) for kind, text in TYPES.items()]
            filters.select("type", say("Type", "種類"), [any_one, *types])
            filters.date("from", say("From", "開始日"))
            filters.date("to", say("To", "終了日"))

    # -- what is said when there is nothing to show -----------------------------------------------------

    def _empty_states(self) -> None:
        with box("d-sheet d-empty", hidden=True) as self.welcome:
            words(say("The ledger holds no tasks yet.", "台帳にまだタスクがありません。"), tag="b")
            with box():
                words(say("Fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
            with box():
                words(say("Or record your own: ", "自分のタスクを記録するには: "))
                words("with TaskContextManager(task_key, task_uuid, config) as task: …", tag="code")
        with box("d-sheet d-empty", hidden=True) as self.no_match:
            words(say("No task fits these filters.", "条件に合うタスクはありません。"), tag="b")
            words(say("Change one, or clear them all.", "条件を変えるか、解除してください。"))


def owner_and_repo(text: str) -> tuple[str | None, str | None]:
    """What is looked for: ``owner/repo``, ``group/sub/repo``, or all of ``owner`` or ``group/sub/``."""
    if "/" not in text:
        return text or None, None
    owner, _, repo = text.rpartition("/")
    return owner or None, repo or None
