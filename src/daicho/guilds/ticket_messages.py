"""What is said in tickets' channels."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, select, text
from sqlalchemy.orm import Session

from daicho.core.operation import Mode, Store, grouped, query
from daicho.core.page import Page, check_limit, keyset
from daicho.core.types import now
from daicho.guilds.checking import Row, row_key
from daicho.guilds.models import Ticket, TicketMessage
from daicho.guilds.once import Once, insert_once

MESSAGES = Once(TicketMessage, "ticket_id", "message_id", text("message_id <> 0"), TicketMessage.of)
OLDEST_FIRST = (TicketMessage.timestamp, TicketMessage.id)


def write_messages(connection: Connection, rows: Sequence[Row]) -> list[TicketMessage | None]:
    """Write checked messages; return each as stored, in order, and None where there is no such ticket."""
    # Held until the commit: a ticket that is there stays there.
    known = set(
        connection.execute(
            select(Ticket.id)
            .where(Ticket.id.in_({row["ticket_id"] for row in rows}))
            .order_by(Ticket.id)
            .with_for_update(read=True, key_share=True)
        ).scalars()
    )
    stored = iter(insert_once(connection, MESSAGES, [row for row in rows if row["ticket_id"] in known]))
    return [next(stored) if row["ticket_id"] in known else None for row in rows]


class TicketMessages(Store[Mode]):
    """The part of ``ledger.guilds`` that keeps what is said in tickets."""

    room = "guilds"

    @grouped(write_messages)
    def add_ticket_message(
        self,
        ticket_id: int,
        user_id: int,
        message_id: int,
        content: str,
        is_system_message: bool = False,
        *,
        timestamp: datetime | None = None,
    ) -> Row:
        """Record a message in a ticket's channel.

        Args:
            ticket_id: the ticket.
            user_id: who wrote it.
            message_id: Discord's id of the message: sent a second time for the ticket it changes nothing,
                and the message first stored is returned. 0: it has none.
            content: what it says, at most 16 Mi characters.
            is_system_message: whether the bot says it of itself.
            timestamp: when it was written, an aware instant; now, if None.

        Returns the message as stored, once it is durable, or None if there is no such ticket. Raises
        Invalid. Seed 004, ``add_ticket_message``.
        """
        return TicketMessage.whole_row(
            ticket_id=row_key("ticket_id", ticket_id),
            user_id=user_id,
            message_id=message_id,
            content=content,
            timestamp=now() if timestamp is None else timestamp,
            is_system_message=is_system_message,
        )

    @query
    def get_ticket_messages(
        self, session: Session, ticket_id: int, *, limit: int = 1000
    ) -> list[TicketMessage]:
        """Return a ticket's messages, oldest first; none if there is no such ticket.

        At most ``limit`` of them, which is 1,000 or less. Seed 004, ``get_ticket_messages``.
        """
        statement = _of_ticket(ticket_id).order_by(*OLDEST_FIRST).limit(check_limit(limit))
        return list(session.execute(statement).scalars())

    @query
    def list_ticket_messages(
        self,
        session: Session,
        ticket_id: int,
        *,
        newest_first: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[TicketMessage]:
        """Return a ticket's messages in pages.

        Args:
            ticket_id: the ticket.
            newest_first: turn the order round.
            limit: messages a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = _of_ticket(ticket_id)
        return keyset(session, statement, OLDEST_FIRST, limit=limit, cursor=cursor, descending=newest_first)


def _of_ticket(ticket_id: int) -> Select[TicketMessage]:
    return select(TicketMessage).where(TicketMessage.ticket_id == row_key("ticket_id", ticket_id))
