"""Tickets and what is said in them: each test runs on both databases, most on both faces."""

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from daicho import AsyncLedger, Conflict, Invalid, Ledger
from daicho.guilds.enums import TicketCategory, TicketPriority, TicketStatus
from daicho.guilds.models import Log, Ticket, TicketMessage
from tests.faces import Faces

BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
GUILD, CHANNEL, USER = 123456789, 987654321, 555666777
GREATEST = 2**63 - 1
SEED = {"guild_id": GUILD, "channel_id": CHANNEL, "user_id": USER, "title": "サーバーエラーについて"}


def test_a_ticket_has_the_seeds_defaults(face: Faces) -> None:
    ticket = face.guilds.create_ticket(**SEED, description="サーバーにログインできません", created_at=BEGUN)
    assert ticket.values() == {
        **SEED,
        "id": ticket.id,
        "description": "サーバーにログインできません",
        "assigned_to": None,
        "category": TicketCategory.GENERAL,
        "priority": TicketPriority.MEDIUM,
        "status": TicketStatus.OPEN,
        "created_at": BEGUN,
        "closed_at": None,
        "request_id": None,
    }
    kept = face.guilds.get_ticket(ticket.id)
    assert kept is not None
    assert kept.values() == ticket.values()
    assert isinstance(kept.priority, TicketPriority)
    assert abs(face.guilds.create_ticket(**SEED).created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_ticket_brings_its_guild_with_the_default_settings(face: Faces) -> None:
    assert face.guilds.get_guild_settings(GUILD) is None
    face.guilds.create_ticket(**SEED)
    settings = face.guilds.get_guild_settings(GUILD)
    assert settings is not None
    assert (settings.prefix, settings.features_enabled) == ("!", "tickets,logger")
    assert settings.log_channel_id is None


def test_a_guild_goes_with_the_ticket_that_brought_it(face: Faces) -> None:
    if hasattr(face.ledger, "__aenter__"):

        async def several() -> None:
            async with face.ledger.begin() as tx:
                ticket = await tx.guilds.create_ticket(**SEED)
                await tx.guilds.add_ticket_message(ticket.id, USER, 1, "x")
                raise KeyError

        with pytest.raises(KeyError):
            face._finish(several())
    else:
        with pytest.raises(KeyError), face.ledger.begin() as tx:
            ticket = tx.guilds.create_ticket(**SEED)
            tx.guilds.add_ticket_message(ticket.id, USER, 1, "x")
            raise KeyError
    assert face.guilds.get_guild_settings(GUILD) is None
    assert len(face.guilds.list_tickets()) == 0


def test_several_operations_see_each_other_in_one_transaction(face: Faces) -> None:
    if hasattr(face.ledger, "__aenter__"):

        async def several() -> list[object]:
            async with face.ledger.begin() as tx:
                ticket = await tx.guilds.create_ticket(**SEED, request_id="r")
                await tx.guilds.get_ticket(ticket.id)
                await tx.guilds.update_ticket(ticket.id, priority=TicketPriority.URGENT)
                await tx.guilds.create_log(GUILD, "system_event", "ticket opened")
                await tx.guilds.close_ticket(ticket.id)
                again = await tx.guilds.create_ticket(**SEED, request_id="r")
                return [again.id == ticket.id, again.status, (await tx.guilds.get_ticket(ticket.id)).priority]

        seen = face._finish(several())
    else:
        with face.ledger.begin() as tx:
            ticket = tx.guilds.create_ticket(**SEED, request_id="r")
            tx.guilds.get_ticket(ticket.id)
            tx.guilds.update_ticket(ticket.id, priority=TicketPriority.URGENT)
            tx.guilds.create_log(GUILD, "system_event", "ticket opened")
            tx.guilds.close_ticket(ticket.id)
            again = tx.guilds.create_ticket(**SEED, request_id="r")
            seen = [again.id == ticket.id, again.status, tx.guilds.get_ticket(ticket.id).priority]
    assert seen == [True, TicketStatus.CLOSED, TicketPriority.URGENT]
    assert len(face.guilds.get_logs(GUILD)) == 1


def test_a_ticket_by_plain_sql_brings_its_guild_too(ledger: Ledger) -> None:
    ledger.guilds.list_tickets()
    columns = "guild_id, channel_id, user_id, category, priority, status, created_at, title"
    insert = text(
        f"INSERT INTO tickets ({columns}) VALUES (7, 0, 1, 'other', 2, 'open', '2026-11-21 00:00:00', 'x')"
    )
    with pytest.raises(KeyError), ledger.database.engine.begin() as connection:
        connection.execute(insert)
        raise KeyError
    assert ledger.guilds.get_guild_settings(7) is None
    with ledger.database.engine.begin() as connection:
        connection.execute(insert)
    settings = ledger.guilds.get_guild_settings(7)
    assert settings is not None
    assert settings.prefix == "!"
    assert ledger.guilds.get_open_tickets(7)[0].category is TicketCategory.OTHER


def test_threads_that_open_tickets_of_one_new_guild_register_it_once(ledger: Ledger) -> None:
    ready = threading.Barrier(8)
    made: list[int] = []

    def work(number: int) -> None:
        ready.wait()
        made.extend(ledger.guilds.create_ticket(GUILD, 0, number, f"{n}").id for n in range(25))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 200
    assert len(ledger.guilds.list_guilds()) == 1
    assert [len(ledger.guilds.get_tickets_by_user(GUILD, number)) for number in range(8)] == [25] * 8


# -- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"category": "billing"}, "category cannot be 'billing'; one of: technical, moderation"),
        ({"priority": 5}, "priority cannot be '5'; one of: 1, 2, 3, 4"),
        ({"priority": None}, "priority cannot be empty"),
        ({"priority": True}, "priority cannot be 'True'; one of: 1, 2, 3, 4"),
        ({"priority": 2.0}, "priority cannot be '2.0'; one of: 1, 2, 3, 4"),
        ({"guild_id": -1}, "guild_id is no Discord id: '-1'"),
        ({"user_id": GREATEST + 1}, "user_id is no Discord id"),
        ({"channel_id": "987"}, "channel_id is no Discord id"),
        ({"assigned_to": True}, "assigned_to is no Discord id"),
        ({"title": None}, "title cannot be empty"),
        ({"title": "a\x00b"}, "title has a NUL byte at character 2"),
        ({"description": "\ud800"}, "description has half a character"),
        ({"request_id": ""}, "request_id is empty"),
        ({"request_id": "x" * 65}, "request_id is 65 characters long; at most 64"),
        ({"created_at": datetime(2026, 11, 21)}, "created_at: .* has no time zone"),  # noqa: DTZ001
        ({"created_at": 0}, "created_at must be a datetime, not int"),
        ({"created_at": ""}, "created_at must be a datetime, not str"),
        ({"created_at": False}, "created_at must be a datetime, not bool"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_ticket_is_invalid_and_nothing_is_written(
    ledger: Ledger, wrong: dict[str, object], reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.create_ticket(**{**SEED, **wrong})
    assert len(ledger.guilds.list_tickets()) == 0
    assert len(ledger.guilds.list_guilds()) == 0


@pytest.mark.parametrize("guild", [0, 2**53 + 1, GREATEST], ids=["zero", "beyond-2-53", "greatest"])
def test_discord_ids_come_back_to_the_last_digit(face: Faces, guild: int) -> None:
    ticket = face.guilds.create_ticket(guild, GREATEST, 2**53 + 1, "x", assigned_to=GREATEST - 1)
    message = face.guilds.add_ticket_message(ticket.id, GREATEST, 2**53 + 3, "x")
    kept = face.guilds.get_tickets_by_user(guild, 2**53 + 1)[0]
    assert (kept.guild_id, kept.channel_id, kept.assigned_to) == (guild, GREATEST, GREATEST - 1)
    assert face.guilds.get_ticket_messages(ticket.id)[0].values() == message.values()


def test_a_wrong_ticket_among_a_thousand_fails_alone(url: str) -> None:
    async def all_at_once() -> list[object]:
        async with AsyncLedger(url) as ledger:
            await ledger.guilds.list_tickets()
            asked = [
                ledger.guilds.create_ticket(GUILD + n % 3, 0, -1 if n % 100 == 7 else n, f"{n}")
                for n in range(1000)
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert len(await ledger.guilds.list_tickets(limit=1000)) == 990
            return answers

    answers = asyncio.run(all_at_once())
    assert [n for n, one in enumerate(answers) if isinstance(one, Invalid)] == list(range(7, 1000, 100))
    good = [(n, one) for n, one in enumerate(answers) if not isinstance(one, BaseException)]
    assert all(one.title == str(n) for n, one in good)
    for guild in range(3):
        numbers = [one.id for n, one in good if n % 3 == guild]
        assert numbers == sorted(set(numbers))


# -- what is sent twice ----------------------------------------------------------------------------


def test_a_ticket_sent_twice_is_one_ticket(face: Faces) -> None:
    first = face.guilds.create_ticket(**SEED, request_id="r-1")
    face.guilds.close_ticket(first.id)
    again = face.guilds.create_ticket(**{**SEED, "title": "other"}, request_id="r-1")
    assert (again.id, again.title, again.status) == (first.id, first.title, TicketStatus.CLOSED)
    assert face.guilds.create_ticket(**{**SEED, "guild_id": 1}, request_id="r-1").id != first.id
    assert face.guilds.create_ticket(**SEED, request_id="r-2").id != first.id
    assert len(face.guilds.list_tickets()) == 3


def test_a_number_that_is_taken_is_a_conflict_of_its_own_caller(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        first = ledger.guilds.create_ticket(**SEED)
        said = ledger.guilds.add_ticket_message(first.id, USER, 7, "x")
        log = ledger.guilds.create_log(GUILD, "member_join", "x")
        with ledger.guilds.transaction() as session:  # the program counts itself, the sequence goes on
            session.add(Ticket(**SEED, id=first.id + 1))
            session.add(
                TicketMessage(ticket_id=first.id, user_id=1, message_id=8, content="", id=said.id + 1)
            )
            session.add(Log(guild_id=GUILD, log_type="member_join", action="x", id=log.id + 1))
        for ask in (
            lambda: ledger.guilds.create_ticket(**SEED, request_id="r"),
            lambda: ledger.guilds.add_ticket_message(first.id, USER, 9, "x"),
            lambda: ledger.guilds.create_log(GUILD, "member_join", "x", request_id="r"),
        ):
            with pytest.raises(Conflict, match='duplicate key .* "pk_'):
                ask()
            assert ask().id == ask().id


def test_a_ticket_sent_twice_at_once_is_one_ticket(url: str) -> None:
    async def all_at_once() -> list[tuple[int, str]]:
        async with AsyncLedger(url) as ledger, AsyncLedger(url) as other:
            asked = [
                (ledger, other)[n % 2].guilds.create_ticket(GUILD, 0, 1, str(n), request_id=f"r-{n // 8}")
                for n in range(400)
            ]
            answers = await asyncio.gather(*asked)
            assert len(await ledger.guilds.list_tickets(limit=1000)) == 50
            return [(one.id, one.title) for one in answers]

    answers = asyncio.run(all_at_once())
    for start in range(0, 400, 8):
        assert len(set(answers[start : start + 8])) == 1


SENDER = """
import asyncio, sys
from daicho import AsyncLedger

async def main():
    async with AsyncLedger(sys.argv[1]) as ledger:
        await ledger.guilds.list_guilds()
        print("ready", flush=True)
        sys.stdin.readline()
        order = range(60) if sys.argv[2] == "up" else range(59, -1, -1)
        asked = [ledger.guilds.create_ticket(n % 6, 0, 1, sys.argv[2], request_id=f"r-{n}") for n in order]
        print(*sorted(one.id for one in await asyncio.gather(*asked)))

asyncio.run(main())
"""


def test_processes_that_send_the_same_tickets_for_new_guilds_get_the_same_ones(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.guilds.list_tickets()
        pipe = subprocess.PIPE
        children = [
            subprocess.Popen(
                [sys.executable, "-c", SENDER, url, name], stdin=pipe, stdout=pipe, stderr=pipe, text=True
            )
            for name in ("up", "down")
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        answers = [child.communicate() for child in children]
        assert [errors for _, errors in answers] == ["", ""]
        assert answers[0][0] == answers[1][0]
        assert len(answers[0][0].split()) == len(ledger.guilds.list_tickets(limit=1000)) == 60
        assert [one.settings.guild_id for one in ledger.guilds.list_guilds()] == list(range(6))


# -- changing --------------------------------------------------------------------------------------


def test_a_ticket_is_updated_as_in_the_seed(face: Faces) -> None:
    ticket = face.guilds.create_ticket(**SEED)
    changed = face.guilds.update_ticket(
        ticket.id, assigned_to=999888777, priority=TicketPriority.HIGH, status="in_progress"
    )
    assert changed is not None
    assert (changed.assigned_to, changed.priority, changed.status, changed.closed_at) == (
        999888777,
        TicketPriority.HIGH,
        TicketStatus.IN_PROGRESS,
        None,
    )
    assert changed.values() == face.guilds.get_ticket(ticket.id).values()
    assert face.guilds.update_ticket(ticket.id, assigned_to=None).assigned_to is None
    assert face.guilds.update_ticket(ticket.id).values() == face.guilds.get_ticket(ticket.id).values()


@pytest.mark.parametrize("nobodys", [0, -1, 999, 2**63, 2**200])
def test_an_unknown_ticket_is_none(ledger: Ledger, nobodys: int) -> None:
    assert ledger.guilds.get_ticket(nobodys) is None
    assert ledger.guilds.update_ticket(nobodys, status="closed") is None
    assert ledger.guilds.close_ticket(nobodys) is None
    assert ledger.guilds.add_ticket_message(nobodys, 1, 1, "x") is None
    assert ledger.guilds.get_ticket_messages(nobodys) == []
    assert len(ledger.guilds.list_ticket_messages(nobodys)) == 0


@pytest.mark.parametrize(
    ("updates", "reason"),
    [
        ({"asigned_to": 1}, "unknown name 'asigned_to'; did you mean 'assigned_to'"),
        ({"session": 1}, "unknown name 'session'"),
        ({"status": "done"}, "status cannot be 'done'; one of: open, in_progress, closed, archived"),
        ({"priority": True}, "priority cannot be 'True'; one of: 1, 2, 3, 4"),
        ({"title": None}, "title cannot be empty"),
        ({"id": 1}, "id cannot be changed"),
        ({"guild_id": 1}, "guild_id cannot be changed"),
        ({"created_at": BEGUN}, "created_at cannot be changed"),
        ({"request_id": "x"}, "request_id cannot be changed"),
        ({"closed_at": BEGUN}, "closed_at goes with a ticket that is closed or archived"),
        ({"status": "closed", "closed_at": None}, "closed_at goes with a ticket"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_update_is_invalid_and_changes_nothing(
    ledger: Ledger, updates: dict[str, object], reason: str
) -> None:
    ticket = ledger.guilds.create_ticket(**SEED)
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.update_ticket(ticket.id, **{"channel_id": 5, **updates})
    assert ledger.guilds.get_ticket(ticket.id).values() == ticket.values()


def test_a_ticket_closes_once_and_opens_again(face: Faces) -> None:
    number = face.guilds.create_ticket(**SEED).id
    closed = face.guilds.close_ticket(number)
    assert closed is not None
    assert closed.status is TicketStatus.CLOSED
    assert closed.closed_at is not None
    assert face.guilds.close_ticket(number).values() == closed.values()
    archived = face.guilds.update_ticket(number, status=TicketStatus.ARCHIVED)
    assert (archived.status, archived.closed_at) == (TicketStatus.ARCHIVED, closed.closed_at)
    assert face.guilds.close_ticket(number).status is TicketStatus.ARCHIVED
    again = face.guilds.update_ticket(number, status="open")
    assert (again.status, again.closed_at) == (TicketStatus.OPEN, None)
    assert face.guilds.close_ticket(number).closed_at > closed.closed_at
    assert face.guilds.update_ticket(number, title="y").status is TicketStatus.CLOSED
    assert face.guilds.update_ticket(number, closed_at=BEGUN).closed_at == BEGUN


def test_a_ticket_that_was_closed_without_saying_when_opens_and_closes_again(ledger: Ledger) -> None:
    number = ledger.guilds.create_ticket(**SEED).id
    with ledger.database.engine.begin() as connection:
        connection.execute(text("UPDATE tickets SET status = 'closed', closed_at = NULL"))
    unknown = ledger.guilds.get_ticket(number).values()
    assert (unknown["status"], unknown["closed_at"]) == (TicketStatus.CLOSED, None)
    assert ledger.guilds.close_ticket(number).values() == unknown
    assert ledger.guilds.update_ticket(number, title="y", status="closed").closed_at is None
    assert ledger.guilds.update_ticket(number, status="archived").closed_at is None
    assert ledger.guilds.update_ticket(number, closed_at=BEGUN).closed_at == BEGUN
    with ledger.database.engine.begin() as connection:
        connection.execute(text("UPDATE tickets SET closed_at = NULL"))
    assert ledger.guilds.update_ticket(number, status="open").values() == {
        **unknown,
        "title": "y",
        "status": TicketStatus.OPEN,
    }
    assert abs(ledger.guilds.close_ticket(number).closed_at - datetime.now(UTC)) < timedelta(minutes=1)


# -- lists -----------------------------------------------------------------------------------------


def test_the_seeds_lists_hold_what_their_names_say(face: Faces) -> None:
    for n in range(8):
        face.guilds.create_ticket(
            GUILD, 0, USER, str(n), priority=n % 4 + 1, created_at=BEGUN + timedelta(hours=n)
        )
    face.guilds.create_ticket(1, 0, USER, "elsewhere", created_at=BEGUN - timedelta(hours=1))
    tickets = {one.title: one.id for one in face.guilds.list_tickets()}
    face.guilds.close_ticket(tickets["0"])
    face.guilds.update_ticket(tickets["1"], status="archived")
    face.guilds.update_ticket(tickets["2"], status="in_progress")

    def titles(tickets: list[object]) -> str:
        return " ".join(ticket.title for ticket in tickets)

    assert titles(face.guilds.get_tickets_by_user(GUILD, USER)) == "7 6 5 4 3 2"
    assert titles(face.guilds.get_open_tickets(GUILD)) == "3 4 5 6 7"
    assert titles(face.guilds.get_open_tickets(GUILD, limit=2)) == "3 4"
    assert titles(face.guilds.get_all_open_tickets()) == "elsewhere 3 4 5 6 7"
    assert titles(face.guilds.get_priority_tickets(GUILD)) == "3 7 6"
    assert face.guilds.get_open_tickets(2) == face.guilds.get_tickets_by_user(GUILD, 2) == []
    for ask in (face.guilds.get_open_tickets, face.guilds.get_priority_tickets):
        with pytest.raises(Invalid, match="guild_id is no Discord id"):
            ask(-1)
        with pytest.raises(Invalid, match="limit is 1001"):
            ask(GUILD, limit=1001)


def test_statistics_count_a_guilds_tickets(face: Faces) -> None:
    for n in range(6):
        face.guilds.create_ticket(GUILD, 0, 1, "x", priority=TicketPriority.URGENT if n < 2 else 1)
    for ticket in face.guilds.get_open_tickets(GUILD, limit=3):
        face.guilds.close_ticket(ticket.id)
    face.guilds.create_ticket(1, 0, 1, "elsewhere")
    statistics = face.guilds.get_ticket_statistics(GUILD)
    assert statistics == {
        "status_distribution": {TicketStatus.OPEN: 3, TicketStatus.CLOSED: 3},
        "priority_distribution": {TicketPriority.LOW: 4, TicketPriority.URGENT: 2},
        "total_tickets": 6,
    }
    assert all(isinstance(one, TicketStatus) for one in statistics["status_distribution"])
    nothing = {"status_distribution": {}, "priority_distribution": {}, "total_tickets": 0}
    assert face.guilds.get_ticket_statistics(99) == nothing


def test_tickets_are_listed_by_what_is_asked(face: Faces) -> None:
    for n in range(6):
        face.guilds.create_ticket(
            n % 2,
            0,
            n % 3,
            str(n),
            category="technical" if n < 2 else "general",
            assigned_to=9 if n == 4 else None,
            priority=TicketPriority.HIGH if n == 5 else TicketPriority.LOW,
            created_at=BEGUN + timedelta(hours=n),
        )
    face.guilds.close_ticket(face.guilds.list_tickets(limit=1).items[0].id)

    def titles(*guild: int, **filters: object) -> str:
        return "".join(ticket.title for ticket in face.guilds.list_tickets(*guild, **filters))

    assert titles() == "543210"
    assert titles(1) == "531"
    assert titles(status="closed") == titles(status=[TicketStatus.CLOSED]) == titles(priority=3) == "5"
    assert titles(status=("open", TicketStatus.CLOSED)) == "543210"
    assert titles(status=[]) == titles(7) == ""
    assert titles(user_id=0) == "30"
    assert titles(assigned_to=9) == "4"
    assert titles(category=TicketCategory.TECHNICAL) == "10"
    assert titles(since=BEGUN + timedelta(hours=2), until=BEGUN + timedelta(hours=4)) == "32"
    for wrong in (
        {"status": ["open", "x"]},
        {"category": "x"},
        {"priority": 9},
        {"priority": True},
        {"user_id": -2},
        {"cursor": "x"},
    ):
        with pytest.raises(Invalid):
            face.guilds.list_tickets(**wrong)


NO_BOUNDS = [
    ("2026-11-21", "must be a datetime, not str"),
    ("", "must be a datetime, not str"),
    (5, "must be a datetime, not int"),
    (False, "must be a datetime, not bool"),
    (BEGUN.date(), "must be a datetime, not date"),
    (BEGUN.replace(tzinfo=None), ": .* has no time zone"),
]


@pytest.mark.parametrize(("wrong", "reason"), NO_BOUNDS, ids=[repr(one) for one, _ in NO_BOUNDS])
@pytest.mark.parametrize("name", ["since", "until"])
def test_a_bound_of_a_list_is_an_aware_instant(ledger: Ledger, name: str, wrong: object, reason: str) -> None:
    for listed in (ledger.guilds.list_tickets, ledger.guilds.list_logs):
        with pytest.raises(Invalid, match=f"^{name} ?{reason}") as raised:
            listed(GUILD, **{name: wrong})
        assert raised.value.message.ja.startswith(name)


def test_pages_of_tickets_neither_repeat_nor_leave_out_while_others_write(face: Faces) -> None:
    for n in range(20):
        face.guilds.create_ticket(GUILD, 0, 1, str(n), created_at=BEGUN + timedelta(hours=n // 3))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = face.guilds.list_tickets(GUILD, limit=3, cursor=cursor)
        seen += [ticket.title for ticket in page]
        face.guilds.create_ticket(GUILD, 0, 1, "new", created_at=BEGUN + timedelta(days=9))
        if (cursor := page.next) is None:
            break
    assert seen == [str(n) for n in range(19, -1, -1)]


# -- messages --------------------------------------------------------------------------------------


def test_messages_are_kept_in_the_order_of_their_time(face: Faces) -> None:
    ticket = face.guilds.create_ticket(**SEED)
    assert face.guilds.get_ticket_messages(ticket.id) == []
    for n in (2, 0, 1):
        face.guilds.add_ticket_message(ticket.id, USER, n + 10, str(n), timestamp=BEGUN + timedelta(hours=n))
    said = face.guilds.add_ticket_message(ticket.id, 0, 0, "closed", True)
    assert said is not None
    assert said.is_system_message is True
    kept = face.guilds.get_ticket_messages(ticket.id)
    assert [one.content for one in kept] == ["0", "1", "2", "closed"]
    assert kept[-1].values() == said.values()
    assert [one.is_system_message for one in kept] == [False, False, False, True]
    page = face.guilds.list_ticket_messages(ticket.id, limit=3)
    assert [one.content for one in page] == ["0", "1", "2"]
    rest = face.guilds.list_ticket_messages(ticket.id, limit=3, cursor=page.next)
    assert [one.content for one in rest] == ["closed"]
    newest = face.guilds.list_ticket_messages(ticket.id, newest_first=True, limit=2)
    assert [one.content for one in newest] == ["closed", "2"]


def test_a_discord_message_sent_twice_is_one_message(face: Faces) -> None:
    one, other = (face.guilds.create_ticket(**SEED).id for _ in range(2))
    first = face.guilds.add_ticket_message(one, USER, 77, "x")
    assert first is not None
    assert face.guilds.add_ticket_message(one, USER, 77, "y").values() == first.values()
    assert face.guilds.add_ticket_message(other, USER, 77, "y").content == "y"
    for _ in range(2):
        face.guilds.add_ticket_message(one, USER, 0, "without an id")
    assert len(face.guilds.get_ticket_messages(one)) == 3


def test_messages_of_known_and_unknown_tickets_together_find_their_own(url: str) -> None:
    async def all_at_once() -> None:
        async with AsyncLedger(url) as ledger:
            tickets = [await ledger.guilds.create_ticket(**SEED) for _ in range(3)]
            asked = [
                ledger.guilds.add_ticket_message(
                    99 if n % 5 == 4 else tickets[n % 3].id, USER, n // 2 * (n % 4 > 1), str(n)
                )
                for n in range(200)
            ]
            answers = await asyncio.gather(*asked)
            assert [n for n, one in enumerate(answers) if one is None] == list(range(4, 200, 5))
            assert all(one.content == str(n) for n, one in enumerate(answers) if one and not one.message_id)
            kept = [one for ticket in tickets for one in await ledger.guilds.get_ticket_messages(ticket.id)]
            assert {one.id for one in kept} == {one.id for one in answers if one is not None}

    asyncio.run(all_at_once())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ticket_id": "1"}, "ticket_id must be a whole number"),
        ({"user_id": -1}, "user_id is no Discord id"),
        ({"content": None}, "content cannot be empty"),
        ({"content": "\x00"}, "content has a NUL byte"),
        ({"is_system_message": "no"}, "is_system_message is True or False"),
        ({"timestamp": 0}, "timestamp must be a datetime, not int"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_message_is_invalid(ledger: Ledger, wrong: dict[str, object], reason: str) -> None:
    ticket = ledger.guilds.create_ticket(**SEED)
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.add_ticket_message(
            **{"ticket_id": ticket.id, "user_id": 1, "message_id": 1, "content": "x", **wrong}
        )
    assert ledger.guilds.get_ticket_messages(ticket.id) == []
