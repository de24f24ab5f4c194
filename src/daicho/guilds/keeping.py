"""What is old of guilds and leaves, and what is left of a Discord user who is to be forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.operation import Mode
from daicho.core.person import FORGOTTEN, Mentions, Person, Rows, Trace
from daicho.core.sweep import Aged, Along, Sweep
from daicho.guilds.enums import ENDED
from daicho.guilds.models import (
    AvatarHistory,
    Log,
    MusicSession,
    Queue,
    Ticket,
    TicketMessage,
    Track,
    UserAvatarStats,
)

CLOSED = Ticket.status.in_(ENDED)


def _old_ticket(moment: datetime) -> ColumnElement[bool]:
    """Closed before an instant, or, where nobody knows when, opened before it; and nothing was said since."""
    since = exists().where(TicketMessage.ticket_id == Ticket.id, TicketMessage.timestamp >= moment)
    return and_(CLOSED, func.coalesce(Ticket.closed_at, Ticket.created_at) < moment, ~since)


def _old_message(moment: datetime) -> ColumnElement[bool]:
    closed = select(Ticket.id).where(CLOSED)
    return and_(TicketMessage.timestamp < moment, TicketMessage.ticket_id.in_(closed))


def _old_track(moment: datetime) -> ColumnElement[bool]:
    """Asked for before an instant, and neither in a queue nor playing."""
    queued = exists().where(Queue.track_id == Track.id)
    playing = exists().where(MusicSession.current_track_id == Track.id)
    return and_(Track.created_at < moment, ~queued, ~playing)


AGED: Sequence[Aged] = (
    Sweep("guilds", Ticket.id, "closed_at", _old_ticket, (Ticket.id,), Along(TicketMessage.ticket_id)),
    Sweep("guilds", TicketMessage.id, "timestamp", _old_message, (TicketMessage.id,)),
    Sweep("guilds", Log.id, "timestamp", lambda moment: Log.timestamp < moment, (Log.timestamp, Log.id)),
    Sweep("guilds", Track.id, "created_at", _old_track, (Track.id,)),
    Sweep(
        "guilds",
        AvatarHistory.id,
        "timestamp",
        lambda moment: AvatarHistory.timestamp < moment,
        (AvatarHistory.timestamp, AvatarHistory.id),
    ),
)
"""What of this room may leave."""


class GuildKeeping(Keeping[Mode]):
    """The part of ``ledger.guilds`` that old rows and users leave by."""

    room = "guilds"

    @property
    def aged(self) -> Sequence[Aged]:
        return AGED

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """Tickets, logs and tracks stay for their numbers; avatars with their statistics leave."""
        ids, other = person.snowflakes, person.number
        if not ids:
            return ()
        own = and_(Ticket.user_id.in_(ids), CLOSED)
        open_ = select(Ticket.id).where(Ticket.user_id.in_(ids), ~CLOSED)
        said = or_(
            and_(
                TicketMessage.ticket_id.in_(select(Ticket.id).where(own)), TicketMessage.content != FORGOTTEN
            ),
            and_(TicketMessage.user_id.in_(ids), TicketMessage.ticket_id.not_in(open_)),
        )
        texts = [str(one) for one in ids]
        not_open = and_(CLOSED, Ticket.assigned_to.in_(ids))
        return (
            Rows(
                "guilds",
                TicketMessage,
                said,
                {"content": FORGOTTEN, "user_id": _unless(TicketMessage.user_id, ids, other)},
            ),
            Rows(
                "guilds",
                Ticket,
                own,
                {
                    "user_id": other,
                    "title": FORGOTTEN,
                    "description": case((Ticket.description.is_not(None), FORGOTTEN)),
                },
            ),
            Rows("guilds", Ticket, not_open, {"assigned_to": other}),
            Rows(
                "guilds",
                Log,
                Log.user_id.in_(ids),
                {
                    "user_id": other,
                    "moderator_id": _unless(Log.moderator_id, ids, other),
                    "action": FORGOTTEN,
                    "details": None,
                },
            ),
            Rows("guilds", Log, Log.moderator_id.in_(ids), {"moderator_id": other}),
            Mentions("guilds", (Log.action, Log.details), texts, str(other)),
            Mentions("guilds", (Ticket.title, Ticket.description), texts, str(other)),
            Mentions("guilds", (TicketMessage.content,), texts, str(other)),
            Rows("guilds", Track, Track.requested_by.in_(ids), {"requested_by": other}),
            Rows("guilds", Queue, Queue.added_by.in_(ids), {"added_by": other}),
            Rows("guilds", AvatarHistory, AvatarHistory.user_id.in_(ids)),
            Rows("guilds", UserAvatarStats, UserAvatarStats.user_id.in_(ids)),
        )

    def left_of(self, session: Session, person: Person) -> list[Text]:
        ids = person.snowflakes
        mine = or_(Ticket.user_id.in_(ids), Ticket.assigned_to.in_(ids))
        is_open = select(Ticket.id).where(mine, ~CLOSED).order_by(Ticket.id).limit(100)
        return [
            Text(
                f"ticket {ticket} is open; close it and run this again",
                f"チケット {ticket} は対応中です。クローズしてからもう一度実行してください",
            )
            for ticket in session.scalars(is_open)
        ]


def _unless(column: Any, ids: Sequence[int], other: int) -> Any:
    """What a column holds, but for these ids."""
    return case((column.in_(ids), other), else_=column)
