"""``GET /metrics``, and the clock that every HTTP request passes."""

from time import perf_counter

from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daicho.core.measure import SECONDS, Histograms

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "other"
"""What a request is counted as that no route took: refused at the door, or an asset of the console."""
ABORTED = "499"
"""What a request is counted as whose answer nobody has seen begin."""

router = APIRouter(tags=["meta"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """What this process has measured, for Prometheus: with the operator's token or `DAICHO_METRICS_TOKEN`."""
    body, media_type = await request.app.state.scrapes.answer(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


class Clock:
    """ASGI middleware that measures every HTTP request, refused ones too.

    Args:
        app: what lies behind.
        requests: where durations are kept, by method, route and status.
    """

    def __init__(self, app: ASGIApp, *, requests: Histograms) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun = ABORTED, perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception:  # it is answered further out
            status = "500"
            raise
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._requests.observe((method, route_of(scope), status), perf_counter() - begun)


def route_of(scope: Scope) -> str:
    """The route that took a request, with the names of its parameters: ``/api/v1/calls/{call_id}``.

    A route knows its path only from where its router was included on: what comes before is in the request's.
    """
    form: str | None = getattr(scope.get("route"), "path_format", None)
    if form is None:
        return OTHER
    values = scope.get("path_params", {})
    try:
        own = form.format(**values)
    except (LookupError, ValueError):
        return form
    if any(f"{{{name}}}" not in form for name in values):  # what comes before has parameters too
        return form
    path: str = scope["path"]
    return path.removesuffix(own) + form if path.endswith(own) else form


def new_requests() -> Histograms:
    """Where requests are kept."""
    return Histograms(SECONDS)
