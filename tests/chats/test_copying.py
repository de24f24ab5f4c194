"""Chat logs from the database into DynamoDB and back: everything, exactly, and proven."""

import json
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from daicho import Ledger, Settings
from daicho.chats.comparing import Checksum, canonical, differing, side_by_side
from daicho.chats.copying import Copier, Watch
from daicho.chats.copying_session import Outcome
from daicho.chats.models import ChatLog
from daicho.chats.store import ChatStore
from daicho.core.operation import Sync
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings
from tests.faulty import Faulty

AT = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
TO_DYNAMODB = ("chats", "copy", "--from", "sql", "--to", "dynamodb")
TO_SQL = ("chats", "copy", "--from", "dynamodb", "--to", "sql")
COUNTS = (
    *("sessions", "complete", "only_in_target", "messages", "copied", "existing"),
    *("differing", "refused", "missing", "extra", "later"),
)
NOTHING = dict.fromkeys(COUNTS, 0)


@pytest.fixture
def ledger(table: Settings) -> Iterator[Ledger]:
    """A ledger with an empty database and an empty table of DynamoDB."""
    with Ledger(settings=table) as ledger:
        yield ledger


@pytest.fixture
def here(table: Settings, sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(sqlite_url, capsys)


@contextmanager
def places(ledger: Ledger) -> Iterator[tuple[ChatStore[Sync], ChatStore[Sync]]]:
    yield ledger.chats.kept_in("sql"), ledger.chats.kept_in("dynamodb")


def message(at: datetime = AT, **fields: Any) -> ChatLog:
    values = {
        "session_id": "s",
        "role": "user",
        "content": "x",
        "author": None,
        "message_id": "m",
        "details": None,
    }
    return ChatLog.of(values | {"timestamp": at} | fields)


def fill(chats: ChatStore[Sync], sessions: int = 3, seed: int = 1) -> int:
    """Add sessions of 0 to 40 messages with everything that a message can have; return how many."""
    rng = random.Random(seed)
    count = 0
    for number in range(sessions):
        for _ in range(rng.randrange(1, 40)):
            count += 1
            chats.append(
                f"セッション/{number}",
                rng.choice(["user", "assistant", "tool"]),
                rng.choice(["", "こんにちは", "a\nb\t\u2028\U0001f600", "x" * 3000]),
                author=rng.choice([None, "hanako", ""]),
                details=rng.choice(
                    [None, {"b": 1.5, "a": [1, None, "ü"]}, "text", "[1.0]", 7, "0012", 1e300]
                ),
                timestamp=AT + timedelta(microseconds=rng.randrange(40)),
            )
    return count


def result(here: Here, *arguments: str, code: int = 0) -> dict[str, int]:
    found: dict[str, int] = json.loads(here(*arguments, "--json", code=code))
    return found


def everything(chats: ChatStore[Sync]) -> dict[str, list[str]]:
    names = [one.session_id for one in chats.sessions(limit=1000)]
    return {name: [canonical(one) for one in chats.history(name, limit=1000)] for name in names}


# -- there and back ------------------------------------------------------------------------------------


def test_all_goes_into_dynamodb_and_from_there_into_another_database(
    here: Here, ledger: Ledger, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with places(ledger) as (sql, dynamo):
        count = fill(sql)
        before = everything(sql)
        done = NOTHING | {"sessions": 3, "complete": 3, "messages": count}
        assert result(here, *TO_DYNAMODB) == done | {"copied": count}
        assert here.said == ""
        assert everything(dynamo) == before == everything(sql)
        assert result(here, *TO_DYNAMODB) == done | {"existing": count}
        assert result(here, *TO_DYNAMODB, "--verify") == done | {"existing": count}
    there = Here(postgres_url, capsys)
    assert result(there, *TO_SQL) == done | {"copied": count}
    assert result(there, *TO_SQL) == done | {"existing": count}
    with Ledger(postgres_url) as other:
        assert everything(other.chats.kept_in("sql")) == before


def test_the_numbers_are_shown(here: Here, ledger: Ledger) -> None:
    with places(ledger) as (sql, _):
        sql.append("s", "user", "a")
    shown = here(*TO_DYNAMODB).splitlines()
    assert [line.rsplit(maxsplit=1) for line in shown] == [
        *(
            ["sessions", "1"],
            ["of these complete", "1"],
            ["messages", "1"],
            ["copied", "1"],
            ["there already", "0"],
        ),
        *(["differing", "0"], ["refused", "0"], ["missing", "0"], ["only in target", "0"]),
    ]


def test_ties_and_long_sessions_keep_their_order(
    here: Here, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.core.options.LIMIT_MAX", 50)  # several pages
    with places(ledger) as (sql, dynamo):
        sql.append_many(
            {"session_id": "s", "role": "user", "content": str(n), "timestamp": AT} for n in range(120)
        )
        assert result(here, *TO_DYNAMODB)["copied"] == 120
        said = [(one.content, one.timestamp) for one in dynamo.history("s", limit=1000)]
        assert said == [(str(n), AT + timedelta(microseconds=n)) for n in range(120)]


def test_nothing_is_nothing(here: Here, ledger: Ledger) -> None:
    assert result(here, *TO_DYNAMODB) == NOTHING
    assert result(here, *TO_SQL, "--verify") == NOTHING


def test_only_some_sessions_go(here: Here, ledger: Ledger) -> None:
    with places(ledger) as (sql, dynamo):
        for name in ("a:1", "a:2", "b:1", "b:2"):
            sql.append(name, "user", name)
        assert result(here, *TO_DYNAMODB, "--prefix", "a:")["sessions"] == 2
        assert result(here, *TO_DYNAMODB, "--session", "b:2", "--session", "b:2")["sessions"] == 1
        assert {one.session_id for one in dynamo.sessions()} == {"a:1", "a:2", "b:2"}
        here(*TO_DYNAMODB, "--session", "b:1", "--session", "gone", code=1)
        assert one_line(here.said) == "no such chat session: gone"
        assert len(dynamo.sessions()) == 3


def test_the_target_is_made_if_it_is_not_there(
    unmade_table: Settings, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Here(sqlite_url, capsys)
    here(*TO_DYNAMODB, "--verify", code=1)
    assert "daicho chats init" in one_line(here.said)
    assert result(here, *TO_DYNAMODB) == NOTHING
    assert result(here, *TO_DYNAMODB, "--verify") == NOTHING


# -- stopped and run again -----------------------------------------------------------------------------


def test_a_copy_that_was_killed_is_finished_by_the_next(
    here: Here, ledger: Ledger, faulty: Faulty, sqlite_url: str
) -> None:
    with places(ledger) as (sql, dynamo):
        for number in range(6):
            sql.append_many(
                {
                    "session_id": f"s{number:02}",
                    "role": "user",
                    "content": f"{number} {n}",
                    "timestamp": AT + timedelta(seconds=n),
                }
                for n in range(40)
            )
        before = everything(sql)
        process = subprocess.Popen([*COMMAND, *TO_DYNAMODB], env=surroundings(sqlite_url))

        def kill_after_some(_: int) -> None:
            if faulty.seen.count("PutItem") > 100:
                process.kill()

        faulty.before = kill_after_some
        assert process.wait(60) == -signal.SIGKILL
        faulty.heal()
        there = sum(len(messages) for messages in everything(dynamo).values())
        assert 0 < there < 240
        done = result(here, *TO_DYNAMODB)
        assert (done["complete"], done["messages"]) == (6, 240)
        assert (done["copied"], done["existing"]) == (240 - there, there)
        assert everything(dynamo) == before == everything(sql)


def test_ctrl_c_ends_it_at_once(ledger: Ledger, sqlite_url: str) -> None:
    with places(ledger) as (sql, dynamo):
        sql.append_many({"session_id": "s", "role": "user", "content": str(n)} for n in range(800))
        process = subprocess.Popen(
            [*COMMAND, *TO_DYNAMODB], env=surroundings(sqlite_url), stderr=subprocess.PIPE, text=True
        )
        while not dynamo.history("s", limit=1).items and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (130, "")
        assert len(dynamo.history("s", limit=1000)) > 0


def test_messages_that_come_meanwhile_are_no_error(ledger: Ledger) -> None:
    """Later ones, and one that is said before those that were copied already."""
    with places(ledger) as (sql, dynamo):
        for number in range(3):
            sql.append("s", "user", f"first {number}", timestamp=AT + timedelta(seconds=number))
        dynamo.append("s", "user", "first 1", message_id="other", timestamp=AT + timedelta(minutes=9))
        done: list[Outcome] = []
        came = iter([AT + timedelta(seconds=1, microseconds=1), AT + timedelta(days=1)])

        def read(_: int) -> None:
            for at in came:
                sql.append("s", "user", "meanwhile", timestamp=at)

        Copier(sql, dynamo, Watch(lambda _: None, read, done.append)).run()
        (one,) = done
        assert (one.troubles, one.messages, one.copied, one.later) == ([], 3, 3, 1)
        Copier(sql, dynamo, Watch(lambda _: None, lambda _: None, done.append)).run()
        # The one that only the target has is now before the source's last.
        assert [(str(one.kind), one.at) for one in done[1].troubles] == [("extra", AT + timedelta(minutes=9))]
        assert (done[1].messages, done[1].copied, done[1].existing) == (5, 2, 3)


def test_sessions_that_come_meanwhile_are_found(ledger: Ledger) -> None:
    with places(ledger) as (sql, dynamo):
        for name in "abc":
            sql.append(name, "user", "x")
        lots: list[list[str]] = []

        def found(sessions: Any) -> None:
            if not lots:
                sql.append("d", "user", "x")
            lots.append([one.session_id for one in sessions])

        names = Copier(sql, dynamo, Watch(found, lambda _: None, lambda _: None)).run()
        assert lots == [["a", "b", "c"], ["d"]]
        assert names == set("abcd")
        assert dynamo.history("d").items


# -- what is not alike ---------------------------------------------------------------------------------


def spoil_content(sql: ChatStore[Sync], dynamo: ChatStore[Sync]) -> None:
    dynamo.restore("s", [message(message_id="m-0", content="another")])


def spoil_details(sql: ChatStore[Sync], dynamo: ChatStore[Sync]) -> None:
    dynamo.restore("s", [message(message_id="m-0", content="0", details='{"a": 1.01}')])


def spoil_name(sql: ChatStore[Sync], dynamo: ChatStore[Sync]) -> None:
    dynamo.append("s", "user", "0", message_id="m-0", timestamp=AT - timedelta(days=1))


def only_there(sql: ChatStore[Sync], dynamo: ChatStore[Sync]) -> None:
    dynamo.append("s", "user", "0", timestamp=AT + timedelta(milliseconds=1))


SPOILT: dict[str, tuple[Callable[..., None], dict[str, int], list[str]]] = {
    "another text": (
        spoil_content,
        {"differing": 1, "copied": 4},
        ["s 2026-11-21T08:18:22.000000Z: content, details differ"],
    ),
    "another number": (
        spoil_details,
        {"differing": 1, "copied": 4},
        ["s 2026-11-21T08:18:22.000000Z: details differs"],
    ),
    "the name elsewhere": (
        spoil_name,
        {"missing": 1, "copied": 4, "extra": 1},
        [
            "s 2026-11-20T08:18:22.000000Z: only in the target",
            "s 2026-11-21T08:18:22.000000Z: not in the target,"
            " which has another message of its instant or its message_id",
        ],
    ),
    "one more": (
        only_there,
        {"extra": 1, "copied": 5},
        ["s 2026-11-21T08:18:22.001000Z: only in the target"],
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_differs_is_told_and_stays_as_it_is(
    here: Here, ledger: Ledger, spoilt: str, tmp_path: Path
) -> None:
    spoil, numbers, said = SPOILT[spoilt]
    with places(ledger) as (sql, dynamo):
        for number in range(5):
            sql.append(
                *("s", "user", str(number)),
                message_id=f"m-{number}",
                details={"a": 1.0},
                timestamp=AT + timedelta(seconds=number),
            )
        sql.append("t", "user", "alike")
        spoil(sql, dynamo)
        before = everything(sql)
        code = int(numbers.keys() != {"extra", "copied"})  # what only the target has is told, and no fault
        found = result(here, *TO_DYNAMODB, "--errors", str(tmp_path / "errors"), code=code)
        assert here.said.splitlines() == said
        assert (tmp_path / "errors").read_text().splitlines() == said
        expected = NOTHING | {"sessions": 2, "complete": 2 - code, "messages": 6} | numbers
        assert found == expected | {"copied": numbers["copied"] + 1}
        assert everything(sql) == before
        again = result(here, *TO_DYNAMODB, "--verify", code=code)
        there = found["copied"] + found["existing"]
        assert again == found | {"copied": 0, "existing": there}
        assert [line.split(":")[0] for line in here.said.splitlines()] == [
            line.split(":")[0] for line in said
        ]
        assert here(*TO_DYNAMODB, code=code).count("\n") == 9


def test_verify_changes_nothing(here: Here, ledger: Ledger) -> None:
    with places(ledger) as (sql, dynamo):
        sql.append("s", "user", "x", message_id="m", timestamp=AT)
        found = result(here, *TO_DYNAMODB, "--verify", code=1)
        assert found == NOTHING | {"sessions": 1, "messages": 1, "missing": 1}
        assert here.said == "s 2026-11-21T08:18:22.000000Z: not in the target\n"
        assert dynamo.sessions().items == []


def test_what_is_only_in_the_target_is_said(here: Here, ledger: Ledger) -> None:
    with places(ledger) as (sql, dynamo):
        for chats in (sql, dynamo):
            chats.append("s", "user", "x", message_id="m", timestamp=AT)
        dynamo.append("s", "user", "later")
        dynamo.append("other", "user", "x")
        found = result(here, *TO_DYNAMODB)
        assert (found["later"], found["only_in_target"], found["complete"]) == (1, 1, 1)
        assert here.said.splitlines() == [
            "1 session is only in dynamodb",
            "1 message only in dynamodb came after the source's last ones",
        ]


def test_what_dynamodb_cannot_hold_is_told_by_name(here: Here, ledger: Ledger) -> None:
    with places(ledger) as (sql, dynamo):
        for number in range(50):
            long = "あ" * 140_000 if number in {7, 31} else "x"
            sql.append("s", "user", long, timestamp=AT + timedelta(seconds=number))
        found = result(here, *TO_DYNAMODB, code=1)
        assert found == NOTHING | {"sessions": 1, "messages": 50, "copied": 48, "refused": 2}
        assert [line.split(": ")[0] for line in here.said.splitlines()] == [
            f"s 2026-11-21T08:18:{22 + 7}.000000Z",
            "s 2026-11-21T08:18:53.000000Z",
        ]
        assert here.said.count("400 KB") == 2
        assert len(dynamo.history("s")) == 48
        assert result(here, *TO_DYNAMODB, code=1) == found | {"copied": 0, "existing": 48}


def test_what_another_program_has_put_into_the_table_comes_too(
    here: Here, ledger: Ledger, table: Settings
) -> None:
    import boto3

    settings = table.chats.dynamodb
    assert settings.secret_access_key is not None
    client = boto3.client(
        "dynamodb",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key.get_secret_value(),
    )
    for number in ("1763713102.5", "1763713103", "1763713104.123456789"):
        item = {"session_id": {"S": "bot"}, "timestamp": {"N": number}, "mood": {"S": number}}
        client.put_item(TableName=settings.table, Item=item)
    client.put_item(
        TableName=settings.table, Item=item | {"session_id": {"S": "long"}, "role": {"S": "r" * 40}}
    )
    client.put_item(TableName=settings.table, Item=item | {"session_id": {"S": "n" * 256}})
    client.put_item(
        TableName=settings.table, Item=item | {"session_id": {"S": "nul"}, "content": {"S": "a\0"}}
    )
    for number in ("1763713105.0000001", "1763713105.0000002"):  # one microsecond, in the database
        client.put_item(
            TableName=settings.table, Item=item | {"session_id": {"S": "tie"}, "timestamp": {"N": number}}
        )
    here("chats", "init")
    found = result(here, *TO_SQL, code=1)
    assert (found["copied"], found["complete"], found["differing"], found["missing"]) == (4, 1, 0, 1)
    *said, tie = sorted(here.said.splitlines())
    assert len(said) == found["refused"] == 3
    assert any("session_id is 256 characters long" in line for line in said)
    assert any("role is 40 characters long" in line for line in said)
    assert any("content has a NUL byte" in line for line in said)
    assert tie == (
        "tie 2025-11-21T08:18:25.000000Z: not in the target,"
        " which has another message of its instant or its message_id"
    )
    result(here, *TO_SQL, "--verify", code=1)
    assert tie in here.said.splitlines()
    with places(ledger) as (sql, dynamo):
        bot = [canonical(one) for one in dynamo.history("bot")]
        copied = everything(sql)
        assert len(copied.pop("tie")) == 1
        assert copied == {"bot": bot}
        assert len(bot) == 3


def test_messages_past_their_days_stay(here: Here, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    with places(ledger) as (sql, _):
        for days in (1, 29, 31):
            sql.append("s", "user", str(days), timestamp=now - timedelta(days=days))
        sql.append("old", "user", "x", timestamp=now - timedelta(days=31))
        monkeypatch.setenv("CHATLOG_DAYS", "30")
        for kind in ("copied", "existing"):
            found = result(here, *TO_DYNAMODB)
            assert found == NOTHING | {"sessions": 1, "complete": 1, "messages": 2, kind: 2}
            assert here.said == "messages older than 30 days (CHATLOG_DAYS) stay where they are\n"
        assert result(here, *TO_SQL)["existing"] == 2


def test_a_place_that_is_away_ends_it_in_a_line(ledger: Ledger, sqlite_url: str) -> None:
    with places(ledger) as (sql, _):
        sql.append("s", "user", "x")
    done = daicho(*TO_DYNAMODB, url=sqlite_url, AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "127.0.0.1:9" in one_line(done.stderr)


# -- what counts as alike ------------------------------------------------------------------------------

ALIKE = [
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
    ("[1, 1.0, 100, 0]", "[1.0, 1, 1e2, -0.0]"),
    ('["\\u3042"]', '["あ"]'),
    ("[1e23]", "[100000000000000000000000]"),
    ("text", '"text"'),
]
UNLIKE = [
    ("[1]", "[true]"),
    ("[1]", '["1"]'),
    ("[0]", "[false]"),
    ("[null]", "[0]"),
    ("[]", "{}"),
    (None, "{}"),
    ("", None),
    ("[0.1]", "[0.10000000000000002]"),
    ("[123456789012345678901234567890]", "[123456789012345678901234567891]"),
    ('{"a": {"number": "1"}}', '{"a": 1}'),
    ('{"object": []}', '[["object", []]]'),
    ("[1, [2]]", "[[1, 2]]"),
]


def test_details_are_compared_as_json() -> None:
    for one, other in ALIKE:
        assert canonical(message(details=one)) == canonical(message(details=other))
        assert differing(message(details=one), message(details=other)) == []
    for left, right in UNLIKE:
        assert canonical(message(details=left)) != canonical(message(details=right)), left
        assert differing(message(details=left), message(details=right)) == ["details"]


def test_every_field_counts() -> None:
    base = canonical(message())
    for change in (
        {"role": "tool"},
        {"content": "y"},
        {"author": ""},
        {"message_id": "n"},
        {"details": "{}"},
        {"at": AT + timedelta(microseconds=1)},
    ):
        assert canonical(message(**change)) != base
    assert canonical(message(AT.astimezone(timezone(timedelta(hours=9))))) == base


def test_a_checksum_is_of_the_messages_and_their_order() -> None:
    def summed(*contents: str) -> Checksum:
        total = Checksum()
        total.add(message(content=content) for content in contents)
        return total

    assert summed("a", "b").same(summed("a", "b"))
    assert not summed("a", "b").same(summed("b", "a"))
    assert not summed("a").same(summed("a", "a"))
    assert not summed("ab").same(summed("a", "b"))
    assert (summed().count, summed().last, summed("a", "b").count) == (0, None, 2)


def test_two_places_are_paired_by_time() -> None:
    def at(*seconds: int) -> Iterator[ChatLog]:
        return iter([message(AT + timedelta(seconds=number)) for number in seconds])

    pairs = [
        tuple(one and (one.timestamp - AT).seconds for one in pair)
        for pair in side_by_side(at(0, 1, 3, 5), at(1, 2, 3, 6, 7))
    ]
    assert pairs == [(0, None), (1, 1), (None, 2), (3, 3), (5, None), (None, 6), (None, 7)]
