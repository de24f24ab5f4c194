"""A bot's ``kyrios.db``, made by SQLModel as the bot makes it: every row of it arrives, or is reported."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from pydantic import NaiveDatetime
from sqlalchemy import make_url, select
from sqlmodel import Field, Session, SQLModel, create_engine

from daicho import Invalid, Ledger
from daicho.core import engine
from daicho.guilds import models
from daicho.guilds.adoption import CHUNK, adopt, check
from daicho.guilds.adoption_file import OldBot
from daicho.guilds.adoption_rows import Reports, RowReader
from daicho.guilds.adoption_store import Adoption
from daicho.guilds.adoption_tables import KINDS
from daicho.guilds.adoption_values import Clock
from daicho.guilds.enums import LogType, LoopMode, TicketPriority, TicketStatus
from tests.cli.terminal import COMMAND, Here, one_line, surroundings
from tests.databases import on_sqlite

pytestmark = pytest.mark.in_turns

TOKYO = ZoneInfo("Asia/Tokyo")
LOCAL = datetime(2025, 11, 21, 17, 18, 22, 123456)  # noqa: DTZ001  (as the bot writes it)
MOMENT = datetime(2025, 11, 21, 8, 18, 22, 123456, tzinfo=UTC)
GUILD, USER = 2**62 + 12345, 555_666_777_888_999_000

SILENT = Reports(lambda _, __: None, lambda _, __: None)
Id = Field(default=None, primary_key=True)
Now = Field(default=LOCAL)


class Status(str, Enum):  # noqa: UP042  (the bot's own way)
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"
    ARCHIVED = "archived"


class Category(str, Enum):  # noqa: UP042
    TECHNICAL = "technical"
    GENERAL = "general"


class Priority(int, Enum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    URGENT = 4


class Source(str, Enum):  # noqa: UP042
    YOUTUBE = "youtube"
    URL = "url"


class Loop(str, Enum):  # noqa: UP042
    NONE = "none"
    QUEUE = "queue"


Event = Enum("Event", {kind.name: kind.value for kind in LogType}, type=str)  # type: ignore[misc]
Change = Enum("Change", {kind.name: kind.value for kind in models.AvatarHistoryType}, type=str)  # type: ignore[misc]


class GuildSettings(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = Field(unique=True)
    log_channel_id: int | None = None
    ticket_category_id: int | None = None
    ticket_archive_category_id: int | None = None
    auto_role_id: int | None = None
    prefix: str = "!"
    features_enabled: str = "tickets,logger"
    created_at: NaiveDatetime = Now
    updated_at: NaiveDatetime = Now


class Ticket(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = GUILD
    channel_id: int = 7
    user_id: int = USER
    assigned_to: int | None = None
    category: Category = Category.TECHNICAL
    priority: Priority = Priority.MEDIUM
    status: Status = Status.OPEN
    created_at: NaiveDatetime = Now
    closed_at: NaiveDatetime | None = None
    title: str = "壊れた 🐛"
    description: str | None = None


class TicketMessage(SQLModel, table=True):
    id: int | None = Id
    ticket_id: int
    user_id: int = USER
    message_id: int
    content: str = "こんにちは"
    timestamp: NaiveDatetime = Now
    is_system_message: bool = False


class Log(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = GUILD
    log_type: Event = Event.MESSAGE_DELETE  # type: ignore[valid-type]
    user_id: int | None = None
    moderator_id: int | None = None
    channel_id: int | None = None
    action: str = "Message Deleted"
    details: str | None = None
    timestamp: NaiveDatetime = Now


class Track(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = GUILD
    title: str = "Never Gonna Give You Up"
    artist: str = "Rick Astley"
    url: str = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    source: Source = Source.YOUTUBE
    duration: int = 212
    thumbnail_url: str | None = None
    requested_by: int = USER
    created_at: NaiveDatetime = Now


class Queue(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = GUILD
    track_id: int
    position: int
    added_by: int = USER
    created_at: NaiveDatetime = Now


class MusicSession(SQLModel, table=True):
    id: int | None = Id
    guild_id: int = Field(default=GUILD, unique=True)
    voice_channel_id: int = 8
    text_channel_id: int = 9
    current_track_id: int | None = None
    is_paused: bool = False
    loop_mode: Loop = Loop.NONE
    created_at: NaiveDatetime = Now
    updated_at: NaiveDatetime = Now


class AvatarHistory(SQLModel, table=True):
    id: int | None = Id
    user_id: int = USER
    guild_id: int | None = None
    history_type: Change = Change.AVATAR_CHANGE  # type: ignore[valid-type]
    old_avatar_url: str | None = None
    new_avatar_url: str | None = None
    dominant_color: str | None = None
    image_format: str | None = None
    image_size: int | None = None
    timestamp: NaiveDatetime = Now


class UserAvatarStats(SQLModel, table=True):
    id: int | None = Id
    user_id: int = Field(default=USER, unique=True)
    total_avatar_changes: int = 0
    total_banner_changes: int = 0
    first_seen: NaiveDatetime = Now
    last_avatar_change: NaiveDatetime | None = None
    last_banner_change: NaiveDatetime | None = None
    most_used_format: str | None = None
    average_change_frequency: float | None = None


PLURALS = {
    "ticket": "tickets",
    "ticketmessage": "ticket_messages",
    "log": "logs",
    "guildsettings": "guild_settings",
    "track": "tracks",
    "queue": "queues",
    "musicsession": "music_sessions",
    "avatarhistory": "avatar_histories",
    "useravatarstats": "user_avatar_stats",
}
WHOLE: list[SQLModel] = [
    GuildSettings(guild_id=GUILD, prefix="?", log_channel_id=2**61, updated_at=LOCAL + timedelta(days=1)),
    *[
        Ticket(id=number, status=status, priority=Priority.URGENT, closed_at=None if number < 45 else LOCAL)
        for number, status in zip((42, 43, 47, 48), Status, strict=True)
    ],
    TicketMessage(id=5, ticket_id=42, message_id=2**60),
    TicketMessage(id=6, ticket_id=42, message_id=0, is_system_message=True),
    *[Log(id=10 + at, log_type=kind) for at, kind in enumerate(Event)],
    Log(id=90, details='{"content": "Hello World", "attachments": []}', moderator_id=USER),
    Log(id=91, details="not json"),
    *[Track(id=number) for number in (3, 4, 9)],
    *[
        Queue(id=number, track_id=track, position=place)
        for number, track, place in ((8, 3, 2), (6, 9, 1), (7, 4, 3))
    ],
    MusicSession(current_track_id=9, loop_mode=Loop.QUEUE, is_paused=True),
    UserAvatarStats(total_avatar_changes=2, total_banner_changes=1, first_seen=LOCAL - timedelta(days=1)),
    *[
        AvatarHistory(id=20 + at, history_type=kind, image_format="png", timestamp=LOCAL + timedelta(days=at))
        for at, kind in enumerate(Change)
    ],
]


def copies(rows: list[SQLModel]) -> list[SQLModel]:
    """The same rows, of which no session knows yet."""
    return [type(row)(**row.model_dump()) for row in rows]


def kyrios(path: Path, *rows: SQLModel, plural: bool = False) -> str:
    """Make a bot's database; return its name."""
    path.parent.mkdir(exist_ok=True)
    bot = create_engine(f"sqlite:///{path}")
    SQLModel.metadata.create_all(bot, tables=[model.__table__ for model in BOTS])  # type: ignore[attr-defined]
    with Session(bot) as session:
        session.add_all(copies(list(rows)))
        session.commit()
    bot.dispose()
    if plural:
        change(path, *[f"ALTER TABLE {old} RENAME TO {new}" for old, new in PLURALS.items()])
    return str(path)


