"""``daicho serve``: check, bind, say where, serve until stopped."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator

import uvicorn

from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.settings import Settings
from daicho.core.tls import is_loopback
from daicho.ledger import AsyncLedger
from daicho.server.app import create_app
from daicho.server.manager import tell_manager
from daicho.server.network import bind
from daicho.server.sessions import Sessions
from daicho.server.tracing import configured

SHUTDOWN_SECONDS = 3
"""How long a client may take, at the end, over the answers that it is reading."""


def serve(settings: Settings, *, open_browser: bool = False, demo: bool = False) -> None:
    """Serve the API and the console until stopped (Ctrl+C, SIGTERM).

    Args:
        settings: database, host, port, token. Port 0 takes a free one.
        open_browser: open the console in a browser.
        demo: keep demo conversations going, in a process of their own.

    Raises Invalid when the host is not loopback and no token is set, or the port is taken; what the
    database has to say, before anything is bound.
    """
    host = settings.server.host
    if not is_loopback(host) and settings.server.token is None:
        raise Invalid(
            f"--host {host} would open the ledger to the network without authentication;"
            " set DAICHO_TOKEN (16 characters or more) first",
            f"--host {host} では、認証なしで台帳がネットワークに公開されます。"
            "先に DAICHO_TOKEN (16 文字以上) を設定してください",
        )
    # Readers leave in the middle of a query as a matter of course. Of outages we tell ourselves.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    ledger = AsyncLedger(settings=settings)
    traces = configured()
    try:
        ledger.database.ensure_ready()
        with contextlib.closing(bind(host, settings.server.port)) as listener:
            port = listener.getsockname()[1]
            bound = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
            base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            if settings.server.public_name:
                base = f"https://{settings.server.public_name}"
            token = settings.server.token
            sessions = Sessions(
                token.get_secret_value() if token else None, lambda new: _next_link(base, new)
            )
            config = uvicorn.Config(
                create_app(ledger, bound, sessions=sessions, traces=traces),
                log_level="warning",
                access_log=False,  # a link's token would stand in it
                timeout_graceful_shutdown=SHUTDOWN_SECONDS + 1,
                server_header=False,
            )
            server = _Server(config, ledger)
            _say_where(base, sessions)
            if open_browser:
                webbrowser.open(f"{base}/?token={sessions.link_token}")
            with (
                _conversations(settings) if demo else contextlib.nullcontext(),
                # uvicorn, once it has shut down, raises again the signal that ended it: no error here.
                contextlib.suppress(KeyboardInterrupt),
                _quiet_end(),
            ):
                server.run(sockets=[listener])
    finally:
        asyncio.run(ledger.close())
        if traces is not None:
            traces.close()


class _Server(uvicorn.Server):
    """Ends the streams that wait for changes, waits for what else is under way, and then for no one."""

    def __init__(self, config: uvicorn.Config, ledger: AsyncLedger) -> None:
        super().__init__(config)
        self._ledger = ledger

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        tell_manager("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tell_manager("STOPPING=1")
        await asyncio.to_thread(self._ledger.database.changes.close)
        patience = asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._drop_everyone)
        await super().shutdown(sockets)
        patience.cancel()

    def _drop_everyone(self) -> None:
        """Who does not read would never see the end of an answer; uvicorn would call that a failure."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _say_where(base: str, sessions: Sessions) -> None:
    print(say("Daicho is running (Ctrl+C stops it).", "Daicho が動いています (Ctrl+C で終了)。"))
    note = say("works once; then a new link is shown", "一度だけ使えます。使うと新しいリンクを表示します")
    print(f"  {say('Console', '画面   ')}  {base}/?token={sessions.link_token}  ({note})")
    shown = sessions.token if sessions.generated else "$DAICHO_TOKEN"
    print(f"  API      {base}/api/v1  Authorization: Bearer {shown}", flush=True)


def _next_link(base: str, token: str) -> None:
    print(f"  {say('next link', '次のリンク')}  {base}/?token={token}", flush=True)


@contextlib.contextmanager
def _conversations(settings: Settings) -> Iterator[None]:
    """Run the demo's live conversations as another process would write them."""
    url = settings.database_url().render_as_string(hide_password=False)
    child = subprocess.Popen(
        [sys.executable, "-m", "daicho", "demo", "--live"],
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """Let SIGTERM end the server as Ctrl+C does: in order, with exit code 0."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
