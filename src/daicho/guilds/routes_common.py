"""What the routes of guilds have in common: the store, ids, pages, names for what is sent."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request, params
from pydantic import AfterValidator, BeforeValidator

from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.core.types import utc
from daicho.guilds.schemas_ids import Id, wrong
from daicho.guilds.store import GuildStore


def _store(request: Request) -> GuildStore[Async]:
    store: GuildStore[Async] = request.app.state.ledger.guilds
    return store


def _digits(value: object) -> object:
    """A number in a path is written in one way only: else one thing had many addresses."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise wrong(
            Text("is no number; digits only, as 5", "番号ではありません。5 のように数字だけで書いてください")
        )
    return value


def _instant(value: datetime) -> datetime:
    try:
        return utc(value)
    except DaichoError as error:
        raise wrong(error.message) from None


def unkeyed(way_out: Text) -> params.Depends:
    """The dependency of a route that refuses an ``Idempotency-Key``: ignored, it would promise in vain.

    Args:
        way_out: what to do instead.
    """

    async def refuse(request: Request) -> None:
        if "idempotency-key" in request.headers:
            raise Invalid(
                f"Idempotency-Key is not supported here; {way_out.en}",
                f"ここでは Idempotency-Key を使えません。{way_out.ja}",
            )

    return params.Depends(refuse)


Guilds = Annotated[GuildStore[Async], Depends(_store)]
GuildId = Annotated[Id, Path(description="The guild's Discord id.", examples=["123456789012345678"])]
RowId = Annotated[int, BeforeValidator(_digits), Path(ge=1, lt=2**63)]
Instant = Annotated[datetime, AfterValidator(_instant)]
Since = Annotated[Instant | None, Query(description="At or after this instant; with its zone.")]
Until = Annotated[Instant | None, Query(description="Before this instant; with its zone.")]
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
