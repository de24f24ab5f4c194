"""A guild's tickets over HTTP. Another guild's ticket is not found under this one's path."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.core.web import problems
from daicho.guilds.enums import TicketCategory, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.routes_common import (
    Cursor,
    GuildId,
    Guilds,
    IdempotencyKey,
    Limit,
    OfUser,
    RowId,
    Since,
    Until,
    unkeyed,
)
from daicho.guilds.schemas import (
    TICKET,
    StatisticsOut,
    TicketMessageOut,
    TicketMessagePage,
    TicketOut,
    TicketPage,
)
from daicho.guilds.schemas_ids import Id
from daicho.guilds.schemas_in import Priority, TicketIn, TicketMessageIn, TicketUpdateIn
from daicho.guilds.store import GuildStore

router = APIRouter(prefix="/{guild_id}/tickets")

NAMED = Text("a message's name is its message_id", "メッセージは message_id で区別されます")
Statuses = Annotated[
    list[TicketStatus] | None, Query(alias="status", description="Only in one of these statuses.")
]


@router.get("")
async def list_tickets(
    guilds: Guilds,
    guild_id: GuildId,
    statuses: Statuses = None,
    user_id: OfUser = None,
    assigned_to: Annotated[Id | None, Query(description="Only those that this user works on.")] = None,
    category: TicketCategory | None = None,
    priority: Annotated[Priority | None, Query()] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TicketPage:
    """Tickets, newest first."""
    page = await guilds.list_tickets(
        guild_id,
        status=statuses,
        user_id=user_id,
        assigned_to=assigned_to,
        category=category,
        priority=priority,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return TicketPage.model_validate(page)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_ticket(
    guilds: Guilds, guild_id: GuildId, ticket: TicketIn, idempotency_key: IdempotencyKey = None
) -> TicketOut:
    """Open a ticket. With an `Idempotency-Key`, safe to repeat. A new guild is registered."""
    made = await guilds.create_ticket(guild_id, **ticket.model_dump(), request_id=idempotency_key)
    return TicketOut.model_validate(made)


@router.get("/statistics")
async def get_statistics(guilds: Guilds, guild_id: GuildId) -> StatisticsOut:
    """How many tickets a guild has, by status and by priority."""
    return StatisticsOut.model_validate(await guilds.get_ticket_statistics(guild_id))


@router.get("/{ticket_id}", responses=problems(404))
async def get_ticket(guilds: Guilds, guild_id: GuildId, ticket_id: RowId) -> TicketOut:
    """One ticket."""
    return TicketOut.model_validate(await _of(guilds, guild_id, ticket_id))


@router.patch("/{ticket_id}", responses=problems(404))
async def update_ticket(
    guilds: Guilds, guild_id: GuildId, ticket_id: RowId, updates: TicketUpdateIn
) -> TicketOut:
    """Assign a ticket, move it, say it otherwise; what is not given stays."""
    await _of(guilds, guild_id, ticket_id)
    given = updates.model_dump(exclude_unset=True)
    return TicketOut.model_validate(_found(await guilds.update_ticket(ticket_id, **given), ticket_id))


@router.post("/{ticket_id}/close", responses=problems(404))
async def close_ticket(guilds: Guilds, guild_id: GuildId, ticket_id: RowId) -> TicketOut:
    """Close a ticket. One that is closed stays as it was."""
    await _of(guilds, guild_id, ticket_id)
    return TicketOut.model_validate(_found(await guilds.close_ticket(ticket_id), ticket_id))


@router.get("/{ticket_id}/messages", responses=problems(404))
async def list_messages(
    guilds: Guilds,
    guild_id: GuildId,
    ticket_id: RowId,
    newest_first: bool = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> TicketMessagePage:
    """What was written in a ticket's channel, oldest first unless asked otherwise."""
    await _of(guilds, guild_id, ticket_id)
    page = await guilds.list_ticket_messages(ticket_id, newest_first=newest_first, limit=limit, cursor=cursor)
    return TicketMessagePage.model_validate(page)


@router.post(
    "/{ticket_id}/messages",
    status_code=status.HTTP_201_CREATED,
    responses=problems(404),
    dependencies=[unkeyed(NAMED)],
)
async def add_message(
    guilds: Guilds, guild_id: GuildId, ticket_id: RowId, message: TicketMessageIn
) -> TicketMessageOut:
    """Add a message to a ticket. With Discord's `message_id`, safe to repeat."""
    await _of(guilds, guild_id, ticket_id)
    added = await guilds.add_ticket_message(ticket_id, **message.model_dump())
    if added is None:
        raise NotFound(TICKET, ticket_id)
    return TicketMessageOut.model_validate(added)


async def _of(guilds: GuildStore[Async], guild_id: int, ticket_id: int) -> Ticket:
    """Return a guild's ticket. Raises NotFound, for another guild's too."""
    ticket = await guilds.get_ticket(ticket_id)
    return _found(ticket if ticket is not None and ticket.guild_id == guild_id else None, ticket_id)


def _found(ticket: Ticket | None, ticket_id: int) -> Ticket:
    if ticket is None:
        raise NotFound(TICKET, ticket_id)
    return ticket
