"""Which line of ``current.jsonl`` stands for which messages: a run of them, or a summary.

Nothing here grows with the number of messages, only with that of summaries and of gaps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daicho.tasks.schemas import Summary

Run = tuple[int, int]
"""The first and the last number of messages that follow each other without a gap."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Some lines: one for each message from ``first`` to ``last``, or one summary that stands for them."""

    first: int
    last: int
    summary: Summary | None = None

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return 1 if self.summary else self.last - self.first + 1


def runs_of(numbers: Iterable[int]) -> list[Run]:
    """Put rising numbers together into runs."""
    runs: list[Run] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def standing(summaries: Sequence[Summary]) -> list[Summary]:
    """The summaries that no later one covers, in the order of their messages."""
    left = [
        one
        for at, one in enumerate(summaries)
        if not any(
            later.start_seq <= one.start_seq and one.end_seq <= later.end_seq for later in summaries[at + 1 :]
        )
    ]
    return sorted(left, key=lambda one: one.start_seq)


def cover_of(number: int, summaries: Sequence[Summary]) -> Summary | None:
    """The summary that stands for a message, of those that stand."""
    return next((one for one in summaries if one.start_seq <= number <= one.end_seq), None)


def arrange(runs: Sequence[Run], summaries: Sequence[Summary]) -> list[Segment]:
    """Return what ``current.jsonl`` is made of.

    Args:
        runs: the messages that there are.
        summaries: all summaries, oldest first.
    """
    stand = standing(summaries)
    placed: set[int] = set()
    segments: list[Segment] = []
    for first, last in runs:
        number = first
        while number <= last:
            cover = cover_of(number, stand)
            if cover is None:
                stop = min([one.start_seq for one in stand if one.start_seq > number] + [last + 1])
                end = min(stop - 1, last)
                segments.append(Segment(number, end))
                number = end + 1
            else:
                if id(cover) not in placed:
                    placed.add(id(cover))
                    segments.append(Segment(cover.start_seq, cover.end_seq, cover))
                number = cover.end_seq + 1
    return segments
