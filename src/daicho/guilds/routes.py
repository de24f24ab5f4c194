"""Guilds over HTTP: each route translates to one operation. For signed-in callers only.

Guilds and their settings stand here; each part of a guild in a file of its own.
"""

from fastapi import APIRouter

from daicho.core.errors import NotFound
from daicho.core.web import problems
from daicho.guilds import routes_avatars, routes_logs, routes_music, routes_queue, routes_tickets
from daicho.guilds.routes_common import Cursor, GuildId, Guilds, Limit
from daicho.guilds.schemas import GUILD, GuildOut, GuildPage, GuildSummaryOut
from daicho.guilds.schemas_in import SettingsIn

router = APIRouter(prefix="/guilds", tags=["guilds"], responses=problems(401, 422, 503))
router.include_router(routes_avatars.router)  # first: "avatars" is no guild's id


@router.get("")
async def list_guilds(guilds: Guilds, limit: Limit = 50, cursor: Cursor = None) -> GuildPage:
    """Guilds by id, each at a glance."""
    return GuildPage.model_validate(await guilds.list_guilds(limit=limit, cursor=cursor))


@router.get("/{guild_id}", responses=problems(404))
async def get_guild(guilds: Guilds, guild_id: GuildId) -> GuildSummaryOut:
    """One guild at a glance."""
    guild = await guilds.get_guild(guild_id)
    if guild is None:
        raise NotFound(GUILD, guild_id)
    return GuildSummaryOut.model_validate(guild)


@router.get("/{guild_id}/settings", responses=problems(404))
async def get_settings(guilds: Guilds, guild_id: GuildId) -> GuildOut:
    """A guild's settings."""
    settings = await guilds.get_guild_settings(guild_id)
    if settings is None:
        raise NotFound(GUILD, guild_id)
    return GuildOut.model_validate(settings)


@router.put("/{guild_id}/settings")
async def put_settings(guilds: Guilds, guild_id: GuildId, settings: SettingsIn) -> GuildOut:
    """Replace a guild's settings: what is not given becomes the default. A new guild is registered."""
    changed = await guilds.create_or_update_guild_settings(guild_id, **settings.model_dump())
    return GuildOut.model_validate(changed)


@router.patch("/{guild_id}/settings")
async def change_settings(guilds: Guilds, guild_id: GuildId, settings: SettingsIn) -> GuildOut:
    """Change settings of a guild; what is not given stays. A new guild is registered."""
    given = settings.model_dump(exclude_unset=True)
    return GuildOut.model_validate(await guilds.create_or_update_guild_settings(guild_id, **given))


router.include_router(routes_tickets.router)
router.include_router(routes_logs.router)
router.include_router(routes_music.router)
router.include_router(routes_queue.router)
