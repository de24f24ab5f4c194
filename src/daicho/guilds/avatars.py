"""Avatars: each change a user makes, and the statistics that are committed with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select, update
from sqlalchemy.orm import Session

from daicho.core.dialect import Insert, insert
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, operation, query
from daicho.core.page import Page, check_limit, keyset
from daicho.core.types import now, one_of, snowflake
from daicho.guilds.checking import check_amount, named_row
from daicho.guilds.enums import AvatarHistoryType
from daicho.guilds.models import REQUESTED, AvatarHistory, UserAvatarStats

AVATARS = (AvatarHistoryType.AVATAR_CHANGE, AvatarHistoryType.SERVER_AVATAR_CHANGE)
"""The changes that count as those of an avatar; the others are banners'."""
TOTALS = {True: "total_avatar_changes", False: "total_banner_changes"}
LASTS = {True: "last_avatar_change", False: "last_banner_change"}
"""The columns of ``user_avatar_stats`` that are about avatars (True), and about banners (False)."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a user's history says as a whole.

    Attributes:
        average: days from one change of an avatar to the next; None below two of them.
        image_format: the one that stands there most often, of several the one used last; None for none.
    """

    average: float | None = None
    image_format: str | None = None


class Avatars(Store[Mode]):
    """What users change of their avatars and banners (seed 004)."""

    room = "guilds"

    @operation
    def record_avatar_change(
        self,
        session: Session,
        user_id: int,
        history_type: AvatarHistoryType,
        old_avatar_url: str | None = None,
        new_avatar_url: str | None = None,
        guild_id: int | None = None,
        dominant_color: str | None = None,
        image_format: str | None = None,
        image_size: int | None = None,
        *,
        timestamp: datetime | None = None,
        request_id: str | None = None,
    ) -> AvatarHistory:
        """Record a change together with the user's statistics: both are there afterwards, or neither.

        Args:
            history_type: what was changed; a banner counts as a banner, all else as an avatar.
            guild_id: where it holds; None: everywhere.
            dominant_color: hexadecimal, ``#ff0000``.
            image_format: ``png``; an empty one is None.
            image_size: in bytes, 0 or more.
            timestamp: when; now, if None. It need not be later than the changes that are there.
            request_id: the caller's own name for this change. The second time it is sent changes
                nothing, and the first one is returned.

        Raises Invalid. Seed 004, ``record_avatar_change``.
        """
        row = named_row(
            AvatarHistory,
            user_id=user_id,
            guild_id=guild_id,
            history_type=history_type,
            old_avatar_url=old_avatar_url,
            new_avatar_url=new_avatar_url,
            dominant_color=dominant_color,
            image_format=None if image_format == "" else image_format,
            image_size=image_size,
            timestamp=now() if timestamp is None else timestamp,
            request_id=request_id,
        )
        check_amount("image_size", image_size, Text("bytes", "バイト"))
        statement = insert(session, AvatarHistory).values(row)
        once = statement.on_conflict_do_nothing(
            index_elements=["user_id", "request_id"], index_where=REQUESTED
        )
        # The statistics first: their row is the lock that a user's changes pass one by one.
        with session.begin_nested() as attempt:
            session.execute(_counted(session, user_id, row["history_type"] in AVATARS, row["timestamp"]))
            made = session.execute(once.returning(AvatarHistory)).scalar_one_or_none()
            if made is None:
                attempt.rollback()
        if made is None:
            return session.execute(_requested(user_id, request_id)).scalar_one()
        refresh(session, [user_id])
        return made

    @query
    def get_user_avatar_stats(self, session: Session, user_id: int) -> UserAvatarStats | None:
        """Return a user's statistics; None for one who has changed nothing. Raises Invalid. Seed 004."""
        this = UserAvatarStats.user_id == snowflake("user_id", user_id)
        return session.execute(select(UserAvatarStats).where(this)).scalar_one_or_none()

    @query
    def get_avatar_history(self, session: Session, user_id: int, limit: int = 10) -> list[AvatarHistory]:
        """Return a user's changes, newest first, 1 to 1,000 of them. Raises Invalid. Seed 004."""
        newest = select(AvatarHistory).where(AvatarHistory.user_id == snowflake("user_id", user_id))
        newest = newest.order_by(AvatarHistory.timestamp.desc(), AvatarHistory.id.desc())
        return list(session.execute(newest.limit(check_limit(limit))).scalars())

    @query
    def list_avatar_changes(
        self,
        session: Session,
        *,
        user_id: int | None = None,
        guild_id: int | None = None,
        history_type: AvatarHistoryType | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AvatarHistory]:
        """Return changes, newest first.

        Args:
            user_id, guild_id, history_type: only those of this user, in this guild, of this kind.
            limit: changes a page, at most 1,000.
            cursor: a former page's ``next``.

        Raises Invalid.
        """
        statement = select(AvatarHistory)
        if user_id is not None:
            statement = statement.where(AvatarHistory.user_id == snowflake("user_id", user_id))
        if guild_id is not None:
            statement = statement.where(AvatarHistory.guild_id == snowflake("guild_id", guild_id))
        if history_type is not None:
            kind = one_of("history_type", history_type, AvatarHistoryType)
            statement = statement.where(AvatarHistory.history_type == kind)
        keys = [AvatarHistory.timestamp, AvatarHistory.id]
        return keyset(session, statement, keys, limit=limit, cursor=cursor, descending=True)

    @query
    def list_avatar_users(
        self, session: Session, *, limit: int = 50, cursor: str | None = None
    ) -> Page[UserAvatarStats]:
        """Return the statistics of all users, by their ids. Arguments as for ``list_avatar_changes``."""
        return keyset(session, select(UserAvatarStats), [UserAvatarStats.user_id], limit=limit, cursor=cursor)


