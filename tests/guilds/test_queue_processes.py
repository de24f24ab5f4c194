"""Many change one queue at once: nothing is taken twice, nothing is lost, no place is empty, none is stuck."""

import multiprocessing
import random
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
from sqlalchemy import make_url

from daicho import Ledger

GUILD = 123456789012345678
PROCESSES, TURNS = 4, 50


@dataclass
class Done:
    """What a process did to the queue: the numbers of the entries (``added_by``, one for each)."""

    added: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    moved: int = 0


def change(url: str, seed: int, track: int) -> Done:
    """One process: it adds, takes, moves and removes, in an order of its own, and looks after each change."""
    done, choose = Done(), random.Random(seed)
    turns = ["add", "take", "move", "remove"] * TURNS
    choose.shuffle(turns)
    with Ledger(url) as ledger:
        for turn, what in enumerate(turns):
            queue = ledger.guilds.get_guild_queue(GUILD)
            assert [entry.position for entry in queue] == list(range(1, len(queue) + 1))
            if what == "add":
                number = (seed + 1) * 100_000 + turn
                position = choose.choice([None, 1, choose.randint(1, 9)])
                assert ledger.guilds.add_to_queue(GUILD, track, number, position=position) is not None
                done.added.append(number)
            elif what == "take":
                taken = ledger.guilds.take_next(GUILD)
                if taken is not None:
                    assert taken.entry is not None
                    assert taken.entry.position == 1
                    done.taken.append(taken.entry.added_by)
            elif queue:
                one = choose.choice(queue)
                if what == "move":
                    done.moved += ledger.guilds.move_in_queue(GUILD, one.id, choose.randint(1, 9))
                elif ledger.guilds.remove_from_queue(GUILD, one.id):
                    done.removed.append(one.added_by)
    return done


def test_processes_that_change_a_queue_at_once_take_and_lose_nothing_twice(ledger: Ledger, url: str) -> None:
    track = ledger.guilds.create_track(GUILD, "t", "a", "u", 1, 5).id
    first = list(range(100))
    for number in first:
        ledger.guilds.add_to_queue(GUILD, track, number)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawn) as processes:
        started = [processes.submit(change, url, seed, track) for seed in range(PROCESSES)]
        all_done = [one.result(100) for one in started]
    added = first + [number for done in all_done for number in done.added]
    taken = [number for done in all_done for number in done.taken]
    removed = [number for done in all_done for number in done.removed]
    left = ledger.guilds.get_guild_queue(GUILD)
    assert [entry.position for entry in left] == list(range(1, len(left) + 1))
    assert sorted(taken + removed + [entry.added_by for entry in left]) == sorted(added)
    assert len(added) == 100 + PROCESSES * TURNS
    assert all(done.taken and done.removed and done.moved for done in all_done)
    if make_url(url).get_backend_name() == "postgresql":
        assert deadlocks(url) == 0


def test_music_that_changes_everywhere_at_once_never_deadlocks(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        ledger.guilds.create_session(GUILD, 1, 2)
        together = threading.Barrier(6)

        def change(number: int) -> None:
            together.wait()
            for turn in range(25):
                match (number + turn) % 6:
                    case 0:
                        ledger.guilds.clear_guild_tracks(GUILD)
                    case 1:
                        ledger.guilds.create_session(GUILD, turn, 2)
                        ledger.guilds.pause(GUILD)
                    case 2:
                        ledger.guilds.take_next(GUILD)
                    case 3:
                        for one in ledger.guilds.list_tracks(GUILD, limit=3):
                            ledger.guilds.update_session_current_track(GUILD, one.id)
                    case _:
                        track = ledger.guilds.create_track(GUILD, "t", "a", "u", 1, 5).id
                        ledger.guilds.add_to_queue(GUILD, track, 5, position=1)
                        ledger.guilds.set_loop_mode(GUILD, ("none", "queue", "track")[turn % 3])

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(change, range(6)))
        left = ledger.guilds.get_guild_queue(GUILD)
        assert [entry.position for entry in left] == list(range(1, len(left) + 1))
    assert deadlocks(postgres_url) == 0


def deadlocks(url: str) -> int:
    """How many deadlocks the server has resolved in a database; whoever had them has ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])
