"""Calls over HTTP, against a real server on both databases."""

import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from daicho import Ledger, migrations
from tests.postgres import Cluster
from tests.serving import Running, running

pytestmark = pytest.mark.in_turns

API = "/api/v1/calls"


def test_a_call_from_its_beginning_to_its_end(server: Running) -> None:
    with server.client() as client:
        started = client.post(
            API, json={"call_id": "call-1", "client_id": "c", "caller_number": "03-0000-0001"}
        )
        assert started.status_code == 201
        assert started.json()["ended_at"] is None
        line = {"role": "USER", "text": "予約をお願いします", "state": "booking", "message_id": "m-1"}
        first = client.post(f"{API}/call-1/logs", json=line)
        assert (first.status_code, first.json()["role"]) == (201, "user")
        assert client.post(f"{API}/call-1/logs", json=line).json() == first.json()
        more = [{"role": "ai", "text": str(n)} for n in range(3)]
        batch = client.post(f"{API}/call-1/logs/batch", json=more)
        assert (batch.status_code, batch.json()) == (201, {"appended": 3})
        assert client.get(f"{API}/call-1").json()["current_state"] == "booking"
        texts = [log["text"] for log in client.get(f"{API}/call-1/transcript").json()["items"]]
        assert texts == ["予約をお願いします", "0", "1", "2"]
        hits = client.get("/api/v1/search/calls", params={"q": "予約を"}).json()["items"]
        assert [(hit["call"]["call_id"], hit["log"]["id"]) for hit in hits] == [
            ("call-1", first.json()["id"])
        ]
        moved = client.post(f"{API}/call-1/transfer", json={"summary": "金曜"}).json()
        assert (moved["is_transferred"], moved["handover_summary"]) == (True, "金曜")
        ended = client.post(f"{API}/call-1/complete").json()
        assert ended["ended_at"] is not None
        assert client.post(f"{API}/call-1/complete", json={"state": "x"}).json() == ended
        assert client.delete(f"{API}/call-1").status_code == 204
        assert client.get(f"{API}/call-1").status_code == 404
        assert client.delete(f"{API}/call-1").status_code == 404


def test_calls_are_listed_in_pages_and_by_what_is_asked(server: Running) -> None:
    with server.client() as client:
        for n in range(5):
            client.post(API, json={"call_id": f"call-{n}", "client_id": f"c{n % 2}", "state": "x"})
        client.post(f"{API}/call-0/complete")
        page = client.get(API, params={"limit": 3}).json()
        rest = client.get(API, params={"limit": 3, "cursor": page["next"]}).json()
        assert [call["call_id"][-1] for call in page["items"] + rest["items"]] == list("43210")
        assert rest["next"] is None

        def ids(**filters: str) -> str:
            return "".join(call["call_id"][-1] for call in client.get(API, params=filters).json()["items"])

        assert ids(client_id="c1") == "31"
        assert ids(live="false") == "0"
        assert ids(live="true", client_id="c0") == "42"
        assert ids(state="completed") == "0"
        assert ids(transferred="true") == ""
        assert ids(since="2999-01-01T00:00:00Z") == ""
        assert ids(until="2999-01-01T00:00:00+09:00") == "43210"


@pytest.mark.parametrize(
    "call_id", ["電話 1", "a/b", "a/b/transcript-1", "x?y=1", "50%", "#1", "..", "a+b", "search"]
)
def test_a_call_is_found_under_whatever_name_it_has(server: Running, call_id: str) -> None:
    path = f"{API}/{quote(call_id, safe='')}"
    if call_id == "..":
        path = f"{API}/%2E%2E"
    with server.client() as client:
        assert client.post(API, json={"call_id": call_id, "client_id": "c"}).status_code == 201
        if call_id == "..":
            return  # clients shorten such a path themselves; the list and the console still show it
        assert client.post(f"{path}/logs", json={"role": "ai", "text": "x"}).status_code == 201
        assert client.get(path).json()["call_id"] == call_id
        assert len(client.get(f"{path}/transcript").json()["items"]) == 1
        assert client.delete(path).status_code == 204


def test_a_line_of_ten_megabytes_arrives_whole(server: Running) -> None:
    text = "予約🍣" * 1_000_000
    with server.client() as client:
        client.post(API, json={"call_id": "call-1", "client_id": "c"})
        body = json.dumps({"role": "user", "text": text}, ensure_ascii=False).encode()
        assert len(body) > 10_000_000
        headers = {"Content-Type": "application/json"}
        assert client.post(f"{API}/call-1/logs", content=body, headers=headers).status_code == 201
        assert client.get(f"{API}/call-1/transcript").json()["items"][0]["text"] == text


def test_a_batch_with_a_bad_line_leaves_nothing(server: Running) -> None:
    with server.client() as client:
        client.post(API, json={"call_id": "call-1", "client_id": "c"})
        lines = [{"role": "ai", "text": "good"}, {"role": "ai", "text": "bad\x00"}]
        answer = client.post(f"{API}/call-1/logs/batch", json=lines)
        assert (answer.status_code, "line 2" in answer.json()["detail"]) == (422, True)
        assert client.get(f"{API}/call-1/transcript").json()["items"] == []


