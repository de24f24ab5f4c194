"""The demo's conversations: believable, the same for a seed, once, everywhere, costly, and going on."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from daicho import AsyncLedger, Ledger
from daicho.chats import demo
from daicho.chats.models import ChatSession
from daicho.usage import demo as usage_demo

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def sessions(ledger: Ledger) -> list[ChatSession]:
    return ledger.chats.sessions(limit=1000).items


@pytest.fixture
def ledger(sqlite_url: str) -> Iterator[Ledger]:
    """A ledger whose chat logs are in SQLite: what is said does not depend on the place."""
    with Ledger(sqlite_url) as ledger:
        yield ledger


def test_the_same_seed_makes_the_same_conversations_once(ledger: Ledger) -> None:
    assert demo.fill(ledger, random.Random(7), NOW) > 250
    before = {session.session_id for session in sessions(ledger)}
    assert demo.fill(ledger, random.Random(7), NOW + timedelta(days=3)) == 0
    assert demo.fill(ledger, random.Random(8), NOW) > 250  # names are one's own
    assert len(before) == len({session.session_id for session in sessions(ledger)} - before)


def test_dynamodbs_tables_are_created_first(unmade_table: object) -> None:
    with Ledger() as ledger:
        assert demo.fill(ledger, random.Random(1), NOW) > 250
        assert demo.fill(ledger, random.Random(1), NOW + timedelta(days=3)) == 0


def test_the_demo_is_believable(ledger: Ledger) -> None:
    added = demo.fill(ledger, random.Random(1), NOW)
    found = sessions(ledger)
    assert 30 <= len(found) <= 40
    kinds = Counter(session.session_id.partition(":")[0] for session in found)
    assert kinds.keys() == {"discord", "support", "assistant"}
    assert min(kinds.values()) >= 6
    said = {one.session_id: ledger.chats.history(one.session_id, limit=1000).items for one in found}
    assert sum(map(len, said.values())) == added
    everything = [message for messages in said.values() for message in messages]
    assert {message.role for message in everything} == {"user", "assistant", "system", "tool"}
    for message in everything:
        assert NOW - timedelta(days=16) < message.timestamp <= NOW
        assert message.content.strip() == message.content
        assert not {"$", "\\"} & {*message.content}, "nothing is left to fill in"
        assert (message.details is not None) == (message.role == "tool") or message.role == "assistant"
    for session_id, messages in said.items():
        assert [one.timestamp for one in messages] == sorted(one.timestamp for one in messages)
        people = {message.author for message in messages if message.role == "user"}
        assert len(people) >= 3 if session_id.startswith("discord:") else len(people) == 1
        known = {message.message_id for message in messages}
        assert len(known) == len(messages)
    texts = "".join(message.content for message in everything)
    japanese = sum("\u3040" <= letter <= "\u30ff" for letter in texts)
    assert 0.1 < japanese / len(texts) < 0.6
    assert sum(one.last_at > NOW - timedelta(minutes=3) for one in found) == 2, "some go on"


def test_nobody_answers_before_it_is_written(ledger: Ledger) -> None:
    demo.fill(ledger, random.Random(1), NOW)
    for session in sessions(ledger):
        messages = ledger.chats.history(session.session_id, limit=1000).items
        for before, after in pairwise(messages):
            if before.role in {"user", "assistant"}:
                assert after.timestamp - before.timestamp > timedelta(seconds=3)


def test_every_conversation_has_cost_something_once(ledger: Ledger) -> None:
    demo.fill(ledger, random.Random(1), NOW)
    ledger.chats.append("support:mine", "user", "not the demo's", timestamp=NOW)
    usage_demo.fill(ledger, random.Random(1), NOW)
    for session in sessions(ledger):
        spent = ledger.usage.cost_of(f"chat:{session.session_id}")
        assert bool(spent.api_calls) == (session.session_id != "support:mine")
    tenants = {tenant.id: tenant.name for tenant in ledger.usage.list_tenants(limit=100)}
    [one] = [session.session_id for session in sessions(ledger) if "hanabi/web" in session.session_id][:1]
    [record, *_] = ledger.usage.list(source=f"chat:{one}", limit=10).items
    assert tenants[record.tenant_id] == "花火グループ"
    assert usage_demo.fill(ledger, random.Random(1), NOW) == 0


def test_a_conversation_goes_on_and_costs(place_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PAUSE_SECONDS", (0.0, 0.02))
    monkeypatch.setattr(usage_demo, "PAUSE_SECONDS", (0.0, 0.02))

    async def run() -> None:
        async with AsyncLedger(place_url) as ledger:
            changes = ledger.changes()
            rooms = [
                asyncio.create_task(live(ledger, random.Random(1))) for live in (demo.live, usage_demo.live)
            ]
            while True:
                await asyncio.wait_for(anext(changes), 20)
                found = (await ledger.chats.sessions(prefix="support:demo-live-")).items
                sources = [f"chat:{session.session_id}" for session in found]
                if len(found) > 1 and await ledger.usage.costs_of(sources):
                    break
                assert not any(task.done() for task in rooms)
            for task in rooms:
                task.cancel()
            await asyncio.wait(rooms)
            assert all(task.cancelled() for task in rooms)

    asyncio.run(run())
    with Ledger(place_url) as ledger:
        first = ledger.chats.sessions(prefix="support:demo-live-").items[-1]
        roles = {message.role for message in ledger.chats.history(first.session_id).items}
        assert {"user", "assistant"} <= roles
        assert ledger.chats.history(first.session_id, limit=1).items[0].message_id == "demo-0"
