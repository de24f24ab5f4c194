"""Why the database refused something, in one word of a small number: what errors are counted by."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from daicho.core.retry import CommitUnanswered

SQLSTATES = {
    "40001": "serialization",
    "40P01": "deadlock",
    "55P03": "lock_timeout",
    "57014": "cancelled",
    "57P01": "shutdown",
    "57P02": "shutdown",
    "57P03": "starting",
    "53100": "disk_full",
    "53300": "too_many_connections",
    "42501": "permission",
}
CLASSES = {"08": "disconnected", "22": "value", "23": "constraint", "28": "permission"}
"""Reasons by the first two characters of the SQLSTATE."""
SQLITE_CODES = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_CONSTRAINT: "constraint",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR: "input_output",
    sqlite3.SQLITE_READONLY: "permission",
    sqlite3.SQLITE_CANTOPEN: "permission",
    sqlite3.SQLITE_INTERRUPT: "cancelled",
}


def reason(error: BaseException) -> str:
    """Return the reason of an error: ``deadlock``, ``busy``, ``disconnected``, … or ``other``."""
    if isinstance(error, PoolTimeoutError):
        return "no_connection"
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "disconnected"
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return "other" if code is None else SQLITE_CODES.get(code & 0xFF, "other")
    if isinstance(original, psycopg.Error):
        state = original.sqlstate
        if state is None:
            return "disconnected" if isinstance(original, psycopg.OperationalError) else "other"
        return SQLSTATES.get(state) or CLASSES.get(state[:2], "other")
    return "commit_unanswered" if isinstance(error, CommitUnanswered) else "other"
