"""What a guild listens to: the statements that tracks, sessions and the queue have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from daicho.core.types import Instant, now, snowflake
from daicho.guilds.models import MusicSession, Track

FRESH = {"populate_existing": True}
"""What is read is as the database has it, also where the transaction read it before and changed it since."""


def of_guild(column: InstrumentedAttribute[int], guild_id: int) -> ColumnElement[bool]:
    """The condition that a row is a guild's. Raises Invalid for what is no Discord id."""
    return column == snowflake("guild_id", guild_id)


def track_of(session: Session, guild_id: int, track_id: int) -> Track | None:
    """Return a track of a guild, which then stays until the transaction ends; None: it has no such track.

    A session is changed after its track is held, as when the track is deleted: nobody waits in a circle.
    """
    statement = select(Track).where(Track.id == track_id, of_guild(Track.guild_id, guild_id))
    held = statement.with_for_update(read=True, key_share=True)
    return session.execute(held, execution_options=FRESH).scalar_one_or_none()


def session_of(session: Session, guild_id: int) -> MusicSession | None:
    """Return a guild's music session, if it has one."""
    statement = select(MusicSession).where(of_guild(MusicSession.guild_id, guild_id))
    return session.execute(statement, execution_options=FRESH).scalar_one_or_none()


def change_session(session: Session, guild_id: int, **values: object) -> MusicSession | None:
    """Change a guild's music session and return it, if it has one.

    Raises Invalid before anything is written.
    """
    checked = MusicSession.whole_row(**values)
    statement = (
        update(MusicSession)
        .where(of_guild(MusicSession.guild_id, guild_id))
        .values(**checked, updated_at=last_change(checked, literal(now(), Instant())))
        .returning(MusicSession)
    )
    options = FRESH | {"synchronize_session": False}
    return session.execute(statement, execution_options=options).scalar_one_or_none()


def last_change(values: Mapping[str, Any], at: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """When a session was last changed, if ``values`` are given to it ``at``: then, if one of them is new."""
    new = [getattr(MusicSession, name).is_distinct_from(value) for name, value in values.items()]
    return case((or_(*new), at), else_=MusicSession.updated_at)
