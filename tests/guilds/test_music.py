"""Tracks, and the sessions in which guilds listen to them."""

from typing import Any

import pytest

from daicho import Invalid, Ledger
from daicho.guilds.enums import LoopMode, MusicSource
from tests.faces import Faces

GUILD, OTHER = 123456789012345678, 2**63 - 1


def track(face: Any, guild: int = GUILD, title: str = "春の海") -> Any:
    return face.guilds.create_track(guild, title, "宮城道雄", "https://youtu.be/1", 212, 555)


def test_a_track_is_kept_as_it_was_given(face: Faces) -> None:
    made = face.guilds.create_track(
        guild_id=OTHER,
        title="Never Gonna Give You Up",
        artist="Rick Astley",
        url="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        duration=212,
        thumbnail_url="https://i.ytimg.com/vi/dQw4w9WgXcQ/maxresdefault.jpg",
        requested_by=555666777,
        source="soundcloud",
    )
    stored = face.guilds.get_track_by_id(made.id)
    assert stored.values() == made.values()
    assert (stored.guild_id, stored.duration, stored.source) == (OTHER, 212, MusicSource.SOUNDCLOUD)
    assert stored.created_at.tzinfo is not None
    assert track(face).source is MusicSource.YOUTUBE
    assert face.guilds.get_track_by_id(made.id + 1000) is face.guilds.get_track_by_id(2**70) is None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"source": "vinyl"}, "source cannot be 'vinyl'; one of: youtube, spotify, soundcloud, url"),
        ({"duration": -1}, "duration is -1; 0 seconds or more"),
        ({"duration": 2.5}, "duration must be a whole number, not float"),
        ({"duration": 2**31}, "at most 2,147,483,647 fits"),
        ({"guild_id": 2**63}, "guild_id is no Discord id"),
        ({"requested_by": "555"}, "requested_by is no Discord id"),
        ({"title": None}, "title cannot be empty"),
        ({"url": "a\0"}, "url has a NUL byte"),
    ],
)
def test_what_cannot_be_a_track_is_refused_and_nothing_is_written(
    ledger: Ledger, wrong: dict[str, Any], reason: str
) -> None:
    given = {"guild_id": GUILD, "title": "a", "artist": "b", "url": "c", "duration": 1, "requested_by": 5}
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.create_track(**{**given, **wrong})
    assert ledger.guilds.list_tracks(GUILD).items == []


def test_tracks_are_listed_newest_first_a_guild_at_a_time(face: Faces) -> None:
    made = [track(face, title=f"{n}").id for n in range(5)]
    track(face, OTHER)
    first = face.guilds.list_tracks(GUILD, limit=3)
    rest = face.guilds.list_tracks(GUILD, limit=3, cursor=first.next)
    assert [one.id for one in [*first, *rest]] == made[::-1]
    assert rest.next is None
    with pytest.raises(Invalid, match="limit is 0"):
        face.guilds.list_tracks(GUILD, limit=0)


def test_a_session_that_begins_again_moves_and_keeps_the_rest(face: Faces) -> None:
    begun = face.guilds.create_session(GUILD, 10, 20)
    assert (begun.current_track_id, begun.is_paused, begun.loop_mode) == (None, False, LoopMode.NONE)
    playing = track(face)
    face.guilds.update_session_current_track(GUILD, playing.id)
    face.guilds.set_loop_mode(GUILD, "queue")
    before = face.guilds.pause(GUILD)
    assert face.guilds.create_session(GUILD, 10, 20).values() == before.values()
    moved = face.guilds.create_session(GUILD, 11, 20)
    assert moved.updated_at > before.updated_at
    assert moved.values() == before.values() | {"voice_channel_id": 11, "updated_at": moved.updated_at}
    assert face.guilds.get_music_session(GUILD).values() == moved.values()
    assert face.guilds.get_music_session(OTHER) is None


