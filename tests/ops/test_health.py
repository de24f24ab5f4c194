"""``/health``: a server is ready when it can do its work, says so quickly, and tells strangers no more."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from daicho import AsyncLedger, Ledger, Settings, migrations
from daicho.core.engine import Database
from daicho.ledger import open_database
from daicho.ops.findings import State
from daicho.ops.health import Limits, Readiness, Report
from tests.postgres import Cluster
from tests.serving import Running, running

QUICK = Limits(answer=30.0, keep=0.0, pool=0.1, stalled=0.1, free=0, free_soon=0)
HASTY = Limits(answer=1.0, keep=0.0)
PLENTY = Limits(answer=30.0, keep=0.0, free=0, free_soon=0)


@contextmanager
def watched(url: str, limits: Limits = PLENTY, **database: Any) -> Iterator[tuple[Database, Readiness]]:
    """A database, and who looks whether it can do its work."""
    settings = Settings.of({"database": database})
    with Ledger(url, settings=settings) as ledger:
        ledger.calls.list()
        yield ledger.database, Readiness(ledger.database, limits)


def states(report: Report) -> dict[str, State]:
    return {one.name: one.state for one in report.findings}


def failing(report: Report) -> list[str]:
    return [one.name for one in report.fails()]


def test_a_server_is_ready_lives_and_tells_strangers_states_only(server: Running, url: str) -> None:
    with server.client(None) as stranger, server.client() as operator:
        assert stranger.get("/health/live").json() == {"status": "ok"}
        answer = stranger.get("/health/ready")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        seen = {one.pop("name"): one for one in answer.json()["checks"]}
        assert {"database", "migrations", "pool", "writer", "disk"} <= set(seen)
        assert all(set(one) == {"state"} for one in seen.values())
        told = {one["name"]: one["message"] for one in operator.get("/health/ready").json()["checks"]}
        assert told["migrations"] == f"at head ({migrations.HEAD})"
        assert told["database"].endswith(" answers")
        wrong = stranger.get("/health/ready", headers={"Authorization": "Bearer not-the-token-at-all"})
        assert wrong.json() == answer.json()


def test_a_server_whose_database_goes_away_or_hangs_is_not_ready_until_it_is_back() -> None:
    cluster = Cluster()
    try:
        with Ledger(cluster.url()) as ledger:
            migrations.run(ledger.database, "upgrade", "head")
        with watched(cluster.url(), QUICK) as (database, readiness), running(cluster.url()) as server:
            assert not readiness.look().fails()
            hasty = Readiness(database, HASTY)
            with stopped(database):
                for _ in range(2):  # the first look is still under way, and holds up no second
                    assert "no answer within 1 s" in hasty.look().fails("database")[0].message.en
            assert not readiness.look().fails()
            cluster.stop("immediate")
            with server.client(None) as stranger, server.client() as operator:
                answer = stranger.get("/health/ready")
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["checks"][0] == {"name": "database", "state": "fail"}
                assert not any(word in answer.text for word in (str(cluster.port), "postgres", "127.0.0.1"))
                assert stranger.get("/health/live").status_code == 200
                assert str(cluster.port) in operator.get("/health/ready").json()["checks"][0]["message"]
                cluster.start()
                while stranger.get("/health/ready").status_code == 503:
                    pass
                assert stranger.get("/health").json() == {"status": "ok", "revision": migrations.HEAD}
            cluster.stop()
            (cluster.data / "standby.signal").touch()
            cluster.start()
            (found,) = readiness.look().fails()
            assert "is a standby and takes no writes" in found.message.en
    finally:
        cluster.close()


@contextmanager
def stopped(database: Database) -> Iterator[None]:
    """Let the server's process that the look speaks to hang."""
    with database.watching(1).connect() as connection:
        driver: Any = connection.connection.driver_connection
        process = driver.info.backend_pid
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_server_at_another_revision_is_not_ready_and_says_the_way_out(empty_url: str) -> None:
    with Ledger(empty_url) as ledger:
        migrations.run(ledger.database, "upgrade", "20251121_01")
    with running(empty_url) as server, server.client(None) as stranger, server.client() as operator:
        answer = stranger.get("/health/ready")
        assert answer.status_code == 503
        checks = {one["name"]: one["state"] for one in answer.json()["checks"]}
        assert (checks["database"], checks["migrations"]) == ("ok", "fail")
        assert "20251121_01" not in answer.text
        told = {one["name"]: one for one in operator.get("/health/ready").json()["checks"]}
        assert "daicho db upgrade" in told["migrations"]["mend"]
        japanese = operator.get("/health/ready", headers={"Accept-Language": "ja"}).json()
        assert "準備ができていません" in japanese["detail"]


