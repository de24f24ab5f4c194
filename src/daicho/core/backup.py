"""Copies of a whole database, made while others go on writing, for SQLite and PostgreSQL."""

import logging
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import cast

from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from daicho.core.engine import Database
from daicho.core.errors import Invalid, Unavailable
from daicho.core.language import Text

log = logging.getLogger("daicho")

PAGES = 1024
"""How many of SQLite's pages are copied at a time."""
CONNECT_SECONDS = 10
LEFT_BESIDE = ("", "-journal", "-wal", "-shm")
"""What the name of a file that SQLite writes to may be followed by."""
ONLY_SOME = "row-level security"
MEANINGS = {
    ONLY_SOME: Text(
        "this login sees only some tenants' rows, so its backup would not be whole; log in as the tables'"
        " owner, or let a superuser run: ALTER ROLE <login> BYPASSRLS",
        "このログインは一部のテナントの行しか読めず、完全なバックアップになりません。表の所有者でログインす"
        "るか、"
        "スーパーユーザーで ALTER ROLE <ログイン> BYPASSRLS を実行してください",
    ),
    "server version mismatch": Text(
        "it is older than the server; install PostgreSQL's client programs of the server's version or later",
        "サーバーより古い版です。サーバーと同じかより新しい PostgreSQL クライアントを入れてください",
    ),
    "unsupported version": Text(
        "the file was written by a newer pg_dump; install newer PostgreSQL client programs",
        "より新しい pg_dump で書かれたファイルです。新しい PostgreSQL クライアントを入れてください",
    ),
    "permission denied": Text(
        "do it as the tables' owner or a superuser", "表の所有者かスーパーユーザーで実行してください"
    ),
}
"""What PostgreSQL's client programs complain of, and the way out."""


def backup(database: Database, folder: str | Path = ".", prefix: str = "daicho") -> Path:
    """Write a copy of a database, as it is at one instant, and return the file.

    Args:
        database: which. Its schema may be of any revision.
        folder: an existing folder.
        prefix: what the name begins with; the local time follows, and ``.db`` for an SQLite database or
            ``.dump`` for PostgreSQL's custom format, which ``pg_restore`` reads.

    The file is complete or not there, readable by its owner alone, and never takes another one's place.
    Writers go on meanwhile; only a database in memory keeps them waiting.

    Raises Invalid for a folder that is none, Unavailable if the copy cannot be written or ``pg_dump`` is
    missing or fails.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Invalid(
            f"{folder}: there is no such folder; create it or name another one",
            f"{folder}: フォルダーがありません。作成するか、別のフォルダーを指定してください",
        )
    name = f"{prefix}_{datetime.now().astimezone():%Y%m%d_%H%M%S}"
    try:
        descriptor, path = tempfile.mkstemp(prefix=f".{name}_", suffix=".part", dir=folder)
        os.close(descriptor)
    except OSError as error:
        raise not_written(folder, error.strerror or str(error)) from None
    part = Path(path)
    try:
        if database.in_threads:
            copy_file(database, part)
        else:
            run_client("pg_dump", database.url, database.place, "--format=custom", f"--file={part}")
        sync(part)
        return _named(part, folder, name, ".db" if database.in_threads else ".dump")
    except OSError as error:
        raise not_written(folder, error.strerror or str(error)) from None
    finally:
        for ending in LEFT_BESIDE:
            Path(f"{part}{ending}").unlink(missing_ok=True)


def whole_file(database: Database) -> Path:
    """Return an SQLite database's file, with all that was committed in it, not in the log beside it.

    Who copies it while nobody writes has everything. Raises Invalid for a database that is no file.
    """
    if not database.in_threads or database.in_memory:
        raise Invalid(
            f"{database.place} is no file that could be copied; use backup_database()",
            f"{database.place} はコピーできるファイルではありません。backup_database() を使ってください",
        )
    with closing(database.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        left = cursor.fetchone()
    if left and left[0]:
        log.warning("%s: somebody reads or writes; a copy of the file may lack the latest", database.place)
    return Path(str(database.url.database))


def copy_file(
    database: Database,
    part: Path,
    look: Callable[[sqlite3.Connection], None] = lambda _: None,
    advance: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Copy an SQLite database page by page into a file.

    Args:
        look: is given the source, as it is at the copy's instant.
        advance: is told how many pages are left, and how many there are.

    The read transaction keeps the copy to one instant: without it, SQLite would begin again with every
    commit of others, and not come to an end while they write.

    Raises Unavailable if it cannot be written.
    """
    try:
        with database.engine.connect().execution_options(writes=False) as source:
            source.execute(text("SELECT count(*) FROM sqlite_master"))
            connection = cast("sqlite3.Connection", source.connection.driver_connection)
            with closing(sqlite3.connect(part, isolation_level=None)) as target:
                target.execute("PRAGMA journal_mode = OFF")  # a copy that fails is thrown away
                target.execute("PRAGMA synchronous = OFF")  # it is synced when it is complete
                connection.backup(
                    target, pages=PAGES, progress=lambda _, remaining, total: advance(remaining, total)
                )
                target.execute("PRAGMA journal_mode = DELETE")  # one file, also where nothing can be written
            look(connection)
    except sqlite3.Error as error:
        raise not_written(part.parent, str(error)) from None
    except SQLAlchemyError as error:
        raise database.translated(error) from None


