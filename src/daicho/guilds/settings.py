"""Guilds and their settings."""

from typing import Any

from sqlalchemy import Row, Select, case, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.dialect import insert
from daicho.core.operation import Mode, Store, operation, query
from daicho.core.page import Page, keyset
from daicho.core.types import now, snowflake
from daicho.guilds.checking import changed_row
from daicho.guilds.enums import TicketStatus
from daicho.guilds.models import GuildSettings, Log, MusicSession, Queue, Ticket, Track
from daicho.guilds.schemas import GuildSummary

FIXED = ("id", "created_at", "updated_at")


class Settings(Store[Mode]):
    """The part of ``ledger.guilds`` that keeps guilds and their settings."""

    room = "guilds"

    @query
    def get_guild_settings(self, session: Session, guild_id: int) -> GuildSettings | None:
        """Return a guild's settings, or None if it was not seen yet. Seed 004, ``get_guild_settings``."""
        key = snowflake("guild_id", guild_id)
        return session.execute(
            select(GuildSettings).where(GuildSettings.guild_id == key)
        ).scalar_one_or_none()

    @operation
    def create_or_update_guild_settings(
        self, session: Session, /, guild_id: int, **settings: object
    ) -> GuildSettings:
        """Set settings of a guild, and register it if it was not seen yet.

        Args:
            guild_id: the guild.
            settings: values by the columns' names; what is not named stays, or is the default.

        Returns the settings as they are then; ``updated_at`` is later only if something is different.
        Raises Invalid for a name that does not exist or cannot be set. Seed 004,
        ``create_or_update_guild_settings``.
        """
        values = changed_row(GuildSettings, FIXED, settings)
        at = now()
        row = GuildSettings.whole_row(guild_id=guild_id, created_at=at, updated_at=at)
        statement = insert(session, GuildSettings).values({**row, **values})
        new, old = statement.excluded, GuildSettings.__table__.c
        differs = or_(False, *[old[name].is_distinct_from(new[name]) for name in values])
        statement = statement.on_conflict_do_update(
            index_elements=["guild_id"],
            set_={
                **{name: new[name] for name in values},
                "updated_at": case((differs, new.updated_at), else_=old.updated_at),
            },
        )
        return session.execute(
            statement.returning(GuildSettings), execution_options={"populate_existing": True}
        ).scalar_one()

    @query
    def list_guilds(
        self, session: Session, *, limit: int = 50, cursor: str | None = None
    ) -> Page[GuildSummary]:
        """Return guilds at a glance, by their ids.

        Args:
            limit: guilds a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = _summaries()
        return keyset(session, statement, [GuildSettings.guild_id], limit=limit, cursor=cursor, item=_summary)

    @query
    def get_guild(self, session: Session, guild_id: int) -> GuildSummary | None:
        """Return a guild at a glance, or None if it was not seen yet."""
        this = GuildSettings.guild_id == snowflake("guild_id", guild_id)
        found = session.execute(_summaries().where(this)).one_or_none()
        return None if found is None else _summary(found)


def _summaries() -> Select[Any]:
    """Guilds, and of each what a summary says, in the order of its attributes."""
    here = GuildSettings.guild_id

    def number(model: type[Ticket] | type[Queue], *of: Any) -> Any:
        return select(func.count()).where(model.guild_id == here, *of).scalar_subquery()

    return (
        select(
            GuildSettings,
            number(Ticket, Ticket.status == TicketStatus.OPEN),
            number(Ticket, Ticket.status == TicketStatus.IN_PROGRESS),
            number(Queue),
            Track,
            select(func.max(Log.timestamp)).where(Log.guild_id == here).scalar_subquery(),
        )
        .outerjoin(MusicSession, MusicSession.guild_id == here)
        .outerjoin(Track, Track.id == MusicSession.current_track_id)
    )


def _summary(row: Row[Any]) -> GuildSummary:
    settings, open_tickets, in_progress, queued, playing, last_log_at = list(row)[:6]
    return GuildSummary(settings, open_tickets, in_progress, queued, playing, last_log_at)
