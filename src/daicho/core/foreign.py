"""Another program's SQLite file: read as it stands, or copied as it stood at one moment.

Not a byte of it changes, but for what SQLite itself puts right after a crash of its writer. Texts come as
bytes: nothing says that they are UTF-8.
"""

import errno
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daicho.core.dialect import BUSY_SECONDS, is_memory, is_sqlite
from daicho.core.errors import Invalid, Unavailable
from daicho.core.scratch import scratch
from daicho.core.settings import Settings

HEADER = b"SQLite format 3\0"
NEEDS_RECOVERY = ("SQLITE_CANTOPEN", "SQLITE_READONLY")
"""What SQLite says where it may only read, but must first undo what a crash has left, or make a file."""
COMPANIONS = ("", "-wal", "-journal")


class ForeignFile(ABC):
    """An SQLite file of another program, while it is read. Use it as a context.

    Args:
        path: the file.
        usual: the name that such a file usually has: ``tasks.db``.

    Raises Invalid for what is no such database; Unavailable while it is locked.
    """

    def __init__(self, path: Path, usual: str) -> None:
        self.path = path
        with self._translating(), ExitStack() as opened:
            self._connection = self._connect(usual, opened)
            self._look()
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._opened.close()

    def _connect(self, usual: str, opened: ExitStack) -> sqlite3.Connection:
        return opened.enter_context(closing(connect(self.path, usual)))

    @abstractmethod
    def _look(self) -> None:
        """Look for what is to be read."""

    def _run(self, statement: str, *values: int) -> list[Any]:
        with self._translating():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raise what an error of SQLite means to who wants the file read."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._translated(error) from None

    def _translated(self, error: sqlite3.Error) -> Invalid | Unavailable:
        return translated(self.path, error)


class CopiedFile(ForeignFile):
    """One that is copied first: its tables fit together, and its writer is not kept waiting.

    A copy whose process was killed is removed by the next one.

    Raises Unavailable also where the copy does not fit where temporary files are kept.
    """

    def _connect(self, usual: str, opened: ExitStack) -> sqlite3.Connection:
        check_header(self.path, usual)
        folder = opened.enter_context(scratch("daicho-adopt-"))
        return opened.enter_context(closing(copied(self.path, folder / "copy.db")))

    def _translated(self, error: sqlite3.Error) -> Invalid | Unavailable:
        full = getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL")
        return _no_room(self.path) if full else super()._translated(error)


def connect(path: Path, usual: str) -> sqlite3.Connection:
    """Open an SQLite file to read from. ``usual`` is the name that such a file usually has.

    Raises Invalid for what is no SQLite database; Unavailable while it is locked.
    """
    check_header(path, usual)
    place = path.absolute().as_uri()
    failure: sqlite3.Error | None = None
    for way in ("mode=ro", "mode=rw", "mode=ro&immutable=1"):
        if "immutable" in way and path.with_name(path.name + "-wal").exists():
            break
        connection = sqlite3.connect(f"{place}?{way}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        connection.text_factory = bytes
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.Error as error:
            connection.close()
            failure = failure or error
            if not error.sqlite_errorname.startswith(NEEDS_RECOVERY):
                break
        else:
            return connection
    raise translated(path, failure or sqlite3.OperationalError("unable to open database file"))


def tables(connection: sqlite3.Connection) -> dict[str, str]:
    """The names of a database's tables, by their lower case."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    names = [bytes(name).decode(errors="replace") for (name,) in found]
    return {name.lower(): name for name in names}


# -- the copy ------------------------------------------------------------------------------------------


def copied(path: Path, copy: Path) -> sqlite3.Connection:
    """Copy a database as it stands at one moment, and open the copy.

    Raises sqlite3.Error; Unavailable where there is no room, or while another program writes to it.
    """
    path = path.resolve()  # SQLite's other files stand beside the file, not beside a link to it
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        ) as source:
            # The lock to read by, with a time-out: a copy itself would wait for ever.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchall()
            with closing(sqlite3.connect(copy)) as target:
                target.execute("PRAGMA synchronous = OFF")
                source.backup(target)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(NEEDS_RECOVERY):
            raise
        _copy_files(path, copy)
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.text_factory = bytes
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    return connection


def _copy_files(path: Path, copy: Path) -> None:
    """Copy what a program that died has left: SQLite puts it right where it may write."""
    before = _state(path)
    try:
        for suffix in before:
            shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _no_room(path) from None
        raise
    if _state(path) != before:
        raise Unavailable(
            f"{path}: another program writes to it; run again when that has ended",
            f"{path}: 別のプログラムが書き込んでいます。終わってからもう一度実行してください",
        )


def _state(path: Path) -> dict[str, tuple[int, int]]:
    files = {suffix: path.with_name(path.name + suffix) for suffix in COMPANIONS}
    states = {suffix: file.stat() for suffix, file in files.items() if file.exists()}
    return {suffix: (state.st_size, state.st_mtime_ns) for suffix, state in states.items()}


# -- what is wrong with a file -----------------------------------------------------------------------------


def check_header(path: Path, usual: str) -> None:
    """Raise Invalid for what is no SQLite database; ``usual`` is the name that such a file usually has."""
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except FileNotFoundError:
        raise Invalid(f"{path}: no such file", f"{path}: ファイルがありません") from None
    except IsADirectoryError:
        raise Invalid(
            f"{path}: is a folder; name the file in it, such as {path / usual}",
            f"{path}: フォルダーです。{path / usual} のようにファイルを指定してください",
        ) from None
    if not header:
        raise Invalid(f"{path}: is empty", f"{path}: 空のファイルです")
    if header != HEADER:
        raise _not_sqlite(path)


def translated(path: Path, error: sqlite3.Error) -> Invalid | Unavailable:
    """What an error of SQLite means to who wants a file read."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(
            f"{path}: another program keeps it locked; run again when that has ended",
            f"{path}: 別のプログラムがロックしています。終わってからもう一度実行してください",
        )
    if name.startswith("SQLITE_NOTADB"):
        return _not_sqlite(path)
    if name.startswith("SQLITE_CORRUPT"):
        return Invalid(
            f"{path}: is damaged ({error}); recover it first: sqlite3 {path} .recover",
            f"{path}: 壊れています ({error})。先に修復してください: sqlite3 {path} .recover",
        )
    return Unavailable(f"{path}: cannot be read: {error}", f"{path}: 読めません: {error}")


def _not_sqlite(path: Path) -> Invalid:
    return Invalid(f"{path}: is not an SQLite database", f"{path}: SQLite のデータベースではありません")


def _no_room(path: Path) -> Unavailable:
    return Unavailable(
        f"{path}: no room for a copy of it in {tempfile.gettempdir()}; name a larger folder by TMPDIR",
        f"{path}: {tempfile.gettempdir()} に写しを置く空きがありません。"
        "TMPDIR で別のフォルダーを指定してください",
    )


# -- the ledger's own ----------------------------------------------------------------------------------


def own_file(settings: Settings) -> Path | None:
    """The file of the ledger's own database; None where it is no file."""
    url = settings.database_url()
    return Path(str(url.database)) if is_sqlite(url) and not is_memory(url) else None


def is_own(path: Path, settings: Settings) -> bool:
    """Whether a file is the ledger's own database, or stands where that belongs."""
    own = own_file(settings)
    if own is None:
        return False
    return own.resolve() == path.resolve() or (own.exists() and path.exists() and own.samefile(path))
