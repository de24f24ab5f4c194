"""What a backup is on each kind of database: how it is written, checked in a scratch database, and restored.

Tables are read as the database has them, not as the models do: a backup may be of any revision, and of
another program's tables beside the ledger's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal

from daicho.core.engine import Database
from daicho.core.errors import Outdated
from daicho.core.language import Text
from daicho.migrations import FOLDER, HEAD
from daicho.ops.backup_manifest import Held, Manifest

Steps = Callable[[Text, int | None, bool], AbstractContextManager[Callable[[int], None]]]
"""Begins a step of work: its name, how much there is to do (None if unknown), whether that is bytes."""
OF_MIGRATIONS = frozenset({"alembic_version", "rollup_state"})
"""Tables that have a row as soon as they are made."""
WRITING = Text("writing", "書き込み")
READING = Text("reading", "読み取り")
UPLOADING = Text("storing", "保存")
RESTORING = Text("restoring", "復元")
CHECKING = Text("checking", "検査")


@contextmanager
def unseen(_: Text, __: int | None, ___: bool) -> Iterator[Callable[[int], None]]:
    """Steps that nobody watches."""
    yield lambda _: None


@dataclass(frozen=True, slots=True)
class Content:
    """What a database held at a backup's instant."""

    server: str
    made: datetime
    revision: str | None
    tables: list[Held]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done.

    Attributes:
        revision: of the restored database; ``outdated`` if it is older than this code's.
        rows: that it holds.
        old: where the database that was there is now; None if there was none, or nothing in it.
        notes: what else there is to know.
    """

    revision: str | None
    rows: int
    old: str | None
    notes: tuple[Text, ...] = ()

    @property
    def outdated(self) -> bool:
        """Whether ``daicho db upgrade`` comes next."""
        return self.revision != HEAD


class Kind(ABC):
    """One kind of database. ``database`` is backed up, or restored."""

    name: ClassVar[Literal["sqlite", "postgresql"]]

    def __init__(self, database: Database, steps: Steps = unseen) -> None:
        self.database = database
        self.steps = steps

    @abstractmethod
    def check_source(self, scratch: str | None) -> None:
        """Raise Invalid or Unavailable if it could not be backed up, or the backup not be verified.

        Args:
            scratch: the server of the scratch database: empty for the database's own, None for none.
        """

    @abstractmethod
    def write(self, file: Path) -> Content:
        """Write a backup into a file, and return what the database held at its instant."""

    @abstractmethod
    def verify(self, manifest: Manifest, file: Path, work: Path, scratch: str | None) -> None:
        """Restore a backup into a scratch database, and raise Conflict if it does not hold the same.

        Args:
            file: the backup; it is only read.
            work: a folder for temporary files.
            scratch: another server's URL, to make the scratch database on.
        """

    @abstractmethod
    def restore(self, manifest: Manifest | None, file: Path, *, force: bool) -> Restored:
        """Put a backup in the place of the database, which is kept beside it.

        Args:
            manifest: what the backup must hold; None to believe it.
            file: the backup; it is only read.
            force: also if the database has rows or is in use.

        Raises Conflict if it has rows or is in use, Outdated for a backup of a newer Daicho.
        """

    @property
    @abstractmethod
    def target_folder(self) -> Path | None:
        """The folder that a restored file is made in; None where that is not this machine's."""


def check_revision(revision: str | None, name: str) -> None:
    """Raise Outdated for a backup of a revision that this code does not know."""
    if revision is None or revision in {path.stem for path in (FOLDER / "versions").glob("*.py")}:
        return
    raise Outdated(
        f"{name}: is of revision {revision}, newer than this Daicho ({HEAD}); upgrade Daicho first",
        f"{name}: リビジョン {revision} は、この Daicho ({HEAD}) より新しいものです。先に Daicho"
        " を更新してください",
    )


def has_rows(tables: list[Held]) -> bool:
    """Whether there is anything that a restore would take away."""
    return any(table.rows for table in tables if table.table not in OF_MIGRATIONS)
