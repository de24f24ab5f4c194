"""Seed 001, section 2.2.2: connections, transactions and the pool (test_db_connection.py)."""

import threading
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import pytest
from sqlalchemy.pool import QueuePool

from daicho import Invalid, Ledger, Settings, Unavailable
from daicho.core.sections import Database, Pool
from tests.tasks.conftest import ABOUT


def pooled(url: str, **values: float) -> Ledger:
    return Ledger(url, settings=Settings(database=Database(pool=Pool.model_validate(values))))


def test_the_pool_has_the_seeds_values(url: str) -> None:
    with Ledger(url) as ledger:
        pool = cast("QueuePool", ledger.database.engine.pool)
        assert (pool.size(), pool._max_overflow, pool.timeout(), pool._recycle) == (5, 10, 30, 3600)


def test_the_pools_values_reach_both_engines(url: str, postgres_url: str) -> None:
    wanted = {"size": 2, "max_overflow": 1, "timeout": 0.5, "recycle": 60}
    with pooled(url, **wanted) as ledger:
        pool = cast("QueuePool", ledger.database.engine.pool)
        assert (pool.size(), pool._max_overflow, pool.timeout(), pool._recycle) == (2, 1, 0.5, 60)
    with pooled(postgres_url, **wanted) as ledger:
        waiting = cast("QueuePool", ledger.database.async_engine.sync_engine.pool)
        assert (waiting.size(), waiting._max_overflow, waiting._recycle) == (2, 1, 60)


def test_a_pool_that_is_exhausted_says_so(postgres_url: str) -> None:
    with pooled(postgres_url, size=1, max_overflow=0, timeout=0.2) as ledger:
        uuid = ledger.tasks.create(ABOUT).uuid
        with ledger.begin() as tx:
            tx.tasks.get_by_uuid(uuid)
            with pytest.raises(Unavailable, match=r"every connection is in use; raise database\.pool\.size"):
                ledger.tasks.get_by_uuid(uuid)
        assert ledger.tasks.get_by_uuid(uuid) is not None


def test_a_transaction_is_committed_at_its_end_and_rolled_back_on_an_error(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        kept = tx.tasks.create(ABOUT).uuid
    with pytest.raises(ZeroDivisionError), ledger.begin() as tx:
        tx.tasks.complete(kept)
        lost = tx.tasks.create(ABOUT).uuid
        raise ZeroDivisionError
    task = ledger.tasks.get_by_uuid(kept)
    assert task is not None
    assert task.status == "running"
    assert ledger.tasks.get_by_uuid(lost) is None


def test_every_thread_has_a_session_of_its_own(ledger: Ledger) -> None:
    """What one thread has not committed yet, another does not see."""
    seen: list[object] = []
    with ledger.begin() as tx:
        uuid = tx.tasks.create(ABOUT).uuid
        other = threading.Thread(target=lambda: seen.append(ledger.tasks.get_by_uuid(uuid)))
        other.start()
        other.join()
    assert seen == [None]
    assert ledger.tasks.get_by_uuid(uuid) is not None


def test_an_operation_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    row = {**ABOUT, "status": "running", "created_at": datetime.now(UTC)}
    with pytest.raises(Invalid, match="uuid is missing"):
        ledger.tasks.adopt([{**row, "uuid": str(uuid4())}, row])
    assert len(ledger.tasks.list()) == 0


def test_a_closed_ledger_says_so(url: str) -> None:
    ledger = Ledger(url)
    ledger.tasks.list()
    ledger.close()
    with pytest.raises(Unavailable, match="this ledger is closed"):
        ledger.tasks.list()
