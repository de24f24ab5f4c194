"""What usage looks like outside the database: records coming in, reports going out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.usage.fields import Count, Dollars, Moment, Name
from daicho.usage.models import dollars

TENANT = Text("tenant", "テナント")
USER = Text("user", "ユーザー")
ASSESSMENT = Text("assessment", "アセスメント")
LEAD = Text("lead", "リード")
RECORD = Text("usage record", "利用記録")


class Success(StrEnum):
    """How a call of an LLM ended."""

    SUCCESS = "success"
    FAILURE = "failure"


class By(StrEnum):
    """What a report tells apart."""

    TENANT = "tenant"
    USER = "user"
    MODEL = "model"
    OPERATION = "operation"
    SOURCE = "source"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def is_time(self) -> bool:
        return self in {By.HOUR, By.DAY, By.MONTH}

    @classmethod
    def all_of(cls, names: Sequence[str]) -> list["By"]:
        """Return what names mean, each once. Raises Invalid for one that is unknown, or two of time."""
        try:
            found = list(dict.fromkeys(cls(name) for name in names))
        except ValueError:
            unknown = next(name for name in names if name not in list(cls))
            known = ", ".join(cls)
            raise Invalid(
                f"a report cannot tell {unknown!r} apart; known: {known}",
                f"{unknown!r} では集計できません。使える名前: {known}",
            ) from None
        if sum(one.is_time for one in found) > 1:
            raise Invalid(
                "a report tells one length of time apart: hour, day or month",
                "集計の時間の単位は hour、day、month のうち 1 つだけです",
            )
        return found


@dataclass(slots=True)
class Sum:
    """What some calls used together.

    ``total_cost_usd`` is None if none of them has a price; ``unpriced_calls`` of them have none. A report
    makes thousands of these: one that is frozen takes five times as long to make.
    """

    api_calls: int = 0
    failed_calls: int = 0
    unpriced_calls: int = 0
    timed_calls: int = 0
    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_tokens: int = 0
    total_cache_read_tokens: int = 0
    total_cache_write_tokens: int = 0
    total_duration_ms: int = 0
    total_cost_usd: float | None = None

    def __add__(self, other: "Sum") -> "Sum":
        """Both together."""
        costs = [one.total_cost_usd for one in (self, other) if one.total_cost_usd is not None]
        return Sum(
            self.api_calls + other.api_calls,
            self.failed_calls + other.failed_calls,
            self.unpriced_calls + other.unpriced_calls,
            self.timed_calls + other.timed_calls,
            self.total_input_tokens + other.total_input_tokens,
            self.total_output_tokens + other.total_output_tokens,
            self.total_tokens + other.total_tokens,
            self.total_cache_read_tokens + other.total_cache_read_tokens,
            self.total_cache_write_tokens + other.total_cache_write_tokens,
            self.total_duration_ms + other.total_duration_ms,
            sum(costs) if costs else None,
        )

    @classmethod
    def of(cls, sums: Sequence[Any]) -> "Sum":
        """Build it from the values of ``USAGE.sums``, in that order."""
        calls, failed, priced, timed, read, written, total, cached, kept, ms, micros, rest = map(int, sums)
        cost = dollars(micros, rest) if priced else None
        return cls(calls, failed, calls - priced, timed, read, written, total, cached, kept, ms, cost)


@dataclass(slots=True)
class ReportRow:
    """One line of a report: what it is of (None: not told apart, or nobody), and the sum.

    ``begins`` is when its hour, day or month begins in the report's time zone.
    """

    sum: Sum
    tenant_id: str | None = None
    user_id: str | None = None
    model: str | None = None
    operation: str | None = None
    source_kind: str | None = None
    begins: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Lines of a report, dearest first (or by time), and the sum of all, also of those past the limit."""

    rows: list[ReportRow]
    total: Sum
    more: bool
    """Whether lines are left out."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A table of sums, compared with the records: how many buckets there are, and how many differ."""

    table: str
    buckets: int
    differ: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was not taken: its number, from 1, and why."""

    line: int
    reason: Text


@dataclass(slots=True)
class Recorded:
    """What became of many records."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class UsageIn(BaseModel):
    """A call of an LLM. With an ``id``, sending it again changes nothing."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="Your own UUID for it.")
    tenant_id: str | None = Field(None, description="A tenant's own key says it by itself.")
    user_id: str | None = None
    operation: Name = Field(examples=["generate_assessment"])
    model: Name = Field(examples=["claude-3-5-sonnet-20241022"])
    input_tokens: Count = Field(0, description="Cached ones included.")
    output_tokens: Count = 0
    total_tokens: Count | None = Field(None, description="Unset: input and output together.")
    cost_usd: Dollars | None = Field(None, description="Unset: by the price list of its day.")
    assessment_id: str | None = None
    lead_id: str | None = None
    duration_ms: Count | None = None
    success: Success = Success.SUCCESS
    created_at: Moment | None = Field(None, description="With its time zone. Unset: now.")
    provider: str | None = Field(None, examples=["anthropic"])
    cache_read_tokens: Count | None = Field(None, description="Input tokens read from a cache.")
    cache_write_tokens: Count | None = None
    source: str | None = Field(None, examples=["call:call-123"])


class UsageOut(BaseModel):
    """A stored record."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    tenant_id: str
    user_id: str | None
    operation: str
    model: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: float | None
    assessment_id: str | None
    lead_id: str | None
    duration_ms: int | None
    success: str
    created_at: datetime
    provider: str | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    source: str | None
    priced_by: str | None


