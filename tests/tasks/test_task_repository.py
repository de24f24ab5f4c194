"""The repository of seed 001: its ten methods, and those beside them (test_task_repository.py)."""

import multiprocessing
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from daicho import Conflict, Invalid, Ledger, NotFound
from daicho.tasks.process import identity
from daicho.tasks.schemas import TaskStatus
from tests.faces import Faces
from tests.tasks.conftest import ABOUT

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ENDED = ["completed", "failed", "stopped"]


# -- the seed's table, on both databases and both faces --------------------------------------------------


def test_a_task_is_recorded_and_read(face: Faces) -> None:
    uuid = str(uuid4())
    task = face.tasks.create({**ABOUT, "uuid": uuid, "user": "華扇", "model": "gpt-5", "process_id": None})
    assert (task.uuid, task.status, task.user, task.model) == (uuid, "running", "華扇", "gpt-5")
    assert task.started_at == task.created_at
    assert task.completed_at is None
    read = face.tasks.get_by_uuid(uuid)
    assert read is not None
    assert read.values() == task.values()


def test_unknown_uuids_are_none_or_false_as_the_table_says(face: Faces) -> None:
    for uuid in (UNKNOWN, "nonsense", "'; DROP TABLE tasks; --", ""):
        assert face.tasks.get_by_uuid(uuid) is None
        assert face.tasks.update(uuid, {"model": "x"}) is None
        assert face.tasks.update_status(uuid, "running") is False
        assert face.tasks.update_statistics(uuid, llm_calls=1) is False
        assert face.tasks.update_statistics(uuid) is False
        assert face.tasks.complete(uuid) is False
        assert face.tasks.fail(uuid, "why") is False
        assert face.tasks.stop(uuid) is False
        assert face.tasks.resume(uuid) is False
        assert face.tasks.delete(uuid) is False
        assert face.tasks.heartbeat(uuid) is None


def test_columns_are_updated(face: Faces) -> None:
    uuid = face.tasks.create(ABOUT).uuid
    task = face.tasks.update(uuid, {"model": "claude", "context_length": 200_000, "user": "a"})
    assert task is not None
    assert (task.model, task.context_length, task.user, task.status) == ("claude", 200_000, "a", "running")
    done = face.tasks.update(uuid, {"status": "completed", "error_message": None})
    assert done is not None
    assert done.completed_at is not None
    assert face.tasks.get_by_uuid(uuid).values() == done.values()


@pytest.mark.parametrize(
    ("updates", "reason"),
    [
        ({"modle": "x"}, "did you mean 'model'"),
        ({"uuid": UNKNOWN}, "uuid cannot be changed"),
        ({"status": "done"}, "unknown status 'done'; known: pending, running"),
        ({"status": None}, "status cannot be empty"),
        ({"owner": None}, "owner cannot be empty"),
        ({"heartbeat_at": datetime(2026, 1, 1, tzinfo=UTC)}, "unknown name 'heartbeat_at'"),
        ({"process_identity": "x"}, "unknown name 'process_identity'"),
        ({"total_tokens": -1}, "total_tokens: -1 is negative"),
        ({"user": "x" * 256}, "at most 255 fit"),
    ],
)
def test_an_update_that_cannot_be_changes_nothing(
    one_ledger: Ledger, updates: dict[str, Any], reason: str
) -> None:
    task = one_ledger.tasks.create(ABOUT)
    with pytest.raises(Invalid, match=reason):
        one_ledger.tasks.update(task.uuid, {"model": "changed", **updates})
    assert one_ledger.tasks.get_by_uuid(task.uuid).values() == task.values()  # type: ignore[union-attr]


def test_transitions_set_the_times(face: Faces) -> None:
    uuid = face.tasks.create({**ABOUT, "status": "pending"}).uuid
    waiting = face.tasks.get_by_uuid(uuid)
    assert (waiting.started_at, waiting.completed_at) == (None, None)
    assert face.tasks.update_status(uuid, "running") is True
    started = face.tasks.get_by_uuid(uuid).started_at
    assert started is not None
    assert face.tasks.update_status(uuid, "paused") is True
    assert face.tasks.update_status(uuid, "running") is True
    assert face.tasks.complete(uuid) is True
    task = face.tasks.get_by_uuid(uuid)
    assert (task.status, task.started_at) == ("completed", started)
    assert task.completed_at >= started


