"""Reports: equal to the same query over the records, in every time zone."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from daicho import Invalid, Ledger, NotFound
from daicho.usage import periods
from daicho.usage.models import AIUsageLog
from daicho.usage.schemas import By, ReportRow
from tests.faces import Faces

ZONES = [
    "UTC",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "America/New_York",
    "Pacific/Chatham",
]
BEGIN, DAYS = datetime(2026, 9, 20, tzinfo=UTC), 60


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A ledger with two months of usage, over changes of the clocks, and its records."""
    folder = tmp_path_factory.mktemp("reports")
    url = (
        f"sqlite:///{folder / 'l.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("new_postgres")()
    )
    chance = random.Random(5)
    with Ledger(url) as ledger:
        tenants = [ledger.usage.create_tenant(name).id for name in ("Acme", "いろは", "Zeta")]
        users = [ledger.usage.create_user(tenants[0], f"u{n}").id for n in range(2)]
        ledger.usage.record_many(
            {
                "tenant_id": tenant,
                "user_id": chance.choice([*users, None]) if tenant == tenants[0] else None,
                "operation": chance.choice(["chat", "要約"]),
                "model": chance.choice(["x", "y", "z"]),
                "input_tokens": chance.randrange(10_000),
                "output_tokens": chance.randrange(1_000),
                "cost_usd": chance.choice([None, chance.random(), chance.random() * 1e-6]),
                "duration_ms": chance.choice([None, 10]),
                "success": chance.choice(["success", "failure"]),
                "source": chance.choice([None, "call:1", "task:2"]),
                # Many lie right at the bounds of days and quarters.
                "created_at": BEGIN
                + timedelta(minutes=15 * chance.randrange(DAYS * 96), microseconds=chance.choice([0, -1, 7]))
                + timedelta(seconds=1 if chance.random() < 0.5 else 0),
            }
            for tenant in chance.choices(tenants, k=4_000)
        )
        logs, cursor = [], None
        while True:
            page = ledger.usage.list(limit=1000, cursor=cursor)
            logs += page.items
            if (cursor := page.next) is None:
                break
        yield ledger, logs


def expected(
    logs: list[AIUsageLog], since: datetime, until: datetime, by: list[str], zone: str
) -> dict[Any, list[Any]]:
    """The same report by looking at every record."""
    place = ZoneInfo(zone)
    found: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, 0, 0, 0.0])
    for log in logs:
        if not since <= log.created_at < until:
            continue
        local = log.created_at.astimezone(place)
        values = {
            "tenant": log.tenant_id,
            "user": log.user_id,
            "model": log.model,
            "operation": log.operation,
            "source": log.source and log.source.partition(":")[0],
            "hour": (local.strftime("%Y-%m-%d %H"), local.utcoffset()),
            "day": local.strftime("%Y-%m-%d"),
            "month": local.strftime("%Y-%m"),
        }
        row = found[tuple(values[one] for one in by)]
        row[0] += 1
        row[1] += log.success != "success"
        row[2] += log.cost_usd is None
        row[3] += log.total_tokens
        row[4] += log.cost_usd or 0
    return found


def key(row: ReportRow, by: list[str]) -> tuple[Any, ...]:
    at = row.begins
    values = {
        "tenant": row.tenant_id,
        "user": row.user_id,
        "model": row.model,
        "operation": row.operation,
        "source": row.source_kind,
        "hour": at and (at.strftime("%Y-%m-%d %H"), at.utcoffset()),
        "day": at and at.strftime("%Y-%m-%d"),
        "month": at and at.strftime("%Y-%m"),
    }
    return tuple(values[one] for one in by)


FEW_ZONES = ZONES[:4]
CUTS = [
    [],
    ["tenant"],
    ["tenant", "month"],
    ["tenant", "day"],
    ["hour"],
    ["model", "day"],
    ["user", "operation"],
    ["source", "hour"],
    ["tenant", "user", "model", "operation", "source", "month"],
]


