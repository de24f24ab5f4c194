"""The demo's conversations: two weeks of them in channels, with shops and with assistants; one that goes on."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from string import Template
from typing import Any
from uuid import uuid4

from daicho.chats import demo_texts, demo_texts_ja
from daicho.chats.demo_texts import Script, Texts
from daicho.chats.needs import ChatLedger, LiveChatLedger

Row = dict[str, Any]

DAYS = 14
TURNS = 2
"""How often each conversation with a shop or an assistant is held, with other names."""
PAUSE_SECONDS = (2.0, 5.0)
MARK, LIVE_MARK = "demo-", "demo-live-"
"""By these, after the kind, one knows the sessions of a demo; those in channels by their guilds."""
CHANNELS_AFTER = 30_000
"""How far the ids of a guild's channels are from its own, at least."""
MESSAGES_FROM = 1_300_000_000_000_000_000
"""The ids of messages in channels lie above it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a language is spoken: its guild, its hours, how fast it is written."""

    texts: Texts
    guild: int
    zone: timezone
    letters_a_second: float


PLACES = (
    Place(demo_texts_ja.TEXTS, 1_187_654_321_098_765_433, timezone(timedelta(hours=9)), 8),
    Place(demo_texts.TEXTS, 1_203_045_678_901_234_567, timezone(timedelta(hours=-5)), 18),
)


def fill(ledger: ChatLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's conversations; return how many messages were not there yet.

    The generator decides everything but the days: the same seed makes the same conversations, once. Where
    DynamoDB keeps them, its tables are created first.
    """
    ledger.chats.prepare()
    rows: list[Row] = []
    for place in PLACES:
        for scripts in place.texts.channels:
            rows += _channel(place, scripts, rng, now)
        for _ in range(TURNS):
            for kind, scripts in (("support", place.texts.support), ("assistant", place.texts.assistant)):
                for script in scripts:
                    rows += _alone(place, kind, script, rng, now)
        rows += _going_on(place, rng, now)
    return ledger.chats.append_many(rows).added


async def live(ledger: LiveChatLedger, rng: random.Random) -> None:
    """Keep a conversation going, a message every 2 to 5 seconds, then another one, until cancelled."""
    await ledger.chats.prepare()
    while True:
        place = rng.choice(PLACES)
        script = rng.choice(place.texts.support)
        session_id = f"support:{LIVE_MARK}{script.owner}-{uuid4().hex[:10]}"
        for number, row in enumerate(_spoken(place, script, rng)):
            await ledger.chats.append(session_id, message_id=f"{MARK}{number}", **row)
            await asyncio.sleep(rng.uniform(*PAUSE_SECONDS))


# -- sessions ----------------------------------------------------------------------------------------


def _channel(place: Place, scripts: tuple[Script, ...], rng: random.Random, now: datetime) -> Iterator[Row]:
    """What was said in a channel, on several days, one after the other."""
    session_id = f"discord:{place.guild}:{place.guild + CHANNELS_AFTER + rng.getrandbits(40)}"
    share = DAYS // len(scripts)
    message = MESSAGES_FROM + rng.getrandbits(56)
    for number, script in enumerate(scripts, 1):
        ago = (len(scripts) - number) * share + rng.randrange(1, share)
        asked = None
        for row in _timed(place, script, _start(place, ago, rng, now), rng, slower=3):
            message += rng.randrange(1, 2**20)
            details = {"reply_to": asked} if asked and row["role"] == "assistant" else row["details"]
            yield row | {"session_id": session_id, "message_id": str(message), "details": details}
            asked = str(message)


def _alone(place: Place, kind: str, script: Script, rng: random.Random, now: datetime) -> Iterator[Row]:
    """A conversation of one person with a shop or an assistant."""
    session_id = f"{kind}:{MARK}{script.owner}-{rng.getrandbits(32):08x}"
    start = _start(place, rng.randrange(DAYS), rng, now)
    for number, row in enumerate(_timed(place, script, start, rng)):
        yield row | {"session_id": session_id, "message_id": f"{MARK}{number}"}


def _going_on(place: Place, rng: random.Random, now: datetime) -> Iterator[Row]:
    """A conversation that has come as far as its middle."""
    script = rng.choice(place.texts.support)
    session_id = f"support:{MARK}{script.owner}-{rng.getrandbits(32):08x}"
    rows = list(_timed(place, script, now, rng))
    rows = rows[: len(rows) // 2]
    ahead = rows[-1]["timestamp"] - now + timedelta(seconds=rng.uniform(5, 60))
    for number, row in enumerate(rows):
        moved = {"timestamp": row["timestamp"] - ahead}
        yield row | moved | {"session_id": session_id, "message_id": f"{MARK}{number}"}


# -- messages ----------------------------------------------------------------------------------------


def _start(place: Place, ago: int, rng: random.Random, now: datetime) -> datetime:
    """A moment of a day, some days ago, at which people are awake."""
    day = now.astimezone(place.zone) - timedelta(days=ago)
    start = day.replace(hour=rng.randrange(9, 22), minute=rng.randrange(60), second=rng.randrange(60))
    return start if start < now - timedelta(hours=2) else start - timedelta(days=1)


def _timed(
    place: Place, script: Script, start: datetime, rng: random.Random, slower: float = 1
) -> Iterator[Row]:
    """A script's messages, as long after each other as it takes to write them."""
    at = start
    for row in _spoken(place, script, rng):
        yield row | {"timestamp": at}
        if row["role"] in {"system", "tool"}:
            seconds = rng.uniform(0.2, 1.5)
        else:
            seconds = (rng.uniform(3, 20) + len(row["content"]) / place.letters_a_second) * slower
        at += timedelta(seconds=seconds)


def _spoken(place: Place, script: Script, rng: random.Random) -> Iterator[Row]:
    """A script's messages: role, content, author and details."""
    words = {
        "name": rng.choice(place.texts.names),
        "day": rng.choice(place.texts.days),
        "ref": f"{rng.choice('ABCDEFGHKLMNPRST')}-{rng.randrange(10_000, 100_000)}",
    }
    lines = script.lines.strip().splitlines()
    in_channel = not any(line.startswith("user ") for line in lines)
    for line in lines:
        who, text = Template(line).substitute(words).split(maxsplit=1)
        author: str | None = None
        details: object = None
        role = who
        if who == "tool":
            author, text = text.split(maxsplit=1)
            asked, _, text = text.partition(" = ")
            details = {"arguments": json.loads(asked)}
        elif who == "assistant":
            author = place.texts.bot if in_channel else None
        elif who == "user":
            author = words["name"]
        elif who != "system":
            role, author = "user", who
        yield {"role": role, "content": text.replace("\\n", "\n"), "author": author, "details": details}
