"""An old agent's ``tasks.db``: every row of it arrives, or is reported; nothing is lost on the way."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daicho import Invalid, Ledger, Settings
from daicho.core.options import pages
from daicho.tasks.adoption import OldTasks
from daicho.tasks.adoption_row import KNOWN, SYNONYMS, BadRow, RowReader
from daicho.tasks.adoption_times import read_time
from daicho.tasks.schemas import TaskStatus
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings
from tests.processes import python

pytestmark = pytest.mark.in_turns

TOKYO = ZoneInfo("Asia/Tokyo")
MOMENT = datetime(2025, 11, 21, 8, 18, 22, tzinfo=UTC)
SEED = """CREATE TABLE tasks (
uuid TEXT PRIMARY KEY, task_source TEXT NOT NULL, owner TEXT NOT NULL, repo TEXT NOT NULL,
task_type TEXT NOT NULL, task_id TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL,
started_at TEXT, completed_at TEXT, process_id INTEGER, hostname TEXT, llm_provider TEXT, model TEXT,
context_length INTEGER, llm_call_count INTEGER, tool_call_count INTEGER, total_tokens INTEGER,
compression_count INTEGER, error_message TEXT, user TEXT)"""
LAX = re.sub(r" (TEXT|INTEGER)( NOT NULL| PRIMARY KEY)?", "", SEED)
"""The same without types and rules, so that it takes anything."""
CONFIG = "context_storage:\n  base_dir: contexts\ndatabase:\n  type: sqlite\n  sqlite:\n    path: tasks.db\n"


def uuid(number: int) -> str:
    return f"5f0c5d2e-9a55-4f7e-8d65-{number:012x}"


def row(number: int = 1, **values: object) -> dict[str, Any]:
    """A row as an old agent wrote it."""
    return {
        "uuid": uuid(number),
        "task_source": "github",
        "owner": "daicho",
        "repo": "ledger",
        "task_type": "issue",
        "task_id": str(number),
        "status": "completed",
        "created_at": "2025-11-21T08:18:22Z",
        **values,
    }


def old(path: Path, *rows: dict[str, Any], table: str = SEED, journal: str = "delete") -> str:
    """Make an old agent's database; return its name."""
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        if table:
            connection.execute(table)
        write(connection, *rows)
    return str(path)


def write(connection: sqlite3.Connection, *rows: dict[str, Any]) -> None:
    for values in rows:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO tasks ({names}) VALUES ({marks})", list(values.values()))


def content(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM tasks ORDER BY uuid").fetchall()


# -- single values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "2025-11-21T08:18:22Z",
        "2025-11-21 08:18:22 UTC",
        "2025-11-21T17:18:22+09:00",
        "2025-11-21T17:18:22+0900",
        "2025-11-21 05:18:22.000000000 -03",
        "2025-11-21t08:18:22z",
        " 2025-11-21  08:18:22Z\n",
        "20251121T081822Z",
        "Fri, 21 Nov 2025 17:18:22 +0900",
        "21 Nov 2025 08:18:22 GMT",
        "Fri, 21 Nov 2025 08:18:22 -0000",
        "2025年11月21日 17時18分22秒 +09:00",
        1763713102,
        1763713102.0,
        1763713102000,
        "1763713102",
        "1763713102000",
    ],
)
def test_a_time_with_a_zone_is_that_instant(written: str | float) -> None:
    assert read_time(written, TOKYO) == (MOMENT, True)


@pytest.mark.parametrize(
    ("written", "second"),
    [
        ("2025-11-21T17:18:22", 22),
        ("2025-11-21 17:18:22.000000", 22),
        ("2025/11/21 17:18", 0),
        ("2025/11/21 17:18:22", 22),
        ("2025年11月21日 17時18分", 0),
        ("2025年11月21日17:18:22", 22),
        ("２０２５年１１月２１日　１７時１８分", 0),
        ("Fri, 21 Nov 2025 17:18:22", 22),
    ],
)
def test_a_time_without_a_zone_is_read_in_the_one_given(written: str, second: int) -> None:
    assert read_time(written, TOKYO) == (MOMENT.replace(second=second), False)


