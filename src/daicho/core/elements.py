"""The elements that pages are made of, and lists of them that take on newer items.

Text from the database becomes an element's text or attribute, never markup: see ``words``.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

T = TypeVar("T")
HUES = (212, 152, 32, 280, 188, 338, 60, 248, 110, 12)


class Words(TextElement):
    """An element that shows a text exactly as it is."""

    def __init__(self, text: str, tag: str) -> None:
        super().__init__(text=text, tag=tag)


def box(classes: str = "", tag: str = "div", **attributes: object) -> ui.element:
    """Add an element for others; use it as a context. An attribute's name may end in ``_``."""
    return _dressed(ui.element(tag), classes, attributes)


def words(text: object, classes: str = "", tag: str = "span", **attributes: object) -> Words:
    """Add a text. Markup, braces and entities in it are shown, not obeyed."""
    return _dressed(Words(str(text), tag), classes, attributes)


def moment(at: datetime, form: str = "minute", classes: str = "") -> ui.element:
    """Add an instant, shown in the browser's time zone as ``clock``, ``minute`` or ``full``."""
    return box(f"d-number {classes}", "local-time", at=at.isoformat(), form=form)


def elapsed(since: datetime, until: datetime | None, classes: str = "") -> ui.element:
    """Add a duration, which runs while ``until`` is None."""
    shown = box(f"d-number {classes}", "elapsed-time", since=since.isoformat())
    set_attribute(shown, "until", until and until.isoformat())
    return shown


def hue(name: str) -> str:
    """Return the CSS variable of the colour that a state of this name has everywhere."""
    return f"--hue:{HUES[zlib.crc32(name.encode()) % len(HUES)]}"


class Chip:
    """A small label; its colour comes from its text unless other classes are given."""

    def __init__(self, text: str = "", classes: str = "d-hued") -> None:
        with box(f"d-chip {classes}", "span") as self.root:
            self._text = words("")
        self.name(text)

    def name(self, text: str) -> None:
        """Give it another text."""
        if self._text.text != text:
            self._text.set_text(text)
            set_attribute(self.root, "title", text)
            self.root.style(hue(text))


class Tile:
    """A figure over its label, and a note under them."""

    def __init__(self, label: str) -> None:
        with box("d-sheet d-tile") as self.root:
            self._figure = words("–", "d-number", "b")
            words(label)
            self._note = words("", "d-number", hidden=True)

    def take(self, figure: str, note: str = "") -> None:
        """Show a figure."""
        self._figure.set_text(figure)
        self._note.set_text(note)
        show(self._note, bool(note))


def set_attribute(element: ui.element, name: str, value: object) -> None:
    """Set an attribute, or take it away if None; nothing is sent when it is so already."""
    if element.props.get(name) != value:
        element.props.set_optional(name, value)


def show(element: ui.element, on: bool) -> None:
    """Show or hide an element."""
    set_attribute(element, "hidden", None if on else True)


def fact(label: str) -> ui.element:
    """Add a row of a ``dl``: its label; use it as a context for what is said."""
    with box("d-fact") as row:
        words(label, tag="dt")
    return row


class Moment:
    """An instant that may change, or be unknown."""

    def __init__(self, classes: str = "") -> None:
        self._root = box(f"d-number {classes}", "local-time", form="minute", hidden=True)

    def take(self, at: datetime | None) -> None:
        """Show an instant; nothing for None."""
        set_attribute(self._root, "at", at and at.isoformat())
        show(self._root, at is not None)


class Fact:
    """A fact that is a text; hidden while there is none."""

    def __init__(self, label: str, classes: str = "") -> None:
        with fact(label) as self._root:
            self._text = words("", f"d-title {classes}", "dd", dir="auto")

    def take(self, text: object) -> None:
        """Show a text; nothing for None."""
        shown = "" if text is None else str(text)
        self._text.set_text(shown)
        show(self._root, bool(shown))


class FactOfTime:
    """A fact that is an instant; hidden while there is none."""

    def __init__(self, label: str) -> None:
        with fact(label) as self._root, box("", "dd"):
            self._at = Moment()

    def take(self, at: datetime | None) -> None:
        """Show an instant."""
        self._at.take(at)
        show(self._root, at is not None)


def suggestion(value: str) -> "Row[str]":
    """Add an option of a ``datalist``."""
    return Row(box("", "option", value=value), lambda _: None)


E = TypeVar("E", bound=ui.element)


def _dressed(element: E, classes: str, attributes: Mapping[str, object]) -> E:
    element.classes(classes)
    for name, value in attributes.items():
        if value is not None:
            element.props[name.rstrip("_").replace("_", "-")] = value
    return element


# -- lists -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A row on the page: its element, and how it takes on a newer item."""

    root: ui.element
    show: Callable[[T], None]


class Rows(Generic[T]):
    """Keeps a container equal to a list, touching only the rows that differ.

    Args:
        container: what the rows stand in; nothing else may.
        key: what makes an item the same as before.
        make: draws an item's row.
    """

    def __init__(
        self, container: ui.element, key: Callable[[T], object], make: Callable[[T], Row[T]]
    ) -> None:
        self._container, self._key, self._make = container, key, make
        self._rows: dict[object, Row[T]] = {}

    def show(self, items: Sequence[T]) -> None:
        """Show these items, in this order."""
        wanted = {self._key(item): item for item in items}
        for key in self._rows.keys() - wanted.keys():
            self._rows.pop(key).root.delete()
        for key, item in wanted.items():
            if key in self._rows:
                self._rows[key].show(item)
            else:
                with self._container:
                    self._rows[key] = self._make(item)
        children = self._container.default_slot.children
        ordered = [self._rows[key].root for key in wanted]
        if children != ordered:
            children[:] = ordered
            self._container.update()