@pytest.mark.parametrize("ended", ENDED)
def test_a_task_that_has_ended_goes_on_only_when_it_is_resumed(face: Faces, ended: str) -> None:
    uuid = face.tasks.create(ABOUT).uuid
    assert face.tasks.update_status(uuid, ended, "because") is True
    before = face.tasks.get_by_uuid(uuid)
    for status in TaskStatus:
        if status != ended:
            with pytest.raises(Conflict, match=f"is {ended}: it cannot become {status}"):
                face.tasks.update_status(uuid, status)
            with pytest.raises(Conflict):
                face.tasks.update(uuid, {"status": status, "model": "changed"})
    assert face.tasks.update_status(uuid, ended, "another reason") is True
    assert face.tasks.get_by_uuid(uuid).values() == before.values()
    assert face.tasks.resume(uuid) is True
    task = face.tasks.get_by_uuid(uuid)
    assert (task.status, task.completed_at, task.error_message) == ("running", None, None)
    assert task.started_at == before.started_at


def test_a_failure_keeps_its_reason(face: Faces) -> None:
    uuid = face.tasks.create(ABOUT).uuid
    assert face.tasks.fail(uuid, "テストが失敗しました") is True
    task = face.tasks.get_by_uuid(uuid)
    assert (task.status, task.error_message) == ("failed", "テストが失敗しました")


def test_an_unknown_status_is_invalid(one_ledger: Ledger) -> None:
    task = one_ledger.tasks.create(ABOUT)
    for wrong in ("done", "RUNNING ", "", "完了"):
        with pytest.raises(Invalid, match="unknown status"):
            one_ledger.tasks.update_status(task.uuid, wrong)
        with pytest.raises(Invalid, match="unknown status"):
            one_ledger.tasks.list_by_status(wrong)
        with pytest.raises(Invalid, match="unknown status"):
            one_ledger.tasks.create({**ABOUT, "status": wrong})


def test_statistics_add_up(face: Faces) -> None:
    uuid = face.tasks.create(ABOUT).uuid
    assert face.tasks.update_statistics(uuid, 1, 2, 300, 1) is True
    assert face.tasks.update_statistics(uuid, llm_calls=1, tokens=50) is True
    assert face.tasks.update_statistics(uuid) is True
    task = face.tasks.get_by_uuid(uuid)
    counts = (task.llm_call_count, task.tool_call_count, task.total_tokens, task.compression_count)
    assert counts == (2, 2, 350, 1)


def test_a_negative_statistic_and_one_too_large_are_invalid(face: Faces) -> None:
    uuid = face.tasks.create({**ABOUT, "total_tokens": 2**31 - 10}).uuid
    with pytest.raises(Invalid, match="tool_call_count: -1 is negative"):
        face.tasks.update_statistics(uuid, llm_calls=1, tool_calls=-1)
    with pytest.raises(Invalid, match="total_tokens: the sum would be more than 2,147,483,647"):
        face.tasks.update_statistics(uuid, tokens=10)
    with pytest.raises(Invalid, match="at most"):
        face.tasks.update_statistics(uuid, tokens=2**31)
    task = face.tasks.get_by_uuid(uuid)
    assert (task.llm_call_count, task.total_tokens) == (0, 2**31 - 10)


def test_lists_by_status_and_user_are_newest_first_and_bounded(face: Faces) -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    for number in range(7):
        face.tasks.create(
            {
                **ABOUT,
                "task_id": str(number),
                "user": "even" if number % 2 == 0 else "odd",
                "created_at": start + timedelta(minutes=number),
            }
        )
    ids = lambda tasks: [task.task_id for task in tasks]  # noqa: E731
    assert ids(face.tasks.list_by_status("running")) == list("6543210")
    assert ids(face.tasks.list_by_status("running", limit=2, offset=1)) == ["5", "4"]
    assert ids(face.tasks.list_by_status("failed")) == []
    assert ids(face.tasks.list_by_user("even", 2, 1)) == ["4", "2"]
    assert ids(face.tasks.list_by_user("nobody")) == []
    assert isinstance(face.tasks.list_by_user("odd"), list)
    for limit, offset in ((0, 0), (1001, 0), (10, -1), (10, 2**63)):
        with pytest.raises(Invalid):
            face.tasks.list_by_user("odd", limit, offset)


def test_a_deleted_task_is_gone(face: Faces) -> None:
    uuid = face.tasks.create(ABOUT).uuid
    assert face.tasks.delete(uuid) is True
    assert face.tasks.get_by_uuid(uuid) is None
    assert face.tasks.delete(uuid) is False


# -- twice, and by several ------------------------------------------------------------------------------


