"""Whether a server can do its work just now: what a load balancer and ``/health/ready`` ask.

Whoever may ask often must not be a load: an answer holds for a second, one look is under way at a time,
and each is bounded in time. The look at the database has a connection of its own, so that a pool in which
none is free is told apart from a database that does not answer.
"""

import asyncio
import logging
import os
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from daicho import migrations
from daicho.core import dialect
from daicho.core.engine import Database
from daicho.core.errors import DaichoError, Outdated
from daicho.core.language import Text
from daicho.core.retry import translated
from daicho.ops.findings import (
    GB,
    MB,
    Finding,
    Question,
    State,
    answers,
    failed,
    ok,
    room_on,
    size,
    worst,
)

log = logging.getLogger("daicho")


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is said. Sizes in bytes, times in seconds.

    Attributes:
        answer: how long a look may take at most.
        keep: how long its answer holds.
        pool: how long no connection may become free.
        stalled: how long one commit of the writer may take: others on SQLite hold a turn for ten seconds.
        full: how full a queue may be.
        free: room on the disk below which nothing more can be relied upon.
        free_soon: room below which that is near.
        wal: a log of SQLite's that some reader keeps from being moved into the file (16 MB otherwise).
    """

    answer: float = 3.0
    keep: float = 1.0
    pool: float = 1.0
    stalled: float = 15.0
    full: float = 0.8
    free: int = 100 * MB
    free_soon: int = 1 * GB
    wal: int = 256 * MB


@dataclass(frozen=True, slots=True)
class Report:
    """What a look has found.

    Attributes:
        findings: of each check: database, migrations, pool, writer, disk and, on SQLite, wal.
        revision: the schema's, where the database answers.
    """

    findings: Sequence[Finding]
    revision: str | None = None

    @property
    def state(self) -> State:
        """The worst of it; ``fail`` is not ready."""
        return worst(self.findings)

    def fails(self, *names: str) -> list[Finding]:
        """Return what fails, among the checks of these names or, without any, among all."""
        return [one for one in self.findings if one.state is State.FAIL and (not names or one.name in names)]


class Readiness:
    """Looks whether a ledger can do its work. For tasks of one loop."""

    def __init__(self, database: Database, limits: Limits | None = None) -> None:
        self._database = database
        self._limits = limits or Limits()
        self._revision: str | None = None
        self._given: weakref.WeakKeyDictionary[QueuePool, Counter[str]] = weakref.WeakKeyDictionary()
        self._questions = [
            Question("database", self._look_at_database),
            Question("pool", self._look_at_pools),
            Question("writer", self._look_at_queues),
            Question("disk", self._look_at_disk),
        ]
        self._last: tuple[float, Report] | None = None
        self._looking: asyncio.Future[Report] | None = None
        self._failing: set[str] = set()

    async def report(self) -> Report:
        """Return the last report, or a new one if that is too old."""
        if self._last and monotonic() - self._last[0] < self._limits.keep:
            return self._last[1]
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self.look))
        return await asyncio.shield(self._looking)

    def look(self) -> Report:
        """Look now; it takes ``Limits.answer`` seconds at most."""
        self._revision = None
        found = answers(self._questions, self._limits.answer)
        report = Report(found, self._revision)
        self._last = (monotonic(), report)
        self._tell(report)
        return report

    def _tell(self, report: Report) -> None:
        """Log what begins to fail, and its end: once, however often anybody asks."""
        failing = report.fails()
        names = {one.name for one in failing}
        for one in failing:
            if one.name not in self._failing:
                log.warning("not ready: %s: %s", one.name, one.message)
        if self._failing and not names:
            log.warning("ready again")
        self._failing = names

    # -- the looks -----------------------------------------------------------------------------------

    def _look_at_database(self) -> Iterator[Finding]:
        place = self._database.place
        try:
            revision, writable = self._ask_database()
        except Exception as error:
            told = translated(error, place)
            if not isinstance(told, DaichoError):
                raise
            if isinstance(told, Outdated):
                yield ok("database", f"{place} answers", f"{place} が応答しました")
            else:
                yield failed("database", told)
            yield failed("migrations", told)
            return
        self._revision = revision
        if writable:
            yield ok("database", f"{place} answers", f"{place} が応答しました")
        else:
            yield Finding(
                "database",
                State.FAIL,
                Text(f"{place} is a standby and takes no writes", f"{place} はスタンバイで、書き込めません"),
                Text("let DATABASE_URL name the primary", "DATABASE_URL をプライマリーに向けてください"),
            )
        yield _revision_finding(revision)

    def _ask_database(self) -> tuple[str | None, bool]:
        def ask(session: Session) -> tuple[str | None, bool]:
            return migrations.revision(session), dialect.takes_writes(session)

        if self._database.in_memory:  # nobody else can see it
            return self._database.run(ask, writes=False)
        with Session(self._database.watching(max(1, round(self._limits.answer)))) as session:
            return ask(session)

    def _look_at_pools(self) -> Iterator[Finding]:
        if self._database.in_memory:
            return  # it has one connection, for which all stand in line
        pool = self._database.settings.database.pool
        most = pool.size + pool.max_overflow
        used = 0
        for one in self._database.pools():
            if self._is_exhausted(one, most):
                yield Finding(
                    "pool",
                    State.FAIL,
                    Text(
                        f"all {most} connections have been in use for {self._limits.pool:.0f} s or more, and"
                        " none became free",
                        f"{most} 本の接続がすべて {self._limits.pool:.0f} 秒以上使われたままです",
                    ),
                    Text(
                        "look for transactions that stay open (daicho doctor), or raise database.pool.size",
                        "開いたままのトランザクションを調べるか (daicho doctor)、"
                        "database.pool.size を増やしてください",
                    ),
                )
                return
            used = max(used, one.checkedout())
        yield ok("pool", f"{used} of {most} connections in use", f"接続 {used} / {most} 本を使用中")

    def _is_exhausted(self, pool: QueuePool, most: int) -> bool:
        """Whether every connection is in use and stays so: one that is handed on soon is only busy."""
        if pool not in self._given:
            given = self._given[pool] = Counter[str]()
            event.listen(pool, "checkout", lambda *_: given.update(count=1))
        before = self._given[pool]["count"]
        end = monotonic() + self._limits.pool
        while pool.checkedout() >= most and self._given[pool]["count"] == before:
            if monotonic() >= end:
                return True
            sleep(0.05)
        return False

    def _look_at_queues(self) -> Iterator[Finding]:
        """Look at the writer and the buffer: how full they are, and whether they get on."""
        found: dict[State, Finding] = {}
        for name, load in self._database.loads().items():
            en = f"{load.waiting} of {load.limit} waiting in the {name}"
            ja = f"{name} の待ち {load.waiting} / {load.limit} 件"
            state, mend = State.OK, None
            if load.seconds > self._limits.stalled:
                state = State.FAIL
                en += f", one commit under way for {load.seconds:.0f} s"
                ja += f"、1 回のコミットに {load.seconds:.0f} 秒かかっています"
                mend = Text(
                    "see what holds the database: another program's transaction, a full or slow disk",
                    "別のプログラムのトランザクション、ディスクの満杯や遅さなど、原因を調べてください",
                )
            elif load.waiting >= load.limit * self._limits.full:
                state = State.FAIL if load.waiting >= load.limit else State.WARN
                mend = Text(
                    "it is written to faster than it commits: fewer writers, or many rows at once",
                    "コミットが追いついていません。書き込みを減らすか、まとめて書き込んでください",
                )
            found.setdefault(state, Finding("writer", state, Text(en, ja), mend))
        worse = (found[state] for state in (State.FAIL, State.WARN, State.OK) if state in found)
        yield next(worse, ok("writer", "nothing is waiting", "待ちはありません"))

    def _look_at_disk(self) -> Iterator[Finding]:
        file = dialect.file_of(self._database.url)
        room: dict[str, Any] = {"fail": self._limits.free, "warn": self._limits.free_soon}
        if file is None:
            contexts = self._database.settings.context_storage.base_dir
            if contexts.is_dir():
                yield room_on("disk", contexts.absolute(), **room, worst=State.WARN)
            else:
                yield ok("disk", "nothing is kept on this machine", "このマシンには何も保存していません")
            return
        if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
            yield Finding(
                "disk",
                State.FAIL,
                Text(f"{file} cannot be written", f"{file} に書き込めません"),
                Text(
                    "check owner and permissions of file and folder, and that the volume is not read-only",
                    "ファイルとフォルダーの所有者と権限、ボリュームが読み取り専用でないことを確かめてください",
                ),
            )
        else:
            yield room_on("disk", file.parent, **room)
        yield wal_finding(dialect.wal_size(file), self._limits.wal)


def wal_finding(length: int, most: int) -> Finding:
    """Look at SQLite's log, which grows where a reader never ends."""
    said = Text(f"the log beside the file: {size(length)}", f"WAL ファイル: {size(length)}")
    if length <= most:
        return Finding("wal", State.OK, said)
    return Finding(
        "wal",
        State.WARN,
        said,
        Text(
            "some program keeps a transaction open; end it, and the log is moved into the file",
            "どれかのプログラムがトランザクションを開いたままです。終了すると WAL は本体に移されます",
        ),
    )


def _revision_finding(revision: str | None) -> Finding:
    if revision == migrations.HEAD:
        return ok("migrations", f"at head ({revision})", f"最新です ({revision})")
    return Finding(
        "migrations",
        State.FAIL,
        Text(
            f"at revision {revision or '(none)'}, Daicho needs {migrations.HEAD}",
            f"リビジョン {revision or '(なし)'}。{migrations.HEAD} が必要です",
        ),
        Text(
            "run: daicho db upgrade (or, if the database is newer, upgrade Daicho)",
            "daicho db upgrade を実行してください (データベースのほうが新しければ Daicho を更新)",
        ),
    )
