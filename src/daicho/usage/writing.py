"""How records of usage reach the database: checked, priced, written once, with the sums beside them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any, Required
from weakref import WeakKeyDictionary

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from sqlalchemy import Connection, Engine, select, tuple_
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from daicho.core.bulk import REFUSED, insert_many, insert_new
from daicho.core.errors import DaichoError, Invalid, NotFound
from daicho.core.language import Text
from daicho.core.rollups import adding
from daicho.core.types import new_uuid, now
from daicho.usage.models import COST_MOST, USAGE, AIUsageLog, Assessment, Lead, RollupState, Tenant, User
from daicho.usage.prices import price_book
from daicho.usage.pricing import PriceBook
from daicho.usage.schemas import ASSESSMENT, LEAD, TENANT, USER, Recorded, Rejected, Success

Row = dict[str, Any]
CHUNK = 20_000
"""Records that are checked and written together."""
COUNTS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "duration_ms",
    "cache_read_tokens",
    "cache_write_tokens",
)
REFERENCES: tuple[tuple[str, Any, Text], ...] = (
    ("user_id", User, USER),
    ("assessment_id", Assessment, ASSESSMENT),
    ("lead_id", Lead, LEAD),
)
WHOSE = itemgetter("tenant_id", *[column for column, _, _ in REFERENCES])
WHEN = itemgetter("created_at")
SOURCE = re.compile(r"[a-z]+:.+", re.DOTALL)
SUCCESS, OUTCOMES = Success.SUCCESS.value, frozenset(one.value for one in Success)


# -- checking ----------------------------------------------------------------------------------------


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
    if (source := row.get("source")) is not None and not SOURCE.fullmatch(source):
        raise Invalid(
            f"source must be a kind and a name, as call:call-123, not {source[:60]!r}",
            f"source は call:call-123 のように「種類:名前」でなければなりません ({source[:60]!r} でした)",
        )
    if "priced_by" in row:
        raise Invalid("priced_by is not for a record to say", "priced_by は記録時に指定できません")
    return complete(row, tenant)


def complete(row: Mapping[str, Any], tenant: str | None) -> Row:
    """Return a checked record with every column, in one order: what COPY and ``executemany`` need."""
    get = row.get
    whose = get("tenant_id") or tenant
    if tenant is not None and whose != tenant:
        raise NotFound(TENANT, whose)
    if not (whose and get("operation") and get("model")):
        missing = "tenant_id" if not whose else "operation" if not get("operation") else "model"
        raise Invalid(f"{missing} is missing", f"{missing} がありません")
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
        "created_at": get("created_at") or now(),
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


# -- writing -----------------------------------------------------------------------------------------


def write_records(connection: Connection, rows: Sequence[Row]) -> list[AIUsageLog | DaichoError]:
    """Write checked records and answer each: as stored, also when it was there before, or its error.

    What a former batch has seen is not looked up again. Should it be gone since, or the row too old by
    now, the database refuses; then everything is looked up.
    """
    known = _known.setdefault(connection.engine, Known())
    try:
        return _written(connection, rows, known)
    except REFUSED:
        known.clear()
        return _written(connection, rows, known)


def _written(connection: Connection, rows: Sequence[Row], known: "Known") -> list[AIUsageLog | DaichoError]:
    errors = _refused(connection, rows, known)
    fine = [row for row, error in zip(rows, errors, strict=True) if error is None]
    _price(price_book(connection), fine)
    with adding(connection, USAGE):
        new = insert_new(connection, AIUsageLog, fine)
    there = _stored(connection, [row for row, is_new in zip(fine, new, strict=True) if not is_new])
    stored = (
        AIUsageLog.of(row) if is_new else there[row["id"], row["tenant_id"]]
        for row, is_new in zip(fine, new, strict=True)
    )
    return [next(stored) if error is None else error for error in errors]


def write_many(session: Session, records: Iterable[object], tenant: str | None, *, reject: bool) -> Recorded:
    """Write any number of records in one transaction.

    Args:
        records: mappings of columns to values, or instances.
        tenant: the only tenant that they may name.
        reject: whether to leave bad ones out and tell of them, instead of raising the first one's error.
    """
    done = Recorded()
    connection = session.connection()
    book, known = price_book(connection), Known()
    with adding(connection, USAGE), ThreadPoolExecutor(1, thread_name_prefix="daicho-prepare") as thread:
        chunks = _chunks(records)
        first, chunk = next(chunks, (1, []))
        answers = _prepared(chunk, tenant, book)
        while answers:
            following, chunk = next(chunks, (0, []))
            rows = [answer for answer in answers if isinstance(answer, dict)]
            errors = _refused(connection, rows, known)
            bad = list(_numbered(answers, errors, first))
            if bad and not reject:
                raise _said_of(*bad[0])
            done.rejected += [Rejected(number, error.message) for number, error in bad]
            fine = [row for row, error in zip(rows, errors, strict=True) if error is None]
            ahead = _Ahead(thread, partial(_prepared, chunk, tenant, book))
            added = insert_many(
                session, AIUsageLog, fine, skip_duplicates=True, at_once=CHUNK, meanwhile=ahead.begin
            )
            done.accepted += added
            done.duplicates += len(fine) - added
            first, answers = following, ahead.result()
    return done


class _Ahead:
    """Work for a thread that is begun while the database is busy, or at the latest when it is wanted."""

    def __init__(self, thread: Executor, work: Callable[[], list[Row | DaichoError]]) -> None:
        self._thread, self._work = thread, work
        self._coming: Future[list[Row | DaichoError]] | None = None

    def begin(self) -> None:
        if self._coming is None:
            self._coming = self._thread.submit(self._work)

    def result(self) -> list[Row | DaichoError]:
        return self._work() if self._coming is None else self._coming.result()


def _prepared(records: Sequence[object], tenant: str | None, book: PriceBook) -> list[Row | DaichoError]:
    """Check and price records; return each one's row or error."""
    answers = checked_many(records, tenant)
    _price(book, [answer for answer in answers if isinstance(answer, dict)])
    return answers


