"""A guild's logs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, status
from fastapi.openapi.models import Example

from daicho.core.errors import Invalid
from daicho.guilds.enums import LogType
from daicho.guilds.routes_common import Cursor, GuildId, Guilds, IdempotencyKey, Limit, OfUser, Since, Until
from daicho.guilds.schemas import GuildLogOut, GuildLogPage
from daicho.guilds.schemas_ids import Id
from daicho.guilds.schemas_in import LogsIn

router = APIRouter(prefix="/{guild_id}/logs")

BANNED = {
    "log_type": "member_ban",
    "action": "Member Banned",
    "user_id": "555666777888999000",
    "moderator_id": "999888777666555444",
    "details": {"reason": "spam"},
}
EXAMPLES: dict[str, Example] = {
    "one": {"summary": "One log.", "value": BANNED},
    "several": {
        "summary": "Several: all are taken, or none.",
        "value": [{**BANNED, "request_id": f"ban-{number}"} for number in (1, 2)],
    },
}


@router.get("")
async def list_logs(
    guilds: Guilds,
    guild_id: GuildId,
    log_type: Annotated[list[LogType] | None, Query(description="Only of one of these types.")] = None,
    user_id: OfUser = None,
    moderator_id: Annotated[Id | None, Query(description="Only what this user did to others.")] = None,
    channel_id: Annotated[Id | None, Query(description="Only of this channel.")] = None,
    since: Since = None,
    until: Until = None,
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
    guilds: Guilds,
    guild_id: GuildId,
    logs: Annotated[LogsIn, Body(openapi_examples=EXAMPLES)],
    idempotency_key: IdempotencyKey = None,
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
    if idempotency_key is not None and logs.request_id not in {None, idempotency_key}:
        raise Invalid(
            "body.request_id and the header Idempotency-Key differ; a log has one name",
            "body.request_id とヘッダー Idempotency-Key が違います。どちらか一方だけ送ってください",
        )
    given = logs.model_dump()
    given["request_id"] = logs.request_id or idempotency_key
    return GuildLogOut.model_validate(await guilds.create_log(guild_id, **given))
