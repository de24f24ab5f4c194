"""The demo's usage: two months of it, what the demo's calls, tasks, members and chats cost, and more at times."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID, uuid5

from daicho.core.page import LIMIT_MAX, Page
from daicho.core.types import now as present
from daicho.usage.demo_scenes import (
    ANSWER,
    CHANNELS,
    CHAT,
    CODE,
    CUSTOMERS,
    ELSE,
    ELSE_JAPANESE,
    OWNERS,
    SCENES,
    SPACE,
    SUMMARIZE,
    Customer,
    Scene,
)
from daicho.usage.needs import LiveUsageLedger, UsageLedger

Row = dict[str, Any]

DAYS = 60
ALONE = 1_800
"""Records that belong to no call, task, member or chat."""
CHATS = 14
"""Records of each virtual member."""
STEPS_MOST = 30
"""The most records of one task."""
FAILED = 0.02
PAUSE_SECONDS = (2.0, 6.0)
CALL_START, LIVE_CALL_START = "demo-", "demo-live-"
TASK_END = "00da1c40"
MEMBER_PLACE = "s3://demo-members/"
CHAT_STARTS = ("support:demo-", "assistant:demo-")
LIVE_CHAT_START = "support:demo-live-"
"""By these, and by the demo's channels, one knows the calls, tasks, members and chats of a demo: what people
have recorded is left alone."""
GOING_ON = timedelta(minutes=1)
"""A chat in which nothing was said for so long is over."""


class Call(Protocol):
    """What of a call the demo needs."""

    call_id: str
    client_id: str
    started_at: datetime
    ended_at: datetime | None


class Task(Protocol):
    """What of a task the demo needs."""

    uuid: str
    owner: str
    status: str
    model: str | None
    llm_provider: str | None
    llm_call_count: int | None
    started_at: datetime | None
    completed_at: datetime | None


class Member(Protocol):
    """What of a virtual member the demo needs."""

    name: str
    llm_model: str
    file_uri: str | None


class Chat(Protocol):
    """What of a chat's session the demo needs."""

    session_id: str
    first_at: datetime
    last_at: datetime


class Calls(Protocol):
    list: Callable[..., Page[Call]]


class Tasks(Protocol):
    list: Callable[..., Page[Task]]


class Members(Protocol):
    list_virtual: Callable[..., Page[Member]]


class Chats(Protocol):
    sessions: Callable[..., Page[Chat]]


class DemoLedger(UsageLedger, Protocol):
    """A ledger for threads, whose other rooms the demo has filled already."""

    calls: Calls
    tasks: Tasks
    members: Members
    chats: Chats


class LiveCalls(Protocol):
    list: Callable[..., Any]


class LiveChats(Protocol):
    sessions: Callable[..., Any]


class LiveDemoLedger(LiveUsageLedger, Protocol):
    """A ledger for tasks, in whose other rooms the demo goes on."""

    calls: LiveCalls
    chats: LiveChats


