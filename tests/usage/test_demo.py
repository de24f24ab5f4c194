"""The demo's usage: believable, the same for a seed, once, and going on with the demo's conversations."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from daicho import AsyncLedger, Ledger
from daicho.calls import demo as calls_demo
from daicho.members import demo as members_demo
from daicho.tasks import demo as tasks_demo
from daicho.usage import demo
from daicho.usage.schemas import By

pytestmark = pytest.mark.in_turns

Fill = Callable[[Ledger, random.Random, datetime], int]
FILLS: tuple[Fill, ...] = (calls_demo.fill, tasks_demo.fill, members_demo.fill, demo.fill)


def filled(ledger: Ledger, now: datetime, seed: int = 1) -> int:
    """Fill every room as ``daicho demo`` does; return how many records of usage were added."""
    rng = random.Random(seed)
    return [fill(ledger, rng, now) for fill in FILLS][-1]


def test_the_demo_fills_a_ledger_once(url: str) -> None:
    now = datetime.now(UTC)
    with Ledger(url) as ledger:
        assert filled(ledger, now) > 3_000
        assert filled(ledger, now + timedelta(days=1)) == 0
        assert filled(ledger, now, seed=2) > 3_000
        assert not any(one.differ for one in ledger.usage.verify())


def test_the_demo_is_believable(sqlite_url: str) -> None:
    now = datetime.now(UTC)
    with Ledger(sqlite_url) as ledger:
        filled(ledger, now)
        begin = (now - timedelta(days=80)).replace(hour=0, minute=0, second=0, microsecond=0)
        end = begin + timedelta(days=82)

        def told(*by: By) -> dict[str, float | None]:
            rows = ledger.usage.report(since=begin, until=end, by=by).rows
            return {str(getattr(row, demo_column(by[0]))): row.sum.total_cost_usd for row in rows}

        whole = ledger.usage.report(since=begin, until=end, by=[By.DAY])
        names = {tenant.name for tenant in ledger.usage.list_tenants(limit=100)}
        ids = {tenant.id for tenant in ledger.usage.list_tenants(limit=100)}
        assert {"花火グループ", "Northline"} <= names
        assert told(By.TENANT).keys() == ids
        assert told(By.SOURCE).keys() == {"None", "call", "task", "member"}
        models = told(By.MODEL)
        assert (len(models) >= 8, models["kotonoha-7b"], (models["claude-sonnet-4-5"] or 0) > 1) == (
            True,
            None,
            True,
        )
        assert len(whole.rows) >= 55
        assert whole.total.failed_calls
        assert whole.total.total_cache_read_tokens
        assert all(record.created_at <= now for record in ledger.usage.list(limit=50))
        for source in (
            [f"call:{call.call_id}" for call in ledger.calls.list(limit=1000)]
            + [f"task:{task.uuid}" for task in ledger.tasks.list(limit=1000) if task.model]
            + [f"member:{member.name}" for member in ledger.members.list_virtual(limit=1000)]
        ):
            assert ledger.usage.cost_of(source).api_calls, source


def demo_column(by: By) -> str:
    return {By.TENANT: "tenant_id", By.SOURCE: "source_kind"}.get(by, by.value)


def test_the_demo_leaves_what_people_recorded_alone(ledger: Ledger) -> None:
    ledger.calls.start("call-123", "client-001")
    ledger.calls.start("demo-live-1", "client-001")
    filled(ledger, datetime.now(UTC))
    assert not ledger.usage.cost_of("call:call-123").api_calls
    assert not ledger.usage.cost_of("call:demo-live-1").api_calls


def test_a_ledger_whose_old_records_were_dropped_is_filled_with_the_rest(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.usage.prune((now - timedelta(days=10)).replace(hour=0, minute=0, second=0, microsecond=0))
    assert 500 < filled(ledger, now) < 3_000


def test_usage_goes_on_with_the_conversations(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PAUSE_SECONDS", (0.0, 0.02))
    with Ledger(url) as threads:
        threads.calls.append_log("demo-live-1", "ai", "Hello?", client_id="sakura-clinic")

    async def run() -> None:
        async with AsyncLedger(url) as ledger:
            changes = ledger.changes()
            going_on = asyncio.create_task(demo.live(ledger, random.Random(1)))
            while not (await ledger.usage.cost_of("call:demo-live-1")).api_calls:
                await asyncio.wait_for(anext(changes), 20)
            going_on.cancel()
            await asyncio.wait([going_on])
            assert going_on.cancelled()

    asyncio.run(run())
