"""Avatars: a change and the statistics that it moves are there together, exact whoever writes, and when."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from daicho import Conflict, Invalid, Ledger
from daicho.core.errors import DaichoError
from daicho.guilds.avatars import AVATARS
from daicho.guilds.enums import AvatarHistoryType
from daicho.guilds.models import AvatarHistory, UserAvatarStats
from tests.faces import Faces

MOMENT = datetime(2026, 11, 21, 8, 18, 22, 123456, tzinfo=UTC)
USER = 555_666_777_888_999_000
AVATAR, BANNER, SERVER = (
    AvatarHistoryType.AVATAR_CHANGE,
    AvatarHistoryType.BANNER_CHANGE,
    AvatarHistoryType.SERVER_AVATAR_CHANGE,
)


def expected(history: list[AvatarHistory]) -> dict[str, Any]:
    """A user's statistics, as Python counts them."""
    avatars = sorted(change.timestamp for change in history if change.history_type in AVATARS)
    banners = sorted(change.timestamp for change in history if change.history_type is BANNER)
    formats = Counter(change.image_format for change in history if change.image_format is not None)
    last_use = {
        change.image_format: (change.timestamp, change.id)
        for change in sorted(history, key=lambda change: (change.timestamp, change.id))
    }
    days = (avatars[-1] - avatars[0]) / timedelta(days=1) if len(avatars) > 1 else 0
    return {
        "total_avatar_changes": len(avatars),
        "total_banner_changes": len(banners),
        "first_seen": min(avatars + banners),
        "last_avatar_change": max(avatars, default=None),
        "last_banner_change": max(banners, default=None),
        "most_used_format": max(formats, key=lambda name: (formats[name], last_use[name]), default=None),
        "average_change_frequency": pytest.approx(days / (len(avatars) - 1)) if len(avatars) > 1 else None,
    }


def shown(stats: UserAvatarStats | None) -> dict[str, Any]:
    assert stats is not None
    return {name: value for name, value in stats.values().items() if name not in {"id", "user_id"}}


def test_the_first_change_makes_the_statistics(face: Faces) -> None:
    assert face.guilds.get_user_avatar_stats(USER) is None
    before = datetime.now(UTC)
    made = face.guilds.record_avatar_change(
        user_id=USER,
        guild_id=123456789,
        history_type=AVATAR,
        old_avatar_url="https://old-avatar-url.com",
        new_avatar_url="https://new-avatar-url.com",
        dominant_color="#ff0000",
        image_format="png",
        image_size=45231,
    )
    assert before <= made.timestamp <= datetime.now(UTC)
    assert (made.history_type, made.guild_id, made.image_size) == (AVATAR, 123456789, 45231)
    assert shown(face.guilds.get_user_avatar_stats(user_id=USER)) == {
        "total_avatar_changes": 1,
        "total_banner_changes": 0,
        "first_seen": made.timestamp,
        "last_avatar_change": made.timestamp,
        "last_banner_change": None,
        "most_used_format": "png",
        "average_change_frequency": None,
    }
    (found,) = face.guilds.get_avatar_history(user_id=USER, limit=10)
    assert found.values() == made.values()


def test_what_is_sent_twice_is_counted_once(face: Faces) -> None:
    first = face.guilds.record_avatar_change(USER, AVATAR, image_format="png", request_id="r")
    before = shown(face.guilds.get_user_avatar_stats(USER))
    again = face.guilds.record_avatar_change(USER, BANNER, image_format="gif", request_id="r")
    assert again.values() == first.values()
    assert shown(face.guilds.get_user_avatar_stats(USER)) == before
    face.guilds.record_avatar_change(USER + 1, AVATAR, request_id="r")  # another user's own name
    assert len(face.guilds.list_avatar_changes().items) == 2


def test_a_late_change_moves_first_seen_back_and_nothing_forward(face: Faces) -> None:
    for days, kind in ((0, SERVER), (-4, AVATAR), (-1, BANNER), (-9, BANNER), (-2, "avatar_change")):
        face.guilds.record_avatar_change(USER, kind, timestamp=MOMENT + timedelta(days=days))
    stats = face.guilds.get_user_avatar_stats(USER)
    assert (stats.total_avatar_changes, stats.total_banner_changes) == (3, 2)
    assert stats.first_seen == MOMENT - timedelta(days=9)
    assert stats.last_avatar_change == MOMENT
    assert stats.last_banner_change == MOMENT - timedelta(days=1)
    assert stats.average_change_frequency == 2.0


