"""DynamoDB on bad days: nothing is lost, nothing is there twice, and what happened is said."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tenacity import wait_fixed

from daicho import Ledger, Settings, Unavailable
from daicho.chats import dynamo_deleting
from tests.chats.test_dynamo import Raw, contents
from tests.dynalite import Dynalite
from tests.faulty import Faulty

T = datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException")


@pytest.fixture
def chats(faulty: Faulty) -> Iterator[Any]:
    """The chat logs of a ledger that reaches DynamoDB by way of the faulty server."""
    with Ledger() as ledger:
        yield ledger.chats


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that are made from here on do not repeat a request by themselves."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def own() -> Iterator[Dynalite]:
    """A server that a test may end."""
    server = Dynalite()
    yield server
    server.close()


def messages(session_id: str, count: int) -> list[dict[str, object]]:
    return [
        {"session_id": session_id, "role": "user", "content": f"{at}", "timestamp": T + timedelta(seconds=at)}
        for at in range(count)
    ]


@pytest.mark.parametrize("message_id", [None, "m"])
def test_a_message_whose_answer_was_lost_is_there_once(
    chats: Any, faulty: Faulty, message_id: str | None
) -> None:
    chats.append("s", "user", "before", timestamp=T)
    faulty.lose("PutItem")
    sent = chats.append("s", "user", "x", timestamp=T + timedelta(seconds=1), message_id=message_id)
    assert sent.timestamp == T + timedelta(seconds=1)
    assert contents(chats, "s") == ["before", "x"]


def test_one_that_was_moved_on_and_whose_answer_was_lost_is_there_once(chats: Any, faulty: Faulty) -> None:
    chats.append("s", "user", "before", timestamp=T)
    lost = []

    def lose_the_next_put(number: int) -> None:
        if faulty.seen[number] == "Query":  # a free place is looked for
            lost.append(number)
            faulty.lose("PutItem")

    faulty.before = lose_the_next_put
    chats.append("s", "user", "x", timestamp=T)
    assert lost
    faulty.heal()
    assert contents(chats, "s") == ["before", "x"]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("lose_last", [False, True], ids=["before-a-step", "after-a-step"])
@pytest.mark.parametrize("tie", [False, True], ids=["free", "tie"])
def test_a_sender_that_dies_between_any_two_steps_sends_again_and_it_is_there_once(
    table: Settings, faulty: Faulty, *, tie: bool, lose_last: bool
) -> None:
    with Ledger(settings=table) as healthy:
        steps = 0
        while True:
            session = f"s{steps}"
            if tie:
                healthy.chats.append(session, "user", "other", timestamp=T)
            with Ledger() as dying:
                faulty.cut_after(steps, lose_last=lose_last)
                try:
                    dying.chats.append(session, "user", "x", timestamp=T, message_id="m")
                    done = True
                except Unavailable:
                    done = False
            faulty.heal()
            again = healthy.chats.append(session, "user", "x", timestamp=T, message_id="m")
            late = healthy.chats.append(session, "user", "y", message_id="m")
            assert again.values() == late.values()
            assert contents(healthy.chats, session) == (["other", "x"] if tie else ["x"])
            assert [one.session_id for one in healthy.chats.sessions(prefix=session, limit=1000).items]
            if done:
                break
            steps += 1
        assert steps >= (6 if tie else 3)


@pytest.mark.usefixtures("hasty")
def test_a_process_that_dies_while_it_moves_a_message_on_leaves_room_for_others(
    table: Settings, faulty: Faulty
) -> None:
    """The place that it meant to take is taken by another message before it is sent again."""
    with Ledger(settings=table) as healthy:
        for steps in range(1, 8):
            session = f"s{steps}"
            healthy.chats.append(session, "user", "first", timestamp=T)
            with Ledger() as dying:
                faulty.cut_after(steps)
                with suppress(Unavailable):
                    dying.chats.append(session, "user", "x", timestamp=T, message_id="m")
            faulty.heal()
            healthy.chats.append(session, "user", "second", timestamp=T)
            healthy.chats.append(session, "user", "x", timestamp=T, message_id="m")
            healthy.chats.append(session, "user", "x", message_id="m")
            assert Counter(contents(healthy.chats, session)) == Counter(["first", "second", "x"])


@pytest.mark.parametrize("third", [False, True], ids=["two", "and-a-third"])
def test_two_senders_of_one_message_whose_steps_mingle_send_it_once(
    table: Settings, faulty: Faulty, *, third: bool
) -> None:
    """Before each of one's requests in turn the other does all that it has to do."""
    with Ledger(settings=table) as other, Ledger() as one:
        step = 0
        while True:
            session, reached = f"s{step}", []
            other.chats.append(session, "user", "first", timestamp=T)

            def meanwhile(
                number: int, step: int = step, session: str = session, reached: list[int] = reached
            ) -> None:
                if number == step:
                    reached.append(number)
                    if third:
                        other.chats.append(session, "user", "third", timestamp=T)
                    other.chats.append(session, "user", "x", timestamp=T, message_id="m")

            faulty.seen.clear()
            faulty.before = meanwhile
            sent = one.chats.append(session, "user", "x", timestamp=T, message_id="m")
            faulty.heal()
            if not reached:
                break
            assert Counter(contents(other.chats, session)) == Counter(["first", "x", *["third"] * third])
            assert other.chats.append(session, "user", "x", message_id="m").timestamp == sent.timestamp
            step += 1
        assert step >= 6


