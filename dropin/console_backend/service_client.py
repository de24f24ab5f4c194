"""What a telephone gateway tells the console while it talks (seed 000, console_backendモジュール経由).

A phone call must not stop for its log: a line for a call that nobody has started starts it, for a client that
is not known yet, and marking or completing an unknown call is a warning in the log. What cannot be kept (an
unknown role, a database that does not answer) raises a DaichoError all the same: nothing is lost unsaid.
"""

import logging
from datetime import datetime

import daicho_dropin
from console_backend.database import NAIVE
from daicho.calls.store import CallStore
from daicho.core.errors import NotFound
from daicho.core.manners import zoned
from daicho.core.operation import Sync

logger = logging.getLogger("console_backend")


def start_call(
    call_id: str,
    client_id: str,
    *,
    started_at: datetime | None = None,
    state: str = "init",
    caller_number: str | None = None,
) -> None:
    """Record that a call begins, or that a call already known is in this state."""
    at = zoned(started_at, NAIVE)
    _calls().start(call_id, client_id, state=state, started_at=at, caller_number=caller_number)


def append_call_log(
    call_id: str,
    role: str,
    text: str,
    state: str | None = None,
    *,
    timestamp: datetime | None = None,
    client_id: str | None = None,
    caller_number: str | None = None,
) -> None:
    """Append a line to a call's transcript; an unknown call begins with it."""
    _calls().append_log(
        call_id,
        role,
        text,
        state=state,
        timestamp=zoned(timestamp, NAIVE),
        client_id=client_id or "",
        caller_number=caller_number,
    )


def mark_transfer(call_id: str, summary: str) -> None:
    """Record that a call was handed to a person. An unknown call is a warning."""
    try:
        _calls().mark_transfer(call_id, summary)
    except NotFound as error:
        logger.warning("mark_transfer: %s", error)


def complete_call(call_id: str, *, ended_at: datetime | None = None) -> None:
    """Record that a call has ended. An unknown call is a warning."""
    try:
        _calls().complete(call_id, ended_at=zoned(ended_at, NAIVE))
    except NotFound as error:
        logger.warning("complete_call: %s", error)


def _calls() -> CallStore[Sync]:
    return daicho_dropin.ledger(NAIVE).calls
