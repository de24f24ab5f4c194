"""Usage over HTTP: each route translates to one operation, and says which of a tenant's keys may call it.

Tenants and keys stand in ``routes_access``.
"""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Query, Request, Response, status
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from daicho.core.access import KeyScope, allow
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.types import now
from daicho.core.web import LINES_TYPES, media_type, problems
from daicho.usage import routes_access
from daicho.usage.ingest import counted, read_body, record_array, record_lines, record_one
from daicho.usage.periods import month_in, zone_of
from daicho.usage.routes_access import Cursor, Limit, Usage, still_known
from daicho.usage.schemas import (
    By,
    PriceIn,
    PriceOut,
    PricePage,
    RecordedOut,
    ReportOut,
    ReportRowOut,
    SumOut,
    UsageIn,
    UsageOut,
    UsagePage,
    VerifiedOut,
)

router = APIRouter(responses=problems(401, 403, 422, 503))
router.include_router(routes_access.router)
usage_router = APIRouter(tags=["usage"])

ONE = UsageIn.model_json_schema()
BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"anyOf": [ONE, {"type": "array", "items": ONE}]},
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "One record a line."}},
    },
}
Since = Annotated[datetime | None, Query(description="Made at or after; with its zone.")]
Until = Annotated[datetime | None, Query(description="Made before; with its zone.")]
TenantId = Annotated[str | None, Query(description="Only this tenant's.")]
Model = Annotated[str | None, Query(description="Only this model's.")]
Operation = Annotated[str | None, Query(description="Only for this operation.")]


def _parts(names: list[str]) -> list[str]:
    """``["day,model", "user"]`` as ``["day", "model", "user"]``."""
    return [name for part in names for one in part.split(",") if (name := one.strip())]


class ReportQuery(BaseModel):
    """What a report is asked for. A name that is not known is refused: the answer would be another report."""

    model_config = ConfigDict(extra="forbid")

    month: str | None = Field(None, description="Instead of since and until.", examples=["2026-11"])
    since: datetime | None = Field(None, description="From this instant on; with its zone.")
    until: datetime | None = Field(None, description="Before this instant; with its zone.")
    by: Annotated[list[By], BeforeValidator(_parts)] = Field(
        [By.TENANT], description="What to tell apart: repeated, or with commas.", examples=[["day", "model"]]
    )
    tz: str = Field("UTC", description="The IANA time zone.", examples=["Asia/Tokyo"])
    tenant_id: str | None = Field(None, description="Only this tenant's.")
    user_id: str | None = None
    model: str | None = Field(None, description="Only this model's.")
    operation: str | None = Field(None, description="Only for this operation.")
    source_kind: str | None = Field(None, examples=["call"])
    limit: int = Field(1_000, ge=1, le=100_000, description="Lines.")


