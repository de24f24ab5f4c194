"""``daicho chats``: what is shown, followed, added and removed from the terminal, wherever it is kept."""

import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daicho import Ledger, Settings
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings, written

pytestmark = pytest.mark.in_turns

BEGUN = datetime(2026, 11, 21, 8, 18, 22, 123456, tzinfo=UTC)
SUPPORT, WIDGET = "discord:1:サポート", "widget/7"


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def here(place_url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(place_url, capsys)


@pytest.fixture
def once(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    """The terminal, where the place makes no difference."""
    return Here(sqlite_url, capsys)


@pytest.fixture
def place(place_url: str) -> Iterator[Ledger]:
    """A ledger whose chat logs are kept in each of the places."""
    with Ledger(place_url) as ledger:
        yield ledger


@pytest.fixture
def filled(place: Ledger) -> Ledger:
    """Two sessions: one of two days and several people, one of five messages that is an hour newer."""
    fill(place)
    return place


def fill(place: Ledger) -> None:
    said = [
        ("user", "予約をお願いします", "hanako", None),
        ("assistant", "いつがよろしいですか?\n- 今日\n- 明日", "bot", {"model": "m", "tokens": 12}),
        ("system", "moved to another channel", None, None),
        ("user", "明日で", "hanako", None),
    ]
    for number, (role, content, author, details) in enumerate(said):
        place.chats.append(
            SUPPORT,
            role,
            content,
            author=author,
            details=details,
            message_id=f"m-{number}",
            timestamp=BEGUN + timedelta(days=number // 3, seconds=number),
        )
    place.chats.append_many(
        {
            "session_id": WIDGET,
            "role": "user",
            "content": f"line {n}",
            "message_id": f"w-{n}",
            "timestamp": BEGUN + timedelta(days=1, hours=1, seconds=n),
        }
        for n in range(5)
    )


def objects(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def contents(out: str) -> list[object]:
    return [one["content"] for one in objects(out)]


# -- sessions ------------------------------------------------------------------------------------------


def test_sessions_are_listed_newest_first(here: Here, filled: Ledger) -> None:
    heading, *rows = here("chats", "sessions").splitlines()
    assert heading.split() == ["SESSION", "MESSAGES", "FIRST", "LAST"]
    counted = ("5", "4") if filled.chats.tells else ("–", "–")
    assert [row.split() for row in rows] == [
        [WIDGET, counted[0], "2026-11-22", "09:18:22", "2026-11-22", "09:18:26"],
        [SUPPORT, counted[1], "2026-11-21", "08:18:22", "2026-11-22", "08:18:25"],
    ]
    assert objects(here("chats", "sessions", "--json"))[1] == {
        "session_id": SUPPORT,
        "first_at": "2026-11-21T08:18:22.123456Z",
        "last_at": "2026-11-22T08:18:25.123456Z",
        "messages": 4 if filled.chats.tells else None,
    }


def test_sessions_are_filtered_and_go_on_where_they_ended(here: Here, filled: Ledger) -> None:
    def names(*options: str) -> list[object]:
        return [one["session_id"] for one in objects(here("chats", "sessions", "--json", *options))]

    assert names("--prefix", "discord:") == [SUPPORT]
    assert names("--prefix", "%") == []
    assert names("--since", "2026-11-22T09:00") == [WIDGET]
    assert names("--limit", "1") == [WIDGET]
    assert names("--cursor", here.said.split()[-1], "--all") == [SUPPORT]
    assert here.said == ""
    assert names("--since", "2026-11-23") == []
    assert here.said == "no sessions found\n"
    here("chats", "sessions", "--cursor", "nonsense", code=1)
    assert "not a cursor" in one_line(here.said)


# -- a conversation ------------------------------------------------------------------------------------


def test_a_conversation_is_shown_as_people_read_it(here: Here, filled: Ledger) -> None:
    assert here("chats", "show", SUPPORT).splitlines() == [
        f"session   {SUPPORT}",
        "messages  4",
        "first     2026-11-21 08:18:22",
        "last      2026-11-22 08:18:25",
        "",
        "2026-11-21",
        "08:18:22  user       hanako        予約をお願いします",
        "08:18:23  assistant  bot           いつがよろしいですか?",
        "                                   - 今日",
        "                                   - 明日",
        '                                   details: {"model": "m", "tokens": 12}',
        "08:18:24  system                   moved to another channel",
        "2026-11-22",
        "08:18:25  user       hanako        明日で",
    ]
    assert here.said == ""


def test_a_conversation_is_shown_in_part(here: Here, filled: Ledger) -> None:
    def shown(*options: str) -> list[object]:
        return contents(here("chats", "show", WIDGET, "--json", *options))

    assert shown("--last", "2") == ["line 3", "line 4"]
    assert here.said == "there are earlier ones: --all, or --last N\n"
    middle = ("--after", "2026-11-22T09:18:22.123456Z", "--before", "2026-11-22T09:18:26.123456Z")
    assert shown(*middle) == ["line 1", "line 2", "line 3"]
    assert shown(*middle, "--last", "1") == ["line 3"]
    assert shown("--after", "2026-11-23") == []
    assert here.said == "no messages found\n"
    assert shown("--all") == shown("--last", "5") == [f"line {n}" for n in range(5)]
    assert here.said == ""


def test_details_are_cut_to_the_terminal_unless_asked_for(
    once: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    once("chats", "append", "s", "user", "x", "--details", json.dumps("詳細" * 20))
    assert once("chats", "show", "s").splitlines()[-1] == " " * 35 + "details: " + "詳細" * 5 + "…"
    assert once("chats", "show", "s", "--details").splitlines()[-1].endswith("details: " + "詳細" * 20)
    once("chats", "append", "t", "user", "x")
    assert "details" not in once("chats", "show", "t", "--details")


def test_the_last_200_are_shown_and_all_if_asked(here: Here, place: Ledger) -> None:
    many = 1205 if place.chats.tells else 205
    place.chats.append_many(
        {"session_id": "long", "role": "user", "content": str(n), "timestamp": BEGUN + timedelta(seconds=n)}
        for n in range(many)
    )
    said = [str(n) for n in range(many)]
    assert contents(here("chats", "show", "long", "--json")) == said[-200:]
    assert contents(here("chats", "show", "long", "--json", "--all")) == said
    assert contents(here("chats", "show", "long", "--json", "--last", str(many - 1))) == said[1:]
    assert here("chats", "show", "long").count("user") == 200


def test_a_message_in_json_is_whole(here: Here, filled: Ledger) -> None:
    assert objects(here("chats", "show", SUPPORT, "--json"))[1] == {
        "session_id": SUPPORT,
        "timestamp": "2026-11-21T08:18:23.123456Z",
        "role": "assistant",
        "content": "いつがよろしいですか?\n- 今日\n- 明日",
        "author": "bot",
        "message_id": "m-1",
        "details": {"tokens": 12, "model": "m"},
    }


def test_an_unknown_session_is_said_in_a_line(here: Here, place: Ledger) -> None:
    for command in (
        *(["show", "gone"], ["show", "gone", "--json"], ["show", "gone", "--all", "--json"]),
        *(["delete", "gone", "--yes"], ["export", "gone"]),
    ):
        here("chats", *command, code=1)
        assert one_line(here.said) == "no such chat session: gone", command


def test_a_text_cannot_command_the_terminal(once: Here) -> None:
    hostile = "\x1b]0;owned\x07 red\x1b[31m\nnext\r\nline\x9b1m"
    name = "red\x9b31m"
    with Ledger(once.url) as ledger:
        ledger.chats.append(name, "user", hostile, author=hostile, message_id=hostile, details=hostile)
        ledger.chats.append("b", hostile[:32], hostile, author=hostile)
    again = ["append", name, "user", "x", "--id", hostile]
    for command in (["sessions"], ["show", name], ["show", "b", "--details"], again):
        written = once("chats", *command) + once.said
        assert not set(written) & {"\x1b", "\x07", "\r", "\x9b"}, command
    once("chats", "delete", name, code=1)  # nobody answers
    assert "\x9b" not in once.said


def test_on_a_terminal_it_is_drawn_to_fit(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        fill(ledger)
        ledger.chats.append(SUPPORT, "user", "[bold]not markup[/bold] " + "長い文" * 60)
    screen, keyboard = pty.openpty()
    environment = surroundings(sqlite_url, COLUMNS="90", TERM="xterm")
    process = subprocess.Popen([*COMMAND, "chats", "show", SUPPORT], env=environment, stdout=keyboard)
    os.close(keyboard)
    drawn = b""
    while True:
        try:
            drawn += os.read(screen, 65536)
        except OSError:  # the other end is closed
            break
    os.close(screen)
    assert process.wait() == 0
    assert b"\x1b[1m[bold]not markup[/bold]" in drawn
    assert "長い文" * 60 not in drawn.decode()


# -- what is added -------------------------------------------------------------------------------------


def test_a_script_records_a_conversation(here: Here, place: Ledger) -> None:
    assert here("chats", "append", "s", "user", "こんにちは", "--author", "hanako") == ""
    for text in ("はい", "もう一度"):
        stored = here(
            *("chats", "append", "s", "assistant", text, "--id", "m-1", "--details", '{"a": [1, 2.5]}'),
            *("--at", "2026-11-21T17:18:22+09:00", "--json"),
        )
        assert objects(stored) == [
            {
                "session_id": "s",
                "timestamp": "2026-11-21T08:18:22Z",
                "role": "assistant",
                "content": "はい",
                "author": None,
                "message_id": "m-1",
                "details": {"a": [1, 2.5]},
            }
        ]
    first, second = place.chats.history("s").items
    assert (first.message_id, second.content, second.author) == ("m-1", "こんにちは", "hanako")


def test_a_message_that_was_there_is_said_to_stay_as_it_is(here: Here, place: Ledger) -> None:
    said = ("chats", "append", "s", "user", "こんにちは", "--id", "m-1", "--at", "2026-11-21T08:18:22Z")
    kept = "m-1 was there already and stays as it is: 2026-11-21 08:18:22 user: こんにちは\n"
    assert (here(*said), here.said) == ("", "")
    assert (here(*said), here.said) == ("", kept)
    assert here("chats", "append", "s", "tool", "other", "--id", "m-1", "--json").startswith('{"session_id"')
    assert here.said == kept
    assert [one.content for one in place.chats.history("s")] == ["こんにちは"]


def test_what_was_said_may_come_from_standard_input(sqlite_url: str) -> None:
    done = daicho("chats", "append", "s", "tool", "-", url=sqlite_url, stdin="0\nあ\n".encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Ledger(sqlite_url) as ledger:
        assert [one.content for one in ledger.chats.history("s")] == ["0\nあ"]
    bad = daicho("chats", "append", "s", "tool", url=sqlite_url, stdin=b"\x82\xb1")
    assert (bad.returncode, one_line(bad.stderr)) == (1, "standard input is not UTF-8 text")
    empty = daicho("chats", "append", "s", "tool", url=sqlite_url)
    assert (empty.returncode, one_line(empty.stderr)) == (1, "standard input is empty; nothing to append")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["append", "", "user", "x"], "session_id is empty"),
        (["append", "s" * 251, "user", "x"], "session_id is 251 characters long; at most 250 fit"),
        (["append", "a\tb", "user", "x"], "session_id has a control character at character 2; remove it"),
        (
            ["append", "s", "user", "x", "--at", "1969-12-31"],
            "timestamp 1969-12-31T00:00:00+00:00 is outside",
        ),
        (["append", "s", "user", " ", "--id", "i" * 65], "message_id is 65 characters long"),
        (["append", "s", " ", "x"], "role is empty"),
        (["append", "s", "r" * 33, "x"], "role is 33 characters long; at most 32 fit"),
        (["append", "s", "user", "x", "--id", ""], "message_id is empty; leave it out"),
        (["append", "s", "user", "x", "--details", '"\\u0000"'], "details has a NUL byte at character 1"),
        (["show", " "], "session_id is empty"),
        (["sessions", "--prefix", "p" * 251], "prefix is 251 characters long; at most 250 fit"),
        (["export", "a", ""], "session_id is empty"),
        (["copy", "--from", "sql", "--to", "dynamodb", "--session", ""], "session_id is empty"),
        (["expire"], "how old messages may become is not set: give --days, or set CHATLOG_DAYS"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_a_line(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    here = Here(sqlite_url, capsys)
    here("chats", *given, code=1)
    assert one_line(here.said).startswith(said)


MISUSED = {
    "append": "Missing argument",
    "append s": "Missing argument",
    "append s user x --details {": "not JSON",
    "append s user x --at yesterday": "is not a time",
    "sessions --limit 0": "greater than or equal to 1",
    "sessions --since then": "is not a time",
    "show": "Missing argument",
    "show s --last 0": "greater than or equal to 1",
    "show s --last 5 --all": "give --last or --all, not both",
    "show s --after x": "is not a time",
    "show s --before x": "is not a time",
    "tail s -n -1": "greater than or equal to 0",
    "import": "Missing argument",
    "export s --prefix a": "name sessions or give --prefix, not both",
    "expire --days 0": "greater than or equal to 1",
    "expire --days 36501": "less than or equal to 36500",
    "delete": "Missing argument",
    "copy --from sql": "Missing option",
    "copy --from sql --to sql": "--from and --to are the same place",
    "copy --from sql --to s3": "'s3' is not one of",
    "copy --from sql --to dynamodb --session s --prefix s": "give --session or --prefix, not both",
}


def test_what_cannot_be_understood_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    here = Here("sqlite://", capsys)
    for command, told in MISUSED.items():
        here("chats", *command.split(), code=2)
        assert told in " ".join(here.said.split()), command


# -- what is removed -----------------------------------------------------------------------------------


def test_delete_asks_first_and_says_how_many(filled: Ledger, place_url: str) -> None:
    def delete(*arguments: str, answer: str = "") -> tuple[int, str, str]:
        done = daicho("chats", "delete", *arguments, url=place_url, stdin=answer.encode())
        return done.returncode, done.stdout.strip(), done.stderr

    code, out, said = delete(SUPPORT, answer="n\n")
    assert (code, out) == (1, "")
    assert said.startswith(f"Delete {SUPPORT} and its 4 messages? [y/N]")
    assert filled.chats.session(SUPPORT).messages == 4
    assert delete(SUPPORT, answer="y\n")[:2] == (0, "deleted 4 messages")
    assert delete(WIDGET, "--yes") == (0, "deleted 5 messages", "")
    assert filled.chats.sessions().items == []


def test_old_messages_expire(here: Here, filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    for days in (1, 40, 50):
        filled.chats.append("new", "user", str(days), timestamp=now - timedelta(days=days))
    filled.chats.delete_session(SUPPORT)
    filled.chats.delete_session(WIDGET)
    here("chats", "expire", "--days", "45", code=1)  # nobody answers
    assert len(filled.chats.history("new")) == 3
    assert here("chats", "expire", "--days", "45", "--yes") == "deleted 1 message\n"
    monkeypatch.setenv("CHATLOG_DAYS", "30")
    assert here("chats", "expire") == "deleted 1 message\n"
    assert here("chats", "expire") == "deleted 0 messages\n"
    assert [one.content for one in filled.chats.history("new")] == ["1"]


# -- files ---------------------------------------------------------------------------------------------


def test_what_is_exported_comes_back_by_import(here: Here, filled: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    assert here("chats", "export", "-o", str(file)) == "exported 9 messages of 2 sessions\n"
    exported = file.read_text(encoding="utf-8")
    assert [one["message_id"] for one in objects(exported)] == [
        *(f"m-{n}" for n in range(4)),
        *(f"w-{n}" for n in range(5)),
    ]
    assert here("chats", "export") == exported
    assert here("chats", "export", SUPPORT) == here("chats", "export", "--prefix", "disc")
    assert here("chats", "show", SUPPORT, "--json") == here("chats", "export", SUPPORT, "-o", "-")
    assert here("chats", "import", str(file)) == "imported 0 messages, 9 already there, 0 bad lines\n"
    for name in (SUPPORT, WIDGET):
        filled.chats.delete_session(name)
    assert here("chats", "import", str(file)) == "imported 9 messages, 0 already there, 0 bad lines\n"
    assert here("chats", "export") == exported
    here("chats", "export", SUPPORT, "gone", "-o", str(tmp_path / "other"), code=1)
    assert not (tmp_path / "other").exists()


def test_bad_lines_are_told_by_number_and_the_others_imported(
    here: Here, place: Ledger, tmp_path: Path
) -> None:
    bad = {
        "nonsense": "Invalid JSON: expected ident at column 2",
        '{"session_id": "s",': "Invalid JSON: EOF while parsing a value at column 19",
        "[]": "should be a JSON object",
        '{"session_id": "s", "role": "user"}': "content: Field required",
        '{"role": "user", "content": "x"}': "session_id: Field required",
        '{"session_id": "s", "role": "user", "content": "x", "at": 1}': "at: Extra inputs are not permitted",
        '{"session_id": "s", "role": "user", "content": 5}': "content: ",
        '{"session_id": " ", "role": "user", "content": "x"}': "session_id is empty",
        '{"session_id": "s", "role": "user", "content": "\\u0000"}': "content has a NUL byte",
        '{"session_id": "s", "role": "user", "content": "x", "timestamp": "2026-11-21T08:00:00"}': "timezone",
        '{"session_id": "s", "role": "user", "content": "x", "timestamp": 1763700000}': "timestamp: ",
        '{"session_id": "s", "role": "user", "content": "x", "timestamp": "1763700000"}': "timestamp: should be",
        '{"session_id": "s", "role": "user", "content": "x", "details": {"a": NaN}}': "details",
    }
    good = [json.dumps({"session_id": "s", "role": "user", "content": str(n)}) for n in range(2)]
    file = written(tmp_path / "f", b"\xef\xbb\xbf" + good[0].encode(), "", *bad, b"\x82\xb1", good[1])
    said = here("chats", "import", file, "--errors", str(tmp_path / "errors"), code=1)
    assert said == "imported 2 messages, 0 already there, 14 bad lines\n"
    lines = here.said.splitlines()
    for number, (line, reason) in enumerate(zip(lines, [*bad.values(), "not UTF-8 text"], strict=True), 3):
        assert line.startswith(f"line {number}: ")
        assert reason in line
    assert (tmp_path / "errors").read_text() == here.said
    assert [one.content for one in place.chats.history("s")] == ["0", "1"]
    here("chats", "import", written(tmp_path / "g", good[0].encode("utf-16")), code=1)
    assert "UTF-16" in one_line(here.said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAICHO_LANG", "ja")
        here("chats", "import", file, code=1)
    told = here.said.splitlines()
    assert told[1].endswith("行目: 19 バイト目から先を JSON として読めません: EOF while parsing a value")
    assert [line.partition("行目: ")[2] for line in told[2:5]] == [
        "JSON のオブジェクトにしてください",
        "content: 必須です",
        "session_id: 必須です",
    ]
    here("chats", "import", str(tmp_path / "nowhere"), code=1)
    assert one_line(here.said).endswith("nowhere: No such file or directory")


def test_an_import_reads_standard_input_and_goes_on_where_it_was_stopped(place_url: str) -> None:
    lines = [
        json.dumps({"session_id": f"s-{n % 7}", "role": "user", "content": str(n), "message_id": str(n)})
        for n in range(70)
    ]
    for count, said in ((50, (50, 0)), (70, (20, 50)), (70, (0, 70))):
        given = "\n".join(lines[:count]).encode()
        done = daicho("chats", "import", "-", url=place_url, stdin=given)
        assert done.stdout == "imported {:,} messages, {:,} already there, 0 bad lines\n".format(*said)
    with Ledger(place_url) as ledger:
        assert [one.content for one in ledger.chats.history("s-6", limit=3)] == ["6", "13", "20"]
        assert ledger.chats.session("s-0").messages == 10


def test_a_place_that_is_away_is_said_once_and_no_line_is_bad(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATLOG_BACKEND", " DynamoDB")
    here = Here(sqlite_url, capsys)
    file = written(tmp_path / "f", *['{"session_id": "s", "role": "user", "content": "x"}'] * 3)
    here("chats", "import", file, code=1)
    assert "AWS_REGION" in one_line(here.said)


# -- where they are kept -------------------------------------------------------------------------------


def test_init_says_where_they_are(
    unmade_table: Settings,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Here(sqlite_url, capsys)
    name = unmade_table.chats.dynamodb.table
    here("chats", "sessions", code=1)
    assert "daicho chats init" in one_line(here.said)
    place, *done = here("chats", "init").splitlines()
    assert place.startswith(f"chat logs are kept as {name} in DynamoDB")
    assert done == [
        f"created: {name}, {name}-index",
        "messages are kept until they are deleted (CHATLOG_DAYS for how many days)",
    ]
    assert here("chats", "init").splitlines()[1] == "all of it was there already"
    monkeypatch.setenv("CHATLOG_DAYS", "30")
    here("chats", "init")  # this server knows no TTL
    assert here.said.endswith("after 30 days here; run now and then: daicho chats expire\n")
    assert here("chats", "sessions") == ""


def test_init_has_nothing_to_do_in_the_database(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = Here(url, capsys)
    said = here("chats", "init")
    assert said.startswith("chat logs are kept as chat_logs in ")
    assert said.endswith("; there is nothing to do\n")


def test_the_commands_are_japanese_for_who_reads_that(once: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(once.url) as ledger:
        fill(ledger)
    monkeypatch.setenv("DAICHO_LANG", "ja")
    assert once("chats", "sessions").split()[:4] == ["セッション", "メッセージ", "最初", "最後"]
    assert once("chats", "delete", WIDGET, "--yes") == "5 件のメッセージを削除しました\n"
    once("chats", "show", "gone", code=1)
    assert one_line(once.said) == "チャットセッションが見つかりません: gone"
