"""The way to PostgreSQL: who is warned, of what, and who is left alone."""

import logging

import psycopg
import pytest
from sqlalchemy import make_url

from daicho import Ledger, Settings
from daicho.core import tls
from daicho.core.tls import Way, way
from tests.tls_server import TlsServer

ELSEWHERE = "postgresql://u:secret@db.example/ledger"


@pytest.fixture(autouse=True)
def _as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_warned", set())
    for name in ("PGHOST", "PGHOSTADDR", "PGSSLMODE", "PGGSSENCMODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@localhost/d", Way.LOCAL),
        ("postgresql://u@127.0.0.2:5433/d", Way.LOCAL),
        ("postgresql://u@[::1]/d", Way.LOCAL),
        ("postgresql:///d", Way.LOCAL),
        ("postgresql:///d?host=/var/run/postgresql", Way.LOCAL),
        (ELSEWHERE, Way.OPEN),
        (f"{ELSEWHERE}?sslmode=disable", Way.OPEN),
        (f"{ELSEWHERE}?sslmode=allow", Way.OPEN),
        (f"{ELSEWHERE}?sslmode=require", Way.ENCRYPTED),
        (f"{ELSEWHERE}?sslmode=verify-full", Way.CHECKED),
        (f"{ELSEWHERE}?gssencmode=require", Way.CHECKED),
        ("postgresql://u@[2001:db8::1]/d", Way.OPEN),
        ("postgresql://u@localhost/d?hostaddr=192.0.2.1", Way.OPEN),
        ("postgresql:///d?host=127.0.0.1:5432&host=db.example:5433", Way.OPEN),
        ("postgresql:///d?host=localhost,db.example", Way.OPEN),
    ],
)
def test_how_safe_the_way_is(url: str, expected: Way) -> None:
    assert way(make_url(url)) is expected


def test_the_environment_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    assert way(make_url("postgresql:///d")) is Way.OPEN
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert way(make_url("postgresql:///d")) is Way.CHECKED


def test_an_open_way_is_warned_of_once_and_without_a_password(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "daicho"):
        for url in ("postgresql://u@127.0.0.1/d", ELSEWHERE, ELSEWHERE):
            with Ledger(url) as ledger:
                assert ledger.database.engine
                assert ledger.database.async_engine
    (said,) = [record.getMessage() for record in caplog.records]
    assert "db.example may be read on the way (sslmode=prefer)" in said
    assert "sslmode=verify-full" in said
    assert "secret" not in said


def test_the_parts_name_the_mode_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_TYPE", "postgresql")
    monkeypatch.setenv("DATABASE_HOST", "db.example")
    monkeypatch.setenv("DATABASE_SSLMODE", "verify-full")
    monkeypatch.setenv("DATABASE_SSLROOTCERT", "system")
    url = Settings().database_url()
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "system"}
    assert way(url) is Way.CHECKED


def test_a_ledger_is_kept_over_tls_and_a_stranger_is_not_let_pose(
    postgres_url: str, tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq itself, over real TLS; what ends it stands before the server, as in front of many a cloud's."""
    with Ledger(tls_server.url(postgres_url, "verify-full")) as ledger:
        ledger.calls.start("call-1", "client")
        with ledger.database.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            assert driver.pgconn.ssl_in_use
    other = tls_server.url(postgres_url, "verify-full").replace("localhost", "127.0.0.1")
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(other)
