"""Which calls a list is of, and lists with a number of all."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from daicho.calls.models import Call
from daicho.core.page import check_limit, check_offset


def which(
    client_id: str | None,
    transferred: bool | None,
    live: bool | None,
    since: datetime | None,
    until: datetime | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a list of calls; the arguments are those of ``CallStore.list``."""
    wanted: list[ColumnElement[bool]] = []
    if client_id is not None:
        wanted.append(Call.client_id == client_id)
    if transferred is not None:
        wanted.append(Call.is_transferred.is_(transferred))
    if live is not None:
        wanted.append(Call.ended_at.is_(None) if live else Call.ended_at.is_not(None))
    if since is not None:
        wanted.append(Call.started_at >= since)
    if until is not None:
        wanted.append(Call.started_at < until)
    return wanted


def counted(
    session: Session, wanted: Sequence[ColumnElement[bool]], limit: int, offset: int
) -> tuple[Sequence[Call], int]:
    """Return some calls, latest started first, and how many there are in all."""
    page = select(Call).where(*wanted).order_by(Call.started_at.desc(), Call.id.desc())
    some = session.scalars(page.limit(check_limit(limit)).offset(check_offset(offset))).all()
    return some, session.scalar(select(func.count()).select_from(Call).where(*wanted)) or 0
