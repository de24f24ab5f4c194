"""``daicho doctor``: what is wrong is found, said with its way out, and stops no other check."""

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from daicho import Ledger, Settings, cli, migrations
from daicho.cli import doctor as command
from daicho.core.sections import Storage
from daicho.ops import doctor, findings
from daicho.ops.doctor import examine
from daicho.ops.findings import Finding, Question, State, answers
from tests import dynalite
from tests.cli.terminal import Here, daicho
from tests.databases import on_sqlite
from tests.dynalite import Dynalite
from tests.members import conftest as members
from tests.tls_server import TlsServer
from tests.usage.test_grant import Granted, granted, new_roles  # noqa: F401 - fixtures

s3 = members.s3
dynamodb = dynalite.dynamodb


def found(url: str | None = None, *, deep: bool = False, **config: Any) -> dict[str, Finding]:
    """What is found, by its name: of each the worst."""
    given = config | ({"database": {"url": url} | config.get("database", {})} if url else {})
    order = list(State)
    by_name: dict[str, Finding] = {}
    for one in examine(lambda: Settings.of(given), deep=deep):
        kept = by_name.get(one.name)
        if kept is None or order.index(one.state) > order.index(kept.state):
            by_name[one.name] = one
    return by_name


def bad(all_found: dict[str, Finding]) -> dict[str, State]:
    return {name: one.state for name, one in all_found.items() if one.state is not State.OK}


def said(one: Finding) -> str:
    """Message and way out; both languages have both."""
    assert one.mend is not None
    assert one.message.ja and one.mend.ja  # noqa: PT018
    return f"{one.message.en} → {one.mend.en}"


