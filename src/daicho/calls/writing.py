"""How transcript lines reach the database: ``write_lines``, the batch behind ``append_log``.

The row of a line's call is locked (updated) before the line gets its number, so that the numbers of
one call's lines rise in commit order, whoever writes and from wherever; calls are locked in the
order of their ids, so that two batches never wait for each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_, update
from sqlalchemy.orm import Session

from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import CALL
from daicho.core.bulk import insert_many, insert_numbered, run_many
from daicho.core.dialect import Insert, insert_for
from daicho.core.errors import DaichoError, NotFound

Row = dict[str, Any]
TOUCH = (
    update(Call)
    .where(Call.call_id == bindparam("key"))
    .values(
        current_state=bindparam("new_state"),
        caller_number=func.coalesce(Call.caller_number, bindparam("new_number")),
    )
)
CHUNK = 1_000
"""Lines that are looked up and written with one statement each."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """A checked line on its way in. ``new_call`` is the call's row, should it not exist."""

    row: Row
    caller_number: str | None
    new_call: Row | None

    @property
    def must_look(self) -> bool:
        """Whether writing it takes a look first: at its call's state, or for the same message."""
        return self.row["state"] is None or self.row["message_id"] is not None


def write_lines(connection: Connection, lines: Sequence[NewLine]) -> list[CallLog | DaichoError]:
    """Write lines of any calls, move the calls' states, and return each line as stored, in order.

    A line of an unknown call is answered with NotFound, unless it brings the call; one whose
    ``message_id`` is there already with the line as it was first stored.
    """
    _create_calls(connection, lines)
    if any(line.must_look for line in lines):
        return _write_looking(connection, lines)
    rows = [line.row for line in lines]
    missing = _touch_calls(connection, lines)
    if missing:
        rows = [row for row in rows if row["call_id"] not in missing]
    stored = iter(_insert(connection, rows))
    return [
        NotFound(CALL, line.row["call_id"]) if line.row["call_id"] in missing else next(stored)
        for line in lines
    ]


def write_many(session: Session, lines: Sequence[NewLine]) -> Iterator[tuple[int, DaichoError]]:
    """Write any number of lines in bulk; yield the number (from 1) and the error of each bad one."""
    connection = session.connection()
    if any(line.must_look for line in lines):
        for start in range(0, len(lines), CHUNK):
            answers = write_lines(connection, lines[start : start + CHUNK])
            for at, answer in enumerate(answers, start + 1):
                if isinstance(answer, DaichoError):
                    yield at, answer
        return
    _create_calls(connection, lines)
    missing = _touch_calls(connection, lines)
    for at, line in enumerate(lines, 1):
        if line.row["call_id"] in missing:
            yield at, NotFound(CALL, line.row["call_id"])
    insert_many(session, CallLog, (line.row for line in lines if line.row["call_id"] not in missing))


def _write_looking(connection: Connection, lines: Sequence[NewLine]) -> list[CallLog | DaichoError]:
    """As ``write_lines``, where a line must know its call's state or whether it was written before."""
    states = _lock_calls(connection, {line.row["call_id"] for line in lines})
    seen = _seen(connection, [line.row for line in lines if line.row["message_id"] is not None])
    answers: list[CallLog | DaichoError | Row] = []
    new: list[NewLine] = []
    pending: dict[tuple[str, str], Row] = {}
    for line in lines:
        row, name = line.row, (line.row["call_id"], line.row["message_id"])
        if row["call_id"] not in states:
            answers.append(NotFound(CALL, row["call_id"]))
        elif before := seen.get(name) or pending.get(name):
            answers.append(before)
        else:
            if row["state"] is None:
                row["state"] = states[row["call_id"]]
            states[row["call_id"]] = row["state"]
            if row["message_id"] is not None:
                pending[name] = row
            new.append(line)
            answers.append(row)
    if new:
        _touch_calls(connection, new)
    stored = _insert(connection, [line.row for line in new])
    by_row = {id(line.row): log for line, log in zip(new, stored, strict=True)}
    return [by_row[id(answer)] if isinstance(answer, dict) else answer for answer in answers]


def _create_calls(connection: Connection, lines: Sequence[NewLine]) -> None:
    new = {line.row["call_id"]: line.new_call for line in reversed(lines) if line.new_call is not None}
    if new:
        connection.execute(_insert_call(_dialect(connection)), [new[key] for key in sorted(new)])


def _touch_calls(connection: Connection, lines: Sequence[NewLine]) -> set[str]:
    """Move each call to its last line's state, keep its first caller number; return unknown calls."""
    latest: dict[str, Row] = {}
    for line in lines:
        call_id = line.row["call_id"]
        known = latest.get(call_id)
        number = (known and known["new_number"]) or line.caller_number
        latest[call_id] = {"key": call_id, "new_state": line.row["state"], "new_number": number}
    touched = run_many(connection, TOUCH, [latest[key] for key in sorted(latest)])
    if touched == len(latest):
        return set()
    return latest.keys() - _lock_calls(connection, set(latest)).keys()


def _lock_calls(connection: Connection, call_ids: set[str]) -> dict[str, str]:
    rows = connection.execute(
        select(Call.call_id, Call.current_state)
        .where(Call.call_id.in_(sorted(call_ids)))
        .order_by(Call.call_id)
        .with_for_update()
    )
    return {row.call_id: row.current_state for row in rows}


def _seen(connection: Connection, rows: Sequence[Row]) -> dict[tuple[str, str | None], CallLog]:
    if not rows:
        return {}
    names = [(row["call_id"], row["message_id"]) for row in rows]
    found = Session(connection).scalars(
        select(CallLog).where(
            CallLog.message_id.is_not(None), tuple_(CallLog.call_id, CallLog.message_id).in_(names)
        )
    )
    return {(log.call_id, log.message_id): log for log in found}


def _insert(connection: Connection, rows: Sequence[Row]) -> list[CallLog]:
    if not rows:
        return []
    numbers = insert_numbered(connection, CallLog, rows)
    return [CallLog.of({"id": number, **row}) for number, row in zip(numbers, rows, strict=True)]


def _dialect(connection: Connection) -> str:
    return connection.dialect.name


@cache
def _insert_call(dialect: str) -> Insert:
    return insert_for(dialect, Call).on_conflict_do_nothing(index_elements=["call_id"])