def events(response: httpx.Response) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Each event of a stream: its kind, its id and its data."""
    kind, number, data = "", "", ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            number = value
        elif name == "data":
            data = value
        elif line == "" and data:
            yield kind, number, json.loads(data)
            kind, number, data = "", "", ""


def test_a_live_call_is_followed_to_its_end_while_another_process_writes(server: Running, url: str) -> None:
    with Ledger(url) as ledger, server.client() as client:
        ledger.calls.start("call-1", "c")
        ledger.calls.append_log("call-1", "user", "0", state="a")
        with client.stream("GET", f"{API}/call-1/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = events(response)
            assert next(stream)[2]["text"] == "0"
            assert next(stream)[0] == "call"

            def write() -> None:
                for n in range(1, 50):
                    ledger.calls.append_log("call-1", "ai", str(n), state="a")
                ledger.calls.complete("call-1")

            writer = threading.Thread(target=write)
            writer.start()
            rest = list(stream)
            writer.join()
        assert [data["text"] for kind, _, data in rest if kind == "log"] == [str(n) for n in range(1, 50)]
        assert rest[-1][0] == "end"
        assert rest[-1][2]["ended_at"] is not None


def test_a_follower_that_comes_back_misses_nothing_and_sees_nothing_twice(server: Running, url: str) -> None:
    with Ledger(url) as ledger, server.client() as client:
        ledger.calls.start("call-1", "c")

        def write() -> None:
            for number in range(60):
                ledger.calls.append_log("call-1", "ai", str(number), state="a")
            ledger.calls.complete("call-1")

        writer = threading.Thread(target=write)
        writer.start()
        seen: list[str] = []
        last, ended = "0", False
        while not ended:
            with client.stream("GET", f"{API}/call-1/events", headers={"Last-Event-ID": last}) as response:
                for kind, number_of, data in events(response):
                    ended = kind == "end"
                    if kind == "log":
                        seen.append(str(data["text"]))
                        last = number_of
                        if len(seen) % 7 == 0:
                            break  # the connection goes, in the middle of things
        writer.join()
        assert seen == [str(number) for number in range(60)]


def test_a_stream_ends_when_its_call_is_deleted(
    server: Running, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with Ledger(url) as ledger, server.client() as client:
        ledger.calls.start("call-1", "c")
        with client.stream("GET", f"{API}/call-1/events") as response:
            stream = events(response)
            assert next(stream)[0] == "call"
            ledger.calls.delete("call-1")
            assert list(stream) == []
        assert client.get(f"{API}/call-1/events").status_code == 404
    assert capfd.readouterr().err == ""


def test_a_stream_outlives_an_outage_of_the_database() -> None:
    cluster = Cluster()
    try:
        with Ledger(cluster.url()) as ledger:
            migrations.run(ledger.database, "upgrade", "head")
            ledger.calls.start("call-1", "c")
        with (
            running(cluster.url()) as server,
            server.client() as client,
            client.stream("GET", f"{API}/call-1/events") as response,
        ):
            stream = events(response)
            assert next(stream)[0] == "call"
            cluster.stop()
            health = client.get("/health")
            assert (health.status_code, str(cluster.port) in health.text) == (503, False)
            cluster.start()
            with Ledger(cluster.url()) as ledger:
                ledger.calls.append_log("call-1", "ai", "again", state="a")
                ledger.calls.complete("call-1")
            kinds = [kind for kind, _, _ in stream]
            # A look between the line and the end of the call tells of the call twice.
            assert kinds in (["log", "call", "end"], ["log", "call", "call", "end"])
    finally:
        cluster.close()


def test_a_reader_that_leaves_in_the_middle_of_a_line_is_no_failure(
    one_server: Running, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with Ledger(sqlite_url) as ledger, one_server.client() as client:
        ledger.calls.start("call-1", "c")
        for _ in range(4):
            ledger.calls.append_log("call-1", "ai", "x" * 5_000_000, state="a")
        for _ in range(3):
            with client.stream("GET", f"{API}/call-1/events") as response:
                next(response.iter_raw())
        assert client.get(f"{API}/call-1").status_code == 200
    assert capfd.readouterr().err == ""


def test_following_an_unknown_call_is_not_found(server: Running) -> None:
    with server.client() as client:
        assert client.get(f"{API}/nowhere/events").status_code == 404


def test_the_api_describes_itself_with_examples(server: Running) -> None:
    with server.client() as client:
        described = client.get("/api/openapi.json").json()
    assert f"{API}/{{call_id}}/events" in described["paths"]
    operation = described["paths"][f"{API}/{{call_id}}"]["get"]
    assert [next(iter(way)) for way in operation["security"]] == ["HTTPBearer"]
    assert described["components"]["schemas"]["StartIn"]["properties"]["call_id"]["examples"] == ["call-123"]
    assert "application/problem+json" in operation["responses"]["404"]["content"]
    events_of = described["paths"][f"{API}/{{call_id}}/events"]["get"]["responses"]["200"]
    assert list(events_of["content"]) == ["text/event-stream"]
