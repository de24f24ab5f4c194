"""One of a task's files on the task's page: its newest lines, followed as the agent writes them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from nicegui import ui

from daicho.core.elements import box, moment, words
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.core.tail import AT_MOST, Tail
from daicho.tasks.files import TaskFiles
from daicho.tasks.jsonl import Line, Lines
from daicho.tasks.schemas import Record

R = TypeVar("R", bound=Record)

AT_ONCE = 100
"""Lines that are read at once: a page of them ends early where they are long."""


class Read(Protocol[R]):
    """One of the reading methods of ``TaskFiles``."""

    def __call__(
        self, uuid: str, *, limit: int = ..., cursor: int | None = ..., newest_first: bool = ...
    ) -> Lines[R]: ...


class FileTail(Generic[R]):
    """The end of a file on the page.

    Args:
        files: where the file is.
        read: which of its files.
        uuid: whose file.
        draw: draws a record; the second argument is where its line begins.
        label: what the lines are.
        nothing: what is said while there are none.
        classes: of the list.
    """

    def __init__(
        self,
        files: TaskFiles,
        read: Read[R],
        uuid: str,
        screen: Screen,
        draw: Callable[[R, int], ui.element],
        *,
        label: str,
        nothing: str,
        classes: str = "",
    ) -> None:
        self._files, self._read, self._uuid, self._draw = files, read, uuid, draw
        self._nothing = nothing
        self._before: int | None = None
        self._end: int | None = None
        self._tail = Tail[Line[R], Entry](
            screen,
            self._entry,
            self._load_earlier,
            label=label,
            nothing=nothing,
            earlier=say("Load earlier ones", "前の分を読み込む"),
            newer=say("New lines ↓", "新着 ↓"),
            classes=classes,
        )

    async def look(self) -> None:
        """Append what was written since the last look."""
        if self._end is None or not await self._go_on(self._end):
            await self._begin()
        nothing = self._nothing
        if not self._tail.lines and await asyncio.to_thread(self._files.folder, self._uuid) is None:
            nothing = say("This task has no folder here.", "このタスクのフォルダーはここにはありません。")
        self._tail.settle(nothing)

    async def again(self, at: int) -> R | None:
        """Read the line that begins at a place once more; None if there is none any more."""
        try:
            lines = await asyncio.to_thread(self._read, self._uuid, cursor=at, limit=1)
        except Invalid:
            return None
        return lines.items[0].record if lines.items else None

    async def _begin(self) -> None:
        lines = await asyncio.to_thread(self._read, self._uuid, limit=AT_ONCE, newest_first=True)
        self._tail.clear()
        self._tail.append(lines.items[::-1])
        self._before, self._end = lines.next, lines.end
        self._tail.from_start = lines.next is None

    async def _go_on(self, end: int) -> bool:
        """Append what stands after a place; return False if that is no way to come to the file's end."""
        for _ in range(AT_MOST // AT_ONCE):
            try:
                lines = await asyncio.to_thread(self._read, self._uuid, limit=AT_ONCE, cursor=end)
            except Invalid:  # the file is another one now
                return False
            if lines.end < end:
                return False
            self._tail.append(lines.items)
            end = self._end = lines.end if lines.next is None else lines.next
            if lines.next is None:
                return True
        return False  # so much was written meanwhile that only its end is wanted

    async def _load_earlier(self) -> None:
        # Lines that have left the page may be wanted back: what is before is before the first one here.
        before = self._tail.lines[0].at if self._tail.lines else self._before
        lines = await asyncio.to_thread(
            self._read, self._uuid, limit=AT_ONCE, cursor=before, newest_first=True
        )
        self._tail.prepend(lines.items[::-1])
        self._before = lines.next
        self._tail.from_start = lines.next is None

    def _entry(self, line: Line[R]) -> "Entry":
        if line.record is not None:
            return Entry(line.at, self._draw(line.record, line.at))
        with box("d-problem") as root:
            words(say("This line cannot be read.", "この行は読めません。"), tag="b")
            words(line.problem or "")
            words(say(f"byte {line.at:,}", f"{line.at:,} バイト目"), "d-quiet d-small")
        return Entry(line.at, root)


class Entry:
    """A line of the file on the page."""

    def __init__(self, at: int, root: ui.element) -> None:
        self.at, self.root = at, root


def stamp(timestamp: str | None) -> None:
    """Add the moment that a line names; as it stands there if nobody can know which instant it means."""
    try:
        at = datetime.fromisoformat(timestamp or "")
    except ValueError:
        at = None
    if at is not None and at.tzinfo is not None:
        moment(at.astimezone(UTC), "clock")
    elif timestamp:
        words(timestamp[:40])
