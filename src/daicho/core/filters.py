"""The fields by which a reader chooses what a page lists. What is chosen stands in the page's address."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import TypeVar

from nicegui import ui

from daicho.core.elements import Row, Rows, box, set_attribute, show, suggestion, words
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.screen import Screen

SUGGESTIONS = 50
TYPED = "(event) => daicho.typed(event, emit)"
E = TypeVar("E", bound=Enum)


class Filters:
    """The choices on a page: a bar of labelled fields, and other inputs that choose too.

    Args:
        screen: the page; its address says what is chosen at first.
        turn: shows what was chosen, from the beginning; called after every choice.

    ``chosen`` holds each field's value, an empty text where nothing is chosen.
    """

    def __init__(self, screen: Screen, turn: Callable[[], Awaitable[None]]) -> None:
        self.chosen: dict[str, str] = {}
        self.fields: dict[str, ui.element] = {}
        self._screen, self._turn = screen, turn
        self._labels: dict[str, str] = {}

    @property
    def any(self) -> bool:
        """Whether a labelled field has a value."""
        return any(self.chosen[name] for name in self.fields)

    def day(self, name: str, later: int = 0) -> datetime | None:
        """Return when a chosen day, or a later one, begins where the reader is; None if it is no day."""
        try:
            chosen = date.fromisoformat(self.chosen[name]) + timedelta(days=later)
            return datetime.combine(chosen, time.min, self._screen.zone)
        except (ValueError, OverflowError):
            return None

    def check_days(self, *names: str) -> None:
        """Raise Invalid if a field for a day holds something else: an address may say anything."""
        for name in names:
            try:
                date.fromisoformat(self.chosen[name] or "2026-11-21")
            except ValueError:
                raise self._cannot_be(name) from None

    def choice(self, name: str, kind: type[E]) -> E | None:
        """Return which member of an enum a field holds; None for none.

        Raises Invalid for what the field does not offer: an address may say anything.
        """
        chosen = self.chosen[name]
        for one in kind:
            if str(one.value) == chosen:
                return one
        if chosen:
            raise self._cannot_be(name)
        return None

    def _cannot_be(self, name: str) -> Invalid:
        label, chosen = self._labels[name], self.chosen[name][:40]
        return Invalid(
            f"{label}: {chosen!r} cannot be; choose another",
            f"{label}: {chosen!r} は指定できません。選び直してください",
        )

    # -- the bar of fields -------------------------------------------------------------------------------

    @contextmanager
    def bar(self) -> Iterator[None]:
        """The bar that the labelled fields stand in; a way to clear them all follows them."""
        with box("d-filters", role="group", aria_label=say("Filters", "絞り込み")):
            yield
            self._clear = words(say("Clear", "解除"), "d-button", "a", href=self._screen.path)
        self.offer_to_clear()

    def offer_to_clear(self) -> None:
        """Show the way to clear the fields if there is anything to clear."""
        show(self._clear, self.any)

    def text(self, name: str, label: str, hint: str, length: int) -> Rows[str]:
        """Add a field for a text of at most some characters; return its suggestions."""
        with self._field(name, label):
            field = box("", "input", type="text", placeholder=hint, maxlength=length, autocomplete="off")
            self.typed(name, field)
            options = box("", "datalist")
        set_attribute(field, "list", options.html_id)
        return Rows(options, str, suggestion)

    def date(self, name: str, label: str) -> None:
        """Add a field for a day."""
        with self._field(name, label):
            self._changed(name, box("", "input", type="date"))

    def select(self, name: str, label: str, options: Sequence[tuple[str, str]]) -> Rows[tuple[str, str]]:
        """Add a field that offers values, each with the text that is shown for it.

        Returns what it offers, for a field whose values change; a value that is chosen must stay.
        """
        with self._field(name, label):
            field = box("", "select")
        self._changed(name, field)

        def offer(option: tuple[str, str]) -> Row[tuple[str, str]]:
            chosen = self.chosen[name] == option[0]
            shown = words(option[1], tag="option", value=option[0], selected=chosen or None)

            def take(option: tuple[str, str]) -> None:
                shown.set_text(option[1])

            return Row(shown, take)

        offered = Rows(field, lambda option: option[0], offer)
        offered.show(options)
        return offered

    def typed(self, name: str, field: ui.element) -> None:
        """Let an input of one's own choose, when typing in it pauses."""
        self._changed(name, field, ("input", "compositionend"), TYPED)

    def _field(self, name: str, label: str) -> ui.element:
        self.fields[name], self._labels[name] = box("d-field", "label"), label
        with self.fields[name]:
            words(label)
        return self.fields[name]

    def _changed(
        self,
        name: str,
        field: ui.element,
        events: tuple[str, ...] = ("change",),
        js: str = "(event) => emit(event.target.value)",
    ) -> None:
        self.chosen[name] = self._screen.query.get(name, "")
        # "^": the attribute, not the property, which Vue would put back while the reader is typing.
        field.props["^value"] = self.chosen[name]
        if self.chosen[name]:
            field.classes("d-set")

        async def choose(value: object) -> None:
            self.chosen[name] = str(value or "").strip()
            field.classes(**{"add" if self.chosen[name] else "remove": "d-set"})
            await self._turn()

        for event in events:
            self._screen.on(field, event, choose, js)


def suggest(options: Rows[str], values: Sequence[str | None]) -> None:
    """Offer some of the values that occur, for a text field."""
    options.show(sorted({value for value in values if value})[:SUGGESTIONS])
