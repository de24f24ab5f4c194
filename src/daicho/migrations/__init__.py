"""The schema's history, and the check that database and code fit together.

``alembic`` at the repository's root and ``daicho db`` run the same history from here.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.errors import Outdated

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "20261121_12"
"""The newest revision. A test keeps it equal to the last file under ``versions/``."""

UNFINISHED = "daicho_copy"
"""The table that stands in a database while a ledger is copied into it (``daicho db copy``)."""

FOLDER = Path(__file__).parent


def prepare(database: Database) -> None:
    """Make sure that a database is at ``HEAD``; set up an SQLite database that is still empty.

    Raises Outdated, with the command that helps, when it is at another revision.
    """
    revision, tables = _state(database)
    if revision == HEAD:
        return
    if not tables and database.in_threads:
        run(database, "upgrade", "head")
        return
    raise _mismatch(database.place, revision, tables)


def current(database: Database) -> str | None:
    """Return the revision that a database is at; None if it has none."""
    return _state(database)[0]


def revision(session: Session) -> str | None:
    """The revision that a session's database is at."""
    found: str | None = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def revision_of(connection: Connection) -> str | None:
    """As ``revision``, by a connection; None where there is no history at all."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _state(database: Database) -> tuple[str | None, set[str]]:
    with database.engine.connect().execution_options(writes=False) as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return None, tables
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return revision, tables


def _mismatch(place: str, revision: str | None, tables: set[str]) -> Outdated:
    known = {path.stem for path in (FOLDER / "versions").glob("*.py")}
    if UNFINISHED in tables:
        return Outdated(
            f"{place}: a copy into it has not been finished; run the same daicho db copy again",
            f"{place}: コピーが途中です。同じ daicho db copy をもう一度実行してください",
        )
    older = sorted(tables & {"tasks", "human_members", "virtual_members"})
    if revision is None and older and "calls" not in tables:
        shown = ", ".join(older)
        texts = "tasks" in tables
        return Outdated(
            f"{place}: has tables of an older system ({shown}) and no revision; run: daicho db upgrade"
            + (" (or, if its times are texts: daicho tasks adopt FILE)" if texts else ""),
            f"{place}: 旧システムの表 ({shown}) があり、リビジョンがありません。"
            "次を実行してください: daicho db upgrade"
            + (" (日時が文字列なら daicho tasks adopt FILE)" if texts else ""),
        )
    bots = {"ticket", "guildsettings"} & tables or {"tickets", "guild_settings"} <= tables
    if revision is None and bots and "calls" not in tables:
        return Outdated(
            f"{place}: is a Discord bot's database; give it another name, then bring it over into a new one:"
            " daicho guilds adopt FILE",
            f"{place}: Discord ボットのデータベースです。ファイル名を変えてから、"
            "新しいデータベースに取り込んでください: daicho guilds adopt FILE",
        )
    if revision is None and tables - {"alembic_version"}:
        shown = ", ".join(sorted(tables)[:5])
        return Outdated(
            f"{place}: has tables ({shown}) but no revision; is it a Daicho database?",
            f"{place}: 表 ({shown}) はありますがリビジョンがありません。Daicho のデータベースですか",
        )
    if revision is not None and revision not in known:
        return Outdated(
            f"{place}: is at revision {revision}, newer than this Daicho ({HEAD}); upgrade Daicho",
            f"{place}: リビジョン {revision} は、この Daicho ({HEAD}) より新しいものです。"
            "Daicho を更新してください",
        )
    return Outdated(
        f"{place}: is at revision {revision or '(none)'}, Daicho needs {HEAD}; run: daicho db upgrade",
        f"{place}: リビジョン {revision or '(なし)'} です。{HEAD} が必要です。"
        "次を実行してください: daicho db upgrade",
    )


def config(database: Database) -> "Config":
    """Return Alembic's configuration for a database, as ``alembic.ini`` at the root gives it."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("file_template", "%%(rev)s")
    made.attributes["database"] = database
    return made


def run(database: Database, command: str, *arguments: object, **options: object) -> None:
    """Run one of Alembic's commands (``upgrade``, ``downgrade``, ``current`` …) on a database.

    Raises Outdated for a revision that does not exist.
    """
    from alembic import command as commands
    from alembic.util import CommandError

    try:
        getattr(commands, command)(config(database), *arguments, **options)
    except CommandError as error:
        raise Outdated(f"{database.place}: {error}") from None
