"""``/health``: whether the process lives, and whether it can do its work. Anyone may ask.

Anyone is told names and states; who holds the token also why, which names hosts and paths.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from daicho.core.errors import Unavailable
from daicho.core.language import say
from daicho.core.web import problems as problems_of
from daicho.ops.findings import Finding, State
from daicho.ops.health import Readiness, Report
from daicho.server.auth import bearer
from daicho.server.problems import problem

router = APIRouter(tags=["meta"])
NOT_KEPT = {"Cache-Control": "no-store"}


class Health(BaseModel):
    """The server answers and so does its database."""

    status: str
    revision: str | None


class Live(BaseModel):
    """The process answers."""

    status: str = "ok"


class Checked(BaseModel):
    """What one check has found. ``message`` and ``mend`` are for who holds the token."""

    name: str
    state: State
    message: str | None = None
    mend: str | None = None


class Ready(BaseModel):
    """The server can do its work. ``warn``: it can, and something is to be looked at."""

    status: State
    checks: list[Checked]


async def _report(request: Request) -> Report:
    readiness: Readiness = request.app.state.readiness
    return await readiness.report()


Reported = Annotated[Report, Depends(_report)]


@router.get("/health", responses=problems_of(503))
async def health(report: Reported) -> Health:
    """Whether the database answers, with the schema that is needed; 503 if it does not."""
    if report.fails("database", "migrations"):  # what it says names host and user, which are not for anyone
        raise Unavailable(
            "the database does not answer as it should; the server's log says why",
            "データベースが正しく応答しません。詳しくはサーバーのログを見てください",
        )
    return Health(status="ok", revision=report.revision)


@router.get("/health/live")
async def live() -> Live:
    """Whether the process answers. It touches nothing: one that does not answer is to be started again."""
    return Live()


@router.get("/health/ready", response_model=Ready, responses=problems_of(503))
async def ready(request: Request, report: Reported) -> Response:
    """Whether the server can do its work: its database, schema, connections, writer and disk.

    503 if it cannot: send requests elsewhere meanwhile. An answer holds for a second.
    """
    token = bearer(request)
    whole = token is not None and request.app.state.sessions.accepts(token)
    checks = [_checked(one, whole=whole).model_dump(exclude_none=True) for one in report.findings]
    if report.state is not State.FAIL:
        return JSONResponse({"status": report.state, "checks": checks}, headers=NOT_KEPT)
    names = ", ".join(one.name for one in report.fails())
    return problem(
        request,
        503,
        say("not ready", "準備ができていません"),
        say(
            f"not ready: {names}; `daicho doctor` and the server's log say why",
            f"準備ができていません: {names}。詳しくは daicho doctor かサーバーのログを見てください",
        ),
        headers=NOT_KEPT | {"Retry-After": "1"},
        checks=checks,
    )


def _checked(one: Finding, *, whole: bool) -> Checked:
    if not whole:
        return Checked(name=one.name, state=one.state)
    mend = None if one.mend is None else str(one.mend)
    return Checked(name=one.name, state=one.state, message=str(one.message), mend=mend)
