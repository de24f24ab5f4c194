"""Who but the operator may call a route: what a tenant's API key is good for."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class KeyScope(StrEnum):
    """What a tenant's API key may do."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


def allow(scope: KeyScope) -> Callable[[Endpoint], Endpoint]:
    """Let tenants' keys of this scope call a route, and those of ``admin``. Unmarked is the operator's.

    It stands below the route's own decorator::

        @router.post("/usage")
        @allow(KeyScope.INGEST)
        async def record(...): ...
    """

    def marked(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, MARK, frozenset({scope, KeyScope.ADMIN}))
        return endpoint

    return marked


def allowed(endpoint: object) -> frozenset[KeyScope]:
    """The scopes that a route says may call it; none for what is unmarked."""
    scopes: frozenset[KeyScope] = getattr(endpoint, MARK, frozenset())
    return scopes


MARK = "__daicho_allows__"
