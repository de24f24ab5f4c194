"""An agent's work on a task, with its ledger on each database (test_task_context_with_db.py)."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from daicho import Conflict, Invalid, Ledger, Settings, TaskContextManager, Unavailable
from daicho.tasks import context as module
from daicho.tasks.files import TaskFiles
from tests.tasks.conftest import ABOUT

pytestmark = pytest.mark.in_turns

Work = Callable[..., TaskContextManager]


def place(base_dir: Path, uuid: str) -> list[str]:
    return [name for name in ("running", "paused", "completed") if (base_dir / name / uuid).is_dir()]


def metadata(context: TaskContextManager) -> dict[str, Any]:
    assert context.folder is not None
    found: dict[str, Any] = json.loads((context.folder / "metadata.json").read_text("utf-8"))
    return found


def test_a_task_from_its_beginning_to_its_end(work: Work, ledger: Ledger, base_dir: Path) -> None:
    context = work(user="花子")
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert (task.status, task.user, task.process_id, task.hostname) == (
        "running",
        "花子",
        os.getpid(),
        socket.gethostname(),
    )
    assert task.heartbeat_at is not None
    assert place(base_dir, context.uuid) == ["running"]
    assert metadata(context)["status"] == "running"
    context.get_message_store().add_message("user", "直して")
    context.get_tool_store().add_tool_call("ls")
    context.get_message_store().add_message("assistant", "はい")
    context.get_summary_store().add_summary(1, 2, "要約")
    assert context.update_statistics(llm_calls=1, tool_calls=1, tokens=30, compressions=1) is True
    assert context.complete() is True
    assert place(base_dir, context.uuid) == ["completed"]
    said = metadata(context)
    assert (said["status"], said["total_tokens"], said["user"]) == ("completed", 30, "花子")
    assert said["completed_at"] is not None
    names = {"metadata.json", "messages.jsonl", "current.jsonl", "summaries.jsonl", "tools.jsonl"}
    assert context.folder is not None
    assert {path.name for path in context.folder.iterdir()} == names


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (lambda context: context.complete(), "completed", None),
        (lambda context: context.fail("out of tokens"), "failed", "out of tokens"),
        (lambda context: context.stop(), "stopped", None),
        (lambda context: context.update_status("failed", "why"), "failed", "why"),
    ],
)
def test_every_end_moves_the_folder(
    work: Work,
    ledger: Ledger,
    base_dir: Path,
    end: Callable[[TaskContextManager], bool],
    status: str,
    reason: str,
) -> None:
    context = work()
    store = context.get_message_store()
    store.add_message("user", "before")
    assert end(context) is True
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert (task.status, task.error_message) == (status, reason)
    assert place(base_dir, context.uuid) == ["completed"]
    with pytest.raises(Conflict):
        store.add_message("user", "after")
    with pytest.raises(Conflict):
        context.get_message_store()
    assert [message.content for message in store] == ["before"]  # it can still be read
    assert end(context) is True  # a second time changes nothing


def test_a_pause_and_going_on(work: Work, ledger: Ledger, base_dir: Path) -> None:
    context = work()
    context.get_message_store().add_message("user", "one")
    assert context.pause() is True
    assert place(base_dir, context.uuid) == ["paused"]
    with pytest.raises(Conflict):
        context.get_message_store()
    assert context.update_status("running") is True
    assert place(base_dir, context.uuid) == ["running"]
    assert context.get_message_store().add_message("user", "two").seq == 2


@pytest.mark.parametrize("ended", ["complete", "stop", "pause"])
def test_another_context_takes_the_task_up_again(
    work: Work, ledger: Ledger, base_dir: Path, ended: str
) -> None:
    first = work()
    first.get_message_store().add_message("user", "one")
    getattr(first, ended)()
    with pytest.raises(Conflict, match="resume it"):
        work(first.uuid)
    second = work(first.uuid, is_resumed=True)
    assert place(base_dir, first.uuid) == ["running"]
    assert second.get_message_store().add_message("user", "two").seq == 2
    assert [message.content for message in second.get_message_store().current()] == ["one", "two"]
    task = ledger.tasks.get_by_uuid(first.uuid)
    assert task is not None
    assert (task.status, task.completed_at) == ("running", None)


def test_a_task_that_waits_is_taken_without_ado(work: Work, ledger: Ledger) -> None:
    waiting = ledger.tasks.create({**ABOUT, "status": "pending", "user": "花子"})
    context = work(waiting.uuid)
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert (task.status, task.process_id) == ("running", os.getpid())
    assert task.created_at == waiting.created_at


def test_one_process_works_on_a_task_once(work: Work) -> None:
    context = work()
    for is_resumed in (False, True):
        with pytest.raises(Conflict, match="in this process already"):
            work(context.uuid, is_resumed=is_resumed)
    assert context.get_message_store().add_message("user", "still here").seq == 1


def test_two_processes_do_not_work_on_a_task(work: Work, ledger: Ledger) -> None:
    context = work()
    code = (
        "import sys; from daicho import Ledger, TaskContextManager\n"
        "with Ledger(sys.argv[1]) as ledger:\n"
        "    TaskContextManager('ABOUT', sys.argv[2], {}, is_resumed=True, ledger=ledger)"
    ).replace("'ABOUT'", repr(ABOUT))
    url = ledger.database.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", code, url, context.uuid], capture_output=True, text=True)
    assert "is being worked on by another process" in done.stderr
    assert context.heartbeat() is True


def test_a_task_is_about_one_thing(work: Work, ledger: Ledger) -> None:
    other = ledger.tasks.create({**ABOUT, "task_id": "43", "status": "pending"})
    with pytest.raises(Conflict, match="about something else"):
        work(other.uuid)


def test_a_uuid_that_is_none_is_said(work: Work) -> None:
    with pytest.raises(Invalid, match="task_uuid is not a UUID: 'issue-42'"):
        work("issue-42")


# -- who else acts on it ---------------------------------------------------------------------------------


def test_an_agent_hears_that_its_task_was_stopped(
    work: Work, ledger: Ledger, base_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = work()
    assert context.heartbeat() is True
    assert context.stop_requested is False
    ledger.tasks.stop(context.uuid, "cancelled by hand")
    assert context.heartbeat() is False
    assert context.stop_requested is True
    context.get_message_store().add_message("assistant", "my last words")
    with caplog.at_level(logging.WARNING):
        assert context.complete() is False
    assert "is stopped: it cannot become completed" in caplog.text
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert (task.status, task.error_message) == ("stopped", "cancelled by hand")
    assert place(base_dir, context.uuid) == ["completed"]


def test_the_heart_beats_by_itself_and_stops_with_the_work(
    work: Work, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    monkeypatch.setattr(module, "HEARTBEAT", timedelta(milliseconds=20))
    context = work()
    ledger.tasks.stop(context.uuid)
    assert context._stopped.wait(20)  # the event behind stop_requested
    hearts = [thread for thread in threading.enumerate() if thread.name == "daicho-heartbeat"]
    context.close()
    for heart in hearts:
        heart.join(20)
        assert not heart.is_alive()


def test_a_context_that_nobody_holds_lets_its_task_go(work: Work, ledger: Ledger, base_dir: Path) -> None:
    uuid = str(uuid4())
    config = Settings(context_storage={"base_dir": base_dir})
    TaskContextManager(ABOUT, uuid, config, ledger=ledger)
    again = work(uuid, is_resumed=True)  # the same process: the ledger lets it in
    assert again.get_message_store().last_seq == 0


# -- as a context ------------------------------------------------------------------------------------------


def test_leaving_the_context_completes_the_task(work: Work, ledger: Ledger) -> None:
    with work() as context:
        pass
    assert ledger.tasks.get_by_uuid(context.uuid).status == "completed"  # type: ignore[union-attr]


def test_what_was_decided_within_stays(work: Work, ledger: Ledger) -> None:
    with work() as context:
        context.stop("enough")
    assert ledger.tasks.get_by_uuid(context.uuid).status == "stopped"  # type: ignore[union-attr]
    with work() as other:
        other.pause()
    assert ledger.tasks.get_by_uuid(other.uuid).status == "paused"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("bad plan"), "failed", "ValueError: bad plan"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
    ],
)
def test_an_exception_that_leaves_ends_the_task(
    work: Work, ledger: Ledger, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), work() as context:
        raise error
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert (task.status, task.error_message) == (status, reason)


# -- where things are ----------------------------------------------------------------------------------------


def test_the_configuration_says_where_things_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {
        "database": {"type": "sqlite", "sqlite": {"path": "tasks.db"}},
        "context_storage": {"base_dir": "contexts"},
        "llm": {"provider": "openai", "openai": {"model": "gpt-5", "context_length": 128_000}},
        "github": {"owner": "someone else's section"},
    }
    uuid = str(uuid4())
    with TaskContextManager(ABOUT, uuid, config, "花子") as context:
        context.get_message_store().add_message("user", "x")
    with Ledger("sqlite:///contexts/tasks.db") as ledger:
        task = ledger.tasks.get_by_uuid(uuid)
    assert task is not None
    assert (task.llm_provider, task.model, task.context_length) == ("openai", "gpt-5", 128_000)
    assert TaskFiles(tmp_path / "contexts").messages(uuid).items


def test_the_environment_goes_before_the_configuration(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DAICHO_CONTEXTS", str(tmp_path / "elsewhere"))
    uuid = str(uuid4())
    config = {"database": {"sqlite": {"path": "not-this.db"}}, "context_storage": {"base_dir": "not-here"}}
    with TaskContextManager(ABOUT, uuid, config):
        assert place(tmp_path / "elsewhere", uuid) == ["running"]
    with Ledger(url) as ledger:
        assert ledger.tasks.get_by_uuid(uuid) is not None


def test_a_folder_that_cannot_be_made_leaves_the_ledger_as_it_was(
    work: Work, ledger: Ledger, base_dir: Path
) -> None:
    done = ledger.tasks.create({**ABOUT, "status": "completed"})
    base_dir.write_text("a file in the way")
    uuid = str(uuid4())
    with pytest.raises(Unavailable, match="contexts"):
        work(uuid)
    with pytest.raises(Unavailable, match="contexts"):
        work(done.uuid, is_resumed=True)
    assert ledger.tasks.get_by_uuid(uuid) is None
    assert ledger.tasks.get_by_uuid(done.uuid).status == "completed"  # type: ignore[union-attr]
    base_dir.unlink()
    assert work(uuid).get_message_store().add_message("user", "now").seq == 1


def test_a_claim_that_is_refused_leaves_no_folder(work: Work, ledger: Ledger, base_dir: Path) -> None:
    done = ledger.tasks.create({**ABOUT, "status": "completed"})
    with pytest.raises(Conflict, match="resume it"):
        work(done.uuid)
    assert place(base_dir, done.uuid) == []


def test_an_agent_that_changes_its_working_folder_goes_on(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    uuid = str(uuid4())
    relative = "sqlite:///ledger.db" if url.startswith("sqlite") else url
    with Ledger(relative) as ledger, TaskContextManager(ABOUT, uuid, {}, ledger=ledger) as context:
        context.get_message_store().add_message("user", "one")
        monkeypatch.chdir(tmp_path / "checkout")
        context.get_message_store().add_message("user", "two")
        context.get_summary_store().add_summary(1, 1, "s")
        assert [message.content for message in context.get_message_store().current()] == ["s", "two"]
        with Ledger(
            relative if relative != "sqlite:///ledger.db" else f"sqlite:///{tmp_path}/ledger.db"
        ) as same:
            assert same.tasks.get_by_uuid(uuid) is not None
    assert place(tmp_path / "contexts", uuid) == ["completed"]


def test_closing_an_unfinished_task_pauses_it(work: Work, ledger: Ledger, base_dir: Path) -> None:
    context = work()
    context.close()
    context.close()
    assert ledger.tasks.get_by_uuid(context.uuid).status == "paused"  # type: ignore[union-attr]
    assert place(base_dir, context.uuid) == ["paused"]


def test_a_task_that_someone_paused_meanwhile_is_not_completed(
    work: Work, ledger: Ledger, base_dir: Path
) -> None:
    with work() as context:
        ledger.tasks.update_status(context.uuid, "paused")
        assert context.heartbeat() is False  # the agent hears of it and leaves
    assert ledger.tasks.get_by_uuid(context.uuid).status == "paused"  # type: ignore[union-attr]
    assert place(base_dir, context.uuid) == ["paused"]


def test_going_on_after_a_pause_is_not_taken_for_being_stopped(work: Work) -> None:
    context = work()
    context.pause()
    assert context.heartbeat() is True  # of a period that is over
    assert context.update_status("running") is True
    assert context.heartbeat() is True


def test_what_cannot_be_stored_of_an_exception_does_not_hide_it(work: Work, ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="bad"), work() as context:
        raise ValueError("bad \x00 \ud800" + "x" * 100_000)
    task = ledger.tasks.get_by_uuid(context.uuid)
    assert task is not None
    assert task.status == "failed"
    assert (task.error_message or "").startswith("ValueError: bad � ?xxx")
    assert len(task.error_message or "") == 10_000


def test_a_ledger_that_has_gone_does_not_hide_the_exception(
    url: str, base_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(url)
    config = Settings(context_storage={"base_dir": base_dir})
    context = TaskContextManager(ABOUT, str(uuid4()), config, ledger=ledger)
    with pytest.raises(ValueError, match="the cause"), context:
        ledger.close()
        raise ValueError("the cause")
    assert "its end could not be recorded" in caplog.text


def test_a_forked_child_does_not_end_its_parents_task(work: Work, ledger: Ledger) -> None:
    context = work()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with context:  # as a library that forks in the middle of the work would leave it
                try:
                    context.get_message_store()
                except Conflict:
                    code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.tasks.get_by_uuid(context.uuid).status == "running"  # type: ignore[union-attr]
    assert context.get_message_store().add_message("user", "still here").seq == 1


AGENTS = """
import sys, time
from pathlib import Path
from daicho import Conflict, Ledger, Settings, TaskContextManager
url, base, uuid, number = sys.argv[1:]
config = Settings(context_storage={"base_dir": base})
with Ledger(url) as ledger:
    ledger.tasks.list()
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with TaskContextManager(ABOUT, uuid, config, is_resumed=True, ledger=ledger) as context:
            for n in range(20):
                context.get_message_store().add_message("assistant", f"{number}-{n}")
            print("worked", flush=True)
            sys.stdin.readline()
    except Conflict:
        print("refused", flush=True)
"""


def test_of_sibling_processes_that_take_a_task_up_together_one_gets_it(
    url: str, ledger: Ledger, base_dir: Path
) -> None:
    uuid = ledger.tasks.create({**ABOUT, "status": "pending"}).uuid
    code = AGENTS.replace("ABOUT", repr(ABOUT))
    siblings = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(base_dir), uuid, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for agent in siblings:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
    for agent in siblings:
        assert agent.stdin is not None
        agent.stdin.write("go\n")
        agent.stdin.flush()
    said = [agent.stdout.readline() for agent in siblings if agent.stdout is not None]
    assert sorted(said) == ["refused\n"] * 3 + ["worked\n"]
    for agent in siblings:
        agent.communicate("end\n", timeout=60)
    seqs = [line.record.seq for line in TaskFiles(base_dir).messages(uuid).items if line.record]
    assert seqs == list(range(1, 21))


def test_no_file_stays_open(work: Work) -> None:
    process = psutil.Process()
    for _ in range(3):
        with work() as context:
            context.get_message_store().add_message("user", "x")
    held = [file.path for file in process.open_files() if "contexts" in file.path]
    assert held == []