class UsagePage(BaseModel):
    """A page of records."""

    model_config = ConfigDict(from_attributes=True)

    items: list[UsageOut]
    next: str | None


class RejectedOut(BaseModel):
    """A record that was not taken."""

    line: int = Field(description="Its line, or its place in the array; the first is 1.")
    reason: str


class RecordedOut(BaseModel):
    """What became of many records. Those accepted are durable."""

    accepted: int
    duplicate: int
    rejected_count: int = Field(description="All that were not taken.")
    rejected: list[RejectedOut] = Field(description="The first thousand of them.")


class SumOut(BaseModel):
    """What some calls used together. A cost of null: none of them has a price."""

    model_config = ConfigDict(from_attributes=True)

    api_calls: int
    failed_calls: int
    unpriced_calls: int
    timed_calls: int
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    total_cache_read_tokens: int
    total_cache_write_tokens: int
    total_duration_ms: int
    total_cost_usd: float | None


class ReportRowOut(SumOut):
    """One line of a report: what it is of, where that is told apart, and the sum."""

    tenant_id: str | None = None
    user_id: str | None = None
    model: str | None = None
    operation: str | None = None
    source_kind: str | None = None
    begins: datetime | None = None

    @classmethod
    def of(cls, row: ReportRow) -> "ReportRowOut":
        """Build it from a report's line."""
        names = ("tenant_id", "user_id", "model", "operation", "source_kind", "begins")
        return cls(**{name: getattr(row, name) for name in names}, **asdict(row.sum))


class ReportOut(BaseModel):
    """A report, dearest first (or by time)."""

    since: datetime
    until: datetime
    zone: str
    rows: list[ReportRowOut]
    total: SumOut = Field(description="Of all lines, also those past the limit.")
    more: bool = Field(description="Whether lines are left out.")


class PriceIn(BaseModel):
    """A price of one's own, or a discount. Prices are dollars for a million tokens."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str | None = Field(None, description="Unset: every tenant's.")
    model: str | None = Field(None, description="Unset: every model's (a discount).")
    input_price: float | None = Field(None, ge=0)
    output_price: float | None = Field(None, ge=0)
    cache_read_price: float | None = Field(None, ge=0)
    cache_write_price: float | None = Field(None, ge=0)
    discount: float | None = Field(None, ge=0, le=1, description="The part taken off.")
    starts_at: datetime | None = Field(None, description="With its time zone. Unset: now.")


class PriceOut(BaseModel):
    """A stored price."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    tenant_id: str | None
    model: str | None
    input_price: float | None
    output_price: float | None
    cache_read_price: float | None
    cache_write_price: float | None
    discount: float | None
    starts_at: datetime
    created_at: datetime


class PricePage(BaseModel):
    """A page of prices."""

    model_config = ConfigDict(from_attributes=True)

    items: list[PriceOut]
    next: str | None


class VerifiedOut(BaseModel):
    """A table of sums, compared with the records."""

    model_config = ConfigDict(from_attributes=True)

    table: str
    buckets: int
    differ: int
