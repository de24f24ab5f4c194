"""Calls over HTTP: each route translates to one operation. For signed-in callers only."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Query, Request, status
from fastapi.sse import EventSourceResponse, ServerSentEvent

from daicho.calls.models import Call
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
from daicho.core.operation import Async
from daicho.core.web import changes_of, problems

router = APIRouter(tags=["calls"], responses=problems(401, 422, 503))
BATCH_LINES = 10_000


def _store(request: Request) -> CallStore[Async]:
    store: CallStore[Async] = request.app.state.ledger.calls
    return store


Calls = Annotated[CallStore[Async], Depends(_store)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]


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
    after: Annotated[int | None, Query(description="Only lines after the one with this id.")] = None,
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


async def _known(calls: Calls, call_id: str) -> Call:
    return await calls.get(call_id)


@router.get("/calls/{call_id:path}/events", response_class=EventSourceResponse, responses=problems(404))
async def follow_call(
    request: Request,
    calls: Calls,
    call_id: str,
    _: Annotated[Call, Depends(_known)],
    after: Annotated[int, Query(description="Only lines after the one with this id.")] = 0,
    last_event_id: Annotated[int | None, Header(description="As browsers send it on reconnecting.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """A call as it happens: `log` for each line (its id is the event's), `call` when the call itself
    changes, `end` when it has ended. Goes on where `Last-Event-ID` left off."""
    changed = changes_of(request, "calls")
    seen = max(after, last_event_id or 0)
    shown: CallOut | None = None
    while True:
        # The call first, its lines after: when it is seen to have ended, all its lines are seen too.
        call = CallOut.model_validate(await calls.get(call_id))
        cursor: str | None = None
        while True:
            page = await calls.transcript(call_id, after=seen, limit=500, cursor=cursor)
            for line in page.items:
                log = LogOut.model_validate(line)
                yield ServerSentEvent(event="log", id=str(log.id), data=log)
            if page.items:
                seen = page.items[-1].id
            if page.next is None:
                break
        if call != shown:
            shown = call
            yield ServerSentEvent(event="call", data=call)
        if call.ended_at is not None:
            yield ServerSentEvent(event="end", data=call)
            return
        if await anext(changed, False) is False:
            return


# A call's own name may hold slashes, so its plain path is tried after all that end in something.
@router.get("/calls/{call_id:path}", responses=problems(404))
async def get_call(calls: Calls, call_id: str) -> CallOut:
    """One call."""
    return CallOut.model_validate(await calls.get(call_id))


@router.delete("/calls/{call_id:path}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_call(calls: Calls, call_id: str) -> None:
    """Delete a call and its transcript."""
    await calls.delete(call_id)
