"""Calls into files: JSON lines and CSV, written page by page, whatever their number."""

import csv
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TextIO, TypedDict

from daicho.calls.exchange import CallRecord, LogRecord
from daicho.calls.models import Call, CallLog
from daicho.calls.store import CallStore
from daicho.core.operation import Sync
from daicho.core.options import pages
from daicho.core.page import LIMIT_MAX
from daicho.core.terminal import csv_cell


class Chosen(TypedDict, total=False):
    """Which calls: what ``calls.list`` filters by."""

    client_id: str | None
    state: str | None
    transferred: bool | None
    live: bool | None
    since: datetime | None
    until: datetime | None


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
    found = (call for page in pages(partial(calls.list, **chosen)) for call in page.items)
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
        self._writer.writerow([csv_cell(value, raw=self._raw) for value in values])