def test_a_date_is_its_first_moment_and_fractions_have_any_length() -> None:
    assert read_time("2025-11-21", TOKYO)[0] == datetime(2025, 11, 21, tzinfo=TOKYO)
    assert read_time(20251121, TOKYO) == read_time("2025年11月21日", TOKYO) == read_time("2025/11/21", TOKYO)
    for fraction, microsecond in (("5", 500_000), ("123456789012", 123_456), ("000001", 1)):
        assert read_time(f"2025-11-21T08:18:22.{fraction}Z", TOKYO)[0].microsecond == microsecond
    assert read_time("1763713102.25", TOKYO)[0] == MOMENT + timedelta(milliseconds=250)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "nonsense",
            "2025-02-30",
            "2025-13-01T00:00:00Z",
            "2025-11-21T25:00:00",
            "2025-11-21T08",
            "08:18:22",
        ),
        *(
            "21/11/2025",
            "11/21/2025 08:18",
            "2025/11-21",
            "Fri, 21 Nov 2025 08:18:22 JST",
            "nan",
            "inf",
            "1e9",
        ),
        *(
            "2025-11-21T08:18:22+99:00",
            "0001-01-01T00:00:00+09:00",
            "20251121081822",
            0,
            -5,
            1e300,
            float("inf"),
        ),
    ],
)
def test_what_could_mean_anything_is_no_time(written: str | float) -> None:
    with pytest.raises(Invalid, match="is not a time; write it as 2025-11-21T08:18:22"):
        read_time(written, TOKYO)


@pytest.mark.parametrize(
    ("written", "status"),
    [
        *[(name, status) for name, status in SYNONYMS.items()],
        *[
            ("RUNNING", "running"),
            (" Completed\n", "completed"),
            ("in-progress", "running"),
            ("In Progress", "running"),
        ],
        *[(b"failed", "failed"), ("ＤＯＮＥ", "completed")],
    ],
)
def test_a_status_is_known_by_many_names(written: str, status: str) -> None:
    assert RowReader(TOKYO, {}).read(row(status=written))["status"] == status


