"""An old agent's ``tasks.db`` that stands where the ledger's own database belongs.

Seed 001 configures the one path for both. The old file is moved aside, and the ledger makes its own.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from daicho.core.dialect import BUSY_SECONDS
from daicho.core.errors import Conflict, Invalid, Unavailable
from daicho.core.foreign import connect, is_own, own_file, tables
from daicho.core.settings import Settings
from daicho.tasks.adoption import USUAL
from daicho.tasks.jsonl import sync_folder

REVISIONS = "alembic_version"
"""The table that a database of Daicho has, and an old agent's has not."""
ASIDE = ".before-daicho"
"""What is appended to the name of an old database that made room for the ledger."""
COMPANIONS = ("-wal", "-shm", "-journal")
PAUSE_SECONDS = 0.1


def source_of(path: Path, settings: Settings, *, move: bool) -> Path:
    """Return the file to adopt from: ``path``, unless that is where the ledger's own database belongs.

    Args:
        move: whether an old database there may be moved aside; else it is read where it stands.

    An adoption that was interrupted, wherever, is taken up again. Raises Invalid if the path is the
    ledger itself; Conflict if something has been set aside already; Unavailable while others use it.
    """
    if not is_own(path, settings):
        return path
    path = path.resolve()
    aside = path.with_name(path.name + ASIDE)
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        there = _tables(path)
        if REVISIONS in there or "tasks" not in there:  # the ledger's, or one in the making, or nothing
            return _set_aside_before(path, aside, is_ledger=REVISIONS in there)
        if aside.exists():
            raise Conflict(
                f"{path}: is an old tasks.db, but {aside.name} is there already;"
                " adopt that one, then move it away",
                f"{path}: 旧 tasks.db ですが {aside.name} が既にあります。"
                "先にそちらを取り込み、別の場所へ移してください",
            )
        if not move:
            return path
        users = _users(path)
        if not users and _moved(path, aside):
            return aside
        if time.monotonic() > patience:
            raise _in_use(path, users)
        time.sleep(PAUSE_SECONDS)


def has_ledger(settings: Settings) -> bool:
    """Whether the ledger's database is there, so that looking into it does not make one."""
    own = own_file(settings)
    return own is None or REVISIONS in _tables(own)


def _set_aside_before(path: Path, aside: Path, *, is_ledger: bool) -> Path:
    if aside.exists():
        return aside
    if is_ledger:
        raise Invalid(
            f"{path}: is this ledger itself; name the old agent's file",
            f"{path}: この台帳自身です。旧エージェントのファイルを指定してください",
        )
    return path


def _tables(path: Path) -> set[str]:
    """The tables of a database; none if there is no file yet, or it is still empty."""
    if not path.is_file() or not path.stat().st_size:
        return set()
    with closing(connect(path, USUAL)) as connection:
        return set(tables(connection))


def _users(path: Path) -> list[int]:
    """Processes that have a file open, as far as one may know: an idle one holds no lock."""
    import psutil

    users = []
    for process in psutil.process_iter(["open_files"]):
        opened = process.info["open_files"] or []
        if process.pid != os.getpid() and any(file.path == str(path) for file in opened):
            users.append(process.pid)
    return users


def _moved(path: Path, aside: Path) -> bool:
    """Rename a database once nobody else uses it; False if another program was quicker, or uses it."""
    try:
        before = path.stat()
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=PAUSE_SECONDS, isolation_level=None
        )
    except (FileNotFoundError, sqlite3.OperationalError):
        return False
    try:
        # Out of WAL mode everything stands in the one file. The lock holds while the file gets its new
        # name: of two adoptions at once one moves it, and the other then finds it moved.
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
        if not os.path.samestat(before, path.stat()) or aside.exists():
            return False
        if any(path.with_name(path.name + suffix).exists() for suffix in COMPANIONS):
            return False
        path.rename(aside)
        sync_folder(path.parent)
        connection.execute("COMMIT")
    except (FileNotFoundError, sqlite3.OperationalError):
        return False
    finally:
        connection.close()
    return True


def _in_use(path: Path, users: list[int]) -> Unavailable:
    by = ", ".join(map(str, users)) or "?"
    return Unavailable(
        f"{path}: process {by} has it open; end the old agent, then run again",
        f"{path}: プロセス {by} が開いています。旧エージェントを終了してから、もう一度実行してください",
    )
