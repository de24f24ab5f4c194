"""Sessions are the sums of their messages, whoever writes these, at any moment and by any statement."""

import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, text

from daicho import Ledger
from tests.processes import acknowledged_until_killed
from tests.usage.test_grant import Granted, granted, new_roles, run

__all__ = ["granted", "new_roles"]

AT = datetime(2026, 11, 21, 8, 18, 22, 123_456, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
INSERT = (
    "INSERT INTO chat_logs (session_id, timestamp, role, content, message_id)"
    " VALUES (:session, :at, 'user', '', :name)"
)
DUE = "SELECT session_id, min(timestamp), max(timestamp), count(*) FROM chat_logs GROUP BY session_id"
KEPT = "SELECT session_id, first_at, last_at, messages FROM chat_sessions"


def differing(ledger: Ledger) -> list[object]:
    """The sessions that are not what their messages are."""
    with ledger.database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT * FROM ({DUE} EXCEPT {KEPT}) a UNION ALL SELECT * FROM ({KEPT} EXCEPT {DUE}) b"
        )
        return list(found)


def sessions(ledger: Ledger) -> dict[str, int | None]:
    return {session.session_id: session.messages for session in ledger.chats.sessions(limit=1_000)}


def moment(ledger: Ledger, at: datetime) -> object:
    """An instant as other programs write it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f") if ledger.database.in_threads else at


def fill(connection: Connection, ledger: Ledger, count: int = 60) -> None:
    """Write messages of five sessions, each by a statement of its own, in no order."""
    numbers = list(range(count))
    random.Random(1).shuffle(numbers)
    for n in numbers:
        at = moment(ledger, AT + n * timedelta(seconds=1))
        connection.execute(text(INSERT), {"session": f"s-{n % 5}", "at": at, "name": f"m-{n}"})


MANY = (
    "INSERT INTO chat_logs (session_id, timestamp, role, content, message_id) SELECT 'copy:' || session_id,"
    " timestamp, role, content, message_id FROM chat_logs"
)
STATEMENTS = {
    "several": f"{MANY} WHERE session_id < 's-3'",
    "met": f"{MANY} WHERE session_id LIKE 's-%' ON CONFLICT DO NOTHING",
    "replaced": f"{MANY} WHERE session_id LIKE 's-%' ON CONFLICT (session_id, timestamp) DO UPDATE SET content = 'y'",
    "other columns": "UPDATE chat_logs SET content = 'x', author = 'y'",
    "some of one": "UPDATE chat_logs SET session_id = 's-0' WHERE session_id = 's-1' AND message_id < 'm-4'",
    "all of one": "UPDATE chat_logs SET session_id = 's-9' WHERE session_id = 's-2'",
    "to themselves": "UPDATE chat_logs SET session_id = session_id, timestamp = timestamp",
    "later": "UPDATE chat_logs SET timestamp = :later WHERE session_id = 's-3' AND message_id = 'm-3'",
    "both": "UPDATE chat_logs SET timestamp = :earlier, session_id = 's-4' WHERE message_id = 'm-8' AND session_id = 's-3'",
    "first": "DELETE FROM chat_logs WHERE timestamp = (SELECT first_at FROM chat_sessions s WHERE s.session_id ="
    " chat_logs.session_id)",
    "last": "DELETE FROM chat_logs WHERE timestamp = (SELECT last_at FROM chat_sessions s WHERE s.session_id ="
    " chat_logs.session_id)",
    "nothing": "DELETE FROM chat_logs WHERE session_id = 'nobody'",
    "a session": "DELETE FROM chat_logs WHERE session_id = 's-4'",
    "half": "DELETE FROM chat_logs WHERE message_id < 'm-3'",
    "all": "DELETE FROM chat_logs",
}


def test_sessions_follow_every_statement_of_any_program(ledger: Ledger) -> None:
    values = {"later": moment(ledger, AT + timedelta(days=1)), "earlier": moment(ledger, AT - timedelta(1))}
    with ledger.database.engine.begin() as connection:
        fill(connection, ledger)
    assert sessions(ledger) == {f"s-{n}": 12 for n in range(5)}
    assert differing(ledger) == []
    for name, statement in STATEMENTS.items():
        with ledger.database.engine.begin() as connection:
            given = {key: value for key, value in values.items() if f":{key}" in statement}
            rows = connection.execute(text(statement), given).rowcount
        assert (rows > 0) == (name != "nothing"), name
        assert differing(ledger) == [], name
    assert sessions(ledger) == {}


def test_a_rollback_takes_the_sums_back(ledger: Ledger) -> None:
    ledger.chats.append("s-0", "user", "x")
    before = ledger.chats.session("s-0").values()
    with ledger.database.engine.connect() as connection:
        fill(connection, ledger)
        connection.execute(text("DELETE FROM chat_logs WHERE session_id = 's-1'"))
        connection.rollback()
    assert sessions(ledger) == {"s-0": 1}
    assert ledger.chats.session("s-0").values() == before
    assert differing(ledger) == []


def test_copy_and_truncate_are_followed_too(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as connection:
        ledger.chats.append("s-1", "user", "x", timestamp=AT)
        columns = "chat_logs (session_id, timestamp, role, content, message_id)"
        with connection.cursor().copy(f"COPY {columns} FROM STDIN") as copy:
            for n in range(1, 500):
                copy.write_row((f"s-{n % 3}", AT + n * MICRO, "user", "", f"m-{n}"))
        assert sessions(ledger) == {"s-0": 166, "s-1": 168, "s-2": 166}
        assert differing(ledger) == []
        connection.execute("TRUNCATE chat_logs")
        assert sessions(ledger) == {}
        assert ledger.chats.append("s-1", "user", "x").content == "x"
        assert differing(ledger) == []


def test_what_our_own_writes_do_is_summed(ledger: Ledger) -> None:
    chats = ledger.chats
    chats.append_many(
        [{"session_id": f"s-{n % 7}", "role": "user", "content": "", "timestamp": AT} for n in range(2_000)]
    )
    assert differing(ledger) == []
    copied = chats.history("s-1", limit=50).items
    chats.delete_session("s-1")
    chats.restore("s-1", copied)
    assert chats.session("s-1").messages == 50
    chats.append("s-2", "user", "x", timestamp=AT - timedelta(days=20_000))
    chats.append("s-9", "user", "x", timestamp=AT - timedelta(days=20_000))
    assert chats.expire(10_000) == 2
    assert differing(ledger) == []


MOMENT = 150
"""Messages that are acknowledged before the kill."""
CHILD = """
import os, sys, threading
from daicho import Ledger

