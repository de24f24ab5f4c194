"""What rooms' routes have in common."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from daicho.core.changes import concerns

SAFETY_SECONDS = 5.0
"""How long a stream waits before it looks again without being woken."""


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these problems."""
    return {
        status: {"model": Problem, "description": "Problem", "content": {"application/problem+json": {}}}
        for status in statuses
    }


def changes_of(request: Request, room: str) -> AsyncIterator[None]:
    """Yield when a room may have changed, and every few seconds; ends with the ledger.

    It hears of everything from the moment of this call: read after calling it and nothing is missed.
    """
    return _paced(request.app.state.ledger.changes(), room)


async def _next(changes: AsyncIterator[frozenset[str]]) -> frozenset[str] | None:
    return await anext(changes, None)


async def _paced(changes: AsyncIterator[frozenset[str]], room: str) -> AsyncIterator[None]:
    waiting: asyncio.Future[frozenset[str] | None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(changes))
            done, _ = await asyncio.wait({waiting}, timeout=SAFETY_SECONDS)
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
