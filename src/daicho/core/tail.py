"""Lists that grow at their end while one reads: the newest lines are shown, earlier ones on demand."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

from nicegui import ui

from daicho.core.elements import Words, box, show, words
from daicho.core.language import say
from daicho.core.screen import Screen

AT_ONCE = 200
"""Lines that are read at first, and with each wish for earlier ones."""
AT_MOST = 2_000
"""Lines on the page, besides those asked for: when more come, the oldest leave it."""
LONG = 2_000
"""Characters of a text that are shown at first; with each wish for more, ten times as many."""


class Rooted(Protocol):
    """What is drawn of an item: it has one element that holds all of it."""

    @property
    def root(self) -> ui.element: ...


T = TypeVar("T")
L = TypeVar("L", bound=Rooted)


class Tail(Generic[T, L]):
    """The end of a list, on a sheet that stays at the end while its reader is there.

    Args:
        screen: the page.
        make: draws an item as a line.
        load_earlier: reads the lines before those that are here, and calls ``prepend``.
        label: what the list is, for those who do not see it.
        nothing: what is said while it is empty.
        earlier, newer: the names of the ways to earlier lines and to those that have come meanwhile.
        wanted: the ``data-line`` of the line to begin at, instead of the end.
        classes: of the list.

    ``lines`` are those on the page, oldest first; ``from_start`` says whether the first of all is among them.
    """

    def __init__(
        self,
        screen: Screen,
        make: Callable[[T], L],
        load_earlier: Callable[[], Awaitable[None]],
        *,
        label: str,
        nothing: str,
        earlier: str,
        newer: str,
        wanted: str | None = None,
        classes: str = "",
    ) -> None:
        self.lines: deque[L] = deque()
        self.from_start = False
        self._make, self._load_earlier = make, load_earlier
        self._room = AT_MOST
        with box("d-sheet d-transcript"):
            with box("", "stick-to-end", show=wanted, tabindex=0):
                with box("d-earlier", hidden=True) as self._earlier:
                    button = words(earlier, "d-button", "button", type="button")
                self._list = box(f"d-lines {classes}", role="log", aria_label=label)
                with box("d-empty", hidden=True) as self._silence:
                    self._nothing = words(nothing)
            words(newer, "d-new-lines", "button", type="button")
        screen.on(button, "click", self._ask_earlier)

    def append(self, items: Iterable[T]) -> None:
        """Add newer items, oldest first."""
        with self._list:
            self.lines.extend(self._make(item) for item in items)
        while len(self.lines) > self._room:
            self.lines.popleft().root.delete()
            self.from_start = False

    def prepend(self, items: Iterable[T]) -> None:
        """Add the items before those that are here, oldest first; they stay however many there are."""
        with self._list:
            earlier = [self._make(item) for item in items]
        self.lines.extendleft(reversed(earlier))
        self._list.default_slot.children[:] = [line.root for line in self.lines]
        self._list.update()
        self._room += len(earlier)

    def clear(self) -> None:
        """Take all lines away."""
        self.lines.clear()
        self._list.clear()
        self._room, self.from_start = AT_MOST, False

    def settle(self, nothing: str | None = None) -> None:
        """Say so if the list is empty, with another text if given; offer earlier lines if there are any."""
        if nothing is not None and nothing != self._nothing.text:
            self._nothing.set_text(nothing)
        show(self._silence, not self.lines)
        show(self._earlier, not self.from_start)

    async def _ask_earlier(self, _: object) -> None:
        await self._load_earlier()
        self.settle()


class LongText:
    """A text that may be very long: its beginning, and more of it when asked.

    Args:
        screen: the page.
        text: the text; only what is shown of it is kept.
        again: reads the text again, when more of it is wanted; None if it is there no more.
        classes, tag: of the element that holds it.
    """

    def __init__(
        self,
        screen: Screen,
        text: str,
        again: Callable[[], Awaitable[str | None]],
        classes: str = "",
        tag: str = "div",
    ) -> None:
        self._again = again
        self._shown = LONG
        self._more: Words | None = None
        self._text = words("", classes, tag, dir="auto")
        if len(text) > LONG:
            self._more = words("", "d-plain", "button", type="button")
            screen.on(self._more, "click", self._show_more)
        self._show(text)

    async def _show_more(self, _: object) -> None:
        text = await self._again()
        if text is not None:
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
