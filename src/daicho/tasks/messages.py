"""A task's messages: all of them in ``messages.jsonl``, and what the model is sent next in ``current.jsonl``.

``current.jsonl`` follows from the others: every message, but where a summary stands for some of them,
that summary. It can always be made anew.
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
from daicho.tasks.jsonl import JsonLines, last_number, not_negative, records, to_json
from daicho.tasks.schemas import CurrentMessage, Message, Role, Summary

log = logging.getLogger("daicho")

SUMMARY_ROLE = Role.SYSTEM
"""Whose words a summary is, to the model."""
Span = tuple[int, int]
"""The first and the last message that a line of ``current.jsonl`` stands for."""


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
        self._all = JsonLines(folder / files.MESSAGES)
        self.torn = self._all.told
        self.last_seq = last_number(folder / files.MESSAGES, Message, "seq")
        self._layout = _layout(summaries, self.last_seq)
        self._stale = bool(jsonl.mend(self._current_path)) or not self._is_current()
        if self._stale and (self.last_seq or self._current_path.exists()):
            self.torn.append(
                Text(
                    f"{files.CURRENT}: made anew from the messages",
                    f"{files.CURRENT}: メッセージから作り直しました",
                )
            )
        self._current = JsonLines(self._current_path, durable=False)
        self._freshen()

    def add_message(
        self, role: str, content: Any, *, tokens: int | None = None, tool_name: str | None = None
    ) -> Message:
        """Append a message; it is durable when this returns.

        Args:
            role: system, developer, user, assistant, tool or function.
            content: its text, or the list of parts that a provider's API takes.
            tokens: how many it is; None if nobody counted.
            tool_name: whose result it is, for ``tool``.

        Returns the message with its number. Raises Invalid; Unavailable if it could not be written;
        Conflict once the agent has ended its work.
        """
        shown = {"role": _role(role), "content": content}
        if tool_name is not None:
            shown["tool_name"] = tool_name
        with self._lock:
            message = {
                "seq": self.last_seq + 1,
                "role": shown["role"],
                "content": content,
                "timestamp": now().isoformat(),
                "tokens": not_negative("tokens", tokens),
            }
            if tool_name is not None:
                message["tool_name"] = tool_name
            self._all.append(message)
            self.last_seq += 1
            self._layout.append((self.last_seq, self.last_seq))
            try:
                self._current.append(shown)
            except Unavailable as error:  # the message is safe: what follows from it can wait
                log.warning("%s; it is made anew when there is room", error)
                self._stale = True
        return Message.model_validate(message)

    def __iter__(self) -> Iterator[Message]:
        """Every message, oldest first, read from the file as it is asked for."""
        yield from records(self.folder / files.MESSAGES, Message)

    def current(self) -> list[CurrentMessage]:
        """What the model is sent next, oldest first."""
        with self._lock:
            self._freshen()
            return list(records(self._current_path, CurrentMessage))

    def put_summary(self, summary: Summary) -> None:
        """Let a summary stand for its messages in ``current.jsonl``, which is replaced in one step."""
        with self._lock:
            self._freshen()
            self._summaries.append(summary)
            self._stale = True
            layout, kept, placed = [], [], False
            lines = self._current_path.read_bytes().splitlines(keepends=True)
            for span, line in zip(self._layout, lines, strict=True):
                if not _covers(summary, span):
                    layout.append(span)
                    kept.append(line)
                elif not placed:
                    placed = True
                    layout.append((summary.start_seq, summary.end_seq))
                    kept.append(_summary_line(summary))
            self._replace(kept, layout)

    def check_summary(self, start_seq: int, end_seq: int) -> None:
        """Raise Invalid unless a summary can stand for these messages."""
        if not 1 <= start_seq <= end_seq <= self.last_seq:
            raise Invalid(
                f"a summary of messages {start_seq} to {end_seq}: there are messages 1 to {self.last_seq}",
                f"{start_seq}〜{end_seq} の要約: メッセージは 1〜{self.last_seq} です",
            )
        for first, last in self._layout:
            if first <= end_seq and last >= start_seq and not start_seq <= first <= last <= end_seq:
                raise Invalid(
                    f"a summary of messages {start_seq} to {end_seq} would cut that of {first} to {last}",
                    f"{start_seq}〜{end_seq} の要約は {first}〜{last} の要約と一部だけ重なります",
                )

    @property
    def _current_path(self) -> Path:
        return self.folder / files.CURRENT

    def close(self) -> None:
        """Let the files go."""
        with self._lock:
            self._all.close()
            self._current.close()

    def _is_current(self) -> bool:
        """Whether ``current.jsonl`` has a line for each that it should, and the summaries' own."""
        wanted = {(one.start_seq, one.end_seq): _summary_line(one) for one in self._summaries}
        try:
            with self._current_path.open("rb") as file:
                for span, line in zip(self._layout, file, strict=True):
                    if span in wanted and not _same(line, wanted[span]):
                        return False
        except (FileNotFoundError, ValueError):  # no file, or another number of lines
            return False
        return True

    def _freshen(self) -> None:
        """Make ``current.jsonl`` anew from messages and summaries, if it is not what it should be."""
        if not self._stale:
            return
        standing = _standing(self._summaries)
        layout: list[Span] = []
        lines: list[bytes] = []
        placed: set[int] = set()
        for message in self:
            summary = next((one for one in standing if _covers(one, (message.seq, message.seq))), None)
            if summary is None:
                shown = {} if message.tool_name is None else {"tool_name": message.tool_name}
                lines.append(to_json({"role": message.role, "content": message.content, **shown}))
                layout.append((message.seq, message.seq))
            elif summary.id not in placed:
                placed.add(summary.id)
                lines.append(_summary_line(summary))
                layout.append((summary.start_seq, summary.end_seq))
        self._replace(lines, layout)

    def _replace(self, lines: list[bytes], layout: list[Span]) -> None:
        self._current.close()
        try:
            jsonl.replace(self._current_path, b"".join(lines))
        finally:
            self._current = JsonLines(self._current_path, durable=False)
        self._layout, self._stale = layout, False


def _role(role: str) -> str:
    try:
        return Role(role).value
    except ValueError:
        raise Invalid(
            f"unknown role {str(role)[:40]!r}; known: {', '.join(Role)}",
            f"{str(role)[:40]!r} という role はありません。使えるもの: {', '.join(Role)}",
        ) from None


def _covers(summary: Summary, span: Span) -> bool:
    return summary.start_seq <= span[0] and span[1] <= summary.end_seq


def _standing(summaries: list[Summary]) -> list[Summary]:
    """The summaries that no later one covers."""
    return [
        one
        for at, one in enumerate(summaries)
        if not any(_covers(later, (one.start_seq, one.end_seq)) for later in summaries[at + 1 :])
    ]


def _layout(summaries: list[Summary], last_seq: int) -> list[Span]:
    """What each line of ``current.jsonl`` stands for, if the messages are numbered without a gap."""
    layout: list[Span] = []
    seq = 1
    for one in sorted(_standing(summaries), key=lambda summary: summary.start_seq):
        layout += [(number, number) for number in range(seq, one.start_seq)]
        layout.append((one.start_seq, one.end_seq))
        seq = one.end_seq + 1
    return layout + [(number, number) for number in range(seq, last_seq + 1)]


def _summary_line(summary: Summary) -> bytes:
    return to_json({"role": SUMMARY_ROLE.value, "content": summary.summary})


def _same(line: bytes, wanted: bytes) -> bool:
    try:
        return bool(json.loads(line) == json.loads(wanted))
    except ValueError:
        return False
