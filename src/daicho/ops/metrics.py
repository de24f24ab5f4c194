"""``/metrics``: what this process has measured and what the database says, as Prometheus reads it.

``FAMILIES`` is the list of all of them; docs/monitoring.md and the Grafana dashboard are tested against it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from daicho.core.engine import Database
from daicho.core.measure import Distribution, Histograms, Labels
from daicho.ops.facts import FactKeeper, Facts, disks

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics of one name.

    Attributes:
        help: what they say, in a line.
        labels: what tells them apart.
    """

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


FAMILIES: Mapping[str, Family] = {
    "daicho_info": Family("gauge", "Always 1; what runs here.", ("version", "database")),
    "daicho_up": Family("gauge", "1 if the database answered within 2 seconds, else 0."),
    "daicho_operation_duration_seconds": Family(
        "histogram", "How long operations took, those that failed included.", ("operation",)
    ),
    "daicho_operation_errors_total": Family(
        "counter", "Operations that raised, by the error's class.", ("operation", "error")
    ),
    "daicho_rows_written_total": Family(
        "counter", "Rows that this process has written and committed.", ("table", "change")
    ),
    "daicho_group_commit_size": Family("histogram", "Appends that shared a commit."),
    "daicho_writer_queue": Family("gauge", "Appends that wait for their commit."),
    "daicho_writer_queue_limit": Family("gauge", "The most that may: database.writer.queue."),
    "daicho_buffer_flush_size": Family("histogram", "Enqueued items that were written together."),
    "daicho_buffer_items": Family("gauge", "Enqueued items that are not written yet."),
    "daicho_buffer_items_limit": Family("gauge", "The most that may be: database.buffer.size."),
    "daicho_buffer_waiting": Family("gauge", "Tasks that wait for room in the buffer."),
    "daicho_connections_in_use": Family("gauge", "Connections that are handed out.", ("pool",)),
    "daicho_connections_idle": Family("gauge", "Connections that are open and free.", ("pool",)),
    "daicho_connections_limit": Family(
        "gauge", "The most that can be open: database.pool.size and max_overflow.", ("pool",)
    ),
    "daicho_connections_waiting": Family("gauge", "Callers that wait for a connection.", ("pool",)),
    "daicho_connection_wait_seconds": Family(
        "histogram", "How long callers waited for a connection.", ("pool",)
    ),
    "daicho_write_turn_waiting": Family("gauge", "Callers that wait for their turn to write on SQLite."),
    "daicho_retries_total": Family("counter", "Transactions that were tried again.", ("reason",)),
    "daicho_database_errors_total": Family(
        "counter", "Errors of the database, tried again or not.", ("reason",)
    ),
    "daicho_deadlocks_total": Family("counter", "Deadlocks that this process was the victim of."),
    "daicho_slow_queries_total": Family(
        "counter", "Statements over database.slow_query_ms (1,000 if that is unset)."
    ),
    "daicho_ingest_records_total": Family(
        "counter", "Records that came in by HTTP, by what became of them.", ("source", "result")
    ),
    "daicho_http_request_duration_seconds": Family(
        "histogram", "How long HTTP requests took.", ("method", "route", "status")
    ),
    "daicho_database_size_bytes": Family("gauge", "The database's size."),
    "daicho_table_size_bytes": Family("gauge", "A table's size, its indexes included.", ("table",)),
    "daicho_table_rows": Family("gauge", "A table's rows, as the database supposes.", ("table",)),
    "daicho_disk_free_bytes": Family("gauge", "Free space where Daicho writes files.", ("place",)),
    "daicho_disk_size_bytes": Family("gauge", "The size of that file system.", ("place",)),
    "daicho_sqlite_wal_bytes": Family("gauge", "SQLite: the write-ahead log's size."),
    "daicho_sqlite_free_bytes": Family("gauge", "SQLite: unused pages within the file."),
    "daicho_postgresql_backends": Family("gauge", "PostgreSQL: connections to the database, anyone's."),
    "daicho_postgresql_max_connections": Family("gauge", "PostgreSQL: max_connections of the server."),
    "daicho_postgresql_lock_waits": Family("gauge", "PostgreSQL: connections that wait for a lock."),
    "daicho_postgresql_oldest_transaction_seconds": Family(
        "gauge", "PostgreSQL: how long the oldest open transaction has been open."
    ),
    "daicho_postgresql_deadlocks_total": Family(
        "counter", "PostgreSQL: deadlocks in the database, anyone's."
    ),
    "daicho_postgresql_commits_total": Family("counter", "PostgreSQL: committed transactions, anyone's."),
    "daicho_postgresql_rollbacks_total": Family("counter", "PostgreSQL: transactions rolled back, anyone's."),
    "daicho_postgresql_temporary_bytes_total": Family(
        "counter", "PostgreSQL: bytes of temporary files that queries wrote, anyone's."
    ),
}
"""All of Daicho's own metrics. Beside them stand the process's (``process_*``, ``python_*``)."""

Values = Iterable[tuple[Labels, float]]


