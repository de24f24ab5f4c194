"""The states of a call over time, as a picture: read off the lines of its transcript."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daicho.calls.models import Call
from daicho.core.elements import Row, Rows, box, elapsed, hue, moment, set_attribute, words
from daicho.core.language import say
from daicho.core.types import now

BAR_CHARACTERS = 40
"""Characters that fit into the whole bar."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a line was spoken, and the state of its call from then on."""

    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Span:
    """A time that a call was in one state; None where no line tells the state.

    Attributes:
        share: its part of the whole call, 0 to 1.
    """

    state: str | None
    since: datetime
    until: datetime | None
    share: float


def spans(call: Call, stamps: Sequence[Stamp], *, from_start: bool) -> list[Span]:
    """Return a call's states in order.

    Args:
        stamps: the lines that are known, in spoken order.
        from_start: whether the call's first line is among them.
    """
    begun = call.started_at if not (stamps and from_start) else min(call.started_at, stamps[0].at)
    changes: list[tuple[datetime, str | None]] = [(begun, None if stamps else call.current_state)]
    for stamp in stamps:
        at = max(stamp.at, changes[-1][0])
        if stamp.state != changes[-1][1]:
            changes.append((at, stamp.state))
    end = max(call.ended_at or now(), changes[-1][0])
    whole = (end - begun).total_seconds() or 1.0
    bounds = [at for at, _ in changes[1:]] + [end]
    made = []
    for (since, state), until in zip(changes, bounds, strict=True):
        open_end = call.ended_at is None and until is end
        share = (until - since).total_seconds() / whole
        if state is not None or share > 0.005:
            made.append(Span(state, since, None if open_end else until, share))
    return made


class Timeline:
    """A bar of a call's states, as long as they lasted, and a list that names them."""

    def __init__(self) -> None:
        with box("d-sheet d-timeline", role="group") as self.root:
            words(say("States", "状態の推移"), tag="h2")
            self._bar = Rows(box("d-bar"), _place, _segment)
            self._legend = Rows(box("d-legend", "ol"), _place, _entry)

    def take(self, call: Call, stamps: Sequence[Stamp], *, from_start: bool) -> None:
        """Show a call's states; arguments as for ``spans``."""
        states = list(enumerate(spans(call, stamps, from_start=from_start)))
        self._bar.show(states)
        self._legend.show(states)


Numbered = tuple[int, Span]


def _place(item: Numbered) -> object:
    return item[1].since, item[1].state


def _segment(item: Numbered) -> Row[Numbered]:
    root = words("", "" if item[1].state is not None else "d-unknown")

    def take(item: Numbered) -> None:
        span = item[1]
        state = span.state or ""
        root.style(f"{hue(state)};flex-grow:{max(span.share, 0.001):.3f}")
        root.set_text(state if len(state) <= span.share * BAR_CHARACTERS else "")
        set_attribute(root, "title", state or None)

    take(item)
    return Row(root, take)


def _entry(item: Numbered) -> Row[Numbered]:
    span = item[1]
    with box("", "li") as root:
        box("" if span.state is not None else "d-unknown", "i").style(hue(span.state or ""))
        name = span.state if span.state is not None else say("before these lines", "これらの発言より前")
        words(name, "d-grow d-title")
        moment(span.since, "clock", "d-quiet")
        length = elapsed(span.since, span.until)

    def take(item: Numbered) -> None:
        until = item[1].until
        set_attribute(length, "until", until and until.isoformat())

    return Row(root, take)
