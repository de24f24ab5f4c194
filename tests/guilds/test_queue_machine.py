"""Whatever is done to two guilds' queues, in whatever order: they are what plain lists say."""

import itertools
from dataclasses import dataclass, field
from typing import ClassVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from daicho import Ledger
from daicho.guilds.enums import LoopMode
from daicho.guilds.models import Track

new_guild = itertools.count(10**18)
new_request = itertools.count()
sides = st.sampled_from([0, 1])
picks = st.integers(0, 11)
"""Which of some things: the number counts round and round them."""
MODES = list(LoopMode)


@dataclass
class Listening:
    """What a music session should say."""

    current: int | None = None
    paused: bool = False
    mode: LoopMode = LoopMode.NONE


@dataclass
class Guild:
    """What a guild should hold. An entry is its request and its track."""

    id: int = field(default_factory=lambda: next(new_guild))
    tracks: list[int] = field(default_factory=list)
    queue: list[tuple[str, int]] = field(default_factory=list)
    session: Listening | None = None
    dense: bool = True

    def lose(self, track: int) -> None:
        """A track is gone, and all that was about it."""
        self.tracks.remove(track)
        kept = [entry for entry in self.queue if entry[1] != track]
        self.dense = self.dense and kept == self.queue[: len(kept)]
        self.queue = kept
        if self.session is not None and self.session.current == track:
            self.session.current = None


