"""Retention: what is old leaves, what is live stays, sums hold, and others go on writing meanwhile."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from daicho import Ledger
from daicho.core.errors import Invalid
from daicho.core.person import Person
from daicho.core.sections import Retention
from daicho.core.settings import Settings
from daicho.core.types import now
from daicho.ops.retention import rules, tables
from daicho.tasks.context import TaskContextManager
from daicho.tasks.files import TaskFiles
from tests.cli.terminal import Here, one_line
from tests.databases import on_sqlite
from tests.faces import Faces

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=100), NOW - timedelta(days=2)
MONTH = timedelta(days=30)
TABLES = tuple(Retention.model_fields)
EVERY = Retention.model_validate(dict.fromkeys(TABLES, "30d"))


def fill(ledger: Faces | Ledger) -> None:
    """In every table an old row that may go, a young one, and an old one that is live."""
    for name, at, ended in (("old", OLD, True), ("live", OLD, False), ("young", YOUNG, True)):
        ledger.calls.start(name, "client", started_at=at)
        ledger.calls.append_log(name, "user", f"予約をお願いします {name}", timestamp=at)
        ledger.calls.append_log(name, "ai", "かしこまりました", timestamp=at)
        if ended:
            ledger.calls.complete(name, ended_at=at)
    ledger.calls.start("spoken of since", "client", started_at=OLD)
    ledger.calls.append_log("spoken of since", "user", "後から", timestamp=YOUNG)
    ledger.calls.complete("spoken of since", ended_at=OLD)
    for number, (at, ended) in enumerate([(OLD, True), (OLD, False), (YOUNG, True)]):
        ledger.tasks.create(
            {
                "uuid": f"{number + 1:08}-0000-4000-8000-000000000000",
                "task_source": "github",
                "owner": "o",
                "repo": "r",
                "task_type": "issue",
                "task_id": str(number),
                "created_at": at,
                "started_at": at,
                "status": "completed" if ended else "paused",
                **({"completed_at": at} if ended else {}),
            }
        )
        ticket = ledger.guilds.create_ticket(7, 8, 9, f"ticket {number}", created_at=at)
        ledger.guilds.add_ticket_message(ticket.id, 9, 100 + number, "hello", timestamp=at)
        if ended:
            ledger.guilds.update_ticket(ticket.id, status="closed", closed_at=at)
    tenant = ledger.usage.create_tenant("Acme").id
    for at in (OLD, YOUNG):
        used = {"operation": "x", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 1, "cost_usd": 0.25}
        ledger.usage.record(tenant_id=tenant, created_at=at, source="call:old", **used)
        ledger.guilds.create_log(7, "member_join", "joined", 9, timestamp=at)
        ledger.chats.append("s", "user", "hi", timestamp=at)
        for kind in ("avatar_change", "banner_change"):
            ledger.guilds.record_avatar_change(9, kind, new_avatar_url="u", timestamp=at)


def left(ledger: Faces | Ledger) -> dict[str, int]:
    with ledger.ledger.database.engine.connect() as connection:  # type: ignore[union-attr]
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES
        }


def test_old_rows_leave_live_ones_stay_and_all_sums_hold(face: Faces) -> None:
    fill(face)
    sums = face.usage.cost_of("call:old")
    before, gone = left(face), {}
    for room in ("calls", "tasks", "usage", "guilds", "chats"):
        store = getattr(face, room)
        for one in getattr(face.ledger, room).aged:
            told: list[int] = []
            expected = store.count_before(one.table, NOW - MONTH)
            gone[one.table] = store.drop_before(one.table, NOW - MONTH, advance=told.append)
            assert gone[one.table] == expected
            assert sum(told) == expected[one.table]
            assert not any(store.count_before(one.table, NOW - MONTH).values())
    assert {name: rows[name] for name, rows in gone.items() if rows[name] == 0} == {
        "call_logs": 0,  # went with their call: the other old ones are a live call's
        "ticket_messages": 0,
        "tracks": 0,
    }
    after = left(face)
    assert gone["calls"] == {"calls": 1, "call_logs": 2}
    assert gone["tickets"] == {"tickets": 1, "ticket_messages": 1}
    assert after == before | {
        "calls": 3,
        "call_logs": 5,
        "tasks": 2,
        "ai_usage_logs": 1,
        "tickets": 2,
        "ticket_messages": 2,
        "logs": 1,
        "avatar_histories": 2,
        "chat_logs": 1,
    }
    assert {call.call_id for call in face.calls.list()} == {"live", "young", "spoken of since"}
    assert {hit.call.call_id for hit in face.calls.search("予約を")} == {"live", "young"}
    assert [task.status for task in face.tasks.list()] == ["completed", "paused"]
    assert face.usage.cost_of("call:old") == sums
    assert (sums.api_calls, sums.total_cost_usd) == (2, 0.5)
    assert not any(one.differ for one in face.usage.verify())
    session = face.chats.session("s")
    assert (session.messages, session.first_at, session.last_at) == (1, YOUNG, YOUNG)
    stats = face.guilds.get_user_avatar_stats(9)
    assert stats is not None
    assert (stats.total_avatar_changes, stats.total_banner_changes) == (2, 2)


def test_lines_and_messages_leave_alone_where_only_they_have_a_retention(ledger: Ledger) -> None:
    for name, ended in (("over", True), ("live", False)):
        ledger.calls.start(name, "client", started_at=OLD)
        ledger.calls.append_log(name, "user", "昔の話", timestamp=OLD)
        ledger.calls.append_log(name, "user", "最近の話", timestamp=YOUNG)
        if ended:
            ledger.calls.complete(name, ended_at=YOUNG)
    assert ledger.calls.drop_before("calls", NOW - MONTH) == {"calls": 0, "call_logs": 0}
    assert ledger.calls.drop_before("call_logs", NOW - MONTH) == {"call_logs": 1}
    assert [line.text for line in ledger.calls.transcript("over")] == ["最近の話"]
    assert len(ledger.calls.transcript("live")) == 2
    assert [hit.call.call_id for hit in ledger.calls.search("昔の話")] == ["live"]


def test_music_that_is_queued_or_plays_stays(ledger: Ledger) -> None:
    song = {"title": "t", "artist": "a", "url": "u", "duration": 1, "requested_by": 5}
    tracks = [ledger.guilds.create_track(7, **song) for _ in range(3)]  # type: ignore[arg-type]
    ledger.guilds.add_to_queue(7, tracks[0].id, 5)
    ledger.guilds.create_session(7, 1, 2)
    ledger.guilds.update_session_current_track(7, tracks[1].id)
    assert ledger.guilds.drop_before("tracks", now() + timedelta(hours=1)) == {"tracks": 1}
    assert ledger.guilds.get_track_by_id(tracks[2].id) is None


def test_a_call_of_more_lines_than_one_transaction_takes_goes_in_pieces(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.core.pace.MOST", 20)
    for name, lines in (("a", 3), ("b", 55), ("c", 3), ("d", 19)):
        ledger.calls.start(name, "client", started_at=OLD)
        ledger.calls.append_logs(
            [{"call_id": name, "role": "user", "text": str(n), "timestamp": OLD} for n in range(lines)]
        )
        ledger.calls.complete(name, ended_at=OLD)
    told: list[int] = []
    gone = ledger.calls.drop_before("calls", NOW - MONTH, advance=told.append)
    assert gone == {"calls": 4, "call_logs": 80}
    assert len(told) >= 5


def test_a_task_leaves_with_its_folder_unless_somebody_works_there(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database={"url": sqlite_url}, context_storage={"base_dir": tmp_path / "contexts"})
    about = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}
    over, held, resumed, broken = uuids = [str(uuid4()) for _ in range(4)]
    with Ledger(settings=settings) as ledger:
        for uuid in uuids:
            with TaskContextManager(about, uuid, settings, ledger=ledger) as context:
                context.get_message_store().add_message("user", "hello")
        files, late = TaskFiles(tmp_path / "contexts"), now() + timedelta(days=1)
        files.set_aside(broken)  # somebody's deletion was broken off after its row was gone
        ledger.tasks.delete(broken)
        hold = files.take(held)
        aside = TaskFiles.set_aside

        def resumed_just_now(self: TaskFiles, uuid: str) -> Path | None:
            if uuid == resumed:
                ledger.tasks.resume(uuid)
            return aside(self, uuid)

        monkeypatch.setattr(TaskFiles, "set_aside", resumed_just_now)
        assert ledger.tasks.count_before("tasks", late) == {"tasks": 3, "folders": 3}
        assert ledger.tasks.drop_before("tasks", late) == {"tasks": 1, "folders": 1}
        assert {task.uuid for task in ledger.tasks.list()} == {held, resumed}
        assert files.folder(over) is None
        assert files.messages(held).items
        assert files.messages(resumed).items
        assert not list(files.every("deleted"))
        assert hold is not None
        hold.release()
        assert ledger.tasks.drop_before("tasks", late, files=False) == {"tasks": 1}
        assert files.messages(held).items


MANY = {"sqlite": 100_000, "postgresql": 20_000}
"""SQLite is the one on which writers stand in one line."""
LINES = """
INSERT INTO call_logs (call_id, timestamp, role, text, state)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
SELECT 'over', '2026-08-01 00:00:00.000000{zone}', 'user', 'x', 's' FROM n
"""


def many(url: str, count: int) -> None:
    """Write so many old lines of a call that is over, and a young one."""
    with Ledger(url) as ledger, ledger.database.engine.begin() as connection:
        ledger.database.ensure_ready()
        zone = "" if url.startswith("sqlite") else "+00"
        connection.execute(
            text(
                "INSERT INTO calls (call_id, client_id, started_at, ended_at, current_state, is_transferred)"
                f" VALUES ('over', 'c', '2026-08-01 00:00:00.000000{zone}', '2026-08-02 00:00:00.000000{zone}', 's', false)"
            )
        )
        connection.execute(text(LINES.format(zone=zone)), {"count": count})
    with Ledger(url) as ledger:
        ledger.calls.append_log("over", "user", "young")


WRITER = """
import sys
from daicho import Ledger
with Ledger(sys.argv[1]) as ledger:
    print("ready", flush=True)
    while True:
        ledger.calls.append_log("live", "user", "x", client_id="c")
