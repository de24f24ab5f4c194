"""The folders of the demo's tasks that are not new any more: as their agents would have left them."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from daicho.core.types import now
from daicho.tasks import files, jsonl
from daicho.tasks.demo_texts import Script, Step, Use
from daicho.tasks.files import TaskFiles, place_of, write_metadata
from daicho.tasks.messages import SUMMARY_ROLE
from daicho.tasks.models import Task
from daicho.tasks.schemas import Role, TaskStatus

BYTES_A_TOKEN = 3
EXCERPT = 40
WORTH_A_SUMMARY = 4
"""The steps that an agent has taken before it sums anything up."""


def write(task_files: TaskFiles, task: Task, system: str, script: Script) -> None:
    """Write a task's folder. It is there as a whole or not at all.

    Args:
        system: what the agent was told at first.
        script: what it did.
    """
    folder = task_files.base_dir / place_of(task.status) / task.uuid
    partial = folder.with_name(folder.name + ".tmp")
    partial.mkdir(parents=True, exist_ok=True)
    _fill(partial, task, system, script)
    write_metadata(partial, task)
    partial.rename(folder)


def message_of(step: Step) -> tuple[Role, str, str | None]:
    """The message that stands for a step: its role, its text, and whose result it is."""
    if isinstance(step, Use):
        return Role.TOOL, step.error or step.result, step.tool
    return Role.ASSISTANT, step, None


def steps_of(script: Script, status: str) -> tuple[Step, ...]:
    """How far an agent came with its work: to the end, or half-way."""
    return script.steps if status == TaskStatus.COMPLETED else script.steps[: (len(script.steps) + 1) // 2]


def tokens_of(text: str, role: Role) -> int:
    """About how many tokens a message is; of what tools give, the demo shows an excerpt."""
    return (len(text.encode()) // BYTES_A_TOKEN + 3) * (EXCERPT if role == Role.TOOL else 1)


def _fill(folder: Path, task: Task, system: str, script: Script) -> None:
    steps = steps_of(script, task.status)
    said: list[tuple[Role, str, str | None]] = [
        (Role.SYSTEM, system, None),
        (Role.USER, script.wish, None),
        *map(message_of, steps),
    ]
    begun = task.started_at or task.created_at
    step_length = ((task.completed_at or now()) - begun) / (len(said) + 1)
    times = [(begun + at * step_length).isoformat() for at in range(len(said))]
    messages = [
        {"seq": at, "role": role.value, "content": text, "timestamp": time, "tokens": tokens_of(text, role)}
        | ({} if tool is None else {"tool_name": tool})
        for at, ((role, text, tool), time) in enumerate(zip(said, times, strict=True), 1)
    ]
    uses = [(step, time) for step, time in zip(steps, times[2:], strict=True) if isinstance(step, Use)]
    calls = [
        {
            "seq": at,
            "tool": step.tool,
            "args": dict(step.args),
            "result": step.result or None,
            "status": "error" if step.error else "success",
            "error": step.error,
            "duration_ms": _milliseconds(step, step_length),
            "timestamp": time,
        }
        for at, (step, time) in enumerate(uses, 1)
    ]
    summaries = _summaries(script, messages) if task.compression_count else []
    _lines(folder / files.MESSAGES, messages)
    _lines(folder / files.CURRENT, _current(messages, summaries))
    _lines(folder / files.SUMMARIES, summaries)
    _lines(folder / files.TOOLS, calls)


def _milliseconds(step: Use, longest: timedelta) -> float:
    """A length that fits the tool: commands take longer than files."""
    share = 0.4 if step.tool == "run_command" else 0.002
    return round(longest.total_seconds() * 1000 * share + len(step.result), 1)


def _summaries(script: Script, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One summary of the first half, without what the agent was told."""
    first, last = 3, len(messages) // 2 + 1
    original = sum(message["tokens"] for message in messages[first - 1 : last])
    tokens = tokens_of(script.summary, Role.SYSTEM)
    return [
        {
            "id": 1,
            "start_seq": first,
            "end_seq": last,
            "summary": script.summary,
            "original_tokens": original,
            "summary_tokens": tokens,
            "ratio": tokens / original,
            "timestamp": messages[last]["timestamp"],
        }
    ]


def _current(messages: list[dict[str, Any]], summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model would be sent next: the messages, but where a summary stands for some, that."""
    shown: list[dict[str, Any]] = []
    for message in messages:
        summary = next((s for s in summaries if s["start_seq"] <= message["seq"] <= s["end_seq"]), None)
        if summary is None:
            names = ("role", "content", "tool_name")
            shown.append({name: message[name] for name in names if name in message})
        elif message["seq"] == summary["start_seq"]:
            shown.append({"role": SUMMARY_ROLE.value, "content": summary["summary"]})
    return shown


def _lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    jsonl.replace(path, b"".join(map(jsonl.to_json, records)))
