"""What was said in a ticket's channel, on the ticket's page: followed as the bot records it."""

from collections.abc import Callable

from daicho.core.elements import box, moment, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.page import encode
from daicho.core.screen import Screen
from daicho.core.tail import LongText, Tail
from daicho.guilds.models import Ticket, TicketMessage
from daicho.guilds.store import GuildStore

AT_ONCE = 50
"""Messages that are read at once."""


class Thread:
    """The messages of a ticket, oldest first; drawn where it is made.

    Who asks stands on the left, everybody else on the right; what the system says is set apart.
    """

    def __init__(self, ticket: Ticket, guilds: GuildStore[Async], screen: Screen) -> None:
        self._guilds, self._screen = guilds, screen
        self._ticket_id, self._asking = ticket.id, ticket.user_id
        self._begun = False
        self._tail = Tail[TicketMessage, Line](
            screen,
            self._line,
            self._load_earlier,
            label=say("Messages", "メッセージ"),
            nothing=say("Nobody has written yet.", "まだメッセージはありません。"),
            earlier=say("Load earlier messages", "前のメッセージを読み込む"),
            newer=say("New messages ↓", "新しいメッセージ ↓"),
        )

    async def look(self) -> None:
        """Append what was written since the last look."""
        page = await self._guilds.list_ticket_messages(self._ticket_id, newest_first=True, limit=AT_ONCE)
        newest, here = page.items[::-1], {line.message_id for line in self._tail.lines}
        fresh = [message for message in newest if message.id not in here]
        joins = len(fresh) < len(newest) or not here
        late = bool(fresh and self._tail.lines) and _place(fresh[0]) < self._tail.lines[-1].place
        if not self._begun or late or not joins:
            # Messages come in the order in which the bot hears of them, not always in that of their times.
            self._tail.clear()
            self._tail.append(newest)
            self._tail.from_start, self._begun = page.next is None, True
        else:
            self._tail.append(fresh)
        self._tail.settle()

    async def _load_earlier(self) -> None:
        before = encode(self._tail.lines[0].place) if self._tail.lines else None
        page = await self._guilds.list_ticket_messages(
            self._ticket_id, newest_first=True, limit=AT_ONCE, cursor=before
        )
        self._tail.prepend(page.items[::-1])
        self._tail.from_start = page.next is None

    def _line(self, message: TicketMessage) -> "Line":
        return Line(message, self)

    def draw_text(self, message: TicketMessage, classes: str) -> None:
        """Draw what a message says."""
        at, message_id = message.timestamp, message.id

        async def again() -> str | None:
            # The cursor of the place just before it: ids are whole numbers.
            before = encode([at, message_id - 1])
            page = await self._guilds.list_ticket_messages(self._ticket_id, limit=1, cursor=before)
            return page.items[0].content if page.items else None

        LongText(self._screen, message.content, again, classes)

    def side(self, message: TicketMessage) -> str:
        """Where a message stands: its class."""
        if message.is_system_message:
            return "d-system"
        return "d-user" if message.user_id == self._asking else "d-ai"


class Line:
    """A message on the page."""

    def __init__(self, message: TicketMessage, thread: Thread) -> None:
        self.message_id, self.place = message.id, _place(message)
        side = thread.side(message)
        with box(f"d-line {side}", data_line=str(message.id)) as self.root:
            thread.draw_text(message, "d-notice" if message.is_system_message else "d-bubble")
            with box("d-under"):
                if message.is_system_message:
                    words(say("System", "システム"))
                else:
                    words(message.user_id, "d-mono")
                moment(message.timestamp)


class Passage:
    """A text of the ticket itself, as its asker wrote it; hidden while there is none.

    Args:
        name: what it is called.
        text_of: which text of a ticket it is.
        ticket_id, guilds: where it is read again when more of it is wanted.
        screen: the page.
    """

    def __init__(
        self,
        name: str,
        text_of: Callable[[Ticket], str],
        ticket_id: int,
        guilds: GuildStore[Async],
        screen: Screen,
    ) -> None:
        self._text_of, self._ticket_id, self._guilds, self._screen = text_of, ticket_id, guilds, screen
        self._shown: int | None = None
        with box("d-sheet d-passage", "section", aria_label=name, hidden=True) as self._root:
            words(name, tag="h2")
            self._place = box()

    def take(self, ticket: Ticket) -> None:
        """Show the text, drawn anew only if it is another than before."""
        text = self._text_of(ticket)
        mark = hash(text)  # the text itself is not kept: it may be long, and readers many
        if mark != self._shown:
            self._shown = mark
            self._place.clear()
            show(self._root, bool(text))
            if text:
                with self._place:
                    LongText(self._screen, text, self._again, "d-pre")

    async def _again(self) -> str | None:
        ticket = await self._guilds.get_ticket(self._ticket_id)
        return None if ticket is None else self._text_of(ticket)


def _place(message: TicketMessage) -> tuple[object, int]:
    return message.timestamp, message.id
