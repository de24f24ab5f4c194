"""Tasks over HTTP, on both databases."""

import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from daicho import Ledger, Settings, TaskContextManager
from tests.serving import Running, running
from tests.tasks.conftest import ABOUT

pytestmark = pytest.mark.in_turns

API = "/api/v1/tasks"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def client(url: str, base_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of a server whose tasks have their folders in ``base_dir``."""
    monkeypatch.setenv("DAICHO_CONTEXTS", str(base_dir))
    with running(url) as server, server.client() as client:
        yield client


def test_a_task_from_its_beginning_to_its_end(client: httpx.Client) -> None:
    made = client.post(API, json={**ABOUT, "user": "花子", "model": "gpt-5"})
    assert (made.status_code, made.json()["status"]) == (201, "running")
    uuid = made.json()["uuid"]
    assert client.post(f"{API}/{uuid}/statistics", json={"llm_calls": 1, "tokens": 30}).status_code == 204
    assert client.patch(f"{API}/{uuid}", json={"context_length": 8000}).json()["context_length"] == 8000
    assert client.post(f"{API}/{uuid}/heartbeat").json() == {"status": "running"}
    assert client.post(f"{API}/{uuid}/status", json={"status": "paused"}).json()["status"] == "paused"
    assert client.post(f"{API}/{uuid}/resume").json()["status"] == "running"
    done = client.post(f"{API}/{uuid}/complete").json()
    assert (done["status"], done["total_tokens"], done["llm_call_count"]) == ("completed", 30, 1)
    assert client.get(f"{API}/{uuid}").json() == done
    conflict = client.post(f"{API}/{uuid}/status", json={"status": "running"})
    assert conflict.status_code == 409
    assert "unless it is resumed" in conflict.json()["detail"]
    failed = client.post(f"{API}/{uuid}/fail", json={"error_message": "no"})
    assert failed.status_code == 409
    assert client.delete(f"{API}/{uuid}").status_code == 204
    assert client.get(f"{API}/{uuid}").status_code == 404


def test_recording_twice_is_recording_once(client: httpx.Client) -> None:
    task = {**ABOUT, "uuid": str(uuid4())}
    first = client.post(API, json=task)
    assert client.post(API, json={**task, "user": "other"}).json() == first.json()
    assert client.post(API, json={**task, "task_id": "43"}).status_code == 409
    assert len(client.get(API).json()["items"]) == 1


def test_the_list_filters_and_pages(client: httpx.Client) -> None:
    for number in range(5):
        about = {**ABOUT, "task_id": str(number), "user": f"user-{number % 2}"}
        client.post(API, json={**about, "status": "pending" if number else "running"})
    first = client.get(API, params={"limit": 3}).json()
    rest = client.get(API, params={"limit": 3, "cursor": first["next"]}).json()
    assert [task["task_id"] for task in first["items"] + rest["items"]] == list("43210")
    assert rest["next"] is None
    assert len(client.get(API, params={"user": "user-1"}).json()["items"]) == 2
    assert len(client.get(API, params={"status": "pending", "owner": "daicho"}).json()["items"]) == 4
    assert client.get(API, params={"status": "done"}).status_code == 422
    assert client.get(API, params={"cursor": "rubbish"}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"model": "x"}),
        ("DELETE", "", None),
        ("POST", "/status", {"status": "running"}),
        ("POST", "/statistics", {"tokens": 1}),
        ("POST", "/complete", None),
        ("POST", "/fail", {"error_message": "x"}),
        ("POST", "/stop", None),
        ("POST", "/resume", None),
        ("POST", "/heartbeat", None),
        ("GET", "/messages", None),
        ("GET", "/current", None),
        ("GET", "/summaries", None),
        ("GET", "/tools", None),
    ],
)
def test_an_unknown_task_is_not_found(one_server: Running, method: str, path: str, body: object) -> None:
    with one_server.client() as client:
        for uuid in (UNKNOWN, "nonsense", "..%2F..%2Fetc"):
            answer = client.request(method, f"{API}/{uuid}{path}", json=body)
            assert answer.status_code == 404, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {}),
        ("POST", "", {**ABOUT, "owner": "o" * 256}),
        ("POST", "", {**ABOUT, "uuid": "no"}),
        ("POST", "", {**ABOUT, "created_at": "2026-11-21T00:00:00"}),
        ("POST", "", {**ABOUT, "heartbeat_at": None}),
        ("PATCH", "/{uuid}", {"uuid": UNKNOWN}),
        ("PATCH", "/{uuid}", {"owner": None}),
        ("PATCH", "/{uuid}", {"modle": "x"}),
        ("POST", "/{uuid}/status", {"status": "done"}),
        ("POST", "/{uuid}/statistics", {"tokens": -1}),
        ("POST", "/{uuid}/statistics", {"tokens": 2**31}),
        ("GET", "/{uuid}/messages?limit=0", None),
        ("GET", "/{uuid}/messages?cursor=-1", None),
    ],
)
def test_what_cannot_be_is_invalid(one_server: Running, method: str, path: str, body: object) -> None:
    with one_server.client() as client:
        uuid = client.post(API, json=ABOUT).json()["uuid"]
        answer = client.request(method, f"{API}{path.replace('{uuid}', uuid)}", json=body)
        assert answer.status_code == 422, answer.text


def test_the_files_are_read_in_pages_and_followed(client: httpx.Client, url: str, base_dir: Path) -> None:
    uuid = str(uuid4())
    config = Settings(context_storage={"base_dir": base_dir})
    with Ledger(url) as ledger, TaskContextManager(ABOUT, uuid, config, ledger=ledger) as context:
        store = context.get_message_store()
        for number in range(1, 6):
            store.add_message("user", f"メッセージ {number}")
        context.get_tool_store().add_tool_call("ls", {"path": "."}, ["a", "b"])
        context.get_summary_store().add_summary(1, 3, "要約", 30, 3)
        newest = client.get(f"{API}/{uuid}/messages", params={"limit": 2, "newest_first": True}).json()
        assert [line["record"]["seq"] for line in newest["items"]] == [5, 4]
        older = client.get(
            f"{API}/{uuid}/messages", params={"newest_first": True, "cursor": newest["next"]}
        ).json()
        assert [line["record"]["content"] for line in older["items"]] == [
            f"メッセージ {n}" for n in (3, 2, 1)
        ]
        assert older["next"] is None
        store.add_message("assistant", "new")
        added = client.get(f"{API}/{uuid}/messages", params={"cursor": newest["end"]}).json()
        assert [line["record"]["content"] for line in added["items"]] == ["new"]
        current = client.get(f"{API}/{uuid}/current").json()["items"]
        assert [line["record"]["content"] for line in current] == [
            "要約",
            "メッセージ 4",
            "メッセージ 5",
            "new",
        ]
        assert client.get(f"{API}/{uuid}/tools").json()["items"][0]["record"]["result"] == ["a", "b"]
        assert client.get(f"{API}/{uuid}/summaries").json()["items"][0]["record"]["ratio"] == 0.1
    assert len(client.get(f"{API}/{uuid}/messages").json()["items"]) == 6  # its folder has moved meanwhile


def test_a_task_without_a_folder_has_no_lines(client: httpx.Client) -> None:
    uuid = client.post(API, json=ABOUT).json()["uuid"]
    assert client.get(f"{API}/{uuid}/messages").json() == {"items": [], "next": None, "end": 0}


def test_stopping_tells_the_agent_and_moves_the_folder_where_there_is_none(
    client: httpx.Client, url: str, base_dir: Path
) -> None:
    config = Settings(context_storage={"base_dir": base_dir})
    with Ledger(url) as ledger:
        context = TaskContextManager(ABOUT, str(uuid4()), config, ledger=ledger)
        stopped = client.post(f"{API}/{context.uuid}/stop", json={"error_message": "by hand"}).json()
        assert (stopped["status"], stopped["error_message"]) == ("stopped", "by hand")
        assert context.folder == base_dir / "running" / context.uuid  # the agent still writes there
        assert context.heartbeat() is False
        context.close()
        left = TaskContextManager(ABOUT, str(uuid4()), config, ledger=ledger)
        left.close()
        ledger.tasks.update(left.uuid, {"process_id": 2**22 + 1, "hostname": socket.gethostname()})
        client.post(f"{API}/{left.uuid}/stop")
        assert left.folder == base_dir / "completed" / left.uuid
