"""The buffer: nothing is done before it is durable, nothing is lost while the database is away."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection

from daicho import AsyncLedger, Ledger, Settings, Unavailable, migrations
from daicho.core import buffer
from daicho.core.buffer import Buffer
from daicho.ledger import open_database
from tests.postgres import Cluster

CALL: dict[str, Any] = {"operation": "o", "model": "m"}


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


def test_what_is_enqueued_outlives_the_end_of_the_server(own_cluster: Cluster) -> None:
    database = open_database(own_cluster.url())
    migrations.run(database, "upgrade", "head")
    database.close()
    with Ledger(own_cluster.url()) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        ledger.usage.enqueue(**CALL, tenant_id=tenant).result(30)
        own_cluster.stop("immediate")
        receipts = [ledger.usage.enqueue(**CALL, tenant_id=tenant) for _ in range(1_500)]
        with pytest.raises(TimeoutError):
            receipts[0].result(2)
        own_cluster.start()
        assert len({receipt.result(60).id for receipt in receipts}) == 1_500
        total = sum(1 for _ in ledger.usage.list(limit=1000))
        assert total == 1_000
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]


def test_a_buffer_closed_while_the_database_is_away_says_what_was_not_written(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffer, "GIVE_UP_SECONDS", 1.0)
    database = open_database(own_cluster.url())
    migrations.run(database, "upgrade", "head")
    database.close()
    with Ledger(own_cluster.url()) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id
        ledger.usage.enqueue(**CALL, tenant_id=tenant).result(30)
        own_cluster.stop("immediate")
        receipts = [ledger.usage.enqueue(**CALL, tenant_id=tenant) for _ in range(3)]
    for receipt in receipts:
        assert receipt.done
        with pytest.raises(Unavailable):
            receipt.result(0)
    assert "3 buffered items were not written" in caplog.text


def test_an_async_ledger_closes_while_many_wait_for_room_and_the_database_is_away(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "GIVE_UP_SECONDS", 1.0)
    database = open_database(own_cluster.url())
    migrations.run(database, "upgrade", "head")
    database.close()
    settings = Settings()
    settings.database.buffer.size = 5

    async def main() -> list[Any]:
        async with AsyncLedger(own_cluster.url(), settings=settings) as ledger:
            tenant = (await ledger.usage.create_tenant("Acme")).id
            await (await ledger.usage.enqueue(**CALL, tenant_id=tenant))
            own_cluster.stop("immediate")
            enqueue = ledger.usage.enqueue
            tasks = [asyncio.ensure_future(enqueue(**CALL, tenant_id=tenant)) for _ in range(60)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait_for(ledger.close(), 45)
            return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(main())
    refused = [one for one in answers if isinstance(one, Unavailable)]
    receipts = [one for one in answers if not isinstance(one, BaseException)]
    assert (len(receipts) + len(refused), 5 <= len(receipts) <= 10) == (60, True)
    for receipt in receipts:
        with pytest.raises(Unavailable):
            receipt.result(0)


class Place:
    """Something to write to that notes what is written together."""

    def __init__(self) -> None:
        self.rounds: list[list[Any]] = []
        self.written = threading.Event()

    def run(self, work: Any) -> Sequence[Any]:
        return list(work(None))

    def write(self, _: Connection, items: Sequence[Any]) -> Sequence[Any]:
        if "bad" in items and len(items) > 1:
            raise ValueError("one of them is bad")
        if items == ["bad"]:
            raise ValueError("bad")
        self.rounds.append(list(items))
        self.written.set()
        return items


def buffer_for(place: Place, **limits: Any) -> Buffer:
    return Buffer(place.run, lambda _: None, "here", **{"size": 100, "batch": 10, "seconds": 60.0, **limits})


def test_a_full_batch_is_written_at_once() -> None:
    place = Place()
    with_room = buffer_for(place)
    receipts = [with_room.put("room", place.write, n, None) for n in range(10)]
    assert receipts[-1].result(10) == 9
    assert place.rounds == [list(range(10))]
    with_room.close()


def test_a_lone_item_is_written_when_its_time_is_up() -> None:
    place = Place()
    short = buffer_for(place, seconds=0.05)
    assert short.put("room", place.write, "alone", None).result(10) == "alone"
    short.close()


def test_one_bad_item_fails_alone() -> None:
    place = Place()
    some = buffer_for(place, batch=3)
    receipts = [some.put("room", place.write, item, None) for item in ("a", "bad", "b")]
    assert (receipts[0].result(10), receipts[2].result(10)) == ("a", "b")
    with pytest.raises(ValueError, match="bad"):
        receipts[1].result(10)
    some.close()
    some.close()  # a second time does nothing


class Held(Place):
    """A place that writes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, work: Any) -> Sequence[Any]:
        self.begun.set()
        assert self.go.wait(30)
        return super().run(work)


