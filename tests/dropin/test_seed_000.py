"""Seed 000, the call console: its programs as printed, and what a running telephone call may meet."""

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from console_backend.config import get_settings
from console_backend.database import Base, SessionLocal, get_db
from console_backend.models import Call, CallLog
from console_backend.schemas import AppendLogRequest
from console_backend.service_client import append_call_log, complete_call, mark_transfer, start_call
from console_backend.services import call_service
from daicho import Invalid, Ledger, migrations
from tests.dropin.printed import printed, run_now


def test_the_two_programs_as_printed(configured: str) -> None:
    run_now(printed("000", "from console_backend.service_client import ("))
    found = run_now(printed("000", "from console_backend.database import SessionLocal"))
    assert (found.call.client_id, found.call.current_state) == ("client-001", "completed")
    assert [(log.role, log.text, log.state) for log in found.logs] == [("user", "こんにちは", "greeting")]
    with Ledger(configured) as ledger:
        assert ledger.calls.get("call-123").ended_at is not None


def test_the_migration_as_printed_is_the_first_of_the_history() -> None:
    made = run_now(printed("000", '"""Initial migration'))
    first = run_now((migrations.FOLDER / "versions" / "20251121_01.py").read_text())
    assert (
        (made.revision, made.down_revision) == (first.revision, first.down_revision) == ("20251121_01", None)
    )
    made.upgrade()
    made.downgrade()


def test_a_call_does_not_stop_for_its_log(configured: str, caplog: pytest.LogCaptureFixture) -> None:
    append_call_log("call-9", "user", "もしもし", "greeting")
    mark_transfer("nobody", "折り返し希望")
    complete_call("nobody", ended_at=datetime.now(UTC))
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.name for record in warned] == ["console_backend"] * 2
    assert all("nobody" in record.getMessage() for record in warned)
    with SessionLocal() as db:
        call = db.query(Call).one()
        assert (call.call_id, call.client_id, call.current_state) == ("call-9", "", "greeting")
        start_call("call-9", "client-001", state="greeting")
        mark_transfer("call-9", "折り返し希望")
        db.commit()
        assert (call.client_id, call.is_transferred, call.handover_summary) == (
            "client-001",
            True,
            "折り返し希望",
        )
    with pytest.raises(Invalid, match="robot"):
        append_call_log("call-9", "robot", "?")


def test_services_in_a_session_of_the_callers(configured: str, caplog: pytest.LogCaptureFixture) -> None:
    with SessionLocal() as db:
        call = call_service.ensure_call(db, call_id="call-1", client_id="c", state="init")
        again = call_service.ensure_call(db, call_id="call-1", client_id="c", state="updated")
        assert (again is call, call.current_state) == (True, "updated")
        request = AppendLogRequest(role="AI", text="お電話ありがとうございます", state="greeting")
        log = call_service.append_log(db, call_id="call-1", request=request)
        assert (log in db, log.role, log.text) == (True, "ai", "お電話ありがとうございます")
        assert call_service.append_log(db, "call-2", request).call_id == "call-2"
        assert call_service.mark_transfer(db, "call-1", "金曜の予約").handover_summary == "金曜の予約"
        ended = call_service.complete_call(db, "call-1", ended_at=datetime.now(UTC) + timedelta(hours=1))
        assert ended.ended_at > datetime.now(UTC)
        calls, total = call_service.list_calls(db, limit=1, offset=1)
        assert (len(calls), total) == (1, 2)
        today = datetime.now(UTC).date()
        for wanted, found in (
            ({"active": True}, ["call-2"]),
            ({"only_transferred": True}, ["call-1"]),
            ({"client_id": "c"}, ["call-1"]),
            (
                {"date_from": today - timedelta(days=1), "date_to": today + timedelta(days=1)},
                ["call-2", "call-1"],
            ),
            ({"date_to": date(2025, 1, 1)}, []),
        ):
            assert [one.call_id for one in call_service.list_calls(db, **wanted)[0]] == found
        db.add(Call(call_id="pending", client_id="c"))
        db.flush()
        assert call_service.list_calls(db)[1] == 3
        db.rollback()  # listing has committed nothing
        db.add(Call(call_id="kept", client_id="c"))
        db.flush()
        assert call_service.mark_transfer(db, "nobody", "x") is None
        assert call_service.complete_call(db, "nobody") is None
        assert call_service.list_calls(db)[1] == 3  # and a call that is not known undoes nothing
    assert caplog.text.count("nobody") == 2
    with pytest.raises(ValidationError, match="role"):
        AppendLogRequest(role="robot", text="?")


