"""The table of sessions: each with what was said last, and what it has cost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.needs import LiveChatLedger
from daicho.chats.page_words import is_live, is_ours, session_address, source, speaker
from daicho.core.elements import Row, Rows, box, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.core.money import Spent, money
from daicho.core.page import Page
from daicho.core.screen import Pager, Screen

AT_ONCE = 25
LOOKS_MOST = 20
"""Pages that are read in search of a session: DynamoDB's may come back empty, and lead on."""
PREVIEW = 160
"""Characters that are shown of a session's last message."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A session as the table shows it."""

    session: ChatSession
    last: ChatLog | None
    spent: Spent | None


class Sessions:
    """The sessions, a page at a time; drawn where it is made.

    Args:
        turn: shows the page that ``pager`` has come to.
        cursor: the page to begin with.
    """

    def __init__(
        self, ledger: LiveChatLedger, screen: Screen, turn: Callable[[], Awaitable[None]], cursor: str | None
    ) -> None:
        self._chats, self._costs = ledger.chats, ledger.usage
        self._sessions: list[ChatSession] = []
        self._last: dict[tuple[str, datetime, int | None], ChatLog | None] = {}
        with box("d-section"):
            with box("d-sheet d-table d-chats", hidden=True) as self._table:
                with box("d-tr d-th"):
                    words("")
                    words(say("Session", "セッション"))
                    words(say("Last message", "最後のメッセージ"))
                    words(say("Messages", "メッセージ数"), "d-right")
                    words(say("Last active", "最終更新"))
                    words(say("LLM cost", "LLM 費用"), "d-right")
                self._rows = Rows(box(), lambda glance: glance.session.session_id, _row)
            self.pager = Pager(screen, turn, cursor)

    @property
    def names(self) -> Sequence[str]:
        """The names of the sessions on the page."""
        return [session.session_id for session in self._sessions]

    async def look(self, prefix: str | None, since: datetime | None) -> bool:
        """Bring the table up to date; return whether there are any sessions, on this page or others."""
        page = await self._page(prefix, since)
        self._sessions = page.items
        await self._look_at_last()
        await self.look_at_costs()
        show(self._table, bool(page.items))
        self.pager.show(page.next)
        return bool(page.items or page.next or self.pager.cursor)

    def clear(self) -> None:
        """Show nothing."""
        self._sessions = []
        self._rows.show([])
        show(self._table, False)
        self.pager.show(None)

    async def look_at_costs(self) -> None:
        """Bring the rows and what their sessions have cost up to date."""
        sources = [source(name) for name in self.names if is_ours(name)]
        spent = await self._costs.costs_of(sources) if sources else {}
        self._rows.show(
            [
                Glance(session, self._last.get(_state(session)), spent.get(source(session.session_id)))
                for session in self._sessions
            ]
        )

    async def _page(self, prefix: str | None, since: datetime | None) -> Page[ChatSession]:
        cursor = self.pager.cursor
        for _ in range(LOOKS_MOST):
            page = await self._chats.sessions(prefix=prefix, since=since, limit=AT_ONCE, cursor=cursor)
            if page.items or page.next is None:
                break
            cursor = page.next
        return page

    async def _look_at_last(self) -> None:
        """Read what was said last, in those sessions only that are not as they were."""
        known = self._last
        wanted = [session for session in self._sessions if is_ours(session.session_id)]
        unknown = [session for session in wanted if _state(session) not in known]
        read = await asyncio.gather(*[self._said_last(session.session_id) for session in unknown])
        fresh = dict(zip(map(_state, unknown), read, strict=True))
        self._last = {state: (fresh | known)[state] for state in map(_state, wanted)}

    async def _said_last(self, session_id: str) -> ChatLog | None:
        page = await self._chats.history(session_id, newest_first=True, limit=1)
        for message in page.items:
            message.content = message.content[:PREVIEW]  # no more is kept: it may be long, and readers many
            message.details = None
            return message
        return None


def _state(session: ChatSession) -> tuple[str, datetime, int | None]:
    return session.session_id, session.last_at, session.messages


def _row(glance: Glance) -> Row[Glance]:
    name = glance.session.session_id
    with box("d-tr", "a", href=session_address(name)) as root:
        # It keeps its place while nobody talks.
        pulse = box("", "span")
        words(name, "d-session", "b", title=name)
        preview = words("", "d-said", dir="auto")
        messages = words("", "d-right d-number d-labelled", data_label=say("Messages", "メッセージ数"))
        last_at = moment(glance.session.last_at)
        cost = words("", "d-right d-number")

    def take(glance: Glance) -> None:
        session, last, spent = glance.session, glance.last, glance.spent
        live = is_live(session.last_at)
        pulse.classes(**{"add" if live else "remove": "d-pulse"})
        set_attribute(pulse, "role", "img" if live else None)
        set_attribute(pulse, "aria-label", say("Live", "進行中") if live else None)
        said = [speaker(last), last.content] if last else []
        preview.set_text(": ".join(filter(None, said)))
        messages.set_text("–" if session.messages is None else f"{session.messages:,}")
        set_attribute(last_at, "at", session.last_at.isoformat())
        cost.set_text(money(spent.total_cost_usd) if spent else "")

    take(glance)
    return Row(root, take)