@pytest.fixture
def without_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is not compared, which takes the longest and is not in question."""
    monkeypatch.setattr(doctor, "_schema", lambda _: iter([findings.ok("schema", "")]))


# -- the command -------------------------------------------------------------------------------------


@on_sqlite
def test_a_sound_installation_is_said_to_be_so_and_left_as_it_is(here: Here, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").chmod(0o600)
    before = sorted(path.name for path in tmp_path.iterdir())
    told = here("doctor", "--deep")
    assert here.said.startswith("0 to mend, 0 to look at, ")
    lines = told.splitlines()
    assert all(line.startswith("✓  ") for line in lines)
    assert len({line.index(line[3:].split("  ")[-1].strip()) for line in lines}) == 1  # aligned
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_fails_is_said_with_its_way_out_and_the_rest_is_looked_at_all_the_same(
    unmade_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(unmade_url) as ledger:
        migrations.run(ledger.database, "upgrade", "20251121_01")
    done = daicho("doctor", url=unmade_url, DAICHO_LANG="ja", DAICHO_HOST="0.0.0.0")  # noqa: S104
    assert done.returncode == 1
    assert "✗  schema" in done.stdout
    assert "→ バックアップを取り daicho db upgrade" in done.stdout
    assert "✗  server" in done.stdout
    assert "✓  contexts" in done.stdout  # the last
    assert cli.run(["--database", unmade_url, "doctor", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["state"] == "fail"
    (schema,) = [one for one in answer["checks"] if one["name"] == "schema"]
    assert schema["state"] == "fail"
    assert "daicho db upgrade" in schema["mend"]
    assert command.Examined.model_validate(answer)


def test_settings_that_cannot_be_and_a_database_that_is_away_are_findings(tmp_path: Path) -> None:
    done = daicho("doctor", DATABASE_URL="mysql://u:secret@h/d")
    assert done.returncode == 1
    assert "✗  settings" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    away = found("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(away)
    assert bad(away) == {"database": State.FAIL}
    assert "check that the database runs" in away["database"].message.en
    assert "contexts" in away
    assert "name a file" in said(found(f"sqlite:///{tmp_path}")["database"])
    (tmp_path / "rubbish.db").write_text("rubbish " * 100)
    assert "is it an SQLite database?" in found(f"sqlite:///{tmp_path}/rubbish.db")["database"].message.en
    Path("config.yaml").write_text("database: [")
    assert [one.name for one in examine(Settings) if one.state is State.FAIL] == ["settings"]
    Path("config.yaml").unlink()
    folder = found(f"sqlite:///{tmp_path}/nowhere/ledger.db")
    assert "mkdir -p" in said(folder["database"])


def test_a_check_that_hangs_or_breaks_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    asked = []

    def hang() -> list[Finding]:
        asked.append(1)
        ended.wait(60)
        return [findings.ok("hanging", "at last")]

    def broken() -> list[Finding]:
        raise ZeroDivisionError("boo")

    hanging = Question("hanging", hang)
    try:
        for _ in range(2):
            (found_,) = answers([hanging], 0.1)
            assert (found_.state, found_.mend is None) == (State.FAIL, False)
    finally:
        ended.set()
    assert answers([hanging], 30)[0].message.en == "at last"
    assert len(asked) == 1
    monkeypatch.setattr(doctor, "_extras", broken)
    all_found = {one.name: one for one in examine(lambda: Settings(database={"url": "sqlite://"}))}
    assert all_found["extras"].message.en == "ZeroDivisionError: boo"
    assert all_found["contexts"].state is State.OK


# -- settings ----------------------------------------------------------------------------------------


def test_where_each_setting_comes_from_is_said_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("DATABASE_PASSWORD=hidden-one\nDATABASE_HOST=db.example\n")
    Path(".env").chmod(0o644)
    Path("config.yaml").write_text("database:\n  host: other\n  postgresql: {name: kept}\n")
    monkeypatch.setenv("DAICHO_TOKEN", "hidden-two-hidden-two")
    monkeypatch.setenv("DAICHO_PORTT", "1")
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    all_found = {one.name: one for one in examine(Settings)}
    assert all_found["DATABASE_HOST"].message.en == "db.example (.env)"
    assert all_found["DATABASE_NAME"].message.en == "kept (config.yaml)"
    assert all_found["DATABASE_PASSWORD"].message.en == "*** (.env)"
    assert all_found["DAICHO_TOKEN"].message.en == "*** (environment)"
    assert "is DAICHO_PORT meant?" in said(all_found["DAICHO_PORTT"])
    assert "chmod 600 .env" in said(all_found[".env"])
    assert "hidden" not in str(all_found)


@pytest.mark.parametrize("token", ["changeme-changeme", "a" * 40])
def test_a_token_that_can_be_guessed_and_a_host_that_is_open_are_said(token: str) -> None:
    all_found = found("sqlite://", server={"token": token, "host": "0.0.0.0"})  # noqa: S104
    assert "openssl rand" in said(all_found["token"])
    assert "without TLS" in said(all_found["server"])
    good = found("sqlite://", server={"token": "9f86d081884c7d659a2feaa0c55ad015"})
    assert set(bad(good)) == {"database"}  # in memory


# -- SQLite ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_drift")
def test_a_damaged_file_is_found(sqlite_url: str, tmp_path: Path) -> None:
    with Ledger(sqlite_url) as ledger:
        for number in range(200):
            ledger.calls.start(f"call-{number}", "c" * 100)
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute(
            "SELECT max(rootpage) FROM sqlite_master WHERE tbl_name = 'calls'"
        ).fetchone()
        (length,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with file.open("r+b") as raw:
        raw.seek((page[0] - 1) * length)
        raw.write(b"\xff" * length)
    assert "restore the last backup" in said(found(sqlite_url)["integrity"])


def test_what_was_changed_by_hand_is_found(url: str) -> None:
    with Ledger(url) as ledger, ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_tasks_status")
        connection.exec_driver_sql("CREATE TABLE somebodys (id INTEGER PRIMARY KEY)")
    told = said(found(url)["drift"])
    assert "ix_tasks_status" in told
    assert "somebodys" in told


@pytest.mark.usefixtures("without_drift")
def test_sums_that_are_not_those_of_the_records_are_found_by_who_looks_deep(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme")
        ledger.usage.record(tenant_id=tenant.id, operation="o", model="m", input_tokens=3)
        with ledger.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE usage_totals SET input_tokens = 4")
    assert "usage sums" not in found(sqlite_url)
    assert "verify --mend" in said(found(sqlite_url, deep=True)["usage sums"])


@pytest.mark.usefixtures("without_drift")
def test_files_that_cannot_be_written_or_are_open_to_all_are_found(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ledger.db"
    file.chmod(0o644)
    for folder in file.parents:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
    assert f"chmod 600 {file}*" in said(found(sqlite_url)["readers"])
    log = tmp_path / "ledger.db-wal"
    log.touch()
    write = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != log and write(path, mode))  # root may
    assert str(log) in said(found(sqlite_url)["permissions"])


# -- PostgreSQL --------------------------------------------------------------------------------------


def test_a_server_with_a_superuser_and_without_durability_is_said_to_be_so(postgres_url: str) -> None:
    all_found = found(postgres_url)
    states = bad(all_found)
    assert states.pop("pg_dump", State.WARN) is State.WARN  # of this machine
    # The tests' server does not wait for the disk, and does not clear up.
    assert states == {"login": State.WARN, "durability": State.FAIL, "vacuum": State.WARN}
    assert "daicho db grant --apply" in said(all_found["login"])
    assert "fsync = off" in said(all_found["durability"])
    assert all_found["drift"].state is State.OK


def test_the_applications_own_role_is_enough_for_the_doctor(granted: Granted) -> None:  # noqa: F811
    all_found = found(granted.app)
    assert all_found["login"].state is State.OK
    assert "in force on" in all_found["row security"].message.en
    assert not {"login", "row security", "schema", "drift", "connections"} & set(bad(all_found))


@pytest.mark.usefixtures("without_drift")
def test_long_transactions_full_servers_and_old_clients_are_found(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor.doctor_postgres, "LONG", doctor.doctor_postgres.timedelta(0))
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1")
        all_found = found(postgres_url, database={"pool": {"size": 1000}})
        assert f"pg_terminate_backend({other.info.backend_pid})" in said(all_found["transactions"])
    assert "max_connections" in said(all_found["connections"])
    assert "9.6.24 is older than the server" in said(all_found["pg_dump"])
    monkeypatch.setenv("PATH", "")
    assert "not on PATH" in said(found(postgres_url)["pg_dump"])


@pytest.mark.usefixtures("without_drift")
def test_tls_is_what_the_connection_has_and_what_the_url_insists_on(
    postgres_url: str, tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(postgres_url)["tls"].message.en == "not used, within this machine"
    used = tls_server.url(postgres_url, "verify-full")
    assert found(used)["tls"].message.en == "in use (sslmode=verify-full)"
    monkeypatch.setattr(doctor.doctor_postgres.tls, "is_loopback", lambda _: False)  # as from elsewhere
    assert "lets another pose" in said(found(tls_server.url(postgres_url, "require"))["tls"])
    assert "DATABASE_SSLMODE=verify-full" in said(found(postgres_url)["tls"])


def test_a_database_without_tables_is_said_to_need_an_upgrade(new_postgres: Callable[..., str]) -> None:
    all_found = found(new_postgres(migrated=False))
    assert "daicho db upgrade" in said(all_found["schema"])


# -- beside the database -----------------------------------------------------------------------------


def test_places_beside_the_database_are_asked(
    s3: tuple[str, Path], dynamodb: Dynalite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint, _ = s3
    storage = Storage.model_validate({"endpoint": endpoint, "region": "us-east-1", **members.KEYS})
    table = {"table": "Unmade", "endpoint_url": dynamodb.endpoint, "region": "us-east-1", **dynalite.KEYS}
    given: dict[str, Any] = {
        "storage": storage,
        "members": {"source": "s3://bucket"},
        "chats": {"backend": "dynamodb", "dynamodb": table},
    }
    all_found = found("sqlite://", **given)
    assert all_found["members"].message.en == "s3://bucket answers"
    assert "daicho chats init" in all_found["dynamodb"].message.en
    away = found("sqlite://", members={"source": str(tmp_path / "nowhere")})
    assert away["members"].state is State.FAIL
    (tmp_path / "file").touch()
    assert "DAICHO_CONTEXTS" in said(
        found("sqlite://", context_storage={"base_dir": tmp_path / "file" / "x"})["contexts"]
    )
