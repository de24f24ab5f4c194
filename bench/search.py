"""Transcript search over a million lines: a rare phrase and a common one. The peer is LIKE without an index."""

from collections.abc import Callable, Iterator

from bench.harness import Place, Row, best_ms, text
from daicho import Ledger
from daicho.calls.models import CallLog
from daicho.core.bulk import insert_many
from daicho.core.types import now

LINES = 1_000_000
WANTED = {"rare": "(777777)", "common": "予約でよろしい"}


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        with Ledger(place.url) as ledger:
            ledger.calls.start("call-0", "bench")
            ledger.database.run(lambda session: insert_many(session, CallLog, many_lines()))
            connection = place.connect()
            connection.execute("ANALYZE")
            for kind, wanted in WANTED.items():
                ours = best_ms(lambda: ledger.calls.search(wanted))  # noqa: B023
                indexed, scan = statements(place)
                driver = best_ms(lambda: connection.execute(indexed, (pattern(place, wanted),)).fetchall())  # noqa: B023
                naive = best_ms(lambda: connection.execute(scan, (f"%{wanted}%",)).fetchall(), 1)  # noqa: B023
                assert ledger.calls.search(wanted).items
                yield Row(
                    f"search 1,000,000 lines, {kind}, {place.kind}", "ms", ours, driver, ("LIKE", naive)
                )
            connection.close()


def statements(place: Place) -> tuple[str, str]:
    """The search by its index, and by looking at every line."""
    join = "SELECT l.*, c.* FROM call_logs l JOIN calls c ON c.call_id = l.call_id"
    end = "DESC LIMIT 51"
    if place.kind == "PostgreSQL":
        return (
            f"{join} WHERE l.text ILIKE %s ORDER BY l.id {end}",
            "SELECT id FROM call_logs WHERE lower(text) LIKE %s ORDER BY timestamp DESC LIMIT 51",
        )
    return (
        f"{join} JOIN call_logs_search s ON s.rowid = l.id WHERE call_logs_search MATCH ? ORDER BY s.rowid {end}",
        "SELECT id FROM call_logs WHERE text LIKE ? ORDER BY timestamp DESC LIMIT 51",
    )


def pattern(place: Place, wanted: str) -> str:
    return f"%{wanted}%" if place.kind == "PostgreSQL" else f'"{wanted}"'


def many_lines() -> Iterator[dict[str, object]]:
    at = now()
    for n in range(LINES):
        yield {"call_id": "call-0", "timestamp": at, "role": "user", "text": text(n), "state": "greeting"}
