"""``POST /webhooks/minio``: S3's and MinIO's notifications that a member's file was put or removed.

A notification says which file to look at; what is done follows from the file as it is now. So repeated
and late ones are harmless, in whichever order they come.
"""

from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from daicho.core.errors import NotFound
from daicho.core.language import Text, say
from daicho.core.operation import Async
from daicho.core.settings import Settings
from daicho.core.web import problems
from daicho.members.noticing import is_later, kind_of, look, removed
from daicho.members.schemas import Outcome, told
from daicho.members.store import MemberStore

if TYPE_CHECKING:
    from daicho.members.source import Source

hooks = APIRouter(tags=["webhooks"], responses=problems(401, 404, 422, 503))


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Bucket(_Part):
    """Where it happened."""

    name: str


class Object(_Part):
    """What it happened to."""

    key: str = Field(description="URL-encoded, as S3 sends it.", examples=["human_members%2Femma.yml"])
    sequencer: str | None = Field(None, description="Rises with each event of the same key.")


class Place(_Part):
    """Bucket and object."""

    bucket: Bucket
    object: Object


class Record(_Part):
    """One event."""

    event_name: str = Field(alias="eventName", examples=["s3:ObjectCreated:Put"])
    s3: Place


class Notification(_Part):
    """Some events; MinIO also sends an empty one, to see whether anyone listens."""

    records: list[Record] = Field(default=[], alias="Records", max_length=1000)


class Result(BaseModel):
    """What came of an event."""

    key: str
    outcome: str = Field(examples=["added"])
    errors: list[str] = []


class Results(BaseModel):
    """What came of the events, in their order."""

    results: list[Result]


async def _source(request: Request, authorization: Annotated[str, Header()] = "") -> "Source":
    """The source that the settings name, for who brings their token. This comes before the body is read."""
    settings: Settings = request.app.state.ledger.database.settings
    token, place = settings.members.webhook_token, settings.members.source
    if token is None or place is None:
        raise NotFound(Text("webhook", "webhook"), request.url.path)
    if not compare_digest(authorization.encode(), f"Bearer {token.get_secret_value()}".encode()):
        raise HTTPException(401, say("a wrong token", "トークンが違います"), {"WWW-Authenticate": "Bearer"})
    from daicho.members.source import Source

    return Source(place, settings.storage)


@hooks.post("/webhooks/minio")
async def take_notice(
    request: Request,
    response: Response,
    source: Annotated[Any, Depends(_source)],
    notification: Notification,
) -> Results:
    """Take over the files that the events name. 400 if one of them is not right; the others are done."""
    members: MemberStore[Async] = request.app.state.ledger.members
    results = [await _take(members, source, record) for record in notification.records]
    if any(result.errors for result in results):
        response.status_code = 400
    return Results(results=results)


async def _take(members: MemberStore[Async], source: "Source", record: Record) -> Result:
    key = unquote_plus(record.s3.object.key)
    uri = f"s3://{record.s3.bucket.name}/{key}"
    path = source.path(uri)
    kind = kind_of(path) if uri.startswith(f"{source.base}/") else None
    event = record.event_name.removeprefix("s3:")
    if kind is None or not event.startswith(("ObjectCreated:", "ObjectRemoved:")):
        return Result(key=key, outcome="ignored")
    sequencer = record.s3.object.sequencer
    known = await members.file(uri)
    if known is not None and not is_later(sequencer, known.sequencer):
        return Result(key=key, outcome="known")
    try:
        saved = await look(members, source, kind, path, sequencer)
    except FileNotFoundError:
        return Result(key=key, outcome=await removed(members, source, kind, uri))
    errors = [] if saved.reason is None else [str(saved.reason)]
    if saved.outcome is Outcome.INVALID and (file := await members.file(uri)) is not None:
        errors = [told(problem) for problem in file.problems or []]
    return Result(key=key, outcome=saved.outcome, errors=errors)