def _numbered(
    answers: Sequence[Row | DaichoError], errors: Iterable[DaichoError | None], first: int
) -> Iterator[tuple[int, DaichoError]]:
    """The number and error of each record that is bad by itself, or by what the database knows."""
    known = iter(errors)
    for number, answer in enumerate(answers, first):
        error = answer if isinstance(answer, DaichoError) else next(known)
        if error is not None:
            yield number, error


def _said_of(number: int, error: DaichoError) -> DaichoError:
    said = type(error).__new__(type(error))
    DaichoError.__init__(said, f"record {number}: {error.message.en}", f"{number} 件目: {error.message.ja}")
    return said


def _chunks(records: Iterable[object]) -> Iterator[tuple[int, list[object]]]:
    """Some records at a time, and the number of the first of them."""
    source, first = iter(records), 1
    while chunk := list(islice(source, CHUNK)):
        yield first, chunk
        first += len(chunk)


class Known:
    """Who there is, and from when on records are kept, as far as has been looked up."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.tenants: set[str] = set()
        self.owners: dict[tuple[str, str], str] = {}
        """Whose a user, an assessment or a lead is, by column and id."""
        self.raw_from: datetime | None = None

    def owns(self, whose: tuple[str | None, ...]) -> bool:
        """Whether there is such a tenant, and it has the user, assessment and lead that are named."""
        tenant, *named = whose
        return tenant in self.tenants and all(
            one is None or self.owners.get((column, one)) == tenant
            for (column, _, _), one in zip(REFERENCES, named, strict=True)
        )


_known: "WeakKeyDictionary[Engine, Known]" = WeakKeyDictionary()
KNOWN_MOST = 100_000
"""The most ids that are remembered; then it begins anew."""


def _refused(connection: Connection, rows: Sequence[Row], known: Known) -> list[DaichoError | None]:
    """What speaks against each row that only the database knows: who there is, and from when on it keeps."""
    if len(known.tenants) + len(known.owners) > KNOWN_MOST:
        known.clear()
    if known.raw_from is None:
        known.raw_from = connection.execute(select(RollupState.raw_from)).scalar_one()
    if unknown := {row["tenant_id"] for row in rows} - known.tenants:
        known.tenants |= set(connection.execute(select(Tenant.id).where(Tenant.id.in_(unknown))).scalars())
    for column, model, _ in REFERENCES:
        named = {row[column] for row in rows if row[column] is not None}
        if named and (unknown := {one for one in named if (column, one) not in known.owners}):
            found = connection.execute(select(model.id, model.tenant_id).where(model.id.in_(unknown)))
            known.owners |= {(column, key): tenant for key, tenant in found}
    if (
        all(map(known.owns, set(map(WHOSE, rows))))
        and min(map(WHEN, rows), default=known.raw_from) >= known.raw_from
    ):
        return [None] * len(rows)
    return [_refusal(row, known) for row in rows]


def _refusal(row: Row, known: Known) -> DaichoError | None:
    tenant, raw_from = row["tenant_id"], known.raw_from
    if tenant not in known.tenants:
        return NotFound(TENANT, tenant)
    for column, _, kind in REFERENCES:
        if row[column] is not None and known.owners.get((column, row[column])) != tenant:
            return NotFound(kind, row[column])
    if raw_from is not None and row["created_at"] < raw_from:
        at = f"{row['created_at']:%Y-%m-%d %H:%M}"
        return Invalid(
            f"created_at {at} is before {raw_from:%Y-%m-%d %H:%M}, from when on single records are kept:"
            " whether it was counted before can no longer be known",
            f"created_at {at} は、個々の記録を保存している期間 ({raw_from:%Y-%m-%d %H:%M} 以降) より前です。"
            "集計済みかどうか確かめられません",
        )
    return None


def _price(book: PriceBook, rows: Sequence[Row]) -> None:
    """Give every row without a cost the one that its model's price of that day makes."""
    for row in rows:
        spent = row["input_tokens"] + row["output_tokens"]
        # Tokens of which nobody knows whether they came or went have no price either.
        if row["cost_usd"] is None and (spent or not row["total_tokens"]):
            row["cost_usd"], row["priced_by"] = book.cost(
                row["tenant_id"],
                row["model"],
                row["provider"],
                row["created_at"],
                row["input_tokens"],
                row["output_tokens"],
                row["cache_read_tokens"] or 0,
                row["cache_write_tokens"] or 0,
            )


def _stored(connection: Connection, rows: Sequence[Row]) -> dict[tuple[str, str], AIUsageLog]:
    if not rows:
        return {}
    keys = {(row["id"], row["tenant_id"]) for row in rows}
    table = AIUsageLog.__table__
    found = connection.execute(select(table).where(tuple_(table.c.id, table.c.tenant_id).in_(keys)))
    return {(row["id"], row["tenant_id"]): AIUsageLog.of(dict(row)) for row in found.mappings()}
