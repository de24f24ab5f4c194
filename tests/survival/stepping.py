"""A program whose clock is set back and forth while it runs. ``python -m tests.survival.stepping URL``.

libfaketime reads the offset from the file that ``FAKETIME_TIMESTAMP_FILE`` names each time somebody asks for the time.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daicho import AsyncLedger, Ledger
from daicho.chats.following import follow
from tests.survival.counting import Said, discrepancies
from tests.survival.writes import TASK_OF, line, log, message, prepare, record, records, ticket

STEPS = ("+0", "-40m", "+10m")
KINDS = (line, message, record, records, ticket, log)
EACH = 4


def set_clock(offset: str) -> None:
    """Step the clock that this process sees."""
    Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(offset)


def pages(read: Callable[..., Any], name: Callable[[Any], str], between: Callable[[int], None]) -> list[str]:
    """Read a list page by page; step the clock and write more between them."""
    found: list[str] = []
    cursor, number = None, 0
    while True:
        page = read(limit=10, cursor=cursor)
        found += [name(one) for one in page.items]
        if (cursor := page.next) is None:
            return found
        between(number)
        number += 1


def sync_face(url: str, said: Said) -> list[str]:
    """Write on each side of each step; return what is wrong."""
    wrong = []
    with Ledger(url) as ledger:
        prepare(ledger)
        task = ledger.tasks.claim(
            {**TASK_OF, "uuid": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "process_id": os.getpid(), **HERE}
        )
        for number, step in enumerate(STEPS):
            set_clock(step)
            for write in KINDS:
                for n in range(EACH):
                    name = f"a/{write.__name__}/{number}.{n}"
                    said.sent.add(name)
                    write(ledger, name)
                    said.done.append(name)
            if ledger.tasks.reap(dry_run=True):
                wrong.append(f"{step}: a living task counts as gone")
            if ledger.tasks.heartbeat(task.uuid, claim=task.claim) != "running":
                wrong.append(f"{step}: its heartbeat is refused")
        for kind, read, name in (
            (message, ledger.chats.history, lambda one: one.content),
            (line, ledger.calls.transcript, lambda one: one.text),
        ):
            _, done = said.of(kind.__name__)
            order = [one for one in said.done if one in done]
            text = [name(one) for one in read("a", limit=1000).items]
            if text != order:
                wrong.append(f"{kind.__name__}: {text} and not {order}")

        def more(number: int) -> None:
            set_clock(STEPS[number % len(STEPS)])
            name = f"b/ticket/{number}"
            said.sent.add(name)
            ticket(ledger, name)
            said.done.append(name)

        _, before = said.of("ticket")
        seen = pages(ledger.guilds.list_tickets, lambda one: one.title, more)
        if len(seen) != len(set(seen)) or not before <= set(seen):
            wrong.append(f"pages: {sorted(before - set(seen))} missing of {len(seen)}")
    return wrong


HERE = {"hostname": os.uname().nodename}


async def followed(url: str) -> list[str]:
    """Follow a conversation over the steps; return what is wrong."""
    heard: list[str] = []
    wanted = ["f/message/first"]
    wanted += [f"f/message/{number}.{n}" for number in range(len(STEPS)) for n in range(EACH)]
    set_clock(STEPS[0])
    async with AsyncLedger(url) as ledger:
        await message(ledger, "f/message/first")

        begun = asyncio.Event()

        async def listen() -> None:
            async for one in follow(ledger, "f", history=1, away=lambda _: None):
                begun.set()
                heard.append(one.content)
                if one.content == wanted[-1]:
                    return

        listening = asyncio.create_task(listen())
        await begun.wait()
        for number, step in enumerate(STEPS):
            set_clock(step)
            for n in range(EACH):
                await message(ledger, f"f/message/{number}.{n}")
        try:
            await asyncio.wait_for(listening, 20)
        except TimeoutError:
            return [f"heard {heard}, and not {wanted}"]
    return [] if heard == wanted else [f"heard {heard}, and not {wanted}"]


def main() -> None:
    """See above."""
    url = sys.argv[1]
    set_clock("-10d")
    began, moved = time.monotonic(), datetime.now(UTC)
    set_clock("+0")
    if (datetime.now(UTC) - moved).days < 9 or time.monotonic() - began > 60:
        print(json.dumps({"wrong": ["the clock did not move, or not alone"]}))
        return
    said = Said()
    wrong = sync_face(url, said)
    wrong += discrepancies(url, said)
    wrong += asyncio.run(followed(url))
    print(json.dumps({"wrong": wrong}))


if __name__ == "__main__":
    main()
