"""Users' statistics, as an adoption brings them: what the history counts, and what a bot knew beyond it.

At every commit a user's totals are the changes of the history that are there, and those that were counted
but are in no history. So whatever interrupts an adoption, statistics and history fit together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from daicho.core.bulk import insert_many
from daicho.core.dialect import insert
from daicho.guilds.adoption_rows import OldRow
from daicho.guilds.adoption_tables import STATISTICS
from daicho.guilds.avatars import AVATARS, LASTS, TOTALS, counting, refresh
from daicho.guilds.models import AvatarHistory, UserAvatarStats

Row = dict[str, Any]
UNSEEN = {"synchronize_session": False}
"""No row that a statement changes is in the session."""


def hold_users(session: Session, rows: Sequence[OldRow]) -> None:
    """Keep everybody else from changing users' statistics until the transaction ends."""
    first: dict[int, Any] = {}
    for row in rows:
        user_id, at = row.values["user_id"], row.values["timestamp"]
        first[user_id] = min(first.get(user_id, at), at)
    statement = insert(session, UserAvatarStats)
    locked = statement.on_conflict_do_update(
        index_elements=["user_id"], set_={"user_id": statement.excluded.user_id}
    )
    session.execute(locked, [{"user_id": user_id, "first_seen": first[user_id]} for user_id in sorted(first)])


def insert_histories(session: Session, rows: Sequence[Row]) -> int:
    """Insert changes and count them. The caller holds the users."""
    if not rows:
        return 0
    added = insert_many(session, AvatarHistory, rows)
    changes: dict[int, dict[bool, list[datetime]]] = {}
    for row in rows:
        of_user = changes.setdefault(row["user_id"], {True: [], False: []})
        of_user[row["history_type"] in AVATARS].append(row["timestamp"])
    for user_id, instants in changes.items():
        statement = update(UserAvatarStats).where(UserAvatarStats.user_id == user_id)
        session.execute(statement.values(counting(instants)), execution_options=UNSEEN)
    refresh(session, changes.keys())
    return added


def beyond_history(row: Row, counted: Mapping[tuple[int, bool], int]) -> Row:
    """A user's statistics without what the history says better: that is added with the history."""
    wanted = dict(row)
    complete = True
    for avatar, total in TOTALS.items():
        beyond = row[total] - counted.get((row["user_id"], avatar), 0)
        wanted[total] = max(beyond, 0)
        if beyond <= 0:
            wanted[LASTS[avatar]] = None
        complete &= beyond <= 0
    if complete:
        wanted |= {"most_used_format": None, "average_change_frequency": None}
    return wanted


def in_histories(session: Session, user_ids: Sequence[int]) -> dict[tuple[int, bool], int]:
    """How many changes the ledger has of users, of banners (False) and avatars (True)."""
    is_avatar = case((AvatarHistory.history_type.in_(AVATARS), 1), else_=0)
    statement = select(AvatarHistory.user_id, is_avatar, func.count())
    statement = statement.where(AvatarHistory.user_id.in_(user_ids)).group_by(
        AvatarHistory.user_id, is_avatar
    )
    return {(user_id, bool(avatar)): number for user_id, avatar, number in session.execute(statement)}


def merge(
    session: Session, held: Mapping[str, Any], wanted: Row, here: Mapping[tuple[int, bool], int]
) -> None:
    """Let statistics that are there know what a bot knew beyond the history; twice changes nothing."""
    there = STATISTICS.table.c
    changes: dict[str, Any] = {
        name: func.coalesce(there[name], wanted[name])
        for name in ("most_used_format", "average_change_frequency")
    }
    for avatar, total in TOTALS.items():
        known_beyond = held[total] - here.get((held["user_id"], avatar), 0)
        changes[total] = there[total] + max(wanted[total] - known_beyond, 0)
        changes[LASTS[avatar]] = max(filter(None, (held[LASTS[avatar]], wanted[LASTS[avatar]])), default=None)
    changes["first_seen"] = min(held["first_seen"], wanted["first_seen"])
    statement = update(UserAvatarStats).where(UserAvatarStats.user_id == held["user_id"])
    session.execute(statement.values(changes), execution_options=UNSEEN)
