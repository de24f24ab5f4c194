"""The demo's tasks: believable, the same for a seed, once; and tasks that are worked on until it stops."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daicho import AsyncLedger, Ledger
from daicho.tasks import demo
from daicho.tasks.conversation import Conversation
from daicho.tasks.files import TaskFiles
from daicho.tasks.repair import examine
from daicho.tasks.schemas import TaskStatus
from tests.tasks.conftest import ABOUT


def written(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file under a folder: when it was written, and what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_the_demo_fills_a_ledger_once(url: str, tmp_path: Path) -> None:
    with Ledger(url) as ledger:
        now = datetime.now(UTC)
        assert demo.fill(ledger, random.Random(1), now) == 40
        before = written(tmp_path / "contexts")
        assert demo.fill(ledger, random.Random(1), now + timedelta(days=1)) == 0
        assert written(tmp_path / "contexts") == before
        assert [
            finding.problem.en for finding in examine(ledger.tasks, TaskFiles(tmp_path / "contexts"))
        ] == []


def test_the_demo_is_believable(sqlite_url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with Ledger(sqlite_url) as ledger:
        demo.fill(ledger, random.Random(1), now)
        tasks = ledger.tasks.list(limit=1000).items
    files = TaskFiles(tmp_path / "contexts")
    assert {task.status for task in tasks} == {*TaskStatus}
    assert {task.task_type for task in tasks} == {"issue", "pull_request", "merge_request"}
    assert all(bool(task.error_message) == (task.status in {"failed", "stopped"}) for task in tasks)
    for task in tasks:
        times = [task.created_at, task.started_at, task.completed_at, now]
        known = [at for at in times if at is not None]
        assert known == sorted(known)
        assert known[0] > now - timedelta(days=16)
    with_files = [task for task in tasks if files.folder(task.uuid)]
    assert len(with_files) == 13
    for task in with_files:
        said = [line.record for line in files.messages(task.uuid).items]
        calls, summaries = files.tool_calls(task.uuid).items, files.summaries(task.uuid).items
        assert [one.seq for one in said if one] == [*range(1, len(said) + 1)]
        assert len(calls) == task.tool_call_count == sum(one.role == "tool" for one in said if one)
        assert len(summaries) == task.compression_count
        conversation = Conversation(files.folder(task.uuid) or tmp_path)
        assert conversation.torn == [], "current.jsonl follows from the others"
        conversation.close()


def test_the_demo_works_on_tasks_until_it_is_cancelled(url: str, tmp_path: Path) -> None:
    files = TaskFiles(tmp_path / "contexts")
    with Ledger(url) as threads:
        demo.fill(threads, random.Random(1), datetime.now(UTC))
        left_behind = {task.uuid for task in threads.tasks.list_by_status("running")}
        mine = threads.tasks.create(ABOUT).uuid

    async def run() -> tuple[set[str], set[str]]:
        async with AsyncLedger(url) as ledger:
            changes = ledger.changes()
            going_on = asyncio.create_task(demo.live(ledger, random.Random(2)))
            seen: set[str] = set()
            while sum(len(files.messages(uuid).items) for uuid in seen) < 8:
                await asyncio.wait_for(anext(changes), 20)
                running = await ledger.tasks.list_by_status("running")
                seen |= {task.uuid for task in running} - left_behind - {mine}
            going_on.cancel()
            await asyncio.wait([going_on])
            return seen, {task.uuid for task in await ledger.tasks.list_by_status("running")}

    seen, left = asyncio.run(run())
    assert len(seen) >= 2
    assert left == {mine}
    assert {folder.parent.name for uuid in seen if (folder := files.folder(uuid))} == {"completed"}
