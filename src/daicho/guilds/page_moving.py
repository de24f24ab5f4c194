"""The ways to close, assign and re-prioritise a ticket on its page. They show what the ledger says."""

from collections.abc import Awaitable, Callable, Mapping

from daicho.core.elements import Words, box, set_attribute, show, words
from daicho.core.errors import DaichoError, NotFound
from daicho.core.language import Text, say
from daicho.core.operation import Async
from daicho.core.screen import Screen
from daicho.guilds.enums import TicketPriority, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.page_words import PRIORITIES, typed_id
from daicho.guilds.schemas import TICKET
from daicho.guilds.store import GuildStore

MOVES: Mapping[TicketStatus, tuple[Text, frozenset[TicketStatus]]] = {
    TicketStatus.IN_PROGRESS: (Text("Start work", "対応を始める"), frozenset({TicketStatus.OPEN})),
    TicketStatus.CLOSED: (
        Text("Close ticket", "完了にする"),
        frozenset({TicketStatus.OPEN, TicketStatus.IN_PROGRESS}),
    ),
    TicketStatus.OPEN: (
        Text("Back to open", "未対応に戻す"),
        frozenset({TicketStatus.IN_PROGRESS, TicketStatus.CLOSED, TicketStatus.ARCHIVED}),
    ),
    TicketStatus.ARCHIVED: (Text("Archive", "保管する"), frozenset({TicketStatus.CLOSED})),
}
"""The ways from one status to another: what each is called, and from where it is offered."""
SUBMITTED = """(event) => {
  event.preventDefault();
  emit(new FormData(event.target).get("user"));
}"""


class Moving:
    """The buttons, and the field for who is to work on the ticket; drawn where they are made.

    Args:
        ticket_id: whose.
        guilds: carries out what is asked.
        screen: the page.
        look: brings the page up to date.
    """

    def __init__(
        self, ticket_id: int, guilds: GuildStore[Async], screen: Screen, look: Callable[[], Awaitable[None]]
    ) -> None:
        self._ticket_id, self._guilds, self._screen, self._look = ticket_id, guilds, screen, look
        with box("d-sheet d-moving", "section", aria_label=say("Work on the ticket", "チケットの操作")):
            with box("d-row"):
                self._moves = {status: self._move(status) for status in MOVES}
            self._priorities = self._priority_buttons()
            self._assignee_field()
            with box("d-banner", role="alert", hidden=True) as self._refusal:
                self._title, self._reason = words("", tag="b"), words("")

    def take(self, ticket: Ticket) -> None:
        """Offer what can be done with the ticket as it is now."""
        for status, button in self._moves.items():
            show(button, ticket.status in MOVES[status][1])
        for priority, button in self._priorities.items():
            set_attribute(button, "aria-pressed", "true" if priority is ticket.priority else "false")
        show(self._unassign, ticket.assigned_to is not None)

    # -- what is drawn -----------------------------------------------------------------------------------

    def _move(self, status: TicketStatus) -> Words:
        button = words(MOVES[status][0], "d-button", "button", type="button", hidden=True)

        async def move() -> Ticket | None:
            if status is TicketStatus.CLOSED:
                return await self._guilds.close_ticket(self._ticket_id)
            return await self._guilds.update_ticket(self._ticket_id, status=status)

        self._screen.on(button, "click", self._doing(move))
        return button

    def _priority_buttons(self) -> dict[TicketPriority, Words]:
        label = say("Priority", "優先度")
        with box("d-choice"):
            words(label, "d-choice-label")
            with box("d-segments", role="group", aria_label=label):
                return {priority: self._priority_button(priority) for priority in PRIORITIES}

    def _priority_button(self, priority: TicketPriority) -> Words:
        button = words(PRIORITIES[priority], tag="button", type="button", aria_pressed="false")

        async def prioritise() -> Ticket | None:
            return await self._guilds.update_ticket(self._ticket_id, priority=priority)

        self._screen.on(button, "click", self._doing(prioritise))
        return button

    def _assignee_field(self) -> None:
        with box("d-assign", "form") as form:
            with box("d-field", "label"):
                words(say("Assign to", "担当者を決める"))
                hint = say("Discord ID", "Discord の ID")
                box("", "input", type="text", name="user", placeholder=hint, maxlength=30, autocomplete="off",
                    inputmode="numeric", required=True)  # fmt: skip
            words(say("Assign", "決定"), "d-button", "button", type="submit")
            self._unassign = words(
                say("Unassign", "担当を外す"), "d-button", "button", type="button", hidden=True
            )

        async def assign(given: object) -> None:
            async def give() -> Ticket | None:
                user_id = typed_id(str(given or "").strip())
                return await self._guilds.update_ticket(self._ticket_id, assigned_to=user_id)

            if await self._do(give):
                self._screen.client.run_javascript(f"document.getElementById('{form.html_id}').reset()")

        async def take_away() -> Ticket | None:
            return await self._guilds.update_ticket(self._ticket_id, assigned_to=None)

        self._screen.on(form, "submit", assign, SUBMITTED)
        self._screen.on(self._unassign, "click", self._doing(take_away))

    # -- what is done ------------------------------------------------------------------------------------

    def _doing(self, act: Callable[[], Awaitable[Ticket | None]]) -> Callable[[object], Awaitable[None]]:
        async def handle(_: object) -> None:
            await self._do(act)

        return handle

    async def _do(self, act: Callable[[], Awaitable[Ticket | None]]) -> bool:
        """Ask the ledger; say why not if it refuses. The page shows what has become of the ticket."""
        try:
            if await act() is None:
                raise NotFound(TICKET, self._ticket_id)
        except DaichoError as error:
            # On the banner it would stand only until the page looks again, which it does every few seconds.
            self._title.set_text(str(type(error).title))
            self._reason.set_text(str(error))
            show(self._refusal, True)
            return False
        show(self._refusal, False)
        await self._look()
        return True
