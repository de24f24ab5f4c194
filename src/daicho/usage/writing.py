"""How checked records of usage reach the database: priced, written once, with the sums beside them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Connection, Engine, bindparam, select, tuple_
from sqlalchemy.orm import Session

from daicho.core.bulk import REFUSED, insert_many, insert_new
from daicho.core.errors import DaichoError, Invalid, NotFound, located
from daicho.core.language import Text
from daicho.core.retry import Overtaken
from daicho.core.summing import adding
from daicho.usage.checking import Row, checked_many
from daicho.usage.models import USAGE, AIUsageLog, Assessment, Lead, RollupState, Tenant, User
from daicho.usage.prices import price_book
from daicho.usage.pricing import PriceBook, has_price
from daicho.usage.schemas import ASSESSMENT, LEAD, TENANT, USER, Recorded, Rejected

CHUNK = 20_000
"""Records that are checked and written together."""
REFERENCES: tuple[tuple[str, Any, Text], ...] = (
    ("user_id", User, USER),
    ("assessment_id", Assessment, ASSESSMENT),
    ("lead_id", Lead, LEAD),
)
IDS: BindParameter[list[str]] = bindparam("ids", expanding=True)
TENANTS = select(Tenant.id).where(Tenant.id.in_(IDS))
OWNERS = {
    column: select(model.id, model.tenant_id).where(model.id.in_(IDS)) for column, model, _ in REFERENCES
}
WHOSE = itemgetter("tenant_id", *[column for column, _, _ in REFERENCES])
WHEN = itemgetter("created_at")
NAME = itemgetter("id", "tenant_id")


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
    with adding(connection, USAGE, len(fine)):
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
                number, error = bad[0]
                raise located(error, Text(f"record {number}", f"{number} 件目"))
            done.rejected += [Rejected(number, error.message) for number, error in bad]
            fine = [row for row, error in zip(rows, errors, strict=True) if error is None]
            fine.sort(key=NAME)  # two that write the same ones wait for each other, not in a circle
            ahead = _Ahead(thread, partial(_prepared, chunk, tenant, book))
            try:
                added = insert_many(
                    session, AIUsageLog, fine, skip_duplicates=True, at_once=CHUNK, meanwhile=ahead.begin
                )
            except REFUSED as error:  # older than what is kept by now, or somebody's who has gone
                raise Overtaken from error
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
        known.tenants |= set(connection.execute(TENANTS, {"ids": list(unknown)}).scalars())
    for column, _, _ in REFERENCES:
        named = {row[column] for row in rows if row[column] is not None}
        if named and (unknown := {one for one in named if (column, one) not in known.owners}):
            found = connection.execute(OWNERS[column], {"ids": list(unknown)})
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
        known = has_price(row["input_tokens"], row["output_tokens"], row["total_tokens"])
        if row["cost_usd"] is None and known:
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
