"""How tasks and the lines of their files look in the terminal."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import assert_never

from daicho.core.language import Text, say
from daicho.core.terminal import Table, duration, local
from daicho.core.types import now
from daicho.tasks.jsonl import Line, Lines
from daicho.tasks.models import Task
from daicho.tasks.process import STALE_AFTER, why_gone
from daicho.tasks.schemas import ENDED, CurrentMessage, Message, Summary, TaskStatus, ToolCall

SHORT_UUID = 8
"""How many characters of a uuid tell tasks apart for people."""

Shown = Message | CurrentMessage | Summary | ToolCall
"""What a line of a task's files says."""
ShownLine = Line[Message] | Line[CurrentMessage] | Line[Summary] | Line[ToolCall]
ShownLines = Lines[Message] | Lines[CurrentMessage] | Lines[Summary] | Lines[ToolCall]


def task_table() -> Table:
    """The table of ``daicho tasks list``; rows by ``task_row``."""
    return Table(
        say("TASK", "タスク"),
        say("STATUS", "状態"),
        say("REPOSITORY", "リポジトリ"),
        say("WHAT", "対象"),
        say("USER", "ユーザー"),
        say("MODEL", "モデル"),
        say("TOKENS", "トークン"),
        say("CALLS", "呼び出し"),
        say("STARTED", "開始"),
        say("TIME", "時間"),
    )


def task_row(task: Task) -> Sequence[str]:
    """A task's row in the table."""
    return (
        task.uuid[:SHORT_UUID],
        task.status,
        f"{task.owner}/{task.repo}",
        what(task),
        task.user or "",
        task.model or "",
        f"{task.total_tokens or 0:,}",
        f"{task.llm_call_count or 0:,}/{task.tool_call_count or 0:,}",
        local(task.started_at),
        time_taken(task),
    )


def what(task: Task) -> str:
    """What a task is about: ``issue #42``, ``merge_request !7``."""
    return f"{task.task_type} {'!' if task.task_type == 'merge_request' else '#'}{task.task_id}"


def time_taken(task: Task) -> str:
    """How long a task has been worked on; nothing if that is not known."""
    if task.started_at is None:
        return ""
    if task.completed_at is not None:
        return duration(task.completed_at - task.started_at)
    return "" if task.status in ENDED else duration(now() - task.started_at) + " …"


def put_facts(task: Task, folder: Path | None) -> None:
    """Write what is known of a task, a line each."""
    facts = Table("", "")
    facts.add(
        [
            (say("task", "タスク"), task.uuid),
            (say("status", "状態"), task.status),
            (say("repository", "リポジトリ"), f"{task.owner}/{task.repo} ({task.task_source})"),
            (say("what", "対象"), what(task)),
            (say("user", "ユーザー"), task.user or "-"),
            (say("model", "モデル"), _model(task)),
            (say("created", "作成"), local(task.created_at)),
            (say("started", "開始"), local(task.started_at) or "-"),
            (say("ended", "終了"), local(task.completed_at) or "-"),
            (say("time", "時間"), time_taken(task) or "-"),
            (say("LLM calls", "LLM 呼び出し"), f"{task.llm_call_count or 0:,}"),
            (say("tool calls", "ツール呼び出し"), f"{task.tool_call_count or 0:,}"),
            (say("tokens", "トークン"), f"{task.total_tokens or 0:,}"),
            (say("compressions", "圧縮"), f"{task.compression_count or 0:,}"),
            (say("process", "プロセス"), _process(task)),
            (say("folder", "フォルダー"), str(folder) if folder else say("none", "なし")),
            (say("error", "エラー"), task.error_message or "-"),
        ]
    )


def line_table(kind: str) -> Table:
    """The table of a file's lines; rows by ``line_row``. ``kind`` is an option of ``show``."""
    number, time, text = say("NO", "番号"), say("TIME", "時刻"), say("TEXT", "内容")
    role, tool = say("ROLE", "話者"), say("TOOL", "ツール")
    match kind:
        case "messages":
            return Table(number, time, role, say("TOKENS", "トークン"), text)
        case "current":
            return Table(role, text)
        case "summaries":
            return Table(number, time, say("STANDS FOR", "対象"), say("TOKENS", "トークン"), text)
        case _:
            return Table(
                *(number, time, tool, say("OUTCOME", "結果"), say("MS", "ミリ秒")),
                *(say("ARGUMENTS", "引数"), say("RESULT", "戻り値")),
            )


def line_row(record: Shown) -> Sequence[str]:
    """A line's row in its file's table."""
    match record:
        case Message():
            tokens = "" if record.tokens is None else f"{record.tokens:,}"
            return str(record.seq), _time(record.timestamp), _speaker(record), tokens, _plain(record.content)
        case CurrentMessage():
            return _speaker(record), _plain(record.content)
        case Summary():
            span = f"{record.start_seq}-{record.end_seq}"
            tokens = f"{_number(record.original_tokens)} → {_number(record.summary_tokens)}"
            return str(record.id), _time(record.timestamp), span, tokens, record.summary
        case ToolCall():
            outcome = record.error if record.error is not None else _plain(record.result)
            number, time, taken = str(record.seq), _time(record.timestamp), _number(record.duration_ms)
            return number, time, record.tool, record.status, taken, _plain(record.args), outcome
        case _:
            assert_never(record)


def agent_text(task: Task) -> Text:
    """Whether anybody works on a task, as far as one can know here."""
    if task.process_id is None and task.heartbeat_at is None:
        return Text("nobody, as far as is known", "担当プロセスの記録なし")
    gone = why_gone(task, now(), STALE_AFTER)
    return gone or Text("lives, or nobody here can know", "動作中 (またはここからは確認できない)")


def _process(task: Task) -> str:
    """The process that works on a task, or did."""
    named = "" if task.process_id is None else f"{task.process_id} ({task.hostname or '?'})"
    if task.status != TaskStatus.RUNNING:
        return named or "-"
    return f"{named}: {agent_text(task)}" if named else str(agent_text(task))


def _model(task: Task) -> str:
    named = " ".join(filter(None, (task.llm_provider, task.model))) or "-"
    if task.context_length is None:
        return named
    return named + say(f" (context {task.context_length:,})", f" (コンテキスト長 {task.context_length:,})")


def _speaker(record: Message | CurrentMessage) -> str:
    return f"{record.role} ({record.tool_name})" if record.tool_name else record.role


def _plain(value: object) -> str:
    """A text as it is, anything else as JSON; nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _time(timestamp: str | None) -> str:
    """A line's time in this machine's zone; as it stands there if it is none."""
    try:
        return local(datetime.fromisoformat(timestamp)) if timestamp else ""
    except (ValueError, OverflowError, OSError):
        return timestamp or ""
