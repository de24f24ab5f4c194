"""What the lists of this room have in common: a table that is filtered, and paged, and may be empty."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from daicho.core.elements import Row, Rows, box, set_attribute, show, words
from daicho.core.errors import Invalid
from daicho.core.filters import Filters
from daicho.core.language import say
from daicho.core.page import Page
from daicho.core.screen import Pager, Screen

AT_ONCE = 25
T = TypeVar("T")


class Notice:
    """Why a list shows nothing; a way to its beginning where its place in the address is at fault."""

    def __init__(self) -> None:
        with box("d-sheet d-empty d-slim", role="status", hidden=True) as self._root:
            self._why = words("")
            self._anew = words(say("From the beginning ›", "最初から表示 ›"), "d-link", "a", hidden=True)

    def take(self, why: str, anew: str | None = None) -> None:
        """Say why, and lead to an address if one is given; an empty text hides the notice."""
        self._why.set_text(why)
        set_attribute(self._anew, "href", anew)
        show(self._anew, anew is not None)
        show(self._root, bool(why))


class FilteredTable(Generic[T]):
    """A table of what fits the reader's filters, newest first. What is chosen stands in the address.

    Args:
        screen: the page; ``after`` in its address is the page of the table to begin with.
        ask: reads a page of it; raises Invalid where a filter holds what cannot be.
        nothing, no_match: what is said where there is nothing at all, and where nothing fits the filters.
        chosen: brings the page up to date after a choice; None where the table is all that a choice changes.

    First come the filters, ``with table.filters.bar()``; then ``draw``.
    """

    def __init__(
        self,
        screen: Screen,
        ask: Callable[[str | None], Awaitable[Page[T]]],
        nothing: str,
        no_match: str,
        chosen: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.filters = Filters(screen, self._choose)
        self._screen, self._ask = screen, ask
        self._texts = nothing, no_match
        self._chosen = chosen or self.look

    def draw(
        self,
        classes: str,
        titles: Sequence[tuple[str, str]],
        key: Callable[[T], object],
        make: Callable[[T], Row[T]],
    ) -> None:
        """Draw the table: each column's title and its classes; how a row is known, and drawn."""
        with box("d-section"):
            with box(f"d-sheet d-table {classes}") as self._table:
                with box("d-tr d-th"):
                    for title, style in titles:
                        words(title, style)
                self._rows = Rows(box(), key, make)
            self._notice = Notice()
            self._pager = Pager(self._screen, self._turn_page, self._screen.query.get("after"))

    async def look(self) -> list[T]:
        """Bring the table up to date; return what it shows."""
        wrong = ""
        try:
            page = await self._ask(self._pager.cursor)
        except Invalid as error:
            page, wrong = Page([]), str(error)
        self._rows.show(page.items)
        self._pager.show(page.next)
        self.filters.offer_to_clear()
        show(self._table, bool(page.items))
        nothing, no_match = self._texts
        why = wrong or (no_match if self.filters.any else nothing)
        anew = self._screen.address(self.filters.chosen) if wrong and self._pager.cursor else None
        self._notice.take("" if page.items else why, anew)
        return page.items

    async def _choose(self) -> None:
        self._pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        self._screen.remember({**self.filters.chosen, "after": self._pager.cursor or ""})
        await self._chosen()
