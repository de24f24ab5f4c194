"""A program on a small disk: it fills it, writes, makes room, writes again and counts.

``python -m tests.survival.filling sqlite TEMPLATE DISK`` or ``… postgresql - DISK``. It prints JSON.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from daicho import Ledger, Unavailable
from daicho.tasks.appending import JsonLines
from daicho.tasks.schemas import Record
from tests.databases import PostgresDatabases
from tests.postgres import NOBODY, Cluster
from tests.survival.counting import Said, discrepancies
from tests.survival.small import fill
from tests.survival.writes import line, log, message, prepare, record, records, ticket

KINDS = (line, record, records, ticket, log, message)
LONG = "あ" * 6_000
ROUNDS = 600


class Line(Record):
    """A line of the file."""

    seq: int
    text: str


def on_sqlite(template: str, disk: Path) -> str:
    """The URL of a ledger in a file on the disk."""
    shutil.copyfile(template, disk / "ledger.db")
    return f"sqlite:///{disk / 'ledger.db'}"


@contextmanager
def on_postgresql(disk: Path) -> Iterator[str]:
    """The URL of a ledger whose tables are on the disk; what the server itself needs is elsewhere."""
    cluster = Cluster()
    try:
        folder = disk / "tables"
        folder.mkdir(mode=0o700)
        if cluster._as_user and cluster._as_user[0].endswith("setpriv"):
            os.chown(folder, NOBODY, NOBODY)
        migrated = PostgresDatabases(cluster.url()).new().rpartition("/")[2]
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            connection.execute(f'CREATE DATABASE full_up TEMPLATE "{migrated}" TABLESPACE small')
        yield cluster.url("full_up")
    finally:
        cluster.close()


def lines(disk: Path) -> list[str]:
    """Write a file of lines until there is room for half a line; return what is wrong."""
    path = disk / "messages.jsonl"
    file = JsonLines(path, Line, "seq")
    file.append({"text": "before"})
    fill(disk / "ballast", leave=8_192)
    try:
        file.append({"text": LONG})
    except Unavailable as error:
        wrong = [] if "No space left" in str(error) else [str(error)]
    else:
        wrong = ["a line went into a full disk"]
    (disk / "ballast").unlink()
    file.append({"text": LONG})
    file.close()
    found = [json.loads(one) for one in path.read_text().splitlines()]
    if [(one["seq"], one["text"]) for one in found] != [(1, "before"), (2, LONG)]:
        wrong.append(f"the file holds {len(found)} lines")
    return wrong


def rows(url: str, disk: Path, wanted: int) -> tuple[list[str], dict[str, str]]:
    """Write rows until so many kinds were refused, make room, repeat them; return what is wrong, and was said."""
    said, refusals = Said(), dict[str, str]()
    with Ledger(url) as ledger:
        prepare(ledger)
        for write in KINDS:
            attempt(write, ledger, f"a/{write.__name__}/first", said)
        fill(disk / "ballast")
        pending: list[tuple[Callable[..., Any], str]] = []
        for number in range(ROUNDS):
            for write in KINDS:
                name = f"a/{write.__name__}/{number}"
                if (reason := attempt(write, ledger, name, said)) is not None:
                    refusals.setdefault(write.__name__, reason)
                    pending.append((write, name))
            if len(refusals) >= wanted:
                break
        ledger.calls.transcript("a")  # reading goes on
        (disk / "ballast").unlink()
        for write, name in pending:
            attempt(write, ledger, name, said)
    wrong = discrepancies(url, said)
    if len(said.done) != len(said.sent):
        wrong.append(f"{len(said.sent)} sent, {len(said.done)} acknowledged")
    return wrong, refusals


def attempt(write: Callable[..., Any], ledger: Ledger, name: str, said: Said) -> str | None:
    """Write; return why not, if not."""
    said.sent.add(name)
    try:
        write(ledger, name)
    except Unavailable as error:
        return str(error)
    said.done.append(name)
    return None


def main() -> None:
    """See above."""
    kind, template, disk = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    wrong = lines(disk)
    if kind == "sqlite":
        more, refusals = rows(on_sqlite(template, disk), disk, len(KINDS))
    else:
        with on_postgresql(disk) as url:
            more, refusals = rows(url, disk, 2)
    print(json.dumps({"wrong": wrong + more, "refusals": refusals}))


if __name__ == "__main__":
    main()