class Ledgers(Collector):
    """Daicho's own metrics at the moment of a scrape.

    Args:
        database: what is measured.
        requests: HTTP requests by method, route and status.
        version: Daicho's.
    """

    def __init__(self, database: Database, requests: Histograms, version: str) -> None:
        self._database, self._requests, self._version = database, requests, version
        self.facts = Facts()

    def describe(self) -> Iterable[Metric]:
        """Nothing: to find out their names the registry need not collect them."""
        return ()

    def collect(self) -> Iterator[Metric]:
        measures, load, facts = self._database.measures, self._database.load(), self.facts
        kind = self._database.url.get_backend_name()
        yield _plain("daicho_info", [((self._version, kind), 1)])
        yield _plain("daicho_up", [((), int(facts.up))])
        yield _spread("daicho_operation_duration_seconds", measures.operations.taken())
        yield _plain("daicho_operation_errors_total", measures.failures.counts().items())
        yield _plain("daicho_rows_written_total", measures.rows.counts().items())
        yield _spread("daicho_group_commit_size", {(): measures.commits.taken()})
        yield _plain("daicho_writer_queue", [((), load.queue)])
        yield _plain("daicho_writer_queue_limit", [((), load.queue_limit)])
        yield _spread("daicho_buffer_flush_size", {(): measures.flushes.taken()})
        yield _plain("daicho_buffer_items", [((), load.buffer)])
        yield _plain("daicho_buffer_items_limit", [((), load.buffer_limit)])
        yield _plain("daicho_buffer_waiting", [((), load.buffer_line)])
        pools = load.pools.items()
        yield _plain("daicho_connections_in_use", [((face,), pool.in_use) for face, pool in pools])
        yield _plain("daicho_connections_idle", [((face,), pool.idle) for face, pool in pools])
        yield _plain("daicho_connections_limit", [((face,), pool.limit) for face, pool in pools])
        yield _plain("daicho_connections_waiting", [((face,), pool.waiting) for face, pool in pools])
        yield _spread("daicho_connection_wait_seconds", {(face,): pool.waits for face, pool in pools})
        yield _plain("daicho_write_turn_waiting", [((), load.turn)])
        yield _plain("daicho_retries_total", measures.retries.counts().items())
        yield _plain("daicho_database_errors_total", measures.errors.counts().items())
        yield _plain("daicho_deadlocks_total", [((), measures.deadlocks)])
        yield _plain("daicho_slow_queries_total", [((), measures.slow.count)])
        yield _plain("daicho_ingest_records_total", measures.ingested.counts().items())
        yield _spread("daicho_http_request_duration_seconds", self._requests.taken())
        yield from self._of_database(facts)

    def _of_database(self, facts: Facts) -> Iterator[Metric]:
        if facts.size is not None:
            yield _plain("daicho_database_size_bytes", [((), facts.size)])
        sizes = facts.tables.items()
        yield _plain("daicho_table_size_bytes", [((name,), table.size) for name, table in sizes])
        yield _plain(
            "daicho_table_rows", [((name,), table.rows) for name, table in sizes if table.rows is not None]
        )
        there = disks(self._database).items()
        yield _plain("daicho_disk_free_bytes", [((place,), disk.free) for place, disk in there])
        yield _plain("daicho_disk_size_bytes", [((place,), disk.total) for place, disk in there])
        for name, value in facts.gauges.items():
            yield _plain(f"daicho_{name}", [((), value)])
        for name, value in facts.counters.items():
            yield _plain(f"daicho_{name}_total", [((), value)])


class Scrapes:
    """Answers scrapes.

    Args:
        database: what is measured.
        requests: HTTP requests by method, route and status.
        version: Daicho's.
    """

    def __init__(self, database: Database, requests: Histograms, version: str) -> None:
        self.facts = FactKeeper(database)
        self._ledger = Ledgers(database, requests, version)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._ledger)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    async def answer(self, accepted: str) -> tuple[bytes, str]:
        """Return all metrics and their media type.

        Args:
            accepted: what the scraper accepts (``Accept``): OpenMetrics if it says so, else the plain format.
        """
        self._ledger.facts = await self.facts.look()
        encode, media_type = choose_encoder(accepted)
        return encode(self._registry), media_type


def _plain(name: str, values: Values) -> Metric:
    """A counter or a gauge."""
    family = FAMILIES[name]
    if family.kind == "counter":
        counter = CounterMetricFamily(name, family.help, labels=family.labels)
        for labels, value in values:
            counter.add_metric(labels, value)
        return counter
    gauge = GaugeMetricFamily(name, family.help, labels=family.labels)
    for labels, value in values:
        gauge.add_metric(labels, value)
    return gauge


def _spread(name: str, each: Mapping[Labels, Distribution]) -> Metric:
    """A histogram."""
    family = FAMILIES[name]
    metric = HistogramMetricFamily(name, family.help, labels=family.labels)
    for labels, held in each.items():
        metric.add_metric(labels, _buckets(held), held.sum)
    return metric


def _buckets(held: Distribution) -> Sequence[tuple[str, float]]:
    """How many values were at most each bound: each bucket holds those before it too."""
    total, buckets = 0, []
    for bound, count in zip((*map(str, held.bounds), "+Inf"), held.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
