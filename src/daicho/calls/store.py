"""The operations on calls: the only place that queries ``calls`` and ``call_logs``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from daicho.calls.keeping import CallKeeping
from daicho.calls.listing import counted, which
from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import CALL, Imported, Role, SearchHit
from daicho.calls.writing import NewLine, write_lines, write_many
from daicho.core.bulk import insert_many
from daicho.core.dialect import containing, insert, matching
from daicho.core.errors import DaichoError, Invalid, NotFound, located
from daicho.core.language import Text
from daicho.core.model import check_text
from daicho.core.operation import Mode, grouped, idempotent, operation, query
from daicho.core.page import Page, check_limit, decode_number, encode, keyset
from daicho.core.types import now

SHORT_SEARCH_WINDOW = 50_000
"""Lines that a search of one or two characters, which no index serves, looks at for one page."""


class CallStore(CallKeeping[Mode]):
    """``ledger.calls``: calls and their transcripts (seed 000)."""

    room = "calls"

    @idempotent
    def start(
        self,
        session: Session,
        call_id: str,
        client_id: str,
        *,
        state: str = "init",
        caller_number: str | None = None,
        started_at: datetime | None = None,
    ) -> Call:
        """Record that a call begins, or that a call already known is in this state.

        Args:
            call_id: the call's own name, at most 64 characters.
            client_id: whose call it is, at most 128 characters.
            state: where the conversation stands, at most 64 characters.
            caller_number: the first real one stays; ``-`` and blanks do not count.
            started_at: an aware instant; now, if None. A call already known keeps its own.

        Returns the call as stored. Raises Invalid. Seed 000, ``start_call``.
        """
        row = new_call(call_id, client_id, state, caller_number, started_at)
        statement = insert(session, Call).values(row)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["call_id"],
            set_={
                "current_state": new.current_state,
                "caller_number": func.coalesce(Call.caller_number, new.caller_number),
                "client_id": case((Call.client_id == "", new.client_id), else_=Call.client_id),
            },
        )
        return session.execute(statement.returning(Call)).scalar_one()

    @grouped(write_lines)
    def append_log(
        self,
        call_id: str,
        role: str,
        text: str,
        *,
        state: str | None = None,
        client_id: str | None = None,
        caller_number: str | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> NewLine:
        """Append one line to a call's transcript and move the call to the line's state.

        Args:
            call_id: the call.
            role: ``user`` or ``ai``, in any letter case.
            text: what was said, at most 16 Mi characters.
            state: where the conversation stands; None keeps the call's.
            client_id: if given, a call not seen before is created for this client.
            caller_number: the first real one stays.
            timestamp: when it was said, an aware instant; now, if None.
            message_id: the caller's own name for the line, at most 64 characters: sent a second
                time it changes nothing and the line first stored is returned.

        Returns the line as stored, once it is durable. Raises NotFound for an unknown call without
        ``client_id``; Invalid. Seed 000, ``append_call_log``.
        """
        said_at = timestamp or now()
        row = CallLog.row(
            call_id=call_id,
            timestamp=said_at,
            role=Role.of(role).value,
            text=text,
            state=state,
            message_id=message_id,
        )
        number = real_number(caller_number)
        call = None if client_id is None else new_call(call_id, client_id, state or "init", number, said_at)
        return NewLine(row, number, call)

    @operation
    def append_logs(self, session: Session, lines: Iterable[Mapping[str, Any]]) -> int:
        """Append many lines, of any calls, in one transaction: all of them or none.

        Args:
            lines: mappings with the arguments of ``append_log`` as keys.

        Returns the number of lines. Raises what ``append_log`` raises, naming the line's number.
        """
        checked = [self._checked(at, line) for at, line in enumerate(lines, 1)]
        for at, missing in write_many(session, checked):
            raise located(missing, _line(at))
        return len(checked)

    def _checked(self, at: int, line: Mapping[str, Any]) -> NewLine:
        """Check the ``at``-th line of many as ``append_log`` checks one."""
        try:
            check = cast("Callable[..., NewLine]", CallStore.append_log.item)
            return check(self, **line)
        except TypeError as error:
            reason = Invalid(str(error).removeprefix("CallStore.append_log() "))
            raise located(reason, _line(at)) from None
        except DaichoError as error:
            raise located(error, _line(at)) from None

    @idempotent
    def mark_transfer(self, session: Session, call_id: str, summary: str) -> Call:
        """Record that a call was handed to a person, with the summary that they get.

        Raises NotFound if there is no such call. Seed 000, ``mark_transfer``.
        """
        values = Call.row(is_transferred=True, handover_summary=summary)
        return _changed(session, call_id, values)

    @idempotent
    def complete(
        self, session: Session, call_id: str, *, state: str = "completed", ended_at: datetime | None = None
    ) -> Call:
        """Record that a call has ended. A call that had ended before stays as it was.

        Args:
            call_id: the call.
            state: its last state.
            ended_at: an aware instant; now, if None.

        Raises NotFound if there is no such call; Invalid. Seed 000, ``complete_call``.
        """
        values = Call.row(current_state=state, ended_at=ended_at or now())
        ended = session.execute(
            update(Call)
            .where(Call.call_id == call_id, Call.ended_at.is_(None))
            .values(values)
            .returning(Call)
        ).scalar_one_or_none()
        return ended or _one(session, call_id)

    @query
    def get(self, session: Session, call_id: str) -> Call:
        """Return a call. Raises NotFound if there is no such call."""
        return _one(session, call_id)

    @query
    def transcript(
        self,
        session: Session,
        call_id: str,
        *,
        after: int | None = None,
        newest_first: bool = False,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Page[CallLog]:
        """Return a call's lines in the order in which they were acknowledged.

        Args:
            call_id: the call.
            after: only lines acknowledged after the one with this ``id``.
            newest_first: turn the order round.
            limit: lines a page, at most 1,000.
            cursor: a former page's ``next``.

        Raises NotFound if there is no such call.
        """
        _one(session, call_id)
        statement = select(CallLog).where(CallLog.call_id == call_id)
        if after is not None:
            statement = statement.where(CallLog.id > after)
        return keyset(session, statement, [CallLog.id], limit=limit, cursor=cursor, descending=newest_first)

    @query
    def search(
        self,
        session: Session,
        text: str,
        *,
        client_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SearchHit]:
        """Find transcript lines that contain a text, letter case aside, latest recorded first.

        An index serves three characters and more. For one or two, a page looks at 50,000 lines at
        the most: it may come back short, even empty, with a ``next`` that goes on from there.

        Raises Invalid for an empty text.
        """
        check_limit(limit)
        if not check_text("text", text, 1_000).strip():
            raise Invalid("nothing to search for", "検索する文字がありません")
        statement = select(CallLog, Call).join(Call, Call.call_id == CallLog.call_id)
        if client_id is not None:
            statement = statement.where(Call.client_id == client_id)
        before = decode_number(cursor)
        if len(text) < 3:
            return _search_window(session, statement, text, before, limit)
        statement, number = matching(session, statement, CallLog.text, text)
        if before is not None:
            statement = statement.where(number < before)
        rows = session.execute(statement.order_by(number.desc()).limit(limit + 1)).all()
        following = encode([rows[limit - 1][0].id]) if len(rows) > limit else None
        return Page([SearchHit(log, call) for log, call in rows[:limit]], following)

    @operation
    def delete(self, session: Session, call_id: str) -> None:
        """Delete a call and its transcript. Raises NotFound if there is no such call."""
        gone = session.execute(delete(Call).where(Call.call_id == call_id).returning(Call.id)).first()
        if gone is None:
            raise NotFound(CALL, call_id)

    @idempotent
    def import_calls(
        self, session: Session, calls: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]
    ) -> Imported:
        """Add whole calls, each a row of ``calls`` and its rows of ``call_logs``, in one transaction.

        A call that is there already is left as it is, with its lines: importing twice adds nothing.
        """
        rows = {call["call_id"]: (call, lines) for call, lines in reversed(calls)}
        statement = insert(session, Call).on_conflict_do_nothing(index_elements=["call_id"])
        added = set(
            session.execute(
                statement.returning(Call.call_id), [dict(rows[key][0]) for key in sorted(rows)]
            ).scalars()
        )
        lines = insert_many(session, CallLog, (line for key in rows if key in added for line in rows[key][1]))
        return Imported(added=len(added), existing=len(calls) - len(added), lines=lines)

    @query
    def list(
        self,
        session: Session,
        *,
        client_id: str | None = None,
        state: str | None = None,
        transferred: bool | None = None,
        live: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Call]:
        """Return calls, latest started first.

        Args:
            client_id, state: only calls of this client, in this state.
            transferred: only calls that were (True) or were not (False) handed over.
            live: only calls that go on (True) or have ended (False).
            since, until: only calls started at or after, and before, these aware instants.
            limit: calls a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        wanted = which(client_id, transferred, live, since, until)
        if state is not None:
            wanted.append(Call.current_state == state)
        statement = select(Call).where(*wanted)
        return keyset(
            session, statement, [Call.started_at, Call.id], limit=limit, cursor=cursor, descending=True
        )

    @query
    def list_counted(
        self,
        session: Session,
        *,
        client_id: str | None = None,
        transferred: bool | None = None,
        live: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[Sequence[Call], int]:
        """Return calls, latest started first, and how many there are in all. ``list`` goes deep at less cost.

        Args:
            client_id, transferred, live, since, until: as for ``list``.
            limit: 1 to 1,000. offset: how many to leave out, 0 or more.

        Raises Invalid. Seed 000's console, ``list_calls``.
        """
        return counted(session, which(client_id, transferred, live, since, until), limit, offset)


# -- checked rows --------------------------------------------------------------------------------


def new_call(
    call_id: str, client_id: str, state: str, caller_number: str | None, started_at: datetime | None
) -> dict[str, Any]:
    """Return a checked row of ``calls`` for a call that begins."""
    if not call_id:
        raise Invalid("call_id is empty", "call_id が空です")
    return Call.row(
        call_id=call_id,
        client_id=client_id,
        started_at=started_at or now(),
        current_state=state,
        is_transferred=False,
        caller_number=real_number(caller_number),
    )


def real_number(caller_number: str | None) -> str | None:
    """Return a caller's number, or None for one that says nothing: blanks, dashes."""
    number = (caller_number or "").strip()
    if not number.strip("-‐−–—－ー"):
        return None
    Call.row(caller_number=number)
    return number


def _line(at: int) -> Text:
    return Text(f"line {at}", f"{at} 行目")


# -- shared statements ---------------------------------------------------------------------------


def _one(session: Session, call_id: str) -> Call:
    call = session.execute(select(Call).where(Call.call_id == call_id)).scalar_one_or_none()
    if call is None:
        raise NotFound(CALL, call_id)
    return call


def _changed(session: Session, call_id: str, values: Mapping[str, Any]) -> Call:
    call = session.execute(
        update(Call).where(Call.call_id == call_id).values(values).returning(Call)
    ).scalar_one_or_none()
    if call is None:
        raise NotFound(CALL, call_id)
    return call


def _search_window(
    session: Session, statement: Any, text: str, before: int | None, limit: int
) -> Page[SearchHit]:
    """Look for a text that no index serves in one window of lines, and say where to go on."""
    top = before if before is not None else (session.scalar(select(func.max(CallLog.id))) or 0) + 1
    bottom = top - SHORT_SEARCH_WINDOW
    rows = session.execute(
        statement.where(CallLog.id < top, CallLog.id >= bottom, containing(CallLog.text, text))
        .order_by(CallLog.id.desc())
        .limit(limit + 1)
    ).all()
    hits = [SearchHit(log, call) for log, call in rows[:limit]]
    if len(rows) > limit:
        return Page(hits, encode([hits[-1].log.id]))
    return Page(hits, encode([bottom]) if bottom > 1 else None)
