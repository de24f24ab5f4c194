"""A crash at any point: what it leaves, and that ledger and folders agree after a repair."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from daicho import Ledger, TaskContextManager
from daicho.tasks.files import TaskFiles, place_of
from daicho.tasks.repair import Finding, examine
from tests.processes import python
from tests.tasks.conftest import ABOUT

Work = Callable[..., TaskContextManager]

LIFE = '''
"""Live a task's life in a child that is killed at its N-th step, for every PACE-th N; check what it leaves."""
import os, signal, sys, threading
from pathlib import Path
from uuid import uuid4

from daicho import Conflict, Ledger, Settings, TaskContextManager
from daicho.core import engine
from daicho.tasks.files import TaskFiles, place_of
from daicho.tasks.appending import JsonLines
from daicho.tasks.repair import examine

url, folder, pace = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ABOUT = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}


def die_at(number):
    """Let the number-th of these steps be this process's last: before it, or after it, by turns."""
    steps = [0]

    def trap(owner, name):
        real = getattr(owner, name)

        def step(*args, **kwargs):
            steps[0] += 1
            own = steps[0]
            if own * 2 - 1 == number:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if own * 2 == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, step)

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (JsonLines, "append"),
                        (engine, "_commit")):
        trap(owner, name)


def live(uuid, base, acknowledged):
    def told(what):
        os.write(acknowledged, what.encode() + b"\\n")

    config = Settings(context_storage={"base_dir": base})
    with Ledger(url) as ledger:
        context = TaskContextManager(ABOUT, uuid, config, ledger=ledger)
        told("running")
        for number in range(3):
            context.get_message_store().add_message("user", f"m{number}")
            told(f"m{number}")
        context.get_summary_store().add_summary(1, 2, "s")
        context.get_tool_store().add_tool_call("t")
        told("tool")
        context.pause()
        told("paused")
        context.update_status("running")
        context.get_message_store().add_message("user", "m3")
        told("m3")
        context.complete()
        told("completed")
        context = TaskContextManager(ABOUT, uuid, config, is_resumed=True, ledger=ledger)
        told("resumed")
        context.get_message_store().add_message("user", "m4")
        told("m4")
        context.fail("why")
        told("failed")
    os._exit(0)


def check(uuid, base, acknowledged):
    with Ledger(url) as ledger:
        ledger.tasks.reap()
        files = TaskFiles(base)
        found = 0
        for finding in examine(ledger.tasks, files):
            assert finding.remedy is not None, finding
            finding.mend()
            found += 1
        assert list(examine(ledger.tasks, files)) == []
        task = ledger.tasks.get_by_uuid(uuid)
        folder = files.folder(uuid)
        if task is None:
            assert folder is None and not acknowledged
            return found
        assert task.status in {"paused", "completed", "failed"}, task.status
        assert folder is None or folder.parent.name == place_of(task.status)
        last = [one for one in acknowledged if not one.startswith(("m", "tool"))]
        if last:
            allowed = {"running": {"failed", "paused"}, "paused": {"paused", "failed", "completed"},
                       "completed": {"completed", "failed"}, "resumed": {"failed"}, "failed": {"failed"}}
            assert task.status in allowed[last[-1]], (last, task.status)
        context = TaskContextManager(ABOUT, uuid, Settings(context_storage={"base_dir": base}),
                                     is_resumed=True, ledger=ledger)
        store = context.get_message_store()
        written = [message.content for message in store]
        assert [message.seq for message in store] == list(range(1, len(written) + 1))
        assert written == [f"m{n}" for n in range(len(written))]
        assert len(written) >= sum(one[0] == "m" for one in acknowledged)
        wanted = (["s"] + written[2:]) if list(context.get_summary_store()) else written
        assert [message.content for message in store.current()] == wanted
        assert len(list(context.get_tool_store())) >= acknowledged.count("tool")
        context.complete()
        assert list(examine(ledger.tasks, files)) == []
        return found


with Ledger(url) as ledger:
    ledger.tasks.list()
deaths, findings = 0, 0
for number in range(1, 1000, pace):
    uuid, base = str(uuid4()), folder / str(number)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        die_at(number)
        try:
            live(uuid, base, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        acknowledged = pipe.read().split()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    findings += check(uuid, base, acknowledged)
    if code == 0:
        break
    deaths += 1
print(f"{deaths} deaths, {findings} findings")
'''


def mended(ledger: Ledger, files: TaskFiles) -> list[Finding]:
    found = []
    for finding in examine(ledger.tasks, files):
        finding.mend()
        found.append(finding)
    return found


def problems(ledger: Ledger, files: TaskFiles) -> list[str]:
    return [finding.problem.en for finding in examine(ledger.tasks, files)]


def test_a_task_that_is_killed_at_any_step_is_put_right(url: str, tmp_path: Path) -> None:
    pace = 1 if url.startswith("sqlite") else 3  # the files are the same: 3 takes befores and afters by turns
    done = python("-c", LIFE, url, str(tmp_path), str(pace))
    assert done.returncode == 0, done.stderr[-3000:]
    counted = re.search(r"(\d+) deaths, (\d+) findings", done.stdout)
    assert counted is not None
    deaths, findings = map(int, counted.groups())
    assert deaths >= 60 // pace
    assert findings >= 5 // pace


def test_nothing_is_found_where_nothing_is_wrong(ledger: Ledger, files: TaskFiles, work: Work) -> None:
    assert problems(ledger, files) == []  # not even the folder is there
    work().complete()
    work().pause()
    work()
    ledger.tasks.create(ABOUT)  # a task without a folder is as it should be
    assert problems(ledger, files) == []


def test_a_folder_that_was_left_behind_follows_the_ledger(
    ledger: Ledger, files: TaskFiles, work: Work
) -> None:
    context = work()
    context.close()
    ledger.tasks.complete(context.uuid)
    (finding,) = mended(ledger, files)
    assert finding.uuid == context.uuid
    assert finding.problem.en == "is completed, but its folder is in paused"
    assert finding.remedy is not None
    assert finding.remedy.en == "move it to completed"
    assert files.folder(context.uuid) == files.base_dir / "completed" / context.uuid
    assert problems(ledger, files) == []


def test_a_task_that_is_being_worked_on_is_left_alone(ledger: Ledger, files: TaskFiles, work: Work) -> None:
    context = work()
    assert context.folder is not None
    (context.folder / "metadata.json").write_text("{}")
    with (context.folder / "messages.jsonl").open("ab") as file:
        file.write(b'{"seq": 1, "ro')
    assert problems(ledger, files) == []


@pytest.mark.parametrize("move", ["stop", "pause", "delete"])
def test_an_agent_that_has_not_heard_yet_is_left_alone(
    ledger: Ledger, files: TaskFiles, work: Work, move: str
) -> None:
    context = work()
    {
        "stop": ledger.tasks.stop,
        "pause": lambda uuid: ledger.tasks.update_status(uuid, "paused"),
        "delete": ledger.tasks.delete,
    }[move](context.uuid)
    with (files.base_dir / "running" / context.uuid / "messages.jsonl").open("ab") as file:
        file.write(b'{"seq": 1, "ro')  # a line in flight
    assert problems(ledger, files) == []
    assert files.folder(context.uuid) == files.base_dir / "running" / context.uuid


def test_a_program_that_holds_no_folder_is_left_alone_too(ledger: Ledger, files: TaskFiles) -> None:
    """As the seed's own agents work: a row with their process, and files that they append to."""
    row = {**ABOUT, "process_id": os.getpid(), "hostname": socket.gethostname()}
    task = ledger.tasks.create(row)
    folder = files.make(task.uuid)
    (folder / "messages.jsonl").write_bytes(b'{"seq": 1, "ro')
    ledger.tasks.stop(task.uuid)
    assert problems(ledger, files) == []
    ledger.tasks.update(task.uuid, {"process_id": 2**22 + 1})
    assert problems(ledger, files)


def test_an_empty_folder_without_a_record_is_removed(ledger: Ledger, files: TaskFiles) -> None:
    uuid = str(uuid4())
    (files.make(uuid) / "messages.jsonl").touch()
    (finding,) = mended(ledger, files)
    assert finding.remedy is not None
    assert finding.remedy.en == "remove its folder: there is nothing in it"
    assert files.folder(uuid) is None
    assert problems(ledger, files) == []


def test_a_task_whose_deletion_was_broken_off_can_be_taken_up_again(
    ledger: Ledger, files: TaskFiles, work: Work
) -> None:
    first = work()
    first.get_message_store().add_message("user", "kept")
    first.complete()
    files.set_aside(first.uuid)
    again = work(first.uuid, is_resumed=True)
    assert again.get_message_store().last_seq == 1
    assert problems(ledger, files) == []


def test_torn_lines_and_half_written_files_are_put_right(
    ledger: Ledger, files: TaskFiles, work: Work
) -> None:
    context = work()
    context.get_message_store().add_message("user", "kept")
    context.complete()
    assert context.folder is not None
    with (context.folder / "tools.jsonl").open("ab") as file:
        file.write(b'{"seq": 1, "to')
    (context.folder / "current.jsonl.tmp").write_bytes(b"half")
    found = [finding.problem.en for finding in mended(ledger, files)]
    assert found[0] == "unfinished last line: tools.jsonl"
    assert found[1].startswith("half-written: ")
    assert problems(ledger, files) == []
    assert (context.folder / "tools.jsonl").read_bytes() == b""
    assert (context.folder / "tools.jsonl.torn").read_bytes() == b'{"seq": 1, "to\n'
    assert [line.record.content for line in files.messages(context.uuid).items if line.record] == ["kept"]


def test_metadata_that_differs_is_written_anew(ledger: Ledger, files: TaskFiles, work: Work) -> None:
    context = work()
    context.complete()
    ledger.tasks.update(context.uuid, {"model": "another"})
    assert [finding.problem.en for finding in mended(ledger, files)] == [
        "metadata.json is not what the ledger says"
    ]
    assert '"model": "another"' in (files.base_dir / "completed" / context.uuid / "metadata.json").read_text()
    assert problems(ledger, files) == []


def test_a_folder_without_a_record_is_recorded_from_its_metadata(
    ledger: Ledger, files: TaskFiles, work: Work
) -> None:
    done, broken_off, unknown = work(user="花子"), work(), work()
    done.update_statistics(tokens=7)
    done.complete()
    for context in (broken_off, unknown):
        context.close()
    assert unknown.folder is not None
    (unknown.folder / "metadata.json").write_text("[]")
    for context in (done, broken_off, unknown):
        ledger.tasks.delete(context.uuid)
    found = {finding.uuid: finding for finding in mended(ledger, files)}
    assert found[unknown.uuid].remedy is None
    task = ledger.tasks.get_by_uuid(done.uuid)
    assert task is not None
    assert (task.status, task.user, task.total_tokens) == ("completed", "花子", 7)
    task = ledger.tasks.get_by_uuid(broken_off.uuid)
    assert task is not None
    assert (task.status, task.error_message) == ("failed", "found without a record; how it went is not known")
    assert files.folder(broken_off.uuid) == files.base_dir / "completed" / broken_off.uuid
    assert len(problems(ledger, files)) == 1  # the one that nobody can know


def test_two_folders_of_one_task_are_said_and_left(ledger: Ledger, files: TaskFiles, work: Work) -> None:
    context = work()
    context.complete()
    (files.base_dir / "paused" / context.uuid).mkdir(parents=True)
    (finding,) = mended(ledger, files)
    assert finding.remedy is None
    assert "has several folders" in finding.problem.en


def test_a_deletion_that_was_broken_off_is_finished_or_undone(
    ledger: Ledger, files: TaskFiles, work: Work
) -> None:
    kept, gone = work(), work()
    for context in (kept, gone):
        context.complete()
        files.set_aside(context.uuid)
    ledger.tasks.delete(gone.uuid)
    found = {finding.uuid: finding.remedy for finding in mended(ledger, files)}
    assert len(found) == 2
    assert files.folder(kept.uuid) == files.base_dir / "completed" / kept.uuid
    assert not (files.base_dir / "deleted" / gone.uuid).exists()
    assert problems(ledger, files) == []


def test_foreign_things_in_the_folders_are_not_touched(ledger: Ledger, files: TaskFiles) -> None:
    for name in ("notes", ".git", "not-a-uuid"):
        (files.base_dir / "running" / name).mkdir(parents=True)
    (files.base_dir / "completed").mkdir()
    (files.base_dir / "completed" / str(uuid4()).upper()).mkdir()
    assert problems(ledger, files) == []


def test_a_process_that_was_killed_is_reaped_and_its_folder_moved(
    ledger: Ledger, url: str, files: TaskFiles
) -> None:
    code = (
        "import sys, time; from daicho import Ledger, Settings, TaskContextManager\n"
        "ledger = Ledger(sys.argv[1])\n"
        "config = Settings(context_storage={'base_dir': sys.argv[2]})\n"
        "context = TaskContextManager('ABOUT', sys.argv[3], config, ledger=ledger)\n"
        "context.get_message_store().add_message('user', 'durable')\n"
        "print('ready', flush=True); time.sleep(60)"
    ).replace("'ABOUT'", repr(ABOUT))
    uuid = str(uuid4())
    agent = subprocess.Popen(
        [sys.executable, "-c", code, url, str(files.base_dir), uuid], stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == "ready\n"
    assert ledger.tasks.reap() == []  # it lives
    os.kill(agent.pid, signal.SIGKILL)
    # Not waited for yet: a zombie works on nothing either.
    for _ in range(1000):
        if reaped := ledger.tasks.reap():
            break
    assert [one.task.uuid for one in reaped] == [uuid]
    agent.wait()
    (finding,) = mended(ledger, files)
    assert finding.problem.en == "is failed, but its folder is in running"
    assert [line.record.content for line in files.messages(uuid).items if line.record] == ["durable"]
    assert place_of("failed") == "completed"