def test_of_formats_used_as_often_the_last_one_counts(face: Faces) -> None:
    for seconds, name in ((3, "webp"), (1, "png"), (2, "png"), (0, "webp"), (9, None)):
        face.guilds.record_avatar_change(
            USER, AVATAR, image_format=name, timestamp=MOMENT + timedelta(seconds=seconds)
        )
    assert face.guilds.get_user_avatar_stats(USER).most_used_format == "webp"
    face.guilds.record_avatar_change(USER, BANNER, image_format="png", timestamp=MOMENT)
    assert face.guilds.get_user_avatar_stats(USER).most_used_format == "png"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"history_type": "hat_change"}, "history_type cannot be 'hat_change'; one of: avatar_change"),
        ({"user_id": -1}, "user_id is no Discord id"),
        ({"user_id": 2**63}, "user_id is no Discord id"),
        ({"guild_id": "7"}, "guild_id is no Discord id"),
        ({"user_id": None}, "user_id cannot be empty"),
        ({"history_type": None}, "history_type cannot be empty"),
        ({"timestamp": MOMENT.replace(tzinfo=None)}, "timestamp: .* has no time zone"),
        ({"timestamp": 0}, "timestamp must be a datetime, not int"),
        ({"image_size": 2**40}, "at most"),
        ({"image_size": -1}, "image_size is -1; 0 bytes or more"),
        ({"image_format": "p\x00g"}, "image_format has a NUL byte"),
        ({"request_id": "r" * 65}, "request_id is 65 characters long"),
        ({"request_id": ""}, "request_id is empty"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_invalid_and_leaves_nothing(
    face: Faces, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        face.guilds.record_avatar_change(**{"user_id": USER, "history_type": AVATAR, **values})
    assert face.guilds.list_avatar_changes().items == face.guilds.list_avatar_users().items == []


def test_an_empty_format_is_none(face: Faces) -> None:
    face.guilds.record_avatar_change(USER, AVATAR, image_format="png")
    for _ in range(2):
        made = face.guilds.record_avatar_change(USER, AVATAR, image_format="", image_size=0)
    assert (made.image_format, made.image_size) == (None, 0)
    assert face.guilds.get_user_avatar_stats(USER).most_used_format == "png"


@pytest.mark.parametrize("wrong", [-1, 2**63, True, "7", 1.0], ids=repr)
def test_what_is_no_id_is_named_also_by_a_question(ledger: Ledger, wrong: Any) -> None:
    for ask in (
        ledger.guilds.get_user_avatar_stats,
        ledger.guilds.get_avatar_history,
        lambda user_id: ledger.guilds.list_avatar_changes(user_id=user_id),
    ):
        with pytest.raises(Invalid, match="^user_id is no Discord id"):
            ask(wrong)
    with pytest.raises(Invalid, match="^guild_id is no Discord id"):
        ledger.guilds.list_avatar_changes(guild_id=wrong)


def refusing(ledger: Ledger, table: str, event: str) -> None:
    """Let the database itself refuse to write to a table."""
    ledger.guilds.list_avatar_users()
    with ledger.database.engine.begin() as connection:
        if ledger.database.in_threads:
            body = "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            connection.execute(text(f"CREATE TRIGGER refuse BEFORE {event} ON {table} {body}"))
            return
        body = "BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'integrity_constraint_violation'; END"
        connection.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"))
        connection.execute(
            text(f"CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()")
        )


@pytest.mark.parametrize(
    ("table", "event"), [("avatar_histories", "INSERT"), ("user_avatar_stats", "UPDATE")], ids=["row", "sums"]
)
def test_a_failure_in_the_middle_leaves_neither(ledger: Ledger, table: str, event: str) -> None:
    first = ledger.guilds.record_avatar_change(USER, AVATAR, image_format="png", timestamp=MOMENT)
    before = shown(ledger.guilds.get_user_avatar_stats(USER))
    refusing(ledger, table, event)
    with pytest.raises(Conflict, match="no room"):
        ledger.guilds.record_avatar_change(USER, AVATAR, image_format="gif")
    if table == "avatar_histories":
        with pytest.raises(Conflict, match="no room"):
            ledger.guilds.record_avatar_change(USER + 1, AVATAR)
    assert ledger.guilds.get_user_avatar_stats(USER + 1) is None
    assert shown(ledger.guilds.get_user_avatar_stats(USER)) == before
    assert [change.id for change in ledger.guilds.list_avatar_changes().items] == [first.id]


def test_it_belongs_to_the_transaction_it_is_called_in(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.begin() as tx:
        tx.guilds.record_avatar_change(USER, AVATAR)
        assert tx.guilds.get_user_avatar_stats(USER).total_avatar_changes == 1
        raise ZeroDivisionError
    assert ledger.guilds.get_user_avatar_stats(USER) is None
    with ledger.begin() as tx:
        for name in ("a", "b", "a"):
            tx.guilds.record_avatar_change(USER, AVATAR, request_id=name)
    assert ledger.guilds.get_user_avatar_stats(USER).total_avatar_changes == 2


def test_threads_count_exactly(ledger: Ledger) -> None:
    def change(number: int) -> None:
        kind = BANNER if number % 4 == 3 else AVATAR
        at = MOMENT + timedelta(minutes=number * 37 % 128)
        ledger.guilds.record_avatar_change(
            USER, kind, image_format="png" if number % 3 else "gif", timestamp=at
        )

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(change, range(128)))
    history = ledger.guilds.get_avatar_history(USER, limit=1000)
    assert len(history) == 128
    assert shown(ledger.guilds.get_user_avatar_stats(USER)) == expected(history)


def test_one_name_sent_by_many_at_once_is_one_change(ledger: Ledger) -> None:
    with ThreadPoolExecutor(16) as threads:
        made = list(
            threads.map(
                lambda number: ledger.guilds.record_avatar_change(USER, AVATAR, request_id=f"r{number % 2}"),
                range(32),
            )
        )
    assert len({change.id for change in made}) == 2
    assert ledger.guilds.get_user_avatar_stats(USER).total_avatar_changes == 2


def test_processes_count_exactly(url: str, ledger: Ledger) -> None:
    ledger.guilds.list_avatar_users()
    change = f"""
import sys
from daicho import Ledger
with Ledger({url!r}) as ledger:
    for number in range(25):
        ledger.guilds.record_avatar_change({USER}, "avatar_change" if number % 5 else "banner_change", image_format=sys.argv[1])
"""
    running = [subprocess.Popen([sys.executable, "-c", change, name]) for name in ("png", "png", "gif")]
    assert [process.wait(60) for process in running] == [0] * 3
    history = ledger.guilds.get_avatar_history(USER, limit=1000)
    assert len(history) == 75
    stats = shown(ledger.guilds.get_user_avatar_stats(USER))
    assert stats == expected(history)
    assert (stats["total_avatar_changes"], stats["most_used_format"]) == (60, "png")


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(list(AvatarHistoryType)),
        st.integers(-3, 3) | st.integers(-(10**9), 10**9),
        st.sampled_from([None, "png", "gif", "webp", ""]),
        st.sampled_from([None, None, None, "a", "b"]),
    ),
    min_size=1,
    max_size=8,
)
users = count(1)


