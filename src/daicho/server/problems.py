"""Errors as ``application/problem+json`` (RFC 9457): every answer that is not what was asked for."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from daicho.core.errors import DaichoError
from daicho.core.language import say

log = logging.getLogger("daicho")


def problem(
    status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """Return a problem document.

    Args:
        status: the HTTP status.
        title: what kind of problem, in a few words.
        detail: this one, for a person.
        headers: further headers.
        more: further members, such as ``errors``.
    """
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""
    app.exception_handler(DaichoError)(_daicho)
    app.exception_handler(RequestValidationError)(_validation)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unexpected)


async def _daicho(_: Request, error: DaichoError) -> Response:
    headers = {"Retry-After": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(error.status, str(error.title), str(error), headers=headers)


async def _validation(_: Request, error: RequestValidationError) -> Response:
    errors = [{"place": _place(one["loc"]), "reason": one["msg"]} for one in error.errors()[:50]]
    detail = "; ".join(f"{one['place']}: {one['reason']}" for one in errors[:5])
    return problem(422, say("invalid input", "入力が正しくありません"), detail, errors=errors)


async def _http(_: Request, error: HTTPException) -> Response:
    title = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, title, str(error.detail), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = say(
        "The server failed; its log says why.", "サーバーでエラーが起きました。詳しくはログを見てください。"
    )
    return problem(500, say("internal error", "内部エラー"), detail)


def _place(parts: tuple[Any, ...]) -> str:
    """``("body", "items", 3, "text")`` as ``body.items[3].text``."""
    place = ""
    for part in parts:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place