def test_a_status_means_what_one_says_it_means() -> None:
    reader = RowReader(TOKYO, {"Weird": TaskStatus.FAILED, "": TaskStatus.STOPPED, "done": TaskStatus.PAUSED})
    found = [
        reader.read(row(at, status=said))["status"] for at, said in enumerate(["weird ", None, "", "Done"])
    ]
    assert found == ["failed", "stopped", "stopped", "paused"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"status": "weird"}, "status: 'weird' is no status; say which it means: --status 'weird=failed'"),
        ({"status": None}, "status: NULL is no status"),
        ({"uuid": None}, "uuid: NULL is not a UUID; give the row one"),
        ({"uuid": "42"}, "uuid: '42' is not a UUID"),
        ({"owner": None}, "owner: NULL; every task needs one"),
        ({"owner": "o" * 256}, "owner is 256 characters long; at most 255 fit"),
        ({"owner": b"\xff"}, "owner: not UTF-8 text (byte 1)"),
        ({"error_message": "a\x00b"}, "error_message has a NUL byte at character 2"),
        ({"total_tokens": -1}, "total_tokens: -1 is out of range"),
        ({"total_tokens": 2**31}, "total_tokens: 2147483648 is out of range"),
        ({"process_id": "12a"}, "process_id: '12a' is not a whole number"),
        ({"context_length": 1.5}, "context_length: 1.5 is not a whole number"),
        ({"completed_at": "soon"}, "completed_at: 'soon' is not a time"),
        ({"created_at": None}, "created_at: empty, and so are started_at and completed_at"),
        ({"created_at": "soon", "started_at": "2025-11-21"}, "created_at: 'soon' is not a time"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_column_and_the_way_out(
    values: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadRow, match="^" + re.escape(reason)) as raised:
        RowReader(TOKYO, {}).read(row(**values))
    assert len(raised.value.reasons) == 1
    assert all(said.ja != said.en for said in raised.value.reasons)


def test_every_reason_of_a_row_is_told_at_once() -> None:
    with pytest.raises(BadRow) as raised:
        RowReader(TOKYO, {}).read(row(uuid="x", status="weird", created_at="soon", model="m" * 101))
    assert [said.en.partition(":")[0].split()[0] for said in raised.value.reasons] == [
        *("uuid", "status", "created_at", "model")
    ]


def test_numbers_are_numbers_however_they_were_written() -> None:
    values = {
        "total_tokens": "12",
        "llm_call_count": 3.0,
        "tool_call_count": " 4 ",
        "compression_count": None,
    }
    read = RowReader(TOKYO, {}).read(row(**values, process_id="", context_length=b"128000.0", task_id=42.0))
    assert [read[name] for name in values] == [12, 3, 4, None]
    assert (read["process_id"], read["context_length"], read["task_id"]) == (None, 128000, "42")


def test_a_task_without_a_creation_began_when_it_started_or_ended() -> None:
    reader = RowReader(TOKYO, {})
    started = reader.read(row(1, created_at="", started_at="2025-11-21T17:18:22", completed_at="2025-11-22"))
    ended = reader.read(row(2, created_at=None, completed_at="2025-11-21T08:18:22Z"))
    assert started["created_at"] == started["started_at"] == ended["created_at"] == MOMENT
    assert (reader.undated, reader.zoneless) == (2, 2)


# -- whole files -----------------------------------------------------------------------------------

ODD = [
    row(1),
    row(2, uuid=uuid(2).upper(), status="Done", created_at="2025/11/21 17:18:22", total_tokens="12"),
    row(3, uuid="{" + uuid(3) + "}", status="in-progress", created_at="2025年11月21日 17時18分"),
    row(4, uuid=uuid(4).replace("-", ""), status=b"failed", error_message="壊れた 🐛".encode(), user="花子"),
    row(5, created_at=None, started_at=1763713102),
    row(1, uuid=uuid(1).upper()),
    row(6, status="weird"),
    row(7, uuid=None, owner=None),
    row(8, total_tokens=-1, created_at="soon"),
    row(9, hostname=b"\xff\xfe"),
    row(10, llm_call_count=3.0, tool_call_count="4", context_length=None, completed_at="1763713102000"),
]


def test_every_row_arrives_or_is_reported(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = old(tmp_path / "old.db", *ODD, table=LAX)
    errors = tmp_path / "errors.txt"
    out = here("tasks", "adopt", source, "--timezone", "Asia/Tokyo", "--errors", str(errors), code=1)
    assert out == "adopted 6 tasks, 0 already there, 5 not adopted\n"
    *refused, zoneless, undated = here.said.splitlines()
    assert errors.read_text().splitlines() == refused
    assert [line.partition(" is ")[0] for line in refused[1:2]] == [f"task {uuid(6)}: status: 'weird'"]
    assert refused[0].startswith(f"task {uuid(1).upper()}: uuid: an earlier row has the same one")
    assert refused[2].startswith("task rowid 8: uuid: ")
    assert "owner: NULL" in refused[2]
    assert "created_at: 'soon'" in refused[3]
    assert "total_tokens: -1" in refused[3]
    assert refused[4].startswith(f"task {uuid(9)}: hostname: not UTF-8 text")
    assert zoneless == "2 times without a zone were read as Asia/Tokyo (--timezone for another)"
    assert undated == "1 without created_at: when it started, or ended, stands for it"

    tasks = {task.uuid: task for task in ledger.tasks.list()}
    assert sorted(tasks) == [uuid(number) for number in (1, 2, 3, 4, 5, 10)]
    assert tasks[uuid(2)].created_at == tasks[uuid(1)].created_at == tasks[uuid(5)].started_at == MOMENT
    assert [tasks[uuid(number)].status for number in (1, 2, 3, 4)] == [
        *("completed", "completed", "running", "failed")
    ]
    assert (tasks[uuid(2)].total_tokens, tasks[uuid(1)].total_tokens) == (12, 0)
    assert (tasks[uuid(4)].error_message, tasks[uuid(4)].user) == ("壊れた 🐛", "花子")
    assert (tasks[uuid(10)].llm_call_count, tasks[uuid(10)].completed_at) == (3, MOMENT)


def test_twice_adds_nothing_and_what_has_changed_here_stays(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    source = old(tmp_path / "old.db", *[row(number, status="running") for number in range(30)])
    assert here("tasks", "adopt", source).startswith("adopted 30 tasks, 0 already there, 0 not")
    for number in range(25):
        ledger.tasks.complete(uuid(number))
    for options in ([], ["--dry-run"]):
        assert "0 tasks, 30 already there, 0 not adopted" in here("tasks", "adopt", source, *options)
        first, *shown, more = here.said.splitlines()
        assert (first, more) == ("25 there already in another status:", "and 5 more")
        assert shown == [f"  {uuid(number)}" for number in range(20)]
    assert len(ledger.tasks.list_by_status("completed")) == 25


def test_a_dry_run_writes_nothing(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = old(tmp_path / "old.db", row(1), row(2), row(3, status="weird"))
    ledger.tasks.create(row(2, created_at=MOMENT))
    out = here("tasks", "adopt", source, "--dry-run", code=1)
    assert out == "would adopt 1 task, 1 already there, 1 not adopted (--dry-run)\n"
    assert [task.uuid for task in ledger.tasks.list()] == [uuid(2)]


def test_a_dry_run_does_not_make_a_ledger(unmade_url: str, tmp_path: Path) -> None:
    done = daicho("tasks", "adopt", old(tmp_path / "old.db", row(1)), "--dry-run", url=unmade_url)
    assert done.stdout == "would adopt 1 task, 0 already there, 0 not adopted (--dry-run)\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.db"]


def test_a_database_of_any_size_goes_in_lots(here: Here, ledger: Ledger, tmp_path: Path) -> None:
    source = old(
        tmp_path / "old.db",
        *[row(number, status="weird" if number % 50 == 7 else "done") for number in range(2345)],
    )
    assert here("tasks", "adopt", source, code=1) == "adopted 2,298 tasks, 0 already there, 47 not adopted\n"
    assert len(here.said.splitlines()) == 21
    assert here.said.splitlines()[-1] == "and 27 more"
    here("tasks", "adopt", source, "--status", "weird=failed")
    assert len(here("tasks", "list", "--all", "--json").splitlines()) == 2345


def test_two_adoptions_at_once_adopt_each_task_once(url: str, ledger: Ledger, tmp_path: Path) -> None:
    source = old(tmp_path / "old.db", *[row(number) for number in range(3000)])
    ledger.tasks.list()
    running = [
        subprocess.Popen(
            [*COMMAND, "tasks", "adopt", source], env=surroundings(url), text=True, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].replace(",", "") for process in running]
    assert [process.returncode for process in running] == [0, 0]
    found = [list(map(int, re.findall(r"\d+", line))) for line in said]
    assert found[0][0] + found[1][0] == 3000
    assert [added + existing for added, existing, _ in found] == [3000, 3000]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_an_agent_that_writes_is_neither_missed_nor_kept_waiting(
    here: Here, ledger: Ledger, tmp_path: Path, journal: str
) -> None:
    source = old(tmp_path / "old.db", row(1), journal=journal)
    with closing(sqlite3.connect(source, timeout=0, isolation_level=None)) as writer:
        write(writer, row(2))
        assert here("tasks", "adopt", source).startswith("adopted 2 tasks")
        writer.execute("BEGIN IMMEDIATE")
        write(writer, row(3))
        assert here("tasks", "adopt", source).startswith("adopted 0 tasks, 2 already")
        writer.execute("COMMIT")  # nobody holds a lock: with no timeout at all it goes through
    assert here("tasks", "adopt", source).startswith("adopted 1 task,")
    assert len(content(Path(source))) == 3


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_a_killed_agent_has_committed_is_adopted_and_no_more(
    here: Here, ledger: Ledger, tmp_path: Path, journal: str
) -> None:
    source = old(tmp_path / "old.db", row(1), journal=journal)
    die = f"""
import os, sqlite3, sys
c = sqlite3.connect({source!r}, isolation_level=None)
c.execute("UPDATE tasks SET owner = 'new'")
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
c.executemany("INSERT INTO tasks VALUES (?{", ?" * 20})", [(str(n), *["x" * 500] * 20) for n in range(200)])
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", die], check=True)
    assert any(
        Path(source + end).stat().st_size for end in ("-wal", "-journal") if Path(source + end).exists()
    )
    assert here("tasks", "adopt", source) == "adopted 1 task, 0 already there, 0 not adopted\n"
    assert ledger.tasks.find(uuid(1)).owner == "new"


def test_missing_columns_are_empty_and_unknown_ones_are_named(
    here: Here, ledger: Ledger, tmp_path: Path
) -> None:
    table = "CREATE TABLE tasks (UUID PRIMARY KEY, task_source, owner, repo, task_type, task_id, status, created_at, branch)"
    for name, end in (("rowid", ""), ("keyed", " WITHOUT ROWID")):
        source = old(tmp_path / f"{name}.db", row(len(name), task_id=name, branch="main"), table=table + end)
        assert here("tasks", "adopt", source).startswith("adopted 1 task") is (name == "rowid")
        assert here.said == "columns not adopted: branch\n"
    task = ledger.tasks.find(uuid(5))
    assert (task.task_id, task.user, task.total_tokens, task.started_at) == ("rowid", None, 0, None)


def test_a_file_that_is_no_old_database_is_one_clear_line(here: Here, tmp_path: Path) -> None:
    def refusal(path: Path, *options: str, code: int = 1) -> str:
        here("tasks", "adopt", str(path), *options, code=code)
        return one_line(here.said)

    empty, text = tmp_path / "empty.db", tmp_path / "text.db"
    empty.touch()
    text.write_text("no database at all")
    assert refusal(tmp_path / "none.db").endswith("none.db: no such file")
    assert "is a folder; name the file in it" in refusal(tmp_path)
    assert refusal(empty).endswith("empty.db: is empty")
    assert refusal(text).endswith("text.db: is not an SQLite database")
    assert "has no table tasks" in refusal(Path(old(tmp_path / "other.db", table="CREATE TABLE x (y)")))
    short = LAX.replace("owner,", "").replace("status,", "")
    assert "no column owner, status; every task needs it" in refusal(
        Path(old(tmp_path / "short.db", table=short))
    )
    torn = Path(old(tmp_path / "torn.db", *[row(number) for number in range(900)]))
    torn.write_bytes(torn.read_bytes()[:8192] + b"\xff" * 4096 * 20)
    assert re.search("is damaged|cannot be read", refusal(torn))
    for option in (["--timezone", "Mars/Base"], ["--timezone", "../etc"], ["--status", "weird"]):
        here("tasks", "adopt", str(torn), *option, code=2)
        assert "Traceback" not in here.said
    assert "unknown status 'odd'" in refusal(torn, "--status", "weird=odd")


def test_a_locked_file_is_unavailable(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daicho.core.foreign.BUSY_SECONDS", 0.1)
    source = old(tmp_path / "old.db", row(1))
    with closing(sqlite3.connect(source, isolation_level=None)) as owner:
        owner.execute("BEGIN EXCLUSIVE")
        here("tasks", "adopt", source, code=1)
    assert "another program keeps it locked" in one_line(here.said)


def test_a_file_in_a_folder_that_may_not_be_written_is_read() -> None:
    folder = Path(tempfile.mkdtemp())  # others may look into it, as into no folder of pytest's
    source = Path(old(folder / "old.db", row(1), row(2), journal="wal"))
    folder.chmod(0o555)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        with OldTasks(source) as found:
            assert [len(chunk) for chunk in found.chunks()] == [2]
        assert list(folder.iterdir()) == [source]
    finally:
        os.seteuid(me)
        folder.chmod(0o755)
        shutil.rmtree(folder)


# -- the ledger's own path -------------------------------------------------------------------------


@pytest.fixture
def contexts(tmp_path: Path) -> Path:
    """Seed 001's configuration: the old file's path is the ledger's own."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "contexts"


def adopted(*options: str, code: int = 0) -> tuple[str, str]:
    done = daicho("tasks", "adopt", "contexts/tasks.db", *options)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def listed() -> list[str]:
    with Ledger(settings=Settings()) as ledger:
        return sorted(task.uuid for page in pages(ledger.tasks.list) for task in page.items)


@pytest.mark.parametrize("journal", ["wal", "delete", "persist"])
def test_an_old_database_at_the_ledgers_own_path_makes_room(contexts: Path, journal: str) -> None:
    source = Path(old(contexts / "tasks.db", row(1), row(2), journal=journal))
    before = content(source)
    assert "no revision" in one_line(daicho("tasks", "list").stderr)
    assert "run: daicho tasks adopt" in daicho("db", "upgrade").stderr
    assert content(source) == before
    out, _ = adopted("--dry-run")
    assert out == "would adopt 2 tasks, 0 already there, 0 not adopted (--dry-run)\n"
    assert content(source) == before
    out, said = adopted()
    assert out == "adopted 2 tasks, 0 already there, 0 not adopted\n"
    aside = contexts / "tasks.db.before-daicho"
    assert said == f"the old database is {aside} now\n"
    assert content(aside) == before
    assert listed() == [uuid(1), uuid(2)]
    assert adopted()[0] == "adopted 0 tasks, 2 already there, 0 not adopted\n"
    assert not list(contexts.glob("*before-daicho-*"))


def test_what_a_killed_agent_has_left_in_the_log_moves_along(contexts: Path) -> None:
    source = old(contexts / "tasks.db", row(1), journal="wal")
    die = f"""
import os, sqlite3
c = sqlite3.connect({source!r})
c.execute("UPDATE tasks SET owner = 'new'")
c.commit()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", die], check=True)
    assert Path(source + "-wal").stat().st_size
    assert adopted()[0].startswith("adopted 1 task,")
    assert "new/ledger" in daicho("tasks", "list").stdout


@pytest.mark.parametrize("reached", ["moved", "empty", "made", "some"])
def test_an_interrupted_adoption_is_taken_up_again(contexts: Path, reached: str) -> None:
    aside = Path(old(contexts / "tasks.db.before-daicho", row(1), row(2)))
    own = contexts / "tasks.db"
    if reached == "empty":  # SQLite has made its file, the ledger has not made its tables
        own.touch()
    elif reached in {"made", "some"}:
        with Ledger(f"sqlite:///{own}") as ledger:
            ledger.tasks.list()
            if reached == "some":
                ledger.tasks.create(row(2, created_at=MOMENT))
    there = int(reached == "some")
    assert f" {there} already there, 0 not adopted" in adopted()[0]
    assert listed() == [uuid(1), uuid(2)]
    assert len(content(aside)) == 2


def test_an_adoption_killed_anywhere_is_finished_by_the_next(contexts: Path) -> None:
    kill = """
import os, signal, sys
from pathlib import Path
from daicho import cli
from daicho.core import engine
from daicho.tasks import adoption_own

number, steps = int(sys.argv.pop()), [0]

def trap(owner, name):
    real = getattr(owner, name)
    def step(*args, **kwargs):
        steps[0] += 1
        if steps[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, step)

for owner, name in ((Path, "rename"), (adoption_own, "sync_folder"), (adoption_own, "_tables"), (engine, "_commit")):
    trap(owner, name)
sys.exit(cli.run(sys.argv[1:]))
"""
    for number in range(1, 100):
        shutil.rmtree(contexts, ignore_errors=True)
        old(contexts / "tasks.db", *[row(at) for at in range(1200)], journal="wal")
        ended = python("-c", kill, "tasks", "adopt", "contexts/tasks.db", str(number))
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        adopted()
        assert len(listed()) == 1200
        assert len(content(contexts / "tasks.db.before-daicho")) == 1200
    assert number > 5


def test_two_adoptions_of_the_ledgers_own_path_at_once_lose_nothing(contexts: Path) -> None:
    for journal in ("wal", "delete"):
        shutil.rmtree(contexts, ignore_errors=True)
        old(contexts / "tasks.db", *[row(number) for number in range(300)], journal=journal)
        command = [*COMMAND, "tasks", "adopt", "contexts/tasks.db"]
        running = [subprocess.Popen(command, text=True, stderr=subprocess.PIPE) for _ in range(3)]
        said = [process.communicate(timeout=60)[1] for process in running]
        assert [process.returncode for process in running] == [0, 0, 0], said
        assert len(listed()) == len(content(contexts / "tasks.db.before-daicho")) == 300


def test_an_old_database_is_not_moved_from_under_its_agent(
    contexts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daicho.tasks.adoption_own.BUSY_SECONDS", 0.3)
    source = old(contexts / "tasks.db", row(1))
    hold = f"import sqlite3; c = sqlite3.connect({source!r}); c.execute('SELECT 1 FROM tasks').fetchall(); print(flush=True); input()"
    agent = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert agent.stdout is not None
        agent.stdout.readline()
        here = Here(f"sqlite:///{source}", capsys)
        here("tasks", "adopt", source, code=1)
        assert f"process {agent.pid} has it open; end the old agent" in one_line(here.said)
        assert [path.name for path in contexts.iterdir()] == ["tasks.db"]
    finally:
        agent.communicate("\n", timeout=20)
    here("tasks", "adopt", source)


def test_nothing_set_aside_is_written_over(contexts: Path) -> None:
    old(contexts / "tasks.db", row(1))
    aside = Path(old(contexts / "tasks.db.before-daicho", row(2)))
    _, said = adopted(code=1)
    assert "tasks.db.before-daicho is there already" in one_line(said)
    assert [found[0] for found in content(aside)] == [uuid(2)]
    assert [found[0] for found in content(contexts / "tasks.db")] == [uuid(1)]


def test_the_ledger_does_not_adopt_itself(contexts: Path, tmp_path: Path) -> None:
    contexts.mkdir()
    daicho("tasks", "list")
    assert "is this ledger itself" in one_line(adopted(code=1)[1])
    (tmp_path / "link.db").symlink_to(contexts / "tasks.db")
    done = daicho("tasks", "adopt", "link.db")
    assert "is this ledger itself" in one_line(done.stderr)


def test_the_columns_are_those_of_the_seed() -> None:
    assert set(KNOWN) == set(re.findall(r"(\w+) (?:TEXT|INTEGER)", SEED))
