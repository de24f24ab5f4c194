"""Work side by side: it ends soon where nobody waits for it any more, and an error is told of soon."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from daicho import Ledger, Settings, Unavailable
from daicho.chats.dynamo_threads import Stop, Stopped, Threads
from tests.chats.test_dynamo import Raw
from tests.faulty import Faulty

T = datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
LONG = 60.0


def test_an_error_of_one_ends_the_others_and_is_the_one_that_is_raised() -> None:
    def work(number: int, stop: Stop) -> None:
        if number == 2:
            raise KeyError(number)
        stop.sleep(LONG)

    began = time.monotonic()
    with closing(Threads()) as threads, pytest.raises(KeyError, match="2"):
        list(threads.each(work, range(40)))
    assert time.monotonic() - began < LONG / 2


def test_whoever_goes_away_in_the_midst_does_not_wait_for_the_rest() -> None:
    def work(number: int, stop: Stop) -> int:
        if number:
            stop.sleep(LONG)
        return number

    began = time.monotonic()
    with closing(Threads()) as threads:
        with pytest.raises(KeyboardInterrupt), closing(threads.each(work, range(40))) as each:
            for _ in each:
                raise KeyboardInterrupt
        assert list(threads.each(lambda number, _: number, range(40))) == list(range(40))
    assert time.monotonic() - began < LONG / 2


def test_threads_that_are_closed_end_what_is_under_way() -> None:
    threads, under_way = Threads(), threading.Event()

    def work(_: int, stop: Stop) -> None:
        under_way.set()
        stop.sleep(LONG)

    began = time.monotonic()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(lambda: list(threads.each(work, range(3))))
        assert under_way.wait(LONG)
        threads.close()
        with pytest.raises(Stopped):
            waiting.result(LONG)
    with pytest.raises(Stopped):
        list(threads.each(work, range(3)))
    assert time.monotonic() - began < LONG / 2


def test_preparing_ends_soon_where_one_part_of_the_table_fails(table: Settings) -> None:
    raw = Raw(table)
    raw.put_many([{"session_id": {"S": f"s{at}"}, "timestamp": {"N": "1"}} for at in range(200)])
    told: list[int] = []

    def tell(count: int) -> None:
        told.append(count)
        if len(told) == 10:
            raise KeyboardInterrupt

    with Ledger(settings=table) as ledger, pytest.raises(KeyboardInterrupt):
        ledger.chats.prepare(advance=tell)
    assert len(told) < 40


def test_a_ledger_that_is_closed_in_the_midst_says_how_many_messages_were_written(
    faulty: Faulty, table: Settings
) -> None:
    ledger = Ledger()
    closer = threading.Thread(target=ledger.close)

    def close(number: int) -> None:
        if number == 20:
            closer.start()

    faulty.before = close
    sent = [{"session_id": f"s{at % 4}", "role": "user", "content": "x", "timestamp": T} for at in range(400)]
    with pytest.raises(Unavailable, match=r"of 400 messages were written: .* was closed") as stopped:
        ledger.chats.append_many(sent)
    closer.join()
    assert str(stopped.value).startswith(f"{len(Raw(table).all())} of 400")
