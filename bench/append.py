"""Durable appends: ``append_log`` by 1, 8 and 32 callers.

The driver commits each row by itself, with the same two statements: one connection on SQLite (more
would only wait for each other), one a caller on PostgreSQL.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from bench.harness import Place, Row, begin_calls, seconds, text
from daicho import Ledger

APPENDS = {1: 2_000, 8: 8_000, 32: 16_000}


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for callers, total in APPENDS.items():
        for place in fresh():
            with Ledger(place.url) as ledger:
                begin_calls(ledger, callers)
            driver = total / by_driver(place, callers, total)
            ours = total / by_daicho(place, callers, total)
            yield Row(f"durable append, {callers} callers, {place.kind}", "rows/s", ours, driver)


def by_daicho(place: Place, callers: int, total: int) -> float:
    with Ledger(place.url) as ledger, ThreadPoolExecutor(callers) as threads:
        ledger.calls.append_log("call-0", "user", "warm", state="greeting")

        def append(caller: int) -> None:
            for n in range(total // callers):
                ledger.calls.append_log(f"call-{caller}", "user", text(n), state="greeting")

        took = seconds(lambda: list(threads.map(append, range(callers))))
        kept = sum(1 for n in range(callers) for _ in every_line(ledger, f"call-{n}"))
        assert kept == 2 * total + 1, "appends were lost"
        return took


def every_line(ledger: Ledger, call_id: str) -> Iterator[int]:
    cursor = None
    while True:
        page = ledger.calls.transcript(call_id, limit=1000, cursor=cursor)
        yield from (line.id for line in page)
        if (cursor := page.next) is None:
            return


def by_driver(place: Place, callers: int, total: int) -> float:
    alone = place.kind == "SQLite"
    connections = [place.connect() for _ in range(1 if alone else callers)]
    touch = place.sql("UPDATE calls SET current_state = ? WHERE call_id = ?")
    insert = place.sql("INSERT INTO call_logs (call_id, timestamp, role, text, state) VALUES (?, ?, ?, ?, ?)")

    def append(number: int) -> None:
        connection = connections[number]
        for n in range(total // len(connections)):
            call = f"call-{n % callers if alone else number}"
            now = datetime.now(UTC)
            connection.execute("BEGIN IMMEDIATE" if alone else "BEGIN")
            connection.execute(touch, ("greeting", call))
            at = now.replace(tzinfo=None).isoformat(" ") if alone else now
            connection.execute(insert, (call, at, "user", text(n), "greeting"))
            connection.execute("COMMIT")

    with ThreadPoolExecutor(len(connections)) as threads:
        took = seconds(lambda: list(threads.map(append, range(len(connections)))))
    for connection in connections:
        connection.close()
    return took
