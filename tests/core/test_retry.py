"""What passes by itself is repeated where that is safe; what remains is one clear error."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from daicho import Invalid, Ledger, Settings, Unavailable
from daicho.core import dialect, retry
from daicho.core.sections import Database, Pool
from tests.postgres import Cluster, free_port

KILL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def test_a_connection_lost_between_operations_is_replaced(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as admin:
        ledger.calls.start("call-1", "c")
        ledger.calls.append_log("call-1", "user", "before", state="s")
        for _ in range(3):
            admin.execute(KILL_OTHERS)
            ledger.calls.append_log("call-1", "user", "after", state="s")
            admin.execute(KILL_OTHERS)
            ledger.calls.start("call-1", "c")
        assert len(ledger.calls.transcript("call-1")) == 4


def test_a_connection_lost_in_the_middle_of_an_operation_repeats_it_whole(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as admin:
        tries = []

        def work(session: Session) -> int:
            tries.append(1)
            session.execute(text("CREATE TABLE made_once (n int)"))
            if len(tries) == 1:
                admin.execute(KILL_OTHERS)
            return session.execute(text("SELECT 42")).scalar_one()

        assert ledger.database.run(work) == 42
        assert len(tries) == 2


def test_a_commit_that_went_unanswered_is_repeated_only_where_that_changes_nothing(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as admin:
        tries = []

        def work(session: Session) -> None:
            tries.append(1)
            session.execute(text("SELECT 1"))
            if len(tries) in {1, 2}:
                admin.execute(KILL_OTHERS)

        with pytest.raises(Unavailable, match="lost during commit.*unknown"):
            ledger.database.run(work)
        assert len(tries) == 1
        ledger.database.run(work, idempotent=True)
        assert len(tries) == 3


def test_deadlocked_transactions_both_finish(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        for call in ("a", "b"):
            ledger.calls.start(call, "c")
        met = threading.Barrier(2)

        def crosswise(first: str, second: str) -> Callable[[Session], None]:
            waited = []

            def work(session: Session) -> None:
                update = text("UPDATE calls SET current_state = :first WHERE call_id = :call")
                session.execute(update, {"first": first, "call": first})
                if not waited:
                    waited.append(1)
                    met.wait()
                session.execute(update, {"first": first, "call": second})

            return work

        threads = [
            threading.Thread(target=ledger.database.run, args=(crosswise(*pair),)) for pair in ("ab", "ba")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.calls.get("a").current_state == ledger.calls.get("b").current_state


def test_serialization_failures_are_repeated(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        ledger.calls.start("call-1", "c", state="0")
        met = threading.Barrier(2)

        def add_one() -> None:
            waited = []

            def work(session: Session) -> None:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
                number = int(session.execute(text("SELECT current_state FROM calls")).scalar_one())
                if not waited:
                    waited.append(1)
                    met.wait()
                session.execute(text("UPDATE calls SET current_state = :n"), {"n": str(number + 1)})

            ledger.database.run(work)

        threads = [threading.Thread(target=add_one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.calls.get("call-1").current_state == "2"


HOLDER = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN IMMEDIATE"); print("held", flush=True); sys.stdin.readline(); c.execute("COMMIT")
"""


def hold(path: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_a_file_locked_for_a_while_is_waited_for(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'x.db'}") as ledger:
        ledger.calls.start("call-1", "c")
        holder = hold(tmp_path / "x.db")
        waiting = threading.Thread(target=ledger.calls.append_log, args=("call-1", "user", "x"))
        waiting.start()
        assert len(ledger.calls.transcript("call-1")) == 0  # readers never wait
        holder.communicate("\n")
        waiting.join()
        assert len(ledger.calls.transcript("call-1")) == 1


def test_a_file_locked_for_good_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.05)
    with Ledger(f"sqlite:///{tmp_path / 'x.db'}") as ledger:
        ledger.calls.start("call-1", "c")
        holder = hold(tmp_path / "x.db")
        with pytest.raises(Unavailable, match="locked"):
            ledger.calls.append_log("call-1", "user", "x")
        with pytest.raises(Unavailable, match="locked"):
            ledger.calls.start("call-1", "c")
        holder.communicate("\n")
        assert len(ledger.calls.transcript("call-1")) == 0