@given(changes=CHANGES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_statistics_are_those_of_the_history(
    ledger: Ledger, changes: list[tuple[AvatarHistoryType, int, str | None, str | None]]
) -> None:
    user = next(users)
    for kind, seconds, image_format, name in changes:
        ledger.guilds.record_avatar_change(
            user,
            kind,
            image_format=image_format,
            timestamp=MOMENT + timedelta(seconds=seconds),
            request_id=name,
        )
        history = ledger.guilds.get_avatar_history(user, 1000)
        assert shown(ledger.guilds.get_user_avatar_stats(user)) == expected(history)
    names = [name for *_, name in changes]
    assert len(history) == names.count(None) + len(set(names) - {None})


def test_lists_go_page_by_page(face: Faces) -> None:
    for number in range(9):
        face.guilds.record_avatar_change(
            USER + number % 3,
            [AVATAR, BANNER, SERVER][number // 3],
            guild_id=number // 3 or None,
            timestamp=MOMENT + timedelta(seconds=number // 2),
        )

    def paged(read: Callable[..., Any], **filters: object) -> list[Any]:
        items, cursor = [], None
        while True:
            page = read(limit=2, cursor=cursor, **filters)
            items += page.items
            if (cursor := page.next) is None:
                return items

    every = paged(face.guilds.list_avatar_changes)
    assert [change.id for change in every] == [
        change.id for change in sorted(every, key=lambda change: (change.timestamp, change.id), reverse=True)
    ]
    assert len(every) == 9
    own = paged(face.guilds.list_avatar_changes, user_id=USER)
    assert [change.values() for change in own] == [
        change.values() for change in face.guilds.get_avatar_history(USER)
    ]
    assert len(face.guilds.get_avatar_history(USER, 2)) == 2
    assert {change.guild_id for change in paged(face.guilds.list_avatar_changes, guild_id=2)} == {2}
    for wanted in (BANNER, "banner_change"):
        assert len(paged(face.guilds.list_avatar_changes, history_type=wanted)) == 3
    assert [stats.user_id for stats in paged(face.guilds.list_avatar_users)] == [USER, USER + 1, USER + 2]
    assert face.guilds.list_avatar_changes(user_id=7).items == face.guilds.get_avatar_history(7) == []
    for wrong in ({"history_type": "hat"}, {"limit": 0}, {"cursor": "x"}):
        with pytest.raises(DaichoError):
            face.guilds.list_avatar_changes(**wrong)
