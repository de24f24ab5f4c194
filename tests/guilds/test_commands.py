"""``daicho guilds``: tickets, logs, music, settings and avatars, as people meet them in the terminal."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from daicho import Ledger
from daicho.guilds.enums import AvatarHistoryType, LogType, LoopMode, TicketPriority, TicketStatus
from tests.cli.terminal import Here, one_line

pytestmark = pytest.mark.in_turns

GUILD, OTHER = 2**63 - 1, 2**53 + 1
USER, MODERATOR, CHANNEL = 555_666_777_000_000_001, 999_888_777_000_000_003, 2**60 + 1
BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _tokyo() -> Iterator[None]:
    """This machine stands in Tokyo until the test ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def filled(url: str) -> Iterator[Ledger]:
    """Two guilds: four tickets, three logs, a queue that plays, a user's avatars."""
    with Ledger(url) as ledger:
        guilds = ledger.guilds
        for number, title in enumerate(("ログインできません", "ban", "bot")):
            at = BEGUN + timedelta(hours=number)
            guilds.create_ticket(
                GUILD, CHANNEL, USER + number, title, category="technical", created_at=at, priority=1 + number
            )
        guilds.create_ticket(OTHER, 0, USER, "elsewhere", created_at=BEGUN + timedelta(days=1))
        guilds.update_ticket(2, status=TicketStatus.IN_PROGRESS, assigned_to=MODERATOR)
        guilds.add_ticket_message(1, USER, 1, "画面が\n真っ白です", timestamp=BEGUN)
        guilds.add_ticket_message(1, 0, 0, "assigned", True, timestamp=BEGUN + timedelta(days=1))
        for number, kind in enumerate((LogType.MEMBER_JOIN, LogType.MEMBER_BAN)):
            guilds.create_log(
                GUILD, kind, f"log {number}", USER, MODERATOR, timestamp=BEGUN + timedelta(days=number)
            )
        guilds.create_log(
            OTHER,
            "message_edit",
            "edit",
            None,
            None,
            CHANNEL,
            {"before": "あ"},
            timestamp=BEGUN - timedelta(hours=1),
        )
        for title in ("First", "第二", "Third"):
            track = guilds.create_track(GUILD, title, "花火", "https://example.com", 212, USER)
            guilds.add_to_queue(GUILD, track.id, USER)
        guilds.create_session(GUILD, CHANNEL, CHANNEL + 1)
        guilds.set_loop_mode(GUILD, LoopMode.QUEUE)
        guilds.take_next(GUILD)
        for number in range(3):
            guilds.record_avatar_change(
                USER,
                AvatarHistoryType.AVATAR_CHANGE if number else AvatarHistoryType.BANNER_CHANGE,
                new_avatar_url=f"https://example.com/{number}.png",
                guild_id=OTHER if number == 2 else None,
                dominant_color="#ff0000",
                image_format="png",
                image_size=45_231,
                timestamp=BEGUN + timedelta(days=number),
            )
        yield ledger


def rows(listing: str) -> list[list[str]]:
    return [line.split() for line in listing.splitlines()[1:]]


def ids(listing: str) -> str:
    return " ".join(row[0] for row in rows(listing))


def objects(listing: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in listing.splitlines()]


def test_guilds_are_listed_at_a_glance(here: Here, filled: Ledger) -> None:
    heading, *guilds = here("guilds", "list").splitlines()
    assert heading.split() == [
        "GUILD",
        "OPEN",
        "IN",
        "PROGRESS",
        "QUEUED",
        "PLAYING",
        "LAST",
        "LOG",
        "FEATURES",
    ]
    assert guilds[0].split() == [str(OTHER), "1", "0", "0", "2026-11-21", "16:18:22", "tickets,logger"]
    assert guilds[1].split()[:5] == [str(GUILD), "2", "1", "3", "First"]
    assert rows(here("guilds", "list", "--limit", "1")) == [guilds[0].split()]
    cursor = here.said.split()[-1]
    assert rows(here("guilds", "list", "--cursor", cursor)) == [guilds[1].split()]
    listed = objects(here("guilds", "list", "--json"))
    assert [one["settings"]["guild_id"] for one in listed] == [str(OTHER), str(GUILD)]  # type: ignore[index]


TICKETS = [
    ("", "4 3 2 1"),
    (f"{GUILD}", "3 2 1"),
    (f"{GUILD} --status open", "3 1"),
    (f"{GUILD} --status IN_PROGRESS --status closed", "2"),
    ("--category technical --priority high", "3"),
    ("--priority 1", "1"),
    (f"--user {USER}", "4 1"),
    (f"--assigned {MODERATOR}", "2"),
    ("--since 2026-11-21T18:18:22 --until 2026-11-21T19:18:22+09:00", "2"),
    ("--until 2026-11-21T09:18:22Z", "1"),
    (f"{OTHER} --category other", ""),
    (f"<#{GUILD}> --user <@!{USER}>", "1"),
]


