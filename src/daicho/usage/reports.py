"""Reports from the sums, the cost of a thing, the proof that sums and rows agree, and dropping old rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from operator import add
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    String,
    and_,
    cast,
    func,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from daicho.core.dialect import joined_by_range, table_of
from daicho.core.errors import Invalid
from daicho.core.model import check_text, check_whole
from daicho.core.operation import Mode, Store, idempotent, operation, query
from daicho.core.summing import compared, rebuild
from daicho.core.types import Instant, uuid_text
from daicho.usage import periods
from daicho.usage.checking import check_source
from daicho.usage.keeping import drop_records
from daicho.usage.models import (
    FIRST,
    NOBODY,
    NOT_ANY,
    USAGE,
    RollupState,
    UsageDetail,
    UsageSource,
    UsageTotal,
)
from daicho.usage.schemas import By, Report, ReportRow, Sum, Verified

LINES_MOST = 100_000
"""The most lines that a report may have."""
SEGMENT: Mapping[str, TypeEngine[Any]] = {
    "period": Integer(),
    "grain": String(),
    "first": Instant(),
    "last": Instant(),
    "sign": Integer(),
}
AT_ONCE = 1_000
"""Segments that one statement carries."""
SOURCES_AT_ONCE = 500
PRUNED_AT_ONCE = 10_000
COLUMNS: Mapping[By, str] = {
    By.TENANT: "tenant_id",
    By.USER: "user_id",
    By.MODEL: "model",
    By.OPERATION: "operation",
    By.SOURCE: "source_kind",
}
TOTAL_GRAINS, DETAIL_GRAINS = (rollup.grains for rollup in USAGE.rollups[:2])
Sums = Sequence[int]
"""Values of ``USAGE.sums``, in that order."""
CALLS = USAGE.sums.index("calls")


class Reports(Store[Mode]):
    """The part of ``ledger.usage`` that answers what was used and what it cost."""

    room = "usage"

    @query
    def report(
        self,
        session: Session,
        *,
        since: datetime,
        until: datetime,
        by: Sequence[str] = ("tenant",),
        zone: str = "UTC",
        tenant_id: str | None = None,
        user_id: str | None = None,
        model: str | None = None,
        operation: str | None = None,
        source_kind: str | None = None,
        limit: int = 1_000,
    ) -> Report:
        """Return what was used in a stretch of time, told apart as asked.

        Args:
            since, until: where it begins and ends (that instant not included), on a quarter of an hour.
            by: any of ``tenant``, ``user``, ``model``, ``operation``, ``source`` (its kind: ``call``), and
                one of ``hour``, ``day``, ``month``.
            zone: the IANA time zone whose hours, days and months count.
            tenant_id, user_id, model, operation, source_kind: only what belongs to it.
            limit: lines, at most 100,000; the total is of all.

        Lines come by time if time is told apart, and dearest first. The figures are those of the same
        query over the records, also for the time whose records are kept no more. Raises Invalid.
        Seed 003, the monthly query.
        """
        if not 1 <= check_whole("limit", limit) <= LINES_MOST:
            raise Invalid(
                f"limit must be from 1 to {LINES_MOST:,}", f"limit は 1 から {LINES_MOST:,} までです"
            )
        apart = By.all_of(by)
        place = periods.zone_of(zone)
        unit = next((one for one in apart if one.is_time), None)
        bounds = periods.periods(*periods.check_stretch(since, until), unit, place)
        dimensions = [COLUMNS[one] for one in apart if not one.is_time]
        wanted = {
            "tenant_id": self.whose(tenant_id),
            "user_id": None if user_id is None else uuid_text(user_id) or NOT_ANY,
            "model": model,
            "operation": operation,
            "source_kind": source_kind,
        }
        chosen = {name: check_text(name, value) for name, value in wanted.items() if value is not None}
        found = _summed(session, bounds, dimensions, chosen)
        lines = sorted(((key, Sum.of(sums)) for key, sums in found.items() if sums[CALLS]), key=_order)
        rows = []
        for key, sum_ in lines[:limit]:
            of = dict(zip(dimensions, key[1:], strict=True))
            if of.get("user_id") == NOBODY:
                of["user_id"] = None
            if of.get("source_kind") == "":
                of["source_kind"] = None
            at = None if unit is None else periods.begins(bounds[key[0]][0], unit, place)
            rows.append(ReportRow(sum_, begins=at, **of))
        total = [sum(column) for column in zip(*found.values(), strict=True)]
        return Report(rows, Sum.of(total) if total else Sum(), len(lines) > limit)

    @query
    def cost_of(self, session: Session, source: str) -> Sum:
        """Return what was used for one thing: ``call:call-123``, ``task:<uuid>``, ``member:華扇``."""
        return _of_sources(session, self, [source]).get(source, Sum())

    @query
    def costs_of(self, session: Session, sources: Sequence[str]) -> Mapping[str, Sum]:
        """Return what was used for each of several things; those without any use are left out."""
        return _of_sources(session, self, sources)

    @query
    def verify(self, session: Session) -> list[Verified]:
        """Prove that the sums are those of the records: how many buckets of each table differ.

        Each table is compared in one statement, so it holds while others write. Sums whose records
        are kept no more are compared with those of the finest grain.
        """
        return [Verified(*found) for found in compared(session.connection(), USAGE, self.tenant)]

    @operation
    def rebuild(self, session: Session) -> None:
        """Sum all records anew, where ``verify`` has found a difference. Others wait with writing meanwhile.

        Sums whose records are kept no more stay as they are. Raises Invalid in a tenant's ledger.
        """
        if self.tenant is not None:
            raise Invalid("sums are the operator's to rebuild", "集計の作り直しは管理者だけができます")
        rebuild(session.connection(), USAGE)

    @query
    def kept_from(self, session: Session) -> datetime | None:
        """Return from when on single records are kept; None: all of them are."""
        at = session.scalar(select(RollupState.raw_from))
        return None if at == FIRST else at

    @idempotent
    def prune(self, session: Session, before: datetime) -> int:
        """Drop some records from before a day (UTC); their sums stay. Call it until it returns 0.

        From then on no record from before that day is taken any more: whether it had been counted
        could no longer be known. Raises Invalid for what is no midnight (UTC), or lies ahead.
        """
        if self.tenant is not None:
            raise Invalid("dropping records is the operator's to do", "記録の削除は管理者だけができます")
        if before.tzinfo is None or before.astimezone(UTC).time() != time.min or before > datetime.now(UTC):
            raise Invalid(
                f"records are dropped from before a midnight in UTC that has passed, not {before}",
                f"UTC の 0 時 (過去) を指定してください ({before} でした)",
            )
        return drop_records(session, before, PRUNED_AT_ONCE)


# -- sums --------------------------------------------------------------------------------------------


def _summed(
    session: Session,
    bounds: Sequence[tuple[datetime, datetime]],
    dimensions: Sequence[str],
    chosen: Mapping[str, str],
) -> dict[tuple[Any, ...], Sums]:
    """The sums of every period and combination of dimensions.

    What tells only tenants apart is read from the coarser sums, whose number does not grow with that
    of the records; what those do not have, quarters of an hour, from the finer ones.
    """
    of_tenants = {*dimensions, *chosen} <= {"tenant_id"}
    grains = [*TOTAL_GRAINS, "quarter"] if of_tenants else DETAIL_GRAINS
    every = periods.segments(bounds, grains)
    coarse = [one for one in every if of_tenants and one.grain in TOTAL_GRAINS]
    fine = [one for one in every if not (of_tenants and one.grain in TOTAL_GRAINS)]
    found: dict[tuple[Any, ...], Sums] = {}
    for model, some in ((UsageTotal, coarse), (UsageDetail, fine)):
        for start in range(0, len(some), AT_ONCE):
            statement = _of_segments(session, model, some[start : start + AT_ONCE], dimensions, chosen)
            for row in session.execute(statement).all():
                key, sums = tuple(row[: 1 + len(dimensions)]), row[1 + len(dimensions) :]
                found[key] = tuple(map(add, found[key], sums)) if key in found else tuple(sums)
    return found


def _of_segments(
    session: Session,
    model: type[UsageTotal] | type[UsageDetail],
    some: Iterable[periods.Segment],
    dimensions: Sequence[str],
    chosen: Mapping[str, str],
) -> Select[Any]:
    """The buckets of each segment, a range of the primary key, summed by period and dimensions."""
    rows = [tuple(getattr(one, name) for name in SEGMENT) for one in some]
    wanted = table_of(session, "wanted", SEGMENT, rows)
    condition = and_(
        model.grain == wanted.c.grain,
        model.bucket >= wanted.c.first,
        model.bucket < wanted.c.last,
        *[getattr(model, name) == value for name, value in chosen.items()],
    )
    joined, found = joined_by_range(session, wanted, model, condition)
    keys = [wanted.c.period, *[found[name] for name in dimensions]]
    shown = [wanted.c.period, *[cast(found[name], String) for name in dimensions]]  # a UUID as it is wanted
    *sums, rest = [func.sum(wanted.c.sign * found[name]) for name in USAGE.sums]
    # The rest of money alone may outgrow 64 bits, if millions of buckets are summed.
    return select(*shown, *[cast(one, BigInteger) for one in sums], rest).select_from(joined).group_by(*keys)


def _order(line: tuple[tuple[Any, ...], Sum]) -> tuple[Any, ...]:
    """By time; then the dearest first, what has no price after all that has."""
    (period, *of), sum_ = line
    cost = sum_.total_cost_usd
    return period, cost is None, -(cost or 0), -sum_.total_tokens, of


def _of_sources(session: Session, store: Store[Any], sources: Sequence[str]) -> dict[str, Sum]:
    found: dict[str, Sum] = {}
    for start in range(0, len(sources), SOURCES_AT_ONCE):
        some = [check_source(one) for one in sources[start : start + SOURCES_AT_ONCE]]
        columns = [func.sum(getattr(UsageSource, name)) for name in USAGE.sums]
        statement = select(UsageSource.source, *columns).where(UsageSource.source.in_(some))
        statement = store.narrowed(statement, UsageSource.tenant_id).group_by(UsageSource.source)
        for source, *sums in session.execute(statement):
            found[source] = Sum.of(sums)
    return found
