"""Forgetting a person: nothing of them is left in any table, and every sum and cost is what it was."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import inspect, text

from daicho import Conflict, Invalid, Ledger
from daicho.core.person import FORGOTTEN, Person
from daicho.core.settings import Settings
from daicho.ops.forgetting import find, forget, mentions
from daicho.tasks.context import TaskContextManager
from daicho.tasks.files import TaskFiles
from tests.cli.terminal import Here, one_line
from tests.databases import on_sqlite
from tests.faces import Faces

NUMBER, CLIENT = "090-1234-5678", "client-hanako"
NAME, EMAIL, DISCORD = "hanako-sato", "hanako@example.com", 811_223_344_556_677_889
USER = "5a0b6f5e-1c2d-4e3f-8a9b-0c1d2e3f4a5b"
GIVEN = Person((NUMBER, CLIENT), (NAME, EMAIL, str(DISCORD), USER))
WORDS = re.compile(
    "|".join((NUMBER, "09012345678", CLIENT, NAME, EMAIL, str(DISCORD), USER, "secret")), re.IGNORECASE
)
OTHER = 922_334_455_667_788_990
JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def fill(ledger: Any) -> None:
    """What the person has left in every room, and others' rows beside it."""
    for call, number, client in (
        ("call-1", NUMBER, "shop"),
        ("call-2", "090 1234 5678", "shop"),
        ("call-3", None, CLIENT),
        ("call-4", "03-0000-0000", "shop"),
    ):
        ledger.calls.start(call, client, caller_number=number)
        mine = "secret" if call != "call-4" else "a caller of another number"
        ledger.calls.append_log(call, "user", f"{mine} words", message_id="m-1")
        ledger.calls.append_log(call, "ai", f"you said {mine}")
        ledger.calls.mark_transfer(call, f"{mine} summary")
        ledger.calls.complete(call)
    about = {"task_source": "github", "repo": "r", "task_type": "issue", "llm_call_count": 3}
    for number, (owner, user) in enumerate([("o", NAME), (NAME, EMAIL), ("o", "taro")]):
        task = {**about, "owner": owner, "user": user, "task_id": str(number), "total_tokens": 70}
        made = ledger.tasks.create(task)
        ledger.tasks.fail(made.uuid, "secret trouble" if user != "taro" else "trouble")
    tenant = ledger.usage.create_tenant("Acme").id
    other = ledger.usage.create_user(tenant, "taro").id
    ledger.usage.create_user(tenant, NAME, id=USER)
    lead = ledger.usage.create_lead(tenant, EMAIL).id
    for at in (JUNE, JULY):
        for user, source in (
            (USER, f"chat:discord:{DISCORD}"),
            (USER, "call:call-1"),
            (other, f"member:{NAME}"),
        ):
            ledger.usage.record(
                tenant_id=tenant,
                user_id=user,
                lead_id=lead,
                source=source,
                operation="x",
                model="gpt-4o",
                input_tokens=10,
                output_tokens=5,
                cost_usd=0.125,
                created_at=at,
            )
    while ledger.usage.prune(datetime(2026, 6, 15, tzinfo=UTC)):  # of June only sums are left
        pass
    uri = "s3://team/human/sato.yml"
    ledger.members.save_or_update_human_member(
        {"name": "佐藤花子", "contact_email": EMAIL.upper(), "bio": "secret", "file_uri": uri}
    )
    ledger.members.save_or_update_human_member({"name": "太郎", "contact_email": "taro@example.com"})
    guild = 7_000_000
    mine = ledger.guilds.create_ticket(guild, 8, DISCORD, "secret title", "secret description")
    ledger.guilds.add_ticket_message(mine.id, DISCORD, 1, "secret question")
    ledger.guilds.add_ticket_message(mine.id, OTHER, 2, "an answer to a secret")
    ledger.guilds.close_ticket(mine.id)
    others = ledger.guilds.create_ticket(guild, 8, OTHER, "theirs", assigned_to=DISCORD)
    ledger.guilds.add_ticket_message(others.id, OTHER, 3, f"ask <@{DISCORD}>, please")
    ledger.guilds.add_ticket_message(others.id, DISCORD, 4, "secret help")
    ledger.guilds.close_ticket(others.id)
    ledger.guilds.create_log(guild, "member_join", "secret joined", DISCORD, details={"name": "secret"})
    ledger.guilds.create_log(
        guild, "member_kick", "kicked", OTHER, DISCORD, details={"by": DISCORD, "n": [1]}
    )
    ledger.guilds.create_log(guild, "system_event", f"{DISCORD} was seen; 9{DISCORD} is another number")
    track = ledger.guilds.create_track(guild, "t", "a", "u", 1, DISCORD)
    ledger.guilds.add_to_queue(guild, track.id, DISCORD)
    ledger.guilds.record_avatar_change(DISCORD, "avatar_change", new_avatar_url="secret")
    ledger.guilds.record_avatar_change(OTHER, "avatar_change", new_avatar_url="u")
    ledger.chats.append("s", "user", "secret", author=NAME, details={"secret": 1})
    ledger.chats.append("s", "assistant", "an answer")
    ledger.chats.append(f"discord:{DISCORD}:1", "user", "secret of a session of their own")
    ledger.chats.append("discord:5", "user", "hello", author=str(OTHER))


