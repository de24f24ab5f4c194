"""Files of JSON lines: appended to at a constant cost, read in pages, mended after a crash.

A line counts once its newline is there. What follows the last newline is a line that a crash has
torn; nobody was told that it was written. A place in a file is the byte at which a line begins.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast

from pydantic import ValidationError

from daicho.core.errors import Invalid, Unavailable
from daicho.core.page import check_limit
from daicho.tasks.schemas import Record

R = TypeVar("R", bound=Record)

BLOCK = 64 * 1024
BOM = b"\xef\xbb\xbf"
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends early, with one line at least, when it holds so much."""


@dataclass(frozen=True, slots=True)
class Line(Generic[R]):
    """A line of a file.

    Attributes:
        at: the byte at which it begins.
        record: what it says; None if it cannot be read.
        problem: why not.
    """

    at: int
    record: R | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Lines(Generic[R]):
    """Some lines of a file.

    Attributes:
        items: the lines, in the order asked for.
        next: where the page after this one begins; None on the last.
        end: where lines that are added later will begin.
    """

    items: list[Line[R]]
    next: int | None
    end: int


def read(
    path: Path, kind: type[R], *, limit: int = 100, cursor: int | None = None, newest_first: bool = False
) -> Lines[R]:
    """Read a page of a file; what it costs does not depend on the file's size.

    Args:
        kind: what a line is.
        limit: lines a page, 1 to 1,000.
        cursor: a former page's ``next`` or ``end``, or a line's ``at`` to read from that line on.
        newest_first: from the end backwards; ``cursor`` is then what the page stops before.

    A file that is not there has no lines. Raises Invalid for a limit or a cursor that cannot be.
    """
    check_limit(limit)
    with _opened(path, "rb") as file:
        if file is None:
            return Lines([], None, 0)
        end = _end(file)
        if cursor is not None and not _is_place(file, cursor, end):
            raise Invalid(
                f"{cursor} is not a place in {path.name}; begin again without one",
                f"{cursor} は {path.name} の行の位置ではありません。カーソルなしで始めてください",
            )
        if newest_first:
            stop = end if cursor is None else cursor
            starts = _starts_before(file, stop, limit)
            file.seek(starts[-1] if starts else stop)
            items = list(_lines(file, kind, stop))[::-1]
            return Lines(items, items[-1].at if items and items[-1].at else None, end)
        start = cursor or 0
        file.seek(start)
        items = []
        for line in _lines(file, kind, end):
            items.append(line)
            if len(items) == limit or file.tell() - start >= PAGE_BYTES:
                break
        reached = file.tell() if items else start
        return Lines(items, reached if reached < end else None, end)


def scan(path: Path, kind: type[R]) -> Iterator[Line[R]]:
    """Read a whole file, line by line. A file that is not there has no lines."""
    with _opened(path, "rb") as file:
        if file is None:
            return
        end = _end(file)
        file.seek(0)
        yield from _lines(file, kind, end)


def records(path: Path, kind: type[R]) -> Iterator[R]:
    """Every record of a file that can be read, oldest first."""
    for line in scan(path, kind):
        if line.record is not None:
            yield line.record


def last_number(path: Path, kind: type[R], name: str) -> int:
    """The number of a file's last line: the field ``name``, or one more than the line before's for each
    that cannot be read; 0 if there is none."""
    cursor: int | None = None
    unread = 0
    while True:
        page = read(path, kind, cursor=cursor, newest_first=True)
        for line in page.items:
            if line.record is not None:
                number: int = getattr(line.record, name)
                return max(number, 0) + unread
            unread += 1
        if (cursor := page.next) is None:
            return unread


def count_lines(path: Path) -> int:
    """How many whole lines a file has."""
    lines = 0
    with _opened(path, "rb") as file:
        while file is not None and (block := file.read(1 << 20)):
            lines += block.count(b"\n")
    return lines


def is_torn(path: Path) -> bool:
    """Whether a file ends in the middle of a line."""
    with _opened(path, "rb") as file:
        return file is not None and _end(file) < file.seek(0, os.SEEK_END)


