"""A span for each HTTP request, where OpenTelemetry's variables ask for traces; else nothing is imported."""

import logging
import os
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daicho.core.language import say
from daicho.server.metrics import METHODS, OTHER, route_of

if TYPE_CHECKING:
    from daicho.ops.tracing import Tracing

log = logging.getLogger("daicho")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
UNTRACED = ("/metrics", "/health", "/_nicegui")
"""Paths, and what lies below them, that would only be noise."""


def configured() -> "Tracing | None":
    """Return the traces that the environment asks for; None if it does not, or what they need is missing."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in {"", "otlp"}
    if off or none or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from daicho.ops.tracing import Tracing
    except ImportError:
        log.warning(
            say(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need: pip install 'daicho[otel]'",
                "OTEL_EXPORTER_OTLP_ENDPOINT によるトレースには pip install 'daicho[otel]' が必要です",
            )
        )
        return None
    return Tracing()


class Traced:
    """ASGI middleware that follows every HTTP request.

    Args:
        app: what lies behind.
        traces: what makes the spans.
    """

    def __init__(self, app: ASGIApp, *, traces: "Tracing") -> None:
        self._app, self._traces = app, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        from daicho.ops.tracing import set_outcome

        status: int | None = None

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._traces.request(method, _known(scope, method), headers) as span:
            try:
                await self._app(scope, receive, seen)
            except Exception:
                status = 500  # as it is answered further out
                raise
            finally:
                route = route_of(scope)
                set_outcome(span, method, None if route == OTHER else route, status)


def _known(scope: Scope, method: str) -> dict[str, str | int]:
    """What is known of a request as it comes in. The query is not: a link's token would stand in it."""
    known: dict[str, str | int] = {
        "http.request.method": method,
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if server := scope.get("server"):
        known["server.address"] = server[0]
        if server[1]:
            known["server.port"] = server[1]
    return known
