"""A call's transcript on its page: lines are appended as they are spoken, older ones come on demand."""

from daicho.calls.models import CallLog
from daicho.calls.page_lists import speaker
from daicho.calls.page_timeline import Stamp
from daicho.calls.schemas import Role
from daicho.calls.store import CallStore
from daicho.core.elements import box, moment, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.page import encode
from daicho.core.screen import Screen
from daicho.core.tail import AT_ONCE, LongText, Tail

TO_FIND_ONE = 1_000
"""Lines that are read at first when the address names one of them."""


class Transcript:
    """The lines of a call. What they tell of its states is in ``stamps``.

    Args:
        calls: where they come from.
        screen: the page.
        call_id: whose lines.
    """

    def __init__(self, calls: CallStore[Async], screen: Screen, call_id: str) -> None:
        self._store, self._screen, self._call_id = calls, screen, call_id
        self._wanted = screen.query.get("line")
        self._begun = False

    @property
    def stamps(self) -> list[Stamp]:
        """When the lines were spoken, and the states that they moved the call to."""
        return [line.stamp for line in self._tail.lines]

    @property
    def from_start(self) -> bool:
        """Whether the call's first line is among them."""
        return self._tail.from_start

    def draw(self) -> None:
        """Draw the empty transcript."""
        self._tail = Tail[CallLog, Line](
            self._screen,
            lambda log: Line(log, self._screen, self),
            self._load_earlier,
            label=say("Transcript", "会話"),
            nothing=say("Nobody has spoken yet.", "まだ発言はありません。"),
            earlier=say("Load earlier lines", "前の発言を読み込む"),
            newer=say("New lines ↓", "新しい発言 ↓"),
            wanted=self._wanted,
        )

    async def look(self) -> None:
        """Append what was spoken since the last look."""
        if not self._begun:
            await self._begin()
        while True:
            last = self._tail.lines[-1].number if self._tail.lines else 0
            page = await self._store.transcript(self._call_id, after=last, limit=AT_ONCE)
            self._tail.append(page.items)
            if page.next is None:
                break
        self._tail.settle()

    async def _begin(self) -> None:
        page = await self._store.transcript(
            self._call_id, newest_first=True, limit=TO_FIND_ONE if self._wanted else AT_ONCE
        )
        self._tail.append(page.items[::-1])
        self._tail.from_start, self._begun = page.next is None, True

    async def _load_earlier(self) -> None:
        oldest = encode([self._tail.lines[0].number]) if self._tail.lines else None
        page = await self._store.transcript(self._call_id, newest_first=True, limit=AT_ONCE, cursor=oldest)
        self._tail.prepend(page.items[::-1])
        self._tail.from_start = page.next is None

    async def text_of(self, number: int) -> str | None:
        """Read the text of a line again; None if it is there no more."""
        page = await self._store.transcript(self._call_id, after=number - 1, limit=1)
        return page.items[0].text if page.items else None


class Line:
    """One line on the page: the caller's on the left, the AI's on the right."""

    def __init__(self, log: CallLog, screen: Screen, transcript: Transcript) -> None:
        self.number = log.id
        self.stamp = Stamp(log.timestamp, log.state)
        side = "d-ai" if log.role == Role.AI else "d-user"
        with box(f"d-line {side}", data_line=log.id) as self.root:
            LongText(screen, log.text, lambda: transcript.text_of(log.id), "d-bubble")
            with box("d-under"):
                words(speaker(log.role))
                moment(log.timestamp, "clock")
