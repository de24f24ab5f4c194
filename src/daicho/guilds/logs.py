"""Logs: what happened in a guild."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Select, delete, func, select
from sqlalchemy.orm import Session

from daicho.core.errors import DaichoError, Invalid, located
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, grouped, operation, query
from daicho.core.page import LIMIT_MAX, Page, check_limit, keyset
from daicho.core.types import json_value, now, one_of, snowflake
from daicho.guilds.checking import Row, ago, counted, named_row, period, several
from daicho.guilds.enums import LogType
from daicho.guilds.models import REQUESTED, Log
from daicho.guilds.once import Once, insert_once

CHUNK = 1_000
"""Logs of many that are written together."""
OLDEST_FIRST = (Log.timestamp, Log.id)
NEWEST_FIRST = tuple(key.desc() for key in OLDEST_FIRST)


def write_logs(connection: Connection, rows: Sequence[Row]) -> list[Log]:
    """Write checked logs and return each as stored, in order."""
    return insert_once(connection, LOGS, rows)


def _as_read(row: Row) -> Log:
    """A log that was written, with its details as a reader gets them: a JSON string without its quotes."""
    if row["details"] is not None and not isinstance(held := json_value(row["details"]), dict | list):
        row["details"] = held if held is None or isinstance(held, str) else row["details"]
    return Log.of(row)


LOGS = Once(Log, "guild_id", "request_id", REQUESTED, _as_read)


class Logs(Store[Mode]):
    """The part of ``ledger.guilds`` that keeps logs."""

    room = "guilds"

    @grouped(write_logs)
    def create_log(
        self,
        guild_id: int,
        log_type: LogType | str,
        action: str,
        user_id: int | None = None,
        moderator_id: int | None = None,
        channel_id: int | None = None,
        details: str | Mapping[str, object] | Sequence[object] | None = None,
        *,
        timestamp: datetime | None = None,
        request_id: str | None = None,
    ) -> Row:
        """Record that something happened. A guild not seen before is registered with it.

        Args:
            guild_id: where.
            log_type: a member of the enum, or its value.
            action: what happened, in words.
            user_id, moderator_id, channel_id: to whom, by whom, in which channel.
            details: anything that JSON can hold, at most 100 levels deep, or a JSON text. Text that is no
                JSON is kept as it is. Details are read as text that says the same and may look another
                way: in objects and lists spaces and numbers are as Python writes them (``1e2`` is
                ``100.0``), and of a name that stands twice there is the last one alone. On PostgreSQL names
                may also have changed places, and great numbers are written out (``1e20``).
            timestamp: when it happened, an aware instant; now, if None.
            request_id: the caller's own name for the log, at most 64 characters: sent a second time in the
                guild it changes nothing, and the log first stored is returned.

        Returns the log as stored, once it is durable. Raises Invalid. Seed 004, ``create_log``.
        """
        return named_row(
            Log,
            guild_id=guild_id,
            log_type=log_type,
            user_id=user_id,
            moderator_id=moderator_id,
            channel_id=channel_id,
            action=action,
            details=details,
            timestamp=now() if timestamp is None else timestamp,
            request_id=request_id,
        )

    @operation
    def create_multiple_logs(self, session: Session, log_data_list: Iterable[Mapping[str, Any]]) -> list[Log]:
        """Record many logs, of any guilds, in one transaction: all of them or none.

        Args:
            log_data_list: mappings with the arguments of ``create_log`` as keys.

        Returns the logs as stored, in order. Raises what ``create_log`` raises, naming the log's number.
        Seed 004, ``create_multiple_logs``.
        """
        if not isinstance(log_data_list, Iterable):
            raise Invalid(
                f"log_data_list must be a list of mappings, not {type(log_data_list).__name__}",
                f"log_data_list はマッピングのリストです ({type(log_data_list).__name__} でした)",
            )
        rows = [self._checked(at, values) for at, values in enumerate(log_data_list, 1)]
        logs: list[Log] = []
        for start in range(0, len(rows), CHUNK):
            logs += write_logs(session.connection(), rows[start : start + CHUNK])
        return logs

    def _checked(self, at: int, values: Mapping[str, Any]) -> Row:
        """Check the ``at``-th log of many as ``create_log`` checks one."""
        if not isinstance(values, Mapping):
            reason = Invalid(
                f"must be a mapping, not {type(values).__name__}",
                f"マッピングではありません ({type(values).__name__} でした)",
            )
            raise located(reason, _log(at))
        try:
            check = cast("Callable[..., Row]", Logs.create_log.item)
            return check(self, **values)
        except TypeError as error:
            reason = Invalid(str(error).removeprefix("Logs.create_log() "))
            raise located(reason, _log(at)) from None
        except DaichoError as error:
            raise located(error, _log(at)) from None

    @query
    def get_logs(
        self, session: Session, guild_id: int, log_type: LogType | str | None = None, limit: int = 100
    ) -> list[Log]:
        """Return a guild's logs, newest first.

        Args:
            guild_id: the guild.
            log_type: only those of this type.
            limit: at most so many, 1 to 1,000.

        Raises Invalid. Seed 004, ``get_logs``.
        """
        statement = _of_guild(guild_id)
        if log_type is not None:
            statement = statement.where(Log.log_type == one_of("log_type", log_type, LogType))
        return _newest(session, statement, limit)

    @query
    def get_recent_logs(
        self, session: Session, guild_id: int, hours: float = 24, *, limit: int = 1000
    ) -> list[Log]:
        """Return a guild's logs of the last ``hours``, newest first.

        At most ``limit`` of them, which is 1,000 or less. Seed 004, ``get_recent_logs``.
        """
        since = ago("hours", hours, timedelta(hours=1))
        return _newest(session, _of_guild(guild_id).where(Log.timestamp >= since), limit)

    @query
    def get_logs_paginated(
        self, session: Session, guild_id: int, page: int = 1, per_page: int = 50
    ) -> tuple[list[Log], int]:
        """Return one page of a guild's logs, newest first, and how many logs it has.

        Counting takes longest, on every page alike; ``list_logs`` goes through many logs without it.

        Args:
            guild_id: the guild.
            page: 1 is the newest. One after the last is empty.
            per_page: 1 to 1,000.

        Raises Invalid. Seed 004, ``get_logs_paginated``.
        """
        before = (counted("page", page) - 1) * counted("per_page", per_page, LIMIT_MAX)
        mine = Log.guild_id == snowflake("guild_id", guild_id)
        total = session.execute(select(func.count()).select_from(Log).where(mine)).scalar_one()
        number = min(per_page, total - before)
        if number <= 0:
            return [], total
        # By the index alone, from the nearer end, to the page's place; only then the logs themselves.
        behind = total - before - number
        order, skipped = (NEWEST_FIRST, before) if before <= behind else (OLDEST_FIRST, behind)
        keys = select(Log.id).where(mine).order_by(*order).limit(number).offset(skipped).subquery()
        logs = session.execute(select(Log).join(keys, keys.c.id == Log.id).order_by(*NEWEST_FIRST))
        return list(logs.scalars()), total

    @query
    def list_logs(
        self,
        session: Session,
        guild_id: int | None = None,
        *,
        log_type: LogType | str | Iterable[LogType | str] | None = None,
        user_id: int | None = None,
        moderator_id: int | None = None,
        channel_id: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Log]:
        """Return logs, newest first.

        Args:
            guild_id, user_id, moderator_id, channel_id: only those of it.
            log_type: only those of this type, or of one of these.
            since, until: only those of at or after, and before, these aware instants.
            limit: logs a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        statement = select(Log) if guild_id is None else _of_guild(guild_id)
        if log_type is not None:
            statement = statement.where(Log.log_type.in_(several("log_type", log_type, LogType)))
        for column, wanted in (
            (Log.user_id, user_id),
            (Log.moderator_id, moderator_id),
            (Log.channel_id, channel_id),
        ):
            if wanted is not None:
                statement = statement.where(column == snowflake(column.key, wanted))
        statement = statement.where(*period(Log.timestamp, since, until))
        return keyset(session, statement, OLDEST_FIRST, limit=limit, cursor=cursor, descending=True)

    @operation
    def cleanup_old_logs(
        self, session: Session, days: float = 30, *, guild_id: int | None = None, limit: int | None = None
    ) -> int:
        """Delete logs of more than ``days`` ago, in one transaction.

        Args:
            days: how many days of logs stay.
            guild_id: only this guild's.
            limit: at most so many, the oldest first: for those who clean in steps.

        Returns how many were deleted. Raises Invalid. Seed 004, ``cleanup_old_logs``.
        """
        old = [Log.timestamp < ago("days", days, timedelta(days=1))]
        if guild_id is not None:
            old.append(Log.guild_id == snowflake("guild_id", guild_id))
        if limit is not None:
            oldest = select(Log.id).where(*old).order_by(*OLDEST_FIRST).limit(counted("limit", limit))
            old = [Log.id.in_(oldest.scalar_subquery())]
        return session.connection().execute(delete(Log).where(*old)).rowcount


# -- shared statements ---------------------------------------------------------------------------


def _log(at: int) -> Text:
    return Text(f"log {at}", f"{at} 件目")


def _of_guild(guild_id: int) -> Select[Log]:
    return select(Log).where(Log.guild_id == snowflake("guild_id", guild_id))


def _newest(session: Session, statement: Select[Log], limit: int) -> list[Log]:
    return list(session.execute(statement.order_by(*NEWEST_FIRST).limit(check_limit(limit))).scalars())
