"""A transaction that a caller holds open: all of it or nothing, however it ends."""

import asyncio
import random
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from daicho import AsyncLedger, Conflict, Ledger, NotFound


def test_what_is_written_together_is_seen_together(url: str) -> None:
    with Ledger(url) as ledger, Ledger(url) as other:
        with ledger.begin() as tx:
            tx.calls.start("call-1", "c")
            tx.calls.append_log("call-1", "ai", "x")
            assert len(tx.calls.transcript("call-1")) == 1
            assert len(other.calls.list()) == 0
        assert other.calls.get("call-1").current_state == "init"


def test_an_error_of_one_operation_may_be_caught_and_the_rest_kept(url: str) -> None:
    with Ledger(url) as ledger:
        with ledger.begin() as tx:
            tx.calls.start("call-1", "c")
            with pytest.raises(NotFound):
                tx.calls.append_log("nowhere", "ai", "x")
            tx.calls.complete("call-1")
        assert ledger.calls.get("call-1").ended_at is not None


def test_an_error_that_undid_the_transaction_is_not_passed_over(url: str) -> None:
    """PostgreSQL answers COMMIT with a rollback then, and without a word."""
    undoing = text("ROLLBACK" if url.startswith("sqlite") else "SELECT 1 / 0")
    with Ledger(url) as ledger:
        with pytest.raises(Conflict, match="nothing was saved"), ledger.database.begin() as session:
            session.execute(text("UPDATE rollup_state SET in_bulk = 7"))
            with suppress(DBAPIError):
                session.execute(undoing)
        with ledger.database.begin() as session:
            assert session.scalar(text("SELECT in_bulk FROM rollup_state")) == 0


def test_many_tasks_each_hold_a_transaction(url: str) -> None:
    async def main() -> int:
        async with AsyncLedger(url) as ledger:

            async def one(number: int) -> None:
                async with ledger.begin() as tx:
                    await tx.calls.start(f"call-{number}", "c")
                    await asyncio.sleep(0)
                    await tx.calls.append_log(f"call-{number}", "ai", "x")

            await asyncio.gather(
                *[one(n) for n in range(30)], *[ledger.calls.start(f"x-{n}", "c") for n in range(30)]
            )
            return len((await ledger.calls.list(limit=100)).items)

    assert asyncio.run(main()) == 60


def test_a_cancelled_transaction_leaves_nothing_behind_and_blocks_nobody(url: str) -> None:
    rng = random.Random(4)

    async def main() -> None:
        async with AsyncLedger(url) as ledger:
            await ledger.calls.list()

            async def one(number: int) -> None:
                async with ledger.begin() as tx:
                    await tx.calls.start(f"call-{number}", "c")
                    await asyncio.sleep(rng.uniform(0, 0.003))
                    await tx.calls.append_log(f"call-{number}", "ai", "x")
                    await asyncio.sleep(rng.uniform(0, 0.003))

            for number in range(60):
                task = asyncio.create_task(one(number))
                await asyncio.sleep(rng.uniform(0, 0.008))
                task.cancel()
                await asyncio.wait({task})
            async with asyncio.timeout(8):
                await ledger.calls.start("after", "c")
            for call in (await ledger.calls.list(limit=100)).items:
                lines = (await ledger.calls.transcript(call.call_id)).items
                assert len(lines) == (0 if call.call_id == "after" else 1)

    asyncio.run(main())
