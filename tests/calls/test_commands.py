"""``daicho calls``: what is shown, followed, found and recorded from the terminal."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from daicho import Ledger
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings

pytestmark = pytest.mark.in_turns

BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger with three calls: one ended, one handed over, one that goes on."""
    ledger.calls.start("call-1", "client-001", started_at=BEGUN, caller_number="03-0000-0001")
    ledger.calls.append_log("call-1", "user", "こんにちは", state="greeting", timestamp=BEGUN)
    ledger.calls.append_log("call-1", "ai", "お電話ありがとうございます", timestamp=BEGUN)
    ledger.calls.complete("call-1", ended_at=BEGUN + timedelta(seconds=83))
    ledger.calls.start("call-2", "client-002", started_at=BEGUN + timedelta(hours=1))
    ledger.calls.mark_transfer("call-2", "金曜の予約")
    ledger.calls.start("call-3", "client-001", state="booking", started_at=BEGUN + timedelta(days=1))
    return ledger


@contextmanager
def tail(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "calls", "tail", *arguments],
        env=surroundings(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def names(listing: str) -> list[str]:
    return [line.split()[0] for line in listing.splitlines()[1:]]


def test_a_list_is_aligned_and_complete(here: Here, filled: Ledger) -> None:
    heading, *rows = here("calls", "list").splitlines()
    assert heading.split() == ["CALL", "CLIENT", "STARTED", "DURATION", "STATE", "HANDED", "OVER", "CALLER"]
    assert rows[2].split() == [
        *["call-1", "client-001", "2026-11-21", "08:18:22", "1:23", "completed", "03-0000-0001"]
    ]
    assert all(row[heading.index("STARTED") :].startswith("2026-11-2") for row in rows)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", "call-3 call-2 call-1"),
        ("--client client-001", "call-3 call-1"),
        ("--state booking", "call-3"),
        ("--transferred", "call-2"),
        ("--not-transferred", "call-3 call-1"),
        ("--live", "call-3 call-2"),
        ("--ended", "call-1"),
        ("--since 2026-11-21T09:18:22", "call-3 call-2"),
        ("--since 2026-11-21T18:18:22+09:00 --until 2026-11-22", "call-2"),
        ("--until 2026-11-21T09:18:22Z", "call-1"),
        ("--client nobody", ""),
    ],
)
def test_a_list_is_filtered(here: Here, filled: Ledger, options: str, found: str) -> None:
    assert names(here("calls", "list", *options.split())) == found.split()


def test_since_may_be_so_long_ago(here: Here, ledger: Ledger) -> None:
    for minutes in (5, 100):
        ledger.calls.start(f"call-{minutes}", "c", started_at=datetime.now(UTC) - timedelta(minutes=minutes))
    assert names(here("calls", "list", "--since", "90m")) == ["call-5"]
    assert names(here("calls", "list", "--until", "1h", "--since", "1w")) == ["call-100"]


def test_a_list_goes_on_where_it_ended(here: Here, filled: Ledger) -> None:
    assert names(here("calls", "list", "--limit", "2")) == ["call-3", "call-2"]
    cursor = here.said.split()[-1]
    assert names(here("calls", "list", "--cursor", cursor)) == ["call-1"]
    assert here.said == ""
    here("calls", "list", "--cursor", "nonsense", code=1)
    assert "not a cursor" in one_line(here.said)


def test_a_list_is_as_long_as_asked(here: Here, ledger: Ledger) -> None:
    ledger.calls.append_logs(
        {"call_id": f"call-{n}", "role": "user", "text": "a", "client_id": "c", "state": "s"}
        for n in range(2100)
    )
    assert len(names(here("calls", "list"))) == 50
    assert len(names(here("calls", "list", "--limit", "1500"))) == 1500
    assert len(set(names(here("calls", "list", "--all")))) == 2100


def test_a_list_is_json_if_asked(here: Here, filled: Ledger) -> None:
    rows = [json.loads(line) for line in here("calls", "list", "--json").splitlines()]
    assert [row["call_id"] for row in rows] == ["call-3", "call-2", "call-1"]
    assert rows[2] == {
        "call_id": "call-1",
        "client_id": "client-001",
        "started_at": "2026-11-21T08:18:22Z",
        "ended_at": "2026-11-21T08:19:45Z",
        "current_state": "completed",
        "is_transferred": False,
        "handover_summary": None,
        "caller_number": "03-0000-0001",
    }


def test_a_call_is_shown_with_its_transcript(here: Here, filled: Ledger) -> None:
    shown = here("calls", "show", "call-1")
    assert "caller       03-0000-0001\n" in shown
    assert "ended        2026-11-21 08:19:45\n" in shown
    assert shown.endswith(
        "08:18:22  user  greeting      こんにちは\n08:18:22  ai    greeting      お電話ありがとうございます\n"
    )
    assert "handed over  yes: 金曜の予約\n" in here("calls", "show", "call-2")


def test_a_transcript_of_any_length_is_shown(here: Here, filled: Ledger) -> None:
    filled.calls.append_logs(
        {"call_id": "call-3", "role": "user", "text": f"line {n}", "state": "s"} for n in range(2500)
    )
    shown = [line for line in here("calls", "show", "call-3").splitlines() if "line" in line]
    assert [line.split()[-1] for line in shown] == [str(n) for n in range(2500)]
    assert len(json.loads(here("calls", "show", "call-3", "--json"))["logs"]) == 2500