def cells(ledger: Ledger) -> dict[str, list[str]]:
    """Every value of every table as text, by table: as the database itself has it."""
    found: dict[str, list[str]] = {}
    with ledger.database.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f'SELECT * FROM "{table}"'))
            found[table] = [str(value) for row in rows for value in row]
    return found


def sums(ledger: Any) -> tuple[Any, ...]:
    """What must stay as it was."""
    report = ledger.usage.report(since=JUNE, until=datetime(2026, 8, 1, tzinfo=UTC), by=["model"])
    tasks = [(task.status, task.total_tokens, task.llm_call_count) for task in ledger.tasks.list()]
    calls = [(call.started_at, call.ended_at, call.is_transferred) for call in ledger.calls.list()]
    logs = sorted(log.log_type for log in ledger.guilds.list_logs())
    stats = ledger.guilds.get_ticket_statistics(7_000_000)
    return report.total, report.rows, tasks, calls, logs, stats, ledger.usage.cost_of("call:call-1")


def test_nothing_of_the_person_is_left_and_all_sums_are_what_they_were(face: Faces) -> None:
    fill(face)
    before = sums(face)
    told: list[int] = []
    foreseen, done = [], []
    for room in ("calls", "tasks", "members", "usage", "guilds", "chats"):
        store = getattr(face, room)
        foreseen += store.find_person(GIVEN)
        done += store.forget(GIVEN, advance=told.append)
        assert not sum(one.rows for one in store.find_person(GIVEN))
    assert {one.table for one in foreseen if one.rows} == {one.table for one in done if one.rows}
    assert sum(told) == sum(one.rows for one in done)
    with Ledger(face.ledger.database.url) as ledger:
        left = {
            table: [cell for cell in there if WORDS.search(cell)] for table, there in cells(ledger).items()
        }
        another = {"logs": [f"{GIVEN.number} was seen; 9{DISCORD} is another number"]}
        assert {table: there for table, there in left.items() if there} == another
        assert [(one.table, one.column) for one in mentions(ledger, GIVEN)] == [("logs", "action")]
        assert not [one for one in forget(ledger, GIVEN, told.append) if one.rows]
    assert sums(face) == before
    assert not any(one.differ for one in face.usage.verify())
    assert face.usage.cost_of(f"chat:discord:{GIVEN.alias}").total_cost_usd == 0.25
    assert [hit.log.text for hit in face.calls.search("another number")]
    assert not face.calls.search("secret").items
    assert face.calls.append_log("call-1", "user", "sent again", message_id="m-1").text == FORGOTTEN
    assert face.chats.session("s").messages == 2
    assert [member.name for member in face.members.list_humans()] == ["太郎"]
    assert [stats.user_id for stats in face.guilds.list_avatar_users()] == [OTHER]
    assert {task.user for task in face.tasks.list()} == {GIVEN.alias, "taro"}


