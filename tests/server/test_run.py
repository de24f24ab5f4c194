"""``daicho serve``: what it refuses, what it prints, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
import pytest

from daicho import Invalid, Ledger, Settings
from daicho.core.sections import Server
from daicho.server.run import serve
from tests.serving import TOKEN, Running


@dataclass
class Served:
    """A ``daicho serve`` of its own process, and the lines that it has printed."""

    process: subprocess.Popen[str]
    said: list[str]

    @property
    def base(self) -> str:
        return re.findall(r"http://[^/]+", self.said[1])[0]

    @property
    def link(self) -> str:
        return re.findall(r"token=(\S+)", self.said[1])[0]

    @property
    def bearer(self) -> str:
        return re.findall(r"Bearer (\S+)", self.said[2])[0]

    def client(self, token: str | None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base, headers=headers, trust_env=False, timeout=30)

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; return its exit code and what it has complained of."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        return self.process.wait(20), self.process.stderr.read()


@contextmanager
def served(url: str, *options: str, **environment: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "daicho", "--database", url, "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stdout is not None
        yield Served(process, [process.stdout.readline() for _ in range(3)])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104
def test_a_host_other_than_loopback_needs_a_token(host: str) -> None:
    with pytest.raises(Invalid, match="set DAICHO_TOKEN"):
        serve(Settings(server=Server(host=host, port=0)))


def test_a_port_in_use_is_said(one_server: Running, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    port = int(one_server.base.rsplit(":", 1)[1])
    with pytest.raises(Invalid, match=rf"port {port} .* in use; choose another with --port"):
        serve(Settings(server=Server(port=port)))


def test_it_prints_a_link_serves_and_ends_in_order(url: str) -> None:
    with served(url) as server:
        with server.client(None) as browser:
            assert browser.get("/health").json()["status"] == "ok"
            assert browser.get("/api/v1/calls").status_code == 401
            assert browser.get(f"/?token={server.link}").status_code == 303
            assert "token=" in server.next_line()
            assert browser.get("/api/v1/calls").status_code == 200
        with server.client(server.bearer) as client:
            client.post("/api/v1/calls", json={"call_id": "call-1", "client_id": "c"})
            with client.stream("GET", "/api/v1/calls/call-1/events") as stream:
                assert next(stream.iter_lines()) == "event: call"
                assert server.end() == (0, "")  # with a reader still there


def test_a_reader_that_has_stopped_reading_does_not_hold_up_the_end(sqlite_url: str) -> None:
    with served(sqlite_url) as server:
        with Ledger(sqlite_url) as ledger:
            ledger.calls.start("call-1", "c")
            for _ in range(4):
                ledger.calls.append_log("call-1", "ai", "x" * 5_000_000, state="s")
        host, port = server.base.removeprefix("http://").split(":")
        request = f"GET /api/v1/calls/call-1/events HTTP/1.1\r\nHost: {host}\r\n"
        with socket.create_connection((host, int(port))) as stuck:
            stuck.sendall(f"{request}Authorization: Bearer {server.bearer}\r\n\r\n".encode())
            assert stuck.recv(12) == b"HTTP/1.1 200"
            assert server.end(signal.SIGINT) == (0, "")


def test_a_token_that_was_set_is_not_printed(sqlite_url: str) -> None:
    with served(sqlite_url, "--host", "127.0.0.2", DAICHO_TOKEN=TOKEN) as server:
        with server.client(TOKEN) as client:
            assert client.get("/api/v1/calls").status_code == 200
        assert not any(TOKEN in line for line in server.said)
        assert server.end() == (0, "")


def test_the_demo_is_a_child_that_ends_with_it(sqlite_url: str) -> None:
    with served(sqlite_url, "--demo") as server, server.client(server.bearer) as client:
        demo = psutil.Process(server.process.pid).children()
        assert len(demo) == 1
        client.get("/health")
        assert server.end() == (0, "")
        assert not demo[0].is_running()
