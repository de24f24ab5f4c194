"""What the pages of rooms stand on: one reader's screen, which follows the ledger; pagers.

Only ``page.py`` files (and the parts they are split into) and the console import this.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from datetime import UTC, tzinfo
from time import monotonic
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlencode
from zoneinfo import ZoneInfo

from nicegui import Client, ui
from nicegui.events import GenericEventArguments
from starlette.requests import Request

from daicho.core.changes import concerns
from daicho.core.elements import box, set_attribute, show, words
from daicho.core.errors import DaichoError
from daicho.core.language import Language, Text, current, from_header, say

log = logging.getLogger("daicho")

PAUSE_SECONDS = 0.2
"""The least time between two looks at the database for one page."""
SAFETY_SECONDS = 5.0
"""A page looks again after this time even if no change was announced."""
FIRST_SECONDS = 2.5
"""How long a page may keep its reader waiting for the first look."""


ZONE_CHECK = """{
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  if (zone !== %s && document.cookie.split("; ").includes(`daicho_zone=${zone}`)) location.reload();
}"""
"""Only once the cookie says so: where cookies are refused, it would reload for ever."""


class Feed(Protocol):
    """A ledger that says when something has changed."""

    def changes(self) -> AsyncIterator[frozenset[str]]: ...


L_co = TypeVar("L_co", bound=Feed, covariant=True)


class Console(Protocol[L_co]):
    """What a room's ``register(console)`` gets."""

    @property
    def ledger(self) -> L_co: ...

    def room(self, name: str, title: Text, path: str) -> None:
        """Put a room into the navigation."""

    def page(self, path: str, room: str) -> Callable[["Build"], "Build"]:
        """Serve a page of a room; the function draws it, once for every reader."""


class Screen:
    """One page in one browser: its language, its address, its link to the ledger.

    Args:
        request: the browser's request for the page.
        feed: the ledger that the page follows.
    """

    def __init__(self, request: Request, feed: Feed) -> None:
        self.client: Client = ui.context.client
        self.path = request.url.path
        self.base = str(request.base_url).rstrip("/")
        self.query = {name: value.strip() for name, value in request.query_params.items()}
        self.route: Mapping[str, str] = request.path_params
        self.language = language_of(request)
        self.zone = zone_of(request)
        self._zone_said = request.cookies.get("daicho_zone", "")
        self.place: ui.element = self.client.content
        self._feed = feed
        self._turn = asyncio.Lock()

    def name(self, title: str) -> None:
        """Give the browser's tab its title."""
        self.client.title = f"{title} · 台帳 Daicho"

    def insist_on_zone(self) -> None:
        """Let the browser ask again if its time zone is not the one that it has said: all hangs on it."""
        self.client.run_javascript(ZONE_CHECK % json.dumps(self._zone_said))

    def address(self, query: Mapping[str, str]) -> str:
        """Return the page's own address with what the reader chose: ``/calls?client=client-001``."""
        chosen = urlencode({name: value for name, value in query.items() if value})
        return f"{self.path}?{chosen}" if chosen else self.path

    def remember(self, query: Mapping[str, str]) -> None:
        """Write what the reader chose into the address, so that it can be reloaded and shared."""
        code = f"history.replaceState(null, '', {json.dumps(self.address(query))})"
        self.client.run_javascript(code)

    def on(
        self,
        element: ui.element,
        event: str,
        act: Callable[[Any], Awaitable[None]],
        js: str = "() => emit()",
    ) -> None:
        """Call ``act`` with what the browser emits, in the page's language; errors go to the banner."""

        async def handle(arguments: GenericEventArguments) -> None:
            current.set(self.language)
            async with self.guard():
                await act(arguments.args)

        element.on(event, handle, js_handler=js)

    async def follow(
        self,
        room: str,
        look: Callable[[], Awaitable[None]],
        pause: float = PAUSE_SECONDS,
        patience: Callable[[], float] = lambda: SAFETY_SECONDS,
    ) -> None:
        """Call ``look`` now, and again whenever the room may have changed, until the reader leaves.

        Args:
            room: whose changes concern this page.
            look: reads the ledger and brings the page up to date.
            pause: seconds to leave between two looks; never less than the look before has taken.
            patience: seconds after which to look again even if no change was announced.
        """
        async with self.guard(), asyncio.timeout(FIRST_SECONDS):
            await look()
        # Handlers of the connection run elsewhere: the page's language lives in this context.
        context = copy_context()
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            if not tasks:
                tasks.append(asyncio.create_task(self._follow(room, look, pause, patience), context=context))

        def end() -> None:
            for task in tasks:
                task.cancel()

        self.client.on_connect(begin)
        self.client.on_delete(end)

    async def _follow(
        self,
        room: str,
        look: Callable[[], Awaitable[None]],
        pause: float,
        patience: Callable[[], float],
    ) -> None:
        announced = self._feed.changes()
        changed = asyncio.Event()
        changed.set()  # whatever happened between the first look and now

        async def listen() -> None:
            async for rooms in announced:
                if concerns(room, rooms):
                    changed.set()

        listener = asyncio.create_task(listen())
        try:
            while True:
                # Not wait_for: before Python 3.12 it drops a cancellation that comes with what it waits for.
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience()):
                        await changed.wait()
                changed.clear()
                begun = monotonic()
                async with self.guard():
                    await look()
                await asyncio.sleep(max(pause, monotonic() - begun))
        finally:
            listener.cancel()

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Let one thing at a time change the page; an error becomes the banner, success takes it away."""
        async with self._turn:
            try:
                with self.place:
                    yield
            except TimeoutError:
                self._tell(
                    say("The database takes its time.", "データベースの応答に時間がかかっています。"), ""
                )
            except DaichoError as error:
                self._tell(str(type(error).title), str(error))
            except Exception:
                log.exception("a console page could not be drawn")
                self._tell(
                    say("Something went wrong.", "問題が起きました。"),
                    say("The server's log says what.", "詳しくはサーバーのログにあります。"),
                )
            else:
                self._tell("", "")

    @contextmanager
    def body(self) -> Iterator[None]:
        """The part of the page that the room draws, under the banner."""
        with box("d-page", "main") as self.place:
            with box("d-banner", role="alert", hidden=True) as self._banner:
                self._title, self._reason = words("", tag="b"), words("")
            yield

    def _tell(self, title: str, reason: str) -> None:
        self._title.set_text(title)
        self._reason.set_text(reason)
        show(self._banner, bool(title))


Build = Callable[[Screen], Awaitable[None]]


def language_of(request: Request) -> Language:
    """The language that the reader chose, or else the browser's."""
    match request.cookies.get("daicho_lang"):
        case "ja":
            return "ja"
        case "en":
            return "en"
    return from_header(request.headers.get("accept-language"))


