"""Which database errors pass by themselves, when repeating is safe, and what a caller is told.

A transaction that failed before its COMMIT was sent has left nothing behind, so it is repeated. One
whose COMMIT went unanswered may have happened: it is repeated only when doing it twice changes
nothing, and reported otherwise.
"""

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from daicho.core.errors import Conflict, DaichoError, Invalid, Outdated, Unavailable

log = logging.getLogger("daicho")

ATTEMPTS = 6
"""Tries of one transaction. With the waits between them they last two to three seconds."""

STOP = stop_after_attempt(ATTEMPTS)
WAIT = wait_random_exponential(multiplier=0.05, max=1.0)
DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)

SQLSTATES_THAT_PASS = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"})
"""Serialization failure, deadlock, lock timeout, shutdown, crash, starting up, too many connections."""


class CommitUnanswered(Exception):
    """The connection went while COMMIT was under way: the transaction may or may not have happened."""


def passes(error: BaseException) -> bool:
    """Whether an error is the kind that passes by itself: locked, deadlocked, disconnected."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.OperationalError):
        return getattr(original, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    if isinstance(original, psycopg.Error):
        if original.sqlstate is None:
            return isinstance(original, psycopg.OperationalError)
        return original.sqlstate in SQLSTATES_THAT_PASS or original.sqlstate.startswith("08")
    return False


def may_repeat(error: BaseException, *, idempotent: bool) -> bool:
    """Whether a transaction that failed so may be tried again."""
    return passes(error) or (idempotent and isinstance(error, CommitUnanswered))


def policy(*, idempotent: bool, told: Callable[[BaseException], object]) -> dict[str, Any]:
    """tenacity's arguments: try again what may be repeated, a few times, after a random short wait.

    ``told`` is told of each error that is tried again.
    """
    return {
        "retry": retry_if_exception(partial(may_repeat, idempotent=idempotent)),
        "stop": STOP,
        "wait": WAIT,
        "before_sleep": partial(_say_so, told),
        "reraise": True,
    }


def _say_so(told: Callable[[BaseException], object], state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if error is not None:
        told(error)
        log.info("repeating a transaction (try %d): %s", state.attempt_number + 1, first_line(error))


def first_line(error: BaseException) -> str:
    """An error's own first line, without SQLAlchemy's statement and parameters."""
    cause = error.__cause__ if isinstance(error, CommitUnanswered) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    return (str(original).strip().splitlines() or [type(original).__name__])[0]


def translated(error: Exception, place: str) -> Exception:
    """Return the DaichoError that says what happened; an error that is not a database's, as it is.

    ``place`` names the database without its password.
    """
    if isinstance(error, StatementError) and isinstance(error.orig, DaichoError):
        return error.orig  # raised by a column type while a value was on its way
    if isinstance(error, DaichoError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return Invalid(
            "a text has half a character (a lone surrogate)", "壊れた文字 (単独のサロゲート) があります"
        )
    reason = first_line(error)
    if isinstance(error, CommitUnanswered):
        return Unavailable(
            f"{place}: the connection was lost during commit ({reason}); whether it was saved is unknown",
            f"{place}: コミット中に接続が切れました ({reason})。保存されたかどうかは不明です",
        )
    if isinstance(error, PoolTimeoutError):
        return Unavailable(
            f"{place}: every connection is in use; raise database.pool.size or try again",
            f"{place}: 接続がすべて使用中です。database.pool.size を増やすか、後でもう一度お試しください",
        )
    if isinstance(error, (DBAPIError, *DRIVER_ERRORS)):
        return _from_driver(error.orig if isinstance(error, DBAPIError) else error, place, reason)
    if isinstance(error, SQLAlchemyError):
        return Invalid(reason)
    return error


def _from_driver(original: BaseException | None, place: str, reason: str) -> DaichoError:
    if isinstance(original, (psycopg.IntegrityError, sqlite3.IntegrityError)):
        return Conflict(f"{place}: {reason}")
    state = getattr(original, "sqlstate", None)
    missing = "no such table" in reason or "no such column" in reason or state in {"42P01", "42703"}
    if missing:
        return Outdated(
            f"{place}: {reason}; run: daicho db upgrade",
            f"{place}: {reason}。次を実行してください: daicho db upgrade",
        )
    if isinstance(original, sqlite3.DatabaseError) and not isinstance(original, sqlite3.OperationalError):
        return Invalid(
            f"{place}: {reason}; is it an SQLite database?",
            f"{place}: {reason}。SQLite のデータベースですか",
        )
    if isinstance(original, (psycopg.DataError, sqlite3.DataError)):
        return Invalid(f"{place}: {reason}")
    if "unable to open database file" in reason or "readonly database" in reason:
        return Unavailable(
            f"{place}: cannot be written ({reason}); check the path and its permissions",
            f"{place}: 書き込めません ({reason})。パスと権限を確かめてください",
        )
    if "disk is full" in reason or state == "53100":
        return Unavailable(
            f"{place}: the disk is full; nothing of this was written: free some space and try again",
            f"{place}: ディスクに空きがなく、何も書かれていません。空きを作ってから再度お試しください",
        )
    if state is not None and state.startswith("28"):
        return Unavailable(
            f"{place}: login refused ({reason}); check user and password",
            f"{place}: ログインできません ({reason})。ユーザー名とパスワードを確かめてください",
        )
    if state == "42501":
        return Unavailable(
            f"{place}: {reason}: this login may not do that; do it as the tables' owner"
            " (after an upgrade, the owner runs: daicho db grant)",
            f"{place}: {reason}。このログインには権限がありません。表の所有者で実行してください"
            " (アップグレード後は所有者が daicho db grant を実行します)",
        )
    return Unavailable(
        f"{place}: {reason}; check that the database runs and DATABASE_URL is right",
        f"{place}: {reason}。データベースが動いていること、DATABASE_URL が正しいことを確かめてください",
    )
