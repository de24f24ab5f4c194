"""Calls over HTTP: each route translates to one operation. For signed-in callers only."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Query, Request, status

from daicho.calls.schemas import (
    CallOut,
    CallPage,
    CompleteIn,
    HitPage,
    LogIn,
    LogOut,
    LogPage,
    StartIn,
    TransferIn,
)
from daicho.calls.store import CallStore
from daicho.core.errors import NotFound, Unavailable
from daicho.core.operation import Async
from daicho.core.web import Event, EventStream, changes_of, problems

log = logging.getLogger("daicho")
router = APIRouter(tags=["calls"], responses=problems(401, 422, 503))
BATCH_LINES = 10_000
STREAM_LINES = 500
"""Lines that an event stream reads at once."""


def _store(request: Request) -> CallStore[Async]:
    store: CallStore[Async] = request.app.state.ledger.calls
    return store


Calls = Annotated[CallStore[Async], Depends(_store)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]
After = Annotated[int | None, Query(ge=0, lt=2**63, description="Only lines after the one with this id.")]
LastEventId = Annotated[
    int | None, Header(ge=0, lt=2**63, description="As browsers send it on reconnecting.")
]


@router.get("/calls")
async def list_calls(
    calls: Calls,
    client_id: str | None = None,
    state: str | None = None,
    transferred: bool | None = None,
    live: bool | None = None,
    since: Annotated[datetime | None, Query(description="Started at or after; with its zone.")] = None,
    until: Annotated[datetime | None, Query(description="Started before; with its zone.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> CallPage:
    """Calls, latest started first."""
    page = await calls.list(
        client_id=client_id,
        state=state,
        transferred=transferred,
        live=live,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return CallPage.model_validate(page)


@router.post("/calls", status_code=status.HTTP_201_CREATED)
async def start_call(calls: Calls, call: StartIn) -> CallOut:
    """A call begins; or a call already known is in this state. Safe to repeat."""
    started = await calls.start(
        call.call_id,
        call.client_id,
        state=call.state,
        caller_number=call.caller_number,
        started_at=call.started_at,
    )
    return CallOut.model_validate(started)


@router.get("/search/calls")
async def search_calls(
    calls: Calls,
    q: Annotated[str, Query(description="Part of what was said.", examples=["予約"])],
    client_id: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HitPage:
    """Transcript lines that contain a text, latest recorded first, each with its call."""
    return HitPage.model_validate(await calls.search(q, client_id=client_id, limit=limit, cursor=cursor))


@router.get("/calls/{call_id:path}/transcript", responses=problems(404))
async def read_transcript(
    calls: Calls,
    call_id: str,
    after: After = None,
    newest_first: bool = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> LogPage:
    """A call's lines in the order in which they were acknowledged."""
    page = await calls.transcript(call_id, after=after, newest_first=newest_first, limit=limit, cursor=cursor)
    return LogPage.model_validate(page)


@router.post("/calls/{call_id:path}/logs", status_code=status.HTTP_201_CREATED, responses=problems(404))
async def append_line(calls: Calls, call_id: str, line: LogIn) -> LogOut:
    """Append a line; it is durable when this answers. With a `message_id`, safe to repeat."""
    return LogOut.model_validate(await calls.append_log(call_id, **line.model_dump()))


@router.post("/calls/{call_id:path}/logs/batch", status_code=status.HTTP_201_CREATED, responses=problems(404))
async def append_lines(
    calls: Calls, call_id: str, lines: Annotated[list[LogIn], Body(max_length=BATCH_LINES)]
) -> dict[str, int]:
    """Append many lines in one transaction: all of them or none."""
    return {
        "appended": await calls.append_logs([{"call_id": call_id, **line.model_dump()} for line in lines])
    }


@router.post("/calls/{call_id:path}/transfer", responses=problems(404))
async def transfer_call(calls: Calls, call_id: str, transfer: TransferIn) -> CallOut:
    """The call is handed to a person. Safe to repeat."""
    return CallOut.model_validate(await calls.mark_transfer(call_id, transfer.summary))


@router.post("/calls/{call_id:path}/complete", responses=problems(404))
async def complete_call(calls: Calls, call_id: str, end: CompleteIn | None = None) -> CallOut:
    """The call ends. A call that had ended before stays as it was."""
    end = end or CompleteIn()
    return CallOut.model_validate(await calls.complete(call_id, state=end.state, ended_at=end.ended_at))


@router.get(
    "/calls/{call_id:path}/events", status_code=200, response_class=EventStream, responses=problems(404)
)
async def follow_call(
    request: Request, calls: Calls, call_id: str, after: After = None, last_event_id: LastEventId = None
) -> EventStream:
    """A call as it happens: `log` for each line (its id is the event's), `call` when the call itself
    changes, `end` when it has ended. Goes on where `Last-Event-ID` left off."""
    await calls.get(call_id)  # not found is an answer of its own, which no stream can give any more
    changed = changes_of(request, "calls")
    return EventStream(_happenings(calls, call_id, max(after or 0, last_event_id or 0), changed))


async def _happenings(
    calls: Calls, call_id: str, seen: int, changed: AsyncIterator[None]
) -> AsyncIterator[Event | None]:
    shown: CallOut | None = None
    while True:
        try:
            # The call first, its lines after: when it is seen to have ended, all its lines are seen too.
            call = CallOut.model_validate(await calls.get(call_id))
            async for line in _lines_after(calls, call_id, seen):
                yield Event("log", line, line.id)
                seen = line.id
        except NotFound:
            return  # deleted meanwhile, which who comes back is told
        except Unavailable as error:
            log.info("events of call %s: %s", call_id, error)  # the next look goes on from here
        else:
            if call != shown:
                shown = call
                yield Event("call", call)
            if call.ended_at is not None:
                yield Event("end", call)
                return
        yield None
        if await anext(changed, False) is False:
            return


async def _lines_after(calls: Calls, call_id: str, seen: int) -> AsyncIterator[LogOut]:
    more = True
    while more:
        page = await calls.transcript(call_id, after=seen, limit=STREAM_LINES)
        for line in page.items:
            yield LogOut.model_validate(line)
            seen = line.id
        more = page.next is not None


# A call's own name may hold slashes, so its plain path is tried after all that end in something.
@router.get("/calls/{call_id:path}", responses=problems(404))
async def get_call(calls: Calls, call_id: str) -> CallOut:
    """One call."""
    return CallOut.model_validate(await calls.get(call_id))


@router.delete("/calls/{call_id:path}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_call(calls: Calls, call_id: str) -> None:
    """Delete a call and its transcript."""
    await calls.delete(call_id)
