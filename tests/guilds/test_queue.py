"""The music queue: positions are 1 to n, and what is taken is taken once."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, func, insert, select, text, update

from daicho import Invalid, Ledger
from daicho.guilds.models import GuildSettings, Queue, Track
from daicho.guilds.schemas import QueueOut
from tests.faces import Faces

GUILD, OTHER = 123456789012345678, 2**63 - 1


def track(face: Any, title: str, guild: int = GUILD) -> int:
    made: int = face.guilds.create_track(guild, title, "artist", f"https://example.com/{title}", 100, 555).id
    return made


def fill(face: Any, titles: str = "abcde", guild: int = GUILD) -> dict[str, int]:
    """Queue a track for each letter; return the entries' ids."""
    return {title: face.guilds.add_to_queue(guild, track(face, title, guild), 555).id for title in titles}


def shown(face: Any, guild: int = GUILD) -> str:
    """The queue's titles in order, once it is seen that its positions are 1 to n."""
    queue = face.guilds.get_guild_queue(guild)
    assert [entry.position for entry in queue] == list(range(1, len(queue) + 1))
    return "".join(entry.track.title for entry in queue)


# -- one at a time -----------------------------------------------------------------------------------


def test_entries_are_added_at_the_end_or_where_it_is_said(face: Faces) -> None:
    fill(face, "ab")
    for title, position, at in (("c", 1, 1), ("d", 2, 2), ("e", 5, 5), ("f", 99, 6), ("g", 2**40, 7)):
        entry = face.guilds.add_to_queue(GUILD, track(face, title), 777, position=position)
        assert (entry.position, entry.track.title, entry.added_by) == (at, title, 777)
    assert shown(face) == "cdabefg"
    assert [entry.track.title for entry in face.guilds.get_guild_queue(GUILD, limit=2)] == ["c", "d"]
    for wrong in (0, -1, True, "1"):
        with pytest.raises(Invalid, match="position"):
            face.guilds.add_to_queue(GUILD, track(face, "h"), 777, position=wrong)
    assert shown(face) == "cdabefg"


def test_only_the_guilds_own_tracks_are_queued(face: Faces) -> None:
    own, foreign = track(face, "a"), track(face, "b", OTHER)
    assert face.guilds.add_to_queue(GUILD, foreign, 555) is None
    assert face.guilds.add_to_queue(GUILD, 2**70, 555) is None
    assert face.guilds.add_to_queue(42, own, 555) is None
    assert (shown(face), shown(face, OTHER)) == ("", "")
    with pytest.raises(Invalid, match="added_by is no Discord id"):
        face.guilds.add_to_queue(GUILD, own, -5)
    with pytest.raises(Invalid, match="request_id is empty"):
        face.guilds.add_to_queue(GUILD, own, 555, request_id="")


def test_an_entry_sent_twice_is_there_once(face: Faces) -> None:
    one, two = track(face, "a"), track(face, "b")
    first = face.guilds.add_to_queue(GUILD, one, 555, request_id="r-1")
    face.guilds.add_to_queue(GUILD, two, 555, position=1)
    again = face.guilds.add_to_queue(GUILD, two, 777, position=1, request_id="r-1")
    assert (again.id, again.track.title, again.added_by, again.position) == (first.id, "a", 555, 2)
    assert shown(face) == "ba"
    other = face.guilds.add_to_queue(OTHER, track(face, "c", OTHER), 555, request_id="r-1")
    assert other.track.title == "c"


def test_looking_takes_nothing(face: Faces) -> None:
    assert face.guilds.get_next_in_queue(GUILD) is None
    fill(face, "ab")
    for _ in range(2):
        assert face.guilds.get_next_in_queue(GUILD).track.title == "a"
    assert QueueOut.model_validate(face.guilds.get_next_in_queue(GUILD)).track.title == "a"
    assert shown(face) == "ab"


def test_entries_are_removed_and_moved(face: Faces) -> None:
    ids = fill(face)
    foreign = fill(face, "x", OTHER)["x"]
    assert face.guilds.remove_from_queue(GUILD, ids["b"]) is True
    assert face.guilds.remove_from_queue(GUILD, ids["b"]) is False
    assert shown(face) == "acde"
    for title, position, then in (
        ("d", 1, "dace"),
        ("d", 3, "acde"),
        ("a", 2, "cade"),
        ("a", 2, "cade"),
        ("c", 99, "adec"),
    ):
        assert face.guilds.move_in_queue(GUILD, ids[title], position) is True
        assert shown(face) == then
    for unknown in (foreign, 999_999, 2**70, -1):
        assert face.guilds.remove_from_queue(GUILD, unknown) is False
        assert face.guilds.move_in_queue(GUILD, unknown, 1) is False
    with pytest.raises(Invalid, match="position is 0; 1 or more"):
        face.guilds.move_in_queue(GUILD, ids["a"], 0)
    assert (shown(face), shown(face, OTHER)) == ("adec", "x")


