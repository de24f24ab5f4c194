"""The command ``daicho``: every room's commands, the schema's, the server's and the demo's."""

import io
import logging
import os
import signal
import sys
import traceback
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any, TextIO

import typer
import typer.main

from daicho.cli import db, doctor, forget, running
from daicho.core.errors import DaichoError
from daicho.core.language import say
from daicho.core.settings import Settings
from daicho.core.terminal import Terminal, note
from daicho.ledger import ROOMS, AsyncLedger, Ledger

INTERRUPTED = 130
TERMINATED = 143
VERBOSE = "--verbose"


def main() -> None:
    """Run the command line and exit: 0 done, 1 could not be done, 2 misused, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        _speak_utf8(stream)
    # As an exception it lets a transaction roll back and an unfinished file be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. What goes wrong is one line on standard error."""
    try:
        code = _answer(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough. What is still buffered goes nowhere; Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


@cache
def command() -> Any:
    """All commands as one, which is called with arguments. They are put together once."""
    return typer.main.get_command(application())


def application() -> typer.Typer:
    """Put all commands together."""
    app = typer.Typer(
        help=say(
            "Daicho: the ledger of AI agents and bots.", "Daicho (台帳): AI エージェントとボットの台帳。"
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_prepare)
    for room in ROOMS:
        commands = import_module(f"daicho.{room}.commands")
        app.add_typer(commands.app, name=room)
        for name, further in getattr(commands, "FURTHER", {}).items():
            app.add_typer(further, name=name)
    app.add_typer(db.app, name="db")
    app.add_typer(forget.app)
    app.add_typer(running.app)
    app.add_typer(doctor.app)
    return app


def _version_asked(asked: bool) -> None:
    if asked:
        running.version()
        raise typer.Exit


def _prepare(
    context: typer.Context,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=say(
                "The ledger's database, before DATABASE_URL: sqlite:///daicho.db, postgresql://user@host/name.",
                "台帳のデータベース。DATABASE_URL より優先: sqlite:///daicho.db、postgresql://user@host/name。",
            ),
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            VERBOSE, help=say("Say more, and where an error came from.", "詳しく表示し、エラーの出所も示す。")
        ),
    ] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_version_asked,
            help=say("Show the version.", "バージョンを表示する。"),
        ),
    ] = False,
) -> None:
    logging.basicConfig(format="daicho: %(message)s", level=logging.INFO if verbose else logging.WARNING)
    # Without a handler of its own SQLAlchemy would write DB_ECHO's lines to standard output.
    logging.getLogger("sqlalchemy.engine.Engine").addHandler(logging.NullHandler())
    settings = partial(_settings, database)
    context.obj = Terminal(
        settings, lambda: Ledger(settings=settings()), lambda: AsyncLedger(settings=settings())
    )


def _settings(database: str | None) -> Settings:
    return Settings(database={"url": database}) if database else Settings()


def _answer(arguments: list[str]) -> int:
    try:
        command()(args=arguments, prog_name="daicho")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        _report(error, verbose=VERBOSE in arguments)
        return 1
    return 0


def _report(error: Exception, *, verbose: bool) -> None:
    """Say in one line what went wrong; where, only if asked."""
    if verbose:
        traceback.print_exception(error)
    if isinstance(error, DaichoError):
        said = str(error)
    elif isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        more = say(f"run again with {VERBOSE} for the traceback", f"{VERBOSE} を付けると詳細を表示します")
        said = f"{type(error).__name__}: {error} ({more})"
    note("daicho: " + " ".join(said.split()))


def _speak_utf8(stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
