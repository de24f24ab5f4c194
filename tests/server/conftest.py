"""What the server's tests start: applications with routes of the test's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import uvicorn
from fastapi import FastAPI

from daicho import AsyncLedger, Settings
from daicho.server.app import create_app
from daicho.server.network import bind
from daicho.server.sessions import Sessions
from tests.serving import TOKEN, Running


@pytest.fixture
def run_app() -> Iterator[Callable[[FastAPI, Sessions], Running]]:
    """Serve an application from a thread until the test ends."""
    with ExitStack() as ends:

        def run(app: FastAPI, sessions: Sessions) -> Running:
            listener = ends.enter_context(closing(bind("127.0.0.1", 0)))
            server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            ends.callback(thread.join)
            ends.callback(setattr, server, "should_exit", True)
            return Running(f"http://127.0.0.1:{listener.getsockname()[1]}", sessions)

        yield run


@pytest.fixture
def bare_app() -> tuple[FastAPI, Sessions]:
    """An application behind the door, without the console, and its keys."""
    sessions = Sessions(TOKEN)
    return create_app(AsyncLedger("sqlite://"), Settings(), sessions=sessions, console=False), sessions
