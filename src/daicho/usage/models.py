"""The tables of seed 003, the sums that the database keeps of them, and what access and prices need."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger as Big
from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, Integer, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.model import Base
from daicho.core.rollups import RESTS, STATE, Rollup, Summed
from daicho.core.types import UuidText, new_uuid, now

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands in the sums for the user of a call that has none."""
NOT_ANY = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Nobody's id: what stands for an id that cannot be one."""
FIRST = datetime(1, 1, 1, tzinfo=UTC)
COST_MOST = 1e9
"""No single call costs as many dollars."""


class Tenant(Base):
    """A customer whose usage is counted."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(UuidText, primary_key=True, default=new_uuid)
    name: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(default=now)


class Owned:
    """What belongs to a tenant."""

    id: Mapped[str] = mapped_column(UuidText, primary_key=True, default=new_uuid)
    tenant_id: Mapped[str] = mapped_column(UuidText, ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(default=now)


class User(Owned, Base):
    """A tenant's user."""

    __tablename__ = "users"


class Assessment(Owned, Base):
    """A tenant's assessment."""

    __tablename__ = "assessments"


class Lead(Owned, Base):
    """A tenant's lead."""

    __tablename__ = "leads"


class AIUsageLog(Base):
    """One call of an LLM, and what it used. Seed 003; from ``provider`` on, Daicho's own columns.

    The key is the id within its tenant: whether another tenant has the same id, nobody can tell.
    """

    __tablename__ = "ai_usage_logs"

    id: Mapped[str] = mapped_column(UuidText, primary_key=True, default=new_uuid)
    tenant_id: Mapped[str] = mapped_column(
        UuidText, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str | None] = mapped_column(UuidText, ForeignKey("users.id", ondelete="SET NULL"))
    operation: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(100))
    input_tokens: Mapped[int] = mapped_column(Integer)
    output_tokens: Mapped[int] = mapped_column(Integer)
    total_tokens: Mapped[int] = mapped_column(Integer)
    cost_usd: Mapped[float | None] = mapped_column(Float)
    assessment_id: Mapped[str | None] = mapped_column(
        UuidText, ForeignKey("assessments.id", ondelete="SET NULL")
    )
    lead_id: Mapped[str | None] = mapped_column(UuidText, ForeignKey("leads.id", ondelete="SET NULL"))
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    success: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    provider: Mapped[str | None] = mapped_column(String(50))
    cache_read_tokens: Mapped[int | None] = mapped_column(Integer)
    cache_write_tokens: Mapped[int | None] = mapped_column(Integer)
    source: Mapped[str | None] = mapped_column(String(255))
    priced_by: Mapped[str | None] = mapped_column(String(100))

    __table_args__ = (
        Index("idx_ai_usage_logs_tenant_id", "tenant_id"),
        Index("idx_ai_usage_logs_operation", "operation"),
        Index("idx_ai_usage_logs_created_at", "created_at"),
        Index("idx_ai_usage_logs_tenant_created", "tenant_id", "created_at"),
        Index(
            "ix_ai_usage_logs_source",
            "source",
            sqlite_where=text("source IS NOT NULL"),
            postgresql_where=text("source IS NOT NULL"),
        ),
        CheckConstraint(f"abs(cost_usd) < {COST_MOST:.0f}", name="cost_usd"),
    )


# -- sums --------------------------------------------------------------------------------------------


class Sums:
    """What every table of sums holds of the calls in a bucket. Whole numbers: sums are exact."""

    calls: Mapped[int] = mapped_column(Big)
    failed_calls: Mapped[int] = mapped_column(Big)
    priced_calls: Mapped[int] = mapped_column(Big)
    timed_calls: Mapped[int] = mapped_column(Big)
    input_tokens: Mapped[int] = mapped_column(Big)
    output_tokens: Mapped[int] = mapped_column(Big)
    total_tokens: Mapped[int] = mapped_column(Big)
    cache_read_tokens: Mapped[int] = mapped_column(Big)
    cache_write_tokens: Mapped[int] = mapped_column(Big)
    duration_ms: Mapped[int] = mapped_column(Big)
    cost_micros: Mapped[int] = mapped_column(Big)
    cost_rest: Mapped[int] = mapped_column(Big)


class UsageTotal(Sums, Base):
    """A tenant's sums by month, day and hour (UTC), and by the months of Tokyo and Seoul (UTC+9)."""

    __tablename__ = "usage_totals"
    __table_args__ = ({"sqlite_with_rowid": False},)

    grain: Mapped[str] = mapped_column(String(7), primary_key=True)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(UuidText, primary_key=True)


