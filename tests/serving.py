"""A real server: uvicorn on a free port of 127.0.0.1, with a ledger of its own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from daicho import AsyncLedger, Settings
from daicho.core.sections import Server
from daicho.server.app import create_app
from daicho.server.network import bind
from daicho.server.sessions import Sessions

TOKEN = "a-token-for-the-tests-only"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Every client would read the authorities' certificates anew, and speaks plain HTTP."""


@dataclass
class Running:
    """A server that answers, and clients that may or may not come in."""

    base: str
    sessions: Sessions

    def client(self, token: str | None = TOKEN, **headers: str) -> httpx.Client:
        """Return a client with a bearer token, or (None) with none."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.base, headers=given | headers, timeout=20, trust_env=False, verify=NO_TLS
        )


@contextmanager
def running(url: str, *, traces: Any = None, **server_settings: Any) -> Iterator[Running]:
    """Serve a ledger's API from a thread until the block ends."""
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    settings = Settings(server=Server(port=port, **server_settings))
    sessions = Sessions(TOKEN)
    begun = threading.Event()
    stop: Callable[[], None] = lambda: None  # noqa: E731

    def run() -> None:
        async def main() -> None:
            nonlocal stop
            async with AsyncLedger(url) as ledger:
                app = create_app(ledger, settings, sessions=sessions, console=False, traces=traces)
                config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
                server = uvicorn.Server(config)

                def end() -> None:
                    server.should_exit = True

                stop = end
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                begun.set()
                await serving

        asyncio.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    try:
        yield Running(f"http://127.0.0.1:{port}", sessions)
    finally:
        stop()
        thread.join()


@pytest.fixture
def server(url: str) -> Iterator[Running]:
    """A server on each database."""
    with running(url) as running_server:
        yield running_server


@pytest.fixture
def one_server(sqlite_url: str) -> Iterator[Running]:
    """A server, where the database makes no difference."""
    with running(sqlite_url) as running_server:
        yield running_server
