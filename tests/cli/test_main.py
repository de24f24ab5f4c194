"""What the command line does when things go wrong: one line, an exit code, never a traceback."""

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
import typer

from daicho import Ledger, cli
from tests.cli.terminal import COMMAND, Here, daicho, one_line, started, surroundings, written
from tests.databases import on_sqlite
from tests.postgres import free_port

pytestmark = pytest.mark.in_turns


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://user:secret@host/name", "unknown scheme 'mysql'"),
        ("no url", "is not a URL"),
        ("sqlite:////nowhere/at/all/daicho.db", "the folder /nowhere/at/all does not exist"),
        ("sqlite:///folder", "cannot be written"),
    ],
)
def test_a_database_that_cannot_be_is_one_line(url: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = daicho("calls", "list", url=url)
    assert done.returncode == 1
    assert said in one_line(done.stderr)
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_an_unreachable_postgresql_is_one_line_without_its_password() -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/name"
    for command in (["calls", "list"], ["calls", "tail", "call-1"], ["db", "current"]):
        done = daicho(*command, url=url)
        assert done.returncode == 1
        assert "check that the database runs" in one_line(done.stderr)
        assert "secret" not in done.stderr


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear reader, this is not a database. " * 100)
    done = daicho("calls", "list", url="sqlite:///letter.db")
    assert "is it an SQLite database?" in one_line(done.stderr)


def test_a_database_of_a_newer_daicho_is_one_line(tmp_path: Path) -> None:
    daicho("calls", "list", url="sqlite:///newer.db")
    with sqlite3.connect(tmp_path / "newer.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '20991231_01'")
    connection.close()
    done = daicho("calls", "list", url="sqlite:///newer.db")
    assert "newer than this Daicho" in one_line(done.stderr)


def test_pending_migrations_are_one_line_with_the_way_out(url: str) -> None:
    daicho("calls", "list", url=url)
    assert daicho("db", "downgrade", "-1", url=url).returncode == 0
    done = daicho("calls", "start", "call-1", "c", url=url)
    assert one_line(done.stderr).endswith("run: daicho db upgrade")
    assert daicho("db", "upgrade", url=url).returncode == 0
    assert daicho("calls", "start", "call-1", "c", url=url).returncode == 0


@pytest.mark.parametrize("content", ["database: [", "database:\n  pool:\n    size: many\n", "- a list\n"])
def test_a_malformed_config_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    done = daicho("calls", "list")
    assert done.returncode == 1
    one_line(done.stderr)


@pytest.mark.parametrize("call_id", ["x" * 65, os.fsdecode(b"half \xff")])
@pytest.mark.parametrize(
    "command", [["show"], ["tail"], ["delete", "--yes"], ["start", "--state", "s"], ["complete"]]
)
def test_a_name_that_no_call_can_have_is_one_line(here: Here, command: list[str], call_id: str) -> None:
    here("calls", *command, call_id, *(["c"] if command[0] == "start" else []), code=1)
    assert one_line(here.said).startswith("call_id ")


@on_sqlite
def test_texts_that_cannot_be_stored_are_one_line(url: str) -> None:
    daicho("calls", "start", "call-1", "c", url=url)
    for text, reason in (
        (b"a\0b", "NUL"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (2**24 + 1), "16,777,216 fit"),
    ):
        done = daicho("calls", "append", "call-1", "user", "-", url=url, stdin=text)
        assert done.returncode == 1
        assert reason in one_line(done.stderr)
    assert "call-1" in daicho("calls", "show", "call-1", url=url).stdout


def test_ten_megabytes_of_text_come_back_as_they_went_in(url: str) -> None:
    text = "あいう\n" * (10 * 2**20 // 10)
    daicho("calls", "start", "call-1", "c", url=url)
    assert (
        daicho("calls", "append", "call-1", "user", "-", url=url, stdin=(text + "\n").encode()).returncode
        == 0
    )
    with Ledger(url) as ledger:
        assert ledger.calls.transcript("call-1").items[0].text == text


@on_sqlite
def test_missing_things_are_one_line(here: Here, tmp_path: Path) -> None:
    for command in (["show"], ["tail"], ["delete", "--yes"], ["complete"]):
        here("calls", *command, "nobody", code=1)
        assert one_line(here.said) == "no such call: nobody"
    here("calls", "import", "missing.jsonl", code=1)
    assert one_line(here.said) == "missing.jsonl: No such file or directory"
    here("calls", "import", str(tmp_path), code=1)
    assert one_line(here.said) == f"{tmp_path}: Is a directory"
    here("calls", "export", "--output", "no/such/folder.csv", code=1)
    assert one_line(here.said).endswith("No such file or directory")


@on_sqlite
@pytest.mark.parametrize(
    "wrong",
    [
        ["calls", "nonsense"],
        ["calls", "list", "--limit", "0"],
        ["calls", "list", "--since", "yesterday"],
        ["calls", "list", "--since", "9999999w"],
        ["calls", "show"],
        ["db", "downgrade"],
        ["serve", "--port", "70000"],
    ],
)
def test_a_command_that_cannot_be_understood_exits_with_2(here: Here, wrong: list[str]) -> None:
    assert here(*wrong, code=2) == ""
    assert "Error: " in here.said


def test_the_unexpected_is_one_line_and_a_traceback_only_when_asked(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> typer.Typer:
        raise ZeroDivisionError("the\nunexpected")

    monkeypatch.setattr(cli, "command", broken)
    here("calls", "list", code=1)
    assert one_line(here.said).startswith("ZeroDivisionError: the unexpected (run again with --verbose")
    here("--verbose", "calls", "list", code=1)
    assert "Traceback" in here.said


@on_sqlite
def test_a_reader_that_has_enough_ends_it_quietly(url: str, tmp_path: Path) -> None:
    lines = [
        f'{{"call_id": "call-{n}", "logs": [{{"role": "user", "text": "{"x" * 500}"}}]}}' for n in range(1000)
    ]
    daicho("calls", "import", written(tmp_path / "calls.jsonl", *lines), url=url)
    for command in ("export", "list --all"):
        process = subprocess.Popen(
            [*COMMAND, "calls", *command.split()],
            env=surroundings(url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait()


@on_sqlite
def test_ctrl_c_ends_it_quietly(url: str) -> None:
    daicho("calls", "append", "call-1", "user", "here", "--client", "c", url=url)
    process = subprocess.Popen(
        [*COMMAND, "calls", "tail", "call-1"],
        env=surroundings(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"here" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 130


@on_sqlite
def test_it_speaks_utf8_whatever_the_locale(url: str) -> None:
    daicho("calls", "append", "call-1", "user", "こんにちは 🙂", "--client", "c", url=url)
    done = started("calls", "show", "call-1", url=url, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "こんにちは 🙂" in done.stdout


def test_sql_is_shown_beside_the_answer(sqlite_url: str) -> None:
    daicho("calls", "start", "call-1", "c", url=sqlite_url)
    done = daicho("calls", "list", "--json", url=sqlite_url, DB_ECHO="true")
    assert done.stdout.startswith('{"call_id":"call-1"')
    assert "SELECT calls.id" in done.stderr


def test_it_speaks_japanese() -> None:
    assert "通話とその会話" in started("--help", DAICHO_LANG="ja").stdout
    done = daicho("calls", "show", "call-1", url="sqlite:///new.db", DAICHO_LANG="ja")
    assert one_line(done.stderr) == "通話が見つかりません: call-1"


def test_the_version() -> None:
    from daicho import __version__

    for command in ("version", "--version"):
        assert started(command).stdout == f"daicho {__version__}\n"


def test_the_option_goes_before_the_environment(sqlite_url: str) -> None:
    done = started("--database", sqlite_url, "calls", "list", url="mysql://nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_starting_loads_nothing_heavy() -> None:
    code = "import sys, daicho.cli; daicho.cli.run(['--version']); print(*sys.modules)"
    done = subprocess.run([COMMAND[0], "-c", code], capture_output=True, text=True, check=True)
    heavy = {"fastapi", "nicegui", "uvicorn", "alembic", "rich.progress", "rich.console", "boto3", "obstore"}
    assert not heavy & set(done.stdout.split())


def test_a_missing_server_is_one_line(sqlite_url: str) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; import daicho.cli;"
        "sys.exit(daicho.cli.run(['--database', sys.argv[1], 'serve', '--port', '0']))"
    )
    done = subprocess.run([COMMAND[0], "-c", code, sqlite_url], capture_output=True, text=True)
    assert done.returncode == 1
    assert one_line(done.stderr).endswith("pip install 'daicho[server]'")


def test_serving_a_demo_uses_the_database_of_the_option(sqlite_url: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "--database", sqlite_url, "serve", "--port", "0", "--demo"],
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert b"Daicho is running" in process.stdout.readline()
        with Ledger(sqlite_url) as ledger:
            deadline = time.monotonic() + 30
            while not any(call.call_id.startswith("demo-live-") for call in ledger.calls.list(live=True)):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, b"")