@pytest.mark.parametrize("code", THROTTLED)
@pytest.mark.parametrize("operation", ["UpdateItem", "PutItem", "Query", "BatchWriteItem"])
def test_what_is_throttled_now_and_then_gets_through(
    chats: Any, faulty: Faulty, code: str, operation: str
) -> None:
    faulty.refuse(operation, code, times=1)
    chats.append("s", "user", "x", message_id="m")
    assert contents(chats, "s") == ["x"]
    assert chats.delete_session("s") == 1
    assert faulty.seen.count("PutItem") == 2 + (operation == "PutItem")


def test_what_is_throttled_for_ever_is_said_and_nothing_is_there(
    chats: Any, faulty: Faulty, table: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    faulty.refuse("PutItem", THROTTLED[0])
    with pytest.raises(Unavailable, match=f"too many requests.*{THROTTLED[0]}"):
        chats.append("s", "user", "x")
    assert Raw(table).all() == []


def test_deletes_that_are_left_over_are_sent_again_until_none_is(
    chats: Any, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo_deleting, "WAIT", wait_fixed(0.01))
    chats.append_many(messages("s", 60))
    faulty.do_some(4, times=14)
    assert chats.delete_session("s") == 60
    assert chats.history("s").items == []


@pytest.mark.usefixtures("hasty")
def test_deletes_that_never_come_through_are_counted_and_can_be_repeated(
    chats: Any, faulty: Faulty, table: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo_deleting, "BUSY_SECONDS", 0.2)
    chats.append_many(messages("s", 60))
    faulty.do_some(0)
    with pytest.raises(Unavailable, match="0 messages are deleted, others of s are left"):
        chats.delete_session("s")
    faulty.heal()
    assert len(contents(chats, "s")) == 60
    faulty.refuse("BatchWriteItem", THROTTLED[1])
    with pytest.raises(Unavailable, match="0 messages are deleted, others of s are left"):
        chats.expire(1)
    faulty.heal()
    assert chats.delete_session("s") == 60
    assert [item["key"] for item in Raw(table).all(f"{table.chats.dynamodb.table}-index")] == [
        {"S": "session#s"}
    ]


@pytest.mark.usefixtures("hasty")
def test_a_long_session_is_deleted_page_by_page_and_what_is_gone_is_counted(
    chats: Any, faulty: Faulty, table: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo_deleting, "BUSY_SECONDS", 0.1)
    raw = Raw(table)
    raw.put_many([{"session_id": {"S": "s"}, "timestamp": {"N": f"{at}"}} for at in range(1_050)])

    def refuse_after_a_few(number: int) -> None:
        if faulty.seen[: number + 1].count("BatchWriteItem") > 7:
            faulty.refuse("BatchWriteItem", THROTTLED[0])

    faulty.before = refuse_after_a_few
    with pytest.raises(Unavailable, match="messages are deleted, others of s are left") as busy:
        chats.delete_session("s")
    faulty.heal()
    left = raw.client.query(
        TableName=raw.table,
        KeyConditionExpression="session_id = :s",
        ExpressionAttributeValues={":s": {"S": "s"}},
        Select="COUNT",
    )["Count"]
    assert 0 < left < 1_050
    assert f"too busy; {1_050 - left:,} messages" in str(busy.value)
    raw.put_many([{"session_id": {"S": "s"}, "timestamp": {"N": f"{at}"}} for at in range(1_050)])
    faulty.seen.clear()
    assert chats.delete_session("s") == 1_050
    done = [operation for operation in faulty.seen if operation in {"Query", "BatchWriteItem"}]
    assert "BatchWriteItem" in done[: done.index("Query", 1)]


@pytest.mark.usefixtures("hasty")
def test_many_messages_of_which_some_were_written_say_how_many(chats: Any, faulty: Faulty) -> None:
    named = [{**message, "message_id": f"m{at}"} for at, message in enumerate(messages("s", 20))]
    faulty.cut_after(1 + 2 * 7)
    with pytest.raises(Unavailable, match="7 of 20 messages were written"):
        chats.append_many(named)
    faulty.heal()
    added = chats.append_many(named)
    assert (added.added, added.existing) == (13, 7)
    assert contents(chats, "s") == [f"{at}" for at in range(20)]


@pytest.mark.parametrize("named", [False, True])
def test_many_messages_of_which_an_answer_was_lost_are_counted_as_new(
    chats: Any, faulty: Faulty, *, named: bool
) -> None:
    faulty.lose("PutItem")
    if named:  # the entry's put is the first, the message's the second
        faulty.lose("PutItem", times=0)

        def lose_the_second(number: int) -> None:
            if number == 1:
                faulty.lose("PutItem")

        faulty.before = lose_the_second
    added = chats.append_many([{**messages("s", 1)[0], "message_id": "m" if named else None}])
    faulty.heal()
    assert (added.added, added.existing) == (1, 0)
    assert contents(chats, "s") == ["0"]


def test_a_server_that_is_gone_is_named_and_what_it_acknowledged_is_there_when_it_is_back(
    own: Dynalite, table: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", own.endpoint)
    with Ledger() as ledger:
        ledger.chats.prepare()
        for at in range(50):
            ledger.chats.append("s", "user", f"{at}", timestamp=T, message_id=f"m{at}")
        own.kill()
        for use in (
            lambda: ledger.chats.append("s", "user", "x"),
            lambda: ledger.chats.history("s"),
            lambda: ledger.chats.delete_session("s"),
            lambda: ledger.chats.prepare(),
        ):
            with pytest.raises(Unavailable, match=f"{own.endpoint}: no answer"):
                use()
        own.start()
        assert contents(ledger.chats, "s") == [f"{at}" for at in range(50)]
        assert ledger.chats.append("s", "user", "again", message_id="m7").content == "7"


def test_one_message_that_fails_does_not_take_others_with_it(chats: Any, faulty: Faulty) -> None:
    chats.append("s", "user", "x", timestamp=T)
    faulty.refuse("PutItem", "InternalServerError", times=4)
    with pytest.raises(Unavailable, match="InternalServerError"):
        chats.append("s", "user", "y", timestamp=T + timedelta(seconds=1))
    faulty.heal()
    chats.append("s", "user", "z", timestamp=T + timedelta(seconds=2))
    assert contents(chats, "s") == ["x", "z"]
