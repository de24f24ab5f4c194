"""Chat logs in files: JSON lines, a message each. ``import`` reads what ``export`` writes.

``docs/formats.md`` describes them for people.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, TextIO, TypeVar, cast

from pydantic import ConfigDict, ValidationError

from daicho.chats.models import ChatSession
from daicho.chats.places import Added
from daicho.chats.schemas import AnyMessageIn, MessageOut
from daicho.chats.store import ChatStore
from daicho.core.errors import DaichoError, Invalid
from daicho.core.lines import line_text, numbered_lines, reason_of
from daicho.core.operation import Sync
from daicho.core.options import pages
from daicho.core.page import Page

T = TypeVar("T")
Fields = dict[str, Any]
"""The arguments of ``append``."""
Numbered = tuple[int, Fields]
BadLine = Callable[[int, DaichoError], None]

LOT_MESSAGES = 5_000
LOT_BYTES = 8 * 1024 * 1024
"""How much of a file is written together, whichever is reached first."""
LOOKS = 3
"""How often a list of sessions is read to find those that it had not."""


class MessageLine(AnyMessageIn):
    """A line of a file."""

    model_config = ConfigDict(strict=True)


def each(found: Iterable[Page[T]]) -> Iterator[T]:
    """Give what is on some pages."""
    for page in found:
        yield from page.items


def import_file(
    chats: ChatStore[Sync], file: BinaryIO, *, bad_line: BadLine, advance: Callable[[int], None]
) -> Added:
    """Add the messages of a file, some at a time.

    Args:
        bad_line: is told each line that cannot be taken, by its number, and why.
        advance: is told how many bytes have been dealt with.

    A message whose ``message_id`` its session has already is left as it is, so an import that was
    interrupted is finished by running it again. Raises Invalid for a file that is no UTF-8.
    """
    chats.sessions(limit=1)  # where they are kept cannot be used: that is no line's fault
    done = Added()
    lot: list[Numbered] = []
    size = 0
    for number, line in numbered_lines(file):
        size += len(line)
        try:
            if line.strip():
                lot.append((number, read_line(chats, line)))
        except DaichoError as error:
            bad_line(number, error)
        if len(lot) >= LOT_MESSAGES or size >= LOT_BYTES:
            done = _both(done, _add(chats, lot, bad_line))
            advance(size)
            lot, size = [], 0
    done = _both(done, _add(chats, lot, bad_line))
    advance(size)
    return done


def read_line(chats: ChatStore[Sync], line: bytes) -> Fields:
    """Read a line of a file as the arguments of ``append``. Raises Invalid."""
    try:
        fields = dict(MessageLine.model_validate_json(line_text(line)))
    except ValidationError as error:
        raise Invalid(*reason_of(error)) from None
    check(chats, fields)
    return fields


def check(chats: ChatStore[Sync], fields: Fields) -> None:
    """Raise what ``append`` would raise for its arguments; write nothing."""
    cast("Any", ChatStore.append.item)(chats, **fields)


def new_sessions(
    chats: ChatStore[Sync], prefix: str | None = None, since: datetime | None = None
) -> Iterator[list[ChatSession]]:
    """Give all sessions, each once: those that are there, then those that a second look has found, …

    A list of sessions moves on while it is read: one that has a new message comes to its beginning, and
    who is past that misses it. So it is read again, after what it gave was dealt with, until it has
    nothing new; but not for ever, where sessions come all the time.

    Each lot is sorted by name, so that equal sessions make equal files wherever they are kept.
    """
    told: set[str] = set()
    for _ in range(LOOKS):
        read = partial(chats.sessions, prefix=prefix, since=since)
        found = {one.session_id: one for one in each(pages(read)) if one.session_id not in told}
        if not found:
            return
        told.update(found)
        yield [found[name] for name in sorted(found)]


def export_session(chats: ChatStore[Sync], session_id: str, to: TextIO) -> int:
    """Write a session's messages, oldest first; return how many there were."""
    count = 0
    for message in each(pages(partial(chats.history, session_id))):
        to.write(MessageOut.model_validate(message).model_dump_json() + "\n")
        count += 1
    return count


def _add(chats: ChatStore[Sync], lot: list[Numbered], bad_line: BadLine) -> Added:
    """Write a lot. What its place does not take (a message may be too large) is found by halving it."""
    if not lot:
        return Added()
    try:
        return chats.append_many([fields for _, fields in lot])
    except Invalid as error:
        if len(lot) == 1:
            bad_line(lot[0][0], error)
            return Added()
    middle = len(lot) // 2
    return _both(_add(chats, lot[:middle], bad_line), _add(chats, lot[middle:], bad_line))


def _both(one: Added, other: Added) -> Added:
    return Added(one.added + other.added, one.existing + other.existing)
