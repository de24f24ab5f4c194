"""Chat logs: messages that come one by one and many at once, and pages deep in a million of them.

The driver of the single messages is one bare connection that commits each row, with the table's own triggers.
That of the many writes them by executemany or COPY into the same tables without triggers: nobody keeps the
sessions there. That of the pages are the statements that ``history`` and ``sessions`` come down to.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.harness import Place, Row, best_ms, seconds, text
from daicho import Ledger
from daicho.core.page import encode
from daicho.core.types import new_uuid

APPENDS, CALLERS = 16_000, 32
MANY, SESSIONS = 100_000, 50
DEEP, DEEP_SESSIONS, SIZE = 1_000_000, 10_000, 100
"""Messages in the deep place; half of them are one session's, and the others are all the others'."""
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "s-0"
COLUMNS = "session_id, timestamp, role, content, author, message_id, details"
TRIGGERS = ("insert", "delete", "update")


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        driver = APPENDS / seconds(lambda: append_by_driver(place))  # noqa: B023
        yield Row(f"chat append, {CALLERS} callers, {place.kind}", "rows/s", append(place), driver)
    for place in fresh():
        yield Row(f"chat append_many of {MANY:,}, {place.kind}", "rows/s", many(place), many_by_driver(place))
    for place in fresh():
        yield from pages(place)


def written(place: Place, at: datetime) -> object:
    """An instant as the driver takes it."""
    return at if place.kind == "PostgreSQL" else f"{at:%Y-%m-%d %H:%M:%S.%f}"


# -- writing -------------------------------------------------------------------------------------------


def append(place: Place) -> float:
    with Ledger(place.url) as ledger, ThreadPoolExecutor(CALLERS) as threads:
        ledger.chats.append("warm", "user", "warm")

        def say(caller: int) -> None:
            for n in range(APPENDS // CALLERS):
                ledger.chats.append(f"ours-{caller}", "user", text(n))

        took = seconds(lambda: list(threads.map(say, range(CALLERS))))
        kept = sum(ledger.chats.session(f"ours-{caller}").messages or 0 for caller in range(CALLERS))
        assert kept == APPENDS // CALLERS * CALLERS, "messages were lost"
        return kept / took


def append_by_driver(place: Place) -> None:
    connection = place.connect()
    insert = place.sql(f"INSERT INTO chat_logs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)")
    for n in range(APPENDS):
        connection.execute(insert, message(place, f"driver-{n % CALLERS}", n, datetime.now(UTC)))
    connection.close()


def message(place: Place, session_id: str, n: int, at: datetime) -> tuple[object, ...]:
    return session_id, written(place, at), "user", text(n), None, new_uuid(), None


def many(place: Place) -> float:
    messages = [{"session_id": f"s-{n % SESSIONS}", "role": "user", "content": text(n)} for n in range(MANY)]
    with Ledger(place.url) as ledger:
        ledger.chats.append("warm", "user", "warm")
        took = seconds(lambda: ledger.chats.append_many(messages))
        assert ledger.chats.session("s-0").messages == MANY // SESSIONS, "messages were lost"
        ledger.chats.delete_session("warm")
    return MANY / took


def many_by_driver(place: Place) -> float:
    connection = place.connect()
    without_triggers(place, connection)
    connection.execute("DELETE FROM chat_logs")

    def write() -> None:
        made = (message(place, f"s-{n % SESSIONS}", n, BEGUN + timedelta(seconds=n)) for n in range(MANY))
        if place.kind == "PostgreSQL":
            with connection.cursor().copy(f"COPY chat_logs ({COLUMNS}) FROM STDIN") as copy:
                for row in made:
                    copy.write_row(row)
        else:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO chat_logs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", made)
            connection.execute("COMMIT")

    took = seconds(write)
    connection.close()
    return MANY / took


def without_triggers(place: Place, connection: Any) -> None:
    for kind in TRIGGERS:
        of = " ON chat_logs" if place.kind == "PostgreSQL" else ""
        connection.execute(f"DROP TRIGGER chat_sessions_{kind}{of}")


# -- pages ---------------------------------------------------------------------------------------------

NUMBERS = {
    "SQLite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"
    " SELECT {columns} FROM numbers",
    "PostgreSQL": "SELECT {columns} FROM generate_series(0, {count} - 1) AS n",
}
TIME = {
    "SQLite": "strftime('%Y-%m-%d %H:%M:%f000', '2026-01-01', '+' || n || ' seconds')",
    "PostgreSQL": "timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'",
}


def pages(place: Place) -> Iterator[Row]:
    connection = place.connect()
    fill(place, connection)
    half = BEGUN + timedelta(seconds=DEEP // 4 * 2)
    middle, before = middle_session(connection)
    read = place.sql(
        f"SELECT {COLUMNS} FROM chat_logs WHERE session_id = ? AND timestamp > ? ORDER BY timestamp"
        f" LIMIT {SIZE + 1}"
    )
    listing = place.sql(
        "SELECT session_id, first_at, last_at, messages FROM chat_sessions WHERE (last_at, session_id) < (?, ?)"
        f" ORDER BY last_at DESC, session_id DESC LIMIT {SIZE + 1}"
    )
    with Ledger(place.url) as ledger:

        def history() -> list[str]:
            page = ledger.chats.history(LONG, limit=SIZE, cursor=encode([half]))
            return [one.message_id for one in page]

        def history_by_driver() -> list[str]:
            found = connection.execute(read, (LONG, written(place, half))).fetchall()
            return [one[5] for one in found[:SIZE]]

        def sessions() -> list[str]:
            page = ledger.chats.sessions(limit=SIZE, cursor=encode([before, middle]))
            return [one.session_id for one in page]

        def sessions_by_driver() -> list[str]:
            found = connection.execute(listing, (written(place, before), middle)).fetchall()
            return [one[0] for one in found[:SIZE]]

        for name, ours, theirs in (
            (f"history page deep in {DEEP:,}", history, history_by_driver),
            (f"sessions page deep in {DEEP_SESSIONS:,}", sessions, sessions_by_driver),
        ):
            assert ours() == theirs(), "another page"
            assert len(ours()) == SIZE, "no whole page"
            yield Row(f"{name}, {place.kind}", "ms", best_ms(ours, 15), best_ms(theirs, 15))
    connection.close()


def middle_session(connection: Any) -> tuple[str, datetime]:
    """The session in the middle of the list, and when its last message was said."""
    statement = "SELECT session_id, last_at FROM chat_sessions ORDER BY last_at DESC, session_id DESC"
    name, at = connection.execute(f"{statement} LIMIT 1 OFFSET {DEEP_SESSIONS // 2}").fetchone()
    at = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at.astimezone(UTC)
    return name, at


def fill(place: Place, connection: Any) -> None:
    """Write a million messages, every second one of the long session's, and their sessions by one statement."""
    without_triggers(place, connection)
    others = f"'s-' || (1 + n / 2 % {DEEP_SESSIONS - 1})"
    columns = f"CASE n % 2 WHEN 0 THEN '{LONG}' ELSE {others} END, {TIME[place.kind]}, 'user',"
    columns += " 'Hello, I would like to book a table for four', NULL, 'm-' || n, NULL"
    numbers = NUMBERS[place.kind].format(columns=columns, count=DEEP)
    connection.execute(f"INSERT INTO chat_logs ({COLUMNS}) {numbers}")
    connection.execute(
        "INSERT INTO chat_sessions (session_id, first_at, last_at, messages)"
        " SELECT session_id, min(timestamp), max(timestamp), count(*) FROM chat_logs GROUP BY session_id"
    )
    tables = ("chat_logs", "chat_sessions")
    for table in tables:
        connection.execute(f"VACUUM (ANALYZE) {table}" if place.kind == "PostgreSQL" else f"ANALYZE {table}")