def test_creating_twice_changes_nothing(face: Faces) -> None:
    data = {**ABOUT, "uuid": str(uuid4()), "user": "first"}
    first = face.tasks.create(data)
    face.tasks.complete(first.uuid)
    again = face.tasks.create({**data, "user": "second"})
    assert (again.user, again.status) == ("first", "completed")
    with pytest.raises(Conflict, match="about something else"):
        face.tasks.create({**data, "task_id": "43"})


@pytest.mark.parametrize("name", ["task_source", "owner", "repo", "task_type", "task_id"])
def test_a_task_must_say_what_it_is_about(one_ledger: Ledger, name: str) -> None:
    with pytest.raises(Invalid, match=f"{name} is missing"):
        one_ledger.tasks.create({key: value for key, value in ABOUT.items() if key != name})


def add(url: str, uuid: str, times: int) -> None:
    with Ledger(url) as ledger:
        for _ in range(times):
            assert ledger.tasks.update_statistics(uuid, llm_calls=1, tool_calls=2, tokens=3, compressions=1)


def test_32_workers_lose_nothing(ledger: Ledger, url: str) -> None:
    uuid = ledger.tasks.create(ABOUT).uuid
    processes = [
        multiprocessing.get_context("spawn").Process(target=work, args=(url, uuid, 8, 10)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    task = ledger.tasks.get_by_uuid(uuid)
    assert task is not None
    counts = (task.llm_call_count, task.tool_call_count, task.total_tokens, task.compression_count)
    assert counts == (320, 640, 960, 320)


def work(url: str, uuid: str, threads: int, times: int) -> None:
    """Several threads of one process, each with a ledger of its own."""
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(add, url, uuid, times) for _ in range(threads)]:
            done.result()


def test_of_many_that_end_a_task_differently_one_wins(ledger: Ledger) -> None:
    uuid = ledger.tasks.create(ABOUT).uuid
    together = threading.Barrier(9)
    won: list[str] = []

    def end(status: str) -> None:
        together.wait()
        try:
            assert ledger.tasks.update_status(uuid, status, f"{status} it is")
            won.append(status)
        except Conflict:
            pass

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(end, ENDED * 3))
    task = ledger.tasks.get_by_uuid(uuid)
    assert task is not None
    assert set(won) == {task.status}
    assert task.error_message == f"{task.status} it is"


def test_of_many_that_claim_a_task_one_gets_it(ledger: Ledger) -> None:
    uuid = ledger.tasks.create({**ABOUT, "status": "pending"}).uuid
    together = threading.Barrier(8)

    def claim(number: int) -> bool:
        together.wait()
        # Other machines, so that none of them can be looked up here.
        data = {**ABOUT, "uuid": uuid, "process_id": 100 + number, "hostname": f"host-{number}"}
        try:
            return ledger.tasks.claim(data, resume=True).process_id == 100 + number
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


# -- what Daicho adds -----------------------------------------------------------------------------------


def test_the_list_filters_and_goes_on_by_cursor(face: Faces) -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    for number in range(10):
        face.tasks.create(
            {
                **ABOUT,
                "task_source": "gitlab" if number < 3 else "github",
                "repo": "ledger" if number % 2 else "console",
                "task_id": str(number),
                "user": "花子",
                "created_at": start + timedelta(minutes=number // 2),
            }
        )
    seen: list[str] = []
    cursor = None
    while True:
        page = face.tasks.list(limit=3, cursor=cursor)
        seen += [task.task_id for task in page]
        if (cursor := page.next) is None:
            break
    assert sorted(seen) == list("0123456789")
    assert [int(one) // 2 for one in seen] == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    count = lambda **wanted: len(face.tasks.list(**wanted))  # noqa: E731
    assert count(task_source="gitlab") == 3
    assert count(owner="daicho", repo="console") == 5
    assert count(repo="console", task_source="gitlab") == 2
    assert count(user="花子", status="running", task_type="issue") == 10
    assert count(task_id="7") == 1
    assert count(since=start + timedelta(minutes=2), until=start + timedelta(minutes=4)) == 4
    assert count(user="太郎") == 0


def test_a_task_is_found_by_the_beginning_of_its_uuid(face: Faces) -> None:
    first = face.tasks.create({**ABOUT, "uuid": "abcd1234-0000-4000-8000-000000000001"}).uuid
    face.tasks.create({**ABOUT, "uuid": "abcd5678-0000-4000-8000-000000000001"})
    assert face.tasks.find("abcd1").uuid == first
    assert face.tasks.find(first.upper()).uuid == first
    assert face.tasks.find("abcd1234-00").uuid == first
    with pytest.raises(Invalid, match="begins several"):
        face.tasks.find("abcd")
    with pytest.raises(Invalid, match="at least four"):
        face.tasks.find("abc")
    for nothing in ("abce", "xyzw", "abcd1234-0000-4000-8000-0000000000011"):
        with pytest.raises(NotFound):
            face.tasks.find(nothing)


def test_several_operations_in_one_transaction(face: Faces, ledger: Ledger) -> None:
    with pytest.raises(Conflict), ledger.begin() as tx:
        task = tx.tasks.create(ABOUT)
        tx.tasks.complete(task.uuid)
        tx.tasks.update_status(task.uuid, "running")
    assert len(ledger.tasks.list()) == 0


# -- who works on a task --------------------------------------------------------------------------------


def own(**more: Any) -> dict[str, Any]:
    return {**ABOUT, "process_id": os.getpid(), "hostname": socket.gethostname(), **more}


def gone_pid() -> int:
    """The number of a process that has ended."""
    process = multiprocessing.get_context("spawn").Process()
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def test_a_task_whose_process_has_ended_is_reaped(face: Faces) -> None:
    pid = gone_pid()
    dead = face.tasks.create({**ABOUT, "process_id": pid, "hostname": socket.gethostname()}).uuid
    alive = face.tasks.create(own()).uuid
    nobody = face.tasks.create(ABOUT).uuid
    elsewhere = face.tasks.create({**ABOUT, "process_id": pid, "hostname": "another-host"}).uuid
    paused = face.tasks.create({**ABOUT, "process_id": pid, "hostname": socket.gethostname()}).uuid
    face.tasks.update_status(paused, "paused")
    assert [one.task.uuid for one in face.tasks.reap(dry_run=True)] == [dead]
    assert face.tasks.get_by_uuid(dead).status == "running"
    reaped = face.tasks.reap()
    assert [(one.task.uuid, one.reason.en) for one in reaped] == [(dead, f"its process {pid} has ended")]
    task = face.tasks.get_by_uuid(dead)
    assert (task.status, task.error_message) == ("failed", f"its process {pid} has ended")
    assert task.completed_at is not None
    assert {face.tasks.get_by_uuid(uuid).status for uuid in (alive, nobody, elsewhere)} == {"running"}
    assert face.tasks.reap() == []


def test_a_process_number_that_another_process_has_now_is_not_taken_for_it(ledger: Ledger) -> None:
    task = ledger.tasks.create(own())
    assert task.process_identity is not None
    scope, _, started = task.process_identity.rpartition("/")
    former = f"{scope}/{int(started) - 1}"
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE tasks SET process_identity = '{former}'")
    (reaped,) = ledger.tasks.reap()
    assert reaped.reason.en == f"its process {os.getpid()} has ended; another one has the number now"


def test_a_row_of_an_older_program_counts_as_reused_if_the_process_began_after_it(ledger: Ledger) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    row = own(created_at=long_ago, started_at=long_ago)
    made = ledger.tasks.create(row)
    ledger.tasks.adopt([{**row, "uuid": str(uuid4()), "status": "running"}])
    recent = ledger.tasks.create(own())
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET process_identity = NULL")
    reaped = ledger.tasks.reap()
    assert len(reaped) == 2
    assert made.uuid in {one.task.uuid for one in reaped}
    assert all("another one has the number now" in one.reason.en for one in reaped)
    assert ledger.tasks.get_by_uuid(recent.uuid).status == "running"  # type: ignore[union-attr]


def test_processes_that_start_together_are_told_apart() -> None:
    starts = [multiprocessing.get_context("spawn").Process() for _ in range(2)]
    numbers = []
    for process in starts:
        process.start()
        assert process.pid is not None
        numbers.append(identity(process.pid))
    assert all(
        number is None or f"/{process.pid}/" in number
        for number, process in zip(numbers, starts, strict=True)
    )
    for process in starts:
        process.join()
    mine = identity(os.getpid())
    assert mine is not None
    assert f"/{os.getpid()}/" in mine


def test_a_number_that_nobody_has_here_may_be_a_containers_whose_heart_beats(ledger: Ledger) -> None:
    uuid = ledger.tasks.create({**ABOUT, "process_id": gone_pid(), "hostname": socket.gethostname()}).uuid
    ledger.tasks.heartbeat(uuid)
    assert ledger.tasks.reap() == []
    assert len(ledger.tasks.reap(stale_after=timedelta(microseconds=1))) == 1


def test_the_word_of_a_former_holder_does_not_count(face: Faces) -> None:
    mine = {**own(), "uuid": str(uuid4())}
    first = face.tasks.claim(mine)
    assert face.tasks.heartbeat(mine["uuid"], claim=first.claim) == "running"
    face.tasks.stop(mine["uuid"])
    second = face.tasks.claim({**mine, "process_id": 1, "hostname": "another-host"}, resume=True)
    assert second.claim != first.claim
    assert face.tasks.heartbeat(mine["uuid"], claim=first.claim) is None
    for status in ("completed", "paused", "running"):
        with pytest.raises(Conflict, match="in the hands of another process"):
            face.tasks.update_status(mine["uuid"], status, claim=first.claim)
    assert face.tasks.update_status(mine["uuid"], "completed", claim=second.claim) is True


def test_a_task_that_goes_on_after_a_long_pause_is_not_reaped_for_it(ledger: Ledger) -> None:
    task = ledger.tasks.claim({**ABOUT, "uuid": str(uuid4()), "process_id": 7, "hostname": "another-host"})
    ledger.tasks.update_status(task.uuid, "paused")
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET heartbeat_at = '2020-01-01 00:00:00'")
    ledger.tasks.update_status(task.uuid, "running")
    assert ledger.tasks.reap() == []


@pytest.mark.parametrize("number", [1.5, "3", None, True])
def test_a_statistic_that_is_no_whole_number_is_invalid(one_ledger: Ledger, number: Any) -> None:
    task = one_ledger.tasks.create(ABOUT)
    with pytest.raises(Invalid, match="total_tokens"):
        one_ledger.tasks.update_statistics(task.uuid, tokens=number)


def test_the_end_of_an_ended_task_stays_known(one_ledger: Ledger) -> None:
    task = one_ledger.tasks.create(ABOUT)
    one_ledger.tasks.complete(task.uuid)
    with pytest.raises(Invalid, match="completed_at cannot be empty"):
        one_ledger.tasks.update(task.uuid, {"completed_at": None})


def test_a_live_process_is_not_reaped_however_old_its_heartbeat(ledger: Ledger) -> None:
    uuid = ledger.tasks.claim({**own(), "uuid": str(uuid4())}).uuid
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET heartbeat_at = '2020-01-01 00:00:00'")
    assert ledger.tasks.reap(stale_after=timedelta(0)) == []
    assert ledger.tasks.heartbeat(uuid) == "running"


def test_elsewhere_the_heartbeat_decides(face: Faces) -> None:
    there = {**ABOUT, "process_id": 7, "hostname": "another-host"}
    task = face.tasks.claim({**there, "uuid": str(uuid4())})
    assert task.heartbeat_at is not None
    assert face.tasks.reap() == []
    assert face.tasks.reap(stale_after=timedelta(days=-1)) != []
    task = face.tasks.get_by_uuid(task.uuid)
    assert task.status == "failed"
    assert "no sign of life" in task.error_message
    assert "another-host" in task.error_message


def test_a_heartbeat_hears_that_the_task_was_stopped(face: Faces) -> None:
    uuid = face.tasks.create(own()).uuid
    assert face.tasks.heartbeat(uuid) == "running"
    beaten = face.tasks.get_by_uuid(uuid).heartbeat_at
    assert beaten is not None
    assert face.tasks.stop(uuid, "by hand") is True
    assert face.tasks.heartbeat(uuid) == "stopped"
    assert face.tasks.get_by_uuid(uuid).heartbeat_at == beaten


def test_a_task_is_taken_over_only_from_a_process_that_is_gone(face: Faces) -> None:
    mine = {**own(), "uuid": str(uuid4())}
    face.tasks.claim(mine)
    other = {**mine, "process_id": 1, "hostname": "another-host"}
    with pytest.raises(Conflict, match="is running already; resume it"):
        face.tasks.claim(other)
    with pytest.raises(Conflict, match=f"is being worked on by process {os.getpid()}"):
        face.tasks.claim(other, resume=True)
    with pytest.raises(Conflict, match="is being worked on"):
        face.tasks.resume(mine["uuid"], process_id=1, hostname="another-host")
    face.tasks.update(mine["uuid"], {"process_id": gone_pid()})
    taken = face.tasks.claim({**other, "model": "another-model"}, resume=True)
    assert (taken.process_id, taken.hostname, taken.model) == (1, "another-host", "another-model")


def test_a_statement_given_as_a_value_stays_a_value(face: Faces) -> None:
    hostile = "'; DROP TABLE tasks; --"
    uuid = face.tasks.create({**ABOUT, "user": hostile, "owner": hostile}).uuid
    assert [task.uuid for task in face.tasks.list_by_user(hostile)] == [uuid]
    assert len(face.tasks.list(owner=hostile)) == 1
