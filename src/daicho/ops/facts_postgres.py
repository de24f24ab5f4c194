"""What PostgreSQL says of itself: any login may ask."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from daicho.ops.facts import Facts, Source, TableSize, known_tables

AT_ONCE = text("SET LOCAL lock_timeout = '500ms'")
"""A table's size waits for whoever changes its schema, and all others then wait behind that."""
LOOK = text("""
SELECT pg_database_size(d.datname) AS size, d.deadlocks, d.numbackends, d.xact_commit, d.xact_rollback,
    d.temp_bytes, current_setting('max_connections')::int AS max_connections,
    waiting.locks, waiting.oldest
FROM pg_stat_database d, (
    SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS locks,
        coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float AS oldest
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
) waiting
WHERE d.datname = current_database()
""")
TABLES = text("""
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS size,
    CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE s.n_live_tup END AS rows
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(:names) AND pg_table_is_visible(c.oid)
""")


class PostgresSource(Source):
    """Asks PostgreSQL's own views."""

    def look(self, session: Session) -> Facts:
        row = session.execute(LOOK).one()
        return Facts(
            up=True,
            size=row.size,
            gauges={
                "postgresql_backends": row.numbackends,
                "postgresql_max_connections": row.max_connections,
                "postgresql_lock_waits": row.locks,
                "postgresql_oldest_transaction_seconds": row.oldest,
            },
            counters={
                "postgresql_deadlocks": row.deadlocks,
                "postgresql_commits": row.xact_commit,
                "postgresql_rollbacks": row.xact_rollback,
                "postgresql_temporary_bytes": row.temp_bytes,
            },
        )

    def tables(self, session: Session) -> dict[str, TableSize]:
        session.execute(AT_ONCE)
        found = session.execute(TABLES, {"names": known_tables()})
        return {row.name: TableSize(row.size, row.rows) for row in found}
