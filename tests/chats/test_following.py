"""Following a session: every message once, as it comes, wherever it is kept and whoever writes it."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from daicho import AsyncLedger, Ledger
from daicho.chats.following import Follower, Told
from daicho.chats.models import ChatLog
from tests.cli.terminal import COMMAND, surroundings
from tests.faulty import Faulty

AT = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def writer(place_url: str) -> Iterator[Ledger]:
    """A ledger that writes into each of the places."""
    with Ledger(place_url) as ledger:
        yield ledger


class Telling:
    """A follower in a process's own words: what it tells, as texts."""

    def __init__(self, runner: asyncio.Runner, follower: Follower) -> None:
        self._runner, self._follower = runner, follower

    def begin(self, count: int) -> list[str]:
        return [message.content for message in self._runner.run(self._follower.begin(count))]

    def look(self) -> list[str]:
        return [message.content for message in self._runner.run(self._follower.look())]


Follow = Callable[..., Telling]


@pytest.fixture
def follow(place_url: str) -> Iterator[Follow]:
    """Follows the session from another ledger."""
    with asyncio.Runner() as runner:

        async def open_ledger() -> AsyncLedger:
            return AsyncLedger(place_url)

        ledger = runner.run(open_ledger())
        yield lambda after=None: Telling(runner, Follower(ledger.chats, "s", Told(after)))
        runner.run(ledger.close())


def say(ledger: Ledger, content: str, seconds: float) -> None:
    ledger.chats.append("s", "user", content, timestamp=AT + seconds * SECOND)


def fill(ledger: Ledger, count: int, step: timedelta, since: datetime = AT) -> None:
    ledger.chats.append_many(
        {"session_id": "s", "role": "user", "content": str(n), "timestamp": since + n * step}
        for n in range(count)
    )


def test_a_message_of_tomorrow_keeps_none_of_today_from_being_told(writer: Ledger, follow: Follow) -> None:
    writer.chats.append("s", "user", "tomorrow", timestamp=datetime.now(UTC) + timedelta(days=1))
    follower = follow()
    assert follower.begin(10) == ["tomorrow"]
    writer.chats.append("s", "user", "now")
    assert follower.look() == ["now"]
    assert follower.look() == []


def test_a_session_from_the_first_seconds_of_the_calendar_is_followed(writer: Ledger, follow: Follow) -> None:
    """Those of other programs are of any time."""

    def put(content: str, seconds: float) -> None:
        at = datetime.min.replace(tzinfo=UTC) + seconds * SECOND
        values = {"role": "user", "author": None, "message_id": content, "details": None}
        writer.chats.restore(
            "s", [ChatLog.of(values | {"session_id": "s", "content": content, "timestamp": at})]
        )

    put("first", 0)
    follower = follow()
    assert follower.begin(10) == ["first"]
    put("second", 1)
    assert follower.look() == ["second"]


def test_a_late_message_with_an_earlier_time_is_told_once(writer: Ledger, follow: Follow) -> None:
    say(writer, "first", 0)
    say(writer, "third", 2)
    follower = follow()
    assert follower.begin(10) == ["first", "third"]
    assert follower.look() == []
    say(writer, "second", 1)
    say(writer, "fourth", 3)
    assert follower.look() == ["second", "fourth"]
    assert follower.look() == []
    say(writer, "fifth", 60)
    say(writer, "before the fifth", 51)
    assert follower.look() == ["before the fifth", "fifth"]
    say(writer, "after the fourth", 50.5)
    assert follower.look() == ["after the fourth"]
    assert follower.look() == []


def test_the_last_ones_come_first_and_no_earlier_one_later(writer: Ledger, follow: Follow) -> None:
    fill(writer, 30, SECOND)
    for count in (0, 1, 7, 30, 99):
        follower = follow()
        assert follower.begin(count) == [str(n) for n in range(30)][max(30 - count, 0) :]
        assert follower.look() == []


