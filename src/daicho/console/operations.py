"""The page of the server itself: connections, writes, durations, queues, sizes, slow statements."""

from nicegui import app, ui

from daicho import __version__
from daicho.console.history import History
from daicho.console.operations_parts import CSS, Rates, Sizes, SlowOnes, Timings
from daicho.console.operations_words import amount, size
from daicho.console.shell import Shell
from daicho.core.elements import Moment, Tile, box, show, words
from daicho.core.engine import Database
from daicho.core.language import Text, say
from daicho.core.screen import Screen
from daicho.ops.facts import FactKeeper, Facts, disks

LOOK_SECONDS = 3.0
"""The page is brought up to date so often."""
PAUSE_SECONDS = 0.5
TITLE = Text("Operations", "運用")


def register(shell: Shell, facts: FactKeeper) -> None:
    """Add the page to the console.

    Args:
        facts: asks the database, for this page as for ``/metrics``.
    """
    shell.room("operations", TITLE, "/operations")
    ui.add_css(CSS, shared=True)
    history = History(shell.ledger.database)
    app.on_startup(history.keep)

    @shell.page("/operations", "operations")
    async def operations(screen: Screen) -> None:
        page = Operations(shell.ledger.database, history, facts, screen)
        # Nothing announces what this page shows: it looks when its patience is at an end.
        await screen.follow("operations", page.look, PAUSE_SECONDS, lambda: LOOK_SECONDS - PAUSE_SECONDS)


class Operations:
    """The page. It shows what this process does, and what the database says of itself."""

    def __init__(self, database: Database, history: History, facts: FactKeeper, screen: Screen) -> None:
        self._database, self._history, self._facts = database, history, facts
        screen.name(str(TITLE))
        words(TITLE, tag="h1")
        with box("d-banner", role="alert", hidden=True) as self._away:
            words(say("The database does not answer.", "データベースが応答しません。"), tag="b")
            words(
                say(
                    "Sizes are those that were last known; the server's log says what it was told.",
                    "サイズは最後に分かった値です。詳しくはサーバーのログにあります。",
                )
            )
        self._about()
        with box("d-tiles d-figures"):
            self._connections = Tile(say("Connections in use", "使用中の接続"))
            self._writes = Tile(say("Rows a second", "書き込み 行/秒"))
            self._commits = Tile(say("Appends per commit", "1 コミットの追記数"))
            self._queue = Tile(say("Writer queue", "書き込み待ち"))
            self._retries = Tile(say("Repeats", "再試行"))
            self._size = Tile(say("Database", "データベース"))
        self._rates = Rates()
        self._timings = Timings()
        self._tables = Sizes()
        self._slow = SlowOnes(database.measures.slow)

    def _about(self) -> None:
        with box("d-row d-quiet"):
            words(f"Daicho {__version__}")
            words(self._database.place, "d-mono")
            with box("d-row"):
                words(say("counted since", "計測開始"))
                Moment().take(self._database.measures.since)
            words(
                say(
                    "Counts are of this server; what other programs write is not among them.",
                    "数値はこのサーバーの分です。ほかのプログラムの書き込みは含みません。",
                )
            )

    async def look(self) -> None:
        """Bring the page up to date."""
        facts = await self._facts.look()
        show(self._away, not facts.up)
        self._look_at_load(facts)
        self._look_at_writes()
        self._rates.take(self._history.rates())
        self._timings.take(self._history.operations())
        self._tables.take(facts.tables)
        self._slow.look()
        self._look_at_size(facts)

    def _look_at_load(self, facts: Facts) -> None:
        load = self._database.load()
        pools = load.pools.values()
        in_use, limit = sum(pool.in_use for pool in pools), sum(pool.limit for pool in pools)
        waiting = sum(pool.waiting for pool in pools) + load.turn
        note = say(f"{waiting:,} waiting", f"待ち {waiting:,}")
        if backends := facts.gauges.get("postgresql_backends"):
            most = facts.gauges["postgresql_max_connections"]
            note += say(
                f" · server {backends:.0f} of {most:.0f}", f" · サーバー全体 {backends:.0f} / {most:.0f}"
            )
        self._connections.take(f"{in_use:,} / {limit:,}", note)
        buffered = say(f"buffer {load.buffer:,}", f"バッファ {load.buffer:,}")
        self._queue.take(f"{load.queue:,} / {load.queue_limit:,}", buffered)

    def _look_at_writes(self) -> None:
        measures, commits = self._database.measures, self._history.commits()
        written = sum(measures.rows.counts().values())
        self._writes.take(amount(self._history.rate()), say(f"{written:,} in all", f"累計 {written:,} 行"))
        mean = commits.sum / commits.count if commits.count else None
        shared = say(f"{commits.count:,} commits", f"コミット {commits.count:,} 回")
        self._commits.take("–" if mean is None else amount(mean), shared)
        retries, deadlocks = sum(measures.retries.counts().values()), measures.deadlocks
        self._retries.take(f"{retries:,}", say(f"{deadlocks:,} deadlocks", f"デッドロック {deadlocks:,}"))

    def _look_at_size(self, facts: Facts) -> None:
        notes = []
        if (log := facts.gauges.get("sqlite_wal_bytes")) is not None:
            notes.append(f"WAL {size(log)}")
        if (disk := disks(self._database).get("database")) is not None:
            notes.append(say(f"{size(disk.free)} free", f"空き {size(disk.free)}"))
        if (deadlocks := facts.counters.get("postgresql_deadlocks")) is not None:
            notes.append(say(f"deadlocks {deadlocks:,.0f}", f"デッドロック {deadlocks:,.0f}"))
        self._size.take("–" if facts.size is None else size(facts.size), " · ".join(notes))
