"""The demo's calls: two weeks of believable conversations, and a few that go on while one watches."""

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain, islice
from typing import Any
from uuid import uuid4

from daicho.calls import demo_texts, demo_texts_ja
from daicho.calls.demo_texts import Script
from daicho.calls.models import Call, CallLog
from daicho.calls.needs import CallLedger, LiveCallLedger
from daicho.calls.store import CallStore
from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX
from daicho.core.types import now as present

Row = dict[str, Any]

ENDED = 120
GOING_ON = 3
DAYS = 14
PREFIX = "demo-"
LIVE_PREFIX = "demo-live-"
HUNG_UP = 0.08
"""The share of callers who hang up half-way."""
SILENT = timedelta(seconds=60)
"""A live call of a demo in which nothing was said for so long has nobody who goes on with it."""
EVENING = {"dining-hanabi", "trattoria-lume"}


class Setting:
    """What differs between the conversations of two languages."""

    def __init__(
        self, scripts: tuple[Script, ...], hours: float, letters_a_second: float, **words: str
    ) -> None:
        self.scripts = scripts
        self.zone = timezone(timedelta(hours=hours))
        self.letters_a_second = letters_a_second
        self._words = {name: choices.split("|") for name, choices in words.items()}

    def fill_in(self, rng: random.Random, script: Script) -> dict[str, str]:
        """Choose what stands for the script's placeholders."""
        times = "evening" if script.client in EVENING else "time"
        return {
            "name": rng.choice(self._words["name"]),
            "day": rng.choice(self._words["day"]),
            "time": rng.choice(self._words[times]),
            "people": str(rng.randint(2, 6)),
            "ref": f"{rng.choice('ABCDEFGHKLMNPRST')}-{rng.randrange(10_000, 100_000)}",
        }

    def caller_number(self, rng: random.Random) -> str | None:
        """A number that nobody has; one caller in ten hides it."""
        start, digits = self._words["number"]
        number = f"{start}{rng.randrange(10 ** int(digits)):0{digits}}"
        return number if rng.random() > 0.1 else None


ENGLISH = Setting(
    demo_texts.SCRIPTS,
    hours=-5,
    letters_a_second=15,
    name="Emma Clarke|Noah Fischer|Olivia Reyes|Liam Novak|Ava Lindqvist|Ethan Brooks|Mia Okafor|Lucas Moreau|"
    "Grace Tanaka|Daniel Kim|Zoe Papadakis|Samuel Wright",
    day="Monday|Tuesday|Wednesday|Thursday|Friday|next Tuesday|the day after tomorrow",
    time="9:15|10:30|11:00|2:45|3:30|4:15",
    evening="6:30|7:00|7:30|8:15",
    number="+1-202-555-01|2",
)
JAPANESE = Setting(
    demo_texts_ja.SCRIPTS,
    hours=9,
    letters_a_second=7,
    name="佐藤|鈴木|高橋|田中|伊藤|渡辺|山本|中村|小林|加藤|吉田|山田|佐々木|松本|井上|木村",
    day="明後日|木曜日|金曜日|土曜日|来週の月曜日|来週の火曜日|来週の水曜日",
    time="9 時半|10 時 15 分|11 時|14 時|15 時半|16 時",
    evening="18 時|18 時半|19 時|19 時半",
    number="03-0000-|4",
)


