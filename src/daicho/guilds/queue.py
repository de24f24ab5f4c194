"""A guild's music queue: what is played next, and in which order."""

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session, contains_eager
from sqlalchemy.orm.attributes import set_committed_value

from daicho.core.dialect import insert
from daicho.core.operation import Mode, Store, operation, query
from daicho.core.page import check_limit
from daicho.core.types import now
from daicho.guilds import positions
from daicho.guilds.checking import counted, named_row, row_key
from daicho.guilds.enums import LoopMode
from daicho.guilds.models import Queue
from daicho.guilds.playing import FRESH, change_session, of_guild, session_of, track_of
from daicho.guilds.schemas import Taken


class MusicQueue(Store[Mode]):
    """The part of ``ledger.guilds`` that knows what is played next.

    Positions are 1 to n without a gap after every change; each entry's ``track`` is loaded.
    """

    room = "guilds"

    @operation
    def add_to_queue(
        self,
        session: Session,
        guild_id: int,
        track_id: int,
        added_by: int,
        *,
        position: int | None = None,
        request_id: str | None = None,
    ) -> Queue | None:
        """Put a track into a guild's queue and return its entry.

        Args:
            guild_id: the guild's Discord id.
            track_id: a track of this guild. It may stand in the queue several times.
            added_by: the Discord id of the user who adds it.
            position: 1 is next; the entries from there on move back. None, and a position behind the
                end: the end.
            request_id: the caller's own name for the entry, at most 64 characters: sent a second time
                while the entry is in the queue it changes nothing and returns that entry.

        Returns None where the guild has no such track. Raises Invalid. Seed 004, ``add_to_queue``.
        """
        row = named_row(
            Queue,
            guild_id=guild_id,
            track_id=row_key("track_id", track_id),
            added_by=added_by,
            request_id=request_id,
            created_at=now(),
        )
        wanted = None if position is None else counted("position", position)
        end = positions.hold(session, guild_id) + 1
        if request_id is not None:
            same = _entries(guild_id).where(Queue.request_id == request_id)
            if (first := session.scalars(same).one_or_none()) is not None:
                return first
        track = track_of(session, guild_id, row["track_id"])
        if track is None:
            return None
        at = end if wanted is None else min(wanted, end)
        if at < end:
            positions.make_room(session, guild_id, at)
        statement = insert(session, Queue).values(**row, position=at).returning(Queue)
        entry = session.execute(statement, execution_options=FRESH).scalar_one()
        set_committed_value(entry, "track", track)
        return entry

    @query
    def get_next_in_queue(self, session: Session, guild_id: int) -> Queue | None:
        """Look at the entry that is next, and leave it there; None if the queue is empty.

        Raises Invalid. Seed 004, ``get_next_in_queue``.
        """
        return session.scalars(_entries(guild_id).limit(1)).first()

    @query
    def get_guild_queue(self, session: Session, guild_id: int, *, limit: int = 1000) -> list[Queue]:
        """Return a guild's queue, the next entry first.

        Args:
            guild_id: the guild's Discord id.
            limit: entries, at most 1,000.

        Raises Invalid. Seed 004, ``get_guild_queue``.
        """
        return list(session.scalars(_entries(guild_id).limit(check_limit(limit))))

    @operation
    def take_next(self, session: Session, guild_id: int) -> Taken | None:
        """Take what is to be played now, and note it as the session's current track.

        By the session's loop mode: ``none`` (and no session) removes the entry that is next; ``queue``
        puts it behind all others; ``track`` gives the track that plays once more, without touching the
        queue, and takes the next entry if none plays. However many take at once, no two get the same
        entry. An entry that another program holds at that moment is passed over.

        Returns None, and lets nothing play, if nothing is left. Raises Invalid.
        """
        entries = positions.hold(session, guild_id)
        playing = session_of(session, guild_id)
        mode = LoopMode.NONE if playing is None else playing.loop_mode
        if playing is not None and playing.current_track_id is not None and mode is LoopMode.TRACK:
            again = track_of(session, guild_id, playing.current_track_id)
            if again is not None:
                return Taken(again, None)
        free = _entries(guild_id).limit(1).with_for_update(of=Queue, skip_locked=True)
        entry = session.scalars(free).first()
        if entry is None:
            change_session(session, guild_id, current_track_id=None)
            return None
        session.expunge(entry)  # it stays as it stood, whatever the transaction reads later
        if mode is LoopMode.QUEUE:
            positions.move(session, guild_id, entry.id, entry.position, entries)
        else:
            positions.remove(session, guild_id, entry.id, entry.position)
        change_session(session, guild_id, current_track_id=entry.track_id)
        return Taken(entry.track, entry)

    @operation
    def remove_from_queue(self, session: Session, guild_id: int, queue_id: int) -> bool:
        """Remove an entry from a guild's queue. Returns whether it was there.

        Raises Invalid. Seed 004, ``remove_from_queue``.
        """
        _, at = _held(session, guild_id, queue_id)
        if at is None:
            return False
        positions.remove(session, guild_id, queue_id, at)
        return True

    @operation
    def move_in_queue(self, session: Session, guild_id: int, queue_id: int, position: int) -> bool:
        """Move an entry to another position in its queue.

        Args:
            guild_id: the guild's Discord id.
            queue_id: the entry.
            position: 1 is next; a position behind the end is the end.

        Returns whether the entry was there. Raises Invalid.
        """
        wanted = counted("position", position)
        entries, at = _held(session, guild_id, queue_id)
        if at is None:
            return False
        to = min(wanted, entries)
        if to != at:
            positions.move(session, guild_id, queue_id, at, to)
        return True

    @operation
    def shuffle_queue(self, session: Session, guild_id: int) -> int:
        """Put a guild's queue into a random order. Returns the number of entries. Raises Invalid."""
        entries = positions.hold(session, guild_id)
        positions.reorder(session, guild_id, func.random())
        return entries

    @operation
    def clear_queue(self, session: Session, guild_id: int) -> int:
        """Empty a guild's queue; its tracks stay, and what plays goes on.

        Returns the number of entries. Raises Invalid. Seed 004, ``clear_queue``.
        """
        positions.hold(session, guild_id)
        return session.connection().execute(delete(Queue).where(Queue.guild_id == guild_id)).rowcount


def _entries(guild_id: int) -> Select[Queue]:
    """A guild's entries with their tracks, the next one first."""
    return (
        select(Queue)
        .join(Queue.track)
        .options(contains_eager(Queue.track))
        .where(of_guild(Queue.guild_id, guild_id))
        .order_by(Queue.position, Queue.id)
        .execution_options(**FRESH)
    )


def _held(session: Session, guild_id: int, queue_id: int) -> tuple[int, int | None]:
    """Hold a guild's queue. Returns its length, and the position of an entry that it has."""
    key = row_key("queue_id", queue_id)
    entries = positions.hold(session, guild_id)
    place = select(Queue.position).where(Queue.id == key, Queue.guild_id == guild_id)
    return entries, session.scalar(place)