# -- statistics --------------------------------------------------------------------------------------


def refresh(session: Session, user_ids: Collection[int]) -> None:
    """Write into users' statistics what their histories say as a whole, where they say anything."""
    figures = _figures(session, user_ids)
    for user_id in sorted(figures):
        known = figures[user_id]
        session.execute(
            update(UserAvatarStats)
            .where(UserAvatarStats.user_id == user_id)
            .values(
                # What a history does not say may be known from before it began (an adopted user's).
                average_change_frequency=func.coalesce(
                    known.average, UserAvatarStats.average_change_frequency
                ),
                most_used_format=func.coalesce(known.image_format, UserAvatarStats.most_used_format),
            ),
            execution_options={"synchronize_session": False},
        )


def _requested(user_id: int, request_id: str | None) -> Select[AvatarHistory]:
    return select(AvatarHistory).where(
        AvatarHistory.user_id == user_id, AvatarHistory.request_id == request_id
    )


def counting(changes: Mapping[bool, Sequence[datetime]]) -> dict[str, ColumnElement[Any]]:
    """What changes at some instants, of banners (False) and of avatars (True), do to a user's statistics."""
    there = UserAvatarStats.__table__.c
    values: dict[str, ColumnElement[Any]] = {}
    for avatar, instants in changes.items():
        if instants:
            total, last = there[TOTALS[avatar]], there[LASTS[avatar]]
            latest = max(instants)
            values[TOTALS[avatar]] = total + len(instants)
            values[LASTS[avatar]] = case((or_(last.is_(None), last < latest), latest), else_=last)
    first = min(min(instants) for instants in changes.values() if instants)
    values["first_seen"] = case((there.first_seen > first, first), else_=there.first_seen)
    return values


def _counted(session: Session, user_id: int, avatar: bool, at: datetime) -> Insert:
    """The one statement that counts a change, of a user seen before or not."""
    first = {TOTALS[avatar]: 1, TOTALS[not avatar]: 0, LASTS[avatar]: at, "first_seen": at}
    statement = insert(session, UserAvatarStats).values(UserAvatarStats.row(user_id=user_id, **first))
    return statement.on_conflict_do_update(index_elements=["user_id"], set_=counting({avatar: [at]}))


def _figures(session: Session, user_ids: Collection[int]) -> dict[int, Figures]:
    """What the histories of some users say."""
    of_users = AvatarHistory.user_id.in_(user_ids)
    spans = select(
        AvatarHistory.user_id,
        func.count(),
        func.min(AvatarHistory.timestamp),
        func.max(AvatarHistory.timestamp),
    ).where(of_users, AvatarHistory.history_type.in_(AVATARS))
    averages = {
        user_id: (last - first) / DAY / (number - 1)
        for user_id, number, first, last in session.execute(spans.group_by(AvatarHistory.user_id))
        if number > 1
    }
    uses = (
        select(
            *(AvatarHistory.user_id, AvatarHistory.image_format, AvatarHistory.timestamp, AvatarHistory.id),
            func.count().over(partition_by=(AvatarHistory.user_id, AvatarHistory.image_format)).label("uses"),
        )
        .where(of_users, AvatarHistory.image_format.is_not(None))
        .subquery()
    )
    best = (uses.c.uses.desc(), uses.c.timestamp.desc(), uses.c.id.desc())
    place = func.row_number().over(partition_by=uses.c.user_id, order_by=best).label("place")
    ranked = select(uses.c.user_id, uses.c.image_format, place).subquery()
    most_used = session.execute(
        select(ranked.c.user_id, ranked.c.image_format).where(ranked.c.place == 1)
    ).all()
    formats = {row.user_id: row.image_format for row in most_used}
    return {
        user_id: Figures(averages.get(user_id), formats.get(user_id))
        for user_id in averages.keys() | formats.keys()
    }
