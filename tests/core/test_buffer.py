"""The buffer: nothing is done before it is durable, nothing is lost while the database is away."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from daicho import Ledger, Unavailable, migrations
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
