"""The places in a guild's music queue: 1 is next, and no number is left out.

Whoever changes a queue holds its guild's row first and until the transaction ends, so that the changes of
one queue follow each other, from however many processes they come.

Entries move by statements that leave alone what the transaction has read: an entry that was taken goes on
showing where it stood.
"""

from typing import Any

from sqlalchemy import ColumnElement, Update, case, delete, distinct, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from daicho.guilds.models import GuildSettings, Queue
from daicho.guilds.playing import of_guild


def hold(session: Session, guild_id: int) -> int:
    """Keep everybody else from changing a guild's queue until the transaction ends, and close its gaps.

    Returns the number of entries. Raises Invalid for what is no Discord id.
    """
    # NO KEY: tickets, logs and tracks of the guild, which refer to its row, are written meanwhile.
    row = select(GuildSettings.id).where(of_guild(GuildSettings.guild_id, guild_id))
    session.execute(row.with_for_update(key_share=True))
    return close_gaps(session, guild_id)


def close_gaps(session: Session, guild_id: int) -> int:
    """Let entries move up where others have gone with their tracks. The caller holds the queue.

    Returns the number of entries, whose positions are 1 to that number.
    """
    entries, places, first, last = session.execute(
        select(
            func.count(),
            func.count(distinct(Queue.position)),
            func.coalesce(func.min(Queue.position), 1),
            func.coalesce(func.max(Queue.position), 0),
        ).where(Queue.guild_id == guild_id)
    ).one()
    if not (first == 1 and last == places == entries):
        reorder(session, guild_id, Queue.position, Queue.id)
    return int(entries)


def reorder(session: Session, guild_id: int, *by: ColumnElement[Any] | InstrumentedAttribute[Any]) -> None:
    """Give a guild's entries the positions 1 to n in a new order. The caller holds the queue."""
    place = func.row_number().over(order_by=by).label("place")
    # In a WITH: PostgreSQL computes one with random() in it once, not again for each row.
    places = select(Queue.id, place).where(Queue.guild_id == guild_id).cte("places")
    session.connection().execute(update(Queue).where(Queue.id == places.c.id).values(position=places.c.place))


def make_room(session: Session, guild_id: int, at: int) -> None:
    """Move the entries from a position on one further. The caller holds the queue."""
    session.connection().execute(_between(guild_id, at).values(position=Queue.position + 1))


def remove(session: Session, guild_id: int, entry_id: int, at: int) -> None:
    """Delete the entry at a position and let the ones behind it move up. The caller holds the queue."""
    session.connection().execute(delete(Queue).where(Queue.id == entry_id))
    session.connection().execute(_between(guild_id, at + 1).values(position=Queue.position - 1))


def move(session: Session, guild_id: int, entry_id: int, at: int, to: int) -> None:
    """Move the entry at a position to another one, and those between by one. The caller holds the queue."""
    step = 1 if to < at else -1
    place = case((Queue.id == entry_id, to), else_=Queue.position + step)
    session.connection().execute(_between(guild_id, min(at, to), max(at, to)).values(position=place))


def _between(guild_id: int, first: int, last: int | None = None) -> Update:
    statement = update(Queue).where(Queue.guild_id == guild_id, Queue.position >= first)
    return statement if last is None else statement.where(Queue.position <= last)
