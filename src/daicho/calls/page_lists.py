"""The two lists of the calls page: cards of the calls that go on, a table of those that have ended."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypedDict
from urllib.parse import quote

from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import Role
from daicho.calls.store import CallStore
from daicho.core.elements import Chip, Row, Rows, box, elapsed, moment, show, words
from daicho.core.language import say
from daicho.core.money import Costs, Spent, money
from daicho.core.operation import Async
from daicho.core.screen import Pager, Screen

LIVE_AT_ONCE = 12
LIVE_AT_MOST = 240
ENDED_AT_ONCE = 25
PREVIEW = 160
"""Characters that a card shows of a call's last line."""
COLUMNS = "--columns: 128px minmax(160px, 2fr) minmax(120px, 1fr) minmax(130px, 1.2fr) 72px 80px 104px"


class Criteria(TypedDict):
    """What ``calls.list`` filters by, apart from live or ended."""

    client_id: str | None
    state: str | None
    transferred: bool | None
    since: datetime | None
    until: datetime | None


class LiveCalls:
    """The calls that go on, latest first, each with its last line.

    Args:
        look_again: asks the page to look again, when more calls are wanted.
    """

    def __init__(
        self, calls: CallStore[Async], screen: Screen, look_again: Callable[[], Awaitable[None]]
    ) -> None:
        self.calls: list[Call] = []
        self._store = calls
        self._look_again = look_again
        self._limit = LIVE_AT_ONCE
        with box("d-section") as self.root:
            with box("d-row"), words(say("Live now", "通話中"), tag="h2"):
                self._count = words("", "d-count")
            self._cards = Rows(box("d-cards"), lambda card: card[0].call_id, _card)
            with box("d-sheet d-empty d-slim") as self._nothing:
                words(say("Nobody is on the line just now.", "いま通話中のものはありません。"))
            self._more = words(say("Show more", "さらに表示"), "d-plain", "button", type="button")
            screen.on(self._more, "click", self._show_more)

    async def look(self, criteria: Criteria) -> int:
        """Bring the cards up to date; return how many there are."""
        page = await self._store.list(live=True, limit=self._limit, **criteria)
        cards: list[Card] = []
        for call in page.items:
            lines = await self._store.transcript(call.call_id, newest_first=True, limit=1)
            cards.append((call, lines.items[0] if lines.items else None))
        self.calls = page.items
        self._cards.show(cards)
        self._count.set_text(f"{len(page)}{'+' if page.next else ''}" if page.items else "")
        show(self._nothing, not page.items)
        show(self._more, page.next is not None and self._limit < LIVE_AT_MOST)
        return len(page)

    async def _show_more(self, _: object) -> None:
        self._limit += LIVE_AT_ONCE
        await self._look_again()


class EndedCalls:
    """The calls that have ended, latest first, a page at a time, each with what it has cost.

    Args:
        costs: what calls have cost.
        turn: shows the page that ``pager`` has come to.
        cursor: the page to begin with.
    """

    def __init__(
        self,
        calls: CallStore[Async],
        costs: Costs,
        screen: Screen,
        turn: Callable[[], Awaitable[None]],
        cursor: str | None,
    ) -> None:
        self.calls: list[Call] = []
        self._store, self._costs = calls, costs
        with box("d-section") as self.root:
            words(say("Ended", "終了した通話"), tag="h2")
            with box("d-sheet d-table").style(COLUMNS) as self._table:
                with box("d-tr d-th"):
                    words(say("Started", "開始"))
                    words(say("Client", "クライアント"))
                    words(say("Caller", "発信者番号"))
                    words(say("State", "状態"))
                    words(say("Length", "長さ"), "d-right")
                    words(say("LLM cost", "LLM 費用"), "d-right")
                    words(say("Handed over", "転送"))
                self._rows = Rows(box(), lambda ended: ended[0].call_id, _row)
            with box("d-sheet d-empty d-slim") as self._nothing:
                words(say("None has ended yet.", "終了した通話はまだありません。"))
            self.pager = Pager(screen, turn, cursor)

    async def look(self, criteria: Criteria) -> int:
        """Bring the table up to date; return how many rows there are."""
        page = await self._store.list(live=False, limit=ENDED_AT_ONCE, cursor=self.pager.cursor, **criteria)
        self.calls = page.items
        await self.look_at_costs()
        show(self._table, bool(page.items))
        show(self._nothing, not page.items)
        self.pager.show(page.next)
        return len(page)

    async def look_at_costs(self) -> None:
        """Bring the rows and what their calls have cost up to date."""
        sources = {call.call_id: source(call) for call in self.calls}
        spent = await self._costs.costs_of(list(sources.values())) if sources else {}
        self._rows.show([(call, spent.get(sources[call.call_id])) for call in self.calls])


def source(call: Call) -> str:
    """What usage of LLMs for a call names as its source."""
    return f"call:{call.call_id}"


def call_address(call_id: str) -> str:
    """The address of a call's page; any characters may be in the id."""
    return f"/calls/{quote(call_id, safe='')}"


def speaker(role: str) -> str:
    """Who speaks in a role."""
    return say("AI", "AI") if role == Role.AI else say("Caller", "発信者")


def handed_over() -> Chip:
    """Add the label of a call that was handed to a person."""
    return Chip(say("Handed over", "転送済み"), "d-warn")


Card = tuple[Call, CallLog | None]


def _card(card: Card) -> Row[Card]:
    call, _ = card
    with box("d-sheet d-card", "a", href=call_address(call.call_id)) as root:
        with box("d-card-head"):
            box("d-pulse", "span", role="img", aria_label=say("Live", "通話中"))
            client = words("", tag="b")
            elapsed(call.started_at, None)
        preview = words("", "d-preview", "div", dir="auto")
        with box("d-card-foot"):
            state, transferred = Chip(), handed_over()
            words(call.caller_number or call.call_id, "d-mono", title=call.call_id)

    def take(card: Card) -> None:
        call, line = card
        client.set_text(call.client_id or call.call_id)
        preview.set_text(f"{speaker(line.role)}: {line.text[:PREVIEW]}" if line else "…")
        state.name(call.current_state)
        show(transferred.root, call.is_transferred)

    take(card)
    return Row(root, take)


Ended = tuple[Call, Spent | None]


def _row(ended: Ended) -> Row[Ended]:
    call, _ = ended
    with box("d-tr", "a", href=call_address(call.call_id)) as root:
        moment(call.started_at)
        with box("d-two"):
            words(call.client_id, tag="b")
            words(call.call_id, "d-mono", title=call.call_id)
        words(call.caller_number or "–", "d-number")
        with box():
            state = Chip()
        elapsed(call.started_at, call.ended_at, "d-right")
        cost = words("", "d-right d-number")
        with box():
            transferred = handed_over()

    def take(ended: Ended) -> None:
        call, spent = ended
        state.name(call.current_state)
        cost.set_text(money(spent.total_cost_usd) if spent else "")
        show(transferred.root, call.is_transferred)

    take(ended)
    return Row(root, take)