def test_the_id_of_an_entry_that_is_gone_is_never_anothers(face: Faces) -> None:
    fill(face, "ab")
    gone = [face.guilds.take_next(GUILD).entry.id, face.guilds.take_next(GUILD).entry.id]
    track_gone = track(face, "c")
    face.guilds.clear_guild_tracks(GUILD)
    fill(face, "de")
    assert not any(face.guilds.remove_from_queue(GUILD, entry) for entry in gone)
    assert face.guilds.add_to_queue(GUILD, track_gone, 555) is None
    assert shown(face) == "de"


def test_a_queue_is_cleared_and_its_tracks_stay(face: Faces) -> None:
    fill(face, "abc")
    fill(face, "x", OTHER)
    face.guilds.create_session(GUILD, 1, 2)
    playing = face.guilds.take_next(GUILD).track.id
    assert face.guilds.clear_queue(GUILD) == 2
    assert face.guilds.clear_queue(GUILD) == 0
    assert (shown(face), shown(face, OTHER)) == ("", "x")
    assert len(face.guilds.list_tracks(GUILD)) == 3
    assert face.guilds.get_music_session(GUILD).current_track_id == playing


def test_shuffling_gives_every_order(ledger: Ledger) -> None:
    fill(ledger, "abc")
    fill(ledger, "xyz", OTHER)
    seen: Counter[str] = Counter()
    while len(seen) < 6:
        assert ledger.guilds.shuffle_queue(GUILD) == 3
        seen[shown(ledger)] += 1
        assert seen.total() < 200, seen  # each order comes once in six: 200 times without one do not happen
    assert shown(ledger, OTHER) == "xyz"
    assert ledger.guilds.shuffle_queue(42) == 0


def test_a_long_queue_is_shuffled_whole(ledger: Ledger) -> None:
    one = track(ledger, "a")
    rows = [{"guild_id": GUILD, "track_id": one, "position": n, "added_by": n} for n in range(1, 3_001)]
    with ledger.database.engine.begin() as connection:
        connection.execute(insert(Queue), rows)
    assert ledger.guilds.shuffle_queue(GUILD) == 3_000
    with ledger.database.engine.connect() as connection:
        by_position = select(Queue.position, Queue.added_by).order_by(Queue.position)
        places, who = zip(*connection.execute(by_position), strict=True)
    assert list(places) == list(range(1, 3_001)) == sorted(who)
    assert list(who) != sorted(who)


# -- taking ------------------------------------------------------------------------------------------


def take(face: Any) -> str | None:
    """Take; return the title, once it is seen that it is what plays. ``*`` marks what came of no entry."""
    taken = face.guilds.take_next(GUILD)
    playing = face.guilds.get_music_session(GUILD)
    if playing is not None:
        assert playing.current_track_id == (None if taken is None else taken.track.id)
    if taken is None:
        return None
    if taken.entry is not None:
        assert (taken.entry.position, taken.entry.track.title) == (1, taken.track.title)
    return taken.track.title + ("*" if taken.entry is None else "")


def test_taking_removes_what_is_next(face: Faces) -> None:
    fill(face, "abc")
    assert take(face) == "a", "also where there is no session"
    assert shown(face) == "bc"
    face.guilds.create_session(GUILD, 1, 2)
    assert [take(face) for _ in range(4)] == ["b", "c", None, None]
    assert shown(face) == ""


def test_taking_in_a_circle_puts_what_was_next_behind_the_others(face: Faces) -> None:
    ids = fill(face, "abc")
    face.guilds.create_session(GUILD, 1, 2)
    face.guilds.set_loop_mode(GUILD, "queue")
    assert [take(face) for _ in range(4)] == ["a", "b", "c", "a"]
    assert shown(face) == "bca"
    assert {entry.id for entry in face.guilds.get_guild_queue(GUILD)} == set(ids.values())
    face.guilds.clear_queue(GUILD)
    assert take(face) is None


def test_taking_a_repeated_track_leaves_the_queue_alone(face: Faces) -> None:
    fill(face, "abc")
    face.guilds.create_session(GUILD, 1, 2)
    face.guilds.set_loop_mode(GUILD, "track")
    assert [take(face) for _ in range(3)] == ["a", "a*", "a*"], "nothing played yet: the first is taken"
    assert shown(face) == "bc"
    face.guilds.update_session_current_track(GUILD, None)
    assert [take(face), take(face)] == ["b", "b*"]
    face.guilds.set_loop_mode(GUILD, "none")
    assert take(face) == "c"


# -- changes from elsewhere --------------------------------------------------------------------------