def test_what_is_live_stays_and_is_told_of(sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(database={"url": sqlite_url}, context_storage={"base_dir": tmp_path / "contexts"})
    about = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}
    over, live = str(uuid4()), str(uuid4())
    with Ledger(settings=settings) as ledger:
        ledger.calls.append_log("call-1", "user", "now", client_id=CLIENT)
        ticket = ledger.guilds.create_ticket(7_000_000, 8, DISCORD, "open")
        with TaskContextManager(about, over, settings, NAME, ledger=ledger) as context:
            context.get_message_store().add_message("user", "secret")
        context = TaskContextManager(about, live, settings, NAME, ledger=ledger)
        context.get_message_store().add_message("user", "secret")
        said = " ".join(
            text.en
            for store in (ledger.calls, ledger.tasks, ledger.guilds)
            for text in store.out_of_reach(GIVEN)
        )
        assert "call call-1 goes on" in said
        assert f"ticket {ticket.id} is open" in said
        assert f"task {live} has not ended" in said
        done = {one.table: one.rows for one in forget(ledger, GIVEN, lambda _: None) if one.rows}
        assert done == {"contexts": 1, "tasks": 1}
        named = {(one.table, one.column) for one in mentions(ledger, GIVEN)}
        assert named == {("calls", "client_id"), ("tasks", "user"), ("tickets", "user_id")}
        files = TaskFiles(tmp_path / "contexts")
        assert files.folder(over) is None
        assert files.messages(live).items
        context.complete()
        ledger.calls.complete("call-1")
        ledger.guilds.close_ticket(ticket.id)
        done = {one.table: one.rows for one in forget(ledger, GIVEN, lambda _: None) if one.rows}
        assert done == {"call_logs": 1, "calls": 1, "contexts": 1, "tasks": 1, "tickets": 1}
        assert not [path for path in (tmp_path / "contexts").rglob("*") if path.is_file()]


def test_a_forgetting_that_was_killed_goes_on(url: str) -> None:
    with Ledger(url) as ledger:
        fill(ledger)
        before = sums(ledger)
    code = (
        "import os, signal, sys; from daicho import Ledger; from daicho.core.person import Person\n"
        "from daicho.ops.forgetting import forget\nleft = int(sys.argv[2])\n"
        "def advance(_):\n    global left\n    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"forget(Ledger(sys.argv[1]), Person({GIVEN.callers!r}, {GIVEN.users!r}), advance)"
    )
    done = subprocess.run([sys.executable, "-c", code, url, "8"], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger(url) as ledger:
        forget(ledger, GIVEN, lambda _: None)
        assert not sum(one.rows for one in find(ledger, GIVEN))
        assert [(one.table, one.column) for one in mentions(ledger, GIVEN)] == [("logs", "action")]
        assert sums(ledger) == before
        assert not any(one.differ for one in ledger.usage.verify())


def test_a_name_of_several_users_is_refused(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        for tenant in ("A", "B"):
            ledger.usage.create_user(ledger.usage.create_tenant(tenant).id, "sato")
        with pytest.raises(Conflict, match="several of users are named 'sato'; give their ids"):
            find(ledger, Person(users=("sato",)))
    for wrong in ((), (" ",)):
        with pytest.raises(Invalid):
            Person(users=wrong)


@on_sqlite
def test_the_command_shows_asks_and_tells_what_it_cannot_reach(here: Here) -> None:
    with Ledger(here.url) as ledger:
        fill(ledger)
    options = ["--caller", NUMBER, "--user", EMAIL, "--user", str(DISCORD)]
    here("forget", code=2)
    said = here("forget", *options, "--dry-run")
    assert re.search(r"^human_members +1 +removed$", said, re.MULTILINE)
    assert re.search(
        r"^calls +2 +anonymised +caller_number, client_id, handover_summary$", said, re.MULTILINE
    )
    assert "nothing was changed (--dry-run)" in here.said
    assert "s3://team/human/sato.yml" in here.said
    assert "backups" in here.said
    here("forget", *options, code=1)  # nobody is there to say yes
    assert json.loads(here("forget", *options, "--dry-run", "--json"))["rows"] > 20
    done = json.loads(here("forget", *options, "--yes", "--json"))
    assert done["rows"] > 20
    assert {"table": "logs", "column": "action", "rows": 1} in done["mentions"]
    assert "nothing of this person is left" in here("forget", *options)
    here("forget", "--user", " ", code=1)
    assert "empty" in one_line(here.said)
