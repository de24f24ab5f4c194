"""A guild's music queue over HTTP."""

from typing import Any

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.web import problems
from daicho.guilds.routes_common import GuildId, Guilds, IdempotencyKey, Limit, RowId, unkeyed
from daicho.guilds.schemas import TRACK, QueueOut, TakenOut
from daicho.guilds.schemas_in import MoveIn, QueueIn

router = APIRouter(prefix="/{guild_id}/queue")

ENTRY = Text("queue entry", "キューの項目")
ANOTHER = Text("sent twice, it takes another entry", "2 回送ると次の項目も取り出されます")
NOTHING: dict[int | str, dict[str, Any]] = {204: {"description": "Nothing is left to play."}}


class QueueList(BaseModel):
    """The first entries of a queue, in order."""

    items: list[QueueOut]


@router.get("")
async def get_queue(guilds: Guilds, guild_id: GuildId, limit: Limit = 1000) -> QueueList:
    """What is played next, in order, each with its track."""
    queue = await guilds.get_guild_queue(guild_id, limit=limit)
    return QueueList(items=[QueueOut.model_validate(entry) for entry in queue])


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(404))
async def add_to_queue(
    guilds: Guilds, guild_id: GuildId, entry: QueueIn, idempotency_key: IdempotencyKey = None
) -> QueueOut:
    """Put one of the guild's tracks into its queue. With an `Idempotency-Key`, safe to repeat."""
    added = await guilds.add_to_queue(guild_id, **entry.model_dump(), request_id=idempotency_key)
    if added is None:
        raise NotFound(TRACK, entry.track_id)
    return QueueOut.model_validate(added)


@router.delete("")
async def clear_queue(guilds: Guilds, guild_id: GuildId) -> dict[str, int]:
    """Empty a queue. Answers how many entries it had."""
    return {"removed": await guilds.clear_queue(guild_id)}


@router.post("/next", response_model=TakenOut, responses=NOTHING, dependencies=[unkeyed(ANOTHER)])
async def take_next(guilds: Guilds, guild_id: GuildId) -> TakenOut | Response:
    """Take what is to be played now, as the session's loop mode says. No two callers get the same entry.

    Not safe to repeat: it takes another.
    """
    taken = await guilds.take_next(guild_id)
    return Response(status_code=204) if taken is None else TakenOut.model_validate(taken)


@router.post("/shuffle")
async def shuffle_queue(guilds: Guilds, guild_id: GuildId) -> dict[str, int]:
    """Bring a queue into a random order. Answers how many entries it has."""
    return {"shuffled": await guilds.shuffle_queue(guild_id)}


@router.delete("/{queue_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def remove_from_queue(guilds: Guilds, guild_id: GuildId, queue_id: RowId) -> None:
    """Remove an entry; those behind it move up."""
    if not await guilds.remove_from_queue(guild_id, queue_id):
        raise NotFound(ENTRY, queue_id)


@router.post("/{queue_id}/move", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def move_in_queue(guilds: Guilds, guild_id: GuildId, queue_id: RowId, to: MoveIn) -> None:
    """Move an entry to a position; the others close up."""
    if not await guilds.move_in_queue(guild_id, queue_id, to.position):
        raise NotFound(ENTRY, queue_id)
