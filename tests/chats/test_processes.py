"""Several processes write the same sessions at once: nothing is lost, nothing is there twice, all is summed."""

import multiprocessing
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import make_url

from daicho import Ledger
from daicho.chats.models import ChatLog
from daicho.chats.store import ChatStore
from daicho.core.operation import Sync
from tests.chats.test_sums import differing
from tests.guilds.test_queue_processes import deadlocks

AT = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
PROCESSES, THREADS, EACH, SESSIONS = 2, 4, 20, 3
Told = list[tuple[str, datetime, str, str]]


def at_once(work: Callable[[str, int], Any], url: str) -> list[Any]:
    """Call a function in several processes, each with its number."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(PROCESSES, context) as processes:
        started = [processes.submit(work, url, number) for number in range(PROCESSES)]
        return [one.result(100) for one in started]


def facts(message: ChatLog) -> tuple[str, datetime, str, str]:
    return message.session_id, message.timestamp, message.content, message.message_id


def everything(chats: ChatStore[Sync]) -> Told:
    found: Told = []
    for session in chats.sessions(limit=1_000):
        cursor = None
        while True:
            page = chats.history(session.session_id, limit=1_000, cursor=cursor)
            found += [facts(message) for message in page]
            if (cursor := page.next) is None:
                break
    return found


def write_ties(url: str, number: int) -> Told:
    """Threads of one process append at a few instants that all share, one by one and many at once."""
    with Ledger(url) as ledger:
        chats = ledger.chats

        def append(thread: int) -> Told:
            choose = random.Random(number * 100 + thread)
            told = []
            for n in range(EACH):
                session, at = (
                    f"s-{choose.randrange(SESSIONS)}",
                    AT + choose.randrange(4) * timedelta(seconds=1),
                )
                told.append(facts(chats.append(session, "user", f"{number}/{thread}/{n}", timestamp=at)))
                if n % 10 == 0:
                    many = [
                        {"session_id": f"s-{k % SESSIONS}", "role": "ai", "content": "many", "timestamp": at}
                        for k in range(30)
                    ]
                    assert chats.append_many(many).added == 30
            return told

        with ThreadPoolExecutor(THREADS) as threads:
            return [one for told in threads.map(append, range(THREADS)) for one in told]


def test_ties_from_several_processes_are_all_kept_and_nobody_waits_in_a_circle(
    ledger: Ledger, url: str
) -> None:
    acknowledged = [one for told in at_once(write_ties, url) for one in told]
    found = everything(ledger.chats)
    assert len({(session, at) for session, at, _, _ in found}) == len(found)
    assert len(acknowledged) == PROCESSES * THREADS * EACH
    assert len(found) == len(acknowledged) + PROCESSES * THREADS * (EACH // 10) * 30
    assert set(found) >= set(acknowledged)
    for second in range(4):  # no microsecond is left free between those of one instant
        begun = AT + second * timedelta(seconds=1)
        for session in range(SESSIONS):
            times = [
                at for name, at, _, _ in found
                if name == f"s-{session}" and begun <= at < begun + timedelta(seconds=1)
            ]  # fmt: skip
            assert times == [begun + n * timedelta(microseconds=1) for n in range(len(times))]
    assert differing(ledger) == []
    if make_url(url).get_backend_name() == "postgresql":
        assert deadlocks(url) == 0


def write_named(url: str, number: int) -> Told:
    """Threads of one process send the same messages, each in an order of its own."""
    with Ledger(url) as ledger:
        chats = ledger.chats

        def send(thread: int) -> Told:
            order = list(range(EACH))
            random.Random(number * 100 + thread).shuffle(order)
            told = []
            for n in order:
                message = {"session_id": f"s-{n % SESSIONS}", "role": "user", "content": f"{number}"}
                if n % 4 == 0:
                    assert chats.append_many([{**message, "message_id": f"m-{n}"}]).added in {0, 1}
                told.append(facts(chats.append(**message, message_id=f"m-{n}")))
            return sorted(told)

        with ThreadPoolExecutor(THREADS) as threads:
            tellings = list(threads.map(send, range(THREADS)))
        assert all(one == tellings[0] for one in tellings)
        return tellings[0]


def test_messages_sent_by_several_processes_are_there_once(ledger: Ledger, url: str) -> None:
    tellings = at_once(write_named, url)
    assert all(one == tellings[0] for one in tellings)
    assert sorted(everything(ledger.chats)) == tellings[0]
    assert len(tellings[0]) == EACH
    assert differing(ledger) == []


def write_and_delete(url: str, number: int) -> int:
    """A process appends to sessions that the others delete, empty by age, and put back; count what is gone."""
    choose, gone = random.Random(number), 0
    with Ledger(url) as ledger:
        chats = ledger.chats
        for n in range(EACH * 2):
            session = f"s-{choose.randrange(4)}"
            old = {"timestamp": AT.replace(year=2020) + n * timedelta(microseconds=1)}
            chats.append(session, "user", "x", **(old if n % 3 == 0 else {}))
            match choose.randrange(6):
                case 0:
                    gone += chats.delete_session(session)
                case 1:
                    gone += chats.expire(900)
                case 2:
                    page = chats.history(session).items
                    gone += chats.delete_session(session) - chats.restore(session, page).added
                case 3:
                    many = [{"session_id": f"s-{k % 4}", "role": "ai", "content": ""} for k in range(20)]
                    gone -= chats.append_many(many).added
    return gone


def test_sums_hold_while_processes_write_delete_and_expire_at_once(ledger: Ledger, url: str) -> None:
    gone = sum(at_once(write_and_delete, url))
    assert differing(ledger) == []
    assert len(everything(ledger.chats)) == PROCESSES * EACH * 2 - gone
