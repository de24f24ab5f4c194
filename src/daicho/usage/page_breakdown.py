"""Tables of what sums are made of: tenants, models, operations, what it was for. Dearest first."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from daicho.core.elements import Row, Rows, Words, box, set_attribute, show, words
from daicho.core.language import say
from daicho.core.money import money
from daicho.core.screen import Screen
from daicho.usage.page_words import each, seconds
from daicho.usage.schemas import Sum

AT_ONCE = 8
AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a table.

    Attributes:
        key: what makes it the same as before.
        href: where a click leads; None: nowhere.
        colour: the CSS colour that it has on the chart, if it is there.
        saved: what caching saved of it, where the table tells.
    """

    key: str | None
    name: str
    sum: Sum
    href: str | None = None
    colour: str | None = None
    saved: float | None = None


Column = tuple[str, Callable[[Part], str]]


def cost_column() -> Column:
    return say("Cost", "費用"), lambda part: money(part.sum.total_cost_usd)


def calls_column() -> Column:
    return say("Calls", "回数"), lambda part: f"{part.sum.api_calls:,}"


def tokens_column() -> Column:
    return say("Tokens", "トークン"), lambda part: f"{part.sum.total_tokens:,}"


def each_column() -> Column:
    return say("Per call", "1 回あたり"), lambda part: each(part.sum)


def time_column() -> Column:
    return say("Time", "時間"), lambda part: seconds(part.sum)


def saved_column() -> Column:
    return say("Saved", "節約額"), lambda part: money(part.saved)


class Breakdown:
    """A table; ``limit`` is how many lines it shows, more of them when asked.

    Args:
        screen: the page.
        title: what the lines are.
        columns: what is said of each, after its name; the first of them beside it also on a phone.
        look_again: asks the page to look again, when more lines are wanted.
    """

    def __init__(
        self, screen: Screen, title: str, columns: Sequence[Column], look_again: Callable[[], Awaitable[None]]
    ) -> None:
        self.limit = AT_ONCE
        self._columns, self._look_again = columns, look_again
        self._most = 0.0
        with box("d-sheet d-table d-parts", "section", aria_label=title, hidden=True) as self.root:
            self.root.style(f"--numbers: {len(columns)}")
            with box("d-tr d-th"):
                words(title, tag="h2")
                for name, _ in columns:
                    words(name, "d-right")
            self._rows = Rows(box(), lambda part: (part.key, part.href is None), self._draw)
            self._more = words(say("Show more", "さらに表示"), "d-plain", "button", type="button")
        screen.on(self._more, "click", self._show_more)

    def take(self, parts: Sequence[Part], *, more: bool) -> None:
        """Show these lines.

        Args:
            more: whether there are others.
        """
        self._most = max((part.sum.total_cost_usd or 0 for part in parts), default=0.0)
        self._rows.show(parts)
        show(self.root, bool(parts))
        show(self._more, more and self.limit < AT_MOST)

    def _draw(self, part: Part) -> Row[Part]:
        with box("d-tr", "a" if part.href else "div") as root:
            with box("d-part"):
                swatch = box("d-swatch", "i", hidden=True)
                name = words("", "d-cut", dir="auto")
                share = box("d-share", "i", aria_hidden="true")
            cells = [
                (words("", "d-right d-number", data_label=label), show_) for label, show_ in self._columns
            ]

        def take(part: Part) -> None:
            set_attribute(root, "href", part.href)
            _name(name, part.name)
            show(swatch, part.colour is not None)
            swatch.style(replace=f"background: {part.colour}")
            width = 100 * (part.sum.total_cost_usd or 0) / self._most if self._most else 0
            share.style(replace=f"width: {width:.1f}%; background: {part.colour or 'var(--accent)'}")
            for cell, write in cells:
                cell.set_text(write(part))

        take(part)
        return Row(root, take)

    async def _show_more(self, _: object) -> None:
        self.limit = min(AT_MOST, self.limit * 5)
        await self._look_again()


def _name(shown: Words, name: str) -> None:
    shown.set_text(name)
    set_attribute(shown, "title", name)
