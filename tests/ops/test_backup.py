"""Backups with their proof: each holds one instant, is whole or not there, and is restored or left alone."""

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from daicho import Conflict, Ledger, Unavailable
from daicho.core.engine import Database
from daicho.core.language import Text
from daicho.ledger import open_database
from daicho.ops import backup_sqlite
from daicho.ops.backup import Keep, backup, listed, removable, restore
from daicho.ops.backup_manifest import Manifest, new_name
from daicho.ops.backup_places import Folder, Stored
from tests.cli.terminal import Here, one_line
from tests.databases import on_sqlite
from tests.members.conftest import KEYS
from tests.processes import python

pytestmark = pytest.mark.usefixtures("pg_dump")

GUILD = 123456789012345678
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
WRITING = {
    "sqlite": "import sqlite3; c = sqlite3.connect({name!r}, isolation_level=None, timeout=60)",
    "postgresql": "import psycopg; c = psycopg.connect({name!r}, autocommit=True)",
}
PAIRS = """
n = 0
while True:
    n += 1
    c.execute("BEGIN")
    for half in "ab":
        c.execute(f"INSERT INTO calls (call_id, client_id, current_state, is_transferred, started_at) VALUES ('{n}{half}', 'c', 'init', false, '2026-11-21 00:00:00')")
    c.execute("COMMIT")
    print("+", end="", flush=True)
"""


def fill(url: str, *calls: str) -> None:
    with Ledger(url) as ledger:
        for call in calls:
            ledger.calls.start(call, "c")
            ledger.calls.append_log(call, "user", f"予約 {call}")


def calls_in(url: str) -> list[str]:
    with Ledger(url) as ledger:
        return sorted(call.call_id for call in ledger.calls.list().items)


def execute(url: str, statement: str) -> None:
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(text(statement))
    database.close()


