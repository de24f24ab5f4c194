"""The frame around every page: name, rooms, connection, language; and the page for a wrong address."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui
from starlette.requests import Request

from daicho.core.elements import box, words
from daicho.core.language import Text, current, say
from daicho.core.screen import Build, Screen
from daicho.core.types import now
from daicho.ledger import AsyncLedger

BUILD_SECONDS = 30.0
"""How long a page may take to build before NiceGUI gives up on it."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room in the navigation."""

    name: str
    title: Text
    path: str


class Shell:
    """The console as the rooms see it (``core.screen.Console``)."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self.ledger = ledger
        self.rooms: list[Room] = []

    def room(self, name: str, title: Text, path: str) -> None:
        self.rooms.append(Room(name, title, path))

    def page(self, path: str, room: str) -> Callable[[Build], Build]:
        def serve(build: Build) -> Build:
            @ui.page(path, response_timeout=BUILD_SECONDS)
            async def draw(request: Request) -> None:
                screen = Screen(request, self.ledger)
                current.set(screen.language)
                ui.add_head_html(
                    f"<script>document.documentElement.lang={json.dumps(screen.language)}</script>"
                )
                self._header(screen, room)
                with screen.body():
                    await build(screen)

            return build

        return serve

    def _header(self, screen: Screen, here: str) -> None:
        with box("d-top", "header"), box("d-top-in"):
            with box("d-brand", "a", href="/"):
                words("台", "d-seal", aria_hidden="true")
                words("台帳 Daicho", "d-name")
            with box("d-nav", "nav", aria_label=say("Rooms", "部屋")):
                for room in self.rooms:
                    at = "page" if room.name == here else None
                    words(room.title, tag="a", href=room.path, aria_current=at)
            box(
                "d-end",
                "link-state",
                now=now().isoformat(),
                up=say("Connected", "接続中"),
                down=say("Reconnecting…", "再接続しています…"),
                role="status",
            )
            with box("d-tongues", role="group", aria_label=say("Language", "言語")):
                for language, name in (("ja", "日本語"), ("en", "English")):
                    pressed = "true" if screen.language == language else "false"
                    button = words(name, tag="button", type="button", lang=language, aria_pressed=pressed)
                    button.on("click", js_handler=f"() => daicho.speak('{language}')")


def register_missing(shell: Shell) -> None:
    """Answer every address that no room serves with a page that leads back. Call it last."""

    @shell.page("/{path:path}", "")
    async def missing(screen: Screen) -> None:
        screen.client.status_code = 404
        screen.name(say("Not found", "見つかりません"))
        with box("d-sheet d-empty"):
            words(say("There is no page at this address.", "このアドレスにページはありません。"), tag="b")
            words(screen.path, "d-mono")
            words(say("Go to the calls", "通話一覧へ"), "d-link", "a", href=shell.rooms[0].path)
