"""What other programs have put into the table: whatever it is, it stops nobody and can be removed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from daicho import Invalid, Ledger, Settings
from daicho.chats.dynamo_tables import messages_table
from tests.chats.test_dynamo import Raw, contents

T = datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
SECONDS = int(T.timestamp())
ENDS = ("9.9999999999999999999999999999999999999E+125", "-9.9999999999999999999999999999999999999E+125")


@pytest.fixture
def raw(table: Settings) -> Raw:
    return Raw(table)


@pytest.mark.parametrize("remove", ["delete_session", "expire"])
def test_messages_of_one_name_and_of_a_name_too_long_are_deleted(
    table: Settings, raw: Raw, remove: str
) -> None:
    for at in range(30):
        raw.put("s", str(SECONDS + at), message_id={"S": "x"})
    raw.put("s", str(SECONDS + 30), message_id={"S": "x" * 3_000})
    with Ledger(settings=table) as ledger:
        ledger.chats.append("s", "user", "ours", message_id="x", timestamp=T.replace(year=2024))
        assert getattr(ledger.chats, remove)("s" if remove == "delete_session" else 1) == 32
    assert raw.all() == []
    assert raw.entry("message#s#x") is None


@pytest.mark.parametrize("timestamp", ["1e50", "-1e50", *ENDS], ids=["far", "long-ago", "last", "first"])
def test_a_timestamp_that_is_no_instant_stops_nobody(table: Settings, raw: Raw, timestamp: str) -> None:
    raw.put("bad", timestamp, content={"S": "x"})
    raw.put("bad", str(SECONDS), content={"S": "good"})
    told: list[int] = []

    def tell(count: int) -> None:
        told.append(count)
        assert len(told) < 10, "prepare does not end"

    with Ledger(settings=table) as ledger:
        ledger.chats.append("good", "user", "x", timestamp=T)
        ledger.chats.prepare(advance=tell)
        assert sum(told) == 2
        listed = {one.session_id: one for one in ledger.chats.sessions().items}
        assert listed["good"].last_at == T
        bad = listed["bad"]
        assert bad.last_at.year == 9999 if not timestamp.startswith("-") else bad.first_at.year == 1
        for read in (ledger.chats.session, ledger.chats.history):
            with pytest.raises(
                Invalid, match=r"session bad: timestamp .*chats\.dynamodb\.unit.*delete_session"
            ):
                read("bad")
        ledger.chats.append("bad", "user", "ours", timestamp=T)
        assert contents(ledger.chats, "bad", after=T.replace(year=2024), before=T.replace(year=2027)) == [
            "good",
            "ours",
        ]
        assert ledger.chats.expire(1) == (4 if timestamp.startswith("-") else 3)
        assert ledger.chats.delete_session("bad") == (0 if timestamp.startswith("-") else 1)
    assert raw.all() == []


@pytest.mark.parametrize("kind", ["text", "missing"])
def test_a_table_of_other_keys_that_was_not_prepared_is_told_of(unmade_table: Settings, kind: str) -> None:
    raw = Raw(unmade_table)
    table: Any = messages_table(raw.table)
    if kind == "text":
        table["AttributeDefinitions"][1]["AttributeType"] = "S"
    else:
        table["KeySchema"].pop()
        table["AttributeDefinitions"].pop()
    raw.client.create_table(**table)
    with Ledger(settings=unmade_table) as ledger:
        for read in (ledger.chats.history, ledger.chats.session, ledger.chats.delete_session):
            with pytest.raises(Invalid, match="daicho chats init"):
                read("s")
