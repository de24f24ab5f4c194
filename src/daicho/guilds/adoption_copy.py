"""A copy of an SQLite file that others may write to, made at one moment and without writing to the file."""

import errno
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from daicho.core.dialect import BUSY_SECONDS
from daicho.core.errors import Invalid, Unavailable

HEADER = b"SQLite format 3\0"
NEEDS_RECOVERY = ("SQLITE_CANTOPEN", "SQLITE_READONLY")
"""What SQLite says where it may only read, but must first undo what a crash has left, or make a file."""
COMPANIONS = ("", "-wal", "-journal")


def translated(path: Path, error: sqlite3.Error) -> Invalid | Unavailable:
    """What an error of SQLite means to who wants a bot's database read."""
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
    if name.startswith("SQLITE_FULL"):
        return _no_room(path)
    return Unavailable(f"{path}: cannot be read: {error}", f"{path}: 読めません: {error}")


# -- the copy ------------------------------------------------------------------------------------------


def copied(path: Path, copy: Path) -> sqlite3.Connection:
    """Copy a database as it stands at one moment, and open the copy; texts come as bytes."""
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


def check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except FileNotFoundError:
        raise Invalid(f"{path}: no such file", f"{path}: ファイルがありません") from None
    except IsADirectoryError:
        raise Invalid(
            f"{path}: is a folder; name the file in it, such as {path / 'kyrios.db'}",
            f"{path}: フォルダーです。{path / 'kyrios.db'} のようにファイルを指定してください",
        ) from None
    if not header:
        raise Invalid(f"{path}: is empty", f"{path}: 空のファイルです")
    if header != HEADER:
        raise _not_sqlite(path)


def _not_sqlite(path: Path) -> Invalid:
    return Invalid(f"{path}: is not an SQLite database", f"{path}: SQLite のデータベースではありません")


def _no_room(path: Path) -> Unavailable:
    return Unavailable(
        f"{path}: no room for a copy of it in {tempfile.gettempdir()}; name a larger folder by TMPDIR",
        f"{path}: {tempfile.gettempdir()} に写しを置く空きがありません。"
        "TMPDIR で別のフォルダーを指定してください",
    )
