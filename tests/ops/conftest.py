"""What tests of running a ledger share: a real S3 server, databases, a place for backups."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daicho.core.engine import Database
from daicho.ledger import open_database
from tests.members.conftest import KEYS, s3

__all__ = ["KEYS", "s3"]


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Open databases that are closed in the end."""
    found: list[Database] = []

    def open_one(url: str) -> Database:
        found.append(open_database(url))
        return found[-1]

    yield open_one
    for database in found:
        database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for backups."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder
