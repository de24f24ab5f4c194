"""``daicho tasks``: what is shown, stopped, reaped, mended and deleted from the terminal."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from daicho import Ledger, TaskContextManager, Unavailable
from daicho.core.settings import Settings
from daicho.tasks.commands_change import delete_with_files
from daicho.tasks.files import TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.process import hostname
from daicho.tasks.repair import examine
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings
from tests.processes import python
from tests.tasks.conftest import ABOUT

pytestmark = pytest.mark.in_turns

BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
Work = Callable[..., TaskContextManager]


def uuid(number: int) -> str:
    return f"{number}aaa5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger with three tasks: one done, one that failed, one that runs on a machine far away."""
    done = ABOUT | {"uuid": uuid(1), "user": "花子", "llm_provider": "openai", "model": "gpt-4o"}
    ledger.tasks.create(
        done
        | {"status": "completed", "created_at": BEGUN, "started_at": BEGUN, "context_length": 128_000}
        | {"completed_at": BEGUN + timedelta(seconds=83), "total_tokens": 12_345, "llm_call_count": 3}
    )
    other = {
        "task_source": "gitlab",
        "owner": "group/sub",
        "repo": "app",
        "task_type": "merge_request",
        "task_id": "7",
    }
    later = BEGUN + timedelta(hours=1)
    ledger.tasks.create(
        other
        | {
            "uuid": uuid(2),
            "status": "failed",
            "created_at": later,
            "started_at": later,
            "error_message": "no\nkey",
        }
    )
    ledger.tasks.claim(
        ABOUT | {"uuid": uuid(3), "task_id": "43", "created_at": BEGUN + timedelta(days=1)} | far_away()
    )
    return ledger


def far_away() -> dict[str, Any]:
    return {"process_id": 77, "hostname": "elsewhere"}


def silence(ledger: Ledger, number: int, length: timedelta) -> None:
    """Let a task's last sign of life be so long ago."""
    with ledger.database.begin() as session:
        at = datetime.now(UTC) - length
        session.execute(update(Task).where(Task.uuid == uuid(number)).values(heartbeat_at=at))


def names(listed: str) -> list[str]:
    return [line.split()[0] for line in listed.splitlines()[1:]]


# -- list and show -----------------------------------------------------------------------------------


def test_a_list_is_aligned_and_complete(here: Here, filled: Ledger) -> None:
    heading, *rows = here("tasks", "list").splitlines()
    assert heading.split() == [
        *("TASK", "STATUS", "REPOSITORY", "WHAT", "USER", "MODEL", "TOKENS", "CALLS", "STARTED", "TIME")
    ]
    assert rows[2].split() == [
        *("1aaa5d2e", "completed", "daicho/ledger", "issue", "#42", "花子", "gpt-4o", "12,345", "3/0"),
        *("2026-11-21", "08:18:22", "1:23"),
    ]
    assert rows[1].split()[:5] == ["2aaa5d2e", "failed", "group/sub/app", "merge_request", "!7"]
    assert rows[0].endswith(" …")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", "3 2 1"),
        ("--status completed", "1"),
        ("--status RUNNING", "3"),
        ("--source gitlab", "2"),
        ("--repo daicho/ledger", "3 1"),
        ("--repo daicho", "3 1"),
        ("--repo group/sub/app", "2"),
        ("--repo group/sub/", "2"),
        ("--repo group", ""),
        ("--type merge_request", "2"),
        ("--user 花子", "1"),
        ("--since 2026-11-21T09:18:22", "3 2"),
        ("--since 2026-11-21T18:18:22+09:00 --until 2026-11-22", "2"),
    ],
)
def test_a_list_is_filtered(here: Here, filled: Ledger, options: str, found: str) -> None:
    assert [name[0] for name in names(here("tasks", "list", *options.split()))] == found.split()


def test_a_list_goes_on_where_it_ended_and_is_as_long_as_asked(here: Here, ledger: Ledger) -> None:
    rows = [
        {**ABOUT, "uuid": f"{number:032x}", "status": "completed", "created_at": BEGUN}
        for number in range(1100)
    ]
    ledger.tasks.adopt(rows)
    assert len(names(here("tasks", "list"))) == 50
    assert here.said.startswith("more: --cursor ")
    assert len(set(here("tasks", "list", "--limit", "1050", "--json").splitlines())) == 1050
    rest = here("tasks", "list", "--cursor", here.said.split()[-1], "--json").splitlines()
    assert [json.loads(line)["uuid"][-4:] for line in rest][::49] == ["0031", "0000"]
    assert len(here("tasks", "list", "--all").splitlines()) == 1101
    here("tasks", "list", "--cursor", "nonsense", code=1)
    assert "not a cursor" in one_line(here.said)


def test_a_list_is_json_if_asked(here: Here, filled: Ledger) -> None:
    rows = [json.loads(line) for line in here("tasks", "list", "--json").splitlines()]
    assert [row["uuid"] for row in rows] == [uuid(3), uuid(2), uuid(1)]
    assert rows[2]["completed_at"] == "2026-11-21T08:19:45Z"
    assert json.loads(here("tasks", "show", "1aaa", "--json")) == rows[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--status", "odd"], "unknown status 'odd'; known: pending, running"),
        (["list", "--user", "u" * 256], "user is 256 characters long"),
        (["show", "9aaa"], "no such task: 9aaa"),
        (["show", "1aa"], "at least four characters"),
        (["delete", "nothing", "--yes"], "no such task: nothing"),
    ],
)
def test_what_cannot_be_is_one_line(here: Here, filled: Ledger, arguments: list[str], said: str) -> None:
    here("tasks", *arguments, code=1)
    assert said in one_line(here.said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["reap", "--stale-after", "soon"],
        ["reap", "--stale-after", "5s"],
        ["show", "1aaa", "--tools", "--current"],
    ],
)
def test_what_cannot_be_understood_is_said(here: Here, filled: Ledger, arguments: list[str]) -> None:
    here("tasks", *arguments, code=2)
    assert "Traceback" not in here.said
    assert "Invalid value" in here.said


def test_a_task_is_shown_with_its_numbers_its_folder_and_its_process(
    here: Here, filled: Ledger, work: Work
) -> None:
    shown = here("tasks", "show", uuid(1)[:5])
    assert f"task          {uuid(1)}\n" in shown
    assert "what          issue #42\n" in shown
    assert "model         openai gpt-4o (context 128,000)\n" in shown
    assert "tokens        12,345\n" in shown
    assert "folder        none\n" in shown
    assert "error         no key\n" in here("tasks", "show", "2aaa")
    assert "process       77 (elsewhere): lives, or nobody here can know\n" in here("tasks", "show", "3aaa")
    silence(filled, 3, timedelta(hours=1))
    assert "process       77 (elsewhere): no sign of life from it for 3,60" in here("tasks", "show", "3aaa")
    task = work()
    shown = here("tasks", "show", task.uuid)
    assert f"process       {os.getpid()} ({hostname()}): lives" in shown
    assert f"folder        {Path('contexts', 'running', task.uuid).absolute()}\n" in shown


def test_the_latest_lines_of_a_tasks_files_are_shown(here: Here, work: Work) -> None:
    task = work()
    for number in range(1, 2501):
        task.get_message_store().add_message("user", f"行 {number}\n次", tokens=number)
    task.get_message_store().add_message("tool", [{"type": "text", "text": "parts"}], tool_name="grep")
    task.get_tool_store().add_tool_call("read_file", {"path": "a.py"}, "print()", duration_ms=12.4)
    task.get_tool_store().add_tool_call("run", {"cmd": "make"}, status="error", error="exit 2")
    task.get_summary_store().add_summary(1, 2490, "ここまで", 48_000, 900)

    def lines(*options: str) -> list[str]:
        return here("tasks", "show", task.uuid, *options).splitlines()

    heading, *latest = lines("--messages")
    assert heading.split() == ["NO", "TIME", "ROLE", "TOKENS", "TEXT"]
    assert [line.split()[0] for line in latest] == [str(number) for number in range(2482, 2502)]
    assert latest[0].split()[3:] == ["user", "2,482", "行", "2482", "次"]
    assert latest[-1].endswith('tool (grep)          [{"type": "text", "text": "parts"}]')
    for asked, first in ((1, 2501), (1000, 1502), (1001, 1501), (2400, 102), (9999, 1)):
        found = [json.loads(line)["seq"] for line in lines("--messages", "--json", "-n", str(asked))]
        assert found == list(range(first, 2502))
    assert json.loads(lines("--messages", "--json", "-n", "2")[0])["content"] == "行 2500\n次"
    assert [line.split()[3:] for line in lines("--tools")[1:]] == [
        ["read_file", "success", "12", '{"path":', '"a.py"}', "print()"],
        ["run", "error", "?", '{"cmd":', '"make"}', "exit", "2"],
    ]
    assert lines("--summaries")[1].split()[3:] == ["1-2490", "48,000", "→", "900", "ここまで"]
    assert lines("--current")[1].split()[-1] == "ここまで"
    assert len(lines("--current")) == 1 + 12
    assert lines("--tools", "--json", "-n", "1")[0].startswith('{"seq":2,"tool":"run","args":{"cmd":"make"}')


def test_a_line_that_cannot_be_read_is_reported_with_its_place(here: Here, work: Work) -> None:
    with work() as task:
        task.get_message_store().add_message("user", "first")
        folder = task.folder
    path = Path("contexts", "completed", task.uuid, "messages.jsonl")
    assert folder is not None
    at = path.stat().st_size
    with path.open("ab") as file:
        file.write(
            b'{"seq": "\x1b[2J"}\n{"seq": 3, "role": "user", "content": "last \\u001b[2J", "mood": "good"}\n'
        )
    shown = here("tasks", "show", task.uuid, "--messages", code=1)
    assert [line.split()[-1] for line in shown.splitlines()] == ["TEXT", "first", r"\x1b[2J"]
    assert here.said.startswith(f"messages.jsonl: the line at byte {at} cannot be read: ")
    assert "\x1b" not in shown + here.said
    rows = here("tasks", "show", task.uuid, "--messages", "--json", code=1).splitlines()
    assert json.loads(rows[1]) == {"seq": 3, "role": "user", "content": "last \x1b[2J", "mood": "good"}


def test_files_of_a_task_without_a_folder_have_no_lines(here: Here, filled: Ledger) -> None:
    for option in ("--messages", "--tools", "--summaries", "--current"):
        assert here("tasks", "show", "1aaa", option) == ""


def test_on_a_terminal_it_is_drawn_to_fit(filled: Ledger, work: Work, url: str) -> None:
    task = work()
    task.get_message_store().add_message("user", "[bold]not markup[/bold] " + "長い文" * 60)
    for command in (["list"], ["show", task.uuid], ["show", task.uuid, "--messages"]):
        screen, keyboard = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "tasks", *command], env=surroundings(url, COLUMNS="90", TERM="xterm"), stdout=keyboard
        )
        os.close(keyboard)
        drawn = b""
        while True:
            try:
                drawn += os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
        os.close(screen)
        assert process.wait() == 0
        expected = b"[bold]not markup[/bold]" if "--messages" in command else task.uuid[:8].encode()
        assert expected in drawn


# -- stop, reap, repair, delete ----------------------------------------------------------------------

AGENT = """
import sys
from pathlib import Path
from daicho import Ledger, Settings, TaskContextManager
with Ledger(sys.argv[1]) as ledger:
    context = TaskContextManager(eval(sys.argv[3]), sys.argv[2], Settings(), ledger=ledger)
    context.get_message_store().add_message("user", "working")
    print("ready", flush=True)
    for line in sys.stdin:
        print(context.heartbeat(), flush=True)
"""


@pytest.fixture
def agent(url: str, ledger: Ledger) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Start an agent, in a process of its own, that works on a task; a line on its input is a heartbeat."""
    ledger.tasks.list()
    started = []

    def start(number: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", AGENT, url, uuid(number), repr(ABOUT)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def beat(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def place(number: int) -> str | None:
    folder = TaskFiles(Path("contexts")).folder(uuid(number))
    return None if folder is None else folder.parent.name


def test_a_stopped_task_is_told_to_its_agent(
    here: Here, ledger: Ledger, agent: Callable[[int], subprocess.Popen[str]]
) -> None:
    process = agent(1)
    assert beat(process) == "True"
    out = here("tasks", "stop", "1aaa", "--reason", "急用")
    assert out == f"{uuid(1)}  stopped; its agent is told at its next heartbeat\n"
    assert place(1) == "running"  # the agent's own to move
    assert beat(process) == "False"
    task = ledger.tasks.find("1aaa")
    assert (task.status, task.error_message) == ("stopped", "急用")


def test_the_folder_of_a_stopped_task_without_an_agent_follows(
    here: Here, ledger: Ledger, agent: Callable[[int], subprocess.Popen[str]]
) -> None:
    kill(agent(1))
    folder = Path("contexts", "completed", uuid(1)).absolute()
    out = here("tasks", "stop", uuid(1))
    assert out == f"{uuid(1)}  stopped; nobody works on it, its folder is {folder}\n"
    assert json.loads((folder / "metadata.json").read_text())["status"] == "stopped"


def test_every_task_to_stop_is_tried(here: Here, filled: Ledger) -> None:
    filled.tasks.create(ABOUT | {"uuid": uuid(4)})
    out = here("tasks", "stop", "1aaa", "nothing", "4aaa", "3aaa", code=1)
    assert out == (
        f"{uuid(4)}  stopped; nobody works on it\n"
        f"{uuid(3)}  stopped; its agent is told at its next heartbeat\n"
    )
    assert here.said == (
        f"daicho: task {uuid(1)} has ended already: completed\ndaicho: no such task: nothing\n"
    )


def test_tasks_whose_process_is_gone_are_reaped(
    here: Here, filled: Ledger, agent: Callable[[int], subprocess.Popen[str]]
) -> None:
    lively, dead = agent(4), agent(5)
    assert here("tasks", "reap") == ""
    assert here.said == "nothing to reap\n"
    kill(dead)
    silence(filled, 3, timedelta(minutes=5))
    for _ in range(2):
        out = here("tasks", "reap", "--dry-run")
        assert out == f"{uuid(5)}  its process {dead.pid} has ended\n"
        assert here.said == "nothing was changed (--dry-run)\n"
    rows = [json.loads(line) for line in here("tasks", "reap", "--stale-after", "2m", "--json").splitlines()]
    assert [row["uuid"] for row in rows] == [uuid(3), uuid(5)]
    assert rows[0]["reason"].startswith("no sign of life from it for 30")
    assert [task.uuid for task in filled.tasks.list_by_status("running")] == [uuid(4)]
    assert (place(4), place(5)) == ("running", "completed")
    assert beat(lively) == "True"
    assert here("tasks", "reap") == ""


def test_what_crashes_have_left_is_mended(here: Here, ledger: Ledger, work: Work, tmp_path: Path) -> None:
    assert here("tasks", "repair") == ""
    assert here.said == "nothing to mend\n"
    for number in (1, 2):
        with work(uuid(number)) as task:
            task.get_message_store().add_message("user", "x")
    contexts = Path("contexts")
    (contexts / "completed" / uuid(1)).rename(contexts / "running" / uuid(1))
    out = here("tasks", "repair", "--dry-run")
    assert out == f"{uuid(1)}  is completed, but its folder is in running → move it to completed\n"
    assert here.said == "nothing was changed (--dry-run)\n"
    assert json.loads(here("tasks", "repair", "--dry-run", "--json"))["mended"] is False
    found = json.loads(here("tasks", "repair", "--json"))
    assert (found["uuid"], found["remedy"], found["mended"]) == (uuid(1), "move it to completed", True)
    assert place(1) == "completed"
    (contexts / "paused" / uuid(2)).mkdir(parents=True)
    out = here("tasks", "repair", code=1)
    assert out.startswith(f"{uuid(2)}  has several folders: ")
    assert out.endswith("keep one → this needs a person\n")
    here("tasks", "repair", "--dry-run", code=1)


def test_what_cannot_be_mended_now_does_not_keep_the_rest(here: Here, ledger: Ledger, work: Work) -> None:
    for number in (1, 2):
        work(uuid(number)).complete()
    for number in (1, 2):
        Path("contexts", "completed", uuid(number)).rename(Path("contexts", "running", uuid(number)))
    Path("contexts", "completed", uuid(1)).write_text("in the way")
    here("tasks", "repair", code=1)
    assert uuid(1) in here.said
    assert "Traceback" not in here.said
    assert (place(1), place(2)) == ("running", "completed")


def test_delete_asks_first(filled: Ledger, work: Work, url: str) -> None:
    def delete(*arguments: str, answer: str = "") -> int:
        return daicho("tasks", "delete", *arguments, url=url, stdin=answer.encode()).returncode

    work(uuid(4)).complete()
    assert delete("4aaa", answer="n\n") == 1
    assert delete("4aaa") == 1
    assert (filled.tasks.find("4aaa").status, place(4)) == ("completed", "completed")
    assert delete("4aaa", answer="y\n") == 0
    assert delete("1aaa", "--yes") == 0
    assert place(4) is None
    assert [task.uuid for task in filled.tasks.list()] == [uuid(3), uuid(2)]


def test_a_deletion_takes_the_files_along_or_leaves_them(here: Here, ledger: Ledger, work: Work) -> None:
    for number in (1, 2):
        work(uuid(number)).complete()
    here("tasks", "delete", "1aaa", "--yes")
    here("tasks", "delete", "2aaa", "--yes", "--keep-files")
    assert (place(1), place(2)) == (None, "completed")
    assert not list(Path("contexts", "deleted").iterdir())
    assert not ledger.tasks.list().items


def test_a_task_that_is_worked_on_is_not_deleted(
    here: Here, filled: Ledger, agent: Callable[[int], subprocess.Popen[str]]
) -> None:
    process = agent(4)
    for name in ("4aaa", "3aaa"):  # here, and far away
        here("tasks", "delete", name, "--yes", code=1)
        assert "is being worked on; stop it first, or --force" in one_line(here.said)
    filled.tasks.stop(uuid(4))  # the agent does not know yet
    here("tasks", "delete", "4aaa", "--yes", code=1)
    kill(process)
    here("tasks", "delete", "4aaa", "--yes")
    here("tasks", "delete", "3aaa", "--yes", "--force")
    assert len(filled.tasks.list()) == 2


def test_a_task_that_its_agent_has_ended_can_be_deleted_while_that_works_on_others(
    here: Here, ledger: Ledger, work: Work
) -> None:
    work(uuid(1)).complete()
    work(uuid(2))
    here("tasks", "delete", "1aaa", "--yes")
    assert (place(1), place(2)) == (None, "running")


KILLED = """
import os, signal, sys
from daicho import cli
from daicho.tasks.commands_change import delete_with_files
from daicho.tasks.files import TaskFiles
from daicho.tasks.store import TaskStore

number, steps = int(sys.argv.pop()), [0]

def trap(owner, name):
    real = getattr(owner, name)
    def step(*args, **kwargs):
        steps[0] += 1
        if steps[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, step)

trap(TaskFiles, "set_aside")
trap(TaskFiles, "discard")
from daicho.core import engine
trap(engine, "_commit")
sys.exit(cli.run(sys.argv[1:]))
"""


def test_a_deletion_killed_anywhere_is_finished_or_undone(
    here: Here, ledger: Ledger, work: Work, url: str
) -> None:
    for step in range(1, 20):
        name = f"{step:x}bbb5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d".zfill(36)
        context = work(name)
        context.get_message_store().add_message("user", "x")
        context.complete()
        command = ["tasks", "delete", context.uuid, "--yes", str(step)]
        ended = python("-c", KILLED, *command, environment=surroundings(url))
        if ended.returncode == 0:
            break
        assert ended.returncode < 0, ended.stderr
        here("tasks", "repair")
        files = TaskFiles(Path("contexts"))
        task = ledger.tasks.get_by_uuid(context.uuid)
        assert (task is None) is (files.folder(context.uuid) is None)
        if task is not None:
            assert len(files.messages(context.uuid).items) == 1
        assert not list(examine(ledger.tasks, files))
    assert step > 3


def test_a_deletion_that_the_ledger_refuses_is_undone(ledger: Ledger, work: Work, base_dir: Path) -> None:
    work(uuid(1)).complete()
    settings = Settings(context_storage={"base_dir": base_dir})
    with Ledger(ledger.database.url, settings=settings) as closed:
        closed.close()
        with pytest.raises(Unavailable, match="this ledger is closed"):
            delete_with_files(closed, TaskFiles(base_dir), uuid(1))
    assert place(1) == "completed"
