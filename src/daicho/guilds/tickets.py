"""Tickets: what members of a guild ask for help with, and how far each is."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection, Select, func, literal_column, select, update
from sqlalchemy.orm import Session

from daicho.core.errors import Invalid
from daicho.core.operation import Mode, grouped, idempotent, operation, query
from daicho.core.page import Page, check_limit, keyset
from daicho.core.types import now, one_of, snowflake
from daicho.guilds.checking import Row, changed_row, named_row, period, row_key, several
from daicho.guilds.enums import ENDED, TicketCategory, TicketPriority, TicketStatus
from daicho.guilds.models import REQUESTED, Ticket
from daicho.guilds.once import Once, insert_once
from daicho.guilds.ticket_messages import TicketMessages

TICKETS = Once(Ticket, "guild_id", "request_id", REQUESTED, Ticket.of)
FIXED = ("id", "guild_id", "created_at", "request_id")
IS_OPEN = Ticket.status == literal_column("'open'")
"""A ticket is open: as the index of open tickets says it, so that it is found by it."""
OLDEST_FIRST = (Ticket.created_at, Ticket.id)


class TicketStatistics(TypedDict):
    """How many tickets a guild has: of each status and priority that occurs, and in all."""

    status_distribution: dict[TicketStatus, int]
    priority_distribution: dict[TicketPriority, int]
    total_tickets: int


def write_tickets(connection: Connection, rows: Sequence[Row]) -> list[Ticket]:
    """Write checked tickets and return each as stored, in order."""
    return insert_once(connection, TICKETS, rows)


class Tickets(TicketMessages[Mode]):
    """The part of ``ledger.guilds`` that keeps tickets."""

    @grouped(write_tickets)
    def create_ticket(
        self,
        guild_id: int,
        channel_id: int,
        user_id: int,
        title: str,
        description: str | None = None,
        category: TicketCategory | str = TicketCategory.GENERAL,
        priority: TicketPriority | int = TicketPriority.MEDIUM,
        *,
        assigned_to: int | None = None,
        created_at: datetime | None = None,
        request_id: str | None = None,
    ) -> Row:
        """Open a ticket. A guild not seen before is registered with it.

        Args:
            guild_id, channel_id, user_id: where, and who asks. ``channel_id`` is 0 until there is a channel.
            title, description: what about, at most 16 Mi characters each.
            category, priority: members of the enums, or their values.
            assigned_to: the user who takes care of it.
            created_at: an aware instant; now, if None.
            request_id: the caller's own name for the ticket, at most 64 characters: sent a second time in
                the guild it changes nothing, and the ticket first stored is returned.

        Returns the ticket as stored, once it is durable. Raises Invalid. Seed 004, ``create_ticket``.
        """
        return named_row(
            Ticket,
            guild_id=guild_id,
            channel_id=channel_id,
            user_id=user_id,
            assigned_to=assigned_to,
            category=category,
            priority=priority,
            status=TicketStatus.OPEN,
            created_at=now() if created_at is None else created_at,
            closed_at=None,
            title=title,
            description=description,
            request_id=request_id,
        )

    @operation
    def update_ticket(self, session: Session, /, ticket_id: int, **updates: object) -> Ticket | None:
        """Change a ticket.

        Args:
            ticket_id: the ticket.
            updates: values by the columns' names. ``status`` notes when the ticket was closed: the first
                move to closed or archived sets ``closed_at``, opening it again takes it away.

        Returns the ticket as it is then, or None if there is none. Raises Invalid for a name that does not
        exist or cannot be changed, and for a ``closed_at`` that does not go with the status. Seed 004,
        ``update_ticket``.
        """
        values = changed_row(Ticket, FIXED, updates)
        is_this = Ticket.id == row_key("ticket_id", ticket_id)
        ticket = session.execute(
            select(Ticket).where(is_this).with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        ).scalar_one_or_none()
        if ticket is None or not values:
            return ticket
        return _changed(session, ticket, _with_closing(ticket, values))

    @idempotent
    def close_ticket(self, session: Session, ticket_id: int) -> Ticket | None:
        """Close a ticket. One that was closed or archived before stays as it was.

        Returns the ticket as it is then, or None if there is none. Seed 004, ``close_ticket``.
        """
        key = row_key("ticket_id", ticket_id)
        closed = session.execute(
            update(Ticket)
            .where(Ticket.id == key, Ticket.status.not_in(ENDED))
            .values(status=TicketStatus.CLOSED, closed_at=now())
            .returning(Ticket),
            execution_options={"populate_existing": True, "synchronize_session": False},
        ).scalar_one_or_none()
        return closed or _found(session, key)

    @query
    def get_ticket(self, session: Session, ticket_id: int) -> Ticket | None:
        """Return a ticket, or None if there is none. Seed 004, ``get_ticket``."""
        return _found(session, row_key("ticket_id", ticket_id))

    @query
    def get_tickets_by_user(
        self, session: Session, guild_id: int, user_id: int, *, limit: int = 1000
    ) -> list[Ticket]:
        """Return a user's tickets that are neither closed nor archived, newest first.

        At most ``limit`` of them, which is 1,000 or less. Seed 004, ``get_tickets_by_user``.
        """
        statement = (
            _of_guild(guild_id)
            .where(Ticket.user_id == snowflake("user_id", user_id), Ticket.status.not_in(ENDED))
            .order_by(*(key.desc() for key in OLDEST_FIRST))
        )
        return _some(session, statement, limit)

    @query
    def get_open_tickets(self, session: Session, guild_id: int, *, limit: int = 1000) -> list[Ticket]:
        """Return a guild's open tickets: who waits longest is first.

        At most ``limit`` of them, which is 1,000 or less. Seed 004, ``get_open_tickets``.
        """
        return _some(session, _of_guild(guild_id).where(IS_OPEN).order_by(*OLDEST_FIRST), limit)

    @query
    def get_all_open_tickets(self, session: Session, *, limit: int = 1000) -> list[Ticket]:
        """Return the open tickets of all guilds. As ``get_open_tickets``. Seed 004."""
        return _some(session, select(Ticket).where(IS_OPEN).order_by(*OLDEST_FIRST), limit)

    @query
    def get_priority_tickets(self, session: Session, guild_id: int, *, limit: int = 1000) -> list[Ticket]:
        """Return a guild's open tickets that are high or urgent: the most urgent first, then the oldest.

        At most ``limit`` of them, which is 1,000 or less. Seed 004, ``get_priority_tickets``.
        """
        pressing = _of_guild(guild_id).where(IS_OPEN, Ticket.priority >= TicketPriority.HIGH)
        return _some(session, pressing.order_by(Ticket.priority.desc(), *OLDEST_FIRST), limit)

    @query
    def get_ticket_statistics(self, session: Session, guild_id: int) -> TicketStatistics:
        """Count a guild's tickets. Seed 004, ``get_ticket_statistics``."""
        counted = session.execute(
            select(Ticket.status, Ticket.priority, func.count())
            .where(Ticket.guild_id == snowflake("guild_id", guild_id))
            .group_by(Ticket.status, Ticket.priority)
            .order_by(Ticket.status, Ticket.priority)
        )
        statuses: dict[TicketStatus, int] = {}
        priorities: dict[TicketPriority, int] = {}
        for status, priority, number in counted:
            statuses[status] = statuses.get(status, 0) + number
            priorities[priority] = priorities.get(priority, 0) + number
        return {
            "status_distribution": statuses,
            "priority_distribution": priorities,
            "total_tickets": sum(statuses.values()),
        }

    @query
    def list_tickets(
        self,
        session: Session,
        guild_id: int | None = None,
        *,
        status: TicketStatus | str | Iterable[TicketStatus | str] | None = None,
        user_id: int | None = None,
        assigned_to: int | None = None,
        category: TicketCategory | str | None = None,
        priority: TicketPriority | int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Ticket]:
        """Return tickets, newest first.

        Args:
            guild_id, user_id, assigned_to: only those of this guild, asker, and who takes care of it.
            status: only those in this status, or in one of these.
            category, priority: only those of it.
            since, until: only those opened at or after, and before, these aware instants.
            limit: tickets a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = select(Ticket) if guild_id is None else _of_guild(guild_id)
        if status is not None:
            statement = statement.where(Ticket.status.in_(several("status", status, TicketStatus)))
        if user_id is not None:
            statement = statement.where(Ticket.user_id == snowflake("user_id", user_id))
        if assigned_to is not None:
            statement = statement.where(Ticket.assigned_to == snowflake("assigned_to", assigned_to))
        if category is not None:
            statement = statement.where(Ticket.category == one_of("category", category, TicketCategory))
        if priority is not None:
            statement = statement.where(Ticket.priority == one_of("priority", priority, TicketPriority))
        statement = statement.where(*period(Ticket.created_at, since, until))
        return keyset(session, statement, OLDEST_FIRST, limit=limit, cursor=cursor, descending=True)


# -- shared statements ---------------------------------------------------------------------------


def _of_guild(guild_id: int) -> Select[Ticket]:
    return select(Ticket).where(Ticket.guild_id == snowflake("guild_id", guild_id))


def _some(session: Session, statement: Select[Ticket], limit: int) -> list[Ticket]:
    return list(session.execute(statement.limit(check_limit(limit))).scalars())


def _found(session: Session, key: int) -> Ticket | None:
    return session.execute(select(Ticket).where(Ticket.id == key)).scalar_one_or_none()


def _changed(session: Session, ticket: Ticket, values: Row) -> Ticket:
    return session.execute(
        update(Ticket).where(Ticket.id == ticket.id).values(values).returning(Ticket),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).scalar_one()


def _with_closing(ticket: Ticket, values: Row) -> Row:
    """Values to set, and the time of closing that goes with the status that the ticket will have."""
    ended = values.get("status", ticket.status) in ENDED
    if "closed_at" in values and ended != (values["closed_at"] is not None):
        raise Invalid(
            "closed_at goes with a ticket that is closed or archived, and with no other",
            "closed_at は終了 (closed、archived) したチケットにだけ必要です",
        )
    if "closed_at" in values or "status" not in values:
        return values
    # When a ticket ended that was closed without saying so (not by Daicho) is not known, and stays so.
    closed_at = ticket.closed_at if ticket.status in ENDED else now()
    return {**values, "closed_at": closed_at if ended else None}
