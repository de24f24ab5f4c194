"""Which database errors pass by themselves, when repeating is safe, and what a caller is told.

A transaction that failed before its COMMIT was sent has left nothing behind, so it is repeated. One
whose COMMIT went unanswered may have happened: it is repeated only when doing it twice changes
nothing, and reported otherwise.
"""

import logging
import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import RetryCallState, stop_after_attempt, wait_random_exponential

from daicho.core.errors import Conflict, DaichoError, Invalid, Outdated, Unavailable

log = logging.getLogger("daicho")

ATTEMPTS = 6
"""Tries of one transaction. With the waits between them they last two to three seconds."""

STOP = stop_after_attempt(ATTEMPTS)
WAIT = wait_random_exponential(multiplier=0.05, max=1.0)

SQLSTATES_THAT_PASS = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"})
"""Serialization failure, deadlock, lock timeout, shutdown, crash, starting up, too many connections."""


class CommitUnanswered(Exception):
    """The connection went while COMMIT was under way: the transaction may or may not have happened."""


def passes(error: BaseException) -> bool:
    """Whether an error is the kind that passes by itself: locked, deadlocked, disconnected."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return getattr(original, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    if isinstance(original, psycopg.Error):
        if original.sqlstate is None:
            return isinstance(original, psycopg.OperationalError)
        return original.sqlstate in SQLSTATES_THAT_PASS or original.sqlstate.startswith("08")
    return False


def should_repeat(state: RetryCallState, *, idempotent: bool) -> bool:
    """tenacity's question after each try."""
    error = state.outcome.exception() if state.outcome else None
    if error is None:
        return False
    again = passes(error) or (idempotent and isinstance(error, CommitUnanswered))
    if again and state.attempt_number < ATTEMPTS:
        log.info("repeating a transaction (try %d): %s", state.attempt_number + 1, first_line(error))
    return again


def first_line(error: BaseException) -> str:
    """An error's own first line, without SQLAlchemy's statement and parameters."""
    cause = error.__cause__ if isinstance(error, CommitUnanswered) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    return (str(original).strip().splitlines() or [type(original).__name__])[0]


def translated(error: Exception, place: str) -> Exception:
    """Return the DaichoError that says what happened; an error that is not a database's, as it is.

    ``place`` names the database without its password.
    """
    if isinstance(error, DaichoError):
        return error
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
    if isinstance(error, IntegrityError):
        return Conflict(f"{place}: {reason}")
    if isinstance(error, DBAPIError):
        return _from_driver(error, place, reason)
    if isinstance(error, SQLAlchemyError):
        return Invalid(reason)
    return error


def _from_driver(error: DBAPIError, place: str, reason: str) -> DaichoError:
    original = error.orig
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
    if state is not None and state.startswith("28"):
        return Unavailable(
            f"{place}: login refused ({reason}); check user and password",
            f"{place}: ログインできません ({reason})。ユーザー名とパスワードを確かめてください",
        )
    return Unavailable(
        f"{place}: {reason}; check that the database runs and DATABASE_URL is right",
        f"{place}: {reason}。データベースが動いていること、DATABASE_URL が正しいことを確かめてください",
    )
