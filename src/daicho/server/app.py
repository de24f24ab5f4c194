"""The application: every room's routes under ``/api/v1``, the console beside them, the door before all."""

import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from daicho import __version__
from daicho.core.access import KeyScope, allowed
from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.settings import Settings
from daicho.core.tls import is_loopback
from daicho.ledger import ROOMS, AsyncLedger
from daicho.ops.health import Readiness
from daicho.ops.metrics import Scrapes
from daicho.server import health, metrics, problems
from daicho.server.auth import Door
from daicho.server.limits import BodyLimit
from daicho.server.sessions import Sessions
from daicho.server.tracing import Traced

if TYPE_CHECKING:
    from daicho.ops.tracing import Tracing

BODY_BYTES = 20 * 1024 * 1024
"""The largest request that is read."""
STREAMS = frozenset({"/api/v1/usage"})
"""Where lines may go on and on: they are read, and recorded, as they come."""
DESCRIPTION = """
The ledger of AI agents and bots. Send `Authorization: Bearer <token>` with every request: the token is
`DAICHO_TOKEN`, or the one that `daicho serve` printed. Where a tenant may
ask too, its API key (`dk_…`) is one. Errors are `application/problem+json`.
"""

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
BEARER = HTTPBearer(auto_error=False, description="`DAICHO_TOKEN`, or the token that `daicho serve` printed.")
"""For the API's description only: the door has looked at the token before."""


def _allowed(app: FastAPI) -> Callable[[Scope], frozenset[KeyScope]]:
    """What tells which scopes of tenants' keys may make a request: none, where no route says so."""

    def scopes(scope: Scope) -> frozenset[KeyScope]:
        for route in iter_route_contexts(app.routes):
            if route.matches(scope)[0] is Match.FULL:
                return allowed(route.endpoint)
        return frozenset()

    return scopes


def _nothing_but(routes: Sequence[BaseRoute]) -> Callable[[Request], Awaitable[None]]:
    """What answers where none of these routes does: a problem document, not the console's page."""

    async def nothing_there(request: Request) -> None:
        allowed = [
            method
            for method in METHODS
            if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
        ]
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
        raise NotFound(Text("route", "経路"), request.url.path)

    return nothing_there


def create_app(
    ledger: AsyncLedger,
    settings: Settings,
    *,
    sessions: Sessions | None = None,
    console: bool = True,
    traces: "Tracing | None" = None,
) -> FastAPI:
    """Build the application around a ledger, which stays the caller's to close.

    Args:
        ledger: what it serves.
        settings: ``server.host`` decides which names it answers to, ``server.token`` who comes in.
        sessions: the keys; made from the settings, if None.
        console: whether to serve the console too.
        traces: what follows its requests and operations; they stay the caller's to close. None: nothing.
    """
    app = FastAPI(
        title="Daicho",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would fetch scripts from elsewhere
        redoc_url=None,
    )
    app.state.ledger = ledger
    requests = metrics.new_requests()
    app.state.scrapes = Scrapes(ledger.database, requests, __version__)
    problems.install(app)
    app.state.readiness = Readiness(ledger.database)
    app.include_router(health.router)
    app.include_router(metrics.router, dependencies=[Depends(BEARER)])
    for room in ROOMS:
        routes = importlib.import_module(f"daicho.{room}.routes")
        app.include_router(routes.router, prefix="/api/v1", dependencies=[Depends(BEARER)])
        for hooks in getattr(routes, "HOOKS", ()):  # they look at tokens of their own
            app.include_router(hooks)
    nothing = _nothing_but(tuple(app.routes))
    app.add_api_route("/api/{path:path}", nothing, methods=list(METHODS), include_in_schema=False)
    if console:
        from daicho.console import mount

        mount(app, ledger)
    app.add_middleware(BodyLimit, limit=BODY_BYTES, streams=STREAMS)
    token, for_metrics = settings.server.token, settings.server.metrics_token
    keys = sessions or Sessions(token.get_secret_value() if token else None)
    app.state.sessions = keys
    app.add_middleware(
        Door,
        sessions=keys,
        tenants=ledger.usage,
        allowed=_allowed(app),
        loopback=is_loopback(settings.server.host),
        public_name=settings.server.public_name,
        cookie=f"daicho-{settings.server.port}",
        readers={"/metrics": for_metrics.get_secret_value()} if for_metrics else {},
    )
    app.add_middleware(metrics.Clock, requests=requests)
    if traces is not None:
        traces.follow(ledger.database)
        app.add_middleware(Traced, traces=traces)
    return app