@pytest.mark.parametrize(
    ("zone", "by"),
    [(zone, by) for by in CUTS for zone in (ZONES if {"hour", "day"} & {*by} else FEW_ZONES)],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_report_is_what_the_records_say(filled: Any, zone: str, by: list[str]) -> None:
    ledger, logs = filled
    place = ZoneInfo(zone)
    for since, until in (
        (datetime(2026, 10, 1, tzinfo=place), datetime(2026, 11, 1, tzinfo=place)),
        (datetime(2026, 9, 21, 7, 15, tzinfo=place), datetime(2026, 11, 15, 22, 45, tzinfo=place)),
    ):
        report = ledger.usage.report(since=since, until=until, by=by, zone=zone, limit=100_000)
        wanted = expected(logs, since, until, by, zone)
        assert {key(row, by) for row in report.rows} == wanted.keys()
        assert not report.more
        for row in report.rows:
            calls, failed, unpriced, tokens, cost = wanted[key(row, by)]
            got = row.sum
            assert (got.api_calls, got.failed_calls, got.unpriced_calls, got.total_tokens) == (
                calls,
                failed,
                unpriced,
                tokens,
            )
            assert (got.total_cost_usd is None) == (calls == unpriced)
            assert (got.total_cost_usd or 0) == pytest.approx(cost, rel=1e-9, abs=1e-15)
        assert report.total.api_calls == sum(one[0] for one in wanted.values())


def test_filters_narrow_a_report(filled: Any) -> None:
    ledger, logs = filled
    whole = {"since": BEGIN - timedelta(days=1), "until": BEGIN + timedelta(days=DAYS + 1)}
    tenant = ledger.usage.list_tenants(text="Acme").items[0].id
    user = ledger.usage.list_users(tenant_id=tenant).items[0].id
    for filters, wanted in (
        ({"tenant_id": tenant}, lambda log: log.tenant_id == tenant),
        ({"user_id": user}, lambda log: log.user_id == user),
        ({"model": "x", "operation": "要約"}, lambda log: (log.model, log.operation) == ("x", "要約")),
        ({"source_kind": "call"}, lambda log: log.source == "call:1"),
        ({"tenant_id": tenant, "model": "none"}, lambda _: False),
        ({"user_id": "no uuid"}, lambda _: False),
    ):
        report = ledger.usage.report(**whole, by=["model"], **filters)
        assert report.total.api_calls == len([log for log in logs if wanted(log)])


def test_rows_come_dearest_first_and_the_total_is_of_all(filled: Any) -> None:
    ledger, logs = filled
    whole = {"since": BEGIN - timedelta(days=1), "until": BEGIN + timedelta(days=DAYS + 1)}
    report = ledger.usage.report(**whole, by=["tenant", "model"], limit=4)
    costs = [row.sum.total_cost_usd for row in report.rows]
    assert (len(costs), report.more, costs) == (4, True, sorted(costs, reverse=True))
    assert report.total.api_calls == len(logs)
    days = [row.begins for row in ledger.usage.report(**whole, by=["day"], zone="Asia/Tokyo").rows]
    assert days == sorted(days)


def test_the_cost_of_a_thing_is_that_of_its_records(filled: Any) -> None:
    ledger, logs = filled
    mine = [log for log in logs if log.source == "call:1"]
    cost = ledger.usage.cost_of("call:1")
    assert (cost.api_calls, cost.total_tokens) == (len(mine), sum(log.total_tokens for log in mine))
    assert cost.total_cost_usd == pytest.approx(sum(log.cost_usd or 0 for log in mine), rel=1e-9)
    assert ledger.usage.costs_of(["call:1", "nothing:9", "task:2"]).keys() == {"call:1", "task:2"}
    assert ledger.usage.cost_of("nothing:9").total_cost_usd is None


def test_a_report_speaks_on_both_faces(face: Faces) -> None:
    tenant = face.usage.create_tenant("Acme").id
    face.usage.record(
        tenant_id=tenant, operation="o", model="m", cost_usd=0.25, source="call:1", created_at=BEGIN
    )
    (row,) = face.usage.report(since=BEGIN, until=BEGIN + timedelta(days=1)).rows
    assert (row.tenant_id, row.sum.total_cost_usd) == (tenant, 0.25)
    assert face.usage.cost_of("call:1").total_cost_usd == 0.25
    with pytest.raises(NotFound):
        face.usage.report(since=BEGIN, until=BEGIN + timedelta(days=1), tenant_id="no uuid")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"by": ["tenent"]}, "cannot tell 'tenent' apart"),
        ({"by": ["day", "month"]}, "one length of time"),
        ({"zone": "Asia/Tokio"}, "unknown time zone 'Asia/Tokio'"),
        ({"zone": "../etc/passwd"}, "unknown time zone"),
        ({"since": BEGIN.replace(tzinfo=None)}, "since has no time zone"),
        ({"since": BEGIN + timedelta(minutes=7)}, "quarter of an hour"),
        ({"until": BEGIN}, "is not before"),
        ({"since": datetime(1, 1, 1, tzinfo=UTC)}, "outside the years"),
        ({"until": datetime(9999, 12, 31, tzinfo=UTC)}, "outside the years"),
        ({"since": datetime(2000, 1, 1, tzinfo=UTC), "by": ["hour"]}, "more than 10,000 of hour"),
        ({"limit": 0}, "limit must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_reported_is_refused(sqlite_url: str, arguments: dict[str, Any], reason: str) -> None:
    with Ledger(sqlite_url) as ledger, pytest.raises(Invalid, match=reason):
        ledger.usage.report(**{"since": BEGIN, "until": BEGIN + timedelta(days=1), **arguments})


# -- stretches of time -------------------------------------------------------------------------------

QUARTERS = st.integers(0, 20 * 365 * 96).map(lambda n: datetime(2020, 1, 1, tzinfo=UTC) + n * periods.QUARTER)
STEPS = {"quarter": timedelta(minutes=15), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def buckets(segment: periods.Segment) -> list[tuple[datetime, datetime]]:
    found, at = [], segment.first
    ahead = {"month": timedelta(0), "month+9": timedelta(hours=9)}.get(segment.grain)
    while at < segment.last:
        if ahead is None:
            after = at + STEPS[segment.grain]
        else:
            assert (at + ahead).day == 1
            after = (at + ahead + timedelta(days=31)).replace(day=1) - ahead
        found.append((at, after))
        at = after
    assert at == segment.last
    return found


TOTALS = ("month", "month+9", "day", "hour", "quarter")


@given(QUARTERS, QUARTERS, st.sampled_from([TOTALS, ("month", "day", "hour", "quarter"), ("day", "quarter")]))
@settings(max_examples=80, deadline=None)
def test_segments_cover_a_stretch_exactly_once(a: datetime, b: datetime, grains: tuple[str, ...]) -> None:
    begin, end = sorted((a, b))
    if begin == end:
        return
    edges: dict[datetime, int] = defaultdict(int)
    number = 0
    for segment in periods.segments([(begin, end)], grains):
        assert segment.first < segment.last
        number += 1
        for first, last in buckets(segment):
            edges[first] += segment.sign
            edges[last] -= segment.sign
    assert {at: sign for at, sign in edges.items() if sign} == {begin: 1, end: -1}
    assert number <= 9


@given(
    st.sampled_from(sorted(available_timezones())),
    st.dates(date(1973, 1, 1), date(2035, 1, 1)),
    st.sampled_from([By.HOUR, By.DAY, By.MONTH]),
)
@settings(max_examples=50, deadline=None)
def test_periods_are_those_of_the_clocks(name: str, day: date, by: By) -> None:
    zone = ZoneInfo(name)
    begin = periods.midnight(day, zone)
    end = begin + (timedelta(days=3) if by is By.HOUR else timedelta(days=70))
    try:
        begin, end = periods.check_stretch(begin, end)
    except Invalid:
        return  # Liberia before 1972 and the like
    cut = periods.periods(begin, end, by, zone)
    assert cut[0][0] == begin
    assert cut[-1][1] == end
    assert all(before[1] == after[0] for before, after in pairwise(cut))
    labels = [periods.begins(first, by, zone) for first, _ in cut]
    named = [(one.replace(tzinfo=None), one.utcoffset()) if by is By.HOUR else one.date() for one in labels]
    assert len(set(named)) == len(named)
    for (first, last), label in zip(cut, labels, strict=True):
        for at in (first, last - timedelta(minutes=15)):
            assert periods.begins(at, by, zone) == label


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", [("month", 1, 1)]),
        ("Asia/Tokyo", [("month+9", 1, 1)]),
        ("Asia/Seoul", [("month+9", 1, 1)]),
        ("Asia/Shanghai", [("month+9", 1, 1), ("hour", 1, -1), ("hour", 1, 1)]),
        ("Europe/Berlin", [("month", 1, 1), ("hour", 1, 1), ("hour", 1, -1)]),
        (
            "Asia/Kolkata",
            [("month+9", 1, 1), ("hour", 3, -1), ("quarter", 2, -1), ("hour", 3, 1), ("quarter", 2, 1)],
        ),
    ],
)
def test_a_month_is_a_few_buckets(zone: str, expected: list[tuple[str, int, int]]) -> None:
    made = periods.segments([periods.month_in("2026-12", ZoneInfo(zone))], TOTALS)
    assert [(one.grain, len(buckets(one)), one.sign) for one in made] == expected