"""
CLEANER = """
import os, signal, sys
from datetime import datetime
from daicho import Ledger
from daicho.core import pace
pace.MOST = 100
left = 5
def advance(rows):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
with Ledger(sys.argv[1]) as ledger:
    ledger.calls.drop_before("call_logs", datetime.fromisoformat(sys.argv[2]), advance=advance)
"""


def test_others_go_on_writing_while_much_is_cleaned(url: str) -> None:
    count_of = MANY[url.split(":")[0].split("+")[0]]
    many(url, count_of)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        seen: list[int] = []
        with Ledger(url) as ledger, ledger.database.engine.connect() as reading:
            count = text("SELECT count(*) FROM call_logs WHERE call_id = 'live'")

            def look(_: int) -> None:
                seen.append(reading.execute(count).scalar_one())
                reading.rollback()

            assert ledger.calls.drop_before("call_logs", NOW - MONTH, advance=look) == {"call_logs": count_of}
    finally:
        writer.kill()
        writer.communicate()
    # Between any two transactions of the cleaning others commit: mostly, not just at its end.
    assert len(seen) >= count_of / 1000
    assert sum(later > earlier for earlier, later in pairwise(seen)) > len(seen) / 2, seen
    with Ledger(url) as ledger:
        assert [line.text for line in ledger.calls.transcript("over")] == ["young"]


def test_a_cleaning_that_was_killed_goes_on(url: str) -> None:
    many(url, 2_000)
    done = subprocess.run(
        [sys.executable, "-c", CLEANER, url, (NOW - MONTH).isoformat()], capture_output=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger(url) as ledger:
        assert ledger.calls.count_before("call_logs", NOW - MONTH) == {"call_logs": 1_500}
        assert ledger.calls.drop_before("call_logs", NOW - MONTH) == {"call_logs": 1_500}
        assert [line.text for line in ledger.calls.transcript("over")] == ["young"]


# -- settings and the command ------------------------------------------------------------------------


def test_every_table_that_may_leave_has_its_setting_and_nothing_else_has(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        assert set(tables(ledger)) == set(TABLES)
        never = {"tenants", "users", "api_keys", "usage_prices", "usage_totals", "guild_settings"}
        assert not never & set(tables(ledger))
        assert [rule.table for rule in rules(ledger, EVERY, NOW)] == list(tables(ledger))
        with pytest.raises(Invalid, match=r"no table 'cals' .* did you mean 'calls'; .*call_logs"):
            rules(ledger, EVERY, NOW, ["cals"])
        with pytest.raises(Invalid, match=r"tasks are kept for good"):
            rules(ledger, Retention(), NOW, ["tasks"])
        whole_days = rules(ledger, EVERY, NOW, ["ai_usage_logs"])[0]
        assert whole_days.before == datetime(2026, 10, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{cals: 3d}", r"retention: no table 'cals' .* did you mean 'calls'.*avatar_histories"),
        ("{calls: 3 months}", r"retention\.calls: not a length of time; write 365d, 12w, 6h or 2y"),
        ("{calls: 0d}", r"retention\.calls: must be longer than nothing"),
        ("{chat_logs: 5h}", r"retention\.chat_logs: .* whole days"),
        ("{chat_logs: 5d}\nchats: {days: 3}", r"5 days and chats\.days \(CHATLOG_DAYS\) 3"),
    ],
)
def test_a_wrong_retention_is_one_line_that_names_the_key(config: str, said: str) -> None:
    Path("config.yaml").write_text(f"retention: {config}\n")
    with pytest.raises(Invalid, match=said) as error:
        Settings()
    assert "\n" not in str(error.value)


def test_every_table_with_a_retention_is_documented() -> None:
    docs = Path(__file__).parents[2] / "docs"
    for name in ("settings.md", "retention.md", "retention.ja.md"):
        said = (docs / name).read_text(encoding="utf-8")
        assert all(f"`{table}`" in said or f"`retention.{table}`" in said for table in TABLES), name


def test_lengths_of_time_and_the_one_rule_for_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.yaml").write_text("retention: {calls: 2y, call_logs: 365d, logs: 12w, tracks: 6h}\n")
    kept = Settings().retention
    assert (kept.calls, kept.call_logs) == (timedelta(days=730), timedelta(days=365))
    assert (kept.logs, kept.tracks, kept.tasks) == (timedelta(weeks=12), timedelta(hours=6), None)
    monkeypatch.setenv("CHATLOG_DAYS", "90")
    assert Settings().retention.chat_logs == timedelta(days=90)
    monkeypatch.delenv("CHATLOG_DAYS")
    Path("config.yaml").write_text("retention: {chat_logs: 90d}\n")
    assert Settings().chats.days == 90  # DynamoDB's TTL and `chats expire` read this one


@on_sqlite
def test_the_command_says_what_would_go_and_then_lets_it_go(here: Here) -> None:
    here("db", "clean", code=1)
    assert "nothing to clean: the settings have no retention" in one_line(here.said)
    with Ledger(here.url) as ledger:
        fill(ledger)
    Path("config.yaml").write_text("retention: {calls: 30d, tasks: 4w, ai_usage_logs: 30d}\n")
    said = here("db", "clean", "--dry-run")
    assert "nothing was changed" in here.said
    assert said.splitlines()[1].split()[:3] == ["calls", "ended_at", "30d"]
    with Ledger(here.url) as ledger:
        assert len(ledger.calls.list()) == 4
    one = json.loads(here("db", "clean", "--table", "tasks", "--json"))
    assert one["tables"][0] | {"before": ""} == {
        "table": "tasks",
        "column": "completed_at",
        "retention": "28d",
        "before": "",
        "rows": 1,
        "along": {"folders": 0},
    }
    done = json.loads(here("db", "clean", "--json"))
    with Ledger(here.url) as ledger:
        assert sum(table["rows"] for table in done["tables"]) >= 2
        assert "old" not in {call.call_id for call in ledger.calls.list()}
    assert not sum(table["rows"] for table in json.loads(here("db", "clean", "--json"))["tables"])
    here("db", "clean", "--table", "cals", code=1)
    assert "did you mean 'calls'" in one_line(here.said)


@on_sqlite
def test_a_table_that_cannot_be_cleaned_does_not_keep_the_others(here: Here) -> None:
    Path("config.yaml").write_text("retention: {calls: 30d, logs: 30d}\n")
    with Ledger(here.url) as ledger:
        fill(ledger)
        with ledger.database.engine.begin() as connection:
            kept = "CREATE TRIGGER kept BEFORE DELETE ON call_logs BEGIN SELECT RAISE(ABORT, 'by law'); END"
            connection.execute(text(kept))
    done = json.loads(here("db", "clean", "--json", code=1))
    assert [table["table"] for table in done["tables"]] == ["logs"]
    assert "calls: " in one_line(here.said)
    assert "by law" in here.said


def test_a_tenants_ledger_lets_nothing_go_and_forgets_nobody(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        fill(ledger)
        usage = ledger.for_tenant(ledger.usage.list_tenants().items[0].id).usage
        for call in (
            lambda: usage.drop_before("ai_usage_logs", NOW),
            lambda: usage.count_before("ai_usage_logs", NOW),
            lambda: usage.forget(Person(users=("taro",))),
            lambda: usage.find_person(Person(users=("taro",))),
        ):
            with pytest.raises(Invalid, match="the operator's to do"):
                call()
