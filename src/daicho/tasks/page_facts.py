"""What is known of a task, on its page: its facts, its numbers, and why it did not come to its end."""

from datetime import datetime

from daicho.core.elements import Moment, Tile, Words, box, elapsed, fact, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.tasks.models import Task
from daicho.tasks.page_words import SOURCES, Length, number
from daicho.tasks.schemas import TaskStatus

REASON = 20_000
"""Characters of an error message that are shown."""


class Numbers:
    """The task's numbers as tiles; drawn where they are made."""

    def __init__(self) -> None:
        with box("d-tiles"):
            self._llm = Tile(say("LLM calls", "LLM 呼び出し"))
            self._tools = Tile(say("Tool calls", "ツール実行"))
            self._tokens = Tile(say("Tokens", "トークン"))
            self._compressions = Tile(say("Compressions", "圧縮"))

    def take(self, task: Task) -> None:
        """Show the task's numbers as they are now."""
        self._llm.take(number(task.llm_call_count))
        self._tools.take(number(task.tool_call_count))
        self._tokens.take(number(task.total_tokens))
        self._compressions.take(number(task.compression_count))


class Facts:
    """The task's facts; drawn where they are made."""

    def __init__(self, task: Task) -> None:
        with box("d-sheet d-handover d-reason", hidden=True) as self._failure:
            self._why = words("", tag="h2")
            self._reason = words("", tag="div", dir="auto")
        with box("d-sheet d-facts", "dl"):
            _fact(say("Source", "ソース"), SOURCES.get(task.task_source, task.task_source))
            self._user = _fact(say("User", "ユーザー"))
            self._model = _fact(say("Model", "モデル"))
            self._context = _fact(say("Context", "コンテキスト"))
            self._created = _Moment(say("Created", "作成"))
            self._started = _Moment(say("Started", "開始"))
            self._ended = _Moment(say("Ended", "終了"))
            with fact(say("Length", "長さ")):
                self._length = Length(task)
            self._process = _fact(say("Process", "プロセス"))
            with fact(say("Sign of life", "最終応答")) as self._sign:
                with box("", "span") as self._ago:
                    self._since = elapsed(task.heartbeat_at or task.created_at, None)
                    words(say(" ago", " 前"))
                self._last = moment(task.heartbeat_at or task.created_at)
            _fact("UUID", task.uuid).classes("d-mono")

    def take(self, task: Task) -> None:
        """Show the task as it is now."""
        self._user.set_text(task.user or "–")
        self._model.set_text(" / ".join(filter(None, (task.llm_provider, task.model))) or "–")
        tokens = "–" if task.context_length is None else number(task.context_length)
        self._context.set_text(tokens)
        self._created.take(task.created_at)
        self._started.take(task.started_at)
        self._ended.take(task.completed_at)
        self._length.take(task)
        where = (str(task.process_id or ""), task.hostname or "")
        self._process.set_text(" @ ".join(filter(None, where)) or "–")
        show(self._sign, task.heartbeat_at is not None)
        if task.heartbeat_at is not None:
            set_attribute(self._since, "since", task.heartbeat_at.isoformat())
            set_attribute(self._last, "at", task.heartbeat_at.isoformat())
            show(self._ago, task.status == TaskStatus.RUNNING)
            show(self._last, task.status != TaskStatus.RUNNING)
        self._take_reason(task)

    def _take_reason(self, task: Task) -> None:
        failed = task.status == TaskStatus.FAILED
        show(self._failure, bool(task.error_message))
        self._failure.classes(**{"add" if failed else "remove": "d-bad"})
        self._why.set_text(say("Why it failed", "失敗の理由") if failed else say("Remark", "備考"))
        self._reason.set_text((task.error_message or "")[:REASON])


class _Moment:
    """A fact that is an instant; hidden while there is none."""

    def __init__(self, label: str) -> None:
        with fact(label) as self._root:
            self._at = Moment()

    def take(self, at: datetime | None) -> None:
        self._at.take(at)
        show(self._root, at is not None)


def _fact(label: str, text: str = "") -> Words:
    with fact(label):
        return words(text, "d-title")