CHANGES: dict[str, tuple[Callable[[Any, dict[str, int]], object], str]] = {
    "add": (lambda face, _: face.guilds.add_to_queue(GUILD, track(face, "f"), 555), "acef"),
    "add first": (lambda face, _: face.guilds.add_to_queue(GUILD, track(face, "f"), 5, position=1), "face"),
    "add third": (lambda face, _: face.guilds.add_to_queue(GUILD, track(face, "f"), 5, position=3), "acfe"),
    "add none": (lambda face, _: face.guilds.add_to_queue(GUILD, 999_999, 555), "ace"),
    "remove": (lambda face, ids: face.guilds.remove_from_queue(GUILD, ids["c"]), "ae"),
    "remove what went": (lambda face, ids: face.guilds.remove_from_queue(GUILD, ids["b"]), "ace"),
    "move": (lambda face, ids: face.guilds.move_in_queue(GUILD, ids["e"], 2), "aec"),
    "move where it was": (lambda face, ids: face.guilds.move_in_queue(GUILD, ids["c"], 2), "ace"),
    "take": (lambda face, _: face.guilds.take_next(GUILD), "ce"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_gaps_that_deleted_tracks_leave_are_closed_by_the_next_change(ledger: Ledger, change: str) -> None:
    ids = fill(ledger)
    with ledger.database.engine.begin() as connection:
        connection.execute(delete(Track).where(Track.title.in_(["b", "d"])))
    assert [entry.position for entry in ledger.guilds.get_guild_queue(GUILD)] == [1, 3, 5]
    act, then = CHANGES[change]
    act(ledger, ids)
    assert shown(ledger) == then


@pytest.mark.parametrize("kept", [[0, 1, 2], [7, 8, 9], [1, 1, 2], [1, 2, 2], [-3, 5, 5], [1, 3, 3]], ids=str)
def test_positions_that_others_wrote_are_put_right_in_their_order(ledger: Ledger, kept: list[int]) -> None:
    ids = fill(ledger, "abc")
    with ledger.database.engine.begin() as connection:
        for entry, position in zip(ids.values(), kept, strict=True):
            connection.execute(update(Queue).where(Queue.id == entry).values(position=position))
    ledger.guilds.add_to_queue(GUILD, track(ledger, "d"), 555)
    assert shown(ledger) == "abcd"


def test_entries_whose_tracks_another_guild_clears_leave_no_gap_for_long(ledger: Ledger) -> None:
    fill(ledger, "abc")
    foreign = track(ledger, "x", OTHER)
    with ledger.database.engine.begin() as connection:
        place = Queue.guild_id == GUILD, Queue.position == 2
        connection.execute(update(Queue).where(*place).values(track_id=foreign))
    assert ledger.guilds.clear_guild_tracks(OTHER) == 1
    assert take(ledger) == "a"
    assert shown(ledger) == "c"
    rows = [
        {"guild_id": OTHER, "track_id": track(ledger, title, whose), "position": at, "added_by": 5}
        for at, (title, whose) in enumerate([("x", OTHER), ("y", GUILD), ("z", GUILD)], 1)
    ]
    with ledger.database.engine.begin() as connection:
        connection.execute(insert(Queue), rows)
    ledger.guilds.clear_guild_tracks(OTHER)
    assert shown(ledger, OTHER) == "yz"


# -- many at once ------------------------------------------------------------------------------------


def test_two_takers_never_get_the_same_entry(face: Faces) -> None:
    fill(face, "abcdefghijklmnopqrst")
    together = threading.Barrier(8)

    def take_all(_: int) -> list[str]:
        together.wait()
        taken = []
        while (one := face.guilds.take_next(GUILD)) is not None:
            assert one.entry.position == 1
            taken.append(one.track.title)
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [title for titles in threads.map(take_all, range(8)) for title in titles]
    assert sorted(taken) == list("abcdefghijklmnopqrst")


def test_an_entry_that_another_program_holds_is_passed_over(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        fill(ledger, "abc")
        other.execute("DELETE FROM tracks WHERE title = 'a'")  # and its entry with it, but for the commit
        taken = ledger.guilds.take_next(GUILD)
        assert taken is not None
        assert taken.entry is not None
        assert (taken.track.title, taken.entry.position) == ("b", 2)
        other.rollback()
        assert shown(ledger) == "ac"


def test_while_a_queue_changes_the_guild_goes_on(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as other:
        fill(ledger, "abc")
        fill(ledger, "x", OTHER)
        other.execute("SET lock_timeout = '2s'")
        with ledger.begin() as tx:
            tx.guilds.shuffle_queue(GUILD)
            other.execute(
                "INSERT INTO logs (guild_id, log_type, action, timestamp)"
                " VALUES (%s, 'system_event', 'meanwhile', now())",
                [GUILD],
            )
            track(ledger, "d")
            assert len(ledger.guilds.get_guild_queue(GUILD)) == 3
            assert ledger.guilds.take_next(OTHER) is not None
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("SELECT 1 FROM guild_settings WHERE guild_id = %s FOR UPDATE NOWAIT", [GUILD])


def test_a_change_that_fails_leaves_the_queue_as_it_was(ledger: Ledger) -> None:
    ids = fill(ledger, "abc")
    with pytest.raises(RuntimeError), ledger.begin() as tx:
        tx.guilds.take_next(GUILD)
        tx.guilds.move_in_queue(GUILD, ids["c"], 1)
        tx.guilds.add_to_queue(GUILD, track(tx, "d"), 555, position=2)
        assert shown(tx) == "cdb"
        raise RuntimeError
    assert shown(ledger) == "abc"
    with ledger.database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(GuildSettings)).scalar() == 1
        assert connection.execute(text("SELECT count(*) FROM tracks")).scalar() == 3
