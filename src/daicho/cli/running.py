"""``daicho serve``, ``daicho demo`` and ``daicho version``."""

import asyncio
import os
import random
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated

import typer

from daicho import __version__
from daicho.core.errors import DaichoError
from daicho.core.language import say
from daicho.core.terminal import Terminal, put
from daicho.core.types import now
from daicho.ledger import ROOMS, AsyncLedger, Ledger

app = typer.Typer()


@app.command(help=say("Serve the console and the HTTP API.", "コンソールと HTTP API を提供する。"))
def serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            help=say(
                "What to listen on; DAICHO_HOST, if not given.", "待ち受けるアドレス。省略時は DAICHO_HOST。"
            )
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help=say(
                "DAICHO_PORT, if not given; 0 is any free one.", "省略時は DAICHO_PORT。0 は空きポート。"
            ),
        ),
    ] = None,
    browse: Annotated[
        bool,
        typer.Option(
            "--open/--no-open", help=say("Open the console in a browser.", "ブラウザーでコンソールを開く。")
        ),
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help=say("Keep a few conversations going.", "会話をいくつか続ける。"))
    ] = False,
) -> None:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = _terminal(context).settings()
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=given)})
    try:
        run = import_module("daicho.server.run").serve
    except ModuleNotFoundError as error:
        raise DaichoError(
            f"the server needs {error.name}; run: pip install 'daicho[server]'",
            f"サーバーには {error.name} が必要です。次を実行してください: pip install 'daicho[server]'",
        ) from None
    if demo:  # its conversations are another process's, in the same ledger
        os.environ["DATABASE_URL"] = settings.database_url().render_as_string(hide_password=False)
    run(settings, open_browser=browse, demo=demo)


@app.command(
    help=say(
        "Fill the ledger with example data; twice adds nothing.", "台帳に見本を入れる。2 度目は何も加えない。"
    )
)
def demo(
    context: typer.Context,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help=say(
                "Then keep a few conversations going, until stopped.",
                "続けて、止めるまで会話をいくつか進める。",
            ),
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(help=say("Another number, other data.", "数が変わると見本も変わる。"))
    ] = 1,
) -> None:
    terminal = _terminal(context)
    added = {}
    with terminal.open() as ledger:
        # What is used for what is in the other rooms comes when that is there.
        for room in sorted(ROOMS, key=lambda room: room == "usage"):
            # Each begins anew: what one room finds there already changes nothing in the next.
            added[room] = import_module(f"daicho.{room}.demo").fill(ledger, _rng(seed), now())
    for room, count in added.items():
        put(
            say(f"{room}: {count} added", f"{room}: {count} 件を追加しました")
            if count
            else say(f"{room}: the example data is there already", f"{room}: 見本は既に入っています")
        )
    if live:
        put(say("conversations go on; Ctrl+C stops them", "会話を続けています。Ctrl+C で止まります"))
        sys.stdout.flush()
        asyncio.run(_keep_going(terminal, _rng(seed)))


@app.command(help=say("Show the version.", "バージョンを表示する。"))
def version() -> None:
    put(f"daicho {__version__}")


def _rng(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  (a demo is to be repeatable, not secret)


async def _keep_going(terminal: Terminal[Ledger, AsyncLedger], rng: random.Random) -> None:
    """Run every room's live demo until SIGINT or SIGTERM, which are its ordinary end."""
    task = asyncio.ensure_future(_all_live(terminal, rng))
    with suppress(NotImplementedError):  # Windows: Ctrl+C ends the process as usual
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


async def _all_live(terminal: Terminal[Ledger, AsyncLedger], rng: random.Random) -> None:
    # A group: the ledger is there until the last room has put its things away.
    async with terminal.open_async() as ledger, asyncio.TaskGroup() as group:
        for room in ROOMS:
            group.create_task(import_module(f"daicho.{room}.demo").live(ledger, rng))


def _terminal(context: typer.Context) -> Terminal[Ledger, AsyncLedger]:
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    return terminal
