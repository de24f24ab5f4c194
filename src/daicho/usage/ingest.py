"""Records that arrive over HTTP: one, an array, or a stream of lines (NDJSON)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from daicho.core.errors import DaichoError, Invalid, Unavailable
from daicho.core.language import Text
from daicho.core.mistakes import mistake
from daicho.core.operation import Async
from daicho.usage.models import AIUsageLog
from daicho.usage.schemas import RecordedOut, RejectedOut, UsageIn
from daicho.usage.store import UsageStore

LINES = 2_000
"""Lines of a stream that are recorded together: others, who write one record, wait for them."""
LOT_BYTES = 4 * 1024 * 1024
"""Bytes of a stream after which its lines are recorded, be they fewer."""
LINE_BYTES = 64 * 1024
"""The longest line: a record is a few hundred bytes."""
BOM = b"\xef\xbb\xbf"
REJECTED_MOST = 1_000
"""The most rejected records that an answer tells of one by one."""
REASONS_MOST, NAME_MOST = 5, 100
"""The most that is told of one record: reasons, and characters of a field's name."""

TOO_LONG = Text(f"is longer than {LINE_BYTES:,} bytes", f"{LINE_BYTES:,} バイトを超えています")
Numbered = tuple[int, Any]
Line = tuple[int, bytes | None]
"""A line and its number; None: it is too long."""


def read_body(body: bytes) -> UsageIn | list[Any]:
    """Return the record, or the array's items, that a body holds.

    Raises Invalid; RequestValidationError for what a record cannot be, as any other body's does.
    """
    try:
        content = json.loads(body)
    except RecursionError:
        raise Invalid("the body is nested too deeply", "本文の入れ子が深すぎます") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"the body is no JSON: {error}; many records go as an array, or as lines with"
            " Content-Type: application/x-ndjson",
            f"本文が JSON ではありません: {error}。複数件は配列か、1 行 1 件"
            " (Content-Type: application/x-ndjson) で送ってください",
        ) from None
    except ValueError:  # Python's bound on the digits of an integer
        raise Invalid("a number in the body is too long", "本文に桁数の多すぎる数があります") from None
    if isinstance(content, list):
        return content
    try:
        return UsageIn.model_validate(content)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        ) from None


@contextmanager
def counted(usage: UsageStore[Async]) -> Iterator[None]:
    """Count a body, or the one record that it is, as rejected if that is what becomes of it."""
    try:
        yield
    except (DaichoError, RequestValidationError) as error:
        if not isinstance(error, Unavailable):  # which may be sent again, and then is counted
            usage.runner.database.measures.ingested.add("usage", "rejected")
        raise


async def record_one(usage: UsageStore[Async], record: UsageIn) -> AIUsageLog:
    """Record one call of an LLM; return it as stored. Raises as ``UsageStore.record``."""
    stored = await usage.record(**record.model_dump(exclude_none=True))
    usage.runner.database.measures.ingested.add("usage", "accepted")
    return stored


async def record_array(usage: UsageStore[Async], items: Sequence[Any]) -> RecordedOut:
    """Record an array's items in one transaction, but for bad ones."""
    return await _recorded(usage, enumerate(items, 1), UsageIn.model_validate)


async def record_lines(
    usage: UsageStore[Async], stream: AsyncIterator[bytes], still_known: Callable[[], Awaitable[bool]]
) -> RecordedOut:
    """Record a stream of lines as it arrives, some thousand in a transaction, but for bad ones.

    Args:
        usage: where.
        stream: the lines, in pieces of any size.
        still_known: whether whoever sends them may still do so; asked before each transaction.

    Raises, saying up to which line records are durable, Unavailable when the database goes away,
    HTTPException (401) when the sender may send no more, ClientDisconnect when it hangs up.
    """
    total = RecordedOut(accepted=0, duplicate=0, rejected_count=0, rejected=[])
    durable = 0
    try:
        async for lines in _together(stream):
            if not await still_known():
                bearer = {"WWW-Authenticate": 'Bearer realm="daicho"'}
                raise HTTPException(401, str(_stopped(REVOKED, durable)), bearer)
            done = await _recorded(usage, lines, _read_line)
            total.accepted += done.accepted
            total.duplicate += done.duplicate
            total.rejected_count += done.rejected_count
            total.rejected += done.rejected[: REJECTED_MOST - len(total.rejected)]
            durable = lines[-1][0]
    except Unavailable as error:
        raise Unavailable(*_stopped(error.message, durable)) from error
    except ClientDisconnect:
        raise ClientDisconnect(_so_far(durable).en) from None
    return total