class Queues(RuleBasedStateMachine):
    """A ledger against lists. Each run has two guilds of its own in the ledger that all runs share."""

    ledger: ClassVar[Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.sides = [Guild(), Guild()]
        self.music = self.ledger.guilds

    def entry_id(self, guild: Guild, pick: int) -> int:
        """The id of one of the entries."""
        name = guild.queue[pick % len(guild.queue)][0]
        (found,) = [one.id for one in self.music.get_guild_queue(guild.id) if one.request_id == name]
        return found

    # -- tracks ------------------------------------------------------------------------------------

    @initialize()
    def fill(self) -> None:
        for side, _ in itertools.product([0, 1], range(5)):
            self.create_track(side)
            self.add(side, -1, None)

    @rule(side=sides)
    def create_track(self, side: int) -> None:
        guild = self.sides[side]
        guild.tracks.append(self.music.create_track(guild.id, "t", "a", "u", 1, 5).id)

    @rule(side=sides, pick=picks)
    def delete_a_track_plainly(self, side: int, pick: int) -> None:
        guild = self.sides[side]
        if guild.tracks:
            track = guild.tracks[pick % len(guild.tracks)]
            with self.ledger.database.engine.begin() as connection:
                connection.execute(delete(Track).where(Track.id == track))
            guild.lose(track)

    # -- the queue ---------------------------------------------------------------------------------

    @rule(side=sides, pick=picks, position=st.none() | st.integers(1, 8))
    def add(self, side: int, pick: int, position: int | None) -> None:
        guild = self.sides[side]
        if not guild.tracks:
            self.create_track(side)
        track = guild.tracks[pick % len(guild.tracks)]
        at = len(guild.queue) if position is None else min(position - 1, len(guild.queue))
        name = f"r-{next(new_request)}"
        guild.queue.insert(at, (name, track))
        guild.dense = True
        for _ in range(2):  # sent twice
            entry = self.music.add_to_queue(guild.id, track, 5, position=position, request_id=name)
            assert entry is not None
            assert (entry.position, entry.track.id, entry.request_id) == (at + 1, track, name)

    @rule(side=sides, pick=picks)
    def add_what_is_not_the_guilds(self, side: int, pick: int) -> None:
        guild, other = self.sides[side], self.sides[1 - side]
        track = other.tracks[pick % len(other.tracks)] if other.tracks else 2**62
        assert self.music.add_to_queue(guild.id, track, 5) is None
        guild.dense = True

    @rule(side=sides, pick=picks)
    def remove(self, side: int, pick: int) -> None:
        guild = self.sides[side]
        if guild.queue:
            entry = self.entry_id(guild, pick)
            assert self.music.remove_from_queue(self.sides[1 - side].id, entry) is False
            self.sides[1 - side].dense = True
            assert self.music.remove_from_queue(guild.id, entry) is True
            assert self.music.remove_from_queue(guild.id, entry) is False
            del guild.queue[pick % len(guild.queue)]
            guild.dense = True

    @rule(side=sides, pick=picks, position=st.integers(1, 8))
    def move(self, side: int, pick: int, position: int) -> None:
        guild = self.sides[side]
        if guild.queue:
            entry = self.entry_id(guild, pick)
            assert self.music.move_in_queue(guild.id, entry, position) is True
            moved = guild.queue.pop(pick % len(guild.queue))
            guild.queue.insert(min(position - 1, len(guild.queue)), moved)
            guild.dense = True

    @rule(side=sides)
    def shuffle(self, side: int) -> None:
        guild = self.sides[side]
        assert self.music.shuffle_queue(guild.id) == len(guild.queue)
        order = [(one.request_id or "", one.track_id) for one in self.music.get_guild_queue(guild.id)]
        assert sorted(order) == sorted(guild.queue)
        guild.queue = order
        guild.dense = True

    @rule(side=sides, tracks_too=st.booleans())
    def clear(self, side: int, tracks_too: bool) -> None:
        guild = self.sides[side]
        if tracks_too:
            assert self.music.clear_guild_tracks(guild.id) == len(guild.tracks)
            for track in guild.tracks[:]:
                guild.lose(track)
        else:
            assert self.music.clear_queue(guild.id) == len(guild.queue)
        guild.queue, guild.dense = [], True

    @rule(side=sides)
    def take(self, side: int) -> None:
        guild = self.sides[side]
        session = guild.session or Listening()
        taken = self.music.take_next(guild.id)
        guild.dense = True
        if session.mode is LoopMode.TRACK and session.current is not None:
            assert taken is not None
            assert (taken.track.id, taken.entry) == (session.current, None)
        elif guild.queue:
            name, track = guild.queue.pop(0)
            assert taken is not None
            assert taken.entry is not None
            assert (taken.track.id, taken.entry.request_id, taken.entry.position) == (track, name, 1)
            session.current = track
            if session.mode is LoopMode.QUEUE:
                guild.queue.append((name, track))
        else:
            assert taken is None
            session.current = None

    # -- the session -------------------------------------------------------------------------------

    @rule(side=sides, mode=st.sampled_from(MODES))
    def listen(self, side: int, mode: LoopMode) -> None:
        guild = self.sides[side]
        begun = self.music.create_session(guild.id, 1, 2)
        guild.session = guild.session or Listening()
        assert begun.loop_mode is guild.session.mode
        self.change_session(side, guild.session.paused, mode)

    @rule(side=sides, paused=st.booleans(), mode=st.sampled_from(MODES))
    def change_session(self, side: int, paused: bool, mode: LoopMode) -> None:
        guild = self.sides[side]
        held = (self.music.pause if paused else self.music.resume)(guild.id)
        changed = self.music.set_loop_mode(guild.id, mode)
        assert (held is None) is (changed is None) is (guild.session is None)
        if guild.session is not None:
            guild.session.paused, guild.session.mode = paused, mode

    @rule(side=sides, pick=st.none() | picks)
    def play(self, side: int, pick: int | None) -> None:
        guild = self.sides[side]
        track = None if pick is None or not guild.tracks else guild.tracks[pick % len(guild.tracks)]
        changed = self.music.update_session_current_track(guild.id, track)
        assert (changed is None) is (guild.session is None)
        if guild.session is not None:
            guild.session.current = track

    @rule(side=sides)
    def delete_session(self, side: int) -> None:
        guild = self.sides[side]
        assert self.music.delete_session(guild.id) is (guild.session is not None)
        guild.session = None

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def all_is_as_the_lists_say(self) -> None:
        for guild in self.sides:
            queue = self.music.get_guild_queue(guild.id)
            assert [(one.request_id, one.track.id) for one in queue] == guild.queue
            places = [one.position for one in queue]
            assert places == (list(range(1, len(queue) + 1)) if guild.dense else sorted(set(places)))
            session = self.music.get_music_session(guild.id)
            if guild.session is None or session is None:
                assert session is guild.session
            else:
                said = Listening(session.current_track_id, session.is_paused, session.loop_mode)
                assert said == guild.session

    def teardown(self) -> None:
        for guild in self.sides:
            head = self.music.get_next_in_queue(guild.id)
            assert (head and head.request_id) == (guild.queue[0][0] if guild.queue else None)
            assert [one.id for one in self.music.list_tracks(guild.id, limit=1000)] == guild.tracks[::-1]


def test_queue_loop_mode_and_shuffle_are_what_plain_lists_say(ledger: Ledger) -> None:
    machine = type("Machine", (Queues,), {"ledger": ledger})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],  # making a failure shorter takes longer than a test may
        ),
    )
