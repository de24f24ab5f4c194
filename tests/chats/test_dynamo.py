"""Chat logs in DynamoDB: what only DynamoDB has, and what the place may not lose."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daicho import Invalid, Ledger, Settings, Unavailable
from daicho.chats.dynamo import ChatTable
from daicho.chats.dynamo_client import connect
from daicho.chats.dynamo_index import Entry, Index
from daicho.chats.dynamo_items import ITEM_MAX, size_of
from daicho.chats.models import ChatLog
from daicho.chats.places import NewMessage
from daicho.core.types import now

T = datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
SEVEN = ("1763769600.1234567", "1763769600.1234568")


@pytest.fixture
def chats(table: Settings) -> Iterator[Any]:
    """The chat logs of a ledger, in DynamoDB."""
    with Ledger(settings=table) as ledger:
        yield ledger.chats


class Raw:
    """Another program, which writes and reads the tables as it likes."""

    def __init__(self, settings: Settings) -> None:
        self.client = connect(settings.chats.dynamodb)
        self.table = settings.chats.dynamodb.table
        self.index = f"{self.table}-index"

    def put(self, session_id: str, timestamp: str, **others: Any) -> None:
        key = {"session_id": {"S": session_id}, "timestamp": {"N": timestamp}}
        self.client.put_item(TableName=self.table, Item={**key, **others})

    def put_many(self, items: list[dict[str, Any]]) -> None:
        for at in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[at : at + 25]]
            self.client.batch_write_item(RequestItems={self.table: puts})

    def all(self, table: str | None = None) -> list[dict[str, Any]]:
        return self.client.scan(TableName=table or self.table)["Items"]

    def entry(self, key: str) -> dict[str, Any] | None:
        answer = self.client.get_item(TableName=self.index, Key={"key": {"S": key}}, ConsistentRead=True)
        return answer.get("Item")

    def leave_alone(self, session_id: str) -> None:
        """Let two hours pass for a session's entry."""
        self.client.update_item(
            TableName=self.index,
            Key={"key": {"S": f"session#{session_id}"}},
            UpdateExpression="SET touched_at = touched_at - :hours",
            ExpressionAttributeValues={":hours": {"N": "7200"}},
        )


@pytest.fixture
def raw(table: Settings) -> Raw:
    return Raw(table)


def contents(chats: Any, session_id: str, **span: Any) -> list[str]:
    return [message.content for message in chats.history(session_id, **span).items]


# -- as the seed has it ------------------------------------------------------------------------------


def test_an_item_is_what_the_seed_says_and_nothing_is_there_that_was_not_said(chats: Any, raw: Raw) -> None:
    message = chats.append("discord:1:2", "user", "こんにちは", timestamp=T + 5 * MICRO)
    assert raw.all() == [
        {
            "session_id": {"S": "discord:1:2"},
            "timestamp": {"N": "1763712000.000005"},
            "role": {"S": "user"},
            "content": {"S": "こんにちは"},
            "message_id": {"S": message.message_id},
        }
    ]


def test_most_messages_are_one_request(faulty: Any) -> None:
    with Ledger() as ledger:
        ledger.chats.append("s", "user", "first", timestamp=T)
        faulty.seen.clear()
        for at in range(1, 9):
            ledger.chats.append("s", "user", "more", timestamp=T + timedelta(seconds=at))
        assert faulty.seen == ["PutItem"] * 8


def test_a_session_is_known_before_its_first_message_is_there(faulty: Any, table: Settings) -> None:
    faulty.cut_after(1)
    with Ledger() as ledger, pytest.raises(Unavailable):
        ledger.chats.append("s", "user", "x")
    raw = Raw(table)
    assert raw.entry("session#s")
    assert raw.all() == []
    with Ledger(settings=table) as ledger:
        assert ledger.chats.sessions().items == []


# -- 400 KB ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", [T, T + 10 * MICRO, T + 123_456 * MICRO, T.replace(year=9998)])
def test_the_largest_message_is_taken_and_one_byte_more_is_refused_with_its_size(
    chats: Any, raw: Raw, timestamp: datetime
) -> None:
    chats.append("a", "user", "", timestamp=timestamp, message_id="m")
    (small,) = raw.all()
    room = ITEM_MAX - size_of(small)
    chats.append("b", "user", "x" * room, timestamp=timestamp, message_id="m")
    assert len(contents(chats, "b")[0]) == room
    with pytest.raises(Invalid, match="409,601 bytes"):
        chats.append("c", "user", "x" * (room + 1), timestamp=timestamp, message_id="m")
    assert chats.history("c").items == []
    assert raw.entry("message#c#m") is None
    # The server counts as we do, and its own refusal is understood.
    with pytest.raises(raw.client.exceptions.ClientError) as refused:
        raw.client.put_item(
            TableName=raw.table, Item={**small, "session_id": {"S": "c"}, "content": {"S": "x" * (room + 1)}}
        )
    told = ChatTable(Settings().chats).translated(refused.value)
    assert isinstance(told, Invalid)
    assert "400 KB" in str(told)