def test_a_backup_is_verified_and_comes_back(here: Here, folder: Path) -> None:
    fill(here.url, "one", "two")
    made = json.loads(here("db", "backup", "--to", str(folder), "--json"))
    assert made["verified"]
    assert made["removed"] == []
    file = Path(made["where"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in folder.iterdir()} == {file.name, f"{file.name}.json"}
    (shown,) = [
        json.loads(line) for line in here("db", "backups", "--from", str(folder), "--json").splitlines()
    ]
    assert {key: made[key] for key in shown} == shown
    assert f"{made['rows']:,}" in here("db", "backups", "--from", str(folder))

    fill(here.url, "late")
    here("db", "restore", "--from", str(folder), code=1)
    assert "--force" in one_line(here.said)
    assert calls_in(here.url) == ["late", "one", "two"]
    done = json.loads(here("db", "restore", "latest", "--from", str(folder), "--force", "--json"))
    assert calls_in(here.url) == ["one", "two"]
    assert (done["rows"], done["upgrade"], done["notes"]) == (made["rows"], False, [])
    fill(here.url, "next")
    old = (
        f"sqlite:///{done['old']}"
        if "sqlite" in here.url
        else here.url.rpartition("/")[0] + "/" + done["old"]
    )
    assert calls_in(old) == ["late", "one", "two"]
    if "postgresql" in here.url:
        drop(old)


def drop(url: str) -> None:
    import psycopg

    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_what_a_backup_says_is_of_its_instant_while_a_process_never_stops_writing(
    url: str, folder: Path, opened: Callable[[str], Database]
) -> None:
    """Counts of another instant than the copy's would differ from what is restored; so would half a pair."""
    kind = "sqlite" if "sqlite" in url else "postgresql"
    code = WRITING[kind].format(name=url.removeprefix("sqlite:///")) + PAIRS
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        try:
            writer.stdout.read(20)
            found = []
            for _ in range(2):
                made = backup(opened(url), Folder(folder))
                found.append(next(one.rows for one in made.manifest.tables if one.table == "calls"))
                writer.stdout.read(20)
            assert writer.poll() is None
        finally:
            writer.kill()
    assert all(count % 2 == 0 for count in found)
    assert 20 <= found[0] < found[1]


KILLED = """
import os, signal, sys
from pathlib import Path
from daicho.ledger import open_database
from daicho.ops import backup, backup_places, backup_sqlite

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

stage = sys.argv[3]
if stage == "copied":
    backup_sqlite.SqliteFile._held = die
elif stage == "side file":
    put_side = backup_places.Folder.put_side
    backup_places.Folder.put_side = lambda *given: (put_side(*given), die())
elif stage == "kept":
    backup._verified = die
elif stage == "verifying":
    backup_sqlite.SqliteFile._check = die
backup.backup(open_database(sys.argv[1]), backup_places.Folder(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("stage", ["copied", "side file", "kept", "verifying"])
def test_a_kill_leaves_nothing_that_looks_complete_and_is_not(
    sqlite_url: str, folder: Path, stage: str, opened: Callable[[str], Database]
) -> None:
    fill(sqlite_url, "one")
    done = python("-c", KILLED, sqlite_url, str(folder), stage)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = listed(Folder(folder))
    assert len(left) == (stage in {"kept", "verifying"})
    for one in left:  # whole, though nobody has verified it
        assert one.manifest is not None
        assert one.wrong is one.manifest.verified is None
        fresh = f"sqlite:///{folder.parent / 'fresh.db'}"
        restore(opened(fresh), Folder(folder), one.name)
        assert calls_in(fresh) == ["one"]
    backup(opened(sqlite_url), Folder(folder))
    assert not [path for path in folder.iterdir() if path.is_dir()]  # what was half made is gone


@on_sqlite
def test_a_damaged_backup_is_noticed_before_anything_is_touched(
    here: Here, folder: Path, tmp_path: Path
) -> None:
    fill(here.url, "one")
    for _ in range(3):
        here("db", "backup", "--to", str(folder), "--no-verify")
    names = [one.name for one in listed(Folder(folder))]
    cut, flipped, sideless = [folder / name for name in names]
    os.truncate(cut, cut.stat().st_size - 10)
    with flipped.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1000, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    Path(f"{sideless}.json").write_text("{")
    shown = here("db", "backups", "--from", str(folder))
    assert "its size differs" in shown
    assert "side file" in shown
    for name, reason in (
        (cut, "size differs"),
        (flipped, "SHA-256"),
        (sideless, "side file"),
        ("latest", "size"),
    ):
        here("db", "restore", Path(name).name, "--from", str(folder), "--force", code=1)
        assert reason in one_line(here.said)
    assert calls_in(here.url) == ["one"]
    assert not list(tmp_path.glob("*before-restore*"))


def test_a_backup_that_does_not_hold_the_same_is_not_kept(
    sqlite_url: str, folder: Path, opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = backup_sqlite.copy_file

    def lossy(database: Database, part: Path, *given: object) -> None:
        whole(database, part, *given)
        with sqlite3.connect(part) as connection:
            connection.execute("UPDATE calls SET client_id = 'x'")
        connection.close()

    fill(sqlite_url, "one")
    monkeypatch.setattr(backup_sqlite, "copy_file", lossy)
    with pytest.raises(Conflict, match="calls; it was not kept"):
        backup(opened(sqlite_url), Folder(folder))
    assert list(folder.iterdir()) == []


def stored(age: timedelta, *, verified: bool = True, wrong: bool = False) -> Stored:
    made = NOW - age
    manifest = Manifest(
        daicho="0", file=new_name("led", "sqlite", made), ledger="led", kind="sqlite", server="", made=made,
        revision=None, size=1, sha256="", tables=[], verified=made if verified else None,
    )  # fmt: skip
    return Stored(manifest.file, 1, manifest, Text("damaged", "破損") if wrong else None)


def test_which_backups_stay() -> None:
    days = [stored(timedelta(days=day)) for day in range(6)]
    names = [one.name for one in days]
    assert removable(days, Keep(), NOW) == []
    assert removable(days, Keep(count=2), NOW) == names[2:]
    assert removable(days, Keep(days=3), NOW) == names[4:]
    assert removable(days, Keep(count=5, days=1), NOW) == names[5:]
    assert removable(days, Keep(count=1, days=4), NOW) == names[5:]
    newer = [stored(timedelta(hours=hour), verified=hour == 3, wrong=hour == 3) for hour in range(1, 4)]
    doubtful = [*newer, *days[1:]]
    stay = {newer[0].name, days[1].name}  # the newest one, and the last that is verified and whole
    assert set(removable(doubtful, Keep(count=1), NOW)) == {one.name for one in doubtful} - stay
    assert removable([stored(timedelta(days=900))], Keep(days=1), NOW) == []


@on_sqlite
def test_old_backups_go_and_nothing_else(here: Here, folder: Path) -> None:
    fill(here.url, "one")
    others = ["other-20200101T000000Z-0000.db", "notes.txt", "ledger.db", "-20200101T000000Z-0000.dump.json"]
    for name in others:
        (folder / name).write_text("mine")
    first, second = (
        json.loads(here("db", "backup", "--to", str(folder), "--json"))["name"] for _ in range(2)
    )
    foretold = here("db", "backup", "--to", str(folder), "--keep", "2", "--dry-run")
    assert first in foretold
    assert second not in foretold
    third = Path(here("db", "backup", "--to", str(folder), "--keep", "2").strip()).name
    assert f"removed {first}" in here.said
    assert {path.name for path in folder.iterdir()} == {
        *others, second, f"{second}.json", third, f"{third}.json",
    }  # fmt: skip


@on_sqlite
def test_what_is_in_a_bucket_is_whole(
    here: Here, s3: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint, buckets = s3
    place = f"s3://bucket/{tmp_path.name}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    monkeypatch.setenv("DAICHO_BACKUP_TO", place)
    fill(here.url, "one")
    first, second = (json.loads(here("db", "backup", "--keep", "1", "--json")) for _ in range(2))
    assert second["removed"] == [first["name"]]
    names = {path.name for path in (buckets / "bucket" / tmp_path.name).iterdir()}
    assert names == {second["name"], f"{second['name']}.json"}
    fill(here.url, "late")
    here("db", "restore", "--force")
    assert calls_in(here.url) == ["one"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for command in ("backup", "backups", "restore"):
        here("db", command, code=1)
        assert "AWS_SECRET_ACCESS_KEY" in one_line(here.said)


@on_sqlite
@pytest.mark.parametrize("reading", [True, False])
def test_a_database_that_somebody_has_open_is_not_replaced(
    here: Here, folder: Path, reading: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on writing to a file that was moved aside would do so under the new one's name.

    Who reads holds a lock, also where his processes cannot be seen; who has only opened the file holds none.
    """
    fill(here.url, "one")
    here("db", "backup", "--to", str(folder), "--no-verify")
    path = here.url.removeprefix("sqlite:///")
    read = "c.execute('PRAGMA journal_mode = WAL'); c.execute('SELECT * FROM calls').fetchall();"
    code = f"import sqlite3; c = sqlite3.connect({path!r}); {read if reading else ''} print('+', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with monkeypatch.context() as patch:
            if reading:
                patch.setattr(backup_sqlite, "openers", lambda _: [])
            here("db", "restore", "--from", str(folder), "--force", code=1)
        assert ("another program" if reading else f"pid {other.pid}") in one_line(here.said)
        other.communicate(b"\n")
    here("db", "restore", "--from", str(folder), "--force")


@on_sqlite
def test_what_a_killed_writer_left_in_its_log_stays_with_the_old_file(here: Here, folder: Path) -> None:
    fill(here.url, "one")
    here("db", "backup", "--to", str(folder), "--no-verify")
    path = Path(here.url.removeprefix("sqlite:///"))
    code = f"""
import os, sqlite3
c = sqlite3.connect({str(path)!r}, isolation_level=None)
c.execute("PRAGMA journal_mode = WAL")
c.execute("INSERT INTO calls (call_id, client_id, current_state, is_transferred, started_at) VALUES ('in the log', 'c', 'init', false, '2026-11-21 00:00:00')")
os.kill(os.getpid(), 9)
"""
    python("-c", code)
    assert path.with_name(path.name + "-wal").stat().st_size
    done = json.loads(here("db", "restore", "--from", str(folder), "--force", "--json"))
    assert not path.with_name(path.name + "-wal").exists()
    assert calls_in(here.url) == ["one"]
    assert calls_in(f"sqlite:///{done['old']}") == ["in the log", "one"]


def test_a_file_that_is_no_database_makes_way_and_keeps_what_is_beside_it(
    sqlite_url: str, folder: Path, opened: Callable[[str], Database]
) -> None:
    fill(sqlite_url, "one")
    made = backup(opened(sqlite_url), Folder(folder), verify=False)
    opened(sqlite_url).close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    for one in path.parent.glob("ledger.db*"):
        one.unlink()
    path.write_text("garbage")
    path.with_name("ledger.db-wal").write_text("log")
    with pytest.raises(Conflict, match="no SQLite database"):
        restore(opened(sqlite_url), Folder(folder), made.manifest.file)
    _, done = restore(opened(sqlite_url), Folder(folder), made.manifest.file, force=True)
    assert Path(str(done.old)).read_text() == "garbage"
    assert Path(f"{done.old}-wal").read_text() == "log"
    assert calls_in(sqlite_url) == ["one"]


def test_a_restore_that_is_interrupted_leaves_the_database_as_it_was(
    url: str, folder: Path, opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url, "one")
    database = opened(url)
    backup(database, Folder(folder), verify=False)
    fill(url, "late")
    before = databases(url, folder)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daicho.ops.restore_postgres._swap", interrupted)
    monkeypatch.setattr("daicho.ops.backup_sqlite.SqliteFile._move_aside", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restore(database, Folder(folder), force=True)
    assert databases(url, folder) == before
    assert calls_in(url) == ["late", "one"]


def databases(url: str, folder: Path) -> set[str]:
    """What there is beside a database."""
    if "sqlite" in url:
        return {path.name for path in folder.parent.iterdir() if path.suffix not in {".db-wal", ".db-shm"}}
    import psycopg

    with psycopg.connect(url) as connection:
        mine = (
            "SELECT datname FROM pg_database WHERE datname LIKE current_database() || '%%' OR datname LIKE %s"
        )
        return {name for (name,) in connection.execute(mine, ["daicho\\_scratch%"])}


@pytest.mark.parametrize(("revision", "code"), [("20261121_09", 0), ("20991231_01", 1)])
def test_an_older_backup_is_upgraded_next_and_a_newer_one_refused(
    sqlite_url: str, folder: Path, revision: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(sqlite_url, f"UPDATE alembic_version SET version_num = '{revision}'")
    here = Here(sqlite_url, capsys)
    here("db", "backup", "--to", str(folder))
    fresh = Here(f"sqlite:///{folder.parent / 'fresh.db'}", capsys)
    fresh("db", "restore", "--from", str(folder), code=code)
    assert ("daicho db upgrade" if code == 0 else "newer than this Daicho") in fresh.said
    assert (folder.parent / "fresh.db").exists() == (code == 0)


def test_a_bare_copy_comes_back_too(
    url: str, folder: Path, new_postgres: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(url) as ledger:
        ledger.calls.start("one", "c")
        file = ledger.guilds.backup_database(folder)
    fresh = new_postgres(migrated=False) if file.suffix == ".dump" else f"sqlite:///{folder / 'fresh.db'}"
    here = Here(fresh, capsys)
    here("db", "restore", str(file))
    assert "no side file" in here.said
    assert calls_in(fresh) == ["one"]
    os.truncate(file, file.stat().st_size // 2)
    here("db", "restore", str(file), "--force", code=1)
    one_line(here.said)
    assert calls_in(fresh) == ["one"]


def test_a_full_disk_leaves_no_backup(here: Here, folder: Path) -> None:
    """A limit on the size of a file stands for the disk's end."""
    with Ledger(here.url) as ledger:
        ledger.guilds.create_ticket(GUILD, 1, 2, os.urandom(900_000).hex())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        here("db", "backup", "--to", str(folder), code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    one_line(here.said)
    assert list(folder.iterdir()) == []


def test_a_verification_without_room_keeps_the_backup_and_says_so(
    sqlite_url: str, folder: Path, opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(Unavailable, match="is written but could not be verified.*No space left"):
        backup(opened(sqlite_url), Folder(folder))
    (one,) = listed(Folder(folder))
    assert one.manifest is not None
    assert one.manifest.verified is None


def test_what_cannot_be_is_one_line(here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, reason in (
        (["backup", "--to", str(folder / "missing")], "no such folder"),
        (["backup", "--to", "/proc"], "could not be written"),
        (["backups", "--from", str(folder / "missing")], "no such folder"),
        (["restore", "--from", str(folder)], "no such backup"),
        (["restore", str(folder / "missing.db")], "missing.db"),
    ):
        here("db", *arguments, code=1)
        assert reason in one_line(here.said)
    empty = Here("sqlite:///missing.db", here._capture)
    empty("db", "backup", "--to", str(folder), code=1)
    assert "no such file" in one_line(empty.said)
    assert not Path("missing.db").exists()
    if "postgresql" in here.url:
        monkeypatch.setenv("PATH", str(folder))
        here("db", "backup", "--to", str(folder), code=1)
        assert "postgresql-client" in one_line(here.said)
    assert list(folder.iterdir()) == []


def test_steps_are_shown_one_after_another(url: str, folder: Path, opened: Callable[[str], Database]) -> None:
    """A terminal has one progress bar."""
    at_once, names = [0], []

    @contextmanager
    def steps(name: Text, *_: object) -> Iterator[Callable[[int], None]]:
        assert at_once == [0]
        at_once[0] += 1
        names.append(name.en)
        yield lambda _: None
        at_once[0] -= 1

    database = opened(url)
    backup(database, Folder(folder), steps=steps)
    restore(database, Folder(folder), force=True, steps=steps)
    assert {"writing", "storing", "checking"} <= set(names)


@on_sqlite
def test_a_file_system_without_links_will_do(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    fill(here.url, "one")
    here("db", "backup", "--to", str(folder), "--no-verify")
    fill(here.url, "late")
    monkeypatch.setattr(os, "link", no_links)
    done = json.loads(here("db", "restore", "--from", str(folder), "--force", "--json"))
    assert calls_in(f"sqlite:///{done['old']}") == ["late", "one"]
    assert calls_in(here.url) == ["one"]
