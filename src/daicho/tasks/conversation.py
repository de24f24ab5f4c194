"""What an agent writes of its work besides messages: summaries and tool calls; and the three together."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daicho.core.errors import Invalid
from daicho.core.types import now
from daicho.tasks import files
from daicho.tasks.appending import JsonLines
from daicho.tasks.jsonl import records
from daicho.tasks.messages import MessageStore, whole
from daicho.tasks.schemas import Outcome, Summary, ToolCall

log = logging.getLogger("daicho")


class SummaryStore:
    """A task's summaries (``TaskContextManager.get_summary_store``), for any of the agent's threads.

    Args:
        file: ``summaries.jsonl``.
        messages: what they stand for.
    """

    def __init__(self, file: JsonLines[Summary], messages: MessageStore) -> None:
        self.folder = file.path.parent
        self._file = file
        self._messages = messages
        self._lock = threading.Lock()

    def add_summary(
        self,
        start_seq: int,
        end_seq: int,
        summary: str,
        original_tokens: int | None = None,
        summary_tokens: int | None = None,
    ) -> Summary:
        """Append a summary; from now on it stands for its messages in ``current.jsonl``.

        Args:
            start_seq, end_seq: the first and the last message that it stands for.
            summary: its text.
            original_tokens, summary_tokens: how many those were, and how many it is.

        Returns the summary with its number. Raises Invalid for messages that are not there, or if it
        would cut a former summary in two; Unavailable if it could not be written.
        """
        before, after = whole("original_tokens", original_tokens), whole("summary_tokens", summary_tokens)
        with self._lock:
            self._messages.check_summary(start_seq, end_seq)
            made = self._file.append(
                {
                    "start_seq": start_seq,
                    "end_seq": end_seq,
                    "summary": summary,
                    "original_tokens": before,
                    "summary_tokens": after,
                    "ratio": None if not before or after is None else after / before,
                    "timestamp": now().isoformat(),
                }
            )
            self._messages.put_summary(made)
        return made

    def __iter__(self) -> Iterator[Summary]:
        """Every summary, oldest first."""
        yield from records(self.folder / files.SUMMARIES, Summary)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class ToolStore:
    """A task's tool calls (``TaskContextManager.get_tool_store``), for any of the agent's threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = JsonLines(folder / files.TOOLS, ToolCall, "seq")
        self.torn = self._file.told

    def add_tool_call(
        self,
        tool: str,
        args: Any = None,
        result: Any = None,
        *,
        status: Outcome | None = None,
        error: str | None = None,
        duration_ms: float | None = None,
    ) -> ToolCall:
        """Append a tool call; it is durable when this returns.

        Args:
            tool: its name.
            args, result: anything that JSON can hold.
            status: success or error; unset, error if there is one.
            error: what went wrong.
            duration_ms: how long it took, in milliseconds.

        Returns the call with its number. Raises Invalid; Unavailable if it could not be written.
        """
        outcome = status or ("success" if error is None else "error")
        if outcome not in {"success", "error"}:
            raise Invalid(
                f"status must be 'success' or 'error', not {outcome!r}",
                f"status は 'success' か 'error' です ({outcome!r} でした)",
            )
        return self._file.append(
            {
                "tool": tool,
                "args": args,
                "result": result,
                "status": outcome,
                "error": error,
                "duration_ms": duration_ms,
                "timestamp": now().isoformat(),
            }
        )

    def __iter__(self) -> Iterator[ToolCall]:
        """Every tool call, oldest first."""
        yield from records(self.folder / files.TOOLS, ToolCall)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class Conversation:
    """The three files of a task, open for one agent; mended first where a crash has left them torn.

    ``torn`` says what was mended.
    """

    def __init__(self, folder: Path) -> None:
        summaries = JsonLines(folder / files.SUMMARIES, Summary, "id")
        self.messages = MessageStore(folder, list(records(summaries.path, Summary)))
        self.summaries = SummaryStore(summaries, self.messages)
        self.tools = ToolStore(folder)
        self.torn = [*self.messages.torn, *summaries.told, *self.tools.torn]
        for told in self.torn:
            log.warning("task %s: %s", folder.name, told)

    def moved(self, folder: Path) -> None:
        """Read from the folder's new place from now on."""
        for store in (self.messages, self.summaries, self.tools):
            store.folder = folder

    def close(self) -> None:
        """Let the files go: nothing can be appended, all can be read. A second call does nothing."""
        for store in (self.messages, self.summaries, self.tools):
            store.close()
