"""An SQLite file that others hold: locked by another process, read for long, left behind by one that was killed."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daicho import Ledger, Unavailable
from daicho.core import dialect, engines
from tests.survival.counting import query
from tests.survival.load import finished, load
from tests.survival.writes import line, prepare, record

HOLDER = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
if sys.argv[2] == "READ":
    c.execute("BEGIN"); c.execute("SELECT count(*) FROM calls").fetchone()
else:
    c.execute("BEGIN " + sys.argv[2]); c.execute("INSERT INTO tenants (id, name) VALUES ('x', 'never saved')")
print("held", flush=True); sys.stdin.readline()
"""


@contextmanager
def held(path: Path, how: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process, without Daicho, that holds the file: READ, IMMEDIATE or EXCLUSIVE."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), how], stdin=pipe, stdout=pipe, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """The file itself."""
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_clients_go_on_when_other_processes_hold_the_file_and_are_killed(
    sqlite_url: str, path: Path, tmp_path: Path
) -> None:
    with load(sqlite_url, tmp_path) as running:
        running.start(sqlite_url)
        running.wait_for(20)
        for how in ("IMMEDIATE", "EXCLUSIVE"):
            with held(path, how):
                pass  # killed with the lock in its hands
            running.wait_for(20)
        finished(running, sqlite_url)
    assert query(sqlite_url, "SELECT count(*) FROM tenants WHERE name = 'never saved'") == [(0,)]
    assert query(sqlite_url, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_that_is_held_for_too_long_is_unavailable_once_and_readers_go_on(
    sqlite_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr("daicho.core.retry.SECONDS", 0.1)
    with Ledger(sqlite_url) as ledger:
        prepare(ledger)
        first = record(ledger, "a/record/1")
        with held(path, "EXCLUSIVE"):
            for write in (line, record):
                with pytest.raises(Unavailable, match="others have been writing for too long"):
                    write(ledger, "a/record/2")
            receipt = ledger.usage.enqueue(
                tenant_id=first.tenant_id, operation="enqueue", model="m", input_tokens=1, output_tokens=1
            )
            assert ledger.usage.get(first.id).operation == "record"
            assert not receipt.done
        assert receipt.result(30).operation == "enqueue"
        assert record(ledger, "a/record/2").created_at == record(ledger, "a/record/2").created_at
        assert len(ledger.usage.list().items) == 3


def test_waiting_for_a_lock_is_not_done_again_and_again(
    sqlite_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr("daicho.core.retry.SECONDS", 0.3)
    tries = threading.Semaphore(0)
    with Ledger(sqlite_url) as ledger:
        ledger.calls.start("a", "c")
        once = ledger.database._once
        monkeypatch.setattr(ledger.database, "_once", lambda *given: (tries.release(), once(*given))[1])
        with held(path, "IMMEDIATE"), pytest.raises(Unavailable):
            ledger.calls.start("a", "c")
        assert tries._value == 1


def test_a_log_that_a_reader_kept_long_becomes_short_again(sqlite_url: str, path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    with Ledger(sqlite_url) as ledger:
        ledger.calls.start("a", "c")
        with held(path, "READ"):
            for n in range(6):
                ledger.chats.append("a", "user", "x" * 8_000_000, message_id=str(n))
            assert log.stat().st_size > engines.LOG_BYTES
        for n in range(6, 9):
            ledger.chats.append("a", "user", "x", message_id=str(n))
        assert log.stat().st_size <= engines.LOG_BYTES
        assert ledger.chats.session("a").messages == 9


FILLS = """
import resource, sys
from datetime import UTC, datetime
from daicho import Ledger, Unavailable
with Ledger(sys.argv[1]) as ledger:
    call = {"tenant_id": ledger.usage.create_tenant("Acme").id, "operation": "o", "model": "m"}
    many = [{**call, "created_at": datetime(2026, 11, 1, tzinfo=UTC)} for _ in range(20_000)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
    try:
        ledger.usage.record_many(many)
    except Unavailable as error:
        print(error)
    try:
        with ledger.begin() as tx:
            tx.usage.record_many(many)
    except Unavailable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(ledger.usage.record_many(many).accepted, sum(one.differ for one in ledger.usage.verify()))
"""


def test_a_disk_that_fills_up_amid_many_records_is_said_and_leaves_none_of_them(sqlite_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLS, sqlite_url], capture_output=True, text=True, timeout=60
    )
    *refusals, after = done.stdout.splitlines()
    assert len(refusals) == 2, done.stderr
    # SQLite has undone the transaction, and its savepoints, by then: that is not what is to be told.
    assert all("perhaps because it is full; nothing of this was written" in said for said in refusals)
    assert after == "20000 0"
