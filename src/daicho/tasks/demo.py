"""The demo's tasks: two weeks of believable work, and a few tasks that go on while one watches."""

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import cycle
from typing import Any
from uuid import UUID

from daicho.core.engine import Database
from daicho.core.errors import Conflict
from daicho.core.operation import Sync
from daicho.core.page import LIMIT_MAX
from daicho.core.runners import SyncRunner
from daicho.core.types import now as present
from daicho.tasks import demo_files, demo_texts, demo_texts_ja
from daicho.tasks.context import TaskContextManager
from daicho.tasks.demo_texts import Script, Step, Use
from daicho.tasks.files import TaskFiles
from daicho.tasks.needs import LiveTaskLedger, TaskLedger
from daicho.tasks.process import lives
from daicho.tasks.schemas import Role, TaskStatus
from daicho.tasks.store import TaskStore

Row = dict[str, Any]

ENDED = 36
WITH_FILES = 10
"""Of those that have ended, so many have a folder; those that have not ended all have one."""
GOING_ON = 2
DAYS = 14
MARK = "00da1c40"
"""The end of the uuid of every task of a demo."""
STATUSES = ("completed",) * 7 + ("failed",) * 2 + ("stopped",)
MODELS = (
    ("anthropic", "claude-sonnet-4-5", 200_000),
    ("openai", "gpt-5.1-codex", 272_000),
    ("openai", "gpt-5-mini", 272_000),
    ("google", "gemini-2.5-pro", 1_048_576),
    ("ollama", "qwen3-coder:30b", 131_072),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs between the tasks of two languages."""

    scripts: tuple[Script, ...]
    system: str
    errors: tuple[str, ...]
    stops: tuple[str, ...]
    users: tuple[str, ...]
    places: tuple[tuple[str, str, str], ...]
    hours: int


ENGLISH = Setting(
    demo_texts.SCRIPTS,
    demo_texts.SYSTEM,
    demo_texts.ERRORS,
    demo_texts.STOPS,
    users=("emma.clarke", "noah.fischer", "olivia.reyes", "d.kim"),
    places=(
        ("github", "harbor-internet", "customer-portal"),
        ("github", "harbor-internet", "billing"),
        ("github", "lumen-books", "storefront"),
        ("gitlab", "northwind/platform", "orders"),
    ),
    hours=-5,
)
JAPANESE = Setting(
    demo_texts_ja.SCRIPTS,
    demo_texts_ja.SYSTEM,
    demo_texts_ja.ERRORS,
    demo_texts_ja.STOPS,
    users=("佐藤美咲", "田中健一", "高橋 葵"),
    places=(
        ("github", "sakura-dental", "yoyaku"),
        ("gitlab", "hanabi/web", "reservation"),
        ("gitlab", "hanabi/web", "invoice"),
    ),
    hours=9,
)


def fill(ledger: TaskLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's tasks, ended ones and some that wait; return how many were not there yet.

    The generator decides everything but the days: the same seed makes the same tasks, once. What is
    there already is left alone, its files too.
    """
    settings = _settings()
    made = [_ended(next(settings), rng, now) for _ in range(ENDED)]
    made += [
        _open(next(settings), rng, now, status)
        for status in (TaskStatus.RUNNING, TaskStatus.RUNNING, TaskStatus.PAUSED, TaskStatus.PENDING)
    ]
    with_files = [*made[:WITH_FILES], *made[ENDED:-1]]
    for row, _, script in with_files:
        row |= _counted(script, row["status"], rng)
    added = ledger.tasks.adopt([row for row, _, _ in made]).added
    if added:
        files = TaskFiles(ledger.database.settings.context_storage.base_dir)
        for row, setting, script in with_files:
            task = ledger.tasks.get_by_uuid(row["uuid"])
            if task is not None and files.folder(task.uuid) is None:
                demo_files.write(files, task, setting.system, script)
    return added


async def live(ledger: LiveTaskLedger, rng: random.Random) -> None:
    """Keep some tasks going, in each a step every one to three seconds, until cancelled.

    Tasks that a former demo left behind are stopped first: nobody would go on with them. Those of this
    one are stopped when it is cancelled.
    """
    threads = Threads(TaskStore[Sync](SyncRunner(ledger.database)), ledger.database)
    works: list[Work] = []
    settings = _settings()
    await asyncio.to_thread(_stop_leftovers, threads)
    try:
        while True:
            while len(works) < GOING_ON:
                works.append(await asyncio.to_thread(Work, threads, next(settings), rng))
            if not await asyncio.to_thread(works[0].go_on):
                works.pop(0)
            works = works[1:] + works[:1]
            await asyncio.sleep(rng.uniform(1, 3) / GOING_ON)
    finally:
        for work in works:  # at once: what is awaited after a cancellation may come to no end
            work.stop()


@dataclass(frozen=True, slots=True)
class Threads:
    """A ledger as a ``TaskContextManager`` needs it."""

    tasks: TaskStore[Sync]
    database: Database


class Work:
    """A task that goes on, as a coding agent would work on it; it begins at once."""

    def __init__(self, ledger: TaskLedger, setting: Setting, rng: random.Random) -> None:
        self._rng = rng
        script = rng.choice(setting.scripts)
        self._fails = rng.choice(setting.errors) if rng.random() < 0.25 else None
        self._steps = list(script.steps[: len(script.steps) // 2] if self._fails else script.steps)
        row = _begun(setting, script, random.Random(os.urandom(16)), present())
        config = {
            "llm": {name: row[name] for name in ("model", "context_length")}
            | {"provider": row["llm_provider"]},
            "context_storage": {"base_dir": str(ledger.database.settings.context_storage.base_dir)},
        }
        self._task = TaskContextManager(row, row["uuid"], config, row["user"], ledger=ledger)
        for role, text in ((Role.SYSTEM, setting.system), (Role.USER, script.wish)):
            self._task.get_message_store().add_message(role, text, tokens=demo_files.tokens_of(text, role))

    def go_on(self) -> bool:
        """Take the next step, or end the task after the last; return whether there is more to come."""
        if not self._task.heartbeat():
            self.stop()  # a reader has cancelled it
            return False
        if not self._steps:
            if self._fails:
                self._task.fail(self._fails)
            else:
                self._task.complete()
            self._task.close()
            return False
        self._write(self._steps.pop(0))
        return True

    def stop(self) -> None:
        """Give the task up."""
        self._task.stop("the demo has ended")
        self._task.close()

    def _write(self, step: Step) -> None:
        uses = isinstance(step, Use)
        if isinstance(step, Use):
            self._task.get_tool_store().add_tool_call(
                step.tool,
                dict(step.args),
                step.result or None,
                error=step.error,
                duration_ms=round(self._rng.uniform(20, 9_000), 1),
            )
        role, text, tool = demo_files.message_of(step)
        tokens = demo_files.tokens_of(text, role)
        self._task.get_message_store().add_message(role, text, tokens=tokens, tool_name=tool)
        self._task.update_statistics(1, int(uses), self._rng.randint(900, 6_000))


def _stop_leftovers(ledger: TaskLedger) -> None:
    files = TaskFiles(ledger.database.settings.context_storage.base_dir)
    cursor: str | None = None
    while True:
        page = ledger.tasks.list(status=TaskStatus.RUNNING, limit=LIMIT_MAX, cursor=cursor)
        for task in page.items:
            if task.uuid.endswith(MARK) and not lives(task):
                with suppress(Conflict):  # it has ended meanwhile
                    ledger.tasks.stop(task.uuid, "left behind by a former demo")
                    ended = ledger.tasks.get_by_uuid(task.uuid)
                    if ended is not None:
                        files.settle_if_free(ended)
        if (cursor := page.next) is None:
            return


# -- rows --------------------------------------------------------------------------------------------


def _settings() -> Iterator[Setting]:
    return cycle((JAPANESE, ENGLISH))


def _begun(setting: Setting, script: Script, rng: random.Random, at: datetime) -> Row:
    """A task that has just begun."""
    source, owner, repo = rng.choice(setting.places)
    review = "git_diff" in {step.tool for step in script.steps if isinstance(step, Use)}
    provider, model, length = rng.choice(MODELS)
    uuid = str(UUID(int=rng.getrandbits(128), version=4))
    return {
        "uuid": uuid[: -len(MARK)] + MARK,
        "task_source": source,
        "owner": owner,
        "repo": repo,
        "task_type": ("pull_request" if source == "github" else "merge_request") if review else "issue",
        "task_id": str(rng.randint(3, 940)),
        "status": TaskStatus.RUNNING.value,
        "created_at": at,
        "started_at": at + timedelta(seconds=rng.randint(1, 9)),
        "llm_provider": provider,
        "model": model,
        "context_length": length,
        "user": rng.choice(setting.users),
    }


def _ended(setting: Setting, rng: random.Random, now: datetime) -> tuple[Row, Setting, Script]:
    zone = timezone(timedelta(hours=setting.hours))
    day = now.astimezone(zone) - timedelta(days=rng.randrange(DAYS))
    start = day.replace(hour=rng.randrange(9, 20), minute=rng.randrange(60), second=rng.randrange(60))
    length = timedelta(seconds=rng.randint(90, 3_000))
    if start + length > now:
        start -= timedelta(days=1)
    script = rng.choice(setting.scripts)
    status = TaskStatus(rng.choice(STATUSES))
    reason = {
        TaskStatus.FAILED: rng.choice(setting.errors),
        TaskStatus.STOPPED: rng.choice(setting.stops),
    }.get(status)
    row = _begun(setting, script, rng, start)
    row |= {"status": status.value, "completed_at": start + length, "error_message": reason}
    return row | _numbers(rng), setting, script


def _open(
    setting: Setting, rng: random.Random, now: datetime, status: TaskStatus
) -> tuple[Row, Setting, Script]:
    script = rng.choice(setting.scripts)
    row = _begun(setting, script, rng, now - timedelta(seconds=rng.randint(60, 1_200)))
    row["status"] = status.value
    if status is TaskStatus.PENDING:
        return row | {"started_at": None, "llm_provider": None, "model": None}, setting, script
    return row, setting, script


def _counted(script: Script, status: str, rng: random.Random) -> Row:
    """The numbers of a task whose files say what its agent did."""
    steps = demo_files.steps_of(script, status)
    return {
        "llm_call_count": len(steps),
        "tool_call_count": sum(isinstance(step, Use) for step in steps),
        "total_tokens": len(steps) * rng.randint(2_000, 14_000),
        "compression_count": rng.randint(0, 1) if len(steps) >= demo_files.WORTH_A_SUMMARY else 0,
    }


def _numbers(rng: random.Random) -> Row:
    calls = rng.randint(6, 70)
    return {
        "llm_call_count": calls,
        "tool_call_count": int(calls * rng.uniform(0.5, 1.6)),
        "total_tokens": calls * rng.randint(2_000, 14_000),
        "compression_count": calls // 24,
    }
