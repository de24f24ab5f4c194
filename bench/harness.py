"""What every row shares: databases to work on, a clock, and the table."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from daicho import Ledger, migrations
from daicho.ledger import open_database
from tests.postgres import Cluster


@dataclass(frozen=True)
class Row:
    """One line of the table. Higher is better for a rate (``…/s``), lower for a time (``ms``)."""

    workload: str
    unit: str
    ours: float
    driver: float
    peer: tuple[str, float] | None = None

    @property
    def ratio(self) -> float:
        """How many times as good as the driver: above 1 is better than it."""
        return self.ours / self.driver if self.unit.endswith("/s") else self.driver / self.ours


@dataclass
class Place:
    """A migrated, empty database of one kind, and a bare connection to it."""

    kind: str
    url: str
    mark: str

    def connect(self) -> Any:
        """A driver's own connection, in autocommit mode, as durable as ours."""
        if self.kind == "PostgreSQL":
            return psycopg.connect(self.url, autocommit=True)
        connection = sqlite3.connect(
            self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=10, check_same_thread=False
        )
        connection.executescript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
        return connection

    def sql(self, statement: str) -> str:
        """A statement written with ``?``, in the driver's own spelling."""
        return statement.replace("?", self.mark)


@contextmanager
def places() -> Iterator[Callable[[], list[Place]]]:
    """Give a function that makes a new database of each kind; all of them go in the end."""
    with tempfile.TemporaryDirectory(prefix="daicho-bench-") as folder:
        cluster = Cluster(durable=True)
        count = 0

        def fresh() -> list[Place]:
            nonlocal count
            count += 1
            with psycopg.connect(cluster.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE bench_{count}")
            made = [
                Place("SQLite", f"sqlite:///{Path(folder) / f'bench-{count}.db'}", "?"),
                Place("PostgreSQL", cluster.url(f"bench_{count}"), "%s"),
            ]
            for place in made:
                database = open_database(place.url)
                migrations.run(database, "upgrade", "head")
                database.close()
            return made

        try:
            yield fresh
        finally:
            cluster.close()


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def best_ms(work: Callable[[], object], times: int = 7) -> float:
    """The shortest of several runs, in milliseconds."""
    return min(seconds(work) for _ in range(times)) * 1000


def best_each(works: Sequence[Callable[[], object]], times: int = 15) -> list[float]:
    """The shortest time of each, in milliseconds: in turns, so that all of them have the same weather."""
    rounds = [[seconds(work) for work in works] for _ in range(times)]
    return [min(times) * 1000 for times in zip(*rounds, strict=True)]


def begin_calls(ledger: Ledger, number: int) -> None:
    for n in range(number):
        ledger.calls.start(f"call-{n}", "bench", state="greeting")


TEXTS = (
    "お電話ありがとうございます。ご予約でよろしいでしょうか",
    "Hello, I would like to book a table for four on Friday evening",
    "かしこまりました。お名前とお電話番号をお願いいたします",
    "Could you tell me whether you have parking nearby?",
    "金曜日の十九時から四名様で承りました",
)


def text(number: int) -> str:
    """A line like those that people say, each a little different."""
    return f"{TEXTS[number % len(TEXTS)]} ({number})"