def fill(ledger: DemoLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's tenants, users and usage; return how many records were not there yet.

    The generator decides everything but the days: the same seed makes the same records, once.
    """
    for customer in CUSTOMERS:
        ledger.usage.create_tenant(customer.name, id=customer.id)
        for user in customer.users:
            ledger.usage.create_user(customer.id, user, id=customer.user_id(user))
    rows = [_alone(rng, now) for _ in range(ALONE)]
    for call in _every(ledger.calls.list):
        if call.call_id.startswith(CALL_START) and not call.call_id.startswith(LIVE_CALL_START):
            rows += _of_call(call, now)
    for task in _every(ledger.tasks.list):
        if task.uuid.endswith(TASK_END):
            rows += _of_task(task, now)
    for member in _every(ledger.members.list_virtual):
        if (member.file_uri or "").startswith(MEMBER_PLACE):
            rows += _of_member(member, now)
    for start in (*CHAT_STARTS, *CHANNELS):
        for chat in _every(partial(ledger.chats.sessions, prefix=start)):
            if not chat.session_id.startswith(LIVE_CHAT_START):
                rows += _of_chat(chat)
    # Where old records were let go, the ledger takes no others from that time.
    return ledger.usage.record_many(rows, reject=True).accepted


async def live(ledger: LiveDemoLedger, rng: random.Random) -> None:
    """Record a call of an LLM every 2 to 6 seconds, mostly for a conversation that goes on, until cancelled."""
    for customer in CUSTOMERS:
        await ledger.usage.create_tenant(customer.name, id=customer.id)
    while True:
        await asyncio.sleep(rng.uniform(*PAUSE_SECONDS))
        going_on = await _going_on(ledger)
        if going_on and rng.random() < 0.7:
            source, customer, scene = rng.choice(going_on)
            row = _row(customer, scene, rng, present()) | {"source": source}
        else:
            row = _row(_customer(rng), _scene(rng), rng, present())
        await ledger.usage.record(**row)


async def _going_on(ledger: LiveDemoLedger) -> list[tuple[str, Customer, Scene]]:
    """The demo's conversations that go on just now: the source, whose it is, what it takes."""
    calls = await ledger.calls.list(live=True, limit=LIMIT_MAX)
    since = present() - GOING_ON
    chats = await ledger.chats.sessions(prefix=LIVE_CHAT_START, since=since, limit=LIMIT_MAX)
    return [
        (f"call:{call.call_id}", _owner(call.client_id), ANSWER)
        for call in calls.items
        if call.call_id.startswith(LIVE_CALL_START)
    ] + [(f"chat:{chat.session_id}", _chats_owner(chat.session_id), CHAT) for chat in chats.items]


# -- records -----------------------------------------------------------------------------------------


def _alone(rng: random.Random, now: datetime) -> Row:
    """A record of some day, more likely of a late one and of a working day, in its customer's daytime."""
    customer, scene = _customer(rng), _scene(rng)
    ago = int(DAYS * (1 - rng.random() ** 0.6))
    moved, second = rng.random() < 0.7, rng.triangular(0, 36_000, 14_000)
    day = (now - timedelta(days=ago)).replace(hour=0, minute=0, second=0)
    if moved and day.weekday() >= 5:
        day -= timedelta(days=2)
    at = day + timedelta(seconds=second) + (timedelta() if _is_japanese(customer) else timedelta(hours=14))
    row = _row(customer, scene, rng, at if at < now else at - timedelta(days=1))
    key = str(UUID(int=rng.getrandbits(128), version=4))
    return row | {"id": key, "user_id": customer.user_id(rng.choice(customer.users))}


def _of_call(call: Call, now: datetime) -> Iterator[Row]:
    """What answering a call took and, where it has ended, its summary."""
    source = f"call:{call.call_id}"
    rng, customer = random.Random(source), _owner(call.client_id)
    times = _times(call.started_at, call.ended_at or now, rng.randint(3, 7))
    scenes = [ANSWER] * len(times)
    if call.ended_at is not None:
        times.append(call.ended_at)
        scenes.append(SUMMARIZE)
    yield from _for(source, customer, zip(scenes, times, strict=True), rng)


def _of_task(task: Task, now: datetime) -> Iterator[Row]:
    """What an agent used for a task; its last call failed where the task did."""
    if task.model is None or task.started_at is None:
        return
    source = f"task:{task.uuid}"
    rng = random.Random(source)
    times = _times(
        task.started_at, task.completed_at or now, min(max(task.llm_call_count or 0, 3), STEPS_MOST)
    )
    own = {"model": task.model, "provider": task.llm_provider}
    for number, row in enumerate(_for(source, _owner(task.owner), ((CODE, at) for at in times), rng), 1):
        failed = task.status == "failed" and number == len(times)
        yield row | own | {"success": "failure" if failed else "success"}


def _of_member(member: Member, now: datetime) -> Iterator[Row]:
    """What people asked a virtual member."""
    source = f"member:{member.name}"
    rng = random.Random(source)
    times = sorted(now - timedelta(seconds=rng.uniform(600, DAYS * 86_400)) for _ in range(CHATS))
    customer = ELSE if member.name.isascii() else ELSE_JAPANESE
    for row in _for(source, customer, ((CHAT, at) for at in times), rng):
        yield row | {"model": member.llm_model, "provider": None}


def _of_chat(chat: Chat) -> Iterator[Row]:
    """What answering in a chat took."""
    source = f"chat:{chat.session_id}"
    rng = random.Random(source)
    times = _times(chat.first_at, chat.last_at, rng.randint(2, 6))
    yield from _for(source, _chats_owner(chat.session_id), ((CHAT, at) for at in times), rng)


def _for(
    source: str, customer: Customer, scenes: Iterable[tuple[Scene, datetime]], rng: random.Random
) -> Iterator[Row]:
    for number, (scene, at) in enumerate(scenes):
        yield _row(customer, scene, rng, at) | {
            "id": str(uuid5(SPACE, f"{source} {number}")),
            "source": source,
        }


def _row(customer: Customer, scene: Scene, rng: random.Random, at: datetime) -> Row:
    read, written = rng.randint(*scene.read), rng.randint(*scene.write)
    from_cache = int(read * scene.cached * rng.uniform(0.7, 1)) if rng.random() < 0.85 else 0
    to_cache = int((read - from_cache) * 0.6) if scene.provider == "anthropic" and scene.cached else 0
    failed = rng.random() < FAILED
    return {
        "tenant_id": customer.id,
        "operation": scene.operation,
        "model": scene.model,
        "provider": scene.provider,
        "input_tokens": read,
        "output_tokens": 0 if failed else written,
        "cache_read_tokens": from_cache or None,
        "cache_write_tokens": to_cache or None,
        "duration_ms": int(300 + written * scene.ms_a_token * rng.uniform(0.7, 1.6)),
        "success": "failure" if failed else "success",
        "created_at": at,
    }


# -- choices -----------------------------------------------------------------------------------------


def _customer(rng: random.Random) -> Customer:
    return rng.choices(CUSTOMERS, [customer.weight for customer in CUSTOMERS])[0]


def _scene(rng: random.Random) -> Scene:
    return rng.choices(SCENES, [scene.weight for scene in SCENES])[0]


def _owner(named: str) -> Customer:
    return OWNERS.get(named, ELSE)


def _chats_owner(session_id: str) -> Customer:
    """Whose a chat is: in a channel its guild's, else that of the owner it names: ``support:demo-owner-1f``."""
    for start, customer in CHANNELS.items():
        if session_id.startswith(start):
            return customer
    return _owner(session_id.partition(":")[2].removeprefix("demo-").removeprefix("live-").rpartition("-")[0])


def _is_japanese(customer: Customer) -> bool:
    return not customer.name.isascii()


def _times(begin: datetime, end: datetime, count: int) -> list[datetime]:
    """Moments between two, evenly."""
    return [begin + (end - begin) * (number + 1) / (count + 1) for number in range(count)]


def _every(read: Callable[..., Page[Any]]) -> Iterator[Any]:
    cursor: str | None = None
    while True:
        page = read(limit=LIMIT_MAX, cursor=cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return
