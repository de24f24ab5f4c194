"""What the routes of guilds have in common: the store, ids, pages, names for what is sent."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from daicho.core.operation import Async
from daicho.guilds.schemas_in import Id
from daicho.guilds.store import GuildStore


def _store(request: Request) -> GuildStore[Async]:
    store: GuildStore[Async] = request.app.state.ledger.guilds
    return store


Guilds = Annotated[GuildStore[Async], Depends(_store)]
GuildId = Annotated[Id, Path(description="The guild's Discord id.", examples=["123456789012345678"])]
RowId = Annotated[int, Path(ge=1, lt=2**63)]
OfUser = Annotated[Id | None, Query(description="Only this user's.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=64,
        description="Your own name for what you send: sent twice, it is there once.",
    ),
]
