"""Own prices and discounts, and pricing calls anew when prices have changed."""

from datetime import datetime
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.dialect import insert
from daicho.core.errors import Invalid, NotFound
from daicho.core.language import Text
from daicho.core.model import check_text
from daicho.core.operation import Mode, Store, idempotent, operation, query
from daicho.core.page import Page, keyset
from daicho.core.types import new_uuid, now, utc, uuid_text
from daicho.usage.models import Tenant, UsagePrice
from daicho.usage.pricing import PriceBook, Rule
from daicho.usage.repricing import LOG, RepricedBatch, batch_of, between, calls_of, changes_of, write
from daicho.usage.schemas import TENANT

PRICE = Text("price", "価格")
PRICE_MOST = 100_000
"""Dollars for a million tokens: no call could then cost more than a record can hold."""


class Prices(Store[Mode]):
    """The part of ``ledger.usage`` that knows prices. They are the operator's to set.

    >>> from daicho import Ledger
    >>> with Ledger("sqlite://") as ledger:
    ...     price = ledger.usage.set_price(model="our-llama", input_price=0.2, output_price=0.6)
    ...     price.model
    'our-llama'
    """

    room = "usage"

    @operation
    def set_price(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        model: str | None = None,
        input_price: float | None = None,
        output_price: float | None = None,
        cache_read_price: float | None = None,
        cache_write_price: float | None = None,
        discount: float | None = None,
        starts_at: datetime | None = None,
    ) -> UsagePrice:
        """Set prices of a model, or a discount. A later one replaces it from when it starts.

        Args:
            tenant_id: whose; everybody's, if None.
            model: of which model, as records spell it; a discount without one is on every model.
            input_price, output_price, cache_read_price, cache_write_price: dollars for a million tokens;
                one that is None is the price list's.
            discount: the part that is taken off, 0 to 1: of these prices, of others' that apply, or of the
                list's.
            starts_at: from when on; from now, if None. Earlier calls: ``reprice_batch``.

        What applies to a call is told by ``PriceBook``. Calls that are recorded keep their cost. Raises
        Invalid; NotFound for the tenant.
        """
        self._of_operator()
        prices = {
            "input_price": input_price,
            "output_price": output_price,
            "cache_read_price": cache_read_price,
            "cache_write_price": cache_write_price,
        }
        if discount is None and not any(price is not None for price in prices.values()):
            raise Invalid(
                f"nothing is set; give one of {', '.join(prices)} or discount",
                f"値がありません。{'、'.join(prices)}、discount のいずれかを指定してください",
            )
        if model is None and any(price is not None for price in prices.values()):
            raise Invalid(
                "a price is the price of a model; without one there can only be a discount",
                "価格にはモデルの指定が必要です。モデルなしで指定できるのは discount だけです",
            )
        whose = self.whose(tenant_id)
        if whose is not None and session.get(Tenant, whose) is None:
            raise NotFound(TENANT, tenant_id)
        moment = now()
        row = UsagePrice.row(
            id=new_uuid(),
            model=None if model is None else _named(model),
            **{name: _number(name, price, PRICE_MOST) for name, price in prices.items()},
            discount=_number("discount", discount, 1),
            starts_at=starts_at or moment,
            created_at=moment,
        ) | {"tenant_id": whose}
        session.execute(insert(session, UsagePrice).values(row))
        return UsagePrice.of(row)

    @query
    def list_prices(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[UsagePrice]:
        """Return own prices and discounts, latest start first.

        Args:
            tenant_id: only what can apply to its calls: its own, and everybody's.
            limit: prices a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement, whose = select(UsagePrice), self.whose(tenant_id)
        if whose is not None:
            statement = statement.where(or_(UsagePrice.tenant_id == whose, UsagePrice.tenant_id.is_(None)))
        order = [UsagePrice.starts_at, UsagePrice.id]
        return keyset(session, statement, order, limit=limit, cursor=cursor, descending=True)

    @operation
    def remove_price(self, session: Session, id: str) -> None:
        """Remove a price or discount. Calls that it priced keep their cost. Raises NotFound."""
        self._of_operator()
        gone = None
        if (key := uuid_text(id)) is not None:
            which = delete(UsagePrice).where(UsagePrice.id == key).returning(UsagePrice.id)
            gone = session.execute(which).first()
        if gone is None:
            raise NotFound(PRICE, id)

    @query
    def reprice_preview(
        self,
        session: Session,
        *,
        since: datetime,
        until: datetime,
        model: str | None = None,
        tenant_id: str | None = None,
        given: bool = False,
        after: str | None = None,
    ) -> RepricedBatch:
        """Return what ``reprice_batch`` would change, changing nothing. Arguments as there."""
        self._of_operator()
        where = self._where(since, until, model, tenant_id, after)
        page = calls_of(session, where, after)
        return batch_of(page, changes_of(page.items, price_book(session), given=given), given=given)

    @idempotent
    def reprice_batch(
        self,
        session: Session,
        *,
        since: datetime,
        until: datetime,
        model: str | None = None,
        tenant_id: str | None = None,
        given: bool = False,
        after: str | None = None,
    ) -> RepricedBatch:
        """Price calls anew by the prices that hold now for their time: 1,000 calls, in one transaction.

        Args:
            since, until: calls made at or after, and before, these instants.
            model, tenant_id: only calls of it.
            given: also those of which whoever recorded them said what they cost, if they have a price.
            after: the former batch's ``next``; None for the first.

        A call that has no price any more becomes unpriced. Whose cost has changed since it was looked at
        keeps that. It may end after any batch, and may all be run again: what is right stays. Calls whose
        records are kept no more keep their cost. Raises Invalid.
        """
        self._of_operator()
        where = self._where(since, until, model, tenant_id, after)
        page = calls_of(session, where, after)
        changes = changes_of(page.items, price_book(session), given=given)
        if changes:
            these = and_(between(page.items[0], page.items[-1]), *where)
            written = write(session.connection(), changes, these)
            changes = {key: change for key, change in changes.items() if key in written}
        return batch_of(page, changes, given=given)

    def _of_operator(self) -> None:
        if self.tenant is not None:
            raise Invalid("prices are the operator's to set", "価格を設定できるのは運用者だけです")

    def _where(
        self,
        since: datetime,
        until: datetime,
        model: str | None,
        tenant_id: str | None,
        after: str | None,
    ) -> list[ColumnElement[bool]]:
        if utc(since) >= utc(until):
            raise Invalid(
                f"the time to {until.isoformat()} does not begin before it, at {since.isoformat()}",
                f"期間の終わり {until.isoformat()} が始まり {since.isoformat()} より後ではありません",
            )
        # SQLite begins to look at the first lower bound that it can: not at this one, where a cursor is.
        at = LOG.created_at if after is None else func.coalesce(LOG.created_at, LOG.created_at)
        where = [at >= since, LOG.created_at < until]
        if model is not None:
            where.append(LOG.model == _named(model))
        if (whose := self.whose(tenant_id)) is not None:
            where.append(LOG.tenant_id == whose)
        return where


def price_book(session: Session | Connection) -> PriceBook:
    """Return what calls cost now, by the list and by the own prices that the transaction sees.

    One small query, and a second one where there are own prices. As long as prices are the same it is the
    same book, with all that it remembers.
    """
    connection = session if isinstance(session, Connection) else session.connection()
    if connection.exec_driver_sql(ANY_RULE).first() is None:
        return _book(())
    return _book(tuple(Rule(*row) for row in connection.execute(RULES)))


ANY_RULE = "SELECT 1 FROM usage_prices LIMIT 1"
RULES = select(*[UsagePrice.__table__.c[name] for name in Rule.__slots__]).order_by(
    UsagePrice.created_at, UsagePrice.id
)


@lru_cache(32)
def _book(rules: tuple[Rule, ...]) -> PriceBook:
    return PriceBook(rules)


# -- what is set -------------------------------------------------------------------------------------


def _named(model: str) -> str:
    if not check_text("model", model, 100):
        raise Invalid("model is empty", "model が空です")
    return model


def _number(name: str, value: object, most: float) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise Invalid(
            f"{name} must be a number from 0 to {most:,}, not {value!r}",
            f"{name} は 0 以上 {most:,} 以下の数でなければなりません ({value!r} でした)",
        )
    return float(value)
