"""The demo of calls: two weeks of believable telephone calls, and a few that go on."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

from daicho.calls.demo_texts import DIALOGUES, FILLINGS
from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import Role
from daicho.calls.store import CallStore
from daicho.core.operation import Async, Sync

CALLS = 120
DAYS = 14
LIVE = 3
LIVE_PREFIX = "demo-live-"
SPEAKERS = {"<": Role.USER, ">": Role.AI}


class HasCalls(Protocol):
    """A ledger for threads, as far as this room needs it."""

    calls: CallStore[Sync]


class HasAsyncCalls(Protocol):
    """A ledger for tasks, as far as this room needs it."""

    calls: CallStore[Async]


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a dialogue."""

    state: str
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation with a client's assistant; ``summary`` if it is handed to a person."""

    client: str
    summary: str | None
    lines: tuple[Said, ...]

    def filled(self, rng: random.Random) -> "Dialogue":
        """Return it with names, days and times of its own."""
        chosen = {name: rng.choice(values) for name, values in FILLINGS.items()}
        lines = tuple(Said(line.state, line.role, line.text.format(**chosen)) for line in self.lines)
        return Dialogue(self.client, self.summary and self.summary.format(**chosen), lines)


@cache
def dialogues() -> tuple[Dialogue, ...]:
    """The dialogues of ``demo_texts``."""
    made = []
    for block in DIALOGUES.strip().removeprefix("# ").split("\n# "):
        head, *lines = block.splitlines()
        client, _, summary = head.partition(" | ")
        said = [line.split(" ", 2) for line in lines]
        spoken = tuple(Said(state, SPEAKERS[mark], text) for state, mark, text in said)
        made.append(Dialogue(client, summary or None, spoken))
    return tuple(made)


def fill(ledger: HasCalls, rng: random.Random, now: datetime) -> int:
    """Add the demo's ended calls; those that are there already stay as they are. Returns how many."""
    return ledger.calls.import_calls(list(_ended_calls(rng, now))).added


async def live(ledger: HasAsyncCalls, rng: random.Random) -> None:
    """Keep a few conversations going, a line every one to three seconds, until cancelled."""
    # Those of a former run will never go on.
    for call in (await ledger.calls.list(live=True, limit=1000)).items:
        if call.call_id.startswith(LIVE_PREFIX):
            await ledger.calls.complete(call.call_id, state="dropped")
    await asyncio.gather(*[_one_after_another(ledger, rng, place) for place in range(LIVE)])


async def _one_after_another(ledger: HasAsyncCalls, rng: random.Random, place: int) -> None:
    await asyncio.sleep(place * 0.7)
    while True:
        dialogue = rng.choice(dialogues()).filled(rng)
        call_id = f"{LIVE_PREFIX}{rng.getrandbits(40):010x}"
        await ledger.calls.start(
            call_id, dialogue.client, state="ringing", caller_number=_number(dialogue, rng)
        )
        for line in dialogue.lines:
            await asyncio.sleep(rng.uniform(1.0, 3.0))
            await ledger.calls.append_log(call_id, line.role, line.text, state=line.state)
        if dialogue.summary:
            await ledger.calls.mark_transfer(call_id, dialogue.summary)
        await asyncio.sleep(rng.uniform(1.0, 2.0))
        await ledger.calls.complete(call_id)


def _ended_calls(rng: random.Random, now: datetime) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(CALLS):
        dialogue = rng.choice(dialogues()).filled(rng)
        call_id = f"demo-{rng.getrandbits(40):010x}"
        begun = midnight - timedelta(days=DAYS * number / CALLS, minutes=rng.uniform(10, 600))
        at, logs = begun, []
        for line in dialogue.lines:
            at += timedelta(seconds=2 + len(line.text) / rng.uniform(6, 11))
            logs.append(
                CallLog.row(
                    call_id=call_id,
                    timestamp=at,
                    role=line.role.value,
                    text=line.text,
                    state=line.state,
                    message_id=None,
                )
            )
        yield (
            Call.row(
                call_id=call_id,
                client_id=dialogue.client,
                started_at=begun,
                ended_at=at + timedelta(seconds=rng.uniform(1, 6)),
                current_state="completed",
                is_transferred=dialogue.summary is not None,
                handover_summary=dialogue.summary,
                caller_number=_number(dialogue, rng),
            ),
            logs,
        )


def _number(dialogue: Dialogue, rng: random.Random) -> str | None:
    """A number that belongs to nobody; now and then none, as callers withhold it."""
    if rng.random() < 0.1:
        return None
    if dialogue.lines[0].text.isascii():
        return f"+1 202 555 01{rng.randrange(100):02}"
    return f"03-0000-{rng.randrange(10_000):04}"