REVOKED = Text("the API key is good no more", "API キーが無効になりました")


def _stopped(why: Text, durable: int) -> Text:
    so_far = _so_far(durable)
    return Text(
        f"{why.en}; {so_far.en}, go on after that (records with an id may be sent again)",
        f"{why.ja}。{so_far.ja}。その後から送ってください (id のある記録は再送できます)",
    )


def _so_far(durable: int) -> Text:
    if not durable:
        return Text("nothing of it is recorded", "まだ何も記録されていません")
    return Text(
        f"what lines 1 to {durable:,} say is recorded", f"1 行目から {durable:,} 行目までは記録済みです"
    )


async def _recorded(
    usage: UsageStore[Async], items: Iterable[Numbered], read: Callable[[Any], UsageIn]
) -> RecordedOut:
    numbers: list[int] = []
    records: list[dict[str, Any]] = []
    rejected: list[RejectedOut] = []
    for number, item in items:
        try:
            records.append(read(item).model_dump(exclude_none=True, mode="python"))
            numbers.append(number)
        except ValidationError as error:
            rejected.append(RejectedOut(line=number, reason=_reason(error)))
        except Invalid as error:
            rejected.append(RejectedOut(line=number, reason=str(error)))
    done = await usage.record_many(records, reject=True)
    rejected += [RejectedOut(line=numbers[one.line - 1], reason=str(one.reason)) for one in done.rejected]
    rejected.sort(key=lambda one: one.line)
    counted = usage.runner.database.measures.ingested
    for result, count in (
        ("accepted", done.accepted),
        ("duplicate", done.duplicates),
        ("rejected", len(rejected)),
    ):
        counted.add("usage", result, count=count)
    return RecordedOut(
        accepted=done.accepted,
        duplicate=done.duplicates,
        rejected_count=len(rejected),
        rejected=rejected[:REJECTED_MOST],
    )


def _read_line(line: bytes | None) -> UsageIn:
    if line is None:
        raise Invalid(*TOO_LONG)
    return UsageIn.model_validate_json(line)


async def _together(stream: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """Give a stream's lines, some thousand or some megabytes at a time."""
    lot: list[Line] = []
    size = 0
    async for number, line in _lines(stream):
        lot.append((number, line))
        size += len(line or b"")
        if len(lot) == LINES or size >= LOT_BYTES:
            yield lot
            lot, size = [], 0
    if lot:
        yield lot


async def _lines(stream: AsyncIterator[bytes]) -> AsyncIterator[Line]:
    """Cut a stream into lines, numbered from 1 and without blank ones; hold no more than the longest."""
    rest, number, too_long = b"", 1, False
    async for piece in stream:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if (told := _told(line, number, too_long)) is not None:
                yield told
            number, too_long = number + 1, False
        if too_long or len(rest) > LINE_BYTES:
            rest, too_long = b"", True
    if (told := _told(rest, number, too_long)) is not None:
        yield told


def _told(line: bytes, number: int, too_long: bool) -> Line | None:
    if too_long or len(line) > LINE_BYTES:
        return number, None
    if number == 1:
        line = line.removeprefix(BOM)
    return (number, line) if line.strip() else None


def _reason(error: ValidationError) -> str:
    """One line for what is wrong with a record: the field and the reason of each."""
    problems = error.errors(include_url=False, include_input=False)
    more = f" (+{len(problems) - REASONS_MOST})" if len(problems) > REASONS_MOST else ""
    return "; ".join(f"{_field(one['loc'])}: {mistake(one)}" for one in problems[:REASONS_MOST]) + more


def _field(place: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, place)) or "record"
    return name if len(name) <= NAME_MOST else f"{name[:NAME_MOST]}…"
