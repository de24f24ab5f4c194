"""The page of one session: what was said in it, as it is said; its facts, and what it cost."""

from time import monotonic

from daicho.chats.following import patience
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.needs import LiveChatLedger
from daicho.chats.page_talk import Talk
from daicho.chats.page_words import is_live, session_address, source
from daicho.chats.store import checked_session
from daicho.core.cost import Cost, has_pages
from daicho.core.elements import Chip, Fact, FactOfTime, box, show, words
from daicho.core.errors import Invalid, NotFound
from daicho.core.language import say
from daicho.core.one_page import Missing, OnePageWithCost
from daicho.core.screen import Console, Screen

RECOUNT_SECONDS = 60.0
"""How often a session is counted anew where that means to read all of it."""


def register(console: Console[LiveChatLedger]) -> None:
    """Add the page of one session to the console."""
    has_pages("chat", session_address)

    @console.page("/chats/{session_id:path}", "chats")
    async def one_session(screen: Screen) -> None:
        ledger = console.ledger
        page = SessionPage(ledger, screen)
        screen.insist_on_zone()  # a day begins where the reader is
        await screen.follow("chats", page.look, patience=lambda: patience(ledger.chats))
        if ledger.chats.tells:  # else each of those looks is at the cost, too
            await screen.follow("usage", page.look_at_cost)


class SessionPage(OnePageWithCost[ChatSession, "Drawn"]):
    """The page of one session."""

    def __init__(self, ledger: LiveChatLedger, screen: Screen) -> None:
        self._ledger, self._chats = ledger, ledger.chats
        self._session_id = screen.route["session_id"]
        self._known: ChatSession | None = None
        self._counted_at = 0.0
        screen.name(self._session_id)
        back = say("To all chats", "チャット一覧へ")
        missing = Missing(_why_missing(self._session_id), self._session_id, back, "/chats")
        super().__init__(screen, missing, "d-section")
        with self._body:
            Heading(self._session_id)  # there also while the place does not answer

    async def _find(self) -> ChatSession | None:
        due = self._chats.tells or monotonic() - self._counted_at > RECOUNT_SECONDS
        if self._known is None or due:
            self._known, self._counted_at = await self._read(), monotonic()
        return self._known

    async def _read(self) -> ChatSession | None:
        try:
            return await self._chats.session(self._session_id)
        except (NotFound, Invalid):
            return None

    def _draw(self, found: ChatSession) -> "Drawn":
        return Drawn(self._ledger, self._screen, self._session_id)

    async def _take(self, drawn: "Drawn", found: ChatSession) -> None:
        fresh = await drawn.talk.look(found)
        if not self._chats.tells:
            _count_in(found, fresh)
            await drawn.cost.look()
        drawn.take(found)


class Heading:
    """The session's name, and the way back."""

    def __init__(self, session_id: str) -> None:
        words(say("‹ All chats", "‹ チャット一覧"), "d-link d-small", "a", href="/chats")
        with box("d-row"):
            words(session_id, "d-title", "h1")
            self.live = Chip(say("Live", "進行中"), "d-live")
        show(self.live.root, False)


class Drawn:
    """The parts of a session's page that change."""

    def __init__(self, ledger: LiveChatLedger, screen: Screen, session_id: str) -> None:
        self._live = Heading(session_id).live
        with box("d-call"):
            with box("d-beside"):
                with box("d-sheet d-facts", "dl"):
                    self._first = FactOfTime(say("First", "最初"))
                    self._last = FactOfTime(say("Last", "最後"))
                    self._messages = Fact(say("Messages", "メッセージ数"), "d-number")
                self.cost = Cost(ledger.usage, source(session_id))
            self.talk = Talk(ledger.chats, screen, session_id)

    def take(self, session: ChatSession) -> None:
        """Show the session as it is now."""
        show(self._live.root, is_live(session.last_at))
        self._first.take(session.first_at)
        self._last.take(session.last_at)
        self._messages.take(None if session.messages is None else f"{session.messages:,}")


def _why_missing(session_id: str) -> str:
    try:
        checked_session(session_id)
    except Invalid as error:
        return str(error)
    return say(
        "There is no such session yet. Its first message will show here.",
        "そのセッションはまだありません。最初のメッセージが届くと、ここに表示されます。",
    )


def _count_in(session: ChatSession, fresh: list[ChatLog]) -> None:
    """Count messages in that have come since the session was counted."""
    times = [message.timestamp for message in fresh]
    session.first_at = min([session.first_at, *times])
    session.last_at = max([session.last_at, *times])
    if session.messages is not None:
        session.messages += len(fresh)
