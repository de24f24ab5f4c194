"""Calls from files: the JSON lines that ``import`` reads, which are those that ``export`` writes.

``docs/formats.md`` describes them for people.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import Imported, Role
from daicho.calls.store import CallStore, real_number
from daicho.core.errors import DaichoError, Invalid
from daicho.core.lines import line_text, numbered_lines, reason_of
from daicho.core.operation import Sync
from daicho.core.types import now

Row = dict[str, Any]
CallRows = tuple[Row, list[Row]]
"""A row of ``calls`` and its rows of ``call_logs``."""

CHUNK_CALLS = 200
CHUNK_BYTES = 8 * 1024 * 1024
"""How much of a file one transaction carries, whichever is reached first."""
SPOKEN = "conversation"
"""The state of lines from a file that knows no states."""


class Record(BaseModel):
    """The base of what a line of a file may hold."""

    model_config = ConfigDict(strict=True, extra="forbid", from_attributes=True)


class Utterance(Record):
    """A line of a Taskmaster dialogue."""

    model_config = ConfigDict(extra="ignore")
    speaker: str
    text: str


class Dialogue(Record):
    """A Taskmaster dialogue: who said what, without times or states."""

    model_config = ConfigDict(extra="ignore")
    conversation_id: str
    utterances: list[Utterance]


class LogRecord(Record):
    """A transcript line of our own format."""

    timestamp: datetime | None = None
    role: str
    text: str
    state: str | None = None
    message_id: str | None = None


class CallRecord(Record):
    """A call of our own format."""

    call_id: str
    client_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: str | None = None
    is_transferred: bool = False
    handover_summary: str | None = None
    caller_number: str | None = None
    logs: list[LogRecord] = []


def _shape(value: Any) -> str:
    return "dialogue" if isinstance(value, dict) and "conversation_id" in value else "call"


LINE: TypeAdapter[Dialogue | CallRecord] = TypeAdapter(
    Annotated[
        Annotated[Dialogue, Tag("dialogue")] | Annotated[CallRecord, Tag("call")], Discriminator(_shape)
    ]
)


def import_file(
    calls: CallStore[Sync],
    file: BinaryIO,
    *,
    client_id: str,
    bad_line: Callable[[int, DaichoError], None],
    advance: Callable[[int], None],
) -> Imported:
    """Add the calls of a file, some at a time, each lot in one transaction.

    Args:
        client_id: whose calls they are, where the file does not say.
        bad_line: is told each line that cannot be read, by its number, and why.
        advance: is told how many bytes have been dealt with.

    A call that is there already is left as it is, so an import that was interrupted is finished by
    running it again.
    """
    begun = now()
    done = Imported()
    lot: list[CallRows] = []
    size = 0
    for number, line in numbered_lines(file):
        size += len(line)
        try:
            if line.strip():
                # A microsecond apart, so that calls without times stay in the file's order.
                lot.append(read_call(line, client_id, begun + timedelta(microseconds=number)))
        except DaichoError as error:
            bad_line(number, error)
        if len(lot) >= CHUNK_CALLS or size >= CHUNK_BYTES:
            done += calls.import_calls(lot) if lot else Imported()
            advance(size)
            lot, size = [], 0
    done += calls.import_calls(lot) if lot else Imported()
    advance(size)
    return done


def read_call(line: bytes, client_id: str, moment: datetime) -> CallRows:
    """Read one line of a file as the rows that it stands for.

    Args:
        line: a JSON object in one of the two shapes.
        client_id: the call's client, where the line names none.
        moment: the time of what has none.

    Raises Invalid.
    """
    try:
        record = LINE.validate_json(line_text(line))
        return (
            _rows(record, client_id, moment)
            if isinstance(record, CallRecord)
            else _dialogue_rows(record, client_id, moment)
        )
    except ValidationError as error:
        raise Invalid(*reason_of(error, below=1)) from None


def _dialogue_rows(dialogue: Dialogue, client_id: str, moment: datetime) -> CallRows:
    """A dialogue is a call that began and ended when it was imported: nobody knows when it was held."""
    lines = [
        LogRecord(role="ai" if _is_assistant(said) else said.speaker, text=said.text, state=SPOKEN)
        for said in dialogue.utterances
    ]
    record = CallRecord(
        call_id=dialogue.conversation_id,
        started_at=moment,
        ended_at=moment,
        state="completed",
        logs=lines,
    )
    return _rows(record, client_id, moment)


def _is_assistant(said: Utterance) -> bool:
    return said.speaker.strip().lower() == "assistant"


def _rows(record: CallRecord, client_id: str, moment: datetime) -> CallRows:
    if not record.call_id:
        raise Invalid("call_id is empty", "call_id が空です")
    first = record.logs[0].timestamp if record.logs else None
    started_at = record.started_at or first or moment
    last_state = next((line.state for line in reversed(record.logs) if line.state is not None), None)
    state = record.state or last_state or ("completed" if record.ended_at else "init")
    call = Call.row(
        call_id=record.call_id,
        client_id=client_id if record.client_id is None else record.client_id,
        started_at=started_at,
        ended_at=record.ended_at,
        current_state=state,
        is_transferred=record.is_transferred,
        handover_summary=record.handover_summary,
        caller_number=real_number(record.caller_number),
    )
    lines = [
        CallLog.row(
            call_id=record.call_id,
            timestamp=line.timestamp or started_at,
            role=Role.of(line.role).value,
            text=line.text,
            state=state if line.state is None else line.state,
            message_id=line.message_id,
        )
        for line in record.logs
    ]
    names = Counter(line["message_id"] for line in lines if line["message_id"] is not None)
    if names and names.most_common(1)[0][1] > 1:
        name = names.most_common(1)[0][0]
        raise Invalid(f"message_id {name!r} stands twice", f"message_id {name!r} が二度出てきます")
    return call, lines