@pytest.mark.parametrize(
    ("begin", "hours", "expected"),
    [
        (datetime(2026, 10, 16, tzinfo=UTC), 24, [("day", 1, 1)]),
        (datetime(2026, 10, 16, 12, tzinfo=UTC), 1, [("hour", 1, 1)]),
        (datetime(2026, 10, 15, 15, tzinfo=UTC), 24, [("day", 1, 1), ("hour", 9, 1), ("hour", 9, -1)]),
        (datetime(2026, 10, 3, tzinfo=UTC), 27 * 24, [("month", 1, 1), ("day", 2, -1), ("day", 2, -1)]),
    ],
)
def test_a_longer_bucket_is_taken_where_it_makes_more_than_is_to_mend(
    begin: datetime, hours: int, expected: list[tuple[str, int, int]]
) -> None:
    made = periods.segments([(begin, begin + timedelta(hours=hours))], TOTALS)
    assert [(one.grain, len(buckets(one)), one.sign) for one in made] == expected


def test_clocks_that_go_back_into_the_middle_of_an_hour_begin_another_one_there() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    night = datetime(2026, 4, 4, 14, tzinfo=UTC)
    begun = [periods.begins(night + n * periods.QUARTER, By.HOUR, zone).isoformat()[11:] for n in range(8)]
    assert begun == ["01:00:00+11:00"] * 4 + ["01:30:00+10:30"] * 2 + ["02:00:00+10:30"] * 2


