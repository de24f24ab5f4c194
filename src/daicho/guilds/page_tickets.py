"""A guild's board of tickets: a column for each status, newest first, a page at a time."""

from collections.abc import Awaitable, Callable
from typing import TypedDict

from daicho.core.elements import Row, Rows, box, elapsed, set_attribute, show, words
from daicho.core.errors import Invalid
from daicho.core.filters import Filters, suggest
from daicho.core.language import say
from daicho.core.page import Page
from daicho.core.screen import Pager, Screen
from daicho.guilds.enums import ENDED, TicketCategory, TicketPriority, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_lists import Notice
from daicho.guilds.page_words import (
    CATEGORIES,
    PRIORITIES,
    STATUSES,
    options,
    priority_chip,
    shortened,
    ticket_address,
    typed_id,
)
from daicho.guilds.titles import titled

AT_ONCE = 10
"""Tickets of a column that are shown."""


class Criteria(TypedDict):
    """What ``list_tickets`` filters by, apart from guild and status."""

    user_id: int | None
    assigned_to: int | None
    category: TicketCategory | None
    priority: TicketPriority | None


class Board:
    """The tickets of a guild. What the reader chose is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int) -> None:
        self._guilds, self._screen, self._guild_id = ledger.guilds, screen, guild_id
        self._filters = Filters(screen, self._choose)
        self._filter_fields()
        self._notice = Notice()
        with box("d-board") as self._board:
            self._columns = {
                status: Column(status, screen, self._turn_page, screen.query.get(f"{status}_after"))
                for status in TicketStatus
            }

    async def look(self) -> None:
        """Bring the board up to date."""
        self._filters.offer_to_clear()
        try:
            criteria = self._criteria()
            pages = [await self._read(column, criteria) for column in self._columns.values()]
        except Invalid as error:
            placed = any(column.pager.cursor for column in self._columns.values())
            self._notice.take(str(error), self._screen.address(self._filters.chosen) if placed else None)
            show(self._board, False)
            return
        self._notice.take("")
        show(self._board, True)
        counts = (await self._guilds.get_ticket_statistics(self._guild_id))["status_distribution"]
        for (status, column), page in zip(self._columns.items(), pages, strict=True):
            column.take(page, None if self._filters.any else counts.get(status, 0))
        tickets = [ticket for page in pages for ticket in page.items]
        suggest(self._users, [str(ticket.user_id) for ticket in tickets])
        suggest(self._assignees, [str(ticket.assigned_to) for ticket in tickets if ticket.assigned_to])

    async def _read(self, column: "Column", criteria: Criteria) -> Page[Ticket]:
        return await self._guilds.list_tickets(
            self._guild_id, status=column.status, limit=AT_ONCE, cursor=column.pager.cursor, **criteria
        )

    def _criteria(self) -> Criteria:
        chosen = self._filters.chosen
        return Criteria(
            user_id=typed_id(chosen["user"]),
            assigned_to=typed_id(chosen["assignee"]),
            category=self._filters.choice("category", TicketCategory),
            priority=self._filters.choice("priority", TicketPriority),
        )

    async def _choose(self) -> None:
        for column in self._columns.values():
            column.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        places = {f"{status}_after": column.pager.cursor or "" for status, column in self._columns.items()}
        self._screen.remember({**self._filters.chosen, **places})
        await self.look()

    def _filter_fields(self) -> None:
        filters, hint = self._filters, say("Discord ID", "Discord の ID")
        with filters.bar():
            self._users = filters.text("user", say("User", "ユーザー"), hint, 30)
            self._assignees = filters.text("assignee", say("Assignee", "担当者"), hint, 30)
            priorities = [(str(one.value), str(text)) for one, text in PRIORITIES.items()][::-1]
            filters.select("priority", say("Priority", "優先度"), [("", say("All", "すべて")), *priorities])
            filters.select("category", say("Category", "種類"), options(CATEGORIES))


class Column:
    """The tickets of one status.

    Args:
        turn: shows the page that ``pager`` has come to.
        cursor: the page to begin with.
    """

    def __init__(
        self, status: TicketStatus, screen: Screen, turn: Callable[[], Awaitable[None]], cursor: str | None
    ) -> None:
        self.status = status
        title = str(STATUSES[status])
        with box(f"d-column d-column-{status}", "section", aria_label=title):
            with words(title, tag="h2"):
                self._count = words("", "d-count")
            self._cards = Rows(box("d-cards"), lambda ticket: ticket.id, _card)
            with box("d-empty d-slim") as self._nothing:
                words(say("None", "なし"))
            self.pager = Pager(screen, turn, cursor)

    def take(self, page: Page[Ticket], count: int | None) -> None:
        """Show a page of tickets, and how many there are in all; None: as many as are known."""
        more = "+" if page.next or self.pager.cursor else ""
        self._count.set_text(f"{len(page)}{more}" if count is None else f"{count:,}")
        self._cards.show(page.items)
        show(self._nothing, not page.items)
        self.pager.show(page.next)


def _card(ticket: Ticket) -> Row[Ticket]:
    with box("d-sheet d-card d-ticket", "a", href=ticket_address(ticket.id)) as root:
        with box("d-card-head"):
            words(f"#{ticket.id}", "d-quiet d-number d-first")
            age = Age(ticket)
        title = words("", "d-subject", "b", dir="auto")
        with box("d-row d-tight"):
            priority = priority_chip()
            category = words("", "d-chip")
        with box("d-card-foot"):
            words(ticket.user_id, "d-mono d-first", title=say("Who asks", "依頼者"))
            assignee = words("", "d-mono d-first", title=say("Assignee", "担当者"))

    def take(ticket: Ticket) -> None:
        age.take(ticket)
        title.set_text(shortened(titled(ticket.title)))
        priority.take(ticket.priority)
        category.set_text(str(CATEGORIES[ticket.category]))
        assignee.set_text(f"→ {ticket.assigned_to}")
        show(assignee, ticket.assigned_to is not None)

    take(ticket)
    return Row(root, take)


class Age:
    """How long a ticket has waited, or took; it runs until the ticket ends."""

    def __init__(self, ticket: Ticket, classes: str = "d-end") -> None:
        with box(classes):
            self._clock = elapsed(ticket.created_at, ticket.closed_at)
            self._unknown = words("–")
        self.take(ticket)

    def take(self, ticket: Ticket) -> None:
        """Show the ticket's age as it is now; none where nobody has noted the ticket's end."""
        unknown = ticket.status in ENDED and ticket.closed_at is None
        set_attribute(self._clock, "until", ticket.closed_at and ticket.closed_at.isoformat())
        show(self._clock, not unknown)
        show(self._unknown, unknown)