def test_who_waits_no_longer_changes_nothing_for_the_item() -> None:
    place = Held()
    some = buffer_for(place, batch=1)
    receipt = some.put("room", place.write, "a", None)

    async def impatient() -> None:
        for _ in range(2):
            with suppress(TimeoutError):
                await asyncio.wait_for(receipt, 0.01)
            task = asyncio.ensure_future(asyncio.wait_for(receipt, 60))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not receipt.done

    asyncio.run(impatient())  # its loop is gone before there is an answer
    place.go.set()
    assert receipt.result(10) == "a"
    assert some.put("room", place.write, "b", None).result(10) == "b"

    async def twice() -> list[Any]:
        return [await receipt, *await asyncio.gather(receipt, receipt)]

    assert asyncio.run(twice()) == ["a", "a", "a"]
    receipt.answer("another")
    receipt.answer(ValueError())
    assert receipt.result(0) == "a"
    some.close()


@pytest.mark.parametrize("error", [SystemExit, KeyError, MemoryError])
def test_whatever_a_write_raises_those_after_it_are_written(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    place = Place()
    some = buffer_for(place, batch=1)

    def fail(_: Connection, __: Sequence[Any]) -> Sequence[Any]:
        raise error

    def forget(_: Connection, __: Sequence[Any]) -> Sequence[Any]:
        return []

    for write, raised in ((fail, error), (forget, ValueError)):
        with pytest.raises(raised):
            some.put("room", write, "a", None).result(10)
    assert some.put("room", place.write, "b", None).result(10) == "b"
    some.close()


def test_what_is_durable_is_answered_so_whoever_could_not_be_told() -> None:
    place = Place()

    def deaf(_: frozenset[str]) -> None:
        raise RuntimeError

    some = Buffer(place.run, deaf, "here", size=10, batch=2, seconds=60)
    receipts = [some.put("room", place.write, item, None) for item in "ab"]
    assert [one.result(10) for one in receipts] == ["a", "b"]
    assert place.rounds == [["a", "b"]]
    some.close()


def test_tasks_wait_for_room_in_their_order_and_without_threads() -> None:
    place = Held()
    some = buffer_for(place, size=3, batch=1)

    async def main() -> list[Any]:
        put = [
            asyncio.ensure_future(some.put_async("room", place.write, number, None)) for number in range(200)
        ]
        await asyncio.to_thread(place.begun.wait, 10)
        await asyncio.sleep(0.05)
        assert sum(one.done() for one in put) <= 4
        assert not [one for one in threading.enumerate() if one.name.startswith("asyncio_1")]
        put[100].cancel()
        await asyncio.sleep(0)
        place.go.set()
        receipts = [await one for number, one in enumerate(put) if number != 100]
        return [await receipt for receipt in receipts]

    wanted = [number for number in range(200) if number != 100]
    assert asyncio.run(main()) == wanted
    assert [number for one in place.rounds for number in one] == wanted
    some.close()


def test_a_closed_buffer_takes_nothing() -> None:
    place = Place()
    closed = buffer_for(place)
    closed.close()
    with pytest.raises(Unavailable, match="closed"):
        closed.put("room", place.write, "a", None)
    with pytest.raises(Unavailable, match="closed"):
        asyncio.run(closed.put_async("room", place.write, "a", None))
