"""A deep page: page 10,000 of 500,000 calls, 50 a page. The peer is OFFSET, the way it is often done."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from bench.harness import Place, Row, best_ms
from daicho import Ledger
from daicho.calls.models import Call
from daicho.core.bulk import insert_many
from daicho.core.page import encode

CALLS, SIZE = 500_000, 50
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "id, call_id, client_id, started_at, ended_at, current_state, is_transferred, handover_summary, caller_number"


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        with Ledger(place.url) as ledger:
            ledger.database.run(lambda session: insert_many(session, Call, many_calls()))
            at = ledger.calls.list(limit=1).items[0].id - (10_000 - 1) * SIZE + 1
            instant = BEGUN + timedelta(seconds=at - 1)
            cursor = encode([instant, at])
            connection = place.connect()
            first = best_ms(lambda: ledger.calls.list(limit=SIZE))
            ours = best_ms(lambda: ledger.calls.list(limit=SIZE, cursor=cursor))  # noqa: B023
            keyset = place.sql(
                f"SELECT {COLUMNS} FROM calls WHERE (started_at, id) < (?, ?) "
                f"ORDER BY started_at DESC, id DESC LIMIT {SIZE + 1}"
            )
            offset = f"SELECT {COLUMNS} FROM calls ORDER BY started_at DESC, id DESC LIMIT {SIZE} OFFSET {9_999 * SIZE}"
            place_in_list = (str(instant.replace(tzinfo=None)) if place.kind == "SQLite" else instant, at)
            driver = best_ms(lambda: connection.execute(keyset, place_in_list).fetchall())  # noqa: B023
            naive = best_ms(lambda: connection.execute(offset).fetchall(), 3)  # noqa: B023
            connection.close()
        yield Row(
            f"page 10,000 of calls (page 1: {first:.2g}), {place.kind}", "ms", ours, driver, ("OFFSET", naive)
        )


def many_calls() -> Iterator[dict[str, object]]:
    for n in range(CALLS):
        at = BEGUN + timedelta(seconds=n)
        yield {
            "call_id": f"call-{n}",
            "client_id": f"client-{n % 100}",
            "started_at": at,
            "ended_at": at,
            "current_state": "completed",
            "is_transferred": False,
        }
