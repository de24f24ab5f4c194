"""Tracks, and the sessions in which guilds listen to them."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from daicho.core.dialect import insert
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, operation, query
from daicho.core.page import Page, keyset
from daicho.core.types import now
from daicho.guilds.checking import check_amount, row_key
from daicho.guilds.enums import LoopMode, MusicSource
from daicho.guilds.models import MusicSession, Track
from daicho.guilds.playing import FRESH, change_session, last_change, of_guild, session_of, track_of
from daicho.guilds.positions import close_gaps, hold


class Music(Store[Mode]):
    """The part of ``ledger.guilds`` that knows what is played, and where."""

    room = "guilds"

    # -- tracks ------------------------------------------------------------------------------------

    @operation
    def create_track(
        self,
        session: Session,
        guild_id: int,
        title: str,
        artist: str,
        url: str,
        duration: int,
        requested_by: int,
        thumbnail_url: str | None = None,
        source: MusicSource | str = MusicSource.YOUTUBE,
    ) -> Track:
        """Add a track to a guild, which is registered if it was not seen before, and return it.

        Args:
            guild_id: the guild's Discord id.
            title, artist, url: what it is, and where to find it.
            duration: its length in seconds; 0 for a stream without an end.
            requested_by: the Discord id of the user who asked for it.
            thumbnail_url: its picture.
            source: where it comes from.

        Raises Invalid. Seed 004, ``create_track``.
        """
        row = Track.whole_row(
            guild_id=guild_id,
            title=title,
            artist=artist,
            url=url,
            duration=duration,
            requested_by=requested_by,
            thumbnail_url=thumbnail_url,
            source=source,
            created_at=now(),
        )
        check_amount("duration", duration, Text("seconds", "秒"))
        statement = insert(session, Track).values(row).returning(Track)
        return session.execute(statement, execution_options=FRESH).scalar_one()

    @query
    def get_track_by_id(self, session: Session, track_id: int) -> Track | None:
        """Return a track, of whichever guild; None if there is no such track. Raises Invalid."""
        statement = select(Track).where(Track.id == row_key("track_id", track_id))
        return session.execute(statement, execution_options=FRESH).scalar_one_or_none()

    @query
    def list_tracks(
        self, session: Session, guild_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Track]:
        """Return a guild's tracks, newest first.

        Args:
            guild_id: the guild's Discord id.
            limit: tracks a page, at most 1,000.
            cursor: a former page's ``next``.

        Raises Invalid.
        """
        statement = select(Track).where(of_guild(Track.guild_id, guild_id))
        fresh = statement.execution_options(**FRESH)
        return keyset(session, fresh, [Track.id], limit=limit, cursor=cursor, descending=True)

    @operation
    def clear_guild_tracks(self, session: Session, guild_id: int) -> int:
        """Delete all tracks of a guild, and so empty its queue; nothing plays any more.

        Returns the number of tracks. Raises Invalid. Seed 004, ``clear_guild_tracks``.
        """
        hold(session, guild_id)
        deleted = session.connection().execute(delete(Track).where(Track.guild_id == guild_id)).rowcount
        close_gaps(session, guild_id)
        return deleted

    # -- sessions ----------------------------------------------------------------------------------

    @operation
    def create_session(
        self, session: Session, guild_id: int, voice_channel_id: int, text_channel_id: int
    ) -> MusicSession:
        """Let a guild listen in a voice channel, and return its music session.

        A session that there is already moves to these channels; what plays, its loop mode and whether
        it is paused stay. A guild not seen before is registered. Raises Invalid. Seed 004,
        ``create_session``.
        """
        channels = {"voice_channel_id": voice_channel_id, "text_channel_id": text_channel_id}
        at = now()
        row = MusicSession.whole_row(guild_id=guild_id, **channels, created_at=at, updated_at=at)
        statement = insert(session, MusicSession).values(row)
        new = {name: statement.excluded[name] for name in channels}
        statement = statement.on_conflict_do_update(
            index_elements=["guild_id"],
            set_={**new, "updated_at": last_change(new, statement.excluded.updated_at)},
        )
        return session.execute(statement.returning(MusicSession), execution_options=FRESH).scalar_one()

    @query
    def get_music_session(self, session: Session, guild_id: int) -> MusicSession | None:
        """Return a guild's music session; None if it has none. Raises Invalid."""
        return session_of(session, guild_id)

    @operation
    def update_session_current_track(
        self, session: Session, guild_id: int, track_id: int | None
    ) -> MusicSession | None:
        """Say which track a guild listens to now, None being none, and return its session.

        Returns None, and changes nothing, where the guild has no session or no such track. Raises
        Invalid. Seed 004, ``update_session_current_track``.
        """
        wanted = None if track_id is None else row_key("track_id", track_id)
        if wanted is not None and track_of(session, guild_id, wanted) is None:
            return None
        return change_session(session, guild_id, current_track_id=wanted)

    @operation
    def pause(self, session: Session, guild_id: int) -> MusicSession | None:
        """Pause a guild's music and return its session; None if it has none. Raises Invalid."""
        return change_session(session, guild_id, is_paused=True)

    @operation
    def resume(self, session: Session, guild_id: int) -> MusicSession | None:
        """Let a guild's music go on and return its session; None if it has none. Raises Invalid."""
        return change_session(session, guild_id, is_paused=False)

    @operation
    def set_loop_mode(
        self, session: Session, guild_id: int, loop_mode: LoopMode | str
    ) -> MusicSession | None:
        """Say what is played again, and return the guild's session; None if it has none.

        Raises Invalid for what is no loop mode.
        """
        return change_session(session, guild_id, loop_mode=loop_mode)

    @operation
    def delete_session(self, session: Session, guild_id: int) -> bool:
        """End a guild's music session; its queue stays. Returns whether it had one. Raises Invalid.

        Seed 004, ``delete_session``.
        """
        ended = delete(MusicSession).where(of_guild(MusicSession.guild_id, guild_id))
        return session.connection().execute(ended).rowcount > 0