def test_tickets_are_filtered(here: Here, filled: Ledger) -> None:
    for options, found in TICKETS:
        assert ids(here("guilds", "tickets", *options.split())) == found, options


def test_tickets_are_aligned_and_go_on_where_a_list_ended(here: Here, filled: Ledger) -> None:
    heading, *tickets = here("guilds", "tickets", "--limit", "3").splitlines()
    assert tickets[1].split() == [
        *["3", str(GUILD), "open", "high", "technical", str(USER + 2), "2026-11-21", "19:18:22", "bot"]
    ]
    assert tickets[2][heading.index("ASSIGNED") :].startswith(str(MODERATOR))
    assert ids(here("guilds", "tickets", "--cursor", here.said.split()[-1])) == "1"
    assert here.said == ""
    assert len(rows(here("guilds", "tickets", "--all"))) == 4
    shown = objects(here("guilds", "tickets", str(GUILD), "--json"))
    assert [(one["id"], one["guild_id"], one["priority"]) for one in shown] == [
        (3, str(GUILD), 3),
        (2, str(GUILD), 2),
        (1, str(GUILD), 1),
    ]
    assert shown[0]["created_at"] == "2026-11-21T10:18:22Z"


def test_a_ticket_is_shown_with_what_was_written(here: Here, filled: Ledger) -> None:
    filled.guilds.update_ticket(1, description="昨日から\x1b[31m\nずっとです")
    shown = here("guilds", "ticket", "1")
    assert "title        ログインできません\n" in shown
    assert "opened       2026-11-21 17:18:22\n" in shown
    assert "\n昨日から\\x1b[31m\nずっとです\n" in shown
    assert shown.splitlines()[-2].split() == ["2026-11-21", "17:18:22", str(USER), "画面が", "真っ白です"]
    assert shown.splitlines()[-1].split() == ["2026-11-22", "17:18:22", "(system)", "assigned"]
    whole = json.loads(here("guilds", "ticket", "1", "--json"))
    assert (whole["user_id"], len(whole["messages"])) == (str(USER), 2)
    assert whole["messages"][0]["content"] == "画面が\n真っ白です"
    here("guilds", "ticket", "99", code=1)
    assert one_line(here.said) == "no such ticket: 99"


def test_a_thread_of_any_length_is_shown(here: Here, ledger: Ledger) -> None:
    ticket = ledger.guilds.create_ticket(GUILD, 0, USER, "long").id
    with ledger.begin() as tx:
        for number in range(1, 1_302):
            tx.guilds.add_ticket_message(ticket, USER, number, f"line {number}", timestamp=BEGUN)
    shown = [line for line in here("guilds", "ticket", str(ticket)).splitlines() if "line" in line]
    assert [line.split()[-1] for line in shown] == [str(number) for number in range(1, 1_302)]
    assert len(json.loads(here("guilds", "ticket", str(ticket), "--json"))["messages"]) == 1_301


def test_tickets_are_counted(here: Here, filled: Ledger) -> None:
    lines = [line.split() for line in here("guilds", "statistics", str(GUILD)).splitlines()]
    assert lines == [
        *[["open", "2"], ["in_progress", "1"], ["closed", "0"], ["archived", "0"], []],
        *[["low", "1"], ["medium", "1"], ["high", "1"], ["urgent", "0"], [], ["total", "3"]],
    ]
    assert json.loads(here("guilds", "statistics", str(GUILD), "--json")) == {
        "status_distribution": {"open": 2, "in_progress": 1},
        "priority_distribution": {"1": 1, "2": 1, "3": 1},
        "total_tickets": 3,
    }


LOGS = [
    ("", "1 0 edit"),
    (f"{GUILD}", "1 0"),
    (f"{GUILD} --type member_ban", "1"),
    ("--type member_ban --type message_edit", "1 edit"),
    (f"--user {USER} --until 2026-11-22", "0"),
    (f"--moderator {MODERATOR}", "1 0"),
    (f"--channel {CHANNEL}", "edit"),
    ("--since 2026-11-22T08:18:22Z", "1"),
    (f"{OTHER} --type member_join", ""),
]


def test_logs_are_filtered(here: Here, filled: Ledger) -> None:
    for options, found in LOGS:
        logs = objects(here("guilds", "logs", *options.split(), "--json"))
        assert [str(log["action"]).removeprefix("log ") for log in logs] == found.split(), options


