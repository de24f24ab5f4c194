"""Seed 004, the Discord bot: every block as printed, on an SQLite file and on PostgreSQL."""

import asyncio
import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any, Optional

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select

import daicho_dropin
import database.models as models
from daicho import Ledger
from database.manager import DatabaseManager
from database.models import (
    AvatarHistory,
    AvatarHistoryType,
    Log,
    LogType,
    MusicSource,
    Ticket,
    TicketCategory,
    TicketPriority,
    TicketStatus,
    UserAvatarStats,
)
from tests.dropin.printed import blocks, printed, run, run_now
from tests.processes import python

GUILD, USER = 123456789, 555666777
NAMES: dict[str, Any] = {
    **{name: getattr(models, name) for name in models.__all__},
    "List": list,
    "Optional": Optional,
    "Tuple": tuple,
    "datetime": datetime,
    "timedelta": timedelta,
    "select": select,
}


@pytest.fixture
def place(url: str) -> str:
    """What a ``DatabaseManager`` is given: a file's path, or a URL."""
    return url.removeprefix("sqlite:///")


@asynccontextmanager
async def managing(place: str) -> AsyncIterator[DatabaseManager]:
    manager = DatabaseManager(place)
    await manager.initialize()
    try:
        yield manager
    finally:
        await manager.close()


def methods(first_line: str, owner: Any, **names: Any) -> SimpleNamespace:
    """The functions that a block defines, as methods of an object."""
    made = run_now(printed("004", first_line), **NAMES, **names)
    functions = {name: value for name, value in vars(made).items() if callable(value) and name not in NAMES}
    return SimpleNamespace(**{name: MethodType(value, owner) for name, value in functions.items()})


# -- models ------------------------------------------------------------------------------------------

MODELS = [line for line in blocks("004", "python") if "(SQLModel, table=True)" in line]
ENUMS = [line for line in blocks("004", "python") if "Enum):" in line]


def test_the_models_as_printed_are_the_models() -> None:
    class Apart(SQLModel, registry=registry()):
        """Other tests have SQLModel's own registry."""

    names: dict[str, Any] = {"Enum": Enum, "SQLModel": Apart, "Field": Field, "Optional": Optional}
    names |= {"datetime": datetime}
    for line in (*ENUMS, *MODELS):
        names |= vars(run_now(printed("004", line), **names))
    first = printed("004", "from sqlmodel import SQLModel, Field")
    imports, _, model = first.partition("\n")
    assert imports == "from sqlmodel import SQLModel, Field"
    names |= vars(run_now(model, **names))
    checked = 0
    for name in models.__all__:
        theirs, ours = names[name], getattr(models, name)
        if issubclass(ours, Enum):
            assert {member.name: member.value for member in ours} == {one.name: one.value for one in theirs}
            continue
        columns = inspect(ours).columns
        given = {field: 1 for field, of in theirs.model_fields.items() if of.is_required()}
        before, made = theirs(**given), ours(**given)
        assert list(made.model_dump()) == [field for field in made.values() if field in theirs.model_fields]
        assert set(made.model_dump()) == set(theirs.model_fields)
        for field, of in theirs.model_fields.items():
            optional = not of.is_required() and of.default is None and field != "id"
            assert columns[field].nullable is (optional and of.default_factory is None), field
            if of.default_factory is None and not of.is_required():
                value = getattr(before, field)
                assert getattr(made, field) == (value.value if isinstance(value, Enum) else value), field
        checked += 1
    assert checked == 9


# -- DatabaseManager ---------------------------------------------------------------------------------


def test_the_manager_as_printed(tmp_path: Path) -> None:
    statement = select(Ticket)
    made = asyncio.run(
        run(printed("004", "from database.manager import DatabaseManager"), statement=statement)
    )
    assert made.result.all() == []
    assert made.db_manager.database_path == tmp_path / "kyrios.db"


OPERATIONS = ("# チケット作成", "# ログ作成", "# 設定取得", "# 楽曲作成", "# アバター履歴記録")


