"""What rooms' routes have in common."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from daicho.core.changes import concerns

SAFETY_SECONDS = 5.0
"""How long a stream waits before it looks again without being woken."""
PING_SECONDS = 15.0
"""How long a stream is silent before it says that it still lives."""


LINES_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
"""The media types of a stream of lines, each a JSON document."""


def media_type(request: HTTPConnection) -> str:
    """Return the media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these problems."""
    return {
        status: {"model": Problem, "description": "Problem", "content": {"application/problem+json": {}}}
        for status in statuses
    }


@dataclass(frozen=True, slots=True)
class Event:
    """One Server-Sent Event. With an ``id``, a client that comes back can say how far it had got."""

    kind: str
    data: BaseModel
    id: int | str | None = None

    def __str__(self) -> str:
        numbered = "" if self.id is None else f"id: {self.id}\n"
        return f"event: {self.kind}\n{numbered}data: {self.data.model_dump_json()}\n\n"


class EventStream(StreamingResponse):
    """Answers with events as they happen; ends when they do, or when the client goes.

    Args:
        events: the events; None says that there is nothing new, which keeps the connection open.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event | None]) -> None:
        # No cache and no proxy is to wait for the end, which may be hours away.
        super().__init__(_written(events), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _written(events: AsyncIterator[Event | None]) -> AsyncIterator[str]:
    spoken = monotonic()
    async for event in events:
        if event is not None:
            yield str(event)
        elif monotonic() - spoken >= PING_SECONDS:
            yield ": nothing new\n\n"
        else:
            continue
        spoken = monotonic()


def changes_of(request: Request, room: str, patience: float = SAFETY_SECONDS) -> AsyncIterator[None]:
    """Yield when a room may have changed, and after ``patience`` seconds; ends with the ledger.

    It hears of everything from the moment of this call: read after calling it and nothing is missed.
    """
    return _paced(request.app.state.ledger.changes(), room, patience)


async def _next(changes: AsyncIterator[frozenset[str]]) -> frozenset[str] | None:
    return await anext(changes, None)


async def _paced(changes: AsyncIterator[frozenset[str]], room: str, patience: float) -> AsyncIterator[None]:
    waiting: asyncio.Future[frozenset[str] | None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(changes))
            done, _ = await asyncio.wait({waiting}, timeout=patience)
            if not done:
                yield
                continue
            rooms = waiting.result()
            waiting = None
            if rooms is None:
                return
            if concerns(room, rooms):
                yield
    finally:
        if waiting is not None:
            waiting.cancel()
