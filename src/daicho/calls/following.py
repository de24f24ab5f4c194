"""Following a call: its lines as they are spoken."""

from collections.abc import AsyncIterator

from daicho.calls.models import Call, CallLog
from daicho.calls.needs import LiveCallLedger
from daicho.calls.store import CallStore
from daicho.core.changes import until_changed
from daicho.core.errors import NotFound
from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX

LOOK_SECONDS = 10.0
"""The longest time without a look: a writer that dies may take its wake-up with it."""


async def follow(
    ledger: LiveCallLedger, call_id: str, *, history: int, wait: bool
) -> AsyncIterator[tuple[Call, CallLog | None]]:
    """Give a call with each of its lines as it comes; last the call alone, once it has ended.

    Args:
        history: how many of the lines that are there already come first.
        wait: wait for a call that is not there yet.

    Raises NotFound for a call that is not there, unless it is to be waited for.
    """
    await _get(ledger.calls, call_id, wait)  # what is wrong is said before anything listens
    changes = ledger.changes()
    while (call := await _get(ledger.calls, call_id, wait)) is None:
        await until_changed(changes, "calls", LOOK_SECONDS)
    newest = await _latest(ledger.calls, call_id, max(history, 1))
    for line in newest[-history:] if history else []:
        yield call, line
    last = newest[-1].id if newest else 0
    while True:
        # The call before its lines: one that has ended by then has no line that is not seen below.
        call = await ledger.calls.get(call_id)
        while lines := (await ledger.calls.transcript(call_id, after=last, limit=LIMIT_MAX)).items:
            for line in lines:
                yield call, line
            last = lines[-1].id
        if call.ended_at is not None:
            yield call, None
            return
        await until_changed(changes, "calls", LOOK_SECONDS)


async def _get(calls: CallStore[Async], call_id: str, wait: bool) -> Call | None:
    try:
        return await calls.get(call_id)
    except NotFound:
        if not wait:
            raise
        return None


async def _latest(calls: CallStore[Async], call_id: str, count: int) -> list[CallLog]:
    """A call's last ``count`` lines, in spoken order."""
    lines: list[CallLog] = []
    cursor: str | None = None
    while len(lines) < count:
        limit = min(count - len(lines), LIMIT_MAX)
        page = await calls.transcript(call_id, newest_first=True, limit=limit, cursor=cursor)
        lines += page.items
        if (cursor := page.next) is None:
            break
    return lines[::-1]