def test_the_operations_as_printed(place: str) -> None:
    async def main() -> None:
        async with managing(place) as db_manager:
            left: dict[str, Any] = dict(NAMES)
            for line in OPERATIONS:
                left |= vars(await run(printed("004", line), **{**left, "db_manager": db_manager}))
        made = SimpleNamespace(**left)
        assert (made.ticket.id, made.ticket.title) == (1, "サーバーエラーについて")
        assert [one.id for one in made.tickets] == [one.id for one in made.open_tickets] == [1]
        assert (made.updated_ticket.priority, made.updated_ticket.assigned_to) == (
            TicketPriority.HIGH,
            999888777,
        )
        assert (made.closed_ticket.status, made.closed_ticket.closed_at.tzinfo) == ("closed", UTC)
        assert [one.id for one in made.logs] == [made.log_entry.id]
        assert made.settings.features_enabled == "tickets,logger,music"
        assert (made.track.source, made.queue_item.position) == (MusicSource.YOUTUBE, 1)
        assert (made.next_item.track_id, made.cleared_count) == (made.track.id, 1)
        assert (made.stats.total_avatar_changes, made.stats.most_used_format) == (1, "png")
        assert [one.id for one in made.history_list] == [made.history.id]

    asyncio.run(main())


def test_a_service_as_printed(place: str) -> None:
    async def main() -> None:
        async with managing(place) as db:
            service = run_now(
                printed("004", "from database.models import Ticket, TicketStatus"), **NAMES
            ).TicketService(db)
            ticket = await service.create_ticket(GUILD, USER, "題")
            assert (await service.assign_ticket(ticket.id, 7)).assigned_to == 7
            assert [one.title for one in await service.get_user_tickets(GUILD, USER)] == ["題"]

    asyncio.run(main())


# -- sessions ----------------------------------------------------------------------------------------


def test_queries_as_printed(place: str) -> None:
    async def main() -> None:
        async with managing(place) as db:
            service = SimpleNamespace(db=db)
            query = methods("from sqlmodel import select, and_, or_", service)
            for priority in (1, 3, 4, 3):
                await db.create_ticket(GUILD, 1, USER, str(priority), priority=priority)
            found = await query.get_priority_tickets(GUILD)
            assert [ticket.title for ticket in found] == ["4", "3", "3"]
            old = datetime.now() - timedelta(hours=30)
            await db.create_log(GUILD, LogType.MEMBER_JOIN, "old", timestamp=old)
            await db.create_log(GUILD, LogType.MEMBER_JOIN, "new")
            assert [log.action for log in await query.get_recent_logs(GUILD)] == ["new"]
            assert len(await query.get_recent_logs(GUILD, hours=31)) == 2

            counted = methods("from sqlalchemy import func", service)
            assert await counted.get_ticket_statistics(GUILD) == {
                "status_distribution": {TicketStatus.OPEN: 4},
                "priority_distribution": {1: 1, 3: 2, 4: 1},
                "total_tickets": 4,
            }
            mine = methods("# 読み取り専用はトランザクション不要", db)
            assert len(await mine.get_user_tickets(USER)) == 4
            with pytest.raises(AttributeError):
                await methods("# 読み取り専用はトランザクション不要", service).get_user_tickets(USER)

    asyncio.run(main())


