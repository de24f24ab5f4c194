"""Chat logs in SQLite, PostgreSQL and DynamoDB: the same rules hold in each, on both faces."""

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from daicho import DaichoError, Invalid, Ledger, NotFound
from daicho.chats.models import ChatLog
from daicho.chats.places import Added
from daicho.chats.store import ChatStore
from daicho.core.operation import Sync
from daicho.core.types import json_value, now
from tests.faces import Faces

AT = datetime(2026, 11, 21, 8, 18, 22, 123_456, tzinfo=UTC)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
MICRO = timedelta(microseconds=1)
NAME = "discord:123:456"


def said(number: int, **more: Any) -> dict[str, Any]:
    return {"session_id": NAME, "role": "user", "content": str(number), **more}


def told(store: ChatStore[Sync], session_id: str = NAME, limit: int = 1_000, **how: Any) -> Iterator[ChatLog]:
    """All messages of a session, page by page."""
    cursor = None
    while True:
        page = store.history(session_id, limit=limit, cursor=cursor, **how)
        assert len(page) <= limit
        yield from page
        if (cursor := page.next) is None:
            return


def contents(store: ChatStore[Sync], session_id: str = NAME, limit: int = 1_000, **how: Any) -> list[str]:
    return [message.content for message in told(store, session_id, limit, **how)]


def listed(store: ChatStore[Sync], limit: int = 1_000, **how: Any) -> list[str]:
    """The names of all sessions, page by page."""
    names: list[str] = []
    cursor = None
    while True:
        page = store.sessions(limit=limit, cursor=cursor, **how)
        names += [session.session_id for session in page]
        if (cursor := page.next) is None:
            return names


def message_at(at: datetime) -> ChatLog:
    return ChatLog(
        session_id=NAME,
        timestamp=at,
        role="user",
        content="last",
        author=None,
        message_id="m",
        details=None,
    )


def copied(message: ChatLog, **other: Any) -> ChatLog:
    return ChatLog(**{**message.values(), **other})


@pytest.fixture
def store(chats: Faces) -> ChatStore[Sync]:
    """Chat logs in each place, on each face."""
    return chats.chats


@pytest.fixture
def sql(face: Faces) -> ChatStore[Sync]:
    """Chat logs in each database, on each face."""
    return face.chats


# -- a message ---------------------------------------------------------------------------------------


def test_a_message_is_stored_and_read_as_it_was_said(store: ChatStore[Sync]) -> None:
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    given = store.append(
        NAME,
        "assistant",
        "こんにちは 👋\n2 行目\t'\"\\%",
        author="華扇",
        message_id="m-1",
        details={"model": "gpt-5", "見出し": [1, None, True]},
        timestamp=tokyo,
    )
    (read,) = told(store)
    for message in (given, read):
        assert (message.session_id, message.role, message.author) == (NAME, "assistant", "華扇")
        assert message.content == "こんにちは 👋\n2 行目\t'\"\\%"
        assert (message.message_id, message.timestamp) == ("m-1", AT)
        assert message.timestamp.utcoffset() == timedelta(0)
        assert json_value(message.details) == {"model": "gpt-5", "見出し": [1, None, True]}


def test_what_is_left_out_is_made_or_is_none(store: ChatStore[Sync]) -> None:
    before = now()
    one, other = store.append(NAME, "user", ""), store.append(NAME, "user", "")
    assert before <= one.timestamp < other.timestamp <= now() + MICRO
    assert one.message_id
    assert one.message_id != other.message_id
    assert (one.author, one.details, one.content) == (None, None, "")


def test_details_are_told_alike_when_written_and_when_read(store: ChatStore[Sync]) -> None:
    for details in ("hello", "5", 5, '{"a": 1}', {"a": 1}, [], {}, "", True, '"quoted"'):
        given = store.append(NAME, "user", "x", details=details)
        *_, read = told(store)
        assert given.details is not None
        assert given.details == read.details


WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "no-zone": ({"timestamp": AT.replace(tzinfo=None)}, r"timestamp.*no time zone.*\+00:00"),
    "no-time": ({"timestamp": "today"}, "timestamp must be a datetime, not str"),
    "no-session": ({"session_id": ""}, "session_id is empty"),
    "blank-session": ({"session_id": " \n"}, "session_id is empty"),
    "long-session": ({"session_id": "x" * 251}, "session_id is 251 characters long; at most 250"),
    "line-session": ({"session_id": "a\nb"}, "session_id has a control character at character 2; remove"),
    "del-session": ({"session_id": "ab\x7f"}, "session_id has a control character at character 3; remove"),
    "too-early": ({"timestamp": EARLIEST - MICRO}, "timestamp 1969-.* is outside the years 1970 to 9998"),
    "too-late": ({"timestamp": LATEST + MICRO}, "timestamp 9999-.* is outside the years 1970 to 9998"),
    "bool-session": ({"session_id": True}, "session_id must be text, not bool"),
    "no-role": ({"role": ""}, "role is empty"),
    "long-role": ({"role": "x" * 33}, "role is 33 characters long; at most 32"),
    "none-role": ({"role": None}, "role must be text, not NoneType"),
    "number": ({"content": 5}, "content must be text, not int"),
    "nothing": ({"content": None}, "content cannot be empty"),
    "nul": ({"content": "a\x00b"}, "content has a NUL byte at character 2"),
    "half": ({"content": "a\ud83d"}, "content has half a character"),
    "long-author": ({"author": "x" * 256}, "author is 256 characters long"),
    "no-id": ({"message_id": ""}, "message_id is empty; leave it out"),
    "long-id": ({"message_id": "x" * 65}, "message_id is 65 characters long; at most 64"),
    "bool-id": ({"message_id": True}, "message_id must be text, not bool"),
    "false-id": ({"message_id": False}, "message_id must be text, not bool"),
    "zero-time": ({"timestamp": 0}, "timestamp must be a datetime, not int"),
    "nul-in-details": ({"details": {"a": ["\x00"]}}, "details has a NUL byte"),
    "no-json": ({"details": {1, 2}}, "details cannot be written as JSON"),
    "no-number": ({"details": float("nan")}, "details cannot be written as JSON"),
}


