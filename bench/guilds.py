"""Guilds: tickets that come in all at once, and pages of a million logs.

The driver of the tickets is the pattern of seed 004: a session of its own for each, ``add``, ``commit``,
``refresh``, on SQLAlchemy's asynchronous engine, into the same tables. On SQLite, where its connections wait
for each other's lock, it is run with one connection too; the better of the two counts.

That of the pages are the seed's two statements, the page by OFFSET and the number of all, on a bare
connection; that of the page by cursor is the statement that ``list_logs`` comes down to.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from bench.harness import Place, Row, best_each
from daicho import AsyncLedger, Ledger
from daicho.core.page import encode
from daicho.core.types import now
from daicho.guilds.models import Ticket

TICKETS, GUILDS, TIMES = 1_000, 50, 2
LOGS, SIZE, GUILD = 1_000_000, 100, 123456789012345678
PAGES = {"page 1": 0, "page 5,000": 4_999 * SIZE, "page 10,000": 9_999 * SIZE}
"""The number of logs that stand before each page."""
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "id, guild_id, log_type, user_id, moderator_id, channel_id, action, details, timestamp"


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    for place in fresh():
        ours = asyncio.run(by_daicho(place))
        pools = [{}, {"pool_size": 1, "max_overflow": 0}] if place.kind == "SQLite" else [{}]
        driver = max(asyncio.run(by_pattern(place, pool)) for pool in pools)
        yield Row(f"{TICKETS:,} create_ticket at once, {place.kind}", "tickets/s", ours, driver)
    for place in fresh():
        yield from pages(place)


# -- tickets -------------------------------------------------------------------------------------------


def ticket(number: int) -> dict[str, object]:
    return {
        "guild_id": GUILD + number % GUILDS,
        "channel_id": GUILD,
        "user_id": GUILD + number,
        "title": f"サーバーエラーについて {number}",
        "description": "サーバーにログインできません",
    }


async def by_daicho(place: Place) -> float:
    async with AsyncLedger(place.url) as ledger:
        await ledger.guilds.create_ticket(**ticket(0))
        best = 0.0
        for _ in range(TIMES):
            begun = time.perf_counter()
            stored = await asyncio.gather(*[ledger.guilds.create_ticket(**ticket(n)) for n in range(TICKETS)])
            best = max(best, TICKETS / (time.perf_counter() - begun))
            assert len({one.id for one in stored}) == TICKETS, "tickets were lost"
        return best


async def by_pattern(place: Place, pool: dict[str, int]) -> float:
    drivers = {"sqlite://": "sqlite+aiosqlite://", "postgresql://": "postgresql+psycopg://"}
    scheme, driver = next((old, new) for old, new in drivers.items() if place.url.startswith(old))
    patience = {"connect_args": {"timeout": 60}} if place.kind == "SQLite" else {}
    engine = create_async_engine(place.url.replace(scheme, driver), **patience, **pool)

    async def create(number: int) -> Ticket:
        async with AsyncSession(engine) as session:
            made = Ticket(**ticket(number), created_at=now())
            session.add(made)
            await session.commit()
            await session.refresh(made)
            return made

    await create(0)
    best = 0.0
    for _ in range(TIMES):
        begun = time.perf_counter()
        stored = await asyncio.gather(*[create(n) for n in range(TICKETS)])
        best = max(best, TICKETS / (time.perf_counter() - begun))
        assert len({one.id for one in stored}) == TICKETS, "tickets were lost"
    await engine.dispose()
    return best


# -- pages of logs -------------------------------------------------------------------------------------

FILL = {
    "SQLite": """
INSERT INTO logs (guild_id, log_type, user_id, channel_id, action, details, timestamp)
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {logs})
SELECT {guild}, 'message_delete', {guild} + n % 500, {guild} + n % 20, 'Message Deleted',
    '{{"content": "Hello World", "attachments": []}}',
    strftime('%Y-%m-%d %H:%M:%f000', '2026-01-01', '+' || n || ' seconds')
FROM numbers
""",
    "PostgreSQL": """
INSERT INTO logs (guild_id, log_type, user_id, channel_id, action, details, timestamp)
SELECT {guild}, 'message_delete', {guild} + n % 500, {guild} + n % 20, 'Message Deleted',
    '{{"content": "Hello World", "attachments": []}}',
    timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
FROM generate_series(0, {logs} - 1) AS n
""",
}


def pages(place: Place) -> Iterator[Row]:
    connection = place.connect()
    connection.execute(FILL[place.kind].format(logs=LOGS, guild=GUILD))
    connection.execute("VACUUM (ANALYZE) logs" if place.kind == "PostgreSQL" else "ANALYZE logs")
    count = f"SELECT count(id) FROM logs WHERE guild_id = {GUILD}"
    offset = f"SELECT {COLUMNS} FROM logs WHERE guild_id = {GUILD} ORDER BY timestamp DESC LIMIT {SIZE}"
    keyset = f"SELECT {COLUMNS} FROM logs WHERE guild_id = {GUILD} AND (timestamp, id) < (?, ?)"
    keyset = place.sql(f"{keyset} ORDER BY timestamp DESC, id DESC LIMIT {SIZE + 1}")
    with Ledger(place.url) as ledger:
        newest = ledger.guilds.list_logs(GUILD, limit=1).items[0].id

        def counted(before: int) -> list[int]:
            logs, total = ledger.guilds.get_logs_paginated(GUILD, before // SIZE + 1, SIZE)
            assert total == LOGS
            return [log.id for log in logs]

        def counted_by_driver(before: int) -> list[int]:
            connection.execute(count).fetchall()
            return [one[0] for one in connection.execute(f"{offset} OFFSET {before}").fetchall()]

        def by_cursor(before: int) -> list[int]:
            cursor = encode(place_in_list(before))
            return [log.id for log in ledger.guilds.list_logs(GUILD, limit=SIZE, cursor=cursor)]

        def by_cursor_by_driver(before: int) -> list[int]:
            at, number = place_in_list(before)
            values = (at if place.kind == "PostgreSQL" else f"{at:%Y-%m-%d %H:%M:%S.%f}", number)
            return [one[0] for one in connection.execute(keyset, values).fetchall()][:SIZE]

        def place_in_list(before: int) -> tuple[datetime, int]:
            return BEGUN + timedelta(seconds=LOGS - before), newest + 1 - before

        def each(read: Callable[[int], list[int]]) -> list[float]:
            return best_each([partial(read, before) for before in PAGES.values()])

        for how, ours, theirs in (
            ("with the total", counted, counted_by_driver),
            ("by cursor", by_cursor, by_cursor_by_driver),
        ):
            for before in PAGES.values():
                wanted = [newest - before - n for n in range(SIZE)]
                assert ours(before) == theirs(before) == wanted, "another page"
            for name, mine, drivers in zip(PAGES, each(ours), each(theirs), strict=True):
                yield Row(f"{name} of a million logs, {how}, {place.kind}", "ms", mine, drivers)
    connection.close()
