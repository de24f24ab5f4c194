"""Tenants, and what belongs to them: users, assessments, leads."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.dialect import insert
from daicho.core.errors import Conflict, Invalid, NotFound
from daicho.core.language import Text
from daicho.core.model import check_text
from daicho.core.operation import Mode, operation, query
from daicho.core.page import Page, keyset
from daicho.core.summing import changing
from daicho.core.types import new_uuid, now, uuid_text
from daicho.usage.keys import Keys
from daicho.usage.models import (
    USAGE,
    ApiKey,
    Assessment,
    Lead,
    Tenant,
    UsagePrice,
    UsageTotal,
    User,
)
from daicho.usage.schemas import ASSESSMENT, LEAD, TENANT, USER

Thing = TypeVar("Thing", User, Assessment, Lead)

KINDS: Mapping[type[User | Assessment | Lead], Text] = {User: USER, Assessment: ASSESSMENT, Lead: LEAD}


class Tenancy(Keys[Mode]):
    """The part of ``ledger.usage`` that knows whose usage it is, and who may ask for it.

    In a tenant's own ledger tenants are the operator's to make, rename and delete, and whatever is made
    gets its id from the ledger: an id of one's own could meet another tenant's and so reveal it.
    """

    room = "usage"

    # -- tenants -----------------------------------------------------------------------------------

    @operation
    def create_tenant(self, session: Session, name: str, *, id: str | None = None) -> Tenant:
        """Add a tenant and return it; the one of that id as it is, if it is there already.

        Raises Invalid.
        """
        self._operator_only()
        row = Tenant.row(id=id or new_uuid(), name=_name(name), created_at=now())
        session.execute(insert(session, Tenant).values(row).on_conflict_do_nothing(index_elements=["id"]))
        return session.get_one(Tenant, row["id"])

    @query
    def get_tenant(self, session: Session, id: str) -> Tenant:
        """Return a tenant. Raises NotFound."""
        return self._tenant(session, id)

    @query
    def find_tenant(self, session: Session, name: str) -> Tenant:
        """Return a tenant by its id or, exactly, its name.

        Raises NotFound; Conflict if several have the name.
        """
        named = or_(Tenant.name == check_text("name", name), Tenant.id == uuid_text(name))
        found = session.scalars(self.narrowed(select(Tenant), Tenant.id).where(named).limit(5)).all()
        if not found:
            raise NotFound(TENANT, name)
        if len(found) > 1:
            ids = ", ".join(sorted(one.id for one in found))
            raise Conflict(
                f"several tenants are named {name!r}; give the id of one: {ids}",
                f"{name!r} という名前のテナントが複数あります。どれかの ID を指定してください: {ids}",
            )
        tenant: Tenant = found[0]
        return tenant

    @query
    def list_tenants(
        self, session: Session, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Tenant]:
        """Return tenants by name.

        Args:
            text: only those whose name contains it, letter case aside.
            limit: tenants a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = self.narrowed(select(Tenant), Tenant.id)
        if text is not None:
            wanted = check_text("text", text, 255)
            statement = statement.where(Tenant.name.icontains(wanted, autoescape=True))
        return _by_name(session, statement, Tenant, limit, cursor)

    @operation
    def rename_tenant(self, session: Session, id: str, name: str) -> Tenant:
        """Give a tenant another name. Raises NotFound, Invalid."""
        self._operator_only()
        tenant = self._tenant(session, id)
        tenant.name = _name(name)
        session.flush()
        return tenant

    @query
    def tenant_contents(self, session: Session, id: str) -> Mapping[str, int]:
        """Return how much of each kind goes with a tenant when it is deleted. Raises NotFound.

        ``records`` counts those too of which only the sums are kept.
        """
        return self._contents(session, self._tenant(session, id).id)

    @operation
    def delete_tenant(self, session: Session, id: str) -> Mapping[str, int]:
        """Delete a tenant with all that is its own, and return how much of each kind that was.

        Raises NotFound.
        """
        self._operator_only()
        tenant = self._tenant(session, id)
        contents = self._contents(session, tenant.id)
        with changing(session.connection(), USAGE, f"tenant_id = '{tenant.id}'"):
            session.execute(delete(Tenant).where(Tenant.id == tenant.id))
        return contents

    # -- users, assessments, leads -----------------------------------------------------------------

    @operation
    def create_user(
        self,
        session: Session,
        tenant_id: str,
        name: str | None = None,
        *,
        id: str | None = None,
    ) -> User:
        """Add a user of a tenant and return them; the one of that id, if they are there already.

        Raises NotFound for the tenant; Conflict if the id is another tenant's; Invalid.
        """
        return self._create(session, User, tenant_id, name, id)

    @operation
    def create_assessment(
        self,
        session: Session,
        tenant_id: str,
        name: str | None = None,
        *,
        id: str | None = None,
    ) -> Assessment:
        """Add an assessment of a tenant. As ``create_user``."""
        return self._create(session, Assessment, tenant_id, name, id)

    @operation
    def create_lead(
        self,
        session: Session,
        tenant_id: str,
        name: str | None = None,
        *,
        id: str | None = None,
    ) -> Lead:
        """Add a lead of a tenant. As ``create_user``."""
        return self._create(session, Lead, tenant_id, name, id)

    @query
    def list_users(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[User]:
        """Return users by name, a tenant's or everybody's. Raises NotFound for the tenant."""
        return self._list(session, User, tenant_id, limit, cursor)

    @query
    def list_assessments(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Assessment]:
        """Return assessments by name. As ``list_users``."""
        return self._list(session, Assessment, tenant_id, limit, cursor)

    @query
    def list_leads(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Lead]:
        """Return leads by name. As ``list_users``."""
        return self._list(session, Lead, tenant_id, limit, cursor)

    @operation
    def delete_user(self, session: Session, id: str, *, tenant_id: str | None = None) -> None:
        """Delete a user. Their records stay and are nobody's from now on. Raises NotFound."""
        self._delete(session, User, id, tenant_id)

    @operation
    def delete_assessment(self, session: Session, id: str, *, tenant_id: str | None = None) -> None:
        """Delete an assessment. Its records stay. Raises NotFound."""
        self._delete(session, Assessment, id, tenant_id)

    @operation
    def delete_lead(self, session: Session, id: str, *, tenant_id: str | None = None) -> None:
        """Delete a lead. Its records stay. Raises NotFound."""
        self._delete(session, Lead, id, tenant_id)

    # -- shared statements -------------------------------------------------------------------------

    def _operator_only(self) -> None:
        if self.tenant is not None:
            raise Invalid(
                "tenants are the operator's to make, rename and delete",
                "テナントの作成、改名、削除は運用者のみが行えます",
            )

    def _list(
        self, session: Session, model: type[Thing], tenant_id: str | None, limit: int, cursor: str | None
    ) -> Page[Thing]:
        return _by_name(session, self._of(session, model, tenant_id), model, limit, cursor)

    def _create(
        self,
        session: Session,
        model: type[Thing],
        tenant_id: str,
        name: str | None,
        id: str | None,
    ) -> Thing:
        if self.tenant is not None and id is not None:
            raise Invalid(
                "an id of one's own is the operator's to give; leave it out",
                "ID を指定できるのは運用者のみです。指定しないでください",
            )
        tenant = self._tenant(session, tenant_id)
        row = model.row(id=id or new_uuid(), tenant_id=tenant.id, name=name, created_at=now())
        session.execute(insert(session, model).values(row).on_conflict_do_nothing(index_elements=["id"]))
        made = session.get_one(model, row["id"])
        if made.tenant_id != tenant.id:
            kind = KINDS[model]
            raise Conflict(
                f"{kind.en} {made.id} belongs to another tenant",
                f"{kind.ja} {made.id} は別のテナントのものです",
            )
        return made

    def _delete(
        self,
        session: Session,
        model: type[User | Assessment | Lead],
        id: str,
        tenant_id: str | None,
    ) -> None:
        statement = self.narrowed(delete(model), model.tenant_id, tenant_id)
        if session.execute(statement.where(model.id == uuid_text(id)).returning(model.id)).first() is None:
            raise NotFound(KINDS[model], id)

    def _contents(self, session: Session, tenant_id: str) -> dict[str, int]:
        def count(model: Any) -> int:
            return session.scalar(select(func.count()).where(model.tenant_id == tenant_id)) or 0

        calls = select(func.sum(UsageTotal.calls)).where(
            UsageTotal.grain == "month", UsageTotal.tenant_id == tenant_id
        )
        return {
            "records": int(session.scalar(calls) or 0),
            "users": count(User),
            "assessments": count(Assessment),
            "leads": count(Lead),
            "keys": count(ApiKey),
            "prices": count(UsagePrice),
        }


def _by_name(
    session: Session, statement: Select[Any], model: Any, limit: int, cursor: str | None
) -> Page[Any]:
    name: ColumnElement[str] = func.coalesce(model.name, "")
    return keyset(session, statement, [name, model.id], limit=limit, cursor=cursor)


def _name(name: str) -> str:
    if not check_text("name", name, 255).strip():
        raise Invalid("name is empty", "name が空です")
    return name
