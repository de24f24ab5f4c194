"""Bulk appends: ``append_logs`` against the driver's COPY or executemany into the same table and indexes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bench.harness import Place, Row, begin_calls, seconds, text
from daicho import Ledger

LINES = 50_000
CALLS = 50


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        with Ledger(place.url) as ledger:
            begin_calls(ledger, CALLS)
            driver = LINES / seconds(lambda: by_driver(place))  # noqa: B023
            lines = [
                {"call_id": f"call-{n % CALLS}", "role": "user", "text": text(n), "state": "greeting"}
                for n in range(LINES)
            ]
            ours = LINES / seconds(lambda: ledger.calls.append_logs(lines))  # noqa: B023
        yield Row(f"bulk append of {LINES:,}, {place.kind}", "rows/s", ours, driver)


def by_driver(place: Place) -> None:
    now = datetime.now(UTC)
    columns = "call_logs (call_id, timestamp, role, text, state)"
    connection = place.connect()
    if place.kind == "PostgreSQL":
        with connection.cursor().copy(f"COPY {columns} FROM STDIN") as copy:
            for n in range(LINES):
                copy.write_row((f"call-{n % CALLS}", now, "user", text(n), "greeting"))
    else:
        at = now.replace(tzinfo=None).isoformat(" ")
        values = [(f"call-{n % CALLS}", at, "user", text(n), "greeting") for n in range(LINES)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO {columns} VALUES (?, ?, ?, ?, ?)", values)
        connection.execute("COMMIT")
    connection.close()
