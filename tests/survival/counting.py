"""An independent count: bare drivers, no Daicho. What the clients put down against what the database holds."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.survival.writes import MANY, TASK, client_of

NAMED = {
    "line": "SELECT text FROM call_logs WHERE call_id <> 'pairs'",
    "record": "SELECT source FROM ai_usage_logs WHERE operation = 'record'",
    "records": "SELECT source FROM ai_usage_logs WHERE operation = 'records'",
    "enqueue": "SELECT source FROM ai_usage_logs WHERE operation = 'enqueue'",
    "ticket": "SELECT title FROM tickets",
    "log": "SELECT action FROM logs",
    "entry": "SELECT request_id FROM queues",
    "message": "SELECT content FROM chat_logs",
    "member": "SELECT name FROM human_members",
    "task": """SELECT "user" FROM tasks WHERE "user" IS NOT NULL""",
    "pair": "SELECT text FROM call_logs WHERE call_id = 'pairs'",
}
"""What clients have named, of each kind."""
SAME = {
    "records and the days' totals": (
        "SELECT count(*), coalesce(sum(total_tokens), 0) FROM ai_usage_logs",
        "SELECT coalesce(sum(calls), 0), coalesce(sum(total_tokens), 0) FROM usage_totals WHERE grain = 'day'",
    ),
    "records and the sources' totals": (
        "SELECT count(*), coalesce(sum(total_tokens), 0) FROM ai_usage_logs",
        "SELECT coalesce(sum(calls), 0), coalesce(sum(total_tokens), 0) FROM usage_sources",
    ),
    "messages and the sessions' counts": (
        "SELECT session_id, count(*) FROM chat_logs GROUP BY 1 ORDER BY 1",
        "SELECT session_id, messages FROM chat_sessions ORDER BY 1",
    ),
    "pairs' lines and records": (
        "SELECT 'call:' || text FROM call_logs WHERE call_id = 'pairs' ORDER BY 1",
        "SELECT source FROM ai_usage_logs WHERE operation = 'pair' ORDER BY 1",
    ),
    "the queue's places": (
        "SELECT position FROM queues ORDER BY 1",
        "SELECT row_number() OVER (ORDER BY position) FROM queues ORDER BY 1",
    ),
}
"""What must be the same, counted in two ways."""
LINES = "SELECT call_id, text FROM call_logs WHERE call_id <> 'pairs' ORDER BY id"
COUNTED = f"SELECT llm_call_count FROM tasks WHERE uuid = '{TASK}'"
Rows = list[tuple[object, ...]]


@dataclass
class Said:
    """What the clients have put down."""

    sent: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def of(self, kind: str) -> tuple[set[str], set[str]]:
        """The names of a kind that were sent, and those that were acknowledged."""
        mark = f"/{kind}/"
        return {name for name in self.sent if mark in name}, {name for name in self.done if mark in name}


def read(diaries: Iterable[Path]) -> Said:
    """Read diaries; a line that a kill has torn does not count."""
    said = Said()
    for path in diaries:
        if not path.exists():
            continue
        for text in path.read_text().splitlines(keepends=True):
            if not text.endswith("\n"):
                continue
            sign, name, more = text.rstrip("\n").split("\t")
            match sign:
                case "sent":
                    said.sent.add(name)
                case "done":
                    said.done.append(name)
                case "away":
                    said.away.append(more)
                case _:
                    said.failed.append(f"{name}: {more}")
    return said


def query(url: str, statement: str) -> Rows:
    """Ask the database itself."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.partition("///")[2])
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()
    with psycopg.connect(url) as postgres:
        return [tuple(row) for row in postgres.execute(statement)]


def discrepancies(url: str, said: Said, *, ordered: bool = True) -> list[str]:
    """Compare; return what is wrong, which is nothing. ``ordered``: each call has one writer."""
    wrong = [f"failed: {one}" for one in said.failed]
    for kind, statement in NAMED.items():
        stored = Counter(_name(str(row[0])) for row in query(url, statement))
        sent, done = said.of(kind)
        if kind == "records":
            sent, done = _each(sent), _each(done)
        wrong += [f"{kind}: acknowledged and not there: {name}" for name in sorted(done - stored.keys())]
        wrong += [f"{kind}: there {n} times: {name}" for name, n in sorted(stored.items()) if n > 1]
        wrong += [f"{kind}: there, and nobody sent it: {name}" for name in sorted(stored.keys() - sent)]
    sent, done = said.of("count")
    ((counted,),) = query(url, COUNTED)
    if not len(done) <= int(str(counted)) <= len(sent):
        wrong.append(f"count: {counted}, with {len(done)} acknowledged and {len(sent)} sent")
    for what, (one, other) in SAME.items():
        if (mine := _plain(query(url, one))) != (others := _plain(query(url, other))):
            wrong.append(f"{what}: {str(mine)[:200]} and {str(others)[:200]}")
    return wrong + (_out_of_order(url, said) if ordered else [])


def _out_of_order(url: str, said: Said) -> list[str]:
    """Lines of a call are numbered in the order in which they were acknowledged: each call has one writer."""
    acknowledged: dict[str, list[str]] = {}
    for name in said.done:
        if "/line/" in name:
            acknowledged.setdefault(client_of(name), []).append(name)
    stored: dict[str, list[str]] = {}
    for call, text in query(url, LINES):
        stored.setdefault(str(call), []).append(str(text))
    return [
        f"line: {call} is in another order than it was acknowledged"
        for call, names in acknowledged.items()
        if [name for name in stored.get(call, []) if name in set(names)] != names
    ]


def _each(names: set[str]) -> set[str]:
    return {f"{name}#{n}" for name in names for n in range(MANY)}


def _name(stored: str) -> str:
    return stored.removeprefix("call:")


def _plain(rows: Rows) -> str:
    return json.dumps([[str(value) for value in row] for row in rows])