def test_many_logs_as_printed(place: str) -> None:
    async def main() -> None:
        from sqlalchemy import func

        async with managing(place) as db:
            service = SimpleNamespace(db=db)
            many = methods(
                "async def create_multiple_logs(self, log_data_list: List[dict]) -> List[Log]:", service
            )
            at = datetime.now() - timedelta(days=40)
            values = {"guild_id": GUILD, "log_type": LogType.ROLE_ADD}
            await db.create_or_update_guild_settings(GUILD)
            logs = await many.create_multiple_logs(
                [{**values, "action": str(n), "timestamp": at - timedelta(days=n)} for n in range(5)]
            )
            assert [log.action for log in logs] == ["0", "1", "2", "3", "4"]
            assert logs[0].timestamp == at.astimezone(UTC)

            page = methods("async def get_logs_paginated(", service, func=func)
            found, total = await page.get_logs_paginated(GUILD, page=2, per_page=2)
            assert ([log.action for log in found], total) == (["2", "3"], 5)

            await db.create_log(GUILD, LogType.ROLE_ADD, "kept")
            clean = methods("async def cleanup_old_logs(self, days: int = 30) -> int:", service)
            assert await clean.cleanup_old_logs(42) == 3
            assert await clean.cleanup_old_logs() == 2
            assert [log.action for log in await db.get_logs(GUILD)] == ["kept"]

            done: list[object] = []

            async def process_batch(session: Any, batch: str) -> None:
                session.add(Log(guild_id=GUILD, log_type=LogType.ROLE_ADD, action=batch))
                done.append(batch)

            long = methods(
                "# 長時間実行される処理での適切な接続管理",
                service,
                data_batches=["a", "b"],
                process_batch=process_batch,
            )
            await long.long_running_process()
            steps = methods(
                "async def process_large_dataset(self, items):",
                db,
                process_item=lambda session, item: session.add(Log(**values, action=item)),
            )
            await steps.process_large_dataset([str(n) for n in range(250)])
            assert (done, (await db.get_logs_paginated(GUILD))[1]) == (["a", "b"], 1 + 2 + 250)

    asyncio.run(main())


def test_transactions_as_printed(place: str) -> None:
    """The text's sketches leave out values that no table can do without: ``sketched`` adds them."""

    class User(models.Ticket.__bases__[0].__bases__[1]):  # type: ignore[misc]
        __tablename__ = "sketched_users"
        from sqlalchemy import Column, Integer, String

        id = Column(Integer, primary_key=True)
        name = Column(String(50))

    def sketched(**values: Any) -> Log:
        told = {name: values.pop(name) for name in ("ticket_id",) if name in values}
        return Log(guild_id=GUILD, log_type=LogType.SYSTEM_EVENT, details=told or None, **values)

    async def main() -> None:
        async with managing(place) as db:
            async with db.transaction() as session:
                await session.run_sync(lambda held: User.__table__.create(held.connection()))
            await run(
                printed("004", "async with self.transaction() as session:"), self=db, User=User, Log=sketched
            )
            ticket = await db.create_ticket(GUILD, 1, USER, "閉じる")
            async with db.async_session() as session:
                ticket = await session.get(Ticket, ticket.id)
            await run(
                printed("004", "# ✅ 関連するデータの更新は同じトランザクション内"),
                **{**NAMES, "Log": sketched, "self": db, "ticket": ticket},
            )
            assert {log.action for log in await db.get_logs(GUILD)} == {"created", "ticket_closed"}
            assert (ticket.status, ticket.closed_at.tzinfo) == (
                TicketStatus.CLOSED,
                None,
            )  # no session had it

            class Operations(DatabaseManager):
                def _create_ticket_sync(self, session: Any, data: Any) -> Ticket:
                    session.add(made := Ticket(guild_id=GUILD, channel_id=1, user_id=USER, title=data.title))
                    session.flush()
                    return made

                def _create_initial_message_sync(self, session: Any, data: Any) -> None:
                    session.add(sketched(action="message"))

                def _update_guild_stats_sync(self, session: Any, guild_id: int) -> None:
                    session.add(sketched(action="stats"))

                def _create_audit_log_sync(self, session: Any, data: Any) -> None:
                    if data.title == "駄目":
                        raise IntegrityError("INSERT", {}, Exception("駄目"))
                    session.add(sketched(action="audit"))

            own = Operations(place)
            complex_ = methods("async def complex_ticket_operation(self, ticket_data):", own)
            data = SimpleNamespace(title="複数", guild_id=GUILD)
            assert (await complex_.complex_ticket_operation(data)).title == "複数"
            data.title = "駄目"
            with pytest.raises(IntegrityError):
                await complex_.complex_ticket_operation(data)
            assert {log.action for log in await db.get_logs(GUILD)} >= {"message", "stats", "audit"}
            assert len(await db.get_logs(GUILD)) == 5
            await own.close()

            def perform_complex_operation(session: Any, data: str) -> str:
                session.add(Log(guild_id=None, log_type=LogType.SYSTEM_EVENT, action=data))
                return data

            safe = methods(
                "async def safe_operation(self, data):",
                db,
                IntegrityError=IntegrityError,
                perform_complex_operation=perform_complex_operation,
            )
            with pytest.raises(ValueError, match="データの整合性エラー"):
                await safe.safe_operation("x")

    try:
        asyncio.run(main())
    finally:
        User.metadata.remove(User.__table__)
        User.registry._dispose_cls(User)


