"""``daicho demo``: believable data, the same for a seed, once; and conversations that go on."""

import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from daicho import Ledger
from daicho.calls import demo, demo_texts, demo_texts_ja
from daicho.calls.models import Call
from tests.cli.terminal import COMMAND, Here, surroundings
from tests.databases import on_sqlite

pytestmark = pytest.mark.in_turns

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@contextmanager
def going_on(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``daicho demo --live`` until SIGTERM."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--live"], env=surroundings(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def live_calls(ledger: Ledger) -> list[Call]:
    return [
        call for call in ledger.calls.list(live=True, limit=1000) if call.call_id.startswith("demo-live-")
    ]


def lines(ledger: Ledger) -> int:
    return sum(len(ledger.calls.transcript(call.call_id)) for call in live_calls(ledger))


def wait_until(ledger: Ledger, wanted: int) -> None:
    deadline = time.monotonic() + 30
    while lines(ledger) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_demo_fills_a_ledger_once(here: Here) -> None:
    added = "calls: 123 added\ntasks: 40 added\n"
    chats, used = "chats: 31[0-9] added\n", "usage: 3[0-9]{3} added\n"
    assert re.fullmatch(f"{added}members: 20 added\nguilds: 4[0-9]{{2}} added\n{chats}{used}", here("demo"))
    there = "the example data is there already"
    rooms = ("calls", "tasks", "members", "guilds", "chats", "usage")
    assert here("demo") == "".join(f"{room}: {there}\n" for room in rooms)
    other = here("demo", "--seed", "2")  # names are one's own
    assert re.fullmatch(f"{added}members: {there}\nguilds: {there}\n{chats}{used}", other)
    assert len(here("calls", "list", "--all", "--json").splitlines()) == 246
    assert len(here("tasks", "list", "--all", "--json").splitlines()) == 80


@on_sqlite
def test_the_demo_is_believable(ledger: Ledger) -> None:
    demo.fill(ledger, random.Random(1), NOW)
    calls = ledger.calls.list(limit=1000).items
    live = [call for call in calls if call.ended_at is None]
    assert (len(calls), len(live)) == (123, 3)
    for call in calls:
        said = ledger.calls.transcript(call.call_id).items
        times = [call.started_at, *[line.timestamp for line in said], call.ended_at or NOW]
        assert times == sorted(times)
        assert NOW - timedelta(days=16) < times[0] <= times[-1] <= NOW
        assert {line.role for line in said} == {"user", "ai"}
        assert not any("{" in line.text for line in said)
    transferred = [call for call in calls if call.is_transferred]
    assert 20 <= len(transferred) <= 40
    assert all(call.handover_summary and call.ended_at for call in transferred)
    assert len({call.current_state for call in calls}) > 2
    numbers = [call.caller_number for call in calls if call.caller_number]
    assert all(number.startswith(("+1-202-555-01", "03-0000-")) for number in numbers)


@on_sqlite
def test_the_same_seed_makes_the_same_calls(ledger: Ledger) -> None:
    first, second = random.Random(7), random.Random(7)
    assert demo.fill(ledger, first, NOW) == 123
    assert demo.fill(ledger, second, NOW + timedelta(days=3)) == 0


def test_there_are_enough_conversations_in_both_languages() -> None:
    scripts = demo_texts.SCRIPTS + demo_texts_ja.SCRIPTS
    assert len(scripts) >= 24
    assert abs(len(demo_texts.SCRIPTS) - len(demo_texts_ja.SCRIPTS)) <= 1
    assert all(8 <= len(script.lines.strip().splitlines()) <= 16 for script in scripts)
    assert min(Counter(script.client for script in scripts).values()) >= 2


@on_sqlite
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_live_conversations_go_on_until_stopped(ledger: Ledger, url: str, number: signal.Signals) -> None:
    with going_on(url) as process:
        wait_until(ledger, 5)
        assert len(live_calls(ledger)) == 3
        process.send_signal(number)
        out, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (0, b"")
        assert out.decode().endswith("conversations go on; Ctrl+C stops them\n")
    assert all(len(ledger.calls.transcript(call.call_id)) for call in live_calls(ledger))


@on_sqlite
def test_calls_that_a_former_demo_left_open_are_ended(ledger: Ledger, url: str) -> None:
    demo.fill(ledger, random.Random(1), datetime.now(UTC))
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    ledger.calls.append_log("demo-live-1", "ai", "Hello?", client_id="c", timestamp=long_ago)
    ledger.calls.append_log("demo-live-2", "ai", "Hello?", client_id="c")  # another demo's, going on
    ledger.calls.append_log("call-1", "ai", "Hello?", client_id="c", timestamp=long_ago)
    with going_on(url):
        wait_until(ledger, 5)
    live = [call.call_id for call in ledger.calls.list(live=True)]
    assert {"demo-live-2", "call-1"} < set(live)
    assert "demo-live-1" not in live
    assert ledger.calls.get("demo-live-1").ended_at == long_ago
    assert all(call_id.startswith("demo-live-") for call_id in live if call_id != "call-1")
