"""API keys: what lets a tenant's own programs in."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from daicho.core.access import KeyScope
from daicho.core.errors import Invalid, NotFound
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, idempotent, operation, query
from daicho.core.page import Page, keyset
from daicho.core.types import new_uuid, now, uuid_text
from daicho.usage.models import ApiKey, Tenant
from daicho.usage.schemas import TENANT

KEY = Text("API key", "API キー")
KEY_START = "dk_"
KEY_FORM = re.compile(KEY_START + "[A-Za-z0-9_-]{43}")
HINT = (len(KEY_START) + 3, 4)
"""How many characters of a key its hint shows, at either end: 216 of its 256 bits stay unknown."""
USED_EVERY = timedelta(minutes=1)
"""How often at most a key's last use is noted."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that has just been made. ``key`` itself is nowhere kept: show it once."""

    stored: ApiKey
    key: str = field(repr=False)


class Keys(Store[Mode]):
    """The part of ``ledger.usage`` that knows who may ask."""

    room = "usage"

    @operation
    def create_key(self, session: Session, tenant_id: str, scope: str, *, name: str | None = None) -> NewKey:
        """Make a key for a tenant.

        Args:
            tenant_id: whose usage it lets in and out.
            scope: ``ingest`` (records usage), ``read`` (reads it), ``admin`` (both, and who else may).
            name: what it is for.

        Returns the key, which is shown this once. Raises NotFound for the tenant, Invalid.
        """
        if scope not in list(KeyScope):
            raise Invalid(
                f"scope must be ingest, read or admin, not {scope!r}",
                f"scope は ingest、read、admin のいずれかです ({scope!r} でした)",
            )
        tenant = self._tenant(session, tenant_id)
        key = KEY_START + secrets.token_urlsafe(32)
        stored = ApiKey(
            **ApiKey.row(
                id=new_uuid(),
                tenant_id=tenant.id,
                name=name,
                scope=str(scope),
                hash=_hash(key),
                hint=f"{key[: HINT[0]]}…{key[-HINT[1] :]}",
                created_at=now(),
                last_used_at=None,
                revoked_at=None,
            )
        )
        session.add(stored)
        session.flush()
        return NewKey(stored, key)

    @query
    def list_keys(
        self,
        session: Session,
        *,
        tenant_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ApiKey]:
        """Return keys, latest first, a tenant's or everybody's. Raises NotFound for the tenant."""
        statement = self._of(session, ApiKey, tenant_id)
        order = [ApiKey.created_at, ApiKey.id]
        return keyset(session, statement, order, limit=limit, cursor=cursor, descending=True)

    @idempotent
    def revoke_key(self, session: Session, id: str, *, tenant_id: str | None = None) -> ApiKey:
        """Let a key open nothing from now on, and return it. Twice changes nothing. Raises NotFound."""
        statement = self.narrowed(update(ApiKey), ApiKey.tenant_id, tenant_id)
        revoked = session.scalars(
            statement.where(ApiKey.id == uuid_text(id))
            .values(revoked_at=func.coalesce(ApiKey.revoked_at, now()))
            .returning(ApiKey)
        ).first()
        if revoked is None:
            raise NotFound(KEY, id)
        return revoked

    @query
    def key_for(self, session: Session, token: str) -> ApiKey | None:
        """Return the key that a token is; None for an unknown one and for one that was revoked.

        It is found by its hash: of 256 random bits, which nobody guesses, so guesses need no counting.
        """
        if not KEY_FORM.fullmatch(token):
            return None
        hashed = _hash(token)
        statement = self.narrowed(select(ApiKey), ApiKey.tenant_id).where(ApiKey.hash == hashed)
        key: ApiKey | None = session.scalars(statement).first()
        if key is None or key.revoked_at is not None or not hmac.compare_digest(key.hash, hashed):
            return None
        return key

    @idempotent
    def note_key_used(self, session: Session, id: str) -> None:
        """Remember that a key was used just now, once a minute at most. An unknown key is let be."""
        moment = now()
        unsaid = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < moment - USED_EVERY)
        statement = self.narrowed(update(ApiKey), ApiKey.tenant_id)
        session.execute(statement.where(ApiKey.id == uuid_text(id), unsaid).values(last_used_at=moment))

    # -- shared statements -------------------------------------------------------------------------

    def _tenant(self, session: Session, id: str) -> Tenant:
        tenant = session.get(Tenant, self.whose(id))
        if tenant is None:
            raise NotFound(TENANT, id)
        return tenant

    def _of(self, session: Session, model: Any, tenant_id: str | None) -> Select[Any]:
        """All of a kind that belongs to tenants: one's, who must be there, or everybody's."""
        if tenant_id is not None:
            self._tenant(session, tenant_id)
        return self.narrowed(select(model), model.tenant_id, tenant_id)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