def run_client(name: str, url: URL, place: str, *arguments: str) -> None:
    """Run one of PostgreSQL's client programs on a database, to its end. As ``client``."""
    with client(name, url, place, *arguments):
        pass


@contextmanager
def client(name: str, url: URL, place: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start one of PostgreSQL's client programs on a database; wait for its end when the block has ended.

    Args:
        name: ``pg_dump`` or ``pg_restore``.
        place: the database, for people.
        arguments: what else it is told. They are public, so the password is none of them.

    An error in the block, or Ctrl+C, ends the program.

    Raises Unavailable if the program is missing or fails, with the first line of what it says.
    """
    program = find_client(name)
    password = url.password or url.query.get("password")
    open_to_all = (
        url.set(drivername="postgresql").difference_update_query(["password"])._replace(password=None)
    )
    environment = {"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS), **os.environ, "LC_MESSAGES": "C"}
    if isinstance(password, str):
        environment["PGPASSWORD"] = password
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - its arguments are a URL and paths
            [program, "--no-password", f"--dbname={open_to_all.render_as_string()}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            yield process
            process.wait()
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise _failed(name, place, said.read().decode(errors="replace").strip(), process.returncode)


def find_client(name: str) -> str:
    """Return the path of one of PostgreSQL's client programs. Raises Unavailable where there is none."""
    program = shutil.which(name)
    if program is None:
        raise Unavailable(
            f"{name} is not on PATH; install PostgreSQL's client programs, at least as new as the server"
            " (Debian: postgresql-client, macOS: brew install libpq)",
            f"{name} が PATH にありません。サーバーと同じかより新しい PostgreSQL クライアントを入れてください"
            " (Debian: postgresql-client、macOS: brew install libpq)",
        )
    return program


def _failed(name: str, place: str, said: str, code: int) -> Unavailable:
    reason = (said.splitlines() or [f"exit {code}"])[0]
    meaning = next((meaning for sign, meaning in MEANINGS.items() if sign in said), None)
    return Unavailable(
        f"{place}: {name} failed, and nothing of it was kept: {reason}"
        + (f"; {meaning.en}" if meaning else ""),
        f"{place}: {name} が失敗しました。途中の結果は残していません: {reason}"
        + (f"。{meaning.ja}" if meaning else ""),
    )


def sync(path: Path) -> None:
    """Make a file, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(part: Path, folder: Path, name: str, ending: str) -> Path:
    """Give the copy its name, or the next one that is free, and make that durable."""
    for number in count(1):
        path = folder / (f"{name}{ending}" if number == 1 else f"{name}_{number}{ending}")
        try:
            os.link(part, path)  # unlike a rename, it fails where there is a file already
        except FileExistsError:
            continue
        except OSError:
            if path.exists():
                continue
            part.rename(path)  # a file system without links
        break
    with suppress(OSError):  # a system that cannot sync a folder
        sync(folder)
    return path


def not_written(folder: Path, reason: str) -> Unavailable:
    """What is said of a folder that a backup could not be written to."""
    return Unavailable(
        f"{folder}: the backup could not be written ({reason}), and nothing of it was kept;"
        " check the folder's permissions and free space",
        f"{folder}: バックアップを書き込めませんでした ({reason})。途中のファイルは残していません。"
        "フォルダーの権限と空き容量を確かめてください",
    )
