"""Which database errors pass by themselves, when repeating is safe, and what a caller is told.

A transaction that failed before its COMMIT was sent has left nothing behind, so it is repeated. One
whose COMMIT went unanswered may have happened: it is repeated only when doing it twice changes
nothing, and reported otherwise.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from daicho.core.errors import Conflict, DaichoError, Invalid, Outdated, Unavailable
from daicho.core.language import Text

log = logging.getLogger("daicho")

ATTEMPTS = 6
"""Tries of one transaction. With the waits between them they last two to three seconds."""

SECONDS = 8.0
"""So long after the first try no other one is begun: one that has waited for a lock, or for an answer, has
taken most of what a caller has patience for."""

STOP = stop_after_attempt(ATTEMPTS)
WAIT = wait_random_exponential(multiplier=0.05, max=1.0)
DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)

SQLSTATES_THAT_PASS = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"})
"""Serialization failure, deadlock, lock timeout, shutdown, crash, starting up, too many connections."""

TIMED_OUT = frozenset({"25P03", "25P04", "57P05"})
"""The server has ended a transaction, or a connection, that was open too long: it committed nothing."""


class CommitUnanswered(Exception):
    """The connection went while COMMIT was under way: the transaction may or may not have happened."""


class Overtaken(Exception):
    """Another transaction has changed what this one had looked up, before it was used."""


def passes(error: BaseException) -> bool:
    """Whether an error is the kind that passes by itself: locked, deadlocked, disconnected, overtaken."""
    if isinstance(error, Overtaken) or (isinstance(error, DBAPIError) and error.connection_invalidated):
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


def is_late(began: float) -> bool:
    """Whether what has begun at ``monotonic()``'s ``began`` has been tried long enough."""
    return monotonic() - began >= SECONDS


def policy(*, idempotent: bool, began: float, told: Callable[[BaseException], object]) -> dict[str, Any]:
    """tenacity's arguments: try again what may be repeated, a few times, after a random short wait.

    Args:
        idempotent: whether doing it twice changes nothing.
        began: when the first try did, by ``monotonic()``.
        told: is told of each error that is tried again.
    """
    return {
        "retry": retry_if_exception(partial(may_repeat, idempotent=idempotent)),
        "stop": lambda state: STOP(state) or is_late(began),
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
    if isinstance(error, Overtaken) and isinstance(error.__cause__, Exception):
        return translated(error.__cause__, place)
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
    said = OUTAGES.get(_outage(original, state, reason), OUTAGES["away"])
    return Unavailable(f"{place}: {said.en.format(reason)}", f"{place}: {said.ja.format(reason)}")


def _outage(original: BaseException | None, state: str | None, reason: str) -> str:
    """What keeps a database from answering: a key of ``OUTAGES``. A refused connection has no SQLSTATE."""
    code = getattr(original, "sqlite_errorcode", 0) & 0xFF
    if "unable to open database file" in reason or "readonly database" in reason:
        return "place"
    if "disk is full" in reason or state == "53100":
        return "full"
    if code == sqlite3.SQLITE_IOERR or state == "58030":
        return "disk"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "locked"
    if (state or "").startswith("28") or any(words in reason for words in NO_LOGIN):
        return "login"
    if state == "53300" or any(words in reason for words in TOO_MANY):
        return "crowded"
    return state or "away"


TOO_MANY = ("too many clients", "connection slots are reserved", "too many connections for")
"""How a server refuses a further connection."""
NO_LOGIN = ("not permitted to log in", "authentication failed", "no pg_hba.conf entry")
"""How it refuses whoever asks."""
_LOCKED = Text(
    "{}: others have been writing for too long; nothing of this was written: try again",
    "{}: ほかの書き込みが長く続いています。何も書かれていません。後でもう一度お試しください",
)
_READ_ONLY = Text(
    "{}: this server takes no writes, as a standby does, or this login may only read; nothing of this was"
    " written. Let DATABASE_URL name the primary (or all hosts, with target_session_attrs=read-write) and a"
    " login that may write",
    "{}: このサーバーはスタンバイなどで書き込みを受け付けないか、このログインが読み取り専用です。"
    "何も書かれていません。DATABASE_URL にプライマリー (または target_session_attrs=read-write を付けて"
    "全ホスト) と、書き込めるログインを指定してください",
)
_TIMED_OUT = Text(
    "{}: the server ended a transaction that was open for too long; nothing of it was saved: keep it short",
    "{}: 長く開いたままのトランザクションをサーバーが終了させました。何も保存されていません。"
    "トランザクションを短くしてください",
)
OUTAGES: Mapping[str, Text] = {
    "place": Text(
        "cannot be written ({}); check the path, its permissions and the free space",
        "書き込めません ({})。パス、権限、空き容量を確かめてください",
    ),
    "full": Text(
        "the disk is full; nothing of this was written: free some space and try again",
        "ディスクに空きがなく、何も書かれていません。空きを作ってから再度お試しください",
    ),
    "disk": Text(
        "the disk fails ({}), perhaps because it is full; nothing of this was written",
        "ディスクのエラーです ({})。空きがないのかもしれません。何も書かれていません",
    ),
    "locked": _LOCKED,
    "40001": _LOCKED,
    "40P01": _LOCKED,
    "55P03": _LOCKED,
    "login": Text(
        "login refused ({}); check user and password",
        "ログインできません ({})。ユーザー名とパスワードを確かめてください",
    ),
    "42501": Text(
        "{}: this login may not do that; do it as the tables' owner"
        " (after an upgrade, the owner runs: daicho db grant)",
        "{}。このログインには権限がありません。表の所有者で実行してください"
        " (アップグレード後は所有者が daicho db grant を実行します)",
    ),
    "crowded": Text(
        "the server takes no further connection ({}); lower database.pool.size, raise its max_connections,"
        " or try again",
        "サーバーの接続数が上限に達しています ({})。database.pool.size を減らすか、"
        "max_connections を増やすか、後でもう一度お試しください",
    ),
    "57014": Text(
        "{}: an administrator or a time limit of the server stopped this; nothing of it was written",
        "{}: 管理者またはサーバーの時間制限により中断されました。何も書かれていません",
    ),
    "25006": _READ_ONLY,
    "25P03": _TIMED_OUT,
    "25P04": _TIMED_OUT,
    "57P05": _TIMED_OUT,
    "away": Text(
        "{}; check that the database runs and DATABASE_URL is right",
        "{}。データベースが動いていること、DATABASE_URL が正しいことを確かめてください",
    ),
}
"""What is said of a database that cannot do something now, by SQLSTATE or by name; ``{}`` is its reason."""
