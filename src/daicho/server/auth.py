"""The door: every request and every websocket passes here before it reaches a route.

A route is for signed-in callers, except those in ``PUBLIC``. Signed in is who sends the bearer token,
or a browser that has come by a link (``/?token=…``, good once) or the form and now holds a cookie. A
cookie alone must not let another site act for its holder: what changes anything, and websockets, must
come from this origin. A server on loopback answers to loopback's names only, so that no other name can
be made to point here.

A tenant's API key is a bearer token too. It opens the routes that say so (``core.access.allow``) and
nothing else: no websocket, no page, no sign-in.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from hmac import compare_digest
from html import escape
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daicho.core import language
from daicho.core.access import KeyScope
from daicho.core.errors import DaichoError, Unavailable
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.tls import is_loopback
from daicho.core.types import now
from daicho.server.problems import TITLES, problem
from daicho.server.sessions import SESSION_SECONDS, Sessions
from daicho.usage.keys import KEY_START, USED_EVERY, Keys
from daicho.usage.models import ApiKey

log = logging.getLogger("daicho")

PUBLIC = frozenset({"/health", "/health/live", "/health/ready", "/login", "/webhooks/minio"})
"""The paths that anyone may ask for; a webhook looks at its own token."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_BYTES = 4096


class Door:
    """ASGI middleware that lets in whom ``sessions`` knows, and tenants where they may go.

    Args:
        app: what lies behind. A tenant's request comes with its key, as ``request.state.key``, and with
            what asks again whether that is good (``request.state.still_known``), for one that takes long.
        sessions: the operator's keys.
        tenants: the tenants' keys.
        allowed: which scopes of these may make a request.
        loopback: whether the server listens on loopback only.
        public_name: the one other name that such a server answers to, by way of a proxy.
        cookie: the session cookie's name.
        readers: paths that a token of their own may read, which opens nothing else.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        tenants: Keys[Async],
        allowed: Callable[[Scope], frozenset[KeyScope]],
        loopback: bool,
        public_name: str | None = None,
        cookie: str = "daicho",
        readers: Mapping[str, str] | None = None,
    ) -> None:
        self._readers = readers or {}
        self._app = app
        self._sessions = sessions
        self._tenants = tenants
        self._allowed = allowed
        self._noting: dict[str, asyncio.Task[None]] = {}
        self._loopback = loopback
        self._public_name = public_name.lower() if public_name else None
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        caller = HTTPConnection(scope)
        spoken = language.current.set(language.from_header(caller.headers.get("accept-language")))
        try:
            refusal = await self._answer(caller, scope, receive)
            if refusal is None:
                await self._app(scope, receive, send)
            elif scope["type"] == "websocket":
                await receive()  # the handshake, which is answered by closing
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
            else:
                await refusal(scope, receive, send)
        finally:
            language.current.reset(spoken)

    async def _answer(self, caller: HTTPConnection, scope: Scope, receive: Receive) -> Response | None:
        """Return what to say instead of letting the caller in; None lets them in."""
        if self._loopback and not _to_loopback(caller, self._public_name):
            detail = say("This server answers to 127.0.0.1 only.", "127.0.0.1 でのみ応答します。")
            return _refused(caller, 421, detail)
        path = caller.url.path
        if path == "/login" and scope["type"] == "http":
            return await self._login(Request(scope, receive))
        if path in PUBLIC:
            return None
        if (token := bearer(caller)) is not None:
            if self._sessions.accepts(token) or self._may_read(path, scope, token):
                return None
            return await self._by_key(caller, scope, token)
        method = scope.get("method")  # a websocket has none
        link = caller.query_params.get("token") if method == "GET" else None
        if link and self._sessions.use_link(link):
            return self._signed_in(caller, _without_token(caller))
        if not self._sessions.knows(caller.cookies.get(self._cookie, "")):
            return _unauthorized(caller)
        if method not in SAFE_METHODS and not _same_origin(caller):
            return _foreign(caller)
        return None

    def _may_read(self, path: str, scope: Scope, token: str) -> bool:
        """Whether this is the token of what is asked for."""
        own = self._readers.get(path)
        return own is not None and scope["type"] == "http" and compare_digest(token.encode(), own.encode())

    async def _by_key(self, caller: HTTPConnection, scope: Scope, token: str) -> Response | None:
        """Let a tenant in where its key is good; give the request the key."""
        try:
            key = await self._tenants.key_for(token) if token.startswith(KEY_START) else None
        except DaichoError as error:  # it names the database, which is not for anyone
            log.warning("keys cannot be looked at: %s", error)
            detail = say("The database does not answer.", "データベースが応答しません。")
            return problem(caller, 503, str(Unavailable.title), detail, headers={"Retry-After": "1"})
        if key is None:
            return _unauthorized(caller)
        needed = self._allowed(scope) if scope["type"] == "http" else frozenset[KeyScope]()
        if key.scope not in needed:
            return _not_for_this(caller, key.scope, needed)
        self._note_used(key)

        async def still_known() -> bool:
            return await self._tenants.key_for(token) is not None

        scope.setdefault("state", {}).update(key=key, still_known=still_known)
        return None

    def _note_used(self, key: ApiKey) -> None:
        """Remember a key's use, now and then, without letting its request wait."""
        if key.id in self._noting or (key.last_used_at and now() - key.last_used_at < USED_EVERY):
            return
        self._noting[key.id] = asyncio.create_task(self._write_used(key.id))

    async def _write_used(self, key_id: str) -> None:
        try:
            await self._tenants.note_key_used(key_id)
        except DaichoError as error:
            log.info("a key's use was not noted: %s", error)
        finally:
            del self._noting[key_id]

    async def _login(self, request: Request) -> Response:
        if request.method in {"GET", "HEAD"}:
            return _form(request, 200)
        if request.method != "POST":
            title = str(TITLES[405])
            return problem(request, 405, title, title, headers={"Allow": "GET, HEAD, POST"})
        if not _same_origin(request):
            return _foreign(request)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                return _refused(request, 413, say("Too long for a token.", "トークンにしては長すぎます。"))
        form = parse_qs(body.decode("utf-8", "replace"))
        token = form.get("token", [""])[0].strip()
        if not (self._sessions.accepts(token) or self._sessions.use_link(token)):
            return _form(request, 401, wrong=True)
        return self._signed_in(request, _own_path(form.get("next", ["/"])[0]))

    def _signed_in(self, caller: HTTPConnection, where: str) -> Response:
        response = RedirectResponse(where, 303)
        response.set_cookie(
            self._cookie,
            self._sessions.new_cookie(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=caller.url.scheme in {"https", "wss"},
        )
        return response


def bearer(caller: HTTPConnection) -> str | None:
    """Return the bearer token that a request comes with, if any."""
    scheme, _, token = caller.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _to_loopback(caller: HTTPConnection, public_name: str | None) -> bool:
    """Whether a request is addressed to loopback by name; one without a name is no browser's."""
    host = caller.headers.get("host")
    try:
        name = "" if host is None else urlsplit(f"//{host}").hostname or ""
        return host is None or is_loopback(name) or (public_name is not None and name == public_name)
    except ValueError:
        return False


def _same_origin(caller: HTTPConnection) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin = caller.headers.get("origin")
    if origin is None:
        return True
    scheme, _, site = origin.partition("://")
    return scheme in {"http", "https"} and site == caller.headers.get("host")


def _without_token(caller: HTTPConnection) -> str:
    rest = [(name, value) for name, value in parse_qsl(caller.url.query) if name != "token"]
    return _own_path(quote(caller.url.path) + (f"?{urlencode(rest)}" if rest else ""))


def _own_path(path: str) -> str:
    """A path of this server; ``/`` for anything that a browser might take elsewhere."""
    clean = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if clean and not urlsplit(path).netloc else "/"


def _refused(caller: HTTPConnection, status: int, detail: str) -> Response:
    return problem(caller, status, say("refused", "拒否しました"), detail)


def _foreign(caller: HTTPConnection) -> Response:
    detail = say("This request comes from another site.", "別のサイトからのリクエストです。")
    return _refused(caller, 403, detail)


def _not_for_this(caller: HTTPConnection, scope: str, needed: frozenset[KeyScope]) -> Response:
    names = [one.value for one in KeyScope if one in needed]
    if not names:
        detail = say(
            f"Only the operator may do this; this API key's scope is {scope}.",
            f"運用者だけができる操作です (この API キーの範囲: {scope})。",
        )
        return _refused(caller, 403, detail)
    detail = say(
        f"This API key's scope is {scope}; this needs {' or '.join(names)}.",
        f"この API キーの範囲は {scope} です。範囲が {' か '.join(names)} のキーが必要です。",
    )
    return _refused(caller, 403, detail)


def _unauthorized(caller: HTTPConnection) -> Response:
    if "text/html" in caller.headers.get("accept", ""):
        return _form(caller, 401)
    if bearer(caller):
        detail = say(
            "This token or API key is not known, or has been revoked.",
            "このトークンまたは API キーは登録されていないか、無効になっています。",
        )
    else:
        detail = say(
            "Send the header 'Authorization: Bearer <token>'; 'daicho serve' printed the token.",
            "ヘッダー 'Authorization: Bearer <トークン>' が必要です (トークンは daicho serve が表示します)。",
        )
    headers = {"WWW-Authenticate": 'Bearer realm="daicho"'}
    return problem(caller, 401, str(TITLES[401]), detail, headers=headers)


PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>
:root{{color-scheme:light dark}}
body{{font:16px/1.6 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem}}
input{{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;margin:.5rem 0}}
button{{font:inherit;padding:.4rem 1.2rem}}b{{color:#c8402a}}</style></head><body>
<h1>台帳 Daicho</h1><p>{hint}</p><p><b role="alert">{wrong}</b></p>
<form method="post" action="/login"><input type="hidden" name="next" value="{next}">
<label>{label}<input name="token" type="password" autocomplete="current-password" autofocus required></label>
<button>{button}</button></form></body></html>"""


def _form(caller: HTTPConnection, status: int, *, wrong: bool = False) -> Response:
    asked = "/" if caller.url.path == "/login" else _without_token(caller)
    page = PAGE.format(
        lang=say("en", "ja"),
        title=say("Sign in – Daicho", "サインイン – 台帳"),
        hint=say(
            "Open the link that <code>daicho serve</code> shows in its terminal, or paste its token here.",
            "<code>daicho serve</code> の端末に表示されたリンクを開くか、トークンを貼り付けてください。",
        ),
        wrong=say("That is not the token.", "トークンが違います。") if wrong else "",
        next=escape(asked, quote=True),
        label=say("Token", "トークン"),
        button=say("Sign in", "サインイン"),
    )
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})