ledger = Ledger(sys.argv[1])
chats = ledger.chats
chats.append("s-0", "user", "begun")
print("ready", flush=True)

def append(thread):
    for n in range(10_000):
        many = [{"session_id": f"s-{(n + k) % 3}", "role": "user", "content": f"many-{thread}"} for k in range(20)]
        if n % 5 == 4:
            chats.append_many(many)
        if n % 7 == 6:
            chats.delete_session(f"gone-{thread}")
        chats.append(f"gone-{thread}", "user", "x")
        one = chats.append(f"s-{thread % 3}", "user", f"{thread}/{n}", message_id=f"{thread}/{n}")
        os.write(1, f"{one.session_id} {one.message_id}\\n".encode())  # one write: a line is never torn

for thread in range(8):
    threading.Thread(target=append, args=(thread,), daemon=True).start()
threading.Event().wait(60)
"""


def test_what_was_acknowledged_before_kill_9_is_there_and_summed(url: str) -> None:
    acknowledged = acknowledged_until_killed(CHILD, url, MOMENT)
    with Ledger(url) as ledger:
        stored = set()
        for session in ledger.chats.sessions(limit=1_000):
            cursor, count = None, 0
            while True:
                page = ledger.chats.history(session.session_id, limit=1_000, cursor=cursor)
                stored |= {f"{one.session_id} {one.message_id}\n".encode() for one in page}
                count += len(page)
                if (cursor := page.next) is None:
                    break
            assert count == session.messages
        assert len(acknowledged) >= MOMENT
        assert stored >= set(acknowledged)
        assert differing(ledger) == []
        assert ledger.chats.append("s-0", "user", "still here").content == "still here"


def test_the_applications_role_writes_messages_and_never_their_sums(granted: Granted) -> None:
    with Ledger(granted.app) as ledger:
        chats = ledger.chats
        for _ in range(2):
            chats.append("s-1", "user", "x", message_id="m", timestamp=AT)
        chats.append("s-1", "user", "y", timestamp=AT)
        chats.append_many([{"session_id": "s-2", "role": "user", "content": "", "timestamp": AT}] * 30)
        chats.append("old", "user", "x", timestamp=AT - timedelta(days=20_000))
        assert chats.expire(10_000) == 1
        assert chats.restore("s-3", chats.history("s-1").items).added == 2
        assert chats.delete_session("s-3") == 2
        assert sessions(ledger) == {"s-1": 2, "s-2": 30}
        assert differing(ledger) == []
    for statement in (
        "UPDATE chat_sessions SET messages = 7",
        "DELETE FROM chat_sessions",
        "INSERT INTO chat_sessions (session_id, first_at, last_at, messages) VALUES ('x', now(), now(), 1)",
        "TRUNCATE chat_logs",
        "ALTER TABLE chat_logs DISABLE TRIGGER ALL",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(granted.app, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(granted.read_only, "SET transaction_read_only = off; DELETE FROM chat_logs")
    with Ledger(granted.read_only) as ledger:
        assert sessions(ledger) == {"s-1": 2, "s-2": 30}


def test_a_temporary_table_is_not_taken_for_the_sums(granted: Granted) -> None:
    insert = "INSERT INTO chat_logs (session_id, timestamp, role, content, message_id) VALUES"
    run(
        granted.app,
        "CREATE TEMPORARY TABLE chat_sessions (LIKE public.chat_sessions INCLUDING ALL)",
        f"{insert} ('s-1', now(), 'user', '', 'm')",
        "DELETE FROM chat_logs",
        f"{insert} ('s-2', now(), 'user', '', 'm')",
    )
    with Ledger(granted.url) as ledger:
        assert sessions(ledger) == {"s-2": 1}
        assert differing(ledger) == []