def test_what_cannot_be_stored_is_refused_by_its_name_and_its_number(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        for wrong, says in WRONG.values():
            message = {**said(1), **wrong}
            with pytest.raises(Invalid, match=f"^{says}"):
                ledger.chats.append(**message)
            with pytest.raises(Invalid, match=f"^message 2: {says}"):
                ledger.chats.append_many([said(1), message])
        assert listed(ledger.chats) == []


def test_what_cannot_be_asked_is_refused(store: ChatStore[Sync]) -> None:
    for wrong in ({"limit": 0}, {"limit": 1_001}, {"limit": True}, {"cursor": "x"}, {"after": "now"}):
        with pytest.raises(Invalid):
            store.history(NAME, **wrong)
    for wrong in ({"limit": 0}, {"limit": "5"}, {"cursor": "x"}, {"since": AT.replace(tzinfo=None)}):
        with pytest.raises(Invalid):
            store.sessions(**wrong)
    with pytest.raises(Invalid, match="before.*time zone"):
        store.history(NAME, before=AT.replace(tzinfo=None))
    for ask in (store.history, store.session, store.delete_session):
        with pytest.raises(Invalid, match="session_id is empty"):
            ask("")
    for days in (0, 36_501, True, 1.5):
        with pytest.raises(Invalid, match="days"):
            store.expire(days)


# -- order, pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest", "newest"])
def test_pages_of_any_size_lead_through_all_between_exact_borders(
    store: ChatStore[Sync], newest_first: bool
) -> None:
    count = 23
    store.append_many([said(n, timestamp=AT + n * MICRO) for n in reversed(range(count))])
    store.append_many([said(99, session_id=f"{NAME}:other", timestamp=AT + n * MICRO) for n in range(3)])
    borders: list[tuple[int | None, int | None]] = [
        (None, None), (0, None), (None, count - 1), (4, 19), (4, 5), (9, 9), (19, 4), (-5, 99),
    ]  # fmt: skip
    for (after, before), limit in itertools.product(borders, (1, 7, 1_000)):
        wanted = [
            str(n) for n in range(count) if (after is None or n > after) and (before is None or n < before)
        ]
        found = contents(
            store,
            limit=limit,
            newest_first=newest_first,
            after=None if after is None else AT + after * MICRO,
            before=None if before is None else AT + before * MICRO,
        )
        assert found == (wanted[::-1] if newest_first else wanted), (after, before, limit)


def test_the_last_page_says_so_and_a_page_goes_on_where_the_former_ended(store: ChatStore[Sync]) -> None:
    store.append_many([said(n, timestamp=AT + n * MICRO) for n in range(4)])
    assert store.history(NAME, limit=4).next is None
    first = store.history(NAME, limit=2)
    store.append(**said(-1, timestamp=AT - MICRO))  # before the place: not told of again
    store.append(**said(4, timestamp=AT + 4 * MICRO))
    second = store.history(NAME, limit=9, cursor=first.next)
    assert [message.content for message in [*first, *second]] == ["0", "1", "2", "3", "4"]


def test_a_session_that_is_not_there_is_empty(store: ChatStore[Sync]) -> None:
    store.append("a", "user", "x")
    assert store.history("b").items == []
    assert store.history("b").next is None
    assert store.delete_session("b") == 0
    with pytest.raises(NotFound, match="no such chat session: b"):
        store.session("b")


# -- the same instant --------------------------------------------------------------------------------


def test_messages_of_one_instant_get_the_next_that_is_free_in_their_order(store: ChatStore[Sync]) -> None:
    store.append(**said(9, timestamp=AT + 2 * MICRO))
    times = [store.append(**said(n, timestamp=AT)).timestamp for n in range(4)]
    assert times == [AT, AT + MICRO, AT + 3 * MICRO, AT + 4 * MICRO]
    assert contents(store) == ["0", "1", "9", "2", "3"]
    assert store.append(**said(5, session_id="another", timestamp=AT)).timestamp == AT
    assert store.session(NAME).messages == 5


def test_messages_of_one_instant_from_eight_threads_are_all_kept(store: ChatStore[Sync]) -> None:
    threads, each = 8, 30

    def append(thread: int) -> list[datetime]:
        return [store.append(NAME, "user", f"{thread}/{n}", timestamp=AT).timestamp for n in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        times = list(pool.map(append, range(threads)))
    assert all(one == sorted(one) for one in times)
    assert sorted(itertools.chain(*times)) == [AT + n * MICRO for n in range(threads * each)]
    found = contents(store)
    assert len(found) == threads * each
    for thread in range(threads):
        own = [one for one in found if one.startswith(f"{thread}/")]
        assert own == [f"{thread}/{n}" for n in range(each)]
    assert store.session(NAME).messages == threads * each


def test_ties_of_many_are_placed_among_those_that_are_there(store: ChatStore[Sync]) -> None:
    for at in (0, 2, 3):
        store.append(**said(100 + at, timestamp=AT + at * MICRO))
    many = [said(n, timestamp=AT) for n in range(3)] + [
        said(n, timestamp=AT + 4 * MICRO) for n in range(3, 5)
    ]
    assert store.append_many(many) == Added(5, 0)
    found = list(told(store))
    assert [message.timestamp for message in found] == [AT + n * MICRO for n in range(8)]
    assert [int(message.content) for message in found if int(message.content) < 3] == [0, 1, 2]


def test_more_ties_than_one_look_shows_are_placed_at_their_end(sql: ChatStore[Sync]) -> None:
    sql.append_many([said(n, timestamp=AT) for n in range(2_500)])
    assert sql.append(**said(1, timestamp=AT)).timestamp == AT + 2_500 * MICRO
    assert sql.append_many([said(n, timestamp=AT + MICRO) for n in range(3)]) == Added(3, 0)
    assert sql.session(NAME).last_at == AT + 2_503 * MICRO


def test_at_the_ends_of_the_calendar_there_is_a_next_instant(store: ChatStore[Sync]) -> None:
    assert store.restore(NAME, [message_at(LAST)]).added == 1  # as another program has put it
    for timestamp in (EARLIEST, LATEST):
        for number in range(2):
            stored = store.append(**said(number, timestamp=timestamp))
            assert stored.timestamp == timestamp + number * MICRO
    assert store.append_many([said(n, timestamp=LATEST) for n in range(2, 4)]) == Added(2, 0)
    assert [message.content for message in told(store)] == ["0", "1", "0", "1", "2", "3", "last"]
    assert store.session(NAME).last_at == LAST


# -- a message sent twice ----------------------------------------------------------------------------


def test_a_message_sent_again_changes_nothing_and_is_answered_with_the_first(store: ChatStore[Sync]) -> None:
    first = store.append(**said(1, message_id="m", details={"a": 1}, timestamp=AT))
    for again in (said(1), said(2, role="ai", author="x"), said(3, timestamp=AT), said(4, timestamp=now())):
        answer = store.append(**again, message_id="m")
        assert (answer.content, answer.role, answer.timestamp) == ("1", "user", AT)
        assert json_value(answer.details) == {"a": 1}
        assert answer.author is None
    assert store.append(**said(5, session_id="another", message_id="m", timestamp=AT)).content == "5"
    assert contents(store) == [first.content]
    assert store.session(NAME).messages == 1


def test_a_message_sent_again_that_was_moved_is_not_moved_again(store: ChatStore[Sync]) -> None:
    store.append(**said(0, timestamp=AT))
    for _ in range(3):
        assert store.append(**said(1, message_id="m", timestamp=AT)).timestamp == AT + MICRO
    assert contents(store) == ["0", "1"]


def test_a_message_sent_by_many_at_once_is_there_once(store: ChatStore[Sync]) -> None:
    def send(thread: int) -> list[tuple[datetime, str]]:
        order = [(n * (2 * thread + 1)) % 16 for n in range(16)]
        answers = [store.append(NAME, "user", f"{thread}", message_id=f"m-{n}") for n in order]
        return sorted((one.timestamp, one.content) for one in answers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert all(one == answers[0] for one in answers)
    assert [(one.timestamp, one.content) for one in told(store)] == answers[0]
    assert store.session(NAME).messages == 16


def test_many_are_counted_as_new_or_as_there_already(store: ChatStore[Sync]) -> None:
    many = [said(n, message_id=f"m-{n}", timestamp=AT + n * MICRO) for n in range(10)]
    assert store.append_many(many[:6]) == Added(6, 0)
    assert store.append_many(many) == Added(4, 6)
    assert store.append_many([*many, said(10), many[3]]) == Added(1, 11)
    twice = [said(n, session_id="b", message_id=f"m-{n % 2}", timestamp=AT) for n in range(4)]
    assert store.append_many(twice) == Added(2, 2)
    assert contents(store, "b") == ["0", "1"]
    assert contents(store) == [str(n) for n in range(11)]


def test_one_that_is_there_already_takes_no_instant_of_another(sql: ChatStore[Sync]) -> None:
    sql.append(**said(0, message_id="m", timestamp=AT - MICRO))
    assert sql.append_many([said(1, message_id="m", timestamp=AT), said(2, timestamp=AT)]) == Added(1, 1)
    assert [message.timestamp for message in told(sql)] == [AT - MICRO, AT]


# -- many at once ------------------------------------------------------------------------------------


def test_many_of_several_sessions_keep_their_order(store: ChatStore[Sync]) -> None:
    assert store.append_many([]) == Added(0, 0)
    many = (said(n, session_id=f"s-{n % 3}") for n in range(60))
    assert store.append_many(many) == Added(60, 0)
    for session in range(3):
        assert contents(store, f"s-{session}") == [str(n) for n in range(60) if n % 3 == session]


def test_of_many_none_is_written_if_one_is_wrong(store: ChatStore[Sync]) -> None:
    for wrong, says in (
        ({"rol": "user"}, "message 3: .*rol"),
        ({"content": "\x00"}, "message 3: content has a NUL byte"),
        ({"timestamp": AT.replace(tzinfo=None)}, "message 3: timestamp: .*time zone"),
    ):
        with pytest.raises(Invalid, match=says):
            store.append_many([said(1), said(2), {**said(3), **wrong}])
    assert store.history(NAME).items == []


def test_many_rounds_are_written_in_one_transaction(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daicho.chats.sql_writing.BULK_ROWS", 200)
    sql, count = ledger.chats, 900
    sql.append(**said(-1, session_id="s-1", timestamp=AT + 700 * MICRO, message_id="m-1"))
    many = [
        said(n, session_id=f"s-{n % 2}", timestamp=AT + n * MICRO, message_id=f"m-{n}") for n in range(count)
    ]
    # An index that a message of the last round cannot go into.
    number = "CAST(content AS int)" if not ledger.database.in_threads else "json(content)"
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX numbers ON chat_logs (({number}))")
    with pytest.raises((DBAPIError, DaichoError)):
        sql.append_many([*many, {**said(0, session_id="t"), "content": "x"}])
    assert listed(sql) == ["s-1"]
    assert sql.append_many(many) == Added(count - 1, 1)
    assert sql.append_many(many) == Added(0, count)
    assert (sql.session("s-0").messages, sql.session("s-1").messages) == (count // 2, count // 2)
    assert contents(sql, "s-0") == [str(n) for n in range(0, count, 2)]


# -- sessions ----------------------------------------------------------------------------------------


def test_a_session_tells_its_first_and_last_message_and_their_number(store: ChatStore[Sync]) -> None:
    for minutes in (5, 1, 9):
        store.append(**said(minutes, timestamp=AT + timedelta(minutes=minutes)))
    session = store.session(NAME)
    assert (session.first_at, session.last_at) == (AT + timedelta(minutes=1), AT + timedelta(minutes=9))
    assert (session.session_id, session.messages) == (NAME, 3)
    (listed_one,) = store.sessions().items
    assert (listed_one.first_at, listed_one.last_at) == (session.first_at, session.last_at)
    assert listed_one.messages in {3, None}


def test_sessions_are_listed_by_their_newest_message_page_by_page(store: ChatStore[Sync]) -> None:
    for n in range(12):
        store.append(f"s-{n:02}", "user", "x", timestamp=AT + timedelta(minutes=n))
    store.append("s-03", "user", "late", timestamp=AT + timedelta(hours=1))
    order = ["s-03"] + [f"s-{n:02}" for n in reversed(range(12)) if n != 3]
    for limit in (1, 5, 12, 1_000):
        assert listed(store, limit) == order
    assert listed(store, since=AT + timedelta(minutes=9)) == order[:4]
    assert listed(store, since=AT + timedelta(minutes=9, microseconds=1)) == order[:3]
    assert listed(store, since=AT + timedelta(hours=2)) == []


def test_sessions_of_one_last_instant_are_all_listed_once(sql: ChatStore[Sync]) -> None:
    names = [f"s-{n}" for n in range(9)]
    for name in names:
        sql.append(name, "user", "x", timestamp=AT)
    assert listed(sql, 2) == names[::-1]


def test_a_prefix_is_taken_letter_by_letter(store: ChatStore[Sync]) -> None:
    names = ["a%b", "a_b", "axb", "Axb", "a/b:1", "a/b:10", "華扇:1", "a\\b", "a'b"]
    for name in names:
        store.append(name, "user", "x")
    for prefix in ("a", "A", "a%", "a_", "a/b:1", "華", "華扇:1", "a\\", "a'", "z", "%", "axb!"):
        wanted = sorted(name for name in names if name.startswith(prefix))
        assert sorted(listed(store, prefix=prefix)) == wanted, prefix
    assert sorted(listed(store, prefix="")) == sorted(names)
    assert listed(store, prefix="a", since=now() + timedelta(hours=1)) == []


def test_a_session_may_have_any_name(store: ChatStore[Sync]) -> None:
    for name in ("a/b", "a b", "%2F", "..", "日本語/😀", "x" * 250, "'; DROP TABLE chat_logs"):
        store.append(name, "user", "x", message_id="m")
        store.append(name, "user", "x", message_id="m")
        assert store.session(name).messages == 1
        assert listed(store) == [name]
        assert store.delete_session(name) == 1
        assert listed(store) == []


# -- deleting ----------------------------------------------------------------------------------------


def test_a_deleted_session_is_gone_and_may_begin_again(store: ChatStore[Sync]) -> None:
    store.append_many([said(n, message_id=f"m-{n}", timestamp=AT + n * MICRO) for n in range(40)])
    store.append("another", "user", "stays")
    assert store.delete_session(NAME) == 40
    assert store.delete_session(NAME) == 0
    assert store.history(NAME).items == []
    with pytest.raises(NotFound):
        store.session(NAME)
    assert listed(store) == ["another"]
    assert store.append(**said(7, message_id="m-1", timestamp=AT)).content == "7"
    assert store.session(NAME).messages == 1


def test_messages_from_before_some_days_expire(store: ChatStore[Sync]) -> None:
    present = now()
    for n, days in enumerate((50, 31, 29, 0)):
        store.append("mixed", "user", str(n), timestamp=present - timedelta(days=days))
        store.append(f"of-{days}", "user", "x", message_id="m", timestamp=present - timedelta(days=days))
    steps: list[int] = []
    assert store.expire(30, advance=steps.append) == 4
    assert sum(steps) == 4
    assert contents(store, "mixed") == ["2", "3"]
    assert sorted(listed(store)) == ["mixed", "of-0", "of-29"]
    assert store.session("mixed").first_at == present - timedelta(days=29)
    assert store.expire(30, advance=steps.append) == 0
    assert store.append("of-50", "user", "anew", message_id="m").content == "anew"


def test_more_than_one_transaction_of_old_messages_expires(
    sql: ChatStore[Sync], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.core.pace.MOST", 100)
    monkeypatch.setattr("daicho.chats.sql.SESSIONS_AT_ONCE", 20)
    old = now() - timedelta(days=9)
    sql.append_many([said(n, timestamp=old + n * MICRO) for n in range(105)])
    sql.append_many([said(n, session_id=f"s-{n}", timestamp=old) for n in range(45)])
    sql.append(**said(-1))
    steps: list[int] = []
    assert sql.expire(8, advance=steps.append) == 150
    assert (sum(steps), max(steps) <= 100, len(steps) > 3) == (150, True, True)
    assert listed(sql) == [NAME]
    assert contents(sql) == ["-1"]


# -- putting back ------------------------------------------------------------------------------------


def test_messages_are_restored_exactly_and_what_is_there_stays(store: ChatStore[Sync]) -> None:
    details = {"b": [1, 2.50, 1e2], "a": {"y": True, "x": None}}
    store.append_many([said(n, details=details, author="a", timestamp=AT + n * MICRO) for n in range(6)])
    before = list(told(store))
    assert store.restore(NAME, before) == type(store.restore(NAME, []))(0, 6, [])
    store.delete_session(NAME)
    first = store.restore(NAME, before[:3])
    assert (first.added, first.existing, first.differing) == (3, 0, [])
    for n in range(2):
        again = store.restore(NAME, before[::-1])
        assert (again.added, again.existing, again.differing) == ((3, 3, []) if n == 0 else (0, 6, []))
    assert [message.values() for message in told(store)] == [message.values() for message in before]


def test_messages_that_differ_are_named_and_changed_by_nobody(store: ChatStore[Sync]) -> None:
    store.append_many(
        [said(n, message_id=f"m-{n}", details={"n": 1}, timestamp=AT + n * MICRO) for n in range(7)]
    )
    there = list(told(store))
    others = [
        copied(there[0], content="other"),
        copied(there[1], details='{"n": 2}'),
        copied(there[2], details='{"n": true}'),
        copied(there[3], author="x"),
        copied(there[4], timestamp=AT - MICRO),  # its name is elsewhere
        copied(there[5], message_id="m-x"),
        copied(there[6], details=' {"n":1.0}'),  # the same number
        copied(there[6], timestamp=AT + 7 * MICRO, message_id="m-7"),
    ]
    found = store.restore(NAME, others)
    assert (found.added, found.existing) == (1, 1)
    assert sorted(found.differing) == sorted(message.timestamp for message in others[:6])
    kept = list(told(store))
    assert [message.values() for message in kept[:7]] == [message.values() for message in there]
    assert kept[7].message_id == "m-7"


def test_messages_that_stand_twice_in_what_is_restored_are_restored_once(sql: ChatStore[Sync]) -> None:
    message = copied(message_at(AT), role="", content="")
    found = sql.restore(
        NAME, [message, copied(message), copied(message, content="x"), copied(message, timestamp=AT + MICRO)]
    )
    assert (found.added, found.existing, found.differing) == (1, 1, [AT, AT + MICRO])
    assert (contents(sql), sql.history(NAME).items[0].role) == ([""], "")
    with pytest.raises(Invalid, match=r"the message of 2026-11-21T08:18:22.123456\+00:00: role is 33"):
        sql.restore(NAME, [copied(message, role="x" * 33)])


# -- one transaction ---------------------------------------------------------------------------------


def test_within_begin_everything_is_seen_and_nothing_stays_of_what_fails(ledger: Ledger) -> None:
    ledger.chats.append(**said(0, timestamp=AT))
    with pytest.raises(RuntimeError), ledger.begin() as tx:
        begun = tx.chats.session(NAME)
        assert tx.chats.append(**said(1, timestamp=AT)).timestamp == AT + MICRO
        assert tx.chats.append_many([said(2, timestamp=AT), said(3)]) == Added(2, 0)
        assert contents(tx.chats)[:3] == ["0", "1", "2"]
        assert (begun.messages, tx.chats.session(NAME).messages) == (1, 4)
        assert tx.chats.delete_session(NAME) == 4
        tx.chats.append(**said(9, timestamp=AT))
        assert contents(tx.chats) == ["9"]
        raise RuntimeError
    assert contents(ledger.chats) == ["0"]
    with pytest.raises(Invalid, match="outside of begin"), ledger.begin() as tx:
        tx.chats.expire(1)
