"""A guild's tracks and what it listens to, over HTTP. Its queue stands in ``routes_queue``."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request, status

from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.core.web import problems
from daicho.guilds.models import MusicSession
from daicho.guilds.routes_common import Cursor, GuildId, Guilds, Limit, RowId, unkeyed
from daicho.guilds.schemas import TRACK, MusicSessionOut, TrackOut, TrackPage
from daicho.guilds.schemas_in import SessionIn, SessionUpdateIn, TrackIn
from daicho.guilds.store import GuildStore

router = APIRouter(prefix="/{guild_id}")

SESSION = Text("music session", "音楽セッション")
TWICE = Text("a track that is sent twice is there twice", "同じ曲を 2 回送ると 2 曲になります")


class _Room(Protocol):
    @property
    def guilds(self) -> GuildStore[Async]: ...


class _Ledger(Protocol):
    """A ledger that takes several operations as one."""

    def begin(self) -> AbstractAsyncContextManager[_Room]: ...


def _ledger(request: Request) -> _Ledger:
    ledger: _Ledger = request.app.state.ledger
    return ledger


@router.get("/tracks")
async def list_tracks(
    guilds: Guilds, guild_id: GuildId, limit: Limit = 50, cursor: Cursor = None
) -> TrackPage:
    """A guild's tracks."""
    return TrackPage.model_validate(await guilds.list_tracks(guild_id, limit=limit, cursor=cursor))


@router.post("/tracks", status_code=status.HTTP_201_CREATED, dependencies=[unkeyed(TWICE)])
async def create_track(guilds: Guilds, guild_id: GuildId, track: TrackIn) -> TrackOut:
    """Add a track. A new guild is registered."""
    return TrackOut.model_validate(await guilds.create_track(guild_id, **track.model_dump()))


@router.get("/tracks/{track_id}", responses=problems(404))
async def get_track(guilds: Guilds, guild_id: GuildId, track_id: RowId) -> TrackOut:
    """One track."""
    track = await guilds.get_track_by_id(track_id)
    if track is None or track.guild_id != guild_id:
        raise NotFound(TRACK, track_id)
    return TrackOut.model_validate(track)


@router.delete("/tracks")
async def clear_tracks(guilds: Guilds, guild_id: GuildId) -> dict[str, int]:
    """Remove all of a guild's tracks, and with them its queue. Answers how many they were."""
    return {"removed": await guilds.clear_guild_tracks(guild_id)}


@router.get("/session", responses=problems(404))
async def get_session(guilds: Guilds, guild_id: GuildId) -> MusicSessionOut:
    """What a guild listens to, and where."""
    return _out(await guilds.get_music_session(guild_id), guild_id)


@router.put("/session")
async def put_session(guilds: Guilds, guild_id: GuildId, session: SessionIn) -> MusicSessionOut:
    """Begin to listen, or go to other channels. A new guild is registered."""
    return MusicSessionOut.model_validate(await guilds.create_session(guild_id, **session.model_dump()))


@router.patch("/session", responses=problems(404))
async def change_session(
    ledger: Annotated[_Ledger, Depends(_ledger)], guild_id: GuildId, updates: SessionUpdateIn
) -> MusicSessionOut:
    """Pause, resume, loop, or say which track plays: all that is given, or none of it."""
    given = updates.model_dump(exclude_unset=True)
    async with ledger.begin() as tx:
        session = await tx.guilds.get_music_session(guild_id)
        # The track first: who clears a guild's tracks holds them, and then its session.
        if session is not None and "current_track_id" in given:
            session = await tx.guilds.update_session_current_track(guild_id, given["current_track_id"])
            if session is None:
                raise NotFound(TRACK, given["current_track_id"])
        if session is not None and "is_paused" in given:
            move = tx.guilds.pause if given["is_paused"] else tx.guilds.resume
            session = await move(guild_id)
        if session is not None and "loop_mode" in given:
            session = await tx.guilds.set_loop_mode(guild_id, given["loop_mode"])
        return _out(session, guild_id)


@router.delete("/session", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_session(guilds: Guilds, guild_id: GuildId) -> None:
    """Listen no more. Tracks and queue stay."""
    if not await guilds.delete_session(guild_id):
        raise NotFound(SESSION, guild_id)


def _out(session: MusicSession | None, guild_id: int) -> MusicSessionOut:
    if session is None:
        raise NotFound(SESSION, guild_id)
    return MusicSessionOut.model_validate(session)
