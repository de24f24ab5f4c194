"""``daicho db``: the schema's revisions. Alembic's commands, for who has installed the wheel."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from daicho import migrations
from daicho.cli import db_backup, db_clean, db_copy
from daicho.core.engine import Database
from daicho.core.language import say
from daicho.core.retry import translated
from daicho.core.terminal import Terminal, note, put
from daicho.ledger import AsyncLedger, Ledger, open_database
from daicho.migrations import grants

app = typer.Typer(
    help=say("The database's schema: Alembic's commands.", "データベースのスキーマ: Alembic のコマンド。"),
    no_args_is_help=True,
)

RELATIVE = {"ignore_unknown_options": True}
"""Lets ``-1`` be an argument."""

Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help=say("Show each revision's details.", "各リビジョンの詳細も表示する。")
    ),
]


@app.command(
    help=say("Bring the schema to a later revision.", "スキーマを新しいリビジョンへ進める。"),
    context_settings=RELATIVE,
)
def upgrade(
    context: typer.Context,
    revision: Annotated[
        str,
        typer.Argument(metavar="REV", help=say("A revision, head, or +1.", "リビジョン、head、または +1。")),
    ] = "head",
) -> None:
    with _database(context) as database:
        migrations.run(database, "upgrade", revision)


@app.command(
    help=say("Bring the schema back to an earlier revision.", "スキーマを前のリビジョンへ戻す。"),
    context_settings=RELATIVE,
)
def downgrade(
    context: typer.Context,
    revision: Annotated[
        str,
        typer.Argument(metavar="REV", help=say("A revision, base, or -1.", "リビジョン、base、または -1。")),
    ],
) -> None:
    with _database(context) as database:
        migrations.run(database, "downgrade", revision)


@app.command(
    help=say("Show the revision that the database is at.", "データベースの現在のリビジョンを表示する。")
)
def current(context: typer.Context, verbose: Verbose = False) -> None:
    with _database(context) as database:
        migrations.run(database, "current", verbose=verbose)


@app.command(help=say("List the revisions, latest first.", "リビジョンを新しい順に一覧する。"))
def history(
    context: typer.Context,
    rev_range: Annotated[
        str | None,
        typer.Option("--rev-range", "-r", metavar="FROM:TO", help=say("Only these.", "この範囲のみ。")),
    ] = None,
    verbose: Verbose = False,
    indicate_current: Annotated[
        bool,
        typer.Option(
            "--indicate-current",
            "-i",
            help=say("Mark the database's own.", "データベースの現在位置に印を付ける。"),
        ),
    ] = False,
) -> None:
    with _database(context) as database:
        migrations.run(
            database, "history", rev_range=rev_range, verbose=verbose, indicate_current=indicate_current
        )


@app.command(help=say("Write a new revision's file.", "新しいリビジョンのファイルを作る。"))
def revision(
    context: typer.Context,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help=say("What it does.", "説明。"))
    ] = None,
    autogenerate: Annotated[
        bool,
        typer.Option(
            "--autogenerate",
            help=say("From how models and database differ.", "モデルとデータベースの差から作る。"),
        ),
    ] = False,
) -> None:
    with _database(context) as database:
        migrations.run(database, "revision", message=message, autogenerate=autogenerate)


@app.command(
    help=say(
        "Print, or apply, what each role of a PostgreSQL database needs and no more: the owner migrates,"
        " the application records, a third reads. Run it again after each upgrade.",
        "PostgreSQL の各ロール (所有者、アプリ、読み取り専用) に必要最小限の権限を与える SQL を"
        "表示または適用する。アップグレードのたびに実行する。",
    )
)
def grant(
    context: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply", help=say("Run it instead of printing it.", "表示せずに実行する。"))
    ] = False,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help=say(
                "Who owns and migrates the tables; who owns them now, if not given.",
                "表を所有しマイグレーションを行うロール。省略時は現在の所有者。",
            ),
        ),
    ] = None,
    app_role: Annotated[
        str,
        typer.Option(
            "--app", metavar="ROLE", help=say("Who the application logs in as.", "アプリのログインロール。")
        ),
    ] = "daicho_app",
    read_only: Annotated[
        str,
        typer.Option(
            metavar="ROLE",
            help=say("Who reads all tenants and writes nothing.", "全テナントを読み取るだけのロール。"),
        ),
    ] = "daicho_readonly",
) -> None:
    roles = grants.Roles(app=app_role, read_only=read_only, owner=owner)
    with _database(context) as database:
        if not apply:
            put(grants.script(grants.statements(database, roles)))
            return
        grants.apply(database, roles)
        note(
            say(
                f"done; set passwords with \\password in psql, then let the application log in as {app_role}",
                f"完了しました。psql の \\password でパスワードを設定し、"
                f"アプリを {app_role} でログインさせてください",
            )
        )


app.add_typer(db_copy.app)
app.add_typer(db_backup.app)
app.add_typer(db_clean.app)


@contextmanager
def _database(context: typer.Context) -> Iterator[Database]:
    """Open the database without asking for a certain revision; say what the migrations do."""
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    database = open_database(settings=terminal.settings())
    steps = logging.StreamHandler(sys.stderr)
    steps.addFilter(lambda record: record.getMessage().startswith("Running"))
    log = logging.getLogger("alembic.runtime.migration")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(steps)
    try:
        yield database
    except Exception as error:
        raise translated(error, database.place) from None
    finally:
        log.removeHandler(steps)
        database.close()