def mend(path: Path) -> bytes:
    """Cut what a crash has left of a last line, and return it; empty if nothing was torn.

    What is cut is kept beside the file, in ``<name>.torn``. A last line that is whole but for its
    newline is completed; one that power loss has filled with NUL bytes is cut too.
    """
    with _opened(path, "r+b") as file:
        if file is None:
            return b""
        size = file.seek(0, os.SEEK_END)
        keep = _end(file)
        file.seek(keep)
        tail = file.read()
        if tail and _is_record(tail):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
            _sync(file)
            return b""
        while (starts := _starts_before(file, keep, 1)) and _has_nul(file, starts[0], keep):
            keep = starts[0]
        if keep == size:
            return b""
        file.seek(keep)
        cut = file.read()
        with path.with_name(path.name + ".torn").open("ab") as aside:
            aside.write(cut + b"\n")
            _sync(aside)
        file.truncate(keep)
        _sync(file)
        return cut


def to_json(record: Mapping[str, Any]) -> bytes:
    """Write a record as a line. Raises Invalid for what JSON or UTF-8 cannot hold."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:
        raise Invalid(
            "a text has half a character (a lone surrogate)", "壊れた文字 (単独のサロゲート) があります"
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}", f"JSON にできません: {error}") from None


def replace(path: Path, content: bytes) -> None:
    """Put a file in another's place in one step: a crash leaves the former or the new one, whole."""
    partial = path.with_name(path.name + ".tmp")
    try:
        with partial.open("wb") as file:
            file.write(content)
            _sync(file)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError) -> Unavailable:
    """The error for a file that the system does not let be written."""
    return Unavailable(f"{path}: not written: {error.strerror}", f"{path}: 書き込めません: {error.strerror}")


def sync_folder(folder: Path) -> None:
    """Let what was renamed in a folder outlive power loss."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[BinaryIO | None]:
    """A file, or None if it is not there. What else the system refuses is Unavailable."""
    try:
        file = path.open(mode)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise unread(path, error) from None
    with file:
        try:
            yield cast("BinaryIO", file)
        except OSError as error:
            raise unread(path, error) from None


def unread(path: Path, error: OSError) -> Unavailable:
    """The error for what the system does not let be read."""
    return Unavailable(f"{path}: cannot be read: {error.strerror}", f"{path}: 読めません: {error.strerror}")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _end(file: BinaryIO) -> int:
    """The place after the last whole line."""
    return _newline_before(file, file.seek(0, os.SEEK_END)) or 0


def _newline_before(file: BinaryIO, stop: int) -> int | None:
    """The place after the last newline that stands before ``stop``; None if none does."""
    while stop > 0:
        start = max(0, stop - BLOCK)
        file.seek(start)
        found = file.read(stop - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return None


def _starts_before(file: BinaryIO, stop: int, count: int) -> list[int]:
    """Where the last ``count`` lines before ``stop`` begin, last first; fewer if they are long."""
    starts: list[int] = []
    at = stop
    while at > 0 and len(starts) < count and stop - at < PAGE_BYTES:
        at = _newline_before(file, at - 1) or 0
        starts.append(at)
    return starts


def _is_place(file: BinaryIO, at: int, end: int) -> bool:
    if not 0 < at <= end:
        return at == 0
    file.seek(at - 1)
    return file.read(1) == b"\n"


def _lines(file: BinaryIO, kind: type[R], stop: int) -> Iterator[Line[R]]:
    at = file.tell()
    while at < stop:
        line = file.readline()
        yield parsed(at, line, kind)
        at += len(line)


def parsed(at: int, line: bytes, kind: type[R]) -> Line[R]:
    try:
        return Line(at, kind.model_validate_json(line.removeprefix(BOM) if at == 0 else line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return Line(at, None, f"{place}: {first['msg']}" if place else first["msg"])


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _has_nul(file: BinaryIO, start: int, stop: int) -> bool:
    file.seek(start)
    return b"\x00" in file.read(stop - start)