@usage_router.post(
    "/usage",
    status_code=status.HTTP_201_CREATED,
    responses={
        **problems(404, 415),
        200: {"model": RecordedOut, "description": "Many records: what became of them."},
    },
    openapi_extra={"requestBody": BODY},
)
@allow(KeyScope.INGEST)
async def record_usage(request: Request, usage: Usage, response: Response) -> UsageOut | RecordedOut:
    """Record one call of an LLM (201, as stored), or many: an array, or a stream of lines (200).

    What it answers is durable. A record with an `id` may be sent again and changes nothing.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        detail = say(
            "send it as it is, without Content-Encoding", "Content-Encoding なしで、そのまま送ってください"
        )
        raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
    if media_type(request) in LINES_TYPES:
        response.status_code = status.HTTP_200_OK
        return await record_lines(usage, request.stream(), still_known(request))
    content = await request.body()
    with counted(usage):
        body = read_body(content)
        if isinstance(body, UsageIn):
            return UsageOut.model_validate(await record_one(usage, body))
    response.status_code = status.HTTP_200_OK
    return await record_array(usage, body)


@usage_router.get("/usage")
@allow(KeyScope.READ)
async def list_usage(
    usage: Usage,
    tenant_id: TenantId = None,
    user_id: str | None = None,
    model: Model = None,
    operation: Operation = None,
    source: Annotated[str | None, Query(examples=["call:call-123"])] = None,
    unpriced: Annotated[bool | None, Query(description="Only those without, or with, a cost.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> UsagePage:
    """Records, latest first."""
    page = await usage.list(
        tenant_id=tenant_id,
        user_id=user_id,
        model=model,
        operation=operation,
        source=source,
        unpriced=unpriced,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return UsagePage.model_validate(page)


@usage_router.get("/usage/report")
@allow(KeyScope.READ)
async def report_usage(usage: Usage, asked: Annotated[ReportQuery, Query()]) -> ReportOut:
    """What was used and what it cost: this month by tenant, if nothing else is asked for."""
    begin, end = _stretch(asked.month, asked.since, asked.until, zone_of(asked.tz))
    report = await usage.report(
        since=begin,
        until=end,
        by=asked.by,
        zone=asked.tz,
        tenant_id=asked.tenant_id,
        user_id=asked.user_id,
        model=asked.model,
        operation=asked.operation,
        source_kind=asked.source_kind,
        limit=asked.limit,
    )
    return ReportOut(
        since=begin,
        until=end,
        zone=asked.tz,
        rows=[ReportRowOut.of(row) for row in report.rows],
        total=SumOut.model_validate(report.total),
        more=report.more,
    )


@usage_router.get("/usage/cost")
@allow(KeyScope.READ)
async def cost_of(
    usage: Usage, source: Annotated[str, Query(examples=["call:call-123"], max_length=255)]
) -> SumOut:
    """What one thing used and cost: a call, a task, a ticket, a member."""
    return SumOut.model_validate(await usage.cost_of(source))


@usage_router.get("/usage/verify")
async def verify_usage(usage: Usage) -> list[VerifiedOut]:
    """Compare all sums with the records, which takes a while: in how many buckets they differ."""
    return [VerifiedOut.model_validate(one) for one in await usage.verify()]


@usage_router.get("/usage/prices")
@allow(KeyScope.READ)
async def list_prices(
    usage: Usage, tenant_id: TenantId = None, limit: Limit = 50, cursor: Cursor = None
) -> PricePage:
    """Own prices and discounts; a tenant's key sees those that are about it."""
    return PricePage.model_validate(await usage.list_prices(tenant_id=tenant_id, limit=limit, cursor=cursor))


@usage_router.post("/usage/prices", status_code=status.HTTP_201_CREATED, responses=problems(404))
async def set_price(usage: Usage, price: PriceIn) -> PriceOut:
    """Set a price or a discount for what is recorded from now on."""
    return PriceOut.model_validate(await usage.set_price(**price.model_dump()))


@usage_router.delete(
    "/usage/prices/{price_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404)
)
async def remove_price(usage: Usage, price_id: str) -> None:
    """Remove a price. What was recorded keeps its cost."""
    await usage.remove_price(price_id)


@usage_router.get("/usage/{record_id}", responses=problems(404))
@allow(KeyScope.READ)
async def get_usage(usage: Usage, record_id: str, tenant_id: TenantId = None) -> UsageOut:
    """One record."""
    return UsageOut.model_validate(await usage.get(record_id, tenant_id=tenant_id))


@usage_router.delete("/usage/{record_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_usage(usage: Usage, record_id: str, tenant_id: TenantId = None) -> None:
    """Delete a record; what it added to the sums goes with it."""
    await usage.delete(record_id, tenant_id=tenant_id)


router.include_router(usage_router)


def _stretch(
    month: str | None, since: datetime | None, until: datetime | None, zone: ZoneInfo
) -> tuple[datetime, datetime]:
    if since is not None and until is not None and month is None:
        return since, until
    if since is not None or until is not None:
        raise Invalid(
            "give since and until together, or a month", "since と until の両方か、month を指定してください"
        )
    return month_in(month or f"{now().astimezone(zone):%Y-%m}", zone)
