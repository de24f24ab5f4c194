"""Old records that leave while their sums stay, and users who are to be forgotten."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.errors import Conflict
from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.naming import with_alias
from daicho.core.operation import Mode
from daicho.core.pace import Pace
from daicho.core.person import Fate, Person, Rows, Trace, holding
from daicho.core.summing import rename
from daicho.core.sweep import Advance, Aged, Gone
from daicho.usage.models import USAGE, AIUsageLog, Lead, RollupState, UsageSource, User


def drop_records(session: Session, before: datetime, limit: int) -> int:
    """Drop at most so many records from before a midnight (UTC), the oldest first; their sums stay."""
    session.execute(update(RollupState).where(RollupState.raw_from < before).values(raw_from=before))
    old = (
        select(AIUsageLog.id, AIUsageLog.tenant_id)
        .where(AIUsageLog.created_at < before)
        .order_by(AIUsageLog.created_at)
        .limit(limit)
    )
    key = tuple_(AIUsageLog.id, AIUsageLog.tenant_id)
    return session.connection().execute(delete(AIUsageLog).where(key.in_(old))).rowcount


class Records(Aged):
    """Single records of usage, whole days of them (UTC)."""

    table, column = AIUsageLog.__tablename__, "created_at"

    def since(self, moment: datetime) -> datetime:
        return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def count(self, place: Session, moment: datetime) -> Gone:
        old = select(func.count()).select_from(AIUsageLog).where(AIUsageLog.created_at < moment)
        return {self.table: place.scalar(old) or 0}

    def drop(self, place: Database, moment: datetime, *, files: bool, advance: Advance) -> Gone:
        gone: Counter[str] = Counter({self.table: 0})
        pace = Pace()
        while True:
            with pace.step():
                went = place.run(partial(_drop, moment, pace.size), idempotent=True)
            place.changes.mark(frozenset({"usage"}))
            gone[self.table] += went
            advance(went)
            if not went:
                return gone


def _drop(before: datetime, limit: int, session: Session) -> int:
    return drop_records(session, before, limit)


class Sources(Trace):
    """Names of what usage was for (``chat:discord:1:2``, ``member:Ann``) with the person's as a part."""

    table, fate, columns = UsageSource.__tablename__, Fate.ANONYMISED, ("source",)

    def __init__(self, person: Person) -> None:
        self._person = person

    def _found(self, session: Session) -> dict[str, str]:
        held = or_(*[holding(UsageSource.source, name) for name in self._person.names])
        found = session.scalars(select(UsageSource.source).where(held).distinct()).all()
        renamed = {source: with_alias(source, self._person.names, self._person.alias) for source in found}
        return {old: new for old, new in renamed.items() if new != old}

    def count(self, place: Session) -> int:
        return len(self._found(place))

    def erase(self, place: Database, advance: Advance) -> int:
        renamed: dict[str, str] = place.run(self._found, writes=False)
        for old, new in renamed.items():
            # The records take their sums along. What is left are the sums of records that were dropped.
            Rows("usage", AIUsageLog, AIUsageLog.source == old, {"source": new}).erase(place, lambda _: None)
            place.run(partial(_rename, old, new), idempotent=True)
            advance(1)
        return len(renamed)


def _rename(old: str, new: str, session: Session) -> None:
    """Add what is left of a source's sums to those of its new name."""
    left = session.scalar(select(UsageSource.source).where(UsageSource.source == old).limit(1))
    if left is not None:
        rename(session.connection(), USAGE, UsageSource.__tablename__, "source", old, new)


AGED: Sequence[Aged] = (Records(),)
"""What of this room may leave."""


class UsageKeeping(Keeping[Mode]):
    """The part of ``ledger.usage`` that old records and users leave by."""

    room = "usage"

    @property
    def aged(self) -> Sequence[Aged]:
        return AGED

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """A user's records are nobody's from now on, and so are their sums: totals stay the same."""
        traces: list[Trace] = []
        if person.users:
            models: tuple[tuple[type[User] | type[Lead], Any], ...] = (
                (User, AIUsageLog.user_id),
                (Lead, AIUsageLog.lead_id),
            )
            for model, reference in models:
                theirs = _of(model, person)
                records = reference.in_(select(model.id).where(theirs))
                traces += [
                    Rows("usage", AIUsageLog, records, {reference.key: None}),
                    Rows("usage", model, theirs),  # takes the sums of dropped records along, by trigger
                ]
        return (*traces, Sources(person))

    def left_of(self, session: Session, person: Person) -> list[Text]:
        models: tuple[type[User] | type[Lead], ...] = (User, Lead)
        for model in models:
            for name in person.users:
                ids = session.scalars(select(model.id).where(model.name == name).limit(2)).all()
                if len(ids) > 1:
                    raise Conflict(
                        f"several of {model.__tablename__} are named {name!r}; give their ids",
                        f"{model.__tablename__} に {name!r} という名前が複数あります。ID を指定してください",
                    )
        return []


def _of(model: type[User] | type[Lead], person: Person) -> ColumnElement[bool]:
    return or_(model.id.in_(person.uuids), model.name.in_(person.users))