def test_sessions_and_engine_are_sqlalchemys(configured: str) -> None:
    from console_backend.database import engine

    Base.metadata.create_all(bind=engine)  # as console's own tests do: there is everything already
    with SessionLocal() as db:
        db.add(Call(call_id="call-1", client_id="c"))
        db.flush()
        db.rollback()
        call = Call(call_id="call-2", client_id="c")
        db.add_all([call, CallLog(call_id="call-2", role="user", text="テスト", state="init")])
        db.commit()
        db.refresh(call)
        assert (call.current_state, call.is_transferred) == ("init", False)
        assert datetime.now(UTC) - call.started_at < timedelta(minutes=1)
        call.current_state = "not committed"
    with SessionLocal.begin() as db:
        assert [one.call_id for one in db.query(Call)] == ["call-2"]
        db.query(CallLog).one().text = "直した"
    with engine.begin() as connection:
        connection.execute(text("UPDATE calls SET current_state = 'sql'"))
    (db,) = get_db()
    assert (db.query(CallLog).one().text, db.query(Call).one().current_state) == ("直した", "sql")
    with pytest.raises(IntegrityError), SessionLocal.begin() as db:
        db.add(Call(call_id="call-2", client_id="c"))
    assert get_settings().database_url.startswith(configured.split("@")[0].split(":")[0])
    assert "://" not in repr(get_settings())


def test_a_new_file_is_set_up_by_whatever_asks_first(
    unmade_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", unmade_url)
    from console_backend.database import engine

    assert not (tmp_path / "ledger.db").exists()
    for _ in range(2):  # as console's own tests do around each
        Base.metadata.create_all(bind=engine)
        append_call_log("call-1", "user", "もしもし", "greeting")
        with SessionLocal() as db:
            assert db.query(CallLog).count() == 1
        Base.metadata.drop_all(bind=engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == migrations.HEAD


def test_a_session_that_has_read_may_write_after_others(configured: str) -> None:
    start_call("call-1", "c")
    with SessionLocal() as db:
        call = db.query(Call).one()
        append_call_log("call-1", "user", "間に書かれた行", "greeting")
        call.handover_summary = "読んでから書く"
        db.commit()
        db.query(Call).one()
        append_call_log("call-1", "user", "また書かれた行", "greeting")
        call_service.append_log(db, "call-1", AppendLogRequest(role="ai", text="はい", state="greeting"))
        assert db.query(CallLog).count() == 3
        assert db.query(Call).one().handover_summary == "読んでから書く"


def test_a_reader_keeps_no_writer_waiting(configured: str) -> None:
    start_call("call-1", "c")
    with SessionLocal() as reader:
        reader.query(Call).one()
        start_call("call-2", "c")


def test_a_time_without_a_zone_is_utc(configured: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2025, 11, 21, 8, 18, 22)
    start_call("call-1", "c", started_at=at)
    with SessionLocal() as db:
        assert db.query(Call).filter(Call.started_at == at).one().started_at == at.replace(tzinfo=UTC)
        line = CallLog(call_id="call-1", role="user", text="x", state="x", timestamp=at)
        db.add(line)
        db.flush()
        assert line.timestamp == at.replace(tzinfo=UTC)
