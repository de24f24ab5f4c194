"""What SQLite says of its file: its pages, its log, and (where it was built with ``dbstat``) its tables."""

from collections import defaultdict
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from daicho.core.dialect import search_table
from daicho.core.engine import Database
from daicho.ops.facts import Facts, Source, TableSize, known_tables

LARGEST = 2 * 1024**3
"""The largest file whose tables are measured, in bytes: SQLite reads all of it for that."""
PAGES = text(
    "SELECT p.page_count, s.page_size, f.freelist_count"
    " FROM pragma_page_count p, pragma_page_size s, pragma_freelist_count f"
)
TABLES = text("""
SELECT s.tbl_name AS "table", s.type, sum(d.pgsize) AS size,
    sum(CASE d.pagetype WHEN 'leaf' THEN d.ncell ELSE 0 END) AS rows
FROM dbstat d JOIN sqlite_schema s ON s.name = d.name GROUP BY d.name
""")


class SqliteSource(Source):
    """Asks the file.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._log = None if database.in_memory else Path(f"{database.url.database}-wal")

    def look(self, session: Session) -> Facts:
        pages, size, free = session.execute(PAGES).one()
        gauges = {"sqlite_free_bytes": free * size}
        if self._log is not None:
            gauges["sqlite_wal_bytes"] = self._log.stat().st_size if self._log.exists() else 0
        return Facts(up=True, size=pages * size, gauges=gauges)

    def tables(self, session: Session) -> dict[str, TableSize]:
        pages, size, _ = session.execute(PAGES).one()
        if pages * size > LARGEST:
            return {}
        try:
            found = session.execute(TABLES).all()
        except OperationalError:  # this SQLite was built without dbstat
            return {}
        sizes: defaultdict[str, int] = defaultdict(int)
        rows: dict[str, int] = {}
        known = known_tables()
        for table, kind, bytes_, cells in found:
            owner = _owner(table, known)
            sizes[owner] += bytes_
            if kind == "table" and table == owner:
                rows[owner] = cells
        return {name: TableSize(sizes[name], rows.get(name)) for name in known if name in sizes}


def _owner(table: str, known: list[str]) -> str:
    """The table that one belongs to: those behind a full-text index to the one that it searches."""
    return next((name for name in known if table.startswith(search_table(name))), table)
