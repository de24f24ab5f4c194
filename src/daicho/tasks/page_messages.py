"""A task's messages on its page, as a conversation: the user's on the left, the agent's on the right."""

import json
from collections.abc import Mapping, Set
from typing import Any

from nicegui import ui

from daicho.core.elements import box, words
from daicho.core.language import Text, say
from daicho.core.screen import Screen
from daicho.core.tail import LongText
from daicho.tasks.files import TaskFiles
from daicho.tasks.page_file import FileTail, stamp
from daicho.tasks.schemas import Message, Role

PREVIEW = 120
"""Characters of a folded text that are shown."""
TEXTS = {"text", "input_text", "output_text", "summary_text", "refusal", "thinking", "reasoning"}
"""The kinds of content parts that are texts."""
KINDS = {
    "image": Text("image", "画像"),
    "image_url": Text("image", "画像"),
    "input_image": Text("image", "画像"),
    "input_audio": Text("audio", "音声"),
    "file": Text("file", "ファイル"),
    "input_file": Text("file", "ファイル"),
    "document": Text("document", "文書"),
}
ROLES: Mapping[str, Text] = {
    Role.SYSTEM: Text("System", "システム"),
    Role.DEVELOPER: Text("Developer", "開発者"),
    Role.USER: Text("User", "ユーザー"),
    Role.ASSISTANT: Text("Agent", "エージェント"),
    Role.TOOL: Text("Tool", "ツール"),
    Role.FUNCTION: Text("Tool", "ツール"),
}
SIDES: Mapping[str, str] = {Role.ASSISTANT: "d-ai", Role.USER: "d-user"}
FOLDED: Set[str] = {Role.TOOL, Role.FUNCTION, Role.SYSTEM, Role.DEVELOPER}


class Messages:
    """The messages of a task; drawn where it is made."""

    def __init__(self, files: TaskFiles, uuid: str, screen: Screen) -> None:
        self._screen = screen
        self._tail = FileTail[Message](
            files,
            files.messages,
            uuid,
            screen,
            self._draw,
            label=say("Messages", "メッセージ"),
            nothing=say("There are no messages yet.", "メッセージはまだありません。"),
        )
        self.look = self._tail.look

    def _draw(self, message: Message, at: int) -> ui.element:
        side = SIDES.get(message.role, "d-aside")
        with box(f"d-line {side}", data_line=message.seq) as root:
            if message.role in FOLDED:
                self._folded(message, at)
            else:
                self._text(message, at, "d-bubble")
            with box("d-under"):
                words(ROLES.get(message.role, message.role))
                words(f"#{message.seq}")
                if message.tokens is not None:
                    words(say(f"{message.tokens:,} tokens", f"{message.tokens:,} トークン"))
                stamp(message.timestamp)
        return root

    def _folded(self, message: Message, at: int) -> None:
        """Show a line of what a tool answered; the rest when it is unfolded."""
        text = text_of(message.content)
        with box("d-fold", "details"):
            with box("", "summary"):
                words(message.tool_name or ROLES.get(message.role, message.role), "d-mono", "b")
                words(text[:PREVIEW], "d-cut d-quiet")
            self._text(message, at, "d-pre")

    def _text(self, message: Message, at: int, classes: str) -> None:
        text = text_of(message.content)
        if not text:
            words(say("(no text)", "(本文なし)"), f"{classes} d-quiet", "div")
            return

        async def again() -> str | None:
            found = await self._tail.again(at)
            return None if found is None else text_of(found.content)

        LongText(self._screen, text, again, classes)


def text_of(content: Any) -> str:
    """Return a message's content as a text, from whichever of the providers' forms it has.

    Parts that are no text are named in brackets; what is of no known form is shown as JSON.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return _part(content)


def pretty(value: Any) -> str:
    """Return a value as JSON to read; a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return pretty(part)
    kind = part.get("type")
    if kind in KINDS:
        return f"[{KINDS[kind]}]"
    if kind == "tool_use":
        return f"[{part.get('name')}] {pretty(part.get('input'))}"
    if kind == "tool_result":
        return text_of(part.get("content"))
    if kind in TEXTS or (kind is None and "text" in part):
        return pretty(next((part[name] for name in (kind, "text") if name in part), ""))
    return f"[{kind}]" if isinstance(kind, str) else pretty(part)
