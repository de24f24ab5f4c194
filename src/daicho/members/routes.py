"""Members over HTTP: each route translates to one operation. For signed-in callers only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from daicho.core.operation import Async
from daicho.core.web import problems
from daicho.members.schemas import FilePage, HumanOut, HumanPage, VirtualOut, VirtualPage
from daicho.members.store import MemberStore
from daicho.members.webhook import hooks

HOOKS = (hooks,)
router = APIRouter(tags=["members"], responses=problems(401, 422, 503))


def _store(request: Request) -> MemberStore[Async]:
    store: MemberStore[Async] = request.app.state.ledger.members
    return store


Members = Annotated[MemberStore[Async], Depends(_store)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]
Wanted = Annotated[str | None, Query(description="Part of the name or the role.")]


@router.get("/members/human")
async def list_humans(
    members: Members, q: Wanted = None, limit: Limit = 50, cursor: Cursor = None
) -> HumanPage:
    """People by name."""
    return HumanPage.model_validate(await members.list_humans(text=q, limit=limit, cursor=cursor))


@router.get("/members/virtual")
async def list_virtual(
    members: Members, q: Wanted = None, limit: Limit = 50, cursor: Cursor = None
) -> VirtualPage:
    """Virtual members by name."""
    return VirtualPage.model_validate(await members.list_virtual(text=q, limit=limit, cursor=cursor))


@router.get("/members/files/troubled")
async def list_troubled(members: Members, limit: Limit = 50, cursor: Cursor = None) -> FilePage:
    """The files that could not be taken over when they were last read, and why."""
    return FilePage.model_validate(await members.troubled_files(limit=limit, cursor=cursor))


@router.get("/members/human/{name:path}", responses=problems(404))
async def get_human(members: Members, name: str) -> HumanOut:
    """One person."""
    return HumanOut.model_validate(await members.get_human(name))


@router.get("/members/virtual/{name:path}", responses=problems(404))
async def get_virtual(members: Members, name: str) -> VirtualOut:
    """One virtual member."""
    return VirtualOut.model_validate(await members.get_virtual(name))
