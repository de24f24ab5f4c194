"""``POST /webhooks/minio``: S3's and MinIO's notifications that a member's file was put or removed.

A notification says which file to look at; what is done follows from the file as it is now. So repeated
and late ones are harmless, in whichever order they come.

MinIO tells again, and nothing else until then, what was not answered by 200. So 400 is said of a bad file
once, and 503 only while the storage or the database does not answer.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from daicho.core.errors import DaichoError, NotFound, Unavailable
from daicho.core.language import Text, say
from daicho.core.operation import Async
from daicho.core.settings import Settings
from daicho.core.web import problems
from daicho.members.noticing import Notices, plain_sequencer
from daicho.members.schemas import BAD, Outcome, Saved, can_be_noted, told, wrong_uri
from daicho.members.store import MemberStore

if TYPE_CHECKING:
    from daicho.members.source import Source

log = logging.getLogger("daicho")

HOOK = "/webhooks/minio"


class Guarded(APIRoute):
    """A route that looks at the webhook's token before it reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            check_token(request)
            return await handle(request)

        return guarded


hooks = APIRouter(tags=["webhooks"], responses=problems(401, 404, 422, 503), route_class=Guarded)


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

    records: list[Record] | None = Field(None, alias="Records", max_length=1000)


class Result(BaseModel):
    """What came of an event."""

    key: str
    outcome: str = Field(examples=["added"])
    errors: list[str] = Field([], description="What is wrong with the file, a line each.")


class Results(BaseModel):
    """What came of the events, in their order."""

    results: list[Result]


@hooks.post(HOOK)
async def take_notice(request: Request, response: Response, notification: Notification) -> Results:
    """Take over the files that the events name. 400 if one of them is not right; the others are done."""
    members: MemberStore[Async] = request.app.state.ledger.members
    delivery = Delivery(members, _source(request))
    results = await delivery.take(notification.records or [])
    if delivery.found_bad:
        response.status_code = 400
    return Results(results=results)


@hooks.api_route(
    HOOK, methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT", "TRACE"], include_in_schema=False
)
async def only_post() -> None:
    """Said here, since the console has every address that is nobody's."""
    raise HTTPException(405, headers={"Allow": "POST"})


class Delivery:
    """The events of one notification.

    Attributes:
        found_bad: whether a file was found to be bad that was not known to be. Of a file whose URI cannot
            be kept nothing is ever known: it would be told of for ever.
    """

    def __init__(self, members: MemberStore[Async], source: "Source") -> None:
        self._members, self._source = members, source
        self._notices = Notices(members, source)
        self._failed = False
        self.found_bad = False

    async def take(self, records: Sequence[Record]) -> list[Result]:
        """Take the events' files over; return what came of each, in their order.

        Files that are there come before those that are no more: so the member of a renamed file goes on
        under its new one, in whichever order the two events stand.

        Raises Unavailable, once the others are done, if one of them could not be looked at.
        """
        results: dict[int, Result] = {}
        gone: dict[int, tuple[str, str]] = {}
        for place, record in enumerate(records):
            key = unquote_plus(record.s3.object.key)
            uri = f"s3://{record.s3.bucket.name}/{key}"
            event = record.event_name.removeprefix("s3:")
            created, removed = event.startswith("ObjectCreated:"), event.startswith("ObjectRemoved:")
            if not (created or removed) or not self._source.holds(uri):
                results[place] = Result(key=key, outcome="ignored")
            elif not can_be_noted(uri):
                results[place] = Result(key=key, outcome=Outcome.INVALID, errors=[str(wrong_uri(uri))])
            elif removed and wrong_uri(uri):
                gone[place] = key, uri
            else:
                look = self._notices.look(self._source.path(uri), plain_sequencer(record.s3.object.sequencer))
                try:
                    results[place] = await self._told(key, uri, look)
                except FileNotFoundError:
                    gone[place] = key, uri
        for place, (key, uri) in gone.items():
            results[place] = await self._told(key, uri, self._notices.removed(self._source.path(uri)))
        if self._failed:
            raise _out_of_order()
        self._count(results.values())
        return [results[place] for place in range(len(records))]

    def _count(self, results: Iterable[Result]) -> None:
        counted = self._members.runner.database.measures.ingested
        for result in results:
            counted.add("members", result.outcome)

    async def _told(self, key: str, uri: str, doing: Awaitable[Saved]) -> Result:
        """Do something with a file; say what came of it, with all that is wrong with the file."""
        try:
            saved = await doing
            file = await self._members.file(uri)
        except DaichoError as error:  # it may name the database, which is not for whoever calls
            log.warning("webhook: %s: %s", uri, error)
            self._failed |= isinstance(error, Unavailable)
            reason = say(
                "cannot be kept; the server's log says why", "保存できません。詳しくはサーバーのログへ"
            )
            return Result(key=key, outcome=Outcome.INVALID, errors=[reason])
        self.found_bad |= saved.outcome in BAD
        return Result(
            key=key,
            outcome=saved.outcome,
            errors=[told(problem) for problem in (file.problems if file else None) or []],
        )


def check_token(request: Request) -> None:
    """Let those pass who bring the webhook's token; raise 401 for others, NotFound where it is off."""
    settings = _settings(request)
    token = settings.members.webhook_token
    if token is None or settings.members.source is None:
        raise NotFound(Text("webhook", "webhook"), request.url.path)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_right = compare_digest(given.strip().encode("latin-1"), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not is_right:
        raise HTTPException(401, say("a wrong token", "トークンが違います"), {"WWW-Authenticate": "Bearer"})


def _source(request: Request) -> "Source":
    from daicho.members.source import Source

    settings = _settings(request)
    try:
        return Source(settings.members.source or "", settings.storage)
    except DaichoError as error:
        log.warning("webhook: %s", error)
        raise _out_of_order() from None


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.ledger.database.settings
    return settings


def _out_of_order() -> Unavailable:
    return Unavailable(
        "the storage or the database does not answer as it should; the server's log says why",
        "ストレージかデータベースが正しく応答しません。詳しくはサーバーのログを見てください",
    )
