"""The server while its database goes away and comes back, and when it is killed itself."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from daicho import Ledger
from tests.server.test_run import Served, served
from tests.survival.counting import Said, discrepancies, query
from tests.survival.proxy import Proxy
from tests.survival.writes import line, prepare

CALL = "a"
WRITERS = 4


def post(client: httpx.Client, name: str) -> httpx.Response:
    """Send a line."""
    body = {"role": "user", "text": name, "state": "s", "client_id": "c", "message_id": name}
    return client.post(f"/api/v1/calls/{CALL}/logs", json=body)


class Writing:
    """Threads that send lines, repeat what was answered by 503 or not at all, and remember it all."""

    def __init__(self) -> None:
        self.said = Said()
        self.pending: set[str] = set()
        self.others: list[str] = []
        self.stopping = threading.Event()
        self.refused = threading.Event()

    def until_stopped(self, server: Served, number: int) -> None:
        with server.client(server.bearer) as client:
            for at in count():
                if self.stopping.is_set() or not self.once(client, f"{CALL}/line/{number}.{at}"):
                    return

    def once(self, client: httpx.Client, name: str) -> bool:
        """Send until it is acknowledged; return whether the server lives."""
        self.said.sent.add(name)
        self.pending.add(name)
        while True:
            try:
                answer = post(client, name)
            except httpx.TransportError:
                return False
            if answer.status_code == 201:
                self.said.done.append(name)
                self.pending.discard(name)
                return True
            self.refused.set()
            kind = answer.headers["content-type"]
            if answer.status_code != 503 or "problem+json" not in kind or "retry-after" not in answer.headers:
                self.others.append(answer.text)
                return False


def events(client: httpx.Client, found: list[str], enough: threading.Event, wanted: str) -> None:
    """Read a call's events to the one wanted."""
    with client.stream("GET", f"/api/v1/calls/{CALL}/events") as stream:
        kind = ""
        for text in stream.iter_lines():
            if text.startswith("event:"):
                kind = text.partition(": ")[2]
            elif text.startswith("data:") and kind == "log":
                found.append(json.loads(text.partition(": ")[2])["text"])
                if found[-1] == wanted:
                    enough.set()
                    return


@pytest.fixture
def prepared(postgres_url: str) -> str:
    """A database with a call in it."""
    with Ledger(postgres_url) as ledger:
        prepare(ledger)
        line(ledger, f"{CALL}/line/first")
    return postgres_url


def test_the_server_outlives_its_database_and_each_line_its_server(
    proxy: Proxy, behind: str, prepared: str
) -> None:
    writing = Writing()
    writing.said.sent.add(f"{CALL}/line/first")
    heard: list[str] = []
    complete = threading.Event()
    last = f"{CALL}/line/last"
    with served(behind) as server, ThreadPoolExecutor(WRITERS + 1) as threads:
        with server.client(server.bearer) as listening:
            following = threads.submit(events, listening, heard, complete, last)
            writers = [threads.submit(writing.until_stopped, server, n) for n in range(WRITERS)]
            wait_for(writing, 10)
            proxy.refuse()
            assert writing.refused.wait(30)
            proxy.heal()
            wait_for(writing, 10)
            writing.stopping.set()
            for writer in writers:
                writer.result(60)
            assert not writing.others
            assert not writing.pending
            assert writing.once(listening, last)  # while the other stream goes on
            assert complete.wait(30)
            following.result(30)
        stored = [text for (text,) in query(prepared, "SELECT text FROM call_logs ORDER BY id")]
        assert heard == stored  # all of them, once, in their order
        writing.stopping.clear()
        writers = [threads.submit(writing.until_stopped, server, WRITERS + n) for n in range(WRITERS)]
        wait_for(writing, 10)
        os.kill(server.process.pid, signal.SIGKILL)
        for writer in writers:
            writer.result(60)
    assert discrepancies(prepared, writing.said, ordered=False) == []
    with served(prepared) as server, server.client(server.bearer) as client:
        assert all(writing.once(client, name) for name in sorted(writing.pending))
    assert discrepancies(prepared, writing.said, ordered=False) == []
    assert len(writing.said.done) == len(writing.said.sent) - 1


def wait_for(writing: Writing, more: int) -> None:
    """Wait until so many further lines are acknowledged."""
    wanted, pause = len(writing.said.done) + more, threading.Event()
    for _ in range(3_000):
        if len(writing.said.done) >= wanted or writing.others:
            return
        pause.wait(0.01)
    raise AssertionError("nothing is acknowledged any more")