def test_months_are_those_of_a_zones_clocks() -> None:
    since, until = periods.month_in("2026-11", ZoneInfo("Asia/Tokyo"))
    assert (since, until) == (
        datetime(2026, 10, 31, 15, tzinfo=UTC),
        datetime(2026, 11, 30, 15, tzinfo=UTC),
    )
    for wrong in ("2026-13", "november", "9999-12", "0001-01"):
        with pytest.raises(Invalid):
            periods.month_in(wrong, ZoneInfo("Asia/Tokyo"))


def test_sums_are_made_anew_from_the_records(ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("Acme").id
    call = {"tenant_id": tenant, "operation": "o", "model": "m", "cost_usd": 0.25, "source": "call:1"}
    for day in (3, 20, 40):
        ledger.usage.record(**call, created_at=BEGIN + timedelta(days=day))
    assert ledger.usage.prune(BEGIN + timedelta(days=15)) == 1
    stretch = {"since": BEGIN, "until": BEGIN + timedelta(days=60), "by": ["month"]}
    right = ledger.usage.report(**stretch)
    with ledger.database.engine.begin() as connection:
        for table in ("usage_totals", "usage_details"):
            kept = "bucket >= (SELECT raw_from FROM rollup_state)"
            connection.execute(text(f"UPDATE {table} SET calls = calls + 5 WHERE {kept}"))
    assert sum(one.differ for one in ledger.usage.verify()) > 0
    ledger.usage.rebuild()
    assert sum(one.differ for one in ledger.usage.verify()) == 0
    assert ledger.usage.report(**stretch) == right
    assert ledger.usage.cost_of("call:1").api_calls == 3
