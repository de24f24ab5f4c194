"""Old calls that leave, and what is left of a caller who is to be forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from daicho.calls.models import Call, CallLog
from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.operation import Mode
from daicho.core.person import FORGOTTEN, Person, Rows, Trace
from daicho.core.sweep import Aged, Along, Sweep

SPACING = ("-", " ", "(", ")")
"""What a telephone number may be written with or without."""


def _old_call(moment: datetime) -> ColumnElement[bool]:
    """Ended before an instant, and nothing was written of it since. A call that goes on is never old."""
    since = exists().where(CallLog.call_id == Call.call_id, CallLog.timestamp >= moment)
    return and_(Call.started_at < moment, Call.ended_at < moment, ~since)


def _old_line(moment: datetime) -> ColumnElement[bool]:
    ended = select(Call.call_id).where(Call.ended_at.is_not(None))
    return and_(CallLog.timestamp < moment, CallLog.call_id.in_(ended))


AGED: Sequence[Aged] = (
    Sweep(
        "calls",
        Call.call_id,
        "ended_at",
        _old_call,
        (Call.started_at, Call.id),
        Along(CallLog.call_id),
    ),
    Sweep("calls", CallLog.id, "timestamp", _old_line, (CallLog.id,)),
)
"""What of this room may leave."""


class CallKeeping(Keeping[Mode]):
    """The part of ``ledger.calls`` that old calls and callers leave by."""

    room = "calls"

    @property
    def aged(self) -> Sequence[Aged]:
        return AGED

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """A caller's calls stay for their number, length and cost; who it was and what was said does not."""
        if not person.callers:
            return ()
        theirs = and_(_of(person), Call.ended_at.is_not(None))
        lines = CallLog.call_id.in_(select(Call.call_id).where(theirs))
        return (
            Rows("calls", CallLog, and_(lines, CallLog.text != FORGOTTEN), {"text": FORGOTTEN}),
            Rows(
                "calls",
                Call,
                theirs,
                {
                    "caller_number": case((Call.caller_number.is_not(None), person.alias)),
                    "client_id": case(
                        (Call.client_id.in_(person.callers), person.alias), else_=Call.client_id
                    ),
                    "handover_summary": case((Call.handover_summary.is_not(None), FORGOTTEN)),
                },
            ),
        )

    def left_of(self, session: Session, person: Person) -> list[Text]:
        if not person.callers:
            return []
        live = select(Call.call_id).where(_of(person), Call.ended_at.is_(None)).limit(100)
        return [
            Text(
                f"call {call_id} goes on; run this again when it has ended",
                f"通話 {call_id} は継続中です。終了後にもう一度実行してください",
            )
            for call_id in session.scalars(live)
        ]


def _of(person: Person) -> ColumnElement[bool]:
    number = _bare(Call.caller_number)
    bare = [_bare_text(name) for name in person.callers]
    return or_(Call.client_id.in_(person.callers), number.in_([name for name in bare if name]))


def _bare(column: Any) -> Any:
    for sign in SPACING:
        column = func.replace(column, sign, "")
    return column


def _bare_text(number: str) -> str:
    for sign in SPACING:
        number = number.replace(sign, "")
    return number
