"""``daicho doctor``: looks at a whole installation, and says how to mend what it finds.

Each check stands by itself: one that fails, or hangs, stops no other. Nothing is changed by looking: no file
is made, no schema touched.
"""

import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from daicho import __version__, migrations
from daicho.core.engine import Database
from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.model import Base
from daicho.core.retry import translated
from daicho.core.settings import Settings
from daicho.ledger import Ledger, open_database
from daicho.ops import doctor_postgres, doctor_sqlite
from daicho.ops.doctor_places import places
from daicho.ops.doctor_settings import settings_checks, settings_origin
from daicho.ops.findings import Ask, Finding, Question, State, answers, failed, ok

SECONDS = 10
"""How long one check may take."""
DEEP_SECONDS = 24 * 3600
OLDEST_SQLITE = (3, 35)
"""RETURNING; the trigram tokenizer is a version older."""
EXTRAS = {"server": ("fastapi", "nicegui", "uvicorn"), "s3": ("obstore",), "dynamodb": ("boto3",)}
ZONE = "Asia/Tokyo"
NAMES_SHOWN = 5

OfDatabase = tuple[str, Callable[[Connection], Iterator[Finding]]]


def examine(read: Callable[[], Settings], *, deep: bool = False) -> Iterator[Finding]:
    """Look at everything, and give what is found, one after the other.

    Args:
        read: reads the settings.
        deep: look through all of the ledger too, which takes as long as it is large.
    """
    yield from _asked([("daicho", _versions), ("extras", _extras), ("time zones", _time_zones)])
    yield from _asked([("settings files", settings_origin)])
    try:
        settings = read()
        database = open_database(settings=settings)
    except DaichoError as error:
        yield failed("settings", error)
        return
    yield from _asked([("settings", partial(settings_checks, settings))])
    try:
        yield from _database(database, deep=deep)
    finally:
        database.close()
    yield from _asked(places(settings))


def _asked(checks: Sequence[tuple[str, Ask]], seconds: float = SECONDS) -> Iterator[Finding]:
    for name, ask in checks:
        yield from answers([Question(name, ask)], seconds)


# -- what it runs on ---------------------------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    yield ok("daicho", f"{__version__}, schema {migrations.HEAD}")
    yield ok("python", f"{platform.python_version()} ({sys.executable})")
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    needed = ".".join(map(str, OLDEST_SQLITE))
    yield Finding(
        "sqlite",
        State.FAIL,
        Text(
            f"{sqlite3.sqlite_version}; {needed} or later is needed",
            f"{sqlite3.sqlite_version} ({needed} 以降が必要)",
        ),
        Text("use a newer Python, or its package of SQLite", "より新しい Python か SQLite を使ってください"),
    )


def _extras() -> Iterator[Finding]:
    there = [name for name, modules in EXTRAS.items() if all(find_spec(module) for module in modules)]
    missing = [name for name in EXTRAS if name not in there]
    en, ja = ", ".join(there) or "none", ", ".join(there) or "なし"
    if missing:
        en += f"; not installed: {', '.join(missing)} (pip install 'daicho[{','.join(missing)}]')"
        ja += f"。未導入: {', '.join(missing)} (pip install 'daicho[{','.join(missing)}]')"
    yield ok("extras", en, ja)


def _time_zones() -> Iterator[Finding]:
    try:
        ZoneInfo(ZONE)
    except ZoneInfoNotFoundError:
        yield Finding(
            "time zones",
            State.FAIL,
            Text("this system has no time zone data: reports by zone fail", "タイムゾーンデータがありません"),
            Text("install tzdata (pip install tzdata)", "tzdata を入れてください (pip install tzdata)"),
        )
    else:
        yield ok("time zones", "there", "あります")


# -- the database ------------------------------------------------------------------------------------