def test_a_pool_without_a_free_connection_is_told_from_one_that_is_only_busy(url: str) -> None:
    with watched(url, QUICK, pool={"size": 1, "max_overflow": 0}) as (database, readiness):
        with database.engine.connect():
            assert failing(readiness.look()) == ["pool"]
        assert states(readiness.look())["pool"] is State.OK
        ended = threading.Event()

        def hand_on() -> None:
            while not ended.is_set():
                with database.engine.connect():
                    pass

        busy = threading.Thread(target=hand_on)
        busy.start()
        try:
            patient = Readiness(database, Limits(answer=30.0, pool=20.0))
            assert states(patient.look())["pool"] is State.OK
        finally:
            ended.set()
            busy.join()


def test_tasks_pool_counts_too(postgres_url: str) -> None:
    async def main() -> Report:
        settings = Settings.of({"database": {"pool": {"size": 1, "max_overflow": 0}}})
        async with AsyncLedger(postgres_url, settings=settings) as ledger, ledger.begin() as tx:
            await tx.calls.list()
            return await Readiness(ledger.database, QUICK).report()

    assert "pool" in failing(asyncio.run(main()))


def test_a_writer_that_does_not_get_on_is_not_ready(sqlite_url: str) -> None:
    with watched(sqlite_url, QUICK, writer={"queue": 1, "batch": 1}) as (database, readiness):
        ledger = Ledger(sqlite_url)
        other = create_engine(sqlite_url).connect()
        other.exec_driver_sql("BEGIN IMMEDIATE")
        answered = [
            threading.Thread(target=database.writer.submit, args=(lambda *_: [None], None)) for _ in range(3)
        ]
        with ExitStack() as ends:
            for end in (other.close, ledger.close, *(one.join for one in answered)):
                ends.callback(end)
            ends.callback(other.rollback)
            for one in answered:
                one.start()
            while not (found := readiness.look().fails()) or "under way" not in found[0].message.en:
                pass
            assert "1 of 1 waiting in the writer, one commit under way" in found[0].message.en
            assert found[0].name == "writer"
        assert states(readiness.look())["writer"] is State.OK


def test_a_disk_that_is_full_or_a_file_that_cannot_be_written_is_not_ready(sqlite_url: str) -> None:
    with watched(sqlite_url, Limits(answer=30.0, keep=0.0, free=10**18)) as (_, readiness):
        assert failing(readiness.look()) == ["disk"]
    with watched(sqlite_url, Limits(answer=30.0, keep=0.0, free=0, free_soon=10**18, wal=-1)) as (
        _,
        readiness,
    ):
        assert (states(report := readiness.look())["disk"], report.state) == (State.WARN, State.WARN)
        assert states(report)["wal"] is State.WARN


def test_a_volume_that_really_is_full(new_sqlite: Any, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(volume)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a volume of its own")
    try:
        with watched(new_sqlite(volume / "ledger.db")) as (database, _):
            (found,) = Readiness(database, Limits(answer=30.0)).look().fails()
            assert (found.name, str(volume) in found.message.en) == ("disk", True)
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        database = open_database(f"sqlite:///{volume / 'ledger.db'}", Settings())
        (found,) = Readiness(database, PLENTY).look().fails("disk")
        assert "cannot be written" in found.message.en
        database.close()
    finally:
        subprocess.run(["umount", "-l", str(volume)], check=True)


def test_who_looks_changes_nothing_and_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    with (
        watched(sqlite_url) as (database, _),
        database.watching(1).connect() as connection,
        pytest.raises(OperationalError, match="readonly"),
    ):
        connection.exec_driver_sql("DELETE FROM calls")
    nowhere = open_database(f"sqlite:///{tmp_path / 'nowhere.db'}", Settings())
    assert {"database", "migrations"} <= set(failing(Readiness(nowhere, PLENTY).look()))
    nowhere.close()
    assert not (tmp_path / "nowhere.db").exists()


def test_many_who_ask_at_once_are_one_look(postgres_url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(postgres_url) as ledger:
            readiness = Readiness(ledger.database, Limits(answer=30.0, keep=60.0))
            reports = await asyncio.gather(*(readiness.report() for _ in range(50)))
            assert all(one is reports[0] for one in reports)
            assert await readiness.report() is reports[0]

    asyncio.run(main())


def test_what_begins_to_fail_is_logged_once_and_so_is_its_end(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(postgres_url) as (_, readiness), psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("UPDATE alembic_version SET version_num = 'x'")
        for _ in range(3):
            readiness.look()
        other.execute("UPDATE alembic_version SET version_num = %s", [migrations.HEAD])
        readiness.look()
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[1].strip() if ":" in line else line for line in said] == [
        "migrations",
        "ready again",
    ]


def test_a_ledger_in_memory_is_ready_too() -> None:
    with watched("sqlite://") as (_, readiness):
        assert set(states(readiness.look()).values()) == {State.OK}
