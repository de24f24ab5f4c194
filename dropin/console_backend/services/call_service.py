"""Operations on calls in a session of the caller's, which they commit.

As in ``service_client``, a line starts a call that is not known; marking or completing one is a warning.
"""

import logging
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session

import daicho_dropin
from console_backend.database import NAIVE
from console_backend.schemas import AppendLogRequest
from daicho.calls.models import Call, CallLog
from daicho.core.errors import NotFound
from daicho.core.manners import zoned

logger = logging.getLogger("console_backend")


def ensure_call(
    db: Session, call_id: str, client_id: str, *, started_at: datetime | None = None, state: str = "init"
) -> Call:
    """Record that a call begins, or that a call already known is in this state, and return it."""
    with daicho_dropin.ledger(NAIVE).within(db) as tx:
        call = tx.calls.start(call_id, client_id, state=state, started_at=zoned(started_at, NAIVE))
    return _fresh(db, call)


def append_log(db: Session, call_id: str, request: AppendLogRequest) -> CallLog:
    """Append a line to a call's transcript, and return it; an unknown call begins with it."""
    with daicho_dropin.ledger(NAIVE).within(db) as tx:
        at = zoned(request.timestamp, NAIVE)
        line = tx.calls.append_log(
            call_id, request.role, request.text, state=request.state, timestamp=at, client_id=""
        )
    return db.get_one(CallLog, line.id)


def mark_transfer(db: Session, call_id: str, summary: str) -> Call | None:
    """Record that a call was handed to a person, and return it; None, and a warning, if it is not known."""
    with daicho_dropin.ledger(NAIVE).within(db) as tx:
        try:
            call = tx.calls.mark_transfer(call_id, summary)
        except NotFound as error:
            logger.warning("mark_transfer: %s", error)
            return None
    return _fresh(db, call)


def complete_call(db: Session, call_id: str, *, ended_at: datetime | None = None) -> Call | None:
    """Record that a call has ended, and return it; None, and a warning, if it is not known."""
    with daicho_dropin.ledger(NAIVE).within(db) as tx:
        try:
            call = tx.calls.complete(call_id, ended_at=zoned(ended_at, NAIVE))
        except NotFound as error:
            logger.warning("complete_call: %s", error)
            return None
    return _fresh(db, call)


def list_calls(
    db: Session,
    *,
    client_id: str | None = None,
    active: bool | None = None,
    only_transferred: bool | None = None,
    date_from: date | None = None,
    date_to: date | None = None,
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[Call], int]:
    """Return calls, latest started first, and how many there are in all.

    Args:
        client_id: only this client's.
        active: only calls that go on (True) or have ended (False).
        only_transferred: only calls that were (True) or were not (False) handed over.
        date_from, date_to: only calls that began on these days of UTC, or between them.
        limit: 1 to 1,000. offset: how many to leave out.
    """
    calls, total = (
        daicho_dropin.ledger(NAIVE)
        .over(db)
        .calls.list_counted(
            client_id=client_id,
            live=active,
            transferred=only_transferred,
            since=None if date_from is None else datetime.combine(date_from, time(), UTC),
            until=None if date_to is None else datetime.combine(date_to + timedelta(days=1), time(), UTC),
            limit=limit,
            offset=offset,
        )
    )
    return list(calls), total


def _fresh(db: Session, call: Call) -> Call:
    db.refresh(call)
    return call