def fill(ledger: CallLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's calls, ended ones and some that go on; return how many were not there yet.

    The generator decides everything but the days: the same seed makes the same calls, once.
    """
    turns = _turns(rng)
    ended = [_ended(*turn, rng, now) for turn in islice(turns, ENDED)]
    going_on = [_going_on(*turn, rng, now) for turn in islice(turns, GOING_ON)]
    return ledger.calls.import_calls(ended + going_on).added


async def live(ledger: LiveCallLedger, rng: random.Random) -> None:
    """Keep some conversations going, in each a line every one to three seconds, until cancelled.

    Calls that a former demo left open are ended first: nobody would go on with them.
    """
    turns = _turns(rng)
    conversations: deque[Conversation] = deque()
    while True:
        if len(conversations) < GOING_ON:
            conversation = Conversation(ledger.calls, *next(turns), rng)
            conversations.append(conversation)
            await conversation.begin()
            await _end_leftovers(ledger.calls, {one.call_id for one in conversations})
        conversation = conversations.popleft()
        if await conversation.go_on():
            conversations.append(conversation)
        await asyncio.sleep(rng.uniform(1, 3) / GOING_ON)


class Conversation:
    """A conversation that goes on."""

    def __init__(self, calls: CallStore[Async], setting: Setting, script: Script, rng: random.Random) -> None:
        self.call_id = LIVE_PREFIX + uuid4().hex[:10]
        self._calls = calls
        self._client = script.client
        self._caller_number = setting.caller_number(rng)
        words = setting.fill_in(rng, script)
        self._lines = deque(_spoken(script, words))
        self._summary = script.summary and script.summary.format_map(words)

    async def begin(self) -> None:
        """Record that it begins."""
        state = self._lines[0][0]
        await self._calls.start(self.call_id, self._client, state=state, caller_number=self._caller_number)

    async def go_on(self) -> bool:
        """Say the next line, or end the call after the last; return whether there is more to come."""
        if self._lines:
            state, role, text = self._lines.popleft()
            await self._calls.append_log(self.call_id, role, text, state=state)
            return True
        if self._summary:
            await self._calls.mark_transfer(self.call_id, self._summary)
        await self._calls.complete(self.call_id)
        return False


async def _end_leftovers(calls: CallStore[Async], own: set[str]) -> None:
    cursor: str | None = None
    while True:
        page = await calls.list(live=True, limit=LIMIT_MAX, cursor=cursor)
        for call in page.items:
            if call.call_id.startswith(PREFIX) and call.call_id not in own:
                last = (await calls.transcript(call.call_id, newest_first=True, limit=1)).items
                heard_at = last[0].timestamp if last else call.started_at
                if not call.call_id.startswith(LIVE_PREFIX) or present() - heard_at > SILENT:
                    await calls.complete(call.call_id, state="abandoned", ended_at=heard_at)
        if (cursor := page.next) is None:
            return


def _turns(rng: random.Random) -> Iterator[tuple[Setting, Script]]:
    """Japanese and English by turns; of each language every script once, then again in another order."""
    return chain.from_iterable(zip(_shuffled(rng, JAPANESE), _shuffled(rng, ENGLISH), strict=True))


def _shuffled(rng: random.Random, setting: Setting) -> Iterator[tuple[Setting, Script]]:
    scripts = list(setting.scripts)
    while True:
        rng.shuffle(scripts)
        for script in scripts:
            yield setting, script


def _spoken(script: Script, words: dict[str, str]) -> list[tuple[str, str, str]]:
    """The state, the role and the text of each line."""
    lines = [line.split(maxsplit=2) for line in script.lines.strip().splitlines()]
    return [(state, role, text.format_map(words)) for state, role, text in lines]


def _ended(setting: Setting, script: Script, rng: random.Random, now: datetime) -> tuple[Row, list[Row]]:
    day = now.astimezone(setting.zone) - timedelta(days=rng.randrange(DAYS))
    start = day.replace(hour=rng.randrange(9, 19), minute=rng.randrange(60), second=rng.randrange(60))
    if start > now - timedelta(minutes=30):
        start -= timedelta(days=1)
    call, lines = _recorded(setting, script, rng, start)
    hung_up = rng.random() < HUNG_UP and not call["is_transferred"]
    if hung_up:
        lines = lines[: len(lines) // 2]
    end = lines[-1]["timestamp"] + timedelta(seconds=rng.uniform(2, 7))
    return call | {"ended_at": end, "current_state": "abandoned" if hung_up else "completed"}, lines


def _going_on(setting: Setting, script: Script, rng: random.Random, now: datetime) -> tuple[Row, list[Row]]:
    call, lines = _recorded(setting, script, rng, now)
    lines = lines[: rng.randint(3, 5)]
    ago = lines[-1]["timestamp"] + timedelta(seconds=rng.uniform(1, 5)) - now
    for line in lines:
        line["timestamp"] -= ago
    so_far = {"is_transferred": False, "handover_summary": None, "current_state": lines[-1]["state"]}
    return call | so_far | {"started_at": call["started_at"] - ago}, lines


def _recorded(setting: Setting, script: Script, rng: random.Random, start: datetime) -> tuple[Row, list[Row]]:
    """A whole conversation from a given moment on, not yet ended."""
    call_id = f"{PREFIX}{rng.getrandbits(40):010x}"
    words = setting.fill_in(rng, script)
    call = Call.row(
        call_id=call_id,
        client_id=script.client,
        started_at=start,
        ended_at=None,
        current_state="completed",
        is_transferred=script.summary is not None,
        handover_summary=script.summary and script.summary.format_map(words),
        caller_number=setting.caller_number(rng),
    )
    lines = []
    moment = start + timedelta(seconds=rng.uniform(1, 3))
    for state, role, text in _spoken(script, words):
        lines.append(
            CallLog.row(call_id=call_id, timestamp=moment, role=role, text=text, state=state, message_id=None)
        )
        spoken = len(text) / setting.letters_a_second * rng.uniform(0.9, 1.2)
        moment += timedelta(seconds=spoken + rng.uniform(0.6, 2))
    return call, lines
