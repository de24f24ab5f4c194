"""Records that arrive over HTTP: one, an array, or a stream of lines (NDJSON)."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from daicho.core.errors import Invalid, Unavailable
from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.usage.schemas import Recorded, Rejected, UsageIn
from daicho.usage.store import UsageStore

LINES = 5_000
"""Lines of a stream that are recorded together."""
LINE_BYTES = 64 * 1024
"""The longest line: a record is a few hundred bytes."""
REJECTED_MOST = 1_000
"""The most rejected records that an answer tells of one by one."""

Numbered = tuple[int, Any]


def read_body(body: bytes) -> UsageIn | list[Any]:
    """Return the record, or the array's items, that a body holds. Raises Invalid."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Invalid(
            f"the body is no JSON: {error}; many records go as an array, or as lines with"
            " Content-Type: application/x-ndjson",
            f"本文が JSON ではありません: {error}。複数件は配列か、1 行 1 件"
            " (Content-Type: application/x-ndjson) で送ってください",
        ) from None
    if isinstance(content, list):
        return content
    try:
        return UsageIn.model_validate(content)
    except ValidationError as error:
        raise Invalid(_reason(error)) from None


async def record_array(usage: UsageStore[Async], items: Sequence[Any]) -> Recorded:
    """Record an array's items in one transaction, but for bad ones."""
    return await _recorded(usage, enumerate(items, 1), lambda item: UsageIn.model_validate(item))


async def record_lines(usage: UsageStore[Async], stream: AsyncIterator[bytes]) -> Recorded:
    """Record a stream of lines as it arrives, some thousand in a transaction, but for bad ones.

    Raises Unavailable when the database goes away, saying up to which line records are durable.
    """
    total = Recorded()
    durable = 0
    async for lines in _together(stream):
        try:
            done = await _recorded(usage, lines, UsageIn.model_validate_json)
        except Unavailable as error:
            raise Unavailable(
                f"{error.message.en}; what lines 1 to {durable:,} say is recorded, go on after them"
                " (records with an id may be sent again)",
                f"{error.message.ja}。{durable:,} 行目までは記録済みです。その後から送ってください"
                " (id のある記録は再送できます)",
            ) from None
        total.accepted += done.accepted
        total.duplicates += done.duplicates
        total.rejected += done.rejected[: REJECTED_MOST - len(total.rejected)]
        durable = lines[-1][0]
    return total


async def _recorded(usage: UsageStore[Async], items: Iterable[Numbered], read: Any) -> Recorded:
    numbers: list[int] = []
    records: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for number, item in items:
        try:
            records.append(read(item).model_dump(exclude_none=True, mode="python"))
            numbers.append(number)
        except ValidationError as error:
            reason = _reason(error)
            rejected.append(Rejected(number, Text(reason, reason)))
    done = await usage.record_many(records, reject=True)
    rejected += [Rejected(numbers[one.line - 1], one.reason) for one in done.rejected]
    rejected.sort(key=lambda one: one.line)
    return Recorded(done.accepted, done.duplicates, rejected)


async def _together(stream: AsyncIterator[bytes]) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Cut a stream into lines, numbered from 1 and without blank ones, some thousand at a time."""
    rest, number = b"", 0
    lines: list[tuple[int, bytes]] = []
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                lines.append((number, line))
        if len(rest) > LINE_BYTES:
            raise Invalid(
                f"line {number + 1} is longer than {LINE_BYTES:,} bytes",
                f"{number + 1} 行目が {LINE_BYTES:,} バイトを超えています",
            )
        while len(lines) >= LINES:
            yield lines[:LINES]
            lines = lines[LINES:]
    if rest.strip():
        lines.append((number + 1, rest))
    if lines:
        yield lines


def _reason(error: ValidationError) -> str:
    """One line for all that is wrong with a record: the field and the reason of each."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or 'record'}: {one['msg']}" for one in problems
    )
