"""The page of one ticket: what is asked, how far it is, what was said, and what it cost."""

from daicho.core.cost import Cost, has_pages
from daicho.core.elements import Fact, FactOfTime, box, fact, set_attribute, show, words
from daicho.core.language import say
from daicho.core.one_page import OnePageWithCost
from daicho.core.screen import Console, Screen
from daicho.guilds.models import Ticket
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_moving import Moving
from daicho.guilds.page_thread import Passage, Thread
from daicho.guilds.page_tickets import Age
from daicho.guilds.page_words import (
    CATEGORIES,
    SHORT,
    guild_address,
    missing,
    number_in,
    priority_chip,
    shortened,
    status_chip,
    ticket_address,
)
from daicho.guilds.titles import titled


def register(console: Console[LiveGuildLedger]) -> None:
    """Add the page of one ticket to the console."""
    has_pages("ticket", ticket_address)

    @console.page("/guilds/tickets/{ticket_id}", "guilds")
    async def one_ticket(screen: Screen) -> None:
        page = TicketPage(console.ledger, screen)
        await screen.follow("guilds", page.look)
        await screen.follow("usage", page.look_at_cost)


class TicketPage(OnePageWithCost[Ticket, "Drawn"]):
    """The page of one ticket."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen) -> None:
        self._ledger = ledger
        given = screen.route["ticket_id"]
        self._ticket_id = number_in(given)
        screen.name(say("Ticket", "チケット"))
        said = say("There is no such ticket.", "そのチケットはありません。")
        super().__init__(screen, missing(said, given))

    async def _find(self) -> Ticket | None:
        return None if self._ticket_id is None else await self._ledger.guilds.get_ticket(self._ticket_id)

    def _draw(self, found: Ticket) -> "Drawn":
        return Drawn(found, self._ledger, self._screen, self)

    async def _take(self, drawn: "Drawn", found: Ticket) -> None:
        self._screen.name(f"#{found.id} {titled(found.title)[:100]}")
        drawn.take(found)
        await drawn.thread.look()


class Drawn:
    """The parts of a ticket's page that change."""

    def __init__(self, ticket: Ticket, ledger: LiveGuildLedger, screen: Screen, page: TicketPage) -> None:
        back = say("‹ Tickets of the guild", "‹ サーバーのチケット一覧")
        words(back, "d-link d-small", "a", href=guild_address(ticket.guild_id))
        with box("d-row"):
            with box("d-head"):
                words(say(f"Ticket #{ticket.id}", f"チケット #{ticket.id}"), "d-quiet", "div")
                self._title = words("", "d-title", "h1", dir="auto")
            self._status, self._priority = status_chip(), priority_chip()
        with box("d-call"):
            with box("d-beside"):
                self._moving = Moving(ticket.id, ledger.guilds, screen, page.look)
                self._facts = Facts(ticket)
                self.cost = Cost(ledger.usage, f"ticket:{ticket.id}")
            with box("d-section d-roomy"):
                self._passages = [
                    Passage(name, text_of, ticket.id, ledger.guilds, screen)
                    for name, text_of in (
                        (say("Whole title", "件名の全文"), _long_title),
                        (say("Description", "内容"), _description),
                    )
                ]
                self.thread = Thread(ticket, ledger.guilds, screen)

    def take(self, ticket: Ticket) -> None:
        """Show the ticket as it is now."""
        self._title.set_text(shortened(titled(ticket.title)))
        self._status.take(ticket.status)
        self._priority.take(ticket.priority)
        self._moving.take(ticket)
        self._facts.take(ticket)
        for passage in self._passages:
            passage.take(ticket)


def _long_title(ticket: Ticket) -> str:
    """The title, if the heading cannot show all of it."""
    return ticket.title if len(ticket.title) > SHORT else ""


def _description(ticket: Ticket) -> str:
    return ticket.description or ""


class Facts:
    """A ticket's facts; drawn where they are made."""

    def __init__(self, ticket: Ticket) -> None:
        def logs_of(user_id: int) -> str:
            return f"{guild_address(ticket.guild_id, 'logs')}?user={user_id}"

        with box("d-sheet d-facts", "dl"):
            with fact(say("From", "依頼者")), box("", "dd"):
                words(ticket.user_id, "d-mono d-link", "a", href=logs_of(ticket.user_id))
            with fact(say("Assignee", "担当者")), box("", "dd"):
                self._nobody = words(say("Nobody yet", "未定"), "d-quiet")
                self._assignee = words("", "d-mono d-link", "a")
            self._category = Fact(say("Category", "種類"))
            self._created = FactOfTime(say("Created", "作成"))
            self._closed = FactOfTime(say("Closed", "完了"))
            with fact(say("Age", "経過")), box("", "dd"):
                self._age = Age(ticket, "")
            with fact(say("Guild", "サーバー")), box("", "dd"):
                guild = guild_address(ticket.guild_id)
                words(ticket.guild_id, "d-mono d-link", "a", href=guild)
            Fact(say("Channel", "チャンネル"), "d-mono").take(ticket.channel_id)
        self._logs_of = logs_of

    def take(self, ticket: Ticket) -> None:
        """Show the ticket's facts as they are now."""
        user = ticket.assigned_to
        self._assignee.set_text("" if user is None else str(user))
        set_attribute(self._assignee, "href", None if user is None else self._logs_of(user))
        show(self._assignee, user is not None)
        show(self._nobody, user is None)
        self._category.take(CATEGORIES[ticket.category])
        self._created.take(ticket.created_at)
        self._closed.take(ticket.closed_at)
        self._age.take(ticket)
