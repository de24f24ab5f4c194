"""A call's transcript on its page: lines are appended as they are spoken, older ones come on demand."""

from collections import deque
from collections.abc import Sequence

from daicho.calls.models import CallLog
from daicho.calls.page_lists import speaker
from daicho.calls.page_timeline import Stamp
from daicho.calls.schemas import Role
from daicho.calls.store import CallStore
from daicho.core.elements import Words, box, moment, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.page import encode
from daicho.core.screen import Screen

AT_ONCE = 200
TO_FIND_ONE = 1_000
"""Lines that are read at first when the address names one of them."""
AT_MOST = 2_000
"""Lines on the page, besides those asked for: when more are spoken, the oldest leave it."""
LONG = 2_000
"""Characters of a line that are shown at first; with each wish for more, ten times as many."""


class Transcript:
    """The lines of a call. What they tell of its states is in ``stamps``.

    Args:
        calls: where they come from.
        screen: the page.
        call_id: whose lines.
    """

    def __init__(self, calls: CallStore[Async], screen: Screen, call_id: str) -> None:
        self._store, self._screen, self._call_id = calls, screen, call_id
        self._lines: deque[Line] = deque()
        self._room = AT_MOST
        self._begun = False
        self.from_start = False

    @property
    def stamps(self) -> list[Stamp]:
        """When the lines were spoken, and the states that they moved the call to."""
        return [line.stamp for line in self._lines]

    def draw(self) -> None:
        """Draw the empty transcript."""
        wanted = self._screen.query.get("line")
        with box("d-sheet d-transcript"):
            with box("", "stick-to-end", show=wanted, tabindex=0):
                with box("d-earlier", hidden=True) as self._earlier:
                    button = words(
                        say("Load earlier lines", "前の発言を読み込む"), "d-button", "button", type="button"
                    )
                self._list = box("d-lines", role="log", aria_label=say("Transcript", "会話"))
                with box("d-empty", hidden=True) as self._silence:
                    words(say("Nobody has spoken yet.", "まだ発言はありません。"))
            words(say("New lines ↓", "新しい発言 ↓"), "d-new-lines", "button", type="button")
        self._screen.on(button, "click", self._load_earlier)

    async def look(self) -> None:
        """Append what was spoken since the last look."""
        if not self._begun:
            await self._begin()
        while self._begun:
            last = self._lines[-1].number if self._lines else 0
            page = await self._store.transcript(self._call_id, after=last, limit=AT_ONCE)
            self._append(page.items)
            if page.next is None:
                break
        show(self._silence, not self._lines)
        show(self._earlier, not self.from_start)

    async def _begin(self) -> None:
        wanted = self._screen.query.get("line")
        page = await self._store.transcript(
            self._call_id, newest_first=True, limit=TO_FIND_ONE if wanted else AT_ONCE
        )
        self._append(page.items[::-1])
        self.from_start, self._begun = page.next is None, True

    def _append(self, logs: Sequence[CallLog]) -> None:
        with self._list:
            self._lines.extend(Line(log, self._screen, self) for log in logs)
        while len(self._lines) > self._room:
            self._lines.popleft().root.delete()
            self.from_start = False

    async def _load_earlier(self, _: object) -> None:
        oldest = encode([self._lines[0].number]) if self._lines else None
        page = await self._store.transcript(self._call_id, newest_first=True, limit=AT_ONCE, cursor=oldest)
        with self._list:
            earlier = [Line(log, self._screen, self) for log in page.items[::-1]]
        self._lines.extendleft(reversed(earlier))
        self._list.default_slot.children[:] = [line.root for line in self._lines]
        self._list.update()
        self._room += len(earlier)
        self.from_start = page.next is None
        show(self._earlier, not self.from_start)

    async def more_of(self, line: "Line") -> None:
        """Show more of a long line."""
        page = await self._store.transcript(self._call_id, after=line.number - 1, limit=1)
        for log in page.items:
            line.take(log.text)


class Line:
    """One line on the page: the caller's on the left, the AI's on the right."""

    def __init__(self, log: CallLog, screen: Screen, transcript: Transcript) -> None:
        self.number = log.id
        self.stamp = Stamp(log.timestamp, log.state)
        self._shown = LONG
        self._more: Words | None = None
        side = "d-ai" if log.role == Role.AI else "d-user"
        with box(f"d-line {side}", data_line=log.id) as self.root:
            self._text = words("", "d-bubble", "div", dir="auto")
            if len(log.text) > LONG:
                self._more = words("", "d-plain", "button", type="button")
                screen.on(self._more, "click", lambda _: transcript.more_of(self))
            with box("d-under"):
                words(speaker(log.role))
                moment(log.timestamp, "clock")
        self._show(log.text)

    def take(self, text: str) -> None:
        """Show ten times as much of the line as before."""
        self._shown *= 10
        self._show(text)

    def _show(self, text: str) -> None:
        cut = len(text) > self._shown
        self._text.set_text(text[: self._shown] + "…" if cut else text)
        if self._more is not None:
            show(self._more, cut)
            self._more.set_text(
                say(f"Show more of {len(text):,} characters", f"続きを表示（全 {len(text):,} 文字）")
            )
