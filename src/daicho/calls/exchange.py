"""Calls in files: the JSON lines that ``import`` reads, the JSON lines and CSV that ``export`` writes.

``docs/formats.md`` describes both for people.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any, BinaryIO, TextIO, TypedDict

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import Imported, Role
from daicho.calls.store import CallStore, real_number
from daicho.core.errors import DaichoError, Invalid
from daicho.core.operation import Sync
from daicho.core.page import LIMIT_MAX, Page
from daicho.core.types import now

Row = dict[str, Any]
CallRows = tuple[Row, list[Row]]
"""A row of ``calls`` and its rows of ``call_logs``."""

CHUNK_CALLS = 200
CHUNK_BYTES = 8 * 1024 * 1024
"""How much of a file one transaction carries, whichever is reached first."""
LINE_MAX = 256 * 1024 * 1024
"""The longest line of a file, in bytes."""
SPOKEN = "conversation"
"""The state of lines from a file that knows no states."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""


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


class Chosen(TypedDict, total=False):
    """Which calls: what ``calls.list`` filters by."""

    client_id: str | None
    state: str | None
    transferred: bool | None
    live: bool | None
    since: datetime | None
    until: datetime | None


def _shape(value: Any) -> str:
    return "dialogue" if isinstance(value, dict) and "conversation_id" in value else "call"


LINE: TypeAdapter[Dialogue | CallRecord] = TypeAdapter(
    Annotated[
        Annotated[Dialogue, Tag("dialogue")] | Annotated[CallRecord, Tag("call")], Discriminator(_shape)
    ]
)


# -- in -------------------------------------------------------------------------------------------


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
    for number, line in _numbered(file):
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
    if len(line) > LINE_MAX:
        raise Invalid(f"longer than {LINE_MAX:,} bytes", f"{LINE_MAX:,} バイトを超えています")
    try:
        record = LINE.validate_json(line.decode())
        return (
            _rows(record, client_id, moment)
            if isinstance(record, CallRecord)
            else _dialogue_rows(record, client_id, moment)
        )
    except UnicodeDecodeError:
        raise Invalid("not UTF-8 text", "UTF-8 の文字列ではありません") from None
    except OverflowError:
        raise Invalid("a time is out of range", "時刻が範囲外です") from None
    except ValidationError as error:
        raise Invalid(_reason(error)) from None


def _dialogue_rows(dialogue: Dialogue, client_id: str, moment: datetime) -> CallRows:
    """A dialogue is a call that began and ended when it was imported: nobody knows when it was held."""
    lines = [
        LogRecord(timestamp=moment, role="ai" if _is_assistant(said) else said.speaker, text=said.text)
        for said in dialogue.utterances
    ]
    record = CallRecord(
        call_id=dialogue.conversation_id,
        started_at=moment,
        ended_at=moment,
        state="completed",
        logs=[line.model_copy(update={"state": SPOKEN}) for line in lines],
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


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers; of one that is too long no more than shows that it is."""
    number = 0
    while line := file.readline(LINE_MAX + 2):
        number += 1
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise Invalid("the file is UTF-16; save it as UTF-8", "UTF-16 です。UTF-8 で保存してください")
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield number, line
        while not line.endswith(b"\n") and (line := file.readline(LINE_MAX)):
            pass


def _reason(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_input=False, include_context=False)
    place = ".".join(str(part) for part in first["loc"][1:])
    said = first["msg"].replace(" at line 1 column", " at column")
    more = f" (+{len(others)})" if others else ""
    return (f"{place}: {said}" if place else said) + more


# -- out ------------------------------------------------------------------------------------------


def pages(
    calls: CallStore[Sync], chosen: Chosen, limit: int | None = None, cursor: str | None = None
) -> Iterator[Page[Call]]:
    """Give calls page by page, latest started first: ``limit`` of them, or all."""
    left = limit
    while left is None or left > 0:
        page = calls.list(**chosen, limit=min(left or LIMIT_MAX, LIMIT_MAX), cursor=cursor)
        yield page
        left = None if left is None else left - len(page)
        if (cursor := page.next) is None:
            return


def transcript(calls: CallStore[Sync], call_id: str) -> Iterator[CallLog]:
    """Give every line of a call, however many there are."""
    cursor: str | None = None
    while True:
        page = calls.transcript(call_id, limit=LIMIT_MAX, cursor=cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return


def ordered(calls: CallStore[Sync], chosen: Chosen) -> Iterator[Call]:
    """Give calls in an order that their content alone decides: latest first, then by name."""
    found = (call for page in pages(calls, chosen) for call in page.items)
    for _, together in groupby(found, lambda call: call.started_at):
        yield from sorted(together, key=lambda call: call.call_id)


def record_of(call: Call) -> CallRecord:
    """Return a call as a file holds it, without its lines."""
    return CallRecord(
        call_id=call.call_id,
        client_id=call.client_id,
        started_at=call.started_at,
        ended_at=call.ended_at,
        state=call.current_state,
        is_transferred=call.is_transferred,
        handover_summary=call.handover_summary,
        caller_number=call.caller_number,
    )


def write_json(calls: CallStore[Sync], call: Call, to: TextIO) -> int:
    """Write a call with its transcript as one line of JSON; return the number of transcript lines."""
    to.write(record_of(call).model_dump_json().removesuffix("]}"))
    count = 0
    for log in transcript(calls, call.call_id):
        to.write(("," if count else "") + LogRecord.model_validate(log).model_dump_json())
        count += 1
    to.write("]}\n")
    return count


class CsvWriter:
    """Writes a row for each transcript line, with its call's columns; one row for a call without lines.

    Args:
        raw: leave cells alone that a spreadsheet would run as formulas.
    """

    CALL = tuple(name for name in CallRecord.model_fields if name != "logs")
    LINE = ("timestamp", "role", "text", "line_state", "message_id")

    def __init__(self, to: TextIO, *, raw: bool = False) -> None:
        self._writer = csv.writer(to)
        self._raw = raw
        self._writer.writerow([*self.CALL, *self.LINE])

    def write(self, calls: CallStore[Sync], call: Call) -> int:
        """Write a call; return the number of transcript lines."""
        record = record_of(call)
        facts = [getattr(record, name) for name in self.CALL]
        count = 0
        for log in transcript(calls, call.call_id):
            self._row([*facts, log.timestamp, log.role, log.text, log.state, log.message_id])
            count += 1
        if not count:
            self._row([*facts, *[None] * len(self.LINE)])
        return count

    def _row(self, values: list[object]) -> None:
        self._writer.writerow([self._cell(value) for value in values])

    def _cell(self, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        text = str(value)
        return f"'{text}" if text.startswith(FORMULA) and not self._raw else text
