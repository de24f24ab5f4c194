"""A guild's logs over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, status

from daicho.core.errors import Invalid
from daicho.guilds.enums import LogType
from daicho.guilds.routes_common import Cursor, GuildId, Guilds, IdempotencyKey, Limit, OfUser
from daicho.guilds.schemas import GuildLogOut, GuildLogPage
from daicho.guilds.schemas_in import Id, LogsIn

router = APIRouter(prefix="/{guild_id}/logs")


@router.get("")
async def list_logs(
    guilds: Guilds,
    guild_id: GuildId,
    log_type: Annotated[list[LogType] | None, Query(description="Only of one of these types.")] = None,
    user_id: OfUser = None,
    moderator_id: Annotated[Id | None, Query(description="Only what this user did to others.")] = None,
    channel_id: Annotated[Id | None, Query(description="Only of this channel.")] = None,
    since: Annotated[datetime | None, Query(description="Happened at or after; with its zone.")] = None,
    until: Annotated[datetime | None, Query(description="Happened before; with its zone.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> GuildLogPage:
    """Logs, latest first."""
    page = await guilds.list_logs(
        guild_id,
        log_type=log_type,
        user_id=user_id,
        moderator_id=moderator_id,
        channel_id=channel_id,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return GuildLogPage.model_validate(page)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_logs(
    guilds: Guilds, guild_id: GuildId, logs: LogsIn, idempotency_key: IdempotencyKey = None
) -> GuildLogOut | list[GuildLogOut]:
    """Log something, or many things in one transaction: an array, of which all are taken or none.

    With an `Idempotency-Key`, or a `request_id` in each, safe to repeat. A new guild is registered.
    """
    if isinstance(logs, list):
        if idempotency_key is not None:
            raise Invalid(
                "Idempotency-Key names one log; give each of an array a request_id",
                "Idempotency-Key は 1 件用です。配列では各ログに request_id を付けてください",
            )
        many = [{"guild_id": guild_id, **log.model_dump()} for log in logs]
        made = await guilds.create_multiple_logs(many)
        return [GuildLogOut.model_validate(log) for log in made]
    given = logs.model_dump()
    given["request_id"] = idempotency_key if logs.request_id is None else logs.request_id
    return GuildLogOut.model_validate(await guilds.create_log(guild_id, **given))
