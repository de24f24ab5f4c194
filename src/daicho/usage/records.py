"""Recording usage, and reading records back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from daicho.core.errors import Conflict, NotFound
from daicho.core.model import check_text
from daicho.core.operation import Mode, Store, buffered, grouped, idempotent, operation, query
from daicho.core.page import Page, keyset
from daicho.core.types import uuid_text
from daicho.usage.checking import Row, UsageRecord, checked
from daicho.usage.models import NOT_ANY, AIUsageLog
from daicho.usage.schemas import RECORD, Recorded
from daicho.usage.writing import write_many, write_records


class Records(Store[Mode]):
    """The part of ``ledger.usage`` that takes records in."""

    room = "usage"

    @grouped(write_records)
    def record(self, **values: Unpack[UsageRecord]) -> Row:
        """Record one call of an LLM.

        Args:
            operation: what it was for: ``generate_assessment``; at most 100 characters.
            model: the model's name as its provider spells it.
            tenant_id: whose call it was; a scoped ledger knows it.
            input_tokens, output_tokens: tokens; input includes those read from and written to a cache.
            total_tokens: the two together, if None.
            cost_usd: dollars; by the price of its day, if None. Stays None for a model without a price.
            user_id, assessment_id, lead_id: the tenant's own, that it belongs to.
            duration_ms: how long it took, in milliseconds.
            success: ``success`` (if None) or ``failure``.
            created_at: when it was, an aware instant; now, if None.
            provider: ``anthropic``, ``openai`` …, where the model's name does not say it.
            cache_read_tokens, cache_write_tokens: those of the input that a cache gave, and took.
            source: what it was made for: ``call:call-123``, ``task:<uuid>``, ``ticket:42``, ``member:華扇``.
            id: a UUID of one's own: sent a second time it changes nothing.

        Returns the record as stored, once it is durable; the one first stored, if it was there before.
        Raises Invalid; NotFound for a tenant, user, assessment or lead that the tenant does not have.
        Seed 003.
        """
        return checked(values, self.tenant)

    @buffered(write_records)
    def enqueue(self, **values: Unpack[UsageRecord]) -> Row:
        """Record one call without waiting for the database. Arguments as for ``record``.

        What is enqueued is written together with others after half a second, or as soon as there are a
        thousand (``database.buffer`` in the settings), and when the ledger is closed. While the database is
        away it waits; when the buffer is full, this call waits too.

        Returns a receipt: ``receipt.result()``, or ``await receipt``, is the record as stored once it is
        durable, or raises what ``record`` raises. Raises Invalid at once; within ``begin()`` too.
        """
        return checked(values, self.tenant)

    @idempotent
    def record_many(
        self, session: Session, records: Iterable[Mapping[str, Any] | AIUsageLog], *, reject: bool = False
    ) -> Recorded:
        """Record any number of calls in one transaction: all of them or, where ``reject``, the good ones.

        Args:
            records: mappings with the arguments of ``record``, or instances of ``AIUsageLog``. One whose
                ``id`` is there already changes nothing.
            reject: leave bad records out and tell of them, instead of raising.

        Returns how many were accepted and were there before, and which were rejected. Raises what
        ``record`` raises, naming the record's number.
        """
        return write_many(session, records, self.tenant, reject=reject)

    @query
    def get(self, session: Session, id: str, *, tenant_id: str | None = None) -> AIUsageLog:
        """Return a record by its id, within a tenant if one is named.

        Raises NotFound; Conflict if several tenants have one of this id, and none is named.
        """
        return self._named(session, id, tenant_id)

    @query
    def list(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        user_id: str | None = None,
        model: str | None = None,
        operation: str | None = None,
        source: str | None = None,
        unpriced: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AIUsageLog]:
        """Return records, latest first.

        Args:
            tenant_id, user_id, model, operation, source: only those of it.
            unpriced: only those without (True) or with (False) a cost.
            since, until: only those made at or after, and before, these aware instants.
            limit: records a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = self.narrowed(select(AIUsageLog), AIUsageLog.tenant_id, tenant_id)
        if user_id is not None:
            statement = statement.where(AIUsageLog.user_id == (uuid_text(user_id) or NOT_ANY))
        for column, wanted in (
            (AIUsageLog.model, model),
            (AIUsageLog.operation, operation),
            (AIUsageLog.source, source),
        ):
            if wanted is not None:
                statement = statement.where(column == check_text(column.key, wanted))
        if unpriced is not None:
            missing = AIUsageLog.cost_usd.is_(None)
            statement = statement.where(missing if unpriced else ~missing)
        if since is not None:
            statement = statement.where(AIUsageLog.created_at >= since)
        if until is not None:
            statement = statement.where(AIUsageLog.created_at < until)
        order = [AIUsageLog.created_at, AIUsageLog.id]
        return keyset(session, statement, order, limit=limit, cursor=cursor, descending=True)

    @operation
    def delete(self, session: Session, id: str, *, tenant_id: str | None = None) -> None:
        """Delete a record; what it added to the sums goes with it. Raises as ``get``."""
        whose = self._named(session, id, tenant_id).tenant_id
        one = delete(AIUsageLog).where(AIUsageLog.id == uuid_text(id), AIUsageLog.tenant_id == whose)
        if session.connection().execute(one).rowcount == 0:  # another was quicker
            raise NotFound(RECORD, id)

    def _named(self, session: Session, id: str, tenant_id: str | None) -> AIUsageLog:
        """A record by its id, which is a tenant's own: another may have used it too."""
        found: Sequence[AIUsageLog] = []
        if (key := uuid_text(id)) is not None:
            statement = self.narrowed(select(AIUsageLog), AIUsageLog.tenant_id, tenant_id)
            found = session.scalars(statement.where(AIUsageLog.id == key).limit(2)).all()
        if not found:
            raise NotFound(RECORD, id)
        if len(found) > 1:
            raise Conflict(
                f"several tenants have a record {id}; name the tenant",
                f"記録 {id} は複数のテナントにあります。テナントを指定してください",
            )
        return found[0]
