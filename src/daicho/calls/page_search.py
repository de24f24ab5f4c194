"""The search in what was said, on the calls page: matching lines, latest first."""

import re
from collections.abc import Iterator

from daicho.calls.page_lists import call_address, speaker
from daicho.calls.schemas import SearchHit
from daicho.calls.store import CallStore
from daicho.core.elements import Chip, box, moment, show, words
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.screen import Screen

AT_ONCE = 25
BEFORE, AFTER = 60, 240
"""Characters shown of a long line before and after the first match."""
EMPTY_PAGES = 10
"""A search of one or two characters goes through this many pages without a hit before it asks."""


class Hits:
    """The lines that match what the reader looks for."""

    def __init__(self, calls: CallStore[Async], screen: Screen) -> None:
        self._store = calls
        self._asked: tuple[str, str | None] | None = None
        self._cursor: str | None = None
        self._found = 0
        with box("d-section", hidden=True, aria_live="polite") as self.root:
            with words(say("Found in transcripts", "会話の中に見つかったもの"), tag="h2"):
                self._count = words("", "d-count")
            self._list = box("d-sheet d-table")
            with box("d-sheet d-empty", hidden=True) as self._nothing:
                words(say("Nobody said that.", "そのような発言はありません。"), tag="b")
                words(say("Try fewer or other characters.", "短くするか、別の文字で試してください。"))
            self._more = words(say("More", "さらに表示"), "d-button d-center", "button", type="button")
            screen.on(self._more, "click", self._go_on)

    async def look(self, text: str, client_id: str | None) -> None:
        """Show what is found, if it was not asked for just before."""
        if self._asked == (text, client_id):
            return
        self._list.clear()
        self._cursor, self._found = None, 0
        try:
            await self._search(text, client_id)
        except Invalid:  # nothing but blanks
            self._tell()
        self._asked = (text, client_id)

    async def _go_on(self, _: object) -> None:
        if self._asked and self._cursor:
            await self._search(*self._asked)

    async def _search(self, text: str, client_id: str | None) -> None:
        for _ in range(EMPTY_PAGES):
            page = await self._store.search(text, client_id=client_id, limit=AT_ONCE, cursor=self._cursor)
            self._cursor = page.next
            self._found += len(page)
            with self._list:
                for hit in page.items:
                    _draw(hit, text)
            if page.items or page.next is None:
                break
        self._tell()

    def _tell(self) -> None:
        more = self._cursor is not None
        self._count.set_text(f"{self._found}{'+' if more else ''}" if self._found else "")
        show(self._list, self._found > 0)
        show(self._nothing, not self._found and not more)
        show(self._more, more)


def _draw(hit: SearchHit, text: str) -> None:
    with box("d-hit", "a", href=f"{call_address(hit.call.call_id)}?line={hit.log.id}"):
        with box("d-hit-text", dir="auto"):
            for part, matches in parts(hit.log.text, text):
                words(part, tag="mark" if matches else "span")
        moment(hit.log.timestamp, classes="d-quiet")
        with box("d-hit-foot"):
            words(speaker(hit.log.role))
            words(hit.call.client_id)
            words(hit.call.call_id, "d-mono")
            Chip(hit.log.state)


def parts(line: str, text: str) -> Iterator[tuple[str, bool]]:
    """Split a line, cut around its first match, into pieces that match a text and pieces that do not."""
    matching = re.compile(re.escape(text), re.IGNORECASE)
    first = matching.search(line)
    at = first.start() if first else 0
    begin, end = max(0, at - BEFORE), at + len(text) + AFTER
    place = begin
    if begin:
        yield "…", False
    for match in matching.finditer(line, begin, end):
        if match.start() > place:
            yield line[place : match.start()], False
        yield match.group(), True
        place = match.end()
    if place < end and place < len(line):
        yield line[place:end], False
    if end < len(line):
        yield "…", False