def whole(block: str) -> str:
    """A sketch whose ``...`` stands for further arguments, written out."""
    return block.replace("user_id: int, ...)", "user_id: int, history_type)").replace(
        "user_id=user_id, ...)", "user_id=user_id, history_type=AvatarHistoryType.AVATAR_CHANGE)"
    )


@pytest.mark.filterwarnings("ignore:coroutine 'AsyncSession.flush' was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:get_session:DeprecationWarning")
def test_both_ways_to_record_an_avatar_as_printed(place: str) -> None:
    class Bot(DatabaseManager):
        def _update_user_avatar_stats_sync(self, user_id: int, history_type: object, session: Any) -> None:
            if user_id == 13:
                raise RuntimeError("statistics")

    async def main() -> None:
        bot = Bot(place)
        bad = run_now(
            whole(printed("004", "# ❌ トランザクションが分離されている（データ不整合のリスク）")), **NAMES
        )
        good = run_now(whole(printed("004", "# ✅ 単一トランザクションでアトミック操作")), **NAMES)
        with pytest.raises(
            AttributeError
        ):  # as its comment says: the history is there, the statistics are not
            await bad.bad_record_avatar_change(bot, 11)
        assert len(await bot.get_avatar_history(11)) == 1
        await good.record_avatar_change(bot, 12, AvatarHistoryType.AVATAR_CHANGE)
        with pytest.raises(RuntimeError, match="statistics"):
            await good.record_avatar_change(bot, 13, AvatarHistoryType.AVATAR_CHANGE)
        assert [len(await bot.get_avatar_history(user)) for user in (12, 13)] == [1, 0]
        assert isinstance(await bot.get_user_avatar_stats(12), UserAvatarStats)
        await bot.close()

    asyncio.run(main())


# -- tests, factories, copies ------------------------------------------------------------------------

PYTEST = """
import pytest
from database.manager import DatabaseManager
from database.models import TicketStatus

"""


def test_the_tests_as_printed_pass(tmp_path: Path) -> None:

    (tmp_path / "test_bot.py").write_text(PYTEST + printed("004", "# テスト用の設定"))
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\nasyncio_mode = auto\npythonpath = {Path(daicho_dropin.__file__).parents[1]}\n"
    )
    quick = ("-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider")
    environment = dict(os.environ) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = python("-m", "pytest", "-q", *quick, folder=tmp_path, environment=environment)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_factory_as_printed_makes_tickets(place: str) -> None:
    import factory

    made = run_now(printed("004", "import factory"), **NAMES)
    assert len({ticket.title for ticket in made.test_tickets}) > 1

    async def main() -> None:
        async with managing(place) as db, db.transaction() as session:
            session.add_all(made.test_tickets)
            await session.flush()
            assert len({ticket.id for ticket in made.test_tickets}) == 10
            found = await session.exec(select(Ticket).order_by(Ticket.id))
            assert [ticket.title for ticket in found] == [ticket.title for ticket in made.test_tickets]

    asyncio.run(main())
    with (
        Ledger(place if "://" in place else f"sqlite:///{place}") as ledger,
        ledger.guilds.transaction() as held,
    ):

        class Stored(factory.alchemy.SQLAlchemyModelFactory):
            class Meta:
                model = Ticket
                sqlalchemy_session = held

            guild_id, channel_id, user_id, title = GUILD, 1, USER, factory.Sequence(str)

        assert [ticket.id is not None for ticket in Stored.create_batch(3)] == [False] * 3
        held.flush()
        assert held.query(Ticket).count() == 13