def test_letters_count_as_many_bytes_as_they_have(chats: Any) -> None:
    with pytest.raises(Invalid, match="420,"):
        chats.append("s", "user", "あ" * 140_000)


# -- one microsecond, one message ----------------------------------------------------------------------

WRITER = """
import sys
from datetime import UTC, datetime
from daicho import Ledger
me, at = sys.argv[1], datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
with Ledger() as ledger:
    ledger.chats.history("s")
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(12):
        ledger.chats.append("s", me, f"{number}", timestamp=at)
        ledger.chats.append("s", "both", f"{me} {number}", timestamp=at, message_id=f"m{number}")
"""


def test_processes_that_write_at_one_instant_lose_nothing_and_repeat_nothing(chats: Any) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
        assert writer.returncode == 0
    messages = chats.history("s", limit=1000).items
    assert len({message.timestamp for message in messages}) == len(messages) == 36
    for name in "ab":
        assert [int(m.content) for m in messages if m.role == name] == list(range(12))
    assert {m.message_id for m in messages if m.role == "both"} == {f"m{number}" for number in range(12)}


def test_a_message_without_a_name_that_is_sent_again_as_exported_was_there(chats: Any) -> None:
    message = chats.append("s", "user", "x", timestamp=T)
    again = {"role": "user", "content": "x", "message_id": message.message_id, "timestamp": T}
    for _ in range(2):
        added = chats.append_many([{"session_id": "s", **again}])
        assert (added.added, added.existing) == (0, 1)
    assert contents(chats, "s") == ["x"]


def test_a_name_that_found_no_place_at_the_end_of_time_is_not_lost(table: Settings) -> None:
    place = ChatTable(table.chats)
    last = datetime.max.replace(tzinfo=UTC)
    with Ledger(settings=table) as ledger:
        taken = ChatLog.whole_row(session_id="s", timestamp=last, role="user", content="x", message_id="a")
        wanted = {**taken, "message_id": "m", "content": "y"}
        first, refused = place.write([NewMessage(taken, named=True), NewMessage(wanted, named=True)])
        assert isinstance(first, ChatLog)
        assert isinstance(refused, Invalid)
        assert "session s has no free microsecond left after 9999-12-31" in str(refused)
        assert "milliseconds" not in str(refused)
        assert ledger.chats.append("s", "user", "y", message_id="m", timestamp=T).timestamp == T
    place.close()


def test_numbers_are_the_same_however_json_writes_them(chats: Any) -> None:
    for details, new in (("[1e23]", 1), ("[100000000000000000000000]", 0), ("[1E+23]", 0)):
        message = {"session_id": "s", "role": "user", "content": "x", "message_id": "m", "timestamp": T}
        restored = chats.restore("s", [ChatLog.of(ChatLog.whole_row(**message, details=details))])
        assert (restored.added, restored.existing, list(restored.differing)) == (new, 1 - new, [])


def test_names_with_the_separator_in_them_are_not_confused(chats: Any) -> None:
    assert chats.append("a#b", "user", "one", message_id="c").content == "one"
    assert chats.append("a", "user", "two", message_id="b#c", timestamp=T).content == "two"
    assert chats.append("a%23b", "user", "three", message_id="c", timestamp=T).content == "three"
    assert chats.append("a", "user", "again", message_id="b#c").timestamp == T


# -- sessions ----------------------------------------------------------------------------------------


def test_a_deleted_session_that_goes_on_is_listed_though_another_process_deleted_it(
    chats: Any, table: Settings
) -> None:
    chats.append("s", "user", "one", timestamp=T)
    with Ledger(settings=table) as other:
        assert other.chats.delete_session("s") == 1
        assert other.chats.sessions().items == []
    chats.append("s", "user", "two", timestamp=T + MICRO)
    assert [session.session_id for session in chats.sessions().items] == ["s"]


