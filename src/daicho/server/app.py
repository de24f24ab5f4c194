"""The application: every room's routes under ``/api/v1``, the console beside them, the door before all."""

import importlib

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel

from daicho import __version__, migrations
from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.settings import Settings
from daicho.ledger import ROOMS, AsyncLedger
from daicho.server import problems
from daicho.server.auth import Door
from daicho.server.limits import BodyLimit
from daicho.server.network import is_loopback
from daicho.server.sessions import Sessions

BODY_BYTES = 20 * 1024 * 1024
"""The largest request that is read."""
DESCRIPTION = """
The ledger of AI agents and bots. Send `Authorization: Bearer <token>` with every request: the token is
`DAICHO_TOKEN`, or the one that `daicho serve` printed. Errors are `application/problem+json`.
"""

meta = APIRouter(tags=["meta"])


class Health(BaseModel):
    """The server answers and so does its database."""

    status: str
    revision: str | None


@meta.get("/health")
async def health(request: Request) -> Health:
    """Whether the database answers; 503 if it does not. Anyone may ask."""
    ledger: AsyncLedger = request.app.state.ledger
    revision = await ledger.database.run_async(migrations.revision, writes=False)
    return Health(status="ok", revision=revision)


nothing = APIRouter()


@nothing.api_route(
    "/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
)
async def nothing_there(path: str) -> None:
    """What is not there is a problem document for programs, not the console's page for people."""
    raise NotFound(Text("route", "経路"), f"/api/{path}")


def create_app(
    ledger: AsyncLedger, settings: Settings, *, sessions: Sessions | None = None, console: bool = True
) -> FastAPI:
    """Build the application around a ledger, which stays the caller's to close.

    Args:
        ledger: what it serves.
        settings: ``server.host`` decides which names it answers to, ``server.token`` who comes in.
        sessions: the keys; made from the settings, if None.
        console: whether to serve the console too.
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
    problems.install(app)
    app.include_router(meta)
    for room in ROOMS:
        app.include_router(importlib.import_module(f"daicho.{room}.routes").router, prefix="/api/v1")
    app.include_router(nothing)
    if console:
        from daicho.console import mount

        mount(app, ledger)
    app.add_middleware(BodyLimit, limit=BODY_BYTES)
    token = settings.server.token
    keys = sessions or Sessions(token.get_secret_value() if token else None)
    app.add_middleware(
        Door,
        sessions=keys,
        loopback=is_loopback(settings.server.host),
        cookie=f"daicho-{settings.server.port}",
    )
    return app
