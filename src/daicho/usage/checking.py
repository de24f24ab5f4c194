"""Records of usage as they come in, looked at: complete rows, or what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Required

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from daicho.core.errors import DaichoError, Invalid, NotFound
from daicho.core.model import check_text
from daicho.core.types import new_uuid, now, utc
from daicho.usage.fields import FIRST_YEAR, LAST_YEAR
from daicho.usage.models import COST_MOST, AIUsageLog
from daicho.usage.schemas import TENANT, Success

Row = dict[str, Any]
COUNTS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "duration_ms",
    "cache_read_tokens",
    "cache_write_tokens",
)
SOURCE = re.compile(r"[a-z]+:.+", re.DOTALL)
SUCCESS, OUTCOMES = Success.SUCCESS.value, frozenset(one.value for one in Success)


def checked(values: Mapping[str, Any], tenant: str | None = None) -> Row:
    """Return a record as a complete row, but for its cost.

    Args:
        values: by the columns' names. An ``id`` of one's own is a UUID.
        tenant: the only tenant that it may name, and need not.

    Raises Invalid, naming the column and what is wrong with it; NotFound for another tenant.
    """
    try:
        return complete(USUAL_ONE.validate_python(values), tenant)
    except ValidationError:
        return _looked_at(values, tenant)


def _looked_at(values: Mapping[str, Any], tenant: str | None) -> Row:
    """As ``checked``, column by column, for what is spelled otherwise than usual, or wrong."""
    row = AIUsageLog.row(**{name: value for name, value in values.items() if value is not None})
    for name in COUNTS:
        if row.get(name, 0) < 0:
            raise Invalid(f"{name} is negative: {row[name]:,}", f"{name} が負の数です: {row[name]:,}")
    cost = row.get("cost_usd")
    if cost is not None and not (type(cost) in {int, float} and 0 <= cost < COST_MOST):
        raise Invalid(
            f"cost_usd must be a number from 0 to {COST_MOST:,.0f}, not {cost!r}",
            f"cost_usd は 0 以上 {COST_MOST:,.0f} 未満の数でなければなりません ({cost!r} でした)",
        )
    if (success := row.get("success", SUCCESS)) not in OUTCOMES:
        raise Invalid(
            f"success must be success or failure, not {success!r}",
            f"success は success か failure でなければなりません ({success!r} でした)",
        )
    if (source := row.get("source")) is not None:
        check_source(source)
    if "priced_by" in row:
        raise Invalid("priced_by is not for a record to say", "priced_by は記録時に指定できません")
    return complete(row, tenant)


def check_source(source: object) -> str:
    """Return what a thing is called, or raise Invalid for what is no kind and name."""
    text = check_text("source", source, 255)
    if not SOURCE.fullmatch(text):
        raise Invalid(
            f"source must be a kind and a name, as call:call-123, not {text[:60]!r}",
            f"source は call:call-123 のように「種類:名前」でなければなりません ({text[:60]!r} でした)",
        )
    return text


def complete(row: Mapping[str, Any], tenant: str | None) -> Row:
    """Return a checked record with every column, in one order: what COPY and ``executemany`` need."""
    get = row.get
    whose, at = get("tenant_id") or tenant, utc(get("created_at") or now())
    if tenant is not None and whose != tenant:
        raise NotFound(TENANT, whose)
    if not (whose and get("operation") and get("model")):
        missing = "tenant_id" if not whose else "operation" if not get("operation") else "model"
        raise Invalid(f"{missing} is missing", f"{missing} がありません")
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise Invalid(
            f"created_at lies outside the years {FIRST_YEAR} to {LAST_YEAR}: {at}",
            f"created_at は {FIRST_YEAR} 年から {LAST_YEAR} 年の範囲でなければなりません: {at}",
        )
    read, written, total = get("input_tokens", 0), get("output_tokens", 0), get("total_tokens")
    return {
        "id": get("id") or new_uuid(),
        "tenant_id": whose,
        "user_id": get("user_id"),
        "operation": row["operation"],
        "model": row["model"],
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written if total is None else total,
        "cost_usd": get("cost_usd"),
        "assessment_id": get("assessment_id"),
        "lead_id": get("lead_id"),
        "duration_ms": get("duration_ms"),
        "success": get("success", SUCCESS),
        "created_at": at,
        "provider": get("provider"),
        "cache_read_tokens": get("cache_read_tokens"),
        "cache_write_tokens": get("cache_write_tokens"),
        "source": get("source"),
        "priced_by": None,
    }


Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern="^[^\\x00]+$", strict=True)]
Count = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


@with_config(ConfigDict(extra="forbid"))
class UsageRecord(TypedDict, total=False):
    """A record by its columns' names: the arguments of ``record``, and what most of many look like.

    What each is stands at ``Records.record``.
    """

    operation: Required[Name]
    model: Required[Name]
    tenant_id: Uuid | None
    input_tokens: Count
    output_tokens: Count
    total_tokens: Count | None
    cost_usd: Annotated[float, Field(ge=0, lt=COST_MOST, allow_inf_nan=False, strict=True)] | None
    user_id: Uuid | None
    assessment_id: Uuid | None
    lead_id: Uuid | None
    duration_ms: Count | None
    success: Annotated[str, Field(pattern="^(success|failure)$", strict=True)]
    created_at: Annotated[AwareDatetime, Field(strict=True)] | None
    provider: Annotated[str, Field(max_length=50, pattern="^[^\\x00]*$", strict=True)] | None
    cache_read_tokens: Count | None
    cache_write_tokens: Count | None
    source: Annotated[str, Field(max_length=255, pattern="^[a-z]+:[^\\x00]+$", strict=True)] | None
    id: Uuid | None


USUAL = TypeAdapter(list[UsageRecord])
USUAL_ONE = TypeAdapter(UsageRecord)


def checked_many(records: Sequence[object], tenant: str | None) -> list[Row | DaichoError]:
    """Check records; return each one's row or error.

    ``USUAL`` looks at what is spelled as it is stored, nearly all of it, at a tenth of the cost. What it
    does not know, ``checked`` decides.
    """
    try:
        return [complete(row, tenant) for row in USUAL.validate_python(records)]
    except (ValidationError, DaichoError):
        return [_row_or_error(record, tenant) for record in records]


def _row_or_error(record: object, tenant: str | None) -> Row | DaichoError:
    try:
        if isinstance(record, AIUsageLog):
            return checked({**record.values(), "priced_by": None}, tenant)
        if isinstance(record, Mapping):
            return checked(record, tenant)
    except DaichoError as error:
        return error
    return Invalid(
        f"a record is a mapping of columns to values, not {type(record).__name__}",
        f"記録は列名と値の対応でなければなりません ({type(record).__name__} でした)",
    )
