"""The doctor's look at an SQLite file."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from daicho.core import dialect
from daicho.core.engine import Database
from daicho.core.language import Text
from daicho.ops.findings import Finding, State, ok, room_on, size
from daicho.ops.health import Limits, wal_finding

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "fuse.glusterfs", "ceph"}
)
QUICK_SECONDS = 5
STEPS = 100_000
"""SQLite's instructions between two looks at the clock."""


def is_missing(database: Database) -> bool:
    """Whether the file is not there yet."""
    file = dialect.file_of(database.url)
    return file is not None and not file.exists()


def before(database: Database) -> Iterator[Finding]:
    """Look at the file and its folder, without opening it."""
    file = dialect.file_of(database.url)
    if file is None:
        yield Finding(
            "database",
            State.WARN,
            Text("in memory: it ends with its process", "メモリー上にあり、プロセスと共に消えます"),
            Text(
                "set DATABASE_URL=sqlite:///daicho.db", "DATABASE_URL=sqlite:///daicho.db を設定してください"
            ),
        )
        return
    if not file.parent.is_dir():
        yield Finding(
            "database",
            State.FAIL,
            Text(f"the folder {file.parent} does not exist", f"フォルダー {file.parent} がありません"),
            Text(
                f"mkdir -p {file.parent}, or change DATABASE_URL",
                f"mkdir -p {file.parent} か DATABASE_URL を変更",
            ),
        )
        return
    if file.is_dir():
        yield Finding(
            "database",
            State.FAIL,
            Text(f"{file} is a folder", f"{file} はフォルダーです"),
            Text("let DATABASE_URL name a file", "DATABASE_URL にファイルを指定してください"),
        )
        return
    if not file.exists():
        yield Finding(
            "database",
            State.WARN,
            Text(
                f"{file} is not there yet; it is made at first use",
                f"{file} はまだありません (最初の使用時に作成)",
            ),
            Text(
                "if there should be one: check DATABASE_URL and the folder that daicho runs in",
                "あるはずなら、DATABASE_URL と実行フォルダーを確かめてください",
            ),
        )
    yield _permissions(file)
    yield from _readers(file)
    yield _file_system(file)
    limits = Limits()
    yield room_on("disk", file.parent, fail=limits.free, warn=limits.free_soon)
    yield wal_finding(dialect.wal_size(file), limits.wal)


def checks(
    database: Database, *, deep: bool
) -> Sequence[tuple[str, Callable[[Connection], Iterator[Finding]]]]:
    """What is looked at in the file."""
    return [
        ("database", lambda connection: _answers(connection, database)),
        ("journal", _journal),
        ("integrity", lambda connection: _integrity(connection, deep=deep)),
    ]


def _permissions(file: Path) -> Finding:
    beside = [file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")]
    places = [file.parent, *[one for one in beside if one.exists()]]
    closed = [one for one in places if not os.access(one, os.W_OK)]
    if not closed:
        return ok(
            "permissions", f"{file} and its folder can be written", f"{file} とフォルダーに書き込めます"
        )
    names = ", ".join(map(str, closed))
    return Finding(
        "permissions",
        State.FAIL,
        Text(f"cannot be written by this user: {names}", f"このユーザーでは書き込めません: {names}"),
        Text(
            "give them to who runs Daicho (chown); SQLite writes beside the file too. Did root run it once?",
            "Daicho を実行するユーザーに chown してください (SQLite は同じフォルダーにも書きます)。"
            "root で実行したことはありませんか",
        ),
    )


def _readers(file: Path) -> Iterator[Finding]:
    """Whether everyone on this machine may read what was said in calls and chats."""
    if os.name != "posix" or not file.exists():
        return
    reachable = all(folder.stat().st_mode & 0o001 for folder in file.parents)
    if file.stat().st_mode & 0o004 and reachable:
        yield Finding(
            "readers",
            State.WARN,
            Text(f"everyone on this machine may read {file}", f"このマシンの誰でも {file} を読めます"),
            Text(f"chmod 600 {file}*", f"chmod 600 {file}*"),
        )


def _file_system(file: Path) -> Finding:
    parts = sorted(psutil.disk_partitions(all=True), key=lambda part: len(part.mountpoint))
    kinds = [part.fstype for part in parts if file.is_relative_to(part.mountpoint)]
    kind = kinds[-1] if kinds else "?"
    if kind not in NETWORK:
        return ok("file system", kind)
    return Finding(
        "file system",
        State.FAIL,
        Text(
            f"{kind} is a network's: SQLite's log does not work there, and the file may be destroyed",
            f"{kind} はネットワーク上です。SQLite の WAL が正しく動かず、ファイルが壊れるおそれがあります",
        ),
        Text(
            "move the file to a disk of this machine, or the ledger to PostgreSQL: daicho db copy",
            "このマシンのディスクへ移すか、daicho db copy で PostgreSQL へ移してください",
        ),
    )


def _answers(connection: Connection, database: Database) -> Iterator[Finding]:
    pages = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    yield ok("database", f"{database.place}, {size(pages)}")


def _journal(connection: Connection) -> Iterator[Finding]:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if mode == "wal":
        yield ok("journal", "WAL: readers and the writer do not wait for each other", "WAL モードです")
        return
    yield Finding(
        "journal",
        State.WARN,
        Text(f"{mode}, not WAL; Daicho sets it when it first writes", f"{mode} (WAL ではありません)"),
        Text(
            "if it stays so, some program holds the file, or its file system has no shared memory",
            "変わらない場合は、他のプログラムが使用中か、共有メモリーのないファイルシステムです",
        ),
    )


def _integrity(connection: Connection, *, deep: bool) -> Iterator[Finding]:
    driver: Any = connection.connection.driver_connection
    end = monotonic() + QUICK_SECONDS
    if not deep:
        driver.set_progress_handler(lambda: monotonic() > end, STEPS)
    try:
        said = (
            connection.exec_driver_sql(f"PRAGMA {'integrity_check' if deep else 'quick_check'}(5)")
            .scalars()
            .all()
        )
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
    except OperationalError:
        if monotonic() < end:
            raise
        yield ok(
            "integrity",
            f"nothing wrong in {QUICK_SECONDS} s; daicho doctor --deep looks through all of it",
            f"{QUICK_SECONDS} 秒では異常なし。全体は daicho doctor --deep で調べます",
        )
        return
    finally:
        driver.set_progress_handler(None, 0)
    if list(said) == ["ok"] and not broken:
        yield ok("integrity", "the file is sound", "ファイルは正常です")
        return
    told = "; ".join([*(one for one in said if one != "ok"), *(f"{row[0]} → {row[2]}" for row in broken)])
    yield Finding(
        "integrity",
        State.FAIL,
        Text(f"the file is damaged: {told}", f"ファイルが壊れています: {told}"),
        Text(
            "stop all writers, keep a copy of the file with its -wal, and restore the last backup",
            "書き込みを止め、-wal と共にファイルを保存したうえで、最後のバックアップを復元してください",
        ),
    )


def _pragma(connection: Connection, name: str) -> int:
    value: int = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    return value