class UsageDetail(Sums, Base):
    """Sums by all that reports tell apart, by day and quarter of an hour (UTC).

    Every time zone of today, also those off by 30 and 45 minutes, begins its days on such a quarter.
    """

    __tablename__ = "usage_details"
    __table_args__ = ({"sqlite_with_rowid": False},)

    grain: Mapped[str] = mapped_column(String(7), primary_key=True)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(UuidText, primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    operation: Mapped[str] = mapped_column(String(100), primary_key=True)
    user_id: Mapped[str] = mapped_column(UuidText, primary_key=True)
    source_kind: Mapped[str] = mapped_column(String(255), primary_key=True)


class UsageSource(Sums, Base):
    """Sums of one source ("call:call-123"), over all time."""

    __tablename__ = "usage_sources"
    __table_args__ = ({"sqlite_with_rowid": False},)

    source: Mapped[str] = mapped_column(String(255), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(UuidText, primary_key=True)


class RollupState(Base):
    """One row: from when on the calls themselves are kept, and whether a bulk write sums by itself."""

    __tablename__ = STATE

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    raw_from: Mapped[datetime]
    in_bulk: Mapped[int] = mapped_column(SmallInteger)


USAGE = Summed(
    table="ai_usage_logs",
    instant="created_at",
    measures={
        "calls": "1",
        "failed_calls": "CASE WHEN {r}.success = 'success' THEN 0 ELSE 1 END",
        "priced_calls": "CASE WHEN {r}.cost_usd IS NULL THEN 0 ELSE 1 END",
        "timed_calls": "CASE WHEN {r}.duration_ms IS NULL THEN 0 ELSE 1 END",
        "input_tokens": "{r}.input_tokens",
        "output_tokens": "{r}.output_tokens",
        "total_tokens": "{r}.total_tokens",
        "cache_read_tokens": "coalesce({r}.cache_read_tokens, 0)",
        "cache_write_tokens": "coalesce({r}.cache_write_tokens, 0)",
        "duration_ms": "coalesce({r}.duration_ms, 0)",
    },
    money="cost_usd",
    rollups=(
        Rollup("usage_totals", {"tenant_id": "{r}.tenant_id"}, ("month", "month+9", "day", "hour")),
        Rollup(
            "usage_details",
            {
                "tenant_id": "{r}.tenant_id",
                "model": "{r}.model",
                "operation": "{r}.operation",
                "user_id": f"coalesce({{r}}.user_id, '{NOBODY}')",
                # The letters before the colon, as both databases can say it.
                "source_kind": "coalesce(substr({r}.source, 1, length({r}.source)"
                " - length(ltrim({r}.source, 'abcdefghijklmnopqrstuvwxyz'))), '')",
            },
            ("day", "quarter"),
        ),
        Rollup(
            "usage_sources",
            {"source": "{r}.source", "tenant_id": "{r}.tenant_id"},
            where="{r}.source IS NOT NULL",
        ),
    ),
    watched=(
        "tenant_id",
        "user_id",
        "operation",
        "model",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cost_usd",
        "duration_ms",
        "success",
        "created_at",
        "cache_read_tokens",
        "cache_write_tokens",
        "source",
    ),
)


def dollars(micros: int, rest: int) -> float:
    """The amount that a sum of money stands for, in dollars."""
    return micros / 1e6 + rest / (1e6 * RESTS)


# -- access and prices -------------------------------------------------------------------------------


class ApiKey(Base):
    """A tenant's key. The key itself is not kept, only what tells it apart (SHA-256)."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(UuidText, primary_key=True, default=new_uuid)
    tenant_id: Mapped[str] = mapped_column(UuidText, ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(20))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class UsagePrice(Base):
    """A price of one's own, or a discount: for a tenant or all, for a model or all, from an instant on.

    Prices are dollars for a million tokens. ``discount`` is the part taken off, 0 to 1.
    """

    __tablename__ = "usage_prices"

    id: Mapped[str] = mapped_column(UuidText, primary_key=True, default=new_uuid)
    tenant_id: Mapped[str | None] = mapped_column(
        UuidText, ForeignKey("tenants.id", ondelete="CASCADE"), index=True
    )
    model: Mapped[str | None] = mapped_column(String(100))
    input_price: Mapped[float | None] = mapped_column(Float)
    output_price: Mapped[float | None] = mapped_column(Float)
    cache_read_price: Mapped[float | None] = mapped_column(Float)
    cache_write_price: Mapped[float | None] = mapped_column(Float)
    discount: Mapped[float | None] = mapped_column(Float)
    starts_at: Mapped[datetime]
    created_at: Mapped[datetime]
