"""A task's messages: all of them in ``messages.jsonl``, and what the model is sent next in ``current.jsonl``.

``current.jsonl`` follows from the others: every message, but where a summary stands for some of them,
that summary. It can always be made anew, and a message is never lost for its sake.
"""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daicho.core.errors import Invalid, Unavailable
from daicho.core.language import Text
from daicho.core.types import now
from daicho.tasks import files, jsonl
from daicho.tasks.appending import JsonLines
from daicho.tasks.jsonl import count_lines, records, to_json
from daicho.tasks.layout import Run, Segment, arrange, cover_of, runs_of, standing
from daicho.tasks.schemas import CurrentMessage, Message, Role, Summary

log = logging.getLogger("daicho")

SUMMARY_ROLE = Role.SYSTEM
"""Whose words a summary is, to the model."""
FORMER = ".former"
"""Beside ``current.jsonl``: what stood there before it was made anew."""
ONLY_HERE = {"seq", "timestamp", "tokens"}
"""What a message has that the model is not sent."""


class MessageStore:
    """A task's messages (``TaskContextManager.get_message_store``), for any of the agent's threads.

    Args:
        folder: the task's folder.
        summaries: the summaries that are there.

    ``torn`` says what had to be mended.
    """

    def __init__(self, folder: Path, summaries: list[Summary]) -> None:
        self.folder = folder
        self._summaries = summaries
        self._lock = threading.RLock()
        self._all = JsonLines(folder / files.MESSAGES, Message, "seq")
        self.torn = self._all.told
        self._runs = self._messages_there()
        self._segments = arrange(self._runs, summaries)
        torn = jsonl.mend(self._current_path)
        self._stale = bool(torn) or not self._is_current()
        if self._stale:
            self._say_stale(bool(torn))
        self._current = JsonLines(self._current_path, CurrentMessage, durable=False)
        self._freshen()

    @property
    def last_seq(self) -> int:
        """The number of the last message; 0 if there is none."""
        return self._all.last

    def add_message(
        self, role: str, content: Any, *, tokens: int | None = None, tool_name: str | None = None
    ) -> Message:
        """Append a message; it is durable when this returns.

        Args:
            role: system, developer, user, assistant, tool or function.
            content: its text, or the list of parts that a provider's API takes.
            tokens: how many it is; None if nobody counted.
            tool_name: whose result it is, for ``tool``.

        Returns the message with its number. Raises, with nothing written: Invalid; Unavailable if the
        disk fails; Conflict once the agent has ended its work.
        """
        named = {} if tool_name is None else {"tool_name": tool_name}
        fields = {
            "role": _role(role),
            "content": content,
            "timestamp": now().isoformat(),
            "tokens": whole("tokens", tokens),
            **named,
        }
        with self._lock:
            fresh, self._stale = not self._stale, True  # until both files have it
            message = self._all.append(fields)
            self._grow(message.seq)
            if fresh:
                try:
                    self._current.append({"role": fields["role"], "content": content, **named})
                    self._stale = False
                except Unavailable as error:
                    log.warning("%s; it is made anew when there is room", error)
            else:
                self._try_to_freshen()
        return message

    def __iter__(self) -> Iterator[Message]:
        """Every message, oldest first, read from the file as it is asked for."""
        yield from records(self.folder / files.MESSAGES, Message)

    def current(self) -> list[CurrentMessage]:
        """What the model is sent next, oldest first."""
        with self._lock:
            self._try_to_freshen()
            if not self._stale:
                return list(records(self._current_path, CurrentMessage))
            return [CurrentMessage.model_validate_json(line) for line in self._composed()]

    def put_summary(self, summary: Summary) -> None:
        """Let a summary, which is written already, stand for its messages in ``current.jsonl`` too."""
        with self._lock:
            fresh, self._stale = not self._stale, True
            before = self._segments
            self._summaries.append(summary)
            self._segments = arrange(self._runs, self._summaries)
            try:
                lines = self._shrunk(before, summary) if fresh else None
                self._replace(lines if lines is not None else list(self._composed()))
            except Unavailable as error:
                log.warning("%s; it is made anew when there is room", error)

    def check_summary(self, start_seq: int, end_seq: int) -> None:
        """Raise Invalid unless a summary can stand for these messages."""
        if not 1 <= start_seq <= end_seq <= self.last_seq:
            raise Invalid(
                f"a summary of messages {start_seq} to {end_seq}: there are messages 1 to {self.last_seq}",
                f"{start_seq}〜{end_seq} の要約: メッセージは 1〜{self.last_seq} です",
            )
        for one in standing(self._summaries):
            first, last = one.start_seq, one.end_seq
            if first <= end_seq and last >= start_seq and not start_seq <= first <= last <= end_seq:
                raise Invalid(
                    f"a summary of messages {start_seq} to {end_seq} would cut that of {first} to {last}",
                    f"{start_seq}〜{end_seq} の要約は {first}〜{last} の要約と一部だけ重なります",
                )

    def close(self) -> None:
        """Let the files go."""
        with self._lock:
            self._all.close()
            self._current.close()

    # -- what follows from the messages -------------------------------------------------------------------

    @property
    def _current_path(self) -> Path:
        return self.folder / files.CURRENT

    def _messages_there(self) -> list[Run]:
        """The numbers of the messages; read one by one only where they are not simply 1 to the last."""
        path = self.folder / files.MESSAGES
        last = self._all.last
        if count_lines(path) == last and (not last or _first_number(path) == 1):
            return [(1, last)] if last else []
        return runs_of(message.seq for message in self)

    def _grow(self, seq: int) -> None:
        """Take the newest message in."""
        if self._runs and self._runs[-1][1] + 1 == seq:
            self._runs[-1] = (self._runs[-1][0], seq)
        else:
            self._runs.append((seq, seq))
        last = self._segments[-1] if self._segments else None
        if last is not None and last.summary is None and last.last + 1 == seq:
            self._segments[-1] = Segment(last.first, seq)
        else:
            self._segments.append(Segment(seq, seq))

    def _is_current(self) -> bool:
        """Whether ``current.jsonl`` has a line for each that it should, and the summaries' own."""
        if count_lines(self._current_path) != sum(segment.lines for segment in self._segments):
            return False
        wanted: dict[int, bytes] = {}
        at = 0
        for segment in self._segments:
            if segment.summary is not None:
                wanted[at] = _summary_line(segment.summary)
            at += segment.lines
        if not wanted:
            return True
        with self._current_path.open("rb") as file:
            return all(_same(line, wanted[at]) for at, line in enumerate(file) if at in wanted)

    def _say_stale(self, torn: bool) -> None:
        """Keep what stands in ``current.jsonl`` aside, and say that it is made anew."""
        path = self._current_path
        if path.exists() and path.stat().st_size:
            path.replace(path.with_name(path.name + FORMER))
        elif not self.last_seq and not torn:
            return  # a new task
        self.torn.append(
            Text(
                f"{files.CURRENT}: made anew from the messages",
                f"{files.CURRENT}: メッセージから作り直しました",
            )
        )

    def _composed(self) -> Iterator[bytes]:
        """The lines of ``current.jsonl``, made from messages and summaries."""
        stand = standing(self._summaries)
        placed: set[int] = set()
        for message in self:
            cover = cover_of(message.seq, stand)
            if cover is None:
                yield to_json(message.model_dump(exclude=ONLY_HERE, exclude_unset=True))
            elif id(cover) not in placed:
                placed.add(id(cover))
                yield _summary_line(cover)

    def _shrunk(self, before: list[Segment], summary: Summary) -> list[bytes] | None:
        """The lines after a summary, made from those before it; None if these are not what they should be."""
        lines = self._current_path.read_bytes().split(b"\n")[:-1]
        if len(lines) != sum(segment.lines for segment in before):
            return None
        kept: list[bytes] = []
        placed = False
        at = 0
        for segment in before:
            for number in range(segment.lines):
                first = segment.first + number
                if summary.start_seq <= first <= summary.end_seq:
                    if not placed:
                        kept.append(_summary_line(summary))
                    placed = True
                else:
                    kept.append(lines[at] + b"\n")
                at += 1
        return kept

    def _try_to_freshen(self) -> None:
        try:
            self._freshen()
        except Unavailable as error:
            log.warning("%s; it is made anew when there is room", error)

    def _freshen(self) -> None:
        """Make ``current.jsonl`` anew, if it is not what it should be and the work goes on."""
        if self._stale and not self._all.closed:
            self._replace(list(self._composed()))

    def _replace(self, lines: list[bytes]) -> None:
        self._current.close()
        try:
            jsonl.replace(self._current_path, b"".join(lines))
        finally:
            self._current = JsonLines(self._current_path, CurrentMessage, durable=False)
        self._stale = False


def whole(name: str, number: int | None) -> int | None:
    """Return a number, or raise Invalid for a negative one and for what is no whole number."""
    if number is None or (isinstance(number, int) and not isinstance(number, bool) and number >= 0):
        return number
    raise Invalid(
        f"{name} must be a whole number, 0 or more, not {number!r}",
        f"{name} は 0 以上の整数でなければなりません ({number!r} でした)",
    )


def _role(role: str) -> str:
    try:
        return Role(role).value
    except ValueError:
        raise Invalid(
            f"unknown role {str(role)[:40]!r}; known: {', '.join(Role)}",
            f"{str(role)[:40]!r} という role はありません。使えるもの: {', '.join(Role)}",
        ) from None


def _first_number(path: Path) -> int | None:
    first = jsonl.read(path, Message, limit=1).items[0].record
    return None if first is None else first.seq


def _summary_line(summary: Summary) -> bytes:
    return to_json({"role": SUMMARY_ROLE.value, "content": summary.summary})


def _same(line: bytes, wanted: bytes) -> bool:
    try:
        return bool(json.loads(line) == json.loads(wanted))
    except ValueError:
        return False
