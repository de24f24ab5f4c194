"""The ways to close, assign and re-prioritise a ticket on its page. They show what the ledger says."""

import json
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from nicegui import ui

from daicho.core.elements import Words, box, set_attribute, show, words
from daicho.core.errors import DaichoError, NotFound, Unavailable
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
REFOCUS = """setTimeout(() => {
  const here = document.activeElement;
  if (!here || here === document.body || here.hidden) document.getElementById(%s)?.focus();
})"""
"""Who used a button that is offered no more would have to begin again at the top of the page."""
READABLE_SECONDS = 2.0
"""How long a refusal stands at least, even if its cause has passed."""


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
        self._passing_since: float | None = None

    def take(self, ticket: Ticket) -> None:
        """Offer what can be done with the ticket as it is now."""
        for status, button in self._moves.items():
            show(button, ticket.status in MOVES[status][1])
        for priority, button in self._priorities.items():
            set_attribute(button, "aria-pressed", "true" if priority is ticket.priority else "false")
        show(self._unassign, ticket.assigned_to is not None)
        since = self._passing_since
        if since is not None and monotonic() - since >= READABLE_SECONDS:
            self._hide_refusal()  # the database has answered

    # -- what is drawn -----------------------------------------------------------------------------------

    def _move(self, status: TicketStatus) -> Words:
        button = words(MOVES[status][0], "d-button", "button", type="button", hidden=True)

        async def move() -> Ticket | None:
            if status is TicketStatus.CLOSED:
                return await self._guilds.close_ticket(self._ticket_id)
            return await self._guilds.update_ticket(self._ticket_id, status=status)

        async def move_on(_: object) -> None:
            if await self._do(move):
                self._refocus(self._offered_after(status))

        self._screen.on(button, "click", move_on)
        return button

    def _offered_after(self, status: TicketStatus) -> Words:
        """The next move that is offered now, behind that to a status, or else the first."""
        order = list(MOVES)
        place = order.index(status) + 1
        buttons = [self._moves[one] for one in order[place:] + order[:place]]
        return next((button for button in buttons if not button.props.get("hidden")), buttons[0])

    def _refocus(self, element: ui.element) -> None:
        self._screen.client.run_javascript(REFOCUS % json.dumps(element.html_id))

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

        async def press(_: object) -> None:
            await self._do(prioritise)

        self._screen.on(button, "click", press)
        return button

    def _assignee_field(self) -> None:
        with box("d-assign", "form") as form:
            with box("d-field", "label"):
                words(say("Assign to", "担当者を決める"))
                hint = say("Discord ID", "Discord の ID")
                field = box("", "input", type="text", name="user", placeholder=hint, maxlength=30,
                            autocomplete="off", inputmode="numeric", required=True)  # fmt: skip
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

        async def unassign(_: object) -> None:
            if await self._do(take_away):
                self._refocus(field)

        self._screen.on(form, "submit", assign, SUBMITTED)
        self._screen.on(self._unassign, "click", unassign)

    # -- what is done ------------------------------------------------------------------------------------

    async def _do(self, act: Callable[[], Awaitable[Ticket | None]]) -> bool:
        """Ask the ledger; say why not if it refuses. The page shows what has become of the ticket."""
        try:
            if await act() is None:
                raise NotFound(TICKET, self._ticket_id)
        except DaichoError as error:
            # On the banner it would stand only until the page looks again, which it does every few seconds.
            self._title.set_text(str(type(error).title))
            self._reason.set_text(str(error))
            self._passing_since = monotonic() if isinstance(error, Unavailable) else None
            show(self._refusal, True)
            return False
        self._hide_refusal()
        await self._look()
        return True

    def _hide_refusal(self) -> None:
        self._passing_since = None
        show(self._refusal, False)
