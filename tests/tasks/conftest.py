"""Tasks for tests: what they are about, one ledger, folders of one's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from daicho import Ledger, Settings, TaskContextManager
from daicho.tasks.files import TaskFiles

ABOUT: dict[str, Any] = {
    "task_source": "github",
    "owner": "daicho",
    "repo": "ledger",
    "task_type": "issue",
    "task_id": "42",
}


@pytest.fixture
def one_ledger(sqlite_url: str) -> Iterator[Ledger]:
    """A ledger, for what is the same on every database."""
    with Ledger(sqlite_url) as ledger:
        yield ledger


@pytest.fixture
def base_dir(tmp_path: Path) -> Path:
    """Where the tasks of a test have their folders."""
    return tmp_path / "contexts"


@pytest.fixture
def files(base_dir: Path) -> TaskFiles:
    """The folders of a test's tasks."""
    return TaskFiles(base_dir)


@pytest.fixture
def work(ledger: Ledger, base_dir: Path) -> Iterator[Callable[..., TaskContextManager]]:
    """Begin to work on a task, on each database; what is still open at the end is closed."""
    opened = []

    def begin(uuid: str | None = None, **options: Any) -> TaskContextManager:
        config = Settings(context_storage={"base_dir": base_dir})
        context = TaskContextManager(ABOUT, uuid or str(uuid4()), config, ledger=ledger, **options)
        opened.append(context)
        return context

    yield begin
    for context in opened:
        context.close()