def test_the_copy_as_printed_has_everything(tmp_path: Path) -> None:
    async def main() -> Path:
        async with managing(str(tmp_path / "kyrios.db")) as db:
            for number in range(20):
                await db.create_ticket(GUILD, 1, USER, str(number))
            copied = methods("import shutil", db)
            copy = await copied.backup_database()
            assert (await db.backup_database(tmp_path)).is_file()
            return copy

    copy = asyncio.run(main())
    shutil.move(copy, alone := tmp_path / "elsewhere.db")
    with sqlite3.connect(alone) as kept:
        assert kept.execute("SELECT count(*) FROM tickets").fetchone() == (20,)


# -- what existing code meets besides -------------------------------------------------------------------


def test_local_times_without_a_zone_are_understood(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        asyncio.run(_local_times(place))
    finally:
        monkeypatch.undo()
        time.tzset()


async def _local_times(place: str) -> None:
    local, same = datetime(2026, 1, 1, 9), datetime(2026, 1, 1, tzinfo=UTC)
    async with managing(place) as db:
        ticket = await db.create_ticket(GUILD, 1, USER, "x", created_at=local)
        assert ticket.created_at == same
        logs = [{"guild_id": GUILD, "log_type": "role_add", "action": "x", "timestamp": local}]
        assert [log.timestamp for log in await db.create_multiple_logs(logs)] == [same]
        assert (await db.list_tickets(GUILD, since=local, until=local + timedelta(seconds=1))).items
        async with db.transaction() as session:
            found = (await session.execute(select(Ticket).where(Ticket.created_at == local))).scalars().one()
            found.status, found.closed_at = TicketStatus.CLOSED, local
            await session.flush()
            assert found.closed_at == same
        async with db.async_session() as session:
            assert (await session.get(Ticket, ticket.id)).closed_at == same
            await session.execute(
                Ticket.__table__.update()
                .where(Ticket.created_at <= local)
                .values(closed_at=local + timedelta(hours=1))
            )
            await session.commit()
        assert (await db.get_ticket(ticket.id)).closed_at == same + timedelta(hours=1)


def test_a_session_that_has_read_may_write_after_others(place: str) -> None:
    async def main() -> None:
        async with managing(place) as db, managing(place) as other:
            ticket = await db.create_ticket(GUILD, 1, USER, "x")
            async with db.async_session() as session:
                held = await session.get(Ticket, ticket.id)
                await other.create_log(GUILD, LogType.ROLE_ADD, "in between")
                held.title = "y"
                await session.commit()
            assert (await db.get_ticket(ticket.id)).title == "y"

    asyncio.run(main())


def test_instances_are_used_after_their_session_and_dumped() -> None:
    async def main() -> None:
        async with managing(":memory:") as db, db.transaction() as session:
            session.add(ticket := Ticket(guild_id=GUILD, channel_id=1, user_id=USER, title="x"))
        dumped = ticket.model_dump()
        assert (dumped["id"], dumped["category"], "request_id" in dumped) == (
            1,
            TicketCategory.GENERAL,
            False,
        )
        assert ticket.model_dump(mode="json", include={"title", "status"}) == {"title": "x", "status": "open"}
        assert '"closed_at"' not in ticket.model_dump_json(exclude_none=True)
        assert Ticket.model_validate(dumped).model_dump() == dumped
        assert Ticket.model_validate(ticket).values() == ticket.values()
        assert not AvatarHistory(user_id=1).model_dump(exclude=["timestamp"]).get("timestamp")

    asyncio.run(main())


def test_a_bot_without_sqlmodel_has_sqlalchemys_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with managing(":memory:") as db, db.async_session() as session:
            assert type(session) is AsyncSession

    monkeypatch.setitem(sys.modules, "sqlmodel", None)
    asyncio.run(main())


def test_the_manager_says_what_it_cannot_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from daicho import Invalid, Outdated

    async def main() -> None:
        with sqlite3.connect(tmp_path / "kyrios.db") as old:
            old.execute("CREATE TABLE ticket (id INTEGER PRIMARY KEY)")
        old.close()
        with pytest.raises(Outdated, match="daicho guilds adopt"):
            await DatabaseManager("kyrios.db").initialize()
        with pytest.raises(Invalid, match=r"backup_database\(\)"):
            _ = DatabaseManager(":memory:").database_path
        logging.getLogger("database").error("the bot's own logger")

    asyncio.run(main())
