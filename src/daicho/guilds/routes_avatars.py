"""Users' avatars over HTTP: a user is the same in every guild, so their path names none."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from daicho.core.errors import NotFound
from daicho.core.web import problems
from daicho.guilds.enums import AvatarHistoryType
from daicho.guilds.routes_common import Cursor, Guilds, IdempotencyKey, Limit
from daicho.guilds.schemas import AVATARS, AvatarOut, AvatarStatsOut, AvatarStatsPage, AvatarUserOut
from daicho.guilds.schemas_ids import Id
from daicho.guilds.schemas_in import AvatarIn

router = APIRouter(prefix="/avatars")


@router.get("")
async def list_users(guilds: Guilds, limit: Limit = 50, cursor: Cursor = None) -> AvatarStatsPage:
    """The statistics of users whose avatars are known, by user id."""
    return AvatarStatsPage.model_validate(await guilds.list_avatar_users(limit=limit, cursor=cursor))


@router.post("", status_code=status.HTTP_201_CREATED)
async def record_change(
    guilds: Guilds, change: AvatarIn, idempotency_key: IdempotencyKey = None
) -> AvatarOut:
    """Record a change; the user's statistics follow. With an `Idempotency-Key`, safe to repeat."""
    made = await guilds.record_avatar_change(**change.model_dump(), request_id=idempotency_key)
    return AvatarOut.model_validate(made)


@router.get("/{user_id}", responses=problems(404))
async def get_user(
    guilds: Guilds,
    user_id: Annotated[Id, Path(description="The user's Discord id.")],
    history_type: Annotated[AvatarHistoryType | None, Query(description="Only of this type.")] = None,
    guild_id: Annotated[Id | None, Query(description="Only in this guild.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AvatarUserOut:
    """A user's statistics, and their changes, latest first."""
    statistics = await guilds.get_user_avatar_stats(user_id)
    if statistics is None:
        raise NotFound(AVATARS, user_id)
    page = await guilds.list_avatar_changes(
        user_id=user_id, guild_id=guild_id, history_type=history_type, limit=limit, cursor=cursor
    )
    return AvatarUserOut(
        statistics=AvatarStatsOut.model_validate(statistics),
        items=[AvatarOut.model_validate(change) for change in page.items],
        next=page.next,
    )
