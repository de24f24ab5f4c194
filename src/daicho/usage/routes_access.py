"""Tenants, their users and keys over HTTP: the operator's, and a tenant's admin may look at its own."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from daicho.core.access import KeyScope, allow
from daicho.core.operation import Async
from daicho.core.web import problems
from daicho.usage.models import ApiKey
from daicho.usage.schemas_access import (
    Contents,
    KeyIn,
    KeyOut,
    KeyPage,
    NewKeyOut,
    TenantIn,
    TenantOut,
    TenantPage,
    TenantWithContents,
    UserIn,
    UserOut,
    UserPage,
)
from daicho.usage.store import UsageStore

router = APIRouter(tags=["tenants"], responses=problems(401, 403, 422, 503))


async def usage_of(request: Request) -> UsageStore[Async]:
    """The store that a request works on: all of it for the operator, a tenant's part for its key."""
    key: ApiKey | None = getattr(request.state, "key", None)
    ledger = request.app.state.ledger
    store: UsageStore[Async] = ledger.usage if key is None else ledger.for_tenant(key.tenant_id).usage
    return store


def still_known(request: Request) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether a request's key still opens what it did: it may be revoked meanwhile."""
    known: Callable[[], Awaitable[bool]] = getattr(request.state, "still_known", _always)
    return known


async def _always() -> bool:
    return True


Usage = Annotated[UsageStore[Async], Depends(usage_of)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]


@router.post("/tenants", status_code=201)
async def create_tenant(usage: Usage, tenant: TenantIn) -> TenantOut:
    """Add a tenant; the one of that id, if it is there already."""
    return TenantOut.model_validate(await usage.create_tenant(tenant.name, id=tenant.id))


@router.get("/tenants")
@allow(KeyScope.ADMIN)
async def list_tenants(
    usage: Usage,
    q: Annotated[str | None, Query(description="Part of the name.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TenantPage:
    """Tenants by name; for a tenant's own key, itself."""
    return TenantPage.model_validate(await usage.list_tenants(text=q, limit=limit, cursor=cursor))


@router.get("/tenants/{tenant_id}", responses=problems(404))
@allow(KeyScope.ADMIN)
async def get_tenant(usage: Usage, tenant_id: str) -> TenantWithContents:
    """One tenant, and what would go with it."""
    tenant = TenantOut.model_validate(await usage.get_tenant(tenant_id))
    contents = Contents.model_validate(await usage.tenant_contents(tenant_id))
    return TenantWithContents(**tenant.model_dump(), contents=contents)


@router.delete("/tenants/{tenant_id}", responses=problems(404))
async def delete_tenant(usage: Usage, tenant_id: str) -> Contents:
    """Delete a tenant with all that is its own: records, sums, users, keys. Answers how much that was."""
    return Contents.model_validate(await usage.delete_tenant(tenant_id))


@router.post("/tenants/{tenant_id}/users", status_code=201, responses=problems(404, 409))
async def create_user(usage: Usage, tenant_id: str, user: UserIn) -> UserOut:
    """Add a user; the one of that id, if they are there already."""
    return UserOut.model_validate(await usage.create_user(tenant_id, user.name, id=user.id))


@router.get("/tenants/{tenant_id}/users", responses=problems(404))
@allow(KeyScope.ADMIN)
async def list_users(usage: Usage, tenant_id: str, limit: Limit = 50, cursor: Cursor = None) -> UserPage:
    """A tenant's users by name."""
    return UserPage.model_validate(await usage.list_users(tenant_id=tenant_id, limit=limit, cursor=cursor))


@router.delete("/tenants/{tenant_id}/users/{user_id}", status_code=204, responses=problems(404))
async def delete_user(usage: Usage, tenant_id: str, user_id: str) -> None:
    """Delete a user. Their records stay and are nobody's."""
    await usage.delete_user(user_id, tenant_id=tenant_id)


@router.post("/tenants/{tenant_id}/keys", status_code=201, responses=problems(404))
async def create_key(usage: Usage, tenant_id: str, key: KeyIn) -> NewKeyOut:
    """Make a key. The answer is the only place where it is ever shown."""
    return NewKeyOut.of(await usage.create_key(tenant_id, key.scope, name=key.name))


@router.get("/tenants/{tenant_id}/keys", responses=problems(404))
@allow(KeyScope.ADMIN)
async def list_keys(usage: Usage, tenant_id: str, limit: Limit = 50, cursor: Cursor = None) -> KeyPage:
    """A tenant's keys, latest first: what they are for and when they were used, not the keys themselves."""
    return KeyPage.model_validate(await usage.list_keys(tenant_id=tenant_id, limit=limit, cursor=cursor))


@router.delete("/tenants/{tenant_id}/keys/{key_id}", responses=problems(404))
async def revoke_key(usage: Usage, tenant_id: str, key_id: str) -> KeyOut:
    """Let a key open nothing from now on."""
    return KeyOut.model_validate(await usage.revoke_key(key_id, tenant_id=tenant_id))
