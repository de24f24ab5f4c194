"""Chat logs over HTTP: each route translates to one operation. For signed-in callers only."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, status
from fastapi.openapi.models import Example
from pydantic import AfterValidator, AwareDatetime

from daicho.chats.following import patience
from daicho.chats.models import SESSION_MAX
from daicho.chats.schemas import (
    SESSION,
    AddedOut,
    AnyMessagesIn,
    ChatMessagePage,
    MessageIn,
    MessageOut,
    MessagesIn,
    SessionOut,
    SessionPage,
)
from daicho.chats.store import ChatStore
from daicho.chats.stream import Place, happenings
from daicho.core.errors import Invalid, NotFound, located
from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.core.web import EventStream, changes_of, problems

router = APIRouter(prefix="/chats", tags=["chats"], responses=problems(401, 422, 503))

ENDS = ("/messages", "/events")
"""How a session's own path goes on."""
SAID = {"role": "user", "content": "予約をお願いします", "author": "hanako", "message_id": "m-1"}
ANSWERED = {"role": "assistant", "content": "何時にいたしましょうか", "message_id": "m-2"}
EXAMPLES: dict[str, Example] = {
    "one": {"summary": "One message.", "value": SAID},
    "several": {"summary": "Several.", "value": [SAID, ANSWERED]},
}


def _store(request: Request) -> ChatStore[Async]:
    store: ChatStore[Async] = request.app.state.ledger.chats
    return store


def _reachable(session_id: str) -> str:
    """Return a session's name. Raises Invalid for one whose path would be that of another's messages."""
    if session_id.endswith(ENDS):
        raise Invalid(
            f"{session_id}: no path can name a session that ends in {' or '.join(ENDS)};"
            " use the terminal (daicho chats) or the library",
            f"{session_id}: {' か '.join(ENDS)} で終わるセッションはパスで表せません。"
            "コマンド (daicho chats) かライブラリを使ってください",
        )
    return session_id


Chats = Annotated[ChatStore[Async], Depends(_store)]
SessionId = Annotated[
    str,
    Path(min_length=1, max_length=SESSION_MAX, examples=["discord:123:456"]),
    AfterValidator(_reachable),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="A former page's `next`.")]
After = Annotated[AwareDatetime | None, Query(description="Said after this instant; with its zone.")]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=64, description="The `message_id` of one message.")
]


@router.get("")
async def list_sessions(
    chats: Chats,
    prefix: Annotated[
        str | None, Query(max_length=SESSION_MAX, description="Names that begin so.", examples=["discord:"])
    ] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="With a message at or after; with its zone.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SessionPage:
    """Sessions, those with the newest messages first."""
    page = await chats.sessions(prefix=prefix, since=since, limit=limit, cursor=cursor)
    return SessionPage.model_validate(page)


@router.post("", status_code=status.HTTP_201_CREATED)
async def append_anywhere(chats: Chats, messages: Annotated[AnyMessagesIn, Body()]) -> AddedOut:
    """Append messages of any sessions. In the database all are taken or none; in DynamoDB, where some may
    be there already when it fails, those with a `message_id` may be sent again."""
    for number, message in enumerate(messages, 1):
        try:
            _reachable(message.session_id)
        except Invalid as error:
            raise located(error, Text(f"message {number}", f"{number} 番目のメッセージ")) from None
    return AddedOut.model_validate(await chats.append_many([message.model_dump() for message in messages]))


@router.get("/{session_id:path}/messages")
async def list_messages(
    chats: Chats,
    session_id: SessionId,
    before: Annotated[AwareDatetime | None, Query(description="Said before; with its zone.")] = None,
    after: After = None,
    newest_first: bool = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> ChatMessagePage:
    """A session's messages, oldest first unless asked otherwise; none of a session that is not there."""
    page = await chats.history(
        session_id, before=before, after=after, newest_first=newest_first, limit=limit, cursor=cursor
    )
    return ChatMessagePage.model_validate(page)


@router.post("/{session_id:path}/messages", status_code=status.HTTP_201_CREATED)
async def append_messages(
    chats: Chats,
    session_id: SessionId,
    messages: Annotated[MessagesIn, Body(openapi_examples=EXAMPLES)],
    idempotency_key: IdempotencyKey = None,
) -> MessageOut | AddedOut:
    """Append a message, or an array of them; the session begins with its first one.

    Durable when this answers. With a `message_id`, or for one message an `Idempotency-Key`, safe to repeat.
    """
    if isinstance(messages, list):
        if idempotency_key is not None:
            raise Invalid(
                "Idempotency-Key names one message; give each of an array a message_id",
                "Idempotency-Key は 1 件用です。配列では各メッセージに message_id を付けてください",
            )
        many = [{"session_id": session_id, **message.model_dump()} for message in messages]
        return AddedOut.model_validate(await chats.append_many(many))
    given = {**messages.model_dump(), "message_id": _name(messages, idempotency_key)}
    return MessageOut.model_validate(await chats.append(session_id, **given))


def _name(message: MessageIn, idempotency_key: str | None) -> str | None:
    if idempotency_key is not None and message.message_id not in {None, idempotency_key}:
        raise Invalid(
            "body.message_id and the header Idempotency-Key differ; a message has one name",
            "body.message_id とヘッダー Idempotency-Key が違います。どちらか一方だけ送ってください",
        )
    return message.message_id or idempotency_key


@router.get("/{session_id:path}/events", status_code=200, response_class=EventStream)
async def follow_session(
    request: Request,
    chats: Chats,
    session_id: SessionId,
    after: After = None,
    last_event_id: Annotated[str | None, Header(description="As browsers send it on reconnecting.")] = None,
) -> EventStream:
    """A session as it goes on: `message` for each message, from the first or from `after` on, until the
    client goes. Goes on where `Last-Event-ID` left off. The session may not be there yet."""
    place = None if last_event_id is None else Place.read(last_event_id)
    # Once the stream has begun it cannot say 503 or 422 any more.
    await chats.history(session_id, after=after, limit=1)
    changed = changes_of(request, "chats", patience(chats))
    return EventStream(happenings(chats, session_id, after, place, changed))


# A session's own name may hold slashes, so its plain path is tried after all that end in something.
@router.get("/{session_id:path}", responses=problems(404))
async def get_session(chats: Chats, session_id: SessionId) -> SessionOut:
    """One session, its messages counted."""
    return SessionOut.model_validate(await chats.session(session_id))


@router.delete("/{session_id:path}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def delete_session(chats: Chats, session_id: SessionId) -> None:
    """Delete a session and its messages."""
    if not await chats.delete_session(session_id):
        raise NotFound(SESSION, session_id)