def test_a_session_is_changed_and_says_when_it_last_was(face: Faces) -> None:
    at = [face.guilds.create_session(GUILD, 10, 20).updated_at]
    for change in (
        lambda: face.guilds.pause(GUILD),
        lambda: face.guilds.resume(GUILD),
        lambda: face.guilds.set_loop_mode(GUILD, LoopMode.TRACK),
        lambda: face.guilds.set_loop_mode(GUILD, "none"),
    ):
        at.append(change().updated_at)
        assert change().updated_at == at[-1], "what was so already is no change"
    assert at == sorted(set(at))
    assert face.guilds.pause(GUILD).is_paused is True
    assert face.guilds.resume(GUILD).is_paused is False
    with pytest.raises(Invalid, match="loop_mode cannot be 'twice'; one of: none, track, queue"):
        face.guilds.set_loop_mode(GUILD, "twice")


def test_only_a_track_of_the_guild_plays_in_it(face: Faces) -> None:
    own, foreign = track(face), track(face, OTHER)
    assert face.guilds.update_session_current_track(GUILD, own.id) is None, "no session yet"
    face.guilds.create_session(GUILD, 10, 20)
    assert face.guilds.update_session_current_track(GUILD, own.id).current_track_id == own.id
    for unknown in (foreign.id, 999_999):
        assert face.guilds.update_session_current_track(GUILD, unknown) is None
    assert face.guilds.get_music_session(GUILD).current_track_id == own.id
    assert face.guilds.update_session_current_track(GUILD, None).current_track_id is None


def test_clearing_a_guilds_tracks_empties_its_queue_and_stops_what_plays(face: Faces) -> None:
    for guild in (GUILD, OTHER):
        face.guilds.create_session(guild, 10, 20)
        for _ in range(3):
            face.guilds.add_to_queue(guild, track(face, guild).id, 555)
        face.guilds.take_next(guild)
    assert face.guilds.clear_guild_tracks(GUILD) == 3
    assert face.guilds.clear_guild_tracks(GUILD) == 0
    assert face.guilds.list_tracks(GUILD).items == []
    assert face.guilds.get_guild_queue(GUILD) == []
    assert face.guilds.get_music_session(GUILD).current_track_id is None
    assert [entry.position for entry in face.guilds.get_guild_queue(OTHER)] == [1, 2]
    assert face.guilds.get_music_session(OTHER).current_track_id is not None


def test_guilds_without_music_are_answered_so(face: Faces) -> None:
    guilds = face.guilds
    assert guilds.pause(GUILD) is guilds.resume(GUILD) is guilds.set_loop_mode(GUILD, "track") is None
    assert guilds.delete_session(GUILD) is False
    guilds.create_session(GUILD, 10, 20)
    assert guilds.delete_session(GUILD) is True
    assert guilds.delete_session(GUILD) is False
    for ask in (guilds.pause, guilds.delete_session, guilds.get_music_session, guilds.clear_guild_tracks):
        with pytest.raises(Invalid, match="guild_id is no Discord id: '-1'"):
            ask(-1)


def test_within_one_transaction_each_operation_sees_what_the_ones_before_it_did(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        made = track(tx)
        begun = tx.guilds.create_session(GUILD, 10, 20)
        entry = tx.guilds.add_to_queue(GUILD, made.id, 5)
        tx.guilds.add_to_queue(GUILD, made.id, 5, position=1)
        assert entry is not None
        assert [one.position for one in tx.guilds.get_guild_queue(GUILD) if one.id == entry.id] == [2]
        tx.guilds.set_loop_mode(GUILD, "queue")
        taken = tx.guilds.take_next(GUILD)
        assert taken is not None
        assert taken.entry is not None
        assert [one.id for one in tx.guilds.get_guild_queue(GUILD)] == [entry.id, taken.entry.id]
        assert taken.entry.position == 1, "where it stood"
        session = tx.guilds.get_music_session(GUILD)
        assert session is begun
        assert (session.current_track_id, session.loop_mode) == (made.id, LoopMode.QUEUE)
        assert tx.guilds.clear_guild_tracks(GUILD) == 1
        assert tx.guilds.get_track_by_id(made.id) is None
        session = tx.guilds.get_music_session(GUILD)
        assert session is not None
        assert session.current_track_id is None
        again = track(tx, title="another")
        assert tx.guilds.list_tracks(GUILD).items == [again]
        assert again.title == "another"
