"""The way to cancel a task on its page: a button, a question, and what happens next."""

import asyncio

from daicho.core.elements import box, set_attribute, show, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.tasks.context import HEARTBEAT
from daicho.tasks.files import TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.needs import LiveTaskLedger
from daicho.tasks.page_words import repository, subject
from daicho.tasks.schemas import ENDED

CLOSE = "event.target.closest('dialog').close()"


class Cancel:
    """The button, and the dialog that asks first; drawn where it is made."""

    def __init__(self, task: Task, ledger: LiveTaskLedger, files: TaskFiles, screen: Screen) -> None:
        self._uuid = task.uuid
        self._ledger, self._files = ledger, files
        self._button = words(
            say("Cancel task", "タスクを中止"), "d-button d-bad d-end", "button", type="button", hidden=True
        )
        with box("d-dialog", "dialog") as dialog:
            question = words(say("Cancel this task?", "このタスクを中止しますか？"), tag="h2")
            words(f"{repository(task)} · {subject(task)}", "d-title", "div")
            words(say("What was done so far is kept.", "ここまでの記録は残ります。"), "d-quiet", "div")
            with box("d-row"):
                keep = words(say("Keep it going", "続ける"), "d-button d-end", "button", type="button")
                yes = words(
                    say("Cancel the task", "中止する"), "d-button d-bad d-solid", "button", type="button"
                )
        set_attribute(dialog, "aria-labelledby", question.html_id)
        self._button.on("click", js_handler=f"() => document.getElementById('{dialog.html_id}').showModal()")
        keep.on("click", js_handler=f"(event) => {CLOSE}")
        screen.on(yes, "click", self._cancel, f"(event) => {{ {CLOSE}; emit(); }}")

    def draw_answer(self) -> None:
        """Draw the place where it is said what happens next."""
        with box("d-note", role="status", hidden=True) as self._note:
            self._answer = words("")

    def take(self, task: Task) -> None:
        """Offer to cancel the task while it has not ended."""
        show(self._button, task.status not in ENDED)
        if task.status not in ENDED:
            show(self._note, False)

    async def _cancel(self, _: object) -> None:
        tasks = self._ledger.tasks
        await tasks.stop(self._uuid, say("cancelled on the console", "コンソールで中止"))
        task = await tasks.get_by_uuid(self._uuid)
        if task is None:
            return
        self.take(task)
        if not await asyncio.to_thread(self._files.settle_if_free, task):
            seconds = int(HEARTBEAT.total_seconds())
            self._answer.set_text(
                say(
                    f"Cancelled. The agent is told at its next sign of life, within {seconds} seconds.",
                    f"中止しました。エージェントには次の生存確認 ({seconds} 秒以内) で伝わります。",
                )
            )
        else:
            self._answer.set_text(
                say(
                    "Cancelled. No process was working on it.",
                    "中止しました。処理中のプロセスはありませんでした。",
                )
            )
        show(self._note, True)