def _database(database: Database, *, deep: bool) -> Iterator[Finding]:
    kind = doctor_sqlite if database.in_threads else doctor_postgres
    before = list(_asked([("database", partial(kind.before, database))]))
    yield from before
    if any(one.state is State.FAIL for one in before):
        return
    if database.in_memory or doctor_sqlite.is_missing(database):
        return  # there is nothing to look at yet
    seconds = DEEP_SECONDS if deep else SECONDS
    checks: list[OfDatabase] = [*kind.checks(database, deep=deep), ("schema", _schema)]
    for name, look in checks:
        (first, *more) = list(_asked([(name, partial(_looked, database, look, seconds))], seconds))
        yield first
        yield from more
        if first.state is State.FAIL and name in {"database", "schema"}:
            return
    if deep:
        yield from _asked([("usage sums", partial(_sums, database))], DEEP_SECONDS)


def _looked(
    database: Database, look: Callable[[Connection], Iterator[Finding]], seconds: int
) -> list[Finding]:
    """Look by a connection that only looks."""
    try:
        with database.watching(seconds).connect() as connection:
            return list(look(connection))
    except Exception as error:
        raise translated(error, database.place) from None


def _schema(connection: Connection) -> Iterator[Finding]:
    """Whether the schema is at head, and is what the models say."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from daicho.core.dialect import only_comparable

    revision = migrations.revision_of(connection)
    if revision != migrations.HEAD:
        yield Finding(
            "schema",
            State.FAIL,
            Text(
                f"at revision {revision or '(none)'}, Daicho needs {migrations.HEAD}",
                f"リビジョン {revision or '(なし)'}。{migrations.HEAD} が必要です",
            ),
            Text(
                "make a backup, then run: daicho db upgrade (if the database is newer: upgrade Daicho)",
                "バックアップを取り daicho db upgrade を実行 (データベースのほうが新しければ Daicho を更新)",
            ),
        )
        return
    yield ok("schema", f"at head ({revision})", f"最新です ({revision})")
    options = {"include_object": only_comparable(connection)}
    context = MigrationContext.configure(connection, opts=options)
    differences = [_named(one) for one in compare_metadata(context, Base.metadata)]
    if not differences:
        yield ok("drift", "the schema is what the models say", "スキーマはモデルと一致しています")
        return
    shown = "; ".join(differences[:NAMES_SHOWN]) + ("; …" if len(differences) > NAMES_SHOWN else "")
    yield Finding(
        "drift",
        State.WARN,
        Text(
            f"{len(differences)} differences from the models: {shown}",
            f"モデルとの差 {len(differences)} 件: {shown}",
        ),
        Text(
            "somebody has changed the schema by hand: undo it, or restore a backup into a new database"
            " (tables of other programs belong into another schema)",
            "手で変更された箇所を元に戻すか、バックアップを新しいデータベースに復元してください"
            " (他のプログラムの表は別のスキーマへ)",
        ),
    )


def _named(difference: list[Any] | tuple[Any, ...]) -> str:
    """A difference that Alembic has found, in a few words: ``remove_column calls.client_id``."""
    if isinstance(difference, list):  # of one column
        return "; ".join(_named(one) for one in difference)
    what, *of = difference
    names = [getattr(one, "name", one) for one in of]
    table = getattr(getattr(of[0], "table", None), "name", None) if of else None
    told = [table, *names] if table else names[:3]
    return f"{what} {'.'.join(str(name) for name in told if isinstance(name, str) and name)}"


def _sums(database: Database) -> Iterator[Finding]:
    """Whether the sums that reports are made of are those of the records."""
    with Ledger(database.url, settings=database.settings) as ledger:
        differing = [one for one in ledger.usage.verify() if one.differ]
    if not differing:
        yield ok("usage sums", "as the records say", "記録と一致しています")
        return
    names = ", ".join(f"{one.table} ({one.differ:,})" for one in differing)
    yield Finding(
        "usage sums",
        State.FAIL,
        Text(f"not those of the records: {names}", f"記録と一致しません: {names}"),
        Text("run: daicho usage verify --mend", "daicho usage verify --mend を実行してください"),
    )
