"""The live console: NiceGUI pages over the ledger, put together from every room's ``page.py``."""

from importlib import import_module
from pathlib import Path
from secrets import token_urlsafe

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from nicegui import ui

from daicho.console import operations
from daicho.console.shell import Shell, register_missing
from daicho.ledger import ROOMS, AsyncLedger

FOLDER = Path(__file__).parent
SEAL = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#c8402a"/>
<g fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round">
<path d="M15 5.5 8.5 13.5l15-1.2M20 8.5l4.5 5.5"/><rect x="9.5" y="18" width="13" height="8.5"/></g></svg>"""


def mount(app: FastAPI, ledger: AsyncLedger) -> None:
    """Serve the console from an application, at ``/``.

    Args:
        app: the application; its own routes go first.
        ledger: what the console shows.

    NiceGUI keeps its pages in the module: mount one console a process.
    """
    shell = Shell(ledger)
    for room in ROOMS:
        import_module(f"daicho.{room}.page").register(shell)
    operations.register(shell, app.state.scrapes.facts)
    register_missing(shell)

    @app.get("/", include_in_schema=False)
    def first_room() -> RedirectResponse:
        return RedirectResponse(shell.rooms[0].path)

    style, script = (FOLDER / name for name in ("theme.css", "console.js"))
    ui.add_head_html(
        f"<style>{style.read_text('utf-8')}</style><script>{script.read_text('utf-8')}</script>", shared=True
    )
    ui.run_with(
        app,
        title="台帳 Daicho",
        favicon=SEAL,
        dark=None,
        tailwind=False,
        reconnect_timeout=10,
        show_welcome_message=False,
        # Nothing is kept in NiceGUI's session: it may end with the process.
        storage_secret=token_urlsafe(32),
    )
