"""A task's tool calls and summaries on its page."""

from typing import Any

from nicegui import ui

from daicho.core.elements import Chip, box, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.core.tail import LongText
from daicho.tasks.files import TaskFiles
from daicho.tasks.page_file import FileTail, stamp
from daicho.tasks.page_messages import pretty
from daicho.tasks.schemas import Summary, ToolCall


class ToolCalls:
    """The tool calls of a task, one a row; drawn where it is made."""

    def __init__(self, files: TaskFiles, uuid: str, screen: Screen) -> None:
        self._screen = screen
        self._tail = FileTail[ToolCall](
            files,
            files.tool_calls,
            uuid,
            screen,
            self._draw,
            label=say("Tool calls", "ツール実行"),
            nothing=say("No tool was called yet.", "ツールはまだ使われていません。"),
            classes="d-rows",
        )
        self.look = self._tail.look

    def _draw(self, call: ToolCall, at: int) -> ui.element:
        with box("d-fold d-tool", "details", data_line=call.seq) as root:
            with box("", "summary"):
                words(f"#{call.seq}", "d-quiet d-number")
                words(call.tool, "d-mono d-cut", "b", title=call.tool)
                _outcome(call.status)
                words(length(call.duration_ms), "d-number d-right")
                with box("d-quiet d-right"):
                    stamp(call.timestamp)
            body = box("d-unfolded")

        async def unfold(is_open: object) -> None:
            # What a call took and gave may be large: it is read only when somebody looks.
            body.clear()
            found = await self._tail.again(at) if is_open else None
            if found is not None:
                with body:
                    for label, name in (
                        (say("Arguments", "引数"), "args"),
                        (say("Result", "結果"), "result"),
                        (say("Error", "エラー"), "error"),
                    ):
                        self._field(label, name, getattr(found, name), at)

        self._screen.on(root, "toggle", unfold, "(event) => emit(event.target.open)")
        return root

    def _field(self, label: str, name: str, value: Any, at: int) -> None:
        if value is None:
            return

        async def again() -> str | None:
            found = await self._tail.again(at)
            return None if found is None else pretty(getattr(found, name))

        words(label, "d-label", "div")
        LongText(self._screen, pretty(value), again, f"d-pre d-mono{' d-bad' * (name == 'error')}")


class Summaries:
    """The summaries of a task; drawn where it is made."""

    def __init__(self, files: TaskFiles, uuid: str, screen: Screen) -> None:
        self._screen = screen
        self._tail = FileTail[Summary](
            files,
            files.summaries,
            uuid,
            screen,
            self._draw,
            label=say("Summaries", "要約"),
            nothing=say("Nothing was summarized yet.", "要約はまだありません。"),
        )
        self.look = self._tail.look

    def _draw(self, summary: Summary, at: int) -> ui.element:
        async def again() -> str | None:
            found = await self._tail.again(at)
            return None if found is None else found.summary

        span = f"{summary.start_seq:,}–{summary.end_seq:,}"
        with box("d-summary", data_line=summary.id) as root:
            with box("d-row"):
                words(say(f"Messages {span}", f"メッセージ {span}"), tag="b")
                if summary.ratio is not None:
                    words(say(f"{summary.ratio:.1%} of the length", f"{summary.ratio:.1%} に圧縮"), "d-chip")
                if summary.original_tokens is not None and summary.summary_tokens is not None:
                    tokens = f"{summary.original_tokens:,} → {summary.summary_tokens:,}"
                    words(say(f"{tokens} tokens", f"{tokens} トークン"), "d-quiet d-number")
                with box("d-quiet d-end"):
                    stamp(summary.timestamp)
            LongText(self._screen, summary.summary, again, "d-pre")
        return root


def length(milliseconds: float | None) -> str:
    """Write how long a tool took: ``340 ms``, ``12.5 s``, ``3:20``."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{int(milliseconds // 60_000)}:{int(milliseconds // 1000) % 60:02}"


def _outcome(status: str) -> Chip:
    match status:
        case "success":
            return Chip(say("Done", "成功"), "d-done")
        case "error":
            return Chip(say("Error", "エラー"), "d-failed")
    return Chip(status, "")