def test_many_at_nearly_one_instant_are_told_once(writer: Ledger, follow: Follow) -> None:
    """More than a page of them within what each look looks at again."""
    many = 1_200 if writer.chats.tells else 520
    fill(writer, many, timedelta(milliseconds=1))
    follower = follow()
    assert follower.begin(3) == [str(n) for n in range(many - 3, many)]
    assert follower.look() == []
    fill(writer, many // 2, timedelta(milliseconds=1), AT + 5 * SECOND)
    assert follower.look() == [str(n) for n in range(many // 2)]
    assert follower.look() == []


def test_no_more_than_the_newest_are_looked_at_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.chats.following.KEPT", 50)
    monkeypatch.setattr("daicho.chats.following.PAGE", 20)

    async def run() -> None:
        async with AsyncLedger(sqlite_url) as ledger:
            many = [
                {"session_id": "s", "role": "user", "content": str(n), "timestamp": AT + n * SECOND / 1_000}
                for n in range(500)
            ]
            await ledger.chats.append_many(many)
            for told in (begun := Told(), anew := Told()):
                follower = Follower(ledger.chats, "s", told)
                if told is begun:
                    assert [one.content for one in await follower.begin(2)] == ["498", "499"]
                else:
                    assert len(await follower.look()) == 500
                assert told.count == 50
                assert told.horizon == AT + 449 * SECOND / 1_000
                assert await follower.look() == []
            await ledger.chats.append("s", "user", "too late", timestamp=AT + SECOND * 0.4485)
            await ledger.chats.append("s", "user", "late", timestamp=AT + SECOND * 0.4495)
            for told in (begun, anew):
                follower = Follower(ledger.chats, "s", told)
                assert [one.content for one in await follower.look()] == ["late"]
                assert await follower.look() == []

    asyncio.run(run())


def test_many_of_tomorrow_keep_none_of_today_from_being_told(
    writer: Ledger, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.chats.following.KEPT", 5)
    fill(writer, 12, SECOND, datetime.now(UTC) + timedelta(days=1))
    began, anew = follow(), follow()
    assert began.begin(1) == ["11"]
    assert len(anew.look()) == 12
    writer.chats.append("s", "user", "now")
    for follower in (began, anew):
        assert follower.look() == ["now"]
        assert follower.look() == []


def test_a_session_that_is_not_there_yet_is_told_from_its_beginning(writer: Ledger, follow: Follow) -> None:
    follower = follow()
    assert follower.begin(10) == []
    assert follower.look() == []
    fill(writer, 3, timedelta(days=1))
    assert follower.look() == ["0", "1", "2"]
    writer.chats.delete_session("s")
    assert follower.look() == []


def test_nothing_up_to_an_instant_is_told(writer: Ledger, follow: Follow) -> None:
    fill(writer, 5, SECOND)
    follower = follow(after=AT + 2 * SECOND)
    assert follower.begin(10) == ["3", "4"]
    say(writer, "before", 1.5)
    say(writer, "late", 2.5)
    assert follower.look() == ["late"]
    other = follow(after=AT + 2 * SECOND)
    assert other.look() == ["late", "3", "4"]


# -- from another process ------------------------------------------------------------------------------


@contextmanager
def tail(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "chats", "tail", *arguments],
        env=surroundings(url, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("place_url", ["sqlite", "postgresql"], indirect=True)
def test_tail_tells_what_another_process_writes(writer: Ledger, place_url: str) -> None:
    fill(writer, 12, SECOND)
    with tail(place_url, "s", "-n", "2") as process:
        assert line(process) == "2026-11-21\n"
        assert line(process) == "08:18:32  user                     10\n"
        assert line(process) == "08:18:33  user                     11\n"
        for number in range(3):
            writer.chats.append("s", "assistant", f"さん {number}", author="bot", timestamp=AT + 20 * SECOND)
            assert line(process) == f"08:18:42  assistant  bot           さん {number}\n"
        say(writer, "late", 19)
        assert line(process).endswith("late\n")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 130


def test_tail_outlives_an_outage_and_says_so_once(faulty: Faulty, sqlite_url: str) -> None:
    with Ledger(sqlite_url) as writer, tail(sqlite_url, "s") as process:
        assert process.stderr is not None
        assert "waiting for its first message" in process.stderr.readline()
        faulty.refuse("Query", "Away")  # as one that is not sent again
        told = process.stderr.readline()
        assert told.endswith("Away: refused; waiting\n")
        seen = len(faulty.seen)
        while len(faulty.seen) == seen:
            pass  # it looks once more, and says nothing of it
        say(writer, "after", 0)
        faulty.heal()
        assert line(process) == "2026-11-21\n"
        assert line(process).endswith("after\n")
        assert process.stderr.readline() == "it answers again; going on\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 130


def test_tail_waits_for_a_session_and_says_so(writer: Ledger, place_url: str) -> None:
    with tail(place_url, "new/セッション", "--json") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == (
            "new/セッション is not there yet; waiting for its first message\n"
        )
        writer.chats.append("other", "user", "not this one")
        writer.chats.append("new/セッション", "user", "もしもし\n2", details={"a": 1}, message_id="m")
        told = json.loads(line(process))
        assert (told["content"], told["details"], told["message_id"]) == ("もしもし\n2", {"a": 1}, "m")
        assert re.fullmatch(r"\d{4}-.*Z", told["timestamp"])


def test_tail_says_what_is_wrong(sqlite_url: str) -> None:
    with tail(sqlite_url, " ") as process:
        assert process.communicate(timeout=30) == ("", "daicho: session_id is empty\n")
        assert process.returncode == 1