def test_the_entry_of_an_empty_session_is_removed_once_nobody_can_be_about_to_write(
    chats: Any, raw: Raw
) -> None:
    chats.append("s", "user", "one", timestamp=T, message_id="m")
    chats.delete_session("s")
    assert raw.entry("message#s#m") is None
    chats.sessions()
    assert raw.entry("session#s")
    raw.leave_alone("s")
    chats.sessions()
    assert raw.entry("session#s") is None


def test_an_entry_that_was_touched_meanwhile_stays(chats: Any, raw: Raw) -> None:
    chats.append("s", "user", "one", timestamp=T)
    raw.leave_alone("s")
    seen = raw.entry("session#s")
    assert seen is not None
    index = Index(raw.client, raw.index, None)
    # Another process says that it has an older message to put, and puts it a little later.
    index.touch("s", int(T.timestamp() - 60) * 1_000_000)
    Index(raw.client, raw.index, None).drop(Entry("s", seen["last_at"]["N"], seen["touched_at"]["N"]))
    assert raw.entry("session#s")


def test_sessions_come_newest_first_page_by_page(chats: Any) -> None:
    for at in range(25):
        chats.append(f"s{at:02}", "user", "x", timestamp=T + timedelta(minutes=at))
        chats.append(f"t{at:02}", "user", "x", timestamp=T + timedelta(minutes=at, seconds=30))
    found: list[str] = []
    cursor = None
    while True:
        page = chats.sessions(limit=7, prefix="s", cursor=cursor)
        found += [session.session_id for session in page.items]
        if (cursor := page.next) is None:
            break
        assert len(page.items) == 7
    assert found == [f"s{at:02}" for at in reversed(range(25))]
    since = chats.sessions(since=T + timedelta(minutes=23, seconds=1)).items
    assert [session.session_id for session in since] == ["t24", "s24", "t23"]


@pytest.mark.parametrize("cursor", ["nonsense", "1_0", "٣", "1e9999", "nan", "", "1" * 60])
def test_a_cursor_that_is_none_is_refused(chats: Any, cursor: str) -> None:
    for read in (lambda: chats.history("s", cursor=cursor), lambda: chats.sessions(cursor=cursor)):
        with pytest.raises(Invalid, match="not a cursor"):
            read()


# -- an end of messages ------------------------------------------------------------------------------


def test_the_name_of_a_message_that_was_removed_for_its_age_can_be_used_again(
    table: Settings, raw: Raw
) -> None:
    with Ledger(settings=Settings(chats={"days": 1})) as ledger:
        old = ledger.chats.append("s", "user", "old", timestamp=now() - timedelta(days=2), message_id="m")
        (there,) = raw.all()
        raw.client.delete_item(
            TableName=raw.table, Key={name: there[name] for name in ("session_id", "timestamp")}
        )
        new = ledger.chats.append("s", "user", "new", message_id="m")
        assert new.timestamp > old.timestamp + timedelta(days=1)
        assert ledger.chats.append("s", "user", "again", message_id="m").content == "new"
        assert contents(ledger.chats, "s") == ["new"]


def test_messages_that_end_say_when_and_are_not_shown_after_that(table: Settings, raw: Raw) -> None:
    settings = Settings(chats={"days": 30})
    with Ledger(settings=settings) as ledger:
        young = ledger.chats.append("s", "user", "young", message_id="m")
        ledger.chats.append("s", "user", "old", timestamp=now() - timedelta(days=31))
        ledger.chats.append("gone", "user", "old", timestamp=now() - timedelta(days=31))
        items = {item["content"]["S"]: item for item in raw.all()}
        ends = int(young.timestamp.timestamp()) + 30 * 86_400
        assert items["young"]["expires_at"] == {"N": str(ends)}
        entry = raw.entry("message#s#m")
        assert entry is not None
        assert entry["expires_at"] == {"N": str(ends)}
        # DynamoDB takes its time, and this server does not do it at all.
        assert contents(ledger.chats, "s") == ["young"]
        session = ledger.chats.session("s")
        assert (session.messages, session.first_at) == (1, young.timestamp)
        assert [one.session_id for one in ledger.chats.sessions().items] == ["s"]
        first = ledger.chats.history("s", limit=1)
        assert first.items == []
        assert first.next
        assert contents(ledger.chats, "s", cursor=first.next) == ["young"]
        assert ledger.chats.expire(30) == 2
        assert len(raw.all()) == 1