def test_a_transaction_inside_another_of_the_same_process_is_told_not_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.05)
    with Ledger(f"sqlite:///{tmp_path / 'x.db'}") as ledger, ledger.begin() as tx:
        tx.calls.start("call-1", "c")
        with pytest.raises(Invalid, match="would wait for a session that the same task or thread holds"):
            ledger.calls.start("call-2", "c")
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(ledger.calls.start, "call-2", "c")
            with pytest.raises(Unavailable, match="another transaction of this process"):
                waiting.result()


def test_an_unreachable_postgresql_is_said_with_its_address(tmp_path: Path) -> None:
    port = free_port()
    with Ledger(f"postgresql://me:hush@127.0.0.1:{port}/x") as ledger:
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}.*DATABASE_URL") as error:
            ledger.calls.list()
        assert "hush" not in str(error.value)


def test_a_refused_login_and_a_missing_database_are_said(cluster: Cluster) -> None:
    with (
        Ledger(cluster.url("nowhere")) as ledger,
        pytest.raises(Unavailable, match='"nowhere" does not exist'),
    ):
        ledger.calls.list()
    stranger = cluster.url().replace("postgres@", "nobody@")
    with Ledger(stranger) as ledger, pytest.raises(Unavailable, match="login refused|does not exist"):
        ledger.calls.list()


def test_a_missing_folder_and_a_file_that_is_no_database_are_said(tmp_path: Path) -> None:
    with (
        Ledger(f"sqlite:///{tmp_path}/no/x.db") as ledger,
        pytest.raises(Invalid, match="does not exist; create it"),
    ):
        ledger.calls.list()
    with Ledger(f"sqlite:///{tmp_path}") as ledger, pytest.raises(Unavailable, match="check the path"):
        ledger.calls.list()
    (tmp_path / "letter.txt").write_text("Dear database, " * 100)
    with Ledger(f"sqlite:///{tmp_path / 'letter.txt'}") as ledger, pytest.raises(Invalid, match="SQLite"):
        ledger.calls.list()


def test_a_forked_child_writes_on_its_own(url: str) -> None:
    code = """
import os, sys
from daicho import Ledger
ledger = Ledger(sys.argv[1])
ledger.calls.append_log("call-1", "user", "parent", client_id="c")
if (child := os.fork()) == 0:
    ledger.calls.append_log("call-1", "user", "child")
    os._exit(0)
os.waitpid(child, 0)
ledger.calls.append_log("call-1", "user", "parent again")
print(*[line.text for line in ledger.calls.transcript("call-1")], sep=",")
"""
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "parent,child,parent again", done.stderr


@pytest.mark.parametrize(
    ("code", "expected"),
    [(sqlite3.SQLITE_BUSY, True), (sqlite3.SQLITE_BUSY_SNAPSHOT, True), (sqlite3.SQLITE_FULL, False)],
)
def test_only_busy_sqlite_errors_pass(code: int, expected: bool) -> None:
    from sqlalchemy.exc import OperationalError

    original = sqlite3.OperationalError("x")
    original.sqlite_errorcode = code
    assert retry.passes(OperationalError("x", {}, original)) is expected


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'x.db'}") as ledger:
        ledger.calls.start("call-1", "c")
        # The writer's connection, with a file that may not grow: the same error as a full disk.
        settings = Settings(database=Database(pool=Pool(size=1, max_overflow=0)))
    with Ledger(f"sqlite:///{tmp_path / 'x.db'}", settings=settings) as ledger:
        with ledger.database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 40}")
        written = 0
        with pytest.raises(Unavailable, match="the disk is full"):
            for written in range(1000):
                ledger.calls.append_log("call-1", "ai", f"{written} " + "予約をお願いします" * 200, state="s")
        kept = ledger.calls.transcript("call-1", limit=1000).items
        assert [line.text.split()[0] for line in kept] == [str(n) for n in range(written)]
