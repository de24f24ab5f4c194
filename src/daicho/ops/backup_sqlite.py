"""Backups of an SQLite file, and how one takes its place."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import psutil

from daicho.core.backup import copy_file, not_written, sync
from daicho.core.errors import Conflict, Invalid, Unavailable
from daicho.core.foreign import HEADER
from daicho.core.language import Text
from daicho.core.scratch import scratch
from daicho.core.types import now
from daicho.ops.backup_kinds import (
    CHECKING,
    READING,
    WRITING,
    Content,
    Kind,
    Restored,
    check_revision,
    has_rows,
)
from daicho.ops.backup_manifest import Held, Manifest, check_held

BITS = 64
ROWS = 2_000
WAIT_SECONDS = 2.0
"""How long others may take to let go of a file."""
WORK = ".daicho-restore-"
TABLES = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    " AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
)


class SqliteFile(Kind):
    """An SQLite file."""

    name = "sqlite"

    @property
    def path(self) -> Path:
        """The file, not a link to it: SQLite's other files stand beside it."""
        return Path(str(self.database.url.database)).resolve()

    @property
    def target_folder(self) -> Path | None:
        return self.path.parent

    # -- a backup --------------------------------------------------------------------------------------

    def check_source(self, scratch: str | None) -> None:
        self._check_is_file()
        if not self.path.is_file():
            raise Invalid(
                f"{self.database.place}: there is no such file",
                f"{self.database.place}: ファイルがありません",
            )

    def write(self, file: Path) -> Content:
        found: list[Content] = []
        size = self.path.stat().st_size
        with ExitStack() as writing:
            advance = writing.enter_context(self.steps(WRITING, size, True))
            done = 0

            def copied(remaining: int, total: int) -> None:
                nonlocal done
                by_now = size * (total - remaining) // max(total, 1)
                advance(by_now - done)
                done = by_now

            def look(source: sqlite3.Connection) -> None:
                writing.close()
                server, revision = f"SQLite {sqlite3.sqlite_version}", revision_in(source)
                found.append(Content(server, now(), revision, self._held(source)))

            copy_file(self.database, file, look, copied)
        return found[0]

    def verify(self, manifest: Manifest, file: Path, work: Path, scratch: str | None) -> None:
        copy = work / "scratch.db"
        try:
            shutil.copyfile(file, copy)
        except OSError as error:
            raise not_written(work, error.strerror or str(error)) from None
        try:
            with closing(_opened(copy, manifest.file)) as connection:
                self._check(connection, manifest, manifest.file)
        finally:
            copy.unlink(missing_ok=True)

    def _check(self, connection: sqlite3.Connection, manifest: Manifest | None, name: str) -> list[Held]:
        """Look at every page and row of a copy; return what it holds."""
        with self.steps(CHECKING, None, False):
            wrong = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if wrong != "ok":
                raise Invalid(f"{name}: is damaged ({wrong})", f"{name}: 壊れています ({wrong})")
        tables = self._held(connection)
        if manifest is not None:
            check_held(manifest, tables, name)
        return tables

    def _held(self, connection: sqlite3.Connection) -> list[Held]:
        names = [name for (name,) in connection.execute(TABLES).fetchall()]
        with self.steps(READING, None, False) as advance:
            return [held(connection, name, advance) for name in names]

    # -- a restore -------------------------------------------------------------------------------------

    def restore(self, manifest: Manifest | None, file: Path, *, force: bool) -> Restored:
        self._check_is_file()
        self.database.engine.dispose()
        path = self.path
        try:
            with scratch(WORK, path.parent) as work:
                new = work / "new.db"
                shutil.copyfile(file, new)
                with closing(_opened(new, file.name)) as connection:
                    tables = self._check(connection, manifest, file.name)
                    revision = revision_in(connection)
                    dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
                    connection.execute("PRAGMA journal_mode = DELETE")
                check_revision(revision, file.name)
                if path.exists():
                    new.chmod(path.stat().st_mode & 0o777)
                    with suppress(PermissionError):
                        os.chown(new, path.stat().st_uid, path.stat().st_gid)
                sync(new)
                old = self._put(new, path, force=force)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unavailable(
                f"{path}: cannot be restored ({reason}), and is as it was; check the folder's permissions"
                " and free"
                " space",
                f"{path}: 復元できませんでした ({reason})。元のままです。"
                "フォルダーの権限と空き容量を確かめてください",
            ) from None
        notes = (_dangling(dangling[0]),) if dangling else ()
        return Restored(revision, sum(table.rows for table in tables), str(old) if old else None, notes)

    def _check_is_file(self) -> None:
        if self.database.in_memory:
            raise Invalid(
                f"{self.database.place}: a database in memory ends with this command; name a file",
                f"{self.database.place}: メモリー上のデータベースはコマンド終了時に消えます。"
                "ファイルを指定してください",
            )

    def _put(self, new: Path, path: Path, *, force: bool) -> Path | None:
        """Let a new file take the place of the database; return where that is now."""
        if not path.exists():
            if left := [str(one) for one in beside(path) if one.exists()]:
                raise Conflict(
                    f"{', '.join(left)}: belongs to a database that is not there; move it away first",
                    f"{', '.join(left)}: 対応するデータベースがありません。先に別の場所へ移してください",
                )
            _link(new, path)  # not over a file that somebody makes meanwhile
            sync(path.parent)
            return None
        aside = path.with_name(f"{path.stem}.before-restore-{now():%Y%m%dT%H%M%SZ}{path.suffix or '.db'}")
        with self._alone(path, force=force) as whole:
            self._move_aside(new, path, aside, whole=whole)
        return aside

    def _move_aside(self, new: Path, path: Path, aside: Path, *, whole: bool) -> None:
        if not whole:
            # What cannot be read keeps what SQLite has left beside it, which may help to recover it.
            for one in beside(path):
                if one.exists():
                    one.rename(aside.with_name(aside.name + one.name.removeprefix(path.name)))
        try:
            _link(path, aside)
        except FileExistsError:
            raise Conflict(
                f"{aside}: is there already; try again", f"{aside}: 既にあります。再実行してください"
            ) from None
        try:
            new.replace(path)  # at no moment is there no file, which another program would make an empty one
        except BaseException:
            aside.replace(path)  # where both are the same file, that changes nothing
            aside.unlink(missing_ok=True)
            raise
        sync(path.parent)

    @contextmanager
    def _alone(self, path: Path, *, force: bool) -> Iterator[bool]:
        """Hold the database so that nobody else has it open; whether it could be read at all.

        Leaving WAL mode takes every commit into the file, and needs that nobody else has it open. Whoever
        kept it open would go on writing to the file that was moved aside, with a log of the new one's name.
        """
        if not _is_database(path):  # SQLite would take the log that belongs to it away
            self._check_unused(path)
            if not force:
                raise self._refused("is there and no SQLite database", "SQLite ではないファイルがあります")
            yield False
            return
        with closing(sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
            whole = True
            try:
                if connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
                    raise _in_use(path, [])
                connection.execute("BEGIN EXCLUSIVE")
                tables = [name for (name,) in connection.execute(TABLES).fetchall()]
                filled = any(_has_row(connection, name) for name in tables)
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    raise OSError(0, str(error)) from None
                raise _in_use(path, openers(path)) from None
            except sqlite3.DatabaseError:
                whole, filled = False, True
            if filled and not force:
                raise self._refused("has rows already", "既にデータがあります")
            self._check_unused(path)
            yield whole

    def _refused(self, why: str, why_ja: str) -> Conflict:
        return Conflict(
            f"{self.database.place}: {why}; --force puts the backup in its place and keeps it beside",
            f"{self.database.place}: {why_ja}。--force を付けると、今のファイルを別名で残して"
            "バックアップに置き換えます",
        )

    def _check_unused(self, path: Path) -> None:
        if found := openers(path):
            raise _in_use(path, found)


def held(connection: sqlite3.Connection, table: str, advance: Callable[[int], None] = lambda _: None) -> Held:
    """Return what a table holds. Its rows' hashes are added up, so that their order does not matter."""
    count = total = 0
    factory = connection.text_factory
    connection.text_factory = bytes  # nothing says that a text is UTF-8
    try:
        found = connection.execute('SELECT * FROM "{}"'.format(table.replace('"', '""')))
        while rows := found.fetchmany(ROWS):
            count += len(rows)
            for row in rows:
                total += int.from_bytes(blake2b(repr(row).encode(), digest_size=8).digest())
            advance(len(rows))
    finally:
        connection.text_factory = factory
    return Held(table=table, rows=count, checksum=f"{total % 2**BITS:016x}")


def revision_in(connection: sqlite3.Connection) -> str | None:
    """The revision of a file's schema."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None


def beside(path: Path) -> list[Path]:
    """What SQLite writes beside a file."""
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")]


def openers(path: Path) -> list[str]:
    """The other processes that have a file open, as far as this user may see them."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if any(one.path == str(path) for one in process.open_files()):
                found.append(f"{process.name()} (pid {process.pid})")
        except (psutil.Error, OSError):
            continue
    return found


def _link(path: Path, name: Path) -> None:
    """Give a file a second name; on a file system without links, another name. Raises FileExistsError."""
    try:
        os.link(path, name)
    except FileExistsError:
        raise
    except OSError:
        if name.exists():
            raise FileExistsError(str(name)) from None
        path.rename(name)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)) in {HEADER, b""}


def _opened(path: Path, name: str) -> sqlite3.Connection:
    """Open a copy of a backup. Raises Invalid for what is no database."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Invalid(f"{name}: is damaged ({error})", f"{name}: 壊れています ({error})") from None
    return connection


def _has_row(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute(
        'SELECT EXISTS (SELECT 1 FROM "{}")'.format(table.replace('"', '""'))
    ).fetchone()[0]
    return has_rows([Held(table=table, rows=found, checksum="")])


def _in_use(path: Path, by: list[str]) -> Conflict:
    who = ", ".join(by)
    return Conflict(
        f"{path}: is open in {who or 'another program'}; stop that first (such as daicho serve): it would"
        " go on"
        " writing to the old file",
        f"{path}: {who or '別のプログラム'} が開いています。先に止めてください (daicho serve など)。"
        "開いたままでは古いファイルへ書き続けます",
    )


def _dangling(table: str) -> Text:
    return Text(
        f"rows of {table} refer to rows that are not there, as they did in the backup (PRAGMA"
        " foreign_key_check)",
        f"{table} に、参照先のない行があります。バックアップ時点からのものです (PRAGMA foreign_key_check)",
    )