def test_a_text_cannot_command_the_terminal(here: Here, filled: Ledger) -> None:
    filled.calls.append_log("call-3", "user", "\x1b]0;owned\x07 red\x1b[31m\nnext\r\nline\x9b1m")
    filled.calls.append_log("call-3", "user", "👩‍👩‍👧 tab\there")
    for command in (["show", "call-3"], ["search", "owned"], ["tail", "call-1"]):
        assert not set(here("calls", *command)) & {"\x1b", "\x07", "\r", "\x9b"}
    assert r"\x1b]0;owned\x07 red\x1b[31m next line\x9b1m" in here("calls", "show", "call-3")
    assert "👩‍👩‍👧 tab here" in here("calls", "show", "call-3")


def test_a_search_finds_lines(here: Here, filled: Ledger) -> None:
    assert here("calls", "search", "お電話").splitlines()[1].split()[-1] == "お電話ありがとうございます"
    hit = json.loads(here("calls", "search", "電話", "--json"))
    assert (hit["log"]["role"], hit["call"]["call_id"]) == ("ai", "call-1")
    assert here("calls", "search", "お電話", "--client", "client-002") == ""
    here("calls", "search", " ", code=1)
    assert one_line(here.said) == "nothing to search for"


def test_a_search_goes_on_where_it_ended(here: Here, ledger: Ledger) -> None:
    ledger.calls.append_logs(
        {"call_id": "call-1", "role": "user", "text": f"booking {n}", "client_id": "c", "state": "s"}
        for n in range(1300)
    )
    first = here("calls", "search", "booking", "--limit", "1200", "--json").splitlines()
    rest = here("calls", "search", "booking", "--cursor", here.said.split()[-1], "--limit", "999", "--json")
    texts = [json.loads(line)["log"]["text"] for line in [*first, *rest.splitlines()]]
    assert texts == [f"booking {n}" for n in reversed(range(1300))]


def test_tail_follows_a_call_until_it_ends(filled: Ledger, url: str) -> None:
    filled.calls.append_log("call-3", "user", "before")
    with tail(url, "call-3") as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("before\n")
        for n in range(3):
            filled.calls.append_log("call-3", "ai", f"line {n}")
            assert process.stdout.readline().endswith(f"line {n}\n")
        filled.calls.append_log("call-3", "ai", "the last")
        filled.calls.complete("call-3")
        out, said = process.communicate(timeout=20)
        assert (out.split()[-1], said, process.returncode) == ("last", "call-3 has ended: completed\n", 0)


def test_tail_waits_for_a_call_if_asked(filled: Ledger, url: str) -> None:
    with tail(url, "call-9", "--wait", "--json") as process:
        filled.calls.start("call-8", "c")
        filled.calls.append_log("call-9", "user", "もしもし", client_id="c")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["text"] == "もしもし"


def test_tail_begins_with_as_many_lines_as_asked(here: Here, filled: Ledger) -> None:
    filled.calls.append_logs(
        {"call_id": "call-3", "role": "user", "text": f"line {n}", "state": "s"} for n in range(2500)
    )
    filled.calls.complete("call-3")
    for asked, first in ((0, 2500), (1, 2499), (10, 2490), (2400, 100), (9999, 0)):
        lines = here("calls", "tail", "call-3", "-n", str(asked)).splitlines()
        assert [line.split()[-1] for line in lines] == [str(n) for n in range(first, 2500)]


def test_a_script_records_a_call(here: Here, ledger: Ledger) -> None:
    here("calls", "start", "call-1", "client-001", "--caller", "03-0000-0001")
    here("calls", "append", "call-1", "USER", "こんにちは", "--state", "greeting")
    for _ in range(2):
        here("calls", "append", "call-1", "ai", "はい", "--message-id", "m-1")
    here("calls", "transfer", "call-1", "予約の変更")
    here("calls", "complete", "call-1", "--state", "done")
    call = ledger.calls.get("call-1")
    assert (call.client_id, call.current_state, call.is_transferred) == ("client-001", "done", True)
    assert (call.handover_summary, call.caller_number) == ("予約の変更", "03-0000-0001")
    assert [line.text for line in ledger.calls.transcript("call-1")] == ["こんにちは", "はい"]
    here("calls", "append", "call-1", "robot", "?", code=1)
    assert one_line(here.said) == "role must be 'user' or 'ai', not 'robot'"
    here("calls", "append", "call-2", "user", "?", code=1)
    assert one_line(here.said) == "no such call: call-2"
    here("calls", "append", "call-2", "user", "?", "--client", "c")


def test_delete_asks_first(filled: Ledger, url: str) -> None:
    def delete(*arguments: str, answer: str = "") -> int:
        return daicho("calls", "delete", *arguments, url=url, stdin=answer.encode()).returncode

    assert delete("call-1", answer="n\n") == 1
    assert delete("call-1") == 1
    assert filled.calls.get("call-1")
    assert delete("call-1", answer="y\n") == 0
    assert delete("call-2", "--yes") == 0
    assert [call.call_id for call in filled.calls.list()] == ["call-3"]


def test_on_a_terminal_it_is_drawn_to_fit(filled: Ledger, url: str) -> None:
    filled.calls.append_log("call-3", "user", "[bold]not markup[/bold] " + "長い文" * 60)
    for command in (["list"], ["show", "call-3"], ["search", "not markup"]):
        screen, keyboard = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "calls", *command], env=surroundings(url, COLUMNS="90", TERM="xterm"), stdout=keyboard
        )
        os.close(keyboard)
        drawn = b""
        while True:
            try:
                drawn += os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
        os.close(screen)
        assert process.wait() == 0
        assert b"call-3" in drawn
        assert b"\x1b[1m" in drawn
        if command[0] != "list":
            assert b"[bold]not markup[/bold]" in drawn
