"""How much of a request is read."""

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daicho.core.language import say
from daicho.core.web import LINES_TYPES, media_type
from daicho.server.problems import TITLES, problem


class BodyLimit:
    """ASGI middleware that answers 413 to a request whose body is, or turns out to be, too long.

    Args:
        app: what lies behind.
        limit: the longest body, in bytes.
        streams: paths that take lines (NDJSON) of any number, which they read a line at a time.
    """

    def __init__(self, app: ASGIApp, *, limit: int, streams: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._limit = limit
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if request.url.path in self._streams and media_type(request) in LINES_TYPES:
            await self._app(scope, receive, send)
            return
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._limit:
            await problem(request, 413, str(TITLES[413]), self._reason())(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, self._reason())
            return message

        await self._app(scope, counted, send)

    def _reason(self) -> str:
        return say(
            f"A request may be {self._limit:,} bytes long; send less at a time.",
            f"リクエストは {self._limit:,} バイトまでです。分けて送ってください。",
        )
