"""Backups: each is restored and compared with what was there, whatever went on meanwhile."""

import asyncio
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, select

from daicho import AsyncLedger, Invalid, Ledger, Settings, Unavailable
from daicho.core.backup import backup
from daicho.guilds.models import Ticket
from daicho.ledger import open_database
from tests.postgres import programs

GUILD = 123456789012345678


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def restored(new_postgres: Callable[..., str]) -> Callable[[Path], str]:
    """Restore a backup; return its URL."""

    def restore(file: Path) -> str:
        if file.suffix == ".db":
            return f"sqlite:///{shutil.copy2(file, file.parent / 'restored.sqlite')}"
        url = new_postgres(migrated=False)
        command = [str(programs() / "pg_restore"), "--exit-on-error", f"--dbname={url}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return url

    return restore


def titles(ledger: Ledger) -> list[str]:
    with ledger.guilds.transaction() as session:
        return list(session.scalars(select(Ticket.title).order_by(Ticket.id)))


@pytest.mark.usefixtures("pg_dump")
def test_a_backup_holds_every_row(url: str, folder: Path, restored: Callable[[Path], str]) -> None:
    with Ledger(url) as ledger:
        for number in range(5):
            ledger.guilds.create_ticket(GUILD, 1, 2, f"券 {number}")
        ledger.calls.start("call-1", "c")
        file = ledger.guilds.backup_database(folder)
        ledger.guilds.create_ticket(GUILD, 1, 2, "too late")
    assert re.fullmatch(r"backup_kyrios_\d{8}_\d{6}\.(db|dump)", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(folder.iterdir()) == [file]
    with Ledger(restored(file)) as ledger:
        assert titles(ledger) == [f"券 {number}" for number in range(5)]
        assert ledger.calls.get("call-1").client_id == "c"
        assert ledger.guilds.create_ticket(GUILD, 1, 2, "next").id == 6


def test_a_database_in_memory_is_backed_up_by_a_task(folder: Path) -> None:
    async def main() -> Path:
        async with AsyncLedger("sqlite://") as ledger:
            async with ledger.guilds.transaction() as session:
                session.add(Ticket(guild_id=GUILD, channel_id=1, user_id=2, title="x"))
            file = await ledger.guilds.backup_database(folder)
            assert (await ledger.guilds.create_ticket(GUILD, 1, 2, "y")).id == 2
            return file

    with Ledger(f"sqlite:///{asyncio.run(main())}") as ledger:
        assert titles(ledger) == ["x"]


@pytest.mark.usefixtures("pg_dump")
def test_writers_go_on_and_the_backup_is_of_one_instant(
    url: str, folder: Path, restored: Callable[[Path], str]
) -> None:
    """Each transaction writes two tickets: a backup with half of one would be of two instants."""
    written, stop = [0], threading.Event()

    def write() -> None:
        while not stop.is_set():
            with ledger.guilds.transaction() as session:
                for half in ("a", "b"):
                    title = f"{written[0]}{half} {'x' * 2000}"
                    session.add(Ticket(guild_id=GUILD, channel_id=1, user_id=2, title=title))
                    session.flush()
            written[0] += 1

    with Ledger(url) as ledger:
        ledger.guilds.create_ticket(GUILD, 1, 2, "x" * 8_000_000)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            while written[0] < 20:
                assert writer.is_alive()
            files = [ledger.guilds.backup_database(folder) for _ in range(4)]
        finally:
            stop.set()
            writer.join()
    found = []
    for file in files:
        with Ledger(restored(file)) as ledger:
            halves = [title.split()[0] for title in titles(ledger)[1:]]
        pairs = len(halves) // 2
        assert halves == [f"{number}{half}" for number in range(pairs) for half in "ab"]
        found.append(pairs)
    assert 20 <= found[0] < found[-1] <= written[0]  # it was not kept waiting


def test_a_backup_ends_while_another_process_never_stops_writing(
    sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's copying begins again with every commit of others, unless it reads one instant."""
    monkeypatch.setattr("daicho.core.backup.PAGES", 1)
    code = f"""
import sqlite3, time
connection = sqlite3.connect({sqlite_url.removeprefix("sqlite:///")!r}, isolation_level=None, timeout=60)
connection.execute("PRAGMA synchronous = OFF")
end = time.monotonic() + 15
while time.monotonic() < end:
    connection.execute("UPDATE guild_settings SET prefix = CAST(prefix AS INTEGER) + 1")
    print("+", end="", flush=True)
"""
    with Ledger(sqlite_url) as ledger:
        ledger.guilds.create_or_update_guild_settings(GUILD, prefix="0")
        ledger.guilds.create_ticket(GUILD, 1, 2, "x" * 16_000_000)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            drain = threading.Thread(target=lambda: writer.stdout.read())
            writer.stdout.read(100)
            drain.start()
            try:
                ledger.guilds.backup_database(folder)
                assert writer.poll() is None  # the backup did not wait for its end
            finally:
                writer.terminate()
                drain.join()


def test_two_in_one_second_do_not_meet(sqlite_url: str, folder: Path) -> None:
    with Ledger(sqlite_url) as ledger:
        files = {ledger.guilds.backup_database(folder) for _ in range(5)}
    assert len(files) == 5
    assert set(folder.iterdir()) == files


def test_backups_at_the_same_time_do_not_meet(sqlite_url: str, folder: Path) -> None:
    async def main() -> None:
        async with AsyncLedger(sqlite_url) as ledger:
            files = await asyncio.gather(*[ledger.guilds.backup_database(folder) for _ in range(5)])
            assert len(set(files)) == 5

    asyncio.run(main())
    for file in folder.iterdir():
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_a_file_system_without_links_will_do(
    sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with Ledger(sqlite_url) as ledger:
        files = {ledger.guilds.backup_database(folder) for _ in range(3)}
    assert len(files) == 3
    assert set(folder.iterdir()) == files


def test_a_backup_opens_where_nothing_can_be_written(sqlite_url: str, folder: Path) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.guilds.create_ticket(GUILD, 1, 2, "x")
        file = ledger.guilds.backup_database(folder)
    assert file.read_bytes()[18:20] == b"\x01\x01"  # not WAL, which needs files beside it


@pytest.mark.usefixtures("pg_dump")
def test_a_folder_that_is_none_is_invalid(url: str, folder: Path) -> None:
    (folder / "file").touch()
    with Ledger(url) as ledger:
        for wrong in (folder / "missing", folder / "file"):
            with pytest.raises(Invalid, match="no such folder") as told:
                ledger.guilds.backup_database(wrong)
            assert str(wrong) in str(told.value)


def test_a_folder_that_cannot_be_written_is_said(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger, pytest.raises(Unavailable, match="could not be written"):
        ledger.guilds.backup_database("/proc")


@pytest.mark.usefixtures("pg_dump")
def test_a_full_disk_leaves_nothing_behind(url: str, folder: Path) -> None:
    """A limit on the size of a file stands for the disk's end."""
    with Ledger(url) as ledger:
        for _ in range(4):
            ledger.guilds.create_ticket(GUILD, 1, 2, os.urandom(400_000).hex())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
        try:
            with pytest.raises(Unavailable) as told:
                ledger.guilds.backup_database(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert list(folder.iterdir()) == []
        assert "\n" not in str(told.value)
        assert ledger.guilds.backup_database(folder).is_file()


def test_what_pg_dump_lacks_is_said(postgres_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(postgres_url) as ledger:
        monkeypatch.setenv("PATH", str(folder))
        with pytest.raises(Unavailable, match="postgresql-client"):
            ledger.guilds.backup_database(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("pg_dump")
def test_a_login_that_may_not_read_everything_is_said(postgres_url: str, folder: Path) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        role = f"reader_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {role} LOGIN")
        try:
            url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
            database = open_database(url, Settings())
            with pytest.raises(Unavailable, match="permission denied"):
                backup(database, folder)
            database.close()
        finally:
            connection.execute(f"DROP ROLE {role}")
    assert list(folder.iterdir()) == []


def test_a_password_is_in_no_argument(
    postgres_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pg_dump").write_text(
        '#!/bin/sh\nfor a in "$@"; do case "$a" in --file=*) f="${a#--file=}";; esac; done\n'
        'echo "$@" > "$f"; echo "$PGPASSWORD" >> "$f"\n'
    )
    (folder / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for url in (
        make_url(postgres_url).set(password="s3cret/&"),
        make_url(postgres_url).update_query_dict({"password": "s3cret/&", "application_name": "x"}),
    ):
        database = open_database(url, Settings())
        arguments, password = backup(database, folder, "daicho").read_text().splitlines()
        assert "s3cret" not in arguments
        assert password == "s3cret/&"
        database.close()


def test_an_interrupted_backup_leaves_nothing_behind(
    sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with Ledger(sqlite_url) as ledger:
        ledger.guilds.create_ticket(GUILD, 1, 2, "x")
        monkeypatch.setattr("daicho.core.backup.sync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.guilds.backup_database(folder)
    assert list(folder.iterdir()) == []
