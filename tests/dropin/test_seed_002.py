"""Seed 002, members: its functions as printed, and ``db.database``'s, in a caller's own session."""

import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import db.connection
from daicho import Invalid, Ledger
from daicho.chats.dynamo_tables import messages_table
from db.database import (
    HumanMember,
    SessionLocal,
    VirtualMember,
    save_or_update_human_member,
    save_or_update_virtual_member,
)
from tests.dropin.printed import printed, run_now

SAVING = "# backend-db-registration/src/db/database.py"


@pytest.mark.parametrize("whose", ["as printed", "db.database"])
def test_members_are_saved_and_updated_by_name(configured: str, whose: str) -> None:
    save = save_or_update_human_member
    if whose == "as printed":
        names = {"HumanMember": HumanMember, "datetime": datetime}
        save = run_now(printed("002", SAVING), **names).save_or_update_human_member
    with SessionLocal() as session:
        given = HumanMember(name="田中", role="見習い", skills=["sql"], file_uri="a.yml")
        save(session, given)
        assert given.id == 1
        before = session.query(HumanMember).one().updated_at
        save(session, HumanMember(name="田中", role="エンジニア"))
        kept = session.query(HumanMember).one()
        assert (kept.id, kept.role, kept.skills, kept.file_uri) == (1, "エンジニア", ["sql"], "a.yml")
        assert before < kept.updated_at
        assert abs((datetime.now(UTC) - kept.updated_at).total_seconds()) < 60
    with Ledger(configured) as ledger:
        assert ledger.members.get_human("田中").role == "エンジニア"


def test_virtual_members_too_and_an_error_rolls_back(configured: str) -> None:
    with SessionLocal() as session:
        kasen = VirtualMember(name="華扇", llm_model="gpt-4o")
        assert save_or_update_virtual_member(session, kasen) in session
        saved = save_or_update_virtual_member(session, {"name": "華扇", "llm_model": "gpt-5"})
        assert (saved.id, saved.llm_model, kasen.id) == (1, "gpt-5", 1)
        session.add(HumanMember(name="未確定"))
        with pytest.raises(Invalid, match="llm_model is missing"):
            save_or_update_virtual_member(session, VirtualMember(name="名無し"))
        assert session.query(HumanMember).count() == 0
        assert not session.in_transaction() or session.query(VirtualMember).count() == 1


def test_a_session_on_an_engine_of_the_callers_own(configured: str) -> None:
    with Ledger(configured) as ledger:
        ledger.members.counts()
    engine = create_engine(configured.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        save_or_update_human_member(session, HumanMember(name="田中"))
        save_or_update_human_member(session, HumanMember(name="田中", role="エンジニア"))
        assert session.query(HumanMember).one().role == "エンジニア"
    engine.dispose()


def test_process_member_data_as_printed(configured: str, caplog: pytest.LogCaptureFixture) -> None:
    process = run_now(
        printed("002", "from sqlalchemy.orm import Session"),
        create_member=lambda data: HumanMember(**data),
        logger=logging.getLogger("member_db"),
    ).process_member_data
    process(SessionLocal(), {"name": "華扇"})
    with pytest.raises(IntegrityError):
        process(SessionLocal(), {"name": "華扇"})
    assert "データベースエラー: " in caplog.text
    with SessionLocal() as session:
        assert [member.name for member in session.query(HumanMember)] == ["華扇"]


def test_the_table_as_printed_is_the_table_of_chat_logs() -> None:
    wanted = eval(printed("002", "{"))  # noqa: S307
    made = messages_table("ChatLogs")
    for name in ("TableName", "KeySchema"):
        assert made[name] == wanted[name]
    assert all(one in made["AttributeDefinitions"] for one in wanted["AttributeDefinitions"])


def test_both_designs_share_the_package(configured: str) -> None:
    with db.connection.DatabaseConnection().get_session() as session:
        session.add(HumanMember(name="共用"))
    with SessionLocal() as session:
        assert session.query(db.HumanMember).one().name == "共用"