BOTS = (
    *(GuildSettings, Ticket, TicketMessage, Log, Track, Queue, MusicSession, AvatarHistory, UserAvatarStats),
)


def change(path: str | Path, *statements: str) -> None:
    """Do to a database what no bot's own code would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def fingerprint(folder: Path, name: str) -> dict[str, str]:
    """Every byte of a database and of the files beside it, but for SQLite's shared memory."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob(name + "*")
        if not path.name.endswith("-shm")
    }


def tables(out: str) -> dict[str, tuple[int, int, int]]:
    """What each table's line of ``--json`` says: added, there already, refused."""
    found = map(json.loads, out.splitlines())
    return {line["table"]: (line["added"], line["existing"], line["refused"]) for line in found}


def everything(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of guilds."""
    found = {}
    ledger.guilds.list_avatar_users()
    for kind in KINDS:
        with ledger.database.engine.connect() as connection:
            rows = connection.execute(select(kind.table).order_by(kind.table.c.id)).mappings()
            found[kind.table.name] = [dict(row) for row in rows]
    return found


def one(ledger: Ledger, table: str, number: int) -> dict[str, Any]:
    (found,) = [row for row in everything(ledger)[table] if row["id"] == number]
    return found


# -- single values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2025-11-21 17:18:22.123456", MOMENT),
        ("2025-11-21T17:18:22.123456", MOMENT),
        ("2025-11-21 17:18:22", MOMENT.replace(microsecond=0)),
        ("2025-11-21 08:18:22.123456+00:00", MOMENT),
        ("2025-11-21T08:18:22.123456Z", MOMENT),
    ],
)
def test_a_time_is_read_in_the_bots_zone_unless_it_names_one(written: str, instant: datetime) -> None:
    assert Clock(TOKYO).read(written) == instant


@pytest.mark.parametrize(
    "written", ["soon", "2025-02-30 00:00:00", "0001-01-01 00:00:00", 1763713102, "17:18"]
)
def test_what_is_no_time_is_said(written: str | int) -> None:
    with pytest.raises(Invalid, match="is not a time; write it as 2025-11-21 08:18:22|outside the years"):
        Clock(TOKYO).read(written)


def test_a_time_that_the_clock_showed_twice_or_never_is_counted() -> None:
    clock = Clock(ZoneInfo("Europe/Berlin"))
    twice, never = clock.read("2025-10-26 02:30:00"), clock.read("2025-03-30 02:30:00")
    assert twice == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)  # the first: still summer time
    assert never == datetime(2025, 3, 30, 1, 30, tzinfo=UTC)  # as if it were still winter: 3:30 in summer
    clock.read("2025-10-26 03:00:00"), clock.read("2025-10-26 02:30:00+01:00")
    assert (clock.zoneless, clock.ambiguous, clock.skipped) == (3, 1, 1)


def test_without_a_zone_the_machines_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone, hour in (("Asia/Tokyo", 8), ("JST-9", 8), ("America/New_York", 22)):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert Clock(None).read("2025-11-21 17:18:22").hour == hour
        clock = Clock(None)
        assert clock.read("2025-11-02 01:30:00") == datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
        assert (clock.ambiguous, clock.skipped) == (1, 0)
    finally:
        monkeypatch.undo()
        time.tzset()


# -- whole files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("plural", [False, True], ids=["sqlmodels-names", "seeds-names"])
def test_every_row_arrives_with_its_number(here: Here, ledger: Ledger, tmp_path: Path, plural: bool) -> None:
    source = kyrios(tmp_path / "bot" / "kyrios.db", *WHOLE, plural=plural)
    before = fingerprint(tmp_path / "bot", "kyrios.db")
    out = here("guilds", "adopt", source, "--timezone", "Asia/Tokyo")
    assert out.splitlines()[-1] == f"{len(WHOLE)} added, 0 already there, 0 not adopted"
    assert re.search(r"^tickets +4 +0 +0$", out, re.MULTILINE)
    (zone,) = here.said.splitlines()
    assert re.fullmatch(r"\d+ times without a zone were read in Asia/Tokyo \(--timezone for another\)", zone)
    assert fingerprint(tmp_path / "bot", "kyrios.db") == before

    found = everything(ledger)
    assert [(row["id"], row["status"]) for row in found["tickets"]] == [
        *zip((42, 43, 47, 48), TicketStatus, strict=True)
    ]
    ticket = ledger.guilds.get_ticket(42)
    assert (ticket.guild_id, ticket.user_id, ticket.title) == (GUILD, USER, "壊れた 🐛")
    assert (ticket.priority, ticket.category, ticket.closed_at) == (TicketPriority.URGENT, "technical", None)
    assert ticket.created_at == ledger.guilds.get_ticket(47).closed_at == MOMENT
    assert [row["is_system_message"] for row in found["ticket_messages"]] == [False, True]
    assert [row["log_type"] for row in found["logs"]] == [*LogType, *[LogType.MESSAGE_DELETE] * 2]
    assert [row["details"] for row in found["logs"][-2:]] == [
        '{"content": "Hello World", "attachments": []}',
        "not json",
    ]
    queue = ledger.guilds.get_guild_queue(GUILD)
    assert [(entry.id, entry.track_id, entry.position) for entry in queue] == [
        (6, 9, 1),
        (8, 3, 2),
        (7, 4, 3),
    ]
    playing = ledger.guilds.get_music_session(GUILD)
    assert (playing.current_track_id, playing.is_paused, playing.loop_mode) == (9, True, LoopMode.QUEUE)
    settings = ledger.guilds.get_guild_settings(GUILD)
    assert (settings.prefix, settings.log_channel_id) == ("?", 2**61)
    assert settings.updated_at == MOMENT + timedelta(days=1)
    stats = ledger.guilds.get_user_avatar_stats(USER)
    assert (stats.total_avatar_changes, stats.total_banner_changes) == (2, 1)
    assert (stats.most_used_format, stats.average_change_frequency) == ("png", 2.0)
    assert stats.first_seen == MOMENT - timedelta(days=1)
    assert stats.last_avatar_change == MOMENT + timedelta(days=2)


def test_twice_adds_nothing_and_what_has_changed_here_stays(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    here("guilds", "adopt", source)
    ledger.guilds.close_ticket(42)
    ledger.guilds.create_or_update_guild_settings(GUILD, prefix="$")
    ledger.guilds.move_in_queue(GUILD, 7, 1)
    ledger.guilds.record_avatar_change(USER, "avatar_change")
    before = everything(ledger)
    for options in ([], ["--dry-run"]):
        assert f"{len(WHOLE)} already there, 0 not adopted" in here("guilds", "adopt", source, *options)
        assert everything(ledger) == before


def test_numbers_go_on_after_those_adopted(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    here("guilds", "adopt", kyrios(tmp_path / "kyrios.db", *WHOLE))
    assert ledger.guilds.create_ticket(GUILD, 1, 2, "next").id == 49
    assert ledger.guilds.add_ticket_message(42, 2, 77, "next").id == 7
    assert ledger.guilds.create_log(GUILD, "role_add", "next").id == 92
    track = ledger.guilds.create_track(GUILD, "t", "a", "u", 1, 2)
    assert track.id == 10
    assert ledger.guilds.add_to_queue(GUILD, track.id, 2).id == 9
    assert ledger.guilds.record_avatar_change(USER + 1, "banner_change").id == 23
    assert ledger.guilds.create_session(GUILD + 1, 1, 2).id > 1
    assert ledger.guilds.get_guild_settings(GUILD + 1).id > 1
    ids = [row["id"] for rows in everything(ledger).values() for row in rows]
    assert min(ids) > 0


def test_a_dry_run_writes_nothing(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    ledger.guilds.list_avatar_users()
    out = here("guilds", "adopt", source, "--dry-run")
    assert out.endswith(f"{len(WHOLE)} would be added, 0 already there, 0 not adopted (--dry-run)\n")
    assert not any(everything(ledger).values())


def test_a_dry_run_does_not_make_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Here(f"sqlite:///{tmp_path / 'none.db'}", capsys)
    source = kyrios(tmp_path / "bot" / "kyrios.db", *WHOLE)
    out = here("guilds", "adopt", source, "--dry-run", "--json")
    assert tables(out)["logs"] == (15, 0, 0)
    assert not (tmp_path / "none.db").exists()


def test_a_ticket_or_log_whose_number_is_another_rows_is_refused_alone(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    for _ in range(20):
        ledger.guilds.create_log(1, "role_add", "ours")
    for _ in range(42):
        ledger.guilds.create_ticket(1, 2, 3, "ours")
    ledger.guilds.record_avatar_change(1, "avatar_change")
    change(source, "UPDATE avatarhistory SET id = 1 WHERE id = 20")
    refused = ["ticket 42", "ticketmessage 5", "ticketmessage 6", *[f"log {at}" for at in range(10, 21)]]
    for options, added in (["--dry-run"], len(WHOLE) - 15), ([], len(WHOLE) - 15), ([], 0):
        out = here("guilds", "adopt", source, "--json", *options, code=1)
        told = [line.partition(" not adopted: ")[0] for line in here.said.splitlines() if " not " in line]
        assert told == [*refused, "avatarhistory 1"]
        assert (
            f"ticket 42 not adopted: the ledger has another tickets 42: its guild_id is 1, not {GUILD};"
            " only an empty ledger can have it by its number" in here.said
        )
        counts = tables(out)
        assert sum(added for added, _, _ in counts.values()) == added
        assert (counts["tickets"][2], counts["ticket_messages"][2], counts["logs"][2]) == (1, 2, 11)
    assert ledger.guilds.get_ticket(42).title == "ours"
    assert ledger.guilds.list_ticket_messages(42).items == []
    assert one(ledger, "logs", 21)["guild_id"] == GUILD
    stats = ledger.guilds.get_user_avatar_stats(USER)
    assert (stats.total_avatar_changes, stats.total_banner_changes) == (2, 1), "its own count stays"


def test_numbers_that_a_bot_gave_again_are_told_apart(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    """SQLModel's tables give the number of the last row that is gone to the next one."""
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    options = ("--timezone", "Asia/Tokyo", "--json")
    here("guilds", "adopt", source, *options)
    ledger.guilds.clear_guild_tracks(GUILD + 1)
    change(
        source,
        "UPDATE queue SET created_at = '2025-12-01 10:00:00.5' WHERE id = 8",
        "UPDATE track SET created_at = '2025-12-01 10:00:00.25', url = 'https://new' WHERE id = 9",
        "INSERT INTO track SELECT 10, guild_id, title, artist, 'https://other', source, duration, thumbnail_url,"
        " requested_by, created_at FROM track WHERE id = 9",
    )
    ledger.guilds.create_track(5, "ours", "a", "https://ours", 1, 2)  # is number 10 here
    wanted = [("queues", (2, 1, 0)), ("tracks", (2, 2, 0))]
    found = tables(here("guilds", "adopt", source, *options, "--dry-run"))
    assert [(table, found[table]) for table, _ in wanted] == wanted
    found = tables(here("guilds", "adopt", source, *options))
    assert [(table, found[table]) for table, _ in wanted] == wanted
    tracks = {track.url: track.id for track in ledger.guilds.list_tracks(GUILD).items}
    assert sorted([tracks["https://new"], tracks["https://other"]]) == [11, 12]
    queue = ledger.guilds.get_guild_queue(GUILD)
    assert [entry.position for entry in queue] == [1, 2, 3, 4, 5]
    assert [entry.track_id for entry in queue] == [9, 3, 4, tracks["https://new"], 3]
    assert len({entry.id for entry in queue}) == 5
    before = everything(ledger)
    assert {added for added, _, _ in tables(here("guilds", "adopt", source, *options)).values()} == {0}
    ledger.guilds.remove_from_queue(GUILD, 8)  # its number is free: the bot's 8 is known by its name
    found = tables(here("guilds", "adopt", source, *options))
    assert found["queues"] == (0, 3, 0)
    assert everything(ledger)["tracks"] == before["tracks"]


def test_what_plays_follows_a_track_to_its_new_number(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    ours = ledger.guilds.create_track(5, "ours", "a", "u", 1, 2)
    source = kyrios(
        tmp_path / "kyrios.db",
        Track(id=ours.id),
        Queue(id=1, track_id=ours.id, position=1),
        MusicSession(current_track_id=ours.id),
    )
    here("guilds", "adopt", source)
    playing = ledger.guilds.get_track_by_id(ledger.guilds.get_music_session(GUILD).current_track_id)
    (entry,) = ledger.guilds.get_guild_queue(GUILD)
    assert (playing.guild_id, playing.id > ours.id, entry.track_id) == (GUILD, True, playing.id)


def test_what_the_bot_has_changed_since_is_told_and_the_ledgers_stays(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = kyrios(tmp_path / "kyrios.db", *[Ticket(id=at) for at in range(1, 14)], *WHOLE)
    here("guilds", "adopt", source)
    assert "differ" not in here.said
    change(source, "UPDATE ticket SET status = 'CLOSED' WHERE id = 2", "UPDATE queue SET position = 9")
    (said,) = [
        line for _ in [here("guilds", "adopt", source)] for line in here.said.splitlines() if "diff" in line
    ]
    assert said == "1 row differs from the file; the ledger's stayed: tickets 2"
    change(source, "UPDATE ticket SET title = 'x' WHERE id < 14", "UPDATE guildsettings SET prefix = '%'")
    out = here("guilds", "adopt", source, "--json")
    differing = {line["table"]: line["differing"] for line in map(json.loads, out.splitlines())}
    assert {table: number for table, number in differing.items() if number} == {
        "guild_settings": 1,
        "tickets": 13,
    }
    names = ", ".join([f"guild_settings of {GUILD}", *[f"tickets {at}" for at in range(1, 14)]][:10])
    assert any(
        re.fullmatch(rf"14 rows differ from the file; the ledger's stayed: .*{GUILD}.* and 4 more", line)
        for line in here.said.splitlines()
    ), names
    assert ledger.guilds.get_ticket(2).status == "open"
    assert ledger.guilds.get_guild_settings(GUILD).prefix == "?"


def test_a_login_that_may_not_move_sequences_is_told_before_anything_is_written(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The application's role of ``daicho db grant``, which needs no more than to ask for numbers."""
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    mark = uuid4().hex[:8]
    app, reader = f"daicho_app_{mark}", f"daicho_readonly_{mark}"
    owner, as_app = Here(postgres_url, capsys), make_url(postgres_url).set(username=app, password="for-tests")
    with Ledger(postgres_url) as ledger, psycopg.connect(postgres_url, autocommit=True) as connection:
        try:
            owner("db", "grant", "--apply", "--app", app, "--read-only", reader)
            connection.execute(f"ALTER ROLE {app} PASSWORD 'for-tests'")
            here = Here(as_app.render_as_string(hide_password=False), capsys)
            for options in ([], ["--dry-run"]):
                here("guilds", "adopt", source, *options, code=1)
                said = one_line(here.said)
                assert said.startswith(
                    "guild_settings: this login may not let numbers go on after 1 (UPDATE on"
                )
                assert said.endswith("adopt as the tables' owner, by --database or DATABASE_URL")
            assert not any(everything(ledger).values())
            owner("guilds", "adopt", source)
            assert f"{len(WHOLE)} already there" in here("guilds", "adopt", source), (
                "no number is to be moved"
            )
        finally:
            for role in (app, reader):
                connection.execute(f'DROP OWNED BY "{role}"')
                connection.execute(f'DROP ROLE "{role}"')


def test_another_zone_the_second_time_is_a_conflict(here: Here, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", Ticket(id=5))
    here("guilds", "adopt", source, "--timezone", "Asia/Tokyo")
    here("guilds", "adopt", source, "--timezone", "Europe/Berlin", code=1)
    assert "another tickets 5: its created_at is 2025-11-21 08:18:22.123456+00:00" in here.said
    assert "adopt with the --timezone of the first time" in one_line(here.said)


@pytest.mark.parametrize("merely_registered", [True, False], ids=["registered", "set"])
def test_a_guild_that_the_ledger_has_merely_registered_gets_its_settings(
    here: Here, ledger: Ledger, tmp_path: Path, merely_registered: bool
) -> None:
    ledger.guilds.create_track(GUILD + 1, "t", "a", "u", 1, 2)  # takes the number of the bot's first guild
    ledger.guilds.create_track(GUILD, "t", "a", "u", 1, 2)
    if not merely_registered:
        ledger.guilds.create_or_update_guild_settings(GUILD, prefix="$")
    source = kyrios(
        tmp_path / "kyrios.db", GuildSettings(guild_id=GUILD, prefix="?"), GuildSettings(guild_id=5)
    )
    out = here("guilds", "adopt", source, "--json")
    assert tables(out)["guild_settings"] == ((2, 0, 0) if merely_registered else (1, 1, 0))
    assert ledger.guilds.get_guild_settings(GUILD).prefix == ("?" if merely_registered else "$")
    assert (
        f"the ledger's own stay as they are: guild_settings of {GUILD}" in here.said
    ) is not merely_registered
    assert ledger.guilds.get_guild_settings(5).prefix == "!"
    assert tables(here("guilds", "adopt", source, "--json"))["guild_settings"] == (0, 2, 0)


# -- what is wrong in a file -----------------------------------------------------------------------------

BAD = {
    "UPDATE ticket SET status = 'weird' WHERE id = 42": "ticket 42 not adopted: status cannot be 'weird'; one of: open",
    "UPDATE ticket SET created_at = 'soon' WHERE id = 42": "ticket 42 not adopted: created_at: 'soon' is not a time; write",
    "UPDATE ticket SET user_id = -5 WHERE id = 42": "ticket 42 not adopted: user_id: -5 is negative",
    "UPDATE ticket SET title = x'ff' WHERE id = 42": "ticket 42 not adopted: title: not UTF-8 text (byte 1)",
    "UPDATE ticket SET title = 'a' || char(0) || 'b' WHERE id = 42": "ticket 42 not adopted: title has a NUL byte",
    "UPDATE ticket SET id = -42 WHERE id = 42": "ticket -42 not adopted: id: -42 is negative",
    "UPDATE ticket SET id = 9223372036854775807 WHERE id = 42": "is too large for the number of a row",
    "UPDATE ticket SET guild_id = 1.5e300 WHERE id = 42": "ticket 42 not adopted: guild_id: 1.5e+300 is not a whole number",
    "UPDATE ticket SET priority = 9 WHERE id = 42": "ticket 42 not adopted: priority cannot be '9'; one of: 1",
    "UPDATE log SET log_type = 'HAT' WHERE id = 90": "log 90 not adopted: log_type cannot be 'HAT'",
    "UPDATE log SET details = '\"a\\u0000b\"' WHERE id = 90": "log 90 not adopted: details has a NUL byte",
    "UPDATE log SET action = x'ff', log_type = 'HAT', timestamp = '?' WHERE id = 90": "log 90 not adopted: action: not UTF-8 text (byte 1)",
    "UPDATE track SET duration = 3000000000 WHERE id = 4": "track 4 not adopted: duration is 3,000,000,000; at most",
    "UPDATE queue SET position = 'first' WHERE id = 6": "queue 6 not adopted: position: 'first' is not a whole number",
    "UPDATE musicsession SET is_paused = 'perhaps'": "musicsession 1 not adopted: is_paused: 'perhaps' is neither",
    "UPDATE useravatarstats SET average_change_frequency = 'often'": "useravatarstats 1 not adopted: average_change_frequency: 'often' is not a number",
    "UPDATE avatarhistory SET image_size = -1 WHERE id = 20": "avatarhistory 20 not adopted: image_size: -1 is negative",
}


@on_sqlite
@pytest.mark.parametrize("statement", BAD, ids=[said[:60] for said in BAD.values()])
def test_a_bad_value_is_told_with_table_row_and_column_and_the_rest_is_adopted(
    here: Here, tmp_path: Path, statement: str
) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    change(source, statement)
    errors = tmp_path / "errors.txt"
    out = here("guilds", "adopt", source, "--errors", str(errors), "--json", code=1)
    assert BAD[statement] in here.said
    refused = [line for line in errors.read_text().splitlines() if " not adopted: " in line]
    assert BAD[statement] in refused[0]
    assert set(errors.read_text().splitlines()) <= set(here.said.splitlines())
    counts = tables(out).values()
    assert sum(added for added, _, _ in counts) == len(WHOLE) - len(refused)
    assert sum(found for *_, found in counts) == len(refused)
    if "action = x'ff'" in statement:
        assert "log_type cannot be 'HAT'" in refused[0]
        assert "timestamp: '?' is not a time" in refused[0]
    with_child = {"ticket": 3, "track": 2}.get(BAD[statement].split()[0], 1)
    assert len(refused) == (3 if "too large" in BAD[statement] else with_child)


def test_what_is_not_shown_can_be_had_from_a_file(here: Here, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", *[Log(id=at) for at in range(1, 22)])
    change(source, "UPDATE log SET log_type = 'HAT'")
    here("guilds", "adopt", source, code=1)
    assert here.said.splitlines()[20] == "and 1 more; --errors FILE takes all"
    here("guilds", "adopt", source, "--errors", str(tmp_path / "errors.txt"), code=1)
    assert here.said.splitlines()[20] == "and 1 more"
    assert len((tmp_path / "errors.txt").read_text().splitlines()) == 21


def test_values_are_known_as_names_and_as_values(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    change(
        source,
        "UPDATE ticket SET status = 'in_progress', priority = 4, category = 'Moderation' WHERE id = 42",
        "UPDATE ticket SET priority = '3', assigned_to = '77', user_id = 5.0 WHERE id = 43",
        "UPDATE log SET log_type = 'member_ban' WHERE id = 90",
        "UPDATE musicsession SET is_paused = 'true', loop_mode = 'track'",
        "UPDATE ticketmessage SET is_system_message = 'False' WHERE id = 6",
    )
    here("guilds", "adopt", source)
    ticket, other = ledger.guilds.get_ticket(42), ledger.guilds.get_ticket(43)
    assert (ticket.status, ticket.priority, ticket.category) == ("in_progress", 4, "moderation")
    assert (other.priority, other.assigned_to, other.user_id) == (3, 77, 5)
    assert one(ledger, "logs", 90)["log_type"] is LogType.MEMBER_BAN
    playing = ledger.guilds.get_music_session(GUILD)
    assert (playing.is_paused, playing.loop_mode) == (True, LoopMode.TRACK)
    assert one(ledger, "ticket_messages", 6)["is_system_message"] is False


def test_the_places_of_a_queue_are_made_dense_in_their_order(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    places = {11: 4, 12: 4, 13: 9, 14: 2, 15: 0}
    other = [Queue(id=20 + at, guild_id=5, track_id=1, position=at) for at in range(3)]
    source = kyrios(
        tmp_path / "kyrios.db",
        Track(id=1),
        *[Queue(id=number, track_id=1, position=place) for number, place in places.items()],
        *other,
    )
    here("guilds", "adopt", source)
    assert [line for line in here.said.splitlines() if line.startswith("queue")] == [
        "queue 14: position: 2 leaves a gap, or is taken; it is number 2 now",
        "queue 11: position: 4 leaves a gap, or is taken; it is number 3 now",
        "queue 12: position: 4 leaves a gap, or is taken; it is number 4 now",
        "queue 13: position: 9 leaves a gap, or is taken; it is number 5 now",
    ]
    for guild, numbers in ((GUILD, [15, 14, 11, 12, 13]), (5, [20, 21, 22])):
        queue = ledger.guilds.get_guild_queue(guild)
        assert [entry.id for entry in queue] == numbers
        assert [entry.position for entry in queue] == list(range(1, len(numbers) + 1))


def test_a_queue_that_the_ledger_has_goes_first(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = kyrios(
        tmp_path / "kyrios.db",
        Track(id=50),
        *[Queue(id=50 + at, track_id=50, position=at) for at in range(2)],
    )
    track = ledger.guilds.create_track(GUILD, "t", "a", "u", 1, 2)
    ours = [ledger.guilds.add_to_queue(GUILD, track.id, 2).id for _ in range(2)]
    here("guilds", "adopt", source)
    assert [entry.id for entry in ledger.guilds.get_guild_queue(GUILD)] == [*ours, 50, 51]
    assert [entry.position for entry in ledger.guilds.get_guild_queue(GUILD)] == [1, 2, 3, 4]


def test_what_refers_to_nothing_is_told_and_drags_nothing_in(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = kyrios(
        tmp_path / "kyrios.db",
        Ticket(id=1),
        TicketMessage(id=1, ticket_id=1, message_id=5),
        TicketMessage(id=2, ticket_id=99, message_id=5),
        TicketMessage(id=3, ticket_id=1, message_id=5),
        Track(id=1),
        Queue(id=1, track_id=99, position=0),
        Queue(id=2, track_id=1, position=1),
        MusicSession(current_track_id=99),
        *[AvatarHistory(id=number, timestamp=LOCAL + timedelta(days=number)) for number in (4, 5, 7)],
    )
    out = here("guilds", "adopt", source, code=1)
    assert here.said.splitlines()[:-2] == [
        "ticketmessage 2 not adopted: ticket_id: tickets has no row 99, or none that can be adopted",
        "ticketmessage 3: message_id: 5 is that of row 1 too; 0 stands for it",
        "queue 1 not adopted: track_id: tracks has no row 99, or none that can be adopted",
        "musicsession 1: current_track_id: tracks has no row 99, or none that can be adopted; nothing plays",
        f"avatarhistory 4: user_id: {USER} has no statistics; they are counted from the history",
    ]
    assert here.said.splitlines()[-1] == "1 guild without settings: the defaults"
    assert out.endswith("9 added, 0 already there, 2 not adopted\n")
    assert [(row["id"], row["message_id"]) for row in everything(ledger)["ticket_messages"]] == [
        (1, 5),
        (3, 0),
    ]
    assert [(entry.id, entry.position) for entry in ledger.guilds.get_guild_queue(GUILD)] == [(2, 1)]
    assert ledger.guilds.get_music_session(GUILD).current_track_id is None
    stats = ledger.guilds.get_user_avatar_stats(USER)
    assert (stats.total_avatar_changes, stats.average_change_frequency) == (3, 1.5)
    assert ledger.guilds.get_guild_settings(GUILD).prefix == "!"
    again = here("guilds", "adopt", source, code=1)
    assert again.endswith("0 added, 9 already there, 2 not adopted\n")


# -- statistics --------------------------------------------------------------------------------------------


def test_statistics_are_counted_anew_where_the_history_has_all_of_it(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    """The design's own bad example: history saved, statistics lost."""
    source = kyrios(
        tmp_path / "kyrios.db",
        UserAvatarStats(
            total_avatar_changes=1, most_used_format="bmp", last_avatar_change=LOCAL + timedelta(days=99)
        ),
        *[AvatarHistory(image_format="png", timestamp=LOCAL + timedelta(days=at)) for at in (-3, 0, 3)],
    )
    here("guilds", "adopt", source, "--timezone", "Asia/Tokyo")
    stats = ledger.guilds.get_user_avatar_stats(USER)
    assert (stats.total_avatar_changes, stats.total_banner_changes) == (3, 0)
    assert (stats.most_used_format, stats.average_change_frequency) == ("png", 3.0)
    assert (stats.first_seen, stats.last_avatar_change) == (
        MOMENT - timedelta(days=3),
        MOMENT + timedelta(days=3),
    )


def test_what_was_counted_and_is_in_no_history_stays_counted(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = kyrios(
        tmp_path / "kyrios.db",
        UserAvatarStats(
            total_avatar_changes=10,
            total_banner_changes=4,
            last_avatar_change=LOCAL + timedelta(days=9),
            most_used_format="gif",
            average_change_frequency=12.5,
        ),
        AvatarHistory(id=1),
        UserAvatarStats(user_id=7, total_banner_changes=3, average_change_frequency=2.5),
    )
    ledger.guilds.record_avatar_change(USER, "avatar_change", request_id="ours", timestamp=MOMENT)
    change(source, "UPDATE avatarhistory SET id = 100")
    for _ in range(2):
        here("guilds", "adopt", source, "--timezone", "Asia/Tokyo")
        stats = ledger.guilds.get_user_avatar_stats(USER)
        assert (stats.total_avatar_changes, stats.total_banner_changes) == (11, 4)
        assert stats.last_avatar_change == MOMENT + timedelta(days=9)
        assert stats.most_used_format == "gif"
        assert stats.average_change_frequency == 0  # what the history says, where it says anything
        other = ledger.guilds.get_user_avatar_stats(7)
        assert (other.total_avatar_changes, other.total_banner_changes) == (0, 3)
        assert other.average_change_frequency == 2.5
    ledger.guilds.record_avatar_change(7, "banner_change")
    assert ledger.guilds.get_user_avatar_stats(7).total_banner_changes == 4


# -- files of many kinds --------------------------------------------------------------------------------------


def test_older_bots_had_fewer_columns_and_others_have_more(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = tmp_path / "kyrios.db"
    change(
        source,
        "CREATE TABLE tickets (id BIGINT PRIMARY KEY, guild_id BIGINT, user_id VARCHAR, title, mood)",
        "INSERT INTO tickets VALUES (3, 5, '6', 'old', 'sad')",
        "INSERT INTO tickets VALUES (NULL, 5, '6', 'no number', '')",
        "CREATE TABLE Track (id INTEGER PRIMARY KEY, guild_id, url, created_at) WITHOUT ROWID",
        "INSERT INTO Track VALUES (1, 5, 'https://example.org', '2025-11-21 17:18:22')",
        "CREATE TABLE guildsettings (guild_id INTEGER, prefix)",
        "INSERT INTO guildsettings VALUES (5, '?')",
        "CREATE TABLE economy (coins)",
    )
    begun = datetime.now(UTC)
    out = here("guilds", "adopt", str(source), "--timezone", "Asia/Tokyo", code=1)
    assert out.endswith("3 added, 0 already there, 1 not adopted\n")
    assert "tickets NULL not adopted: id: NULL; every row needs one" in here.said
    assert "2 rows without any time; that of this adoption stands for it" in here.said
    assert "not adopted, because unknown: tickets.mood, economy" in here.said
    ticket = ledger.guilds.get_ticket(3)
    assert (ticket.status, ticket.priority, ticket.category) == ("open", 2, "general")
    assert (ticket.channel_id, ticket.user_id, ticket.title) == (0, 6, "old")
    assert begun < ticket.created_at < datetime.now(UTC)
    track = ledger.guilds.get_track_by_id(1)
    assert (track.source, track.duration, track.title) == ("youtube", 0, "")
    settings = ledger.guilds.get_guild_settings(5)
    assert (settings.prefix, settings.features_enabled) == ("?", "tickets,logger")
    out = here("guilds", "adopt", str(source), "--timezone", "Asia/Tokyo", code=1)
    assert out.endswith("0 added, 3 already there, 1 not adopted\n")


def test_a_file_that_is_no_bots_database_is_one_clear_line(
    here: Here, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(path: Path, *options: str) -> str:
        here("guilds", "adopt", str(path), *options, code=1)
        return one_line(here.said)

    empty, words, other, short, both = (
        tmp_path / f"{name}.db" for name in ("empty", "words", "other", "short", "both")
    )
    empty.touch()
    words.write_text("no database at all")
    change(other, "CREATE TABLE x (y)")
    change(short, "CREATE TABLE tickets (id, title)")
    kyrios(both, Ticket())
    change(both, "CREATE TABLE tickets AS SELECT * FROM ticket")
    assert refusal(tmp_path / "none.db").endswith("none.db: no such file")
    assert "is a folder; name the file in it" in refusal(tmp_path)
    assert refusal(empty).endswith("empty.db: is empty")
    assert refusal(words).endswith("words.db: is not an SQLite database")
    assert "has none of a bot's tables (tickets, logs" in refusal(other)
    assert "its table tickets has no column guild_id, user_id; every row needs it" in refusal(short)
    assert "has rows in tickets and in ticket; rename" in refusal(both)
    whole = Path(kyrios(tmp_path / "torn.db", *[Log(action="x" * 500) for _ in range(900)]))
    whole.write_bytes(whole.read_bytes()[:4096] + b"\xff" * 4096 * 90)
    assert re.search("is damaged|cannot be read|is not an SQLite", refusal(whole))
    with Ledger(f"sqlite:///{tmp_path / 'another.db'}") as another:
        another.guilds.list_avatar_users()
    assert "is a ledger of Daicho, not a bot's database" in refusal(tmp_path / "another.db")
    for zone in ("Mars/Base", "../etc", ""):
        here("guilds", "adopt", str(both), "--timezone", zone, code=2)
        assert "is not a time zone; write Asia/Tokyo" in here.said
    monkeypatch.setattr("daicho.core.foreign.BUSY_SECONDS", 0.1)
    locked = kyrios(tmp_path / "locked.db", Ticket())
    with closing(sqlite3.connect(locked, isolation_level=None)) as owner:
        owner.execute("BEGIN EXCLUSIVE")
        assert "another program keeps it locked; run again" in refusal(Path(locked))
    assert not any(everything(ledger).values())


def test_the_ledgers_own_path_is_not_the_bots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = kyrios(tmp_path / "kyrios.db", *WHOLE)
    before = fingerprint(tmp_path, "kyrios.db")
    here = Here(f"sqlite:///{source}", capsys)
    (tmp_path / "link.db").symlink_to(source)
    for name in ("kyrios.db", "link.db"):
        here("guilds", "adopt", str(tmp_path / name), code=1)
        assert "is where this ledger keeps its own database; name the ledger another file" in one_line(
            here.said
        )
    assert fingerprint(tmp_path, "kyrios.db") == before


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_bot_that_writes_is_neither_missed_nor_kept_waiting(
    here: Here, tmp_path: Path, journal: str
) -> None:
    source = kyrios(tmp_path / "kyrios.db", Ticket(id=1))
    add = "INSERT INTO ticket SELECT id + 1, {} FROM ticket ORDER BY id DESC LIMIT 1".format(
        ", ".join(name for name in Ticket.model_fields if name != "id")
    )
    with closing(sqlite3.connect(source, timeout=0, isolation_level=None)) as bot:
        bot.execute(f"PRAGMA journal_mode = {journal}")
        bot.execute("PRAGMA wal_autocheckpoint = 0")
        bot.execute(add)
        assert here("guilds", "adopt", source).endswith("2 added, 0 already there, 0 not adopted\n")
        bot.execute("BEGIN IMMEDIATE")
        bot.execute(add)
        assert "0 added, 2 already there" in here("guilds", "adopt", source)
        bot.execute("COMMIT")  # nobody holds a lock: with no timeout at all it goes through
        assert "1 added, 2 already there" in here("guilds", "adopt", source)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_a_killed_bot_has_committed_is_adopted_and_its_files_stay_as_they_are(
    here: Here, ledger: Ledger, tmp_path: Path, journal: str
) -> None:
    source = kyrios(tmp_path / "bot" / "kyrios.db", *[Log(id=number) for number in range(1, 300)])
    die = f"""
import os, sqlite3
c = sqlite3.connect({source!r}, isolation_level=None)
c.execute("PRAGMA journal_mode = {journal}")
c.execute("UPDATE log SET action = 'committed'")
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
c.execute("UPDATE log SET action = 'never' || hex(randomblob(500))")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", die], check=True)
    before = fingerprint(tmp_path / "bot", "kyrios.db")
    assert len(before) == 2
    assert here("guilds", "adopt", source).endswith("299 added, 0 already there, 0 not adopted\n")
    assert {row["action"] for row in everything(ledger)["logs"]} == {"committed"}
    assert fingerprint(tmp_path / "bot", "kyrios.db") == before


def test_a_copy_that_a_killed_run_left_is_removed_and_another_runs_is_not(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = kyrios(tmp_path / "kyrios.db", Ticket())
    place = tmp_path / "tmp"
    place.mkdir()
    (place / "daicho-adopt-link").symlink_to(tmp_path)
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    hold = f"""
import sys
from pathlib import Path
from daicho.guilds.adoption_file import OldBot
with OldBot(Path({source!r})):
    print("there", flush=True)
    sys.stdin.read()
"""
    killed, working = (
        subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    )
    try:
        for process in (killed, working):
            assert process.stdout is not None
            assert process.stdout.readline() == b"there\n"
        assert len(list(place.glob("*/copy.db"))) == 2
        killed.kill()
        killed.communicate()
        here("guilds", "adopt", source)
        assert len(list(place.glob("*/copy.db"))) == 1
    finally:
        working.communicate(b"")
        killed.kill()
    assert working.returncode == 0
    assert [left.name for left in place.iterdir()] == ["daicho-adopt-link"]
    assert Path(source).exists()


def test_a_file_in_a_folder_that_may_not_be_written_is_read() -> None:
    folder = Path(tempfile.mkdtemp())  # others may look into it, as into no folder of pytest's
    source = Path(kyrios(folder / "kyrios.db", Ticket(), Ticket()))
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    folder.chmod(0o555)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        with OldBot(source) as found:
            assert found.total == 2
        assert list(folder.iterdir()) == [source]
    finally:
        os.seteuid(me)
        folder.chmod(0o755)
        shutil.rmtree(folder)


# -- interrupted, at once, large ----------------------------------------------------------------------------


def many(path: Path, number: int) -> str:
    """A bot's database with a good deal of everything."""
    rng = random.Random(1)
    users = range(20)
    return kyrios(
        path,
        *[GuildSettings(guild_id=guild, prefix="?") for guild in range(1, 4)],
        *[Ticket(guild_id=rng.randint(1, 5)) for _ in range(number)],
        *[TicketMessage(ticket_id=rng.randint(1, number), message_id=at) for at in range(1, 2 * number)],
        *[Track(guild_id=rng.randint(1, 5)) for _ in range(number // 2)],
        *[
            Queue(
                guild_id=rng.randint(1, 5), track_id=rng.randint(1, number // 2), position=rng.randint(0, 9)
            )
            for _ in range(number)
        ],
        *[UserAvatarStats(user_id=user, total_avatar_changes=user * 10) for user in users],
        *[
            AvatarHistory(
                user_id=rng.choice(users),
                history_type=rng.choice(list(Change)),
                image_format=rng.choice(["png", "gif", None]),
                timestamp=LOCAL + timedelta(hours=rng.randint(0, 9999)),
            )
            for _ in range(number)
        ],
    )


KILL = """
import os, signal, sys
from daicho import cli
from daicho.core import engine
from daicho.guilds import adoption
adoption.CHUNK = 60
number, steps, real = int(sys.argv.pop()), [0], engine._commit
def commit(transaction):
    steps[0] += 1
    if steps[0] == number:
        os.kill(os.getpid(), signal.SIGKILL)
    real(transaction)
engine._commit = commit
sys.exit(cli.run(sys.argv[1:]))
"""


def test_an_adoption_killed_is_finished_by_the_next(url: str, ledger: Ledger, tmp_path: Path) -> None:
    source = many(tmp_path / "kyrios.db", 100)
    expected = whole(source, tmp_path)
    for number in (26, 31):
        arguments = ["guilds", "adopt", source, "--timezone", "Asia/Tokyo", str(number)]
        ended = subprocess.run(
            [sys.executable, "-c", KILL, *arguments], env=surroundings(url), capture_output=True, text=True
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        check_statistics(ledger)
        assert content(ledger) != expected
    adopted(ledger, source)
    assert content(ledger) == expected


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_adoption_broken_off_at_any_commit_is_finished_by_the_next(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    source = many(tmp_path / "kyrios.db", 60)
    expected = whole(source, tmp_path)
    monkeypatch.setattr("daicho.guilds.adoption.CHUNK", 25)
    real = engine._commit
    ledger.guilds.list_avatar_users()
    for number in range(14, 100, 3):
        commits: list[int] = []

        def commit(transaction: Any, number: int = number, commits: list[int] = commits) -> None:
            if after:
                real(transaction)
            commits.append(1)
            if len(commits) == number:
                raise KeyboardInterrupt
            if not after:
                real(transaction)

        with monkeypatch.context() as patch:
            patch.setattr(engine, "_commit", commit)
            try:
                adopted(ledger, source)
                break
            except KeyboardInterrupt:
                pass
        check_statistics(ledger)
    assert 30 < number < 90
    assert content(ledger) == expected


def whole(source: str, folder: Path) -> dict[str, Any]:
    """What a ledger holds that has adopted all of a bot's database without a break."""
    with Ledger(f"sqlite:///{folder / 'whole.db'}") as ledger:
        adopted(ledger, source)
        return content(ledger)


def content(ledger: Ledger) -> dict[str, Any]:
    """Every row, but for what each ledger gives of its own: numbers that nobody refers to, registrations."""
    own = {"guild_settings", "music_sessions", "user_avatar_stats"}
    found = everything(ledger)
    for table, rows in found.items():
        for row in rows:
            if table in own:
                del row["id"]
            if table == "guild_settings" and row["prefix"] == "!":
                del row["created_at"], row["updated_at"]
        if table in own:
            rows.sort(key=lambda row: row.get("guild_id", row.get("user_id")))
    return found


def check_statistics(ledger: Ledger) -> None:
    """Totals never fall behind the history, nor what a bot knew beyond it, wherever an adoption ended."""
    found = everything(ledger)
    for stats in found["user_avatar_stats"]:
        own = [row for row in found["avatar_histories"] if row["user_id"] == stats["user_id"]]
        banners = sum(row["history_type"] == "banner_change" for row in own)
        assert stats["total_banner_changes"] == banners
        assert stats["total_avatar_changes"] >= len(own) - banners


def adopted(ledger: Ledger, source: str) -> None:
    """Adopt in this process."""
    moment = datetime.now(UTC)
    with OldBot(Path(source)) as old:
        into = Adoption(ledger.guilds.runner)
        reader = RowReader(old, Clock(TOKYO), SILENT, moment)
        check(old, reader, into, lambda _: None)
        adopt(
            old,
            RowReader(old, Clock(TOKYO), SILENT, moment, last_first=True),
            into,
            reader.counted,
            lambda _: None,
        )


def test_two_adoptions_at_once_adopt_each_row_once(url: str, ledger: Ledger, tmp_path: Path) -> None:
    source = many(tmp_path / "kyrios.db", 600)
    ledger.guilds.list_avatar_users()
    running = [
        subprocess.Popen(
            [*COMMAND, "guilds", "adopt", source, "--json"],
            env=surroundings(url),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=100) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    first, second = (tables(out) for out, _ in said)
    for table, (added, existing, refused) in first.items():
        assert refused == 0
        assert second[table][:2] == (existing, added)
    check_statistics(ledger)
    for guild in range(1, 6):
        queue = ledger.guilds.get_guild_queue(guild)
        assert [entry.position for entry in queue] == list(range(1, len(queue) + 1))


def test_whoever_writes_meanwhile_gets_other_numbers(ledger: Ledger, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", *[Log(id=number) for number in range(1, 2 * CHUNK + 1)])
    made: list[int] = []

    def meanwhile(_: int) -> None:
        made.append(ledger.guilds.create_log(5, "role_add", "meanwhile").id)

    with OldBot(Path(source)) as old:
        into = Adoption(ledger.guilds.runner)
        reader = RowReader(old, Clock(TOKYO), SILENT, MOMENT, last_first=True)
        outcome = adopt(old, reader, into, {}, meanwhile)
    assert made == [2 * CHUNK + 1, 2 * CHUNK + 2]
    assert next(table.added for table in outcome.tables if table.table == "logs") == 2 * CHUNK


def test_a_large_file_does_not_fill_the_memory(sqlite_url: str, tmp_path: Path) -> None:
    source = kyrios(tmp_path / "kyrios.db", Log(details='{"a": "' + "x" * 300 + '"}'))
    names = ", ".join(name for name in Log.model_fields if name != "id")
    change(
        source,
        f"INSERT INTO log ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        f" SELECT {names} FROM log, n",
    )
    reports: list[str] = []
    with OldBot(Path(source)) as old:
        reader = RowReader(
            old, Clock(TOKYO), Reports(lambda row, _: reports.append(row), lambda _, __: None), MOMENT
        )
        tracemalloc.start()
        try:
            check(old, reader, None, lambda _: None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert not reports
    assert peak < 12_000_000