def test_logs_are_aligned_with_their_details(here: Here, filled: Ledger) -> None:
    heading, *logs = here("guilds", "logs").splitlines()
    assert heading.split() == [
        *["TIME", "GUILD", "TYPE", "USER", "MODERATOR", "CHANNEL", "ACTION", "DETAILS"]
    ]
    assert logs[2][heading.index("CHANNEL") :].split() == [str(CHANNEL), "edit", '{"before":', '"あ"}']
    assert logs[0].split()[:4] == ["2026-11-22", "17:18:22", str(GUILD), "member_ban"]


def test_a_queue_is_shown_with_what_plays(here: Here, filled: Ledger) -> None:
    shown = here("guilds", "queue", str(GUILD))
    assert "playing        First / 花火\n" in shown
    assert "loop mode      queue\n" in shown
    entries = [line.split() for line in shown.splitlines()[-3:]]
    assert [(row[0], row[1], row[3]) for row in entries] == [
        ("1", "第二", "3:32"),
        ("2", "Third", "3:32"),
        ("3", "First", "3:32"),
    ]
    listening, *queued = objects(here("guilds", "queue", str(GUILD), "--json"))
    assert [one["position"] for one in queued] == [1, 2, 3]
    assert (listening["session"]["loop_mode"], listening["playing"]["title"]) == ("queue", "First")  # type: ignore[index]
    assert len(objects(here("guilds", "queue", str(GUILD), "--json", "--limit", "2"))) == 3
    assert here("guilds", "queue", str(OTHER)) == "no music session\n"
    assert objects(here("guilds", "queue", str(OTHER), "--json")) == [{"session": None, "playing": None}]


def test_settings_are_shown_and_set(here: Here, filled: Ledger) -> None:
    assert "prefix                      !\n" in here("guilds", "settings", str(GUILD))
    changed = here(
        *("guilds", "settings", str(GUILD), "--set", "prefix=?", "--set", f"log-channel-id={CHANNEL}"),
    )
    assert "prefix                      ?\n" in changed
    assert f"log_channel_id              {CHANNEL}\n" in changed
    emptied = here("guilds", "settings", str(GUILD), "--set", "log_channel_id=", "--json")
    assert (json.loads(emptied)["log_channel_id"], json.loads(emptied)["prefix"]) == (None, "?")
    here("guilds", "settings", "777", code=1)
    assert one_line(here.said) == "no such guild: 777"
    for prefix, told in (("a=b", "guild 777 was not there; it is registered now\n"), ("c", "")):
        set_ = here("guilds", "settings", "777", "--set", f"prefix={prefix}", "--json")
        assert (json.loads(set_)["prefix"], here.said) == (prefix, told)
    here("guilds", "settings", str(GUILD), "--set", "prefex=?", code=1)
    assert one_line(here.said) == "unknown name 'prefex'; did you mean 'prefix'?"
    here("guilds", "settings", str(GUILD), "--set", "prefix", code=2)
    assert "write NAME=VALUE" in here.said
    here("guilds", "settings", str(GUILD), "--set", "auto_role_id=5.0", code=2)
    assert "'5.0' is no Discord id" in here.said


def test_avatars_are_shown_with_their_statistics(here: Here, filled: Ledger) -> None:
    shown = here("guilds", "avatars", str(USER))
    assert "avatar changes  2\n" in shown
    assert "changes every   1.0 days\n" in shown
    assert shown.splitlines()[-3].split() == [
        *["2026-11-23", "17:18:22", "avatar_change", str(OTHER), "png", "45,231", "#ff0000"],
        "https://example.com/2.png",
    ]
    assert len(here("guilds", "avatars", str(USER), "--type", "banner_change").splitlines()) == 11
    assert here("guilds", "avatars", str(USER), "--guild", str(OTHER)).count("avatar_change") == 1
    whole = json.loads(here("guilds", "avatars", str(USER), "--limit", "2", "--json"))
    assert (whole["statistics"]["user_id"], len(whole["items"])) == (str(USER), 2)
    rest = json.loads(here("guilds", "avatars", str(USER), "--cursor", whole["next"], "--json"))
    assert [one["history_type"] for one in rest["items"]] == ["banner_change"]
    here("guilds", "avatars", "1", code=1)
    assert one_line(here.said) == "no such avatar history of user: 1"


def test_a_ticket_is_taken_up_and_closed(here: Here, filled: Ledger) -> None:
    taken = here("guilds", "assign", "1", str(MODERATOR))
    assert taken == f"1  open  low  {MODERATOR}  ログインできません\n"
    assert here("guilds", "assign", "1", "--nobody").split()[3] == "nobody"
    assert here("guilds", "priority", "1", "URGENT").split()[2] == "urgent"
    assert json.loads(here("guilds", "priority", "1", "3", "--json"))["priority"] == 3
    assert here("guilds", "status", "1", "in_progress").split()[1] == "in_progress"
    assert here("guilds", "close", "1").split()[1] == "closed"
    closed = filled.guilds.get_ticket(1)
    assert closed is not None
    assert (closed.priority, closed.status) == (TicketPriority.HIGH, TicketStatus.CLOSED)
    assert here("guilds", "close", "1").split()[1] == "closed"
    assert filled.guilds.get_ticket(1).closed_at == closed.closed_at  # type: ignore[union-attr]


