"""Tasks: statistics by many workers, messages by one agent, and the last page of a large file.

The driver adds with one UPDATE and COMMIT each. A message's limit is one write and one fsync; that of
a page is one seek and one read.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.harness import Place, Row, seconds
from daicho import Ledger
from daicho.tasks.conversation import Conversation
from daicho.tasks.files import MESSAGES, TaskFiles
from daicho.tasks.jsonl import to_json

WORKERS, ADDITIONS = 8, 4_000
APPENDS = 2_000
ABOUT = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}
UUID = "5f0c5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d"
LINE = to_json({"seq": 1, "role": "user", "content": "こんにちは、" * 60, "timestamp": "", "tokens": 7})
FILE_BYTES = 500 * 1024 * 1024


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        yield Row(
            f"task statistics, {WORKERS} workers, {place.kind}",
            "adds/s",
            ADDITIONS / statistics_by_daicho(place),
            ADDITIONS / statistics_by_driver(place),
        )
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for before in (0, 100_000):
            yield Row(
                f"task messages after {before:,}",
                "lines/s",
                *(APPENDS / one for one in messages(base, before)),
            )
        yield Row("last page of 500 MB", "ms", *(one * 1000 for one in last_page(base)))


def statistics_by_daicho(place: Place) -> float:
    with Ledger(place.url) as ledger, ThreadPoolExecutor(WORKERS) as threads:
        uuid = ledger.tasks.create({**ABOUT, "uuid": UUID}).uuid

        def add(_: int) -> None:
            for _ in range(ADDITIONS // WORKERS):
                ledger.tasks.update_statistics(uuid, 1, 1, 100, 0)

        took = seconds(lambda: list(threads.map(add, range(WORKERS))))
        task = ledger.tasks.get_by_uuid(uuid)
        assert task is not None
        assert task.total_tokens == 100 * ADDITIONS, "additions were lost"
        return took


def statistics_by_driver(place: Place) -> float:
    alone = place.kind == "SQLite"
    connections = [place.connect() for _ in range(1 if alone else WORKERS)]
    add = place.sql(
        "UPDATE tasks SET llm_call_count = llm_call_count + ?, tool_call_count = tool_call_count + ?,"
        " total_tokens = total_tokens + ? WHERE uuid = ?"
    )

    def work(number: int) -> None:
        for _ in range(ADDITIONS // len(connections)):
            connections[number].execute("BEGIN IMMEDIATE" if alone else "BEGIN")
            connections[number].execute(add, (1, 1, 100, UUID))
            connections[number].execute("COMMIT")

    with ThreadPoolExecutor(len(connections)) as threads:
        took = seconds(lambda: list(threads.map(work, range(len(connections)))))
    for connection in connections:
        connection.close()
    return took


def messages(base: Path, before: int) -> tuple[float, float]:
    """Seconds for some messages after so many: ours, and a bare write with fsync."""
    folder = base / str(before)
    folder.mkdir()
    (folder / MESSAGES).write_bytes(b"".join(LINE.replace(b"1", b"%d" % n, 1) for n in range(1, before + 1)))
    store = Conversation(folder).messages

    def ours() -> None:
        for _ in range(APPENDS):
            store.add_message("user", "こんにちは、" * 60, tokens=7)

    bare = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def driver() -> None:
        for _ in range(APPENDS):
            os.write(bare, LINE)
            os.fsync(bare)

    took = seconds(ours), seconds(driver)
    os.close(bare)
    return took


def last_page(base: Path) -> tuple[float, float]:
    path = base / "running" / UUID / MESSAGES
    path.parent.mkdir(parents=True)
    block = LINE * 1000
    with path.open("wb") as file:
        for _ in range(FILE_BYTES // len(block)):
            file.write(block)
    files = TaskFiles(base)
    size = len(LINE) * 100

    def driver() -> None:
        with path.open("rb") as file:
            file.seek(-size, os.SEEK_END)
            assert len(file.read().splitlines()) == 100

    def ours() -> None:
        assert len(files.messages(UUID, limit=100, newest_first=True).items) == 100

    times = 20
    return seconds(lambda: [ours() for _ in range(times)]) / times, (
        seconds(lambda: [driver() for _ in range(times)]) / times
    )