def zone_of(request: Request) -> tzinfo:
    """The browser's time zone, as its cookie says; UTC until it has said so."""
    try:
        return ZoneInfo(unquote(request.cookies.get("daicho_zone", "")))
    except (KeyError, ValueError, OSError):  # unknown, or no time zone data on this machine
        return UTC


class Pager:
    """Earlier and later pages of a keyset list. ``cursor`` is the page to show.

    Args:
        screen: the page it stands on.
        turn: shows the page of ``cursor``.
        cursor: where to begin.
    """

    def __init__(self, screen: Screen, turn: Callable[[], Awaitable[None]], cursor: str | None) -> None:
        self.cursor = cursor
        self._before: list[str | None] = []
        self._next: str | None = None
        self._turn = turn
        with box("d-pager", "nav", aria_label=say("Pages", "ページ"), hidden=True) as self._bar:
            self._back = words(say("‹ Newer", "‹ 新しい"), "d-button", "button", type="button")
            self._on = words(say("Older ›", "古い ›"), "d-button", "button", type="button")
        screen.on(self._back, "click", self._go_back)
        screen.on(self._on, "click", self._go_on)

    def show(self, following: str | None) -> None:
        """Tell it the cursor of the next page."""
        self._next = following
        set_attribute(self._back, "disabled", None if self.cursor else True)
        set_attribute(self._on, "disabled", None if following else True)
        show(self._bar, bool(self.cursor or following))

    def restart(self) -> None:
        """Go back to the first page, without showing it yet."""
        self.cursor, self._before = None, []

    async def _go_on(self, _: object) -> None:
        if self._next:
            self._before.append(self.cursor)
            self.cursor = self._next
            await self._turn()

    async def _go_back(self, _: object) -> None:
        self.cursor = self._before.pop() if self._before else None
        await self._turn()


class PlainPager(Pager):
    """A pager of what is sorted by its name or number, where nothing is newer or older."""

    def __init__(self, screen: Screen, turn: Callable[[], Awaitable[None]], cursor: str | None) -> None:
        super().__init__(screen, turn, cursor)
        self._back.set_text(say("‹ Previous", "‹ 前へ"))
        self._on.set_text(say("Next ›", "次へ ›"))
