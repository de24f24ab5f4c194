"""Errors as ``application/problem+json`` (RFC 9457): every answer that is not what was asked for."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from daicho.core import language
from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import Text, say
from daicho.core.mistakes import mistake

log = logging.getLogger("daicho")

REFUSED = Text(
    "the database cannot do this; the server's log says why",
    "データベースで処理できません。詳しくはサーバーのログにあります",
)
"""What a tenant is told instead of what names the database."""

ECHO_CHARACTERS = 500
"""How much of what came in an answer repeats."""
TITLES = {
    401: Text("not signed in", "サインインしていません"),
    404: Text("not found", "見つかりません"),
    405: Text("method not allowed", "このメソッドは使えません"),
    413: Text("too large", "大きすぎます"),
    415: Text("cannot be read as it is sent", "この形式では読めません"),
}


def problem(
    request: HTTPConnection,
    status: int,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """Return a problem document.

    Args:
        request: what it answers.
        status: the HTTP status.
        title: what kind of problem, in a few words.
        detail: this one, for a person.
        headers: further headers.
        more: further members, such as ``errors``.
    """
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": _short(detail),
        "instance": _short(quote(request.url.path)),
        **more,
    }
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""
    app.exception_handler(DaichoError)(_daicho)
    app.exception_handler(RequestValidationError)(_validation)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(ClientDisconnect)(_hung_up)
    app.exception_handler(Exception)(_unexpected)


async def _daicho(request: Request, error: DaichoError) -> Response:
    headers = {"Retry-After": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(request, error.status, str(error.title), _said(request, error), headers=headers)


def _said(request: Request, error: DaichoError) -> str:
    """What the caller is told: to a tenant's key not where the database is, nor what its driver says."""
    if getattr(request.state, "key", None) is None:
        return str(error)
    place: str = request.app.state.ledger.database.place
    if place not in error.message.en:
        return str(error)
    log.warning("%s %s: %s", request.method, request.url.path, error)
    database = error.__cause__ if isinstance(error.__cause__, DaichoError) else error
    said = str(error).replace(str(database), str(REFUSED))  # what else is said of it stays: how far it came
    return said if place not in said else str(REFUSED)


async def _validation(request: Request, error: RequestValidationError) -> Response:
    errors = [_told(one) for one in error.errors()[:50]]
    detail = "; ".join(f"{one['place']}: {one['reason']}" for one in errors[:5])
    return problem(request, Invalid.status, str(Invalid.title), detail, errors=errors)


async def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's word for JSON beyond its parser
        return await _daicho(
            request,
            Invalid("body: cannot be read as JSON", "body: JSON として読めません"),
        )
    phrase = HTTPStatus(error.status_code).phrase
    title = str(TITLES.get(error.status_code, phrase))
    detail = title if error.detail == phrase else str(error.detail)
    return problem(request, error.status_code, title, detail, headers=error.headers)


async def _hung_up(request: Request, error: ClientDisconnect) -> Response:
    more = f"; {error}" if str(error) else ""
    log.info("%s %s: the client hung up before its end%s", request.method, request.url.path, more)
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody hears it


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    # This answers from outside the door, which knows the caller's language.
    language.current.set(language.from_header(request.headers.get("accept-language")))
    detail = say(
        "The server failed; its log says why.", "サーバーでエラーが起きました。詳しくはログを見てください。"
    )
    return problem(request, 500, say("internal error", "内部エラー"), detail)


def _told(error: Mapping[str, Any]) -> dict[str, str]:
    """A validation error's place and reason, in the language of the moment."""
    kind, place = error["type"], error["loc"]
    if kind == "json_invalid":  # its place is the body and a character's number, which no item has
        at = f"{place[-1] + 1:,}" if isinstance(place[-1], int) else "?"
        said = error.get("ctx", {})["error"]
        reason = Text(
            f"cannot be read as JSON at character {at}: {said}",
            f"{at} 文字目から先を JSON として読めません: {said}",
        )
        return {"place": _place(place[:1]), "reason": str(reason)}
    return {"place": _short(_place(place)), "reason": str(mistake(error))}


def _place(parts: tuple[Any, ...]) -> str:
    """``("body", "items", 3, "text")`` as ``body.items[3].text``."""
    place = ""
    for part in parts:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


def _short(text: str) -> str:
    return text if len(text) <= ECHO_CHARACTERS else f"{text[:ECHO_CHARACTERS]}…"
