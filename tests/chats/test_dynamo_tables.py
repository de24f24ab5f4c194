"""DynamoDB's tables: made, found, those of other programs among them."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daicho import Invalid, Ledger, Settings
from daicho.chats.dynamo_tables import index_table, messages_table
from daicho.core.types import now
from tests.chats.test_dynamo import Raw, contents
from tests.postgres import free_port

T = datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
SECONDS = int(T.timestamp())


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Another DynamoDB server, which knows TTL."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def foreign(unmade_table: Settings) -> Raw:
    """A table that another program has made, as the seed has it."""
    raw = Raw(unmade_table)
    raw.client.create_table(**messages_table(raw.table))
    raw.client.get_waiter("table_exists").wait(TableName=raw.table, WaiterConfig={"Delay": 1})
    return raw


def number(value: object) -> dict[str, str]:
    return {"N": str(value)}


# -- made --------------------------------------------------------------------------------------------


def test_tables_are_made_once_and_found_after_that(unmade_table: Settings) -> None:
    table = unmade_table.chats.dynamodb.table
    with Ledger(settings=unmade_table) as ledger:
        first = ledger.chats.prepare()
        assert list(first.created) == [table, f"{table}-index"]
        for place in first.place:  # in both languages
            assert table in place
            assert unmade_table.chats.dynamodb.endpoint_url in place
        ledger.chats.append("s", "user", "x")
        assert list(ledger.chats.prepare().created) == []
        assert contents(ledger.chats, "s") == ["x"]
    description = Raw(unmade_table).client.describe_table(TableName=table)["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in description["KeySchema"]] == [
        ("session_id", "HASH"),
        ("timestamp", "RANGE"),
    ]
    assert description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_two_that_prepare_at_once_do_not_disturb_each_other(unmade_table: Settings) -> None:
    def prepare(_: int) -> list[str]:
        with Ledger(settings=unmade_table) as ledger:
            return list(ledger.chats.prepare().created)

    with ThreadPoolExecutor(4) as threads:
        created = [name for names in threads.map(prepare, range(4)) for name in names]
    table = unmade_table.chats.dynamodb.table
    assert sorted(created) == [table, f"{table}-index"]


def test_a_table_with_other_keys_is_refused_with_both(unmade_table: Settings) -> None:
    raw = Raw(unmade_table)
    raw.client.create_table(**index_table(raw.table))
    raw.client.get_waiter("table_exists").wait(TableName=raw.table, WaiterConfig={"Delay": 1})
    with Ledger(settings=unmade_table) as ledger, pytest.raises(Invalid) as refused:
        ledger.chats.prepare()
    assert "key S HASH" in str(refused.value)
    assert "session_id S HASH, timestamp N RANGE" in str(refused.value)
    assert "CHATLOG_TABLE" in str(refused.value)


def test_a_timestamp_of_text_is_refused(unmade_table: Settings) -> None:
    raw = Raw(unmade_table)
    text = {"AttributeName": "timestamp", "AttributeType": "S"}
    wanted = messages_table(raw.table)
    raw.client.create_table(**{**wanted, "AttributeDefinitions": [wanted["AttributeDefinitions"][0], text]})
    with Ledger(settings=unmade_table) as ledger, pytest.raises(Invalid, match="timestamp S RANGE"):
        ledger.chats.prepare()


# -- of other programs -------------------------------------------------------------------------------


def test_a_table_that_another_program_has_filled_gets_its_index(foreign: Raw, unmade_table: Settings) -> None:
    for session in range(40):
        for at in range(3):
            foreign.put(f"s{session:02}", str(SECONDS + 60 * session + at), content={"S": "x"})
    told: list[int] = []
    with Ledger(settings=unmade_table) as ledger:
        prepared = ledger.chats.prepare(advance=told.append)
        assert list(prepared.created) == [foreign.index]
        assert prepared.indexed == sum(told) == 40
        sessions = ledger.chats.sessions(limit=100).items
        assert [one.session_id for one in sessions] == [f"s{at:02}" for at in reversed(range(40))]
        assert sessions[0].first_at == T + timedelta(minutes=39)
        assert sessions[0].last_at == T + timedelta(minutes=39, seconds=2)
        assert ledger.chats.session("s07").messages == 3
        # A second time only what has come since is new.
        foreign.put("later", str(SECONDS), content={"S": "x"})
        again = ledger.chats.prepare()
        assert (list(again.created), again.indexed) == ([], 1)
        assert ledger.chats.expire(1) == 121
        assert foreign.all() == []


def test_items_that_lack_attributes_or_have_others_are_read(foreign: Raw, unmade_table: Settings) -> None:
    foreign.put("s", f"{SECONDS}")
    foreign.put(
        "s",
        f"{SECONDS + 1}",
        role={"N": "7"},
        content={"M": {"text": {"S": "こんにちは"}, "parts": {"L": [number(1), {"BOOL": True}]}}},
        author=number(123456789012345678),
        message_id={"S": "own"},
        picture={"B": b"\x00\xff"},
        words={"SS": ["b", "a"]},
        numbers={"NS": ["2.5", "1"]},
        bytes={"BS": [b"x"]},
        nothing={"NULL": True},
        details={"S": '{"model": "m"}'},
    )
    foreign.put("s", f"{SECONDS + 2}", content={"S": "plain"}, details={"S": "no JSON"}, ttl=number(5))
    foreign.put("s", f"{SECONDS + 3}", content={"S": ""}, expires_at={"S": "never"})
    with Ledger(settings=unmade_table) as ledger:
        ledger.chats.prepare()
        bare, full, plain, never = ledger.chats.history("s").items
        assert (bare.role, bare.content, bare.author, bare.details) == ("", "", None, None)
        assert bare.message_id
        assert bare.message_id == ledger.chats.history("s", limit=1).items[0].message_id
        assert (full.role, full.author, full.message_id) == ("7", "123456789012345678", "own")
        assert full.content == '{"text": "こんにちは", "parts": [1, true]}'
        assert full.details == (
            '{"picture": "AP8=", "words": ["a", "b"], "numbers": [1, 2.5], "bytes": ["eA=="],'
            ' "nothing": null, "model": "m"}'
        )
        assert plain.details == '{"ttl": 5, "details": "no JSON"}'
        assert never.details == '{"expires_at": "never"}'
        assert len({message.message_id for message in (bare, full, plain, never)}) == 4
        assert ledger.chats.delete_session("s") == 4


def test_what_is_finer_than_a_microsecond_is_neither_lost_nor_passed_over(
    foreign: Raw, unmade_table: Settings
) -> None:
    raws = [f"{SECONDS}.123456{digit}" for digit in ("", "001", "5", "7", "9999999999999999")]
    for raw in raws:
        foreign.put("s", raw, content={"S": raw})
    with Ledger(settings=unmade_table) as ledger:
        ledger.chats.prepare()
        for newest_first in (False, True):
            found: list[Any] = []
            cursor = None
            while True:
                page = ledger.chats.history("s", limit=1, newest_first=newest_first, cursor=cursor)
                found += page.items
                if (cursor := page.next) is None:
                    break
            assert [message.content for message in found] == (raws[::-1] if newest_first else raws)
        instant = T + timedelta(microseconds=123_456)
        assert {message.timestamp for message in found} == {instant}
        assert contents(ledger.chats, "s", before=instant) == []
        assert contents(ledger.chats, "s", after=instant) == []
        assert contents(ledger.chats, "s", after=instant - timedelta(microseconds=1)) == raws
        assert contents(ledger.chats, "s", before=instant + timedelta(microseconds=1)) == raws
        assert ledger.chats.delete_session("s") == 5


def test_a_table_of_milliseconds_is_read_and_written_as_such(foreign: Raw, unmade_table: Settings) -> None:
    foreign.put("s", f"{SECONDS * 1000 + 250}", content={"S": "theirs"})
    with Ledger(settings=unmade_table) as wrong, pytest.raises(Invalid, match=r"chats\.dynamodb\.unit"):
        wrong.chats.history("s")
    settings = Settings(chats={"dynamodb": {"unit": "ms"}})
    with Ledger(settings=settings) as ledger:
        ledger.chats.prepare()
        ours = T + timedelta(milliseconds=250, microseconds=1)
        for _ in range(2):
            ledger.chats.append(
                "s", "user", "ours", timestamp=ours - timedelta(microseconds=1), message_id="m"
            )
        theirs, mine = ledger.chats.history("s").items
        assert (theirs.content, theirs.timestamp) == ("theirs", T + timedelta(milliseconds=250))
        assert (mine.content, mine.timestamp) == ("ours", ours)
        assert [one.last_at for one in ledger.chats.sessions().items] == [ours]
    stored = {item["content"]["S"]: Decimal(item["timestamp"]["N"]) for item in foreign.all()}
    assert stored["ours"] == Decimal(f"{SECONDS * 1000}.001") + 250


def test_times_before_1970_are_kept_in_their_order(table: Settings) -> None:
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    times += [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    numbers = ["-62135596800.000000", "-0.000001", "0.000000", "253402300799.999999"]
    raw = Raw(table)
    for timestamp in reversed(numbers):
        raw.put("s", timestamp)
    with Ledger(settings=table) as ledger:
        assert [message.timestamp for message in ledger.chats.history("s").items] == times
        assert [one.timestamp for one in ledger.chats.history("s", after=times[1]).items] == times[2:]
        assert [one.timestamp for one in ledger.chats.history("s", before=times[2]).items] == times[:2]


# -- an end of messages ------------------------------------------------------------------------------


def test_a_server_that_knows_no_ttl_is_told_of(unmade_table: Settings) -> None:
    with Ledger(settings=Settings(chats={"days": 7})) as ledger:
        assert ledger.chats.prepare().expires is None
    with Ledger(settings=unmade_table) as ledger:
        assert ledger.chats.prepare().expires is False


def test_ttl_is_switched_on_where_messages_are_to_end(
    moto: str, unmade_table: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", moto)
    with Ledger(settings=Settings()) as ledger:
        assert ledger.chats.prepare().expires is False
    settings = Settings(chats={"days": 7})
    raw = Raw(settings)
    with Ledger(settings=settings) as ledger:
        for _ in range(2):
            assert ledger.chats.prepare().expires is True
        for name in (raw.table, raw.index):
            ttl = raw.client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            assert ttl["TimeToLiveStatus"] == "ENABLED"
            assert ttl["AttributeName"] == "expires_at"
        # The other server takes all the rest alike.
        begun = now()
        for at in range(5):
            ledger.chats.append("s", "user", f"{at}", timestamp=begun, message_id=f"m{at}")
        assert ledger.chats.append("s", "user", "again", message_id="m3").content == "3"
        raw.client.update_time_to_live(
            TableName=raw.table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"}
        )
        raw.client.update_time_to_live(
            TableName=raw.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        )
        assert ledger.chats.prepare().expires is None
