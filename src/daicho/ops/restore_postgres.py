"""How a backup takes the place of a PostgreSQL database: made beside it, checked, then renamed.

The database itself is not touched until both names change, in one transaction. A database without a single
table is filled as it is, in one transaction too: that needs no right to create databases.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from sqlalchemy import URL

from daicho.core.backup import find_client, run_client
from daicho.core.errors import Conflict, Unavailable
from daicho.core.language import Text
from daicho.core.retry import first_line, translated
from daicho.core.types import now
from daicho.ops.backup_kinds import CHECKING, OF_MIGRATIONS, RESTORING, Restored, check_revision
from daicho.ops.backup_manifest import Manifest, check_held
from daicho.ops.backup_postgres import TABLES, UNRESTRICTED, looked_at, revision_of
from daicho.ops.backup_server import MARK, NAME_MAX, Server

if TYPE_CHECKING:
    from daicho.ops.backup_postgres import PostgresDatabase

TRIES = 5
ABOUT_ROLES = ("role", "permission denied", "must be owner", "must be member")
"""What pg_restore says where the login may not give things the owners and rights that they had."""


def restore(kind: "PostgresDatabase", manifest: Manifest | None, file: Path, *, force: bool) -> Restored:
    """As ``Kind.restore``."""
    find_client("pg_restore")
    if manifest is not None:
        check_revision(manifest.revision, file.name)
    url, name = kind.database.url, str(kind.database.url.database)
    kind.database.engine.dispose()
    with Server(url, beside=True) as server:
        there = server.has(name)
        if there:
            tables, filled = _state(url, server.place)
            if not tables:
                return _into_empty(kind, server, manifest, file)
            _check_free(server, name, filled=filled, force=force)
        _check_rights(server, name, there=there)
        with server.for_a_while(f"{_short(name, MARK * 2 + 11)}_restoring_") as beside:
            if there:
                server.create_like(beside, name)
            else:
                server.run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", beside)
            notes = _fill(kind, server, server.url_of(beside), file)
            revision, rows = _checked(kind, server, server.url_of(beside), manifest, file.name)
            if there and (refused := server.carry_over(name, beside)):
                notes.append(_not_carried(refused))
            kept = _kept(name) if there else None
            _swap(server, beside, name, kept, force=force)
    return Restored(revision, rows, kept, tuple(notes))


def _into_empty(kind: "PostgresDatabase", server: Server, manifest: Manifest | None, file: Path) -> Restored:
    notes = _fill(kind, server, kind.database.url, file)
    revision, rows = _checked(kind, server, kind.database.url, manifest, file.name)
    return Restored(revision, rows, None, tuple(notes))


def _state(url: URL, place: str) -> tuple[bool, bool]:
    """Whether a database has tables, and whether they have rows."""
    try:
        with psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        ) as connection:
            found = connection.execute(TABLES).fetchall()
            for schema, table in found:
                if table in OF_MIGRATIONS:
                    continue
                query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(schema, table))
                if connection.execute(query).fetchone():
                    return True, True
            return bool(found), False
    except psycopg.errors.InsufficientPrivilege:
        return True, True  # what this login may not see is somebody's
    except psycopg.Error as error:
        raise translated(error, place) from None


def _check_free(server: Server, name: str, *, filled: bool, force: bool) -> None:
    if force:
        return
    if filled:
        raise Conflict(
            f"{server.place}: has rows already; --force puts the backup in its place and keeps it under"
            " another"
            " name",
            f"{server.place}: 既にデータがあります。--force を付けると、今のデータベースを別名で残して"
            "バックアップに置き換えます",
        )
    if users := server.users(name):
        raise _in_use(server, users)


def _check_rights(server: Server, name: str, *, there: bool) -> None:
    owned = not there or server.owns(name)
    if server.may_create() and owned:
        return
    lacks = "may not create databases" if owned else "does not own the database"
    lacks_ja = "データベースを作る権限がありません" if owned else "データベースの所有者ではありません"
    raise Unavailable(
        f"{server.place}: the login {server.user} {lacks}, which the restore beside it needs; do it as a"
        " login that"
        " owns it and has CREATEDB, or let an administrator run createdb NEW and restore into that empty"
        " database"
        f" (daicho --database …/NEW db restore)",
        f"{server.place}: {server.user} は{lacks_ja}。所有者で CREATEDB を持つログインで実行するか、"
        "管理者が createdb NEW で作った空のデータベースへ復元してください"
        " (daicho --database …/NEW db restore)",
    )


def _fill(kind: "PostgresDatabase", server: Server, url: URL, file: Path) -> list[Text]:
    """Restore into an empty database: with owners and rights as they were, or else without them."""
    place = server.place_of(url)
    options = ("--exit-on-error", "--single-transaction")
    with kind.steps(RESTORING, None, False):
        try:
            run_client("pg_restore", url, place, *options, str(file))
        except Unavailable as error:
            if not any(sign in error.message.en.lower() for sign in ABOUT_ROLES):
                raise
            run_client("pg_restore", url, place, *options, *UNRESTRICTED, str(file))
            return [
                Text(
                    f"owners and rights are not as they were, because of: {error.message.en}; everything"
                    " belongs to"
                    f" {server.user}. Then run: daicho db grant --apply",
                    f"所有者と権限は復元していません: {error.message.ja}。すべて {server.user} の所有です。"
                    "続けて daicho db grant --apply を実行してください",
                )
            ]
    return []


def _checked(
    kind: "PostgresDatabase", server: Server, url: URL, manifest: Manifest | None, name: str
) -> tuple[str | None, int]:
    with kind.steps(CHECKING, manifest.rows if manifest else None, False) as advance:
        found = looked_at(url, server.place_of(url), advance)
    if manifest is not None:
        check_held(manifest, found, name)
    try:
        with psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        ) as connection:
            revision = revision_of(connection)
    except psycopg.Error as error:
        raise translated(error, server.place) from None
    check_revision(revision, name)
    return revision, sum(table.rows for table in found)


def _swap(server: Server, new: str, name: str, kept: str | None, *, force: bool) -> None:
    """Rename both databases, or neither."""
    rename = "ALTER DATABASE {} RENAME TO {}"
    for _ in range(TRIES):
        try:
            with server.connection.transaction():
                if force:
                    server.connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = %s AND pid <> pg_backend_pid()",
                        [name],
                    )
                if kept is not None:
                    server.connection.execute(
                        sql.SQL(rename).format(sql.Identifier(name), sql.Identifier(kept))
                    )
                server.connection.execute(sql.SQL(rename).format(sql.Identifier(new), sql.Identifier(name)))
            return
        except psycopg.errors.ObjectInUse:
            if not force:
                break  # somebody has come since; with --force, they connect again and again
        except psycopg.errors.InsufficientPrivilege as error:
            reason = first_line(error)
            raise Unavailable(
                f"{server.place}: cannot be renamed ({reason}), and is as it was; stop who uses it, or let a"
                f" superuser run GRANT pg_signal_backend TO {server.user}",
                f"{server.place}: 名前を変えられません ({reason})。元のままです。使用中のものを止めるか、"
                f"スーパーユーザーで GRANT pg_signal_backend TO {server.user} を実行してください",
            ) from None
        except psycopg.Error as error:
            raise translated(error, server.place) from None
    raise _in_use(server, server.users(name))


def _kept(name: str) -> str:
    ending = f"_before_restore_{now():%Y%m%dT%H%M%SZ}"
    return _short(name, len(ending)) + ending


def _short(name: str, room: int) -> str:
    return name.encode()[: NAME_MAX - room].decode(errors="ignore")


def _in_use(server: Server, users: str) -> Conflict:
    return Conflict(
        f"{server.place}: is in use ({users}), and is as it was; stop that first, or end their sessions by"
        " --force",
        f"{server.place}: 使用中です ({users})。元のままです。先に止めるか、--force で接続を切ってください",
    )


def _not_carried(refused: list[str]) -> Text:
    shown = "; ".join(refused)
    return Text(
        f"not carried over from the old database, for want of rights: {shown}",
        f"権限が足りず、元のデータベースから引き継げなかったもの: {shown}",
    )