def test_a_user_may_be_a_mention(here: Here, filled: Ledger) -> None:
    for given in (f"<@{USER}>", f"<@!{USER}>", str(USER)):
        here("guilds", "assign", "1", "--nobody")
        assert here("guilds", "assign", "1", given).split()[3] == str(USER)
    for given in ("<@12", "@12", f"<@{2**63}>"):
        here("guilds", "assign", "1", given, code=2)
        assert "is no Discord id" in " ".join(here.said.split())


def test_an_unknown_guild_is_said_in_a_line(here: Here, filled: Ledger) -> None:
    for command in ("tickets", "logs", "queue", "statistics", "settings"):
        for options in ([], ["--json"]):
            assert here("guilds", command, "12345", *options, code=1) == ""
            assert one_line(here.said) == "no such guild: 12345"


def test_an_unknown_ticket_is_said_in_a_line(here: Here, filled: Ledger) -> None:
    for command in ("close 99", "assign 99 1", "priority 99 low", "status 99 open", "ticket 99"):
        here("guilds", *command.split(), code=1)
        assert one_line(here.said) == "no such ticket: 99"


MISUSED = [
    ("tickets 1.5", "is no Discord id"),
    (f"tickets {2**63}", "is no Discord id"),
    ("tickets --status done", "done"),
    ("tickets --priority highest", "is no priority"),
    ("tickets --since yesterday", "is not a time"),
    ("logs --type x", "member_timeout"),
    ("priority 1 5", "is no priority"),
    ("assign 1", "give a user, or --nobody"),
    ("assign 1 5 --nobody", "give a user, or --nobody"),
    ("close x", "ID"),
    ("ticket 0", "ID"),
    ("queue 1 --limit 1001", "1000"),
]


def test_what_cannot_be_understood_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    here = Here("sqlite://", capsys)
    for command, told in MISUSED:
        here("guilds", *command.split(), code=2)
        assert told in " ".join(here.said.split())


def test_old_logs_are_deleted_if_one_says_yes(here: Here, filled: Ledger) -> None:
    now = datetime.now(UTC)
    for days in (1, 40, 50):
        filled.guilds.create_log(GUILD, "system_event", "new", timestamp=now - timedelta(days=days))
    filled.guilds.create_log(OTHER, "system_event", "old", timestamp=now - timedelta(days=60))
    before = len(filled.guilds.list_logs())
    here("guilds", "cleanup", code=1)  # nobody answers
    assert len(filled.guilds.list_logs()) == before
    assert here("guilds", "cleanup", "--guild", str(GUILD), "--days", "45", "--yes") == "deleted 1 log\n"
    assert here("guilds", "cleanup", "--yes") == "deleted 2 logs\n"
    assert len(filled.guilds.list_logs()) == before - 3
    assert here("guilds", "cleanup", "--yes") == "deleted 0 logs\n"


def test_a_text_cannot_command_the_terminal(here: Here, filled: Ledger) -> None:
    hostile = "\x1b]0;owned\x07 red\x1b[31m\nnext\r\nline\x9b1m"
    filled.guilds.update_ticket(1, title=hostile, description=hostile)
    filled.guilds.add_ticket_message(1, USER, 7, hostile)
    filled.guilds.create_log(GUILD, "system_event", hostile, details=hostile)
    track = filled.guilds.create_track(GUILD, hostile, hostile, hostile, 1, USER)
    filled.guilds.update_session_current_track(GUILD, track.id)
    filled.guilds.create_or_update_guild_settings(GUILD, prefix=hostile, features_enabled=hostile)
    filled.guilds.record_avatar_change(USER, "banner_change", new_avatar_url=hostile, image_format=hostile)
    for command in (
        *["list", "tickets", "ticket 1", "logs", f"queue {GUILD}", f"settings {GUILD}", f"avatars {USER}"],
        *["close 1", "priority 1 low"],
    ):
        assert not set(here("guilds", *command.split())) & {"\x1b", "\x07", "\r", "\x9b"}, command


def test_the_tables_are_japanese_for_who_reads_that(
    here: Here, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAICHO_LANG", "ja")
    assert here("guilds", "list").split()[:3] == ["サーバー", "未対応", "対応中"]
    assert "件名" in here("guilds", "ticket", "1")
    here("guilds", "close", "99", code=1)
    assert one_line(here.said) == "チケットが見つかりません: 99"
