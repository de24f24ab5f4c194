"""Chat logs over HTTP, against a real server, wherever they are kept."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from daicho import Ledger
from daicho.chats.stream import Place
from daicho.core.errors import Invalid
from tests.dynalite import Dynalite
from tests.processes import python
from tests.serving import TOKEN, Running, running

pytestmark = pytest.mark.in_turns

API = "/api/v1/chats"
SESSION = "discord:123:456"
HERE = f"{API}/{quote(SESSION, safe='')}"
START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture
def server(place_url: str) -> Iterator[Running]:
    """A server whose chat logs are in each of the places."""
    with running(place_url) as running_server:
        yield running_server


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def one(one_server: Running) -> Iterator[httpx.Client]:
    """A client, where the place makes no difference."""
    with one_server.client() as client:
        yield client


def said(content: str, seconds: float | None = None, **more: Any) -> dict[str, Any]:
    """A message, said some seconds after ``START``."""
    when = {} if seconds is None else {"timestamp": (START + timedelta(seconds=seconds)).isoformat()}
    return {"role": "user", "content": content, **when, **more}


def made(answer: httpx.Response) -> Any:
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, *told: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for text in told:
        assert text in answer.json()["detail"]


def contents(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [message["content"] for message in answer.json()["items"]]


def from_elsewhere(content: str, seconds: float | None = None) -> None:
    """Append a message in another process."""
    when = "None" if seconds is None else f"datetime.fromisoformat({said('', seconds)['timestamp']!r})"
    program = (
        "from datetime import datetime\n"
        "from daicho import Ledger\n"
        f"with Ledger() as ledger: ledger.chats.append({SESSION!r}, 'user', {content!r}, timestamp={when})"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_session_from_its_first_message_to_its_end(client: httpx.Client) -> None:
    assert client.get(HERE).status_code == 404
    assert client.get(f"{HERE}/messages").json() == {"items": [], "next": None}
    first = said("予約をお願いします🍣", 0, author="hanako", message_id="m-1", details={"channel": [1, None]})
    stored = made(client.post(f"{HERE}/messages", json=first))
    assert stored == {**first, "session_id": SESSION, "timestamp": "2026-11-21T08:00:00Z"}
    assert made(client.post(f"{HERE}/messages", json=said("sent again", 9, message_id="m-1"))) == stored
    answer = {
        "role": "assistant",
        "content": "何時にいたしましょうか",
        "timestamp": "2026-11-21T17:00:00+09:00",
    }
    beside = made(client.post(f"{HERE}/messages", json=answer))
    assert beside["timestamp"] == "2026-11-21T08:00:00.000001Z"
    assert (beside["author"], beside["details"], len(beside["message_id"]) > 0) == (None, None, True)
    unsaid = made(client.post(f"{HERE}/messages", json=said("now")))
    assert datetime.fromisoformat(unsaid["timestamp"]) > START
    session = client.get(HERE).json()
    assert session == {
        "session_id": SESSION,
        "first_at": stored["timestamp"],
        "last_at": unsaid["timestamp"],
        "messages": 3,
    }
    assert client.get(f"{HERE}/messages").json()["items"] == [stored, beside, unsaid]
    gone = client.delete(HERE)
    assert gone.status_code == 204, gone.text
    refused(client.get(HERE), 404, SESSION)
    refused(client.delete(HERE), 404, SESSION)
    assert contents(client.get(f"{HERE}/messages")) == []


def test_an_idempotency_key_is_a_messages_name(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "k-1"}
    stored = made(client.post(f"{HERE}/messages", json=said("one"), headers=key))
    assert stored["message_id"] == "k-1"
    assert made(client.post(f"{HERE}/messages", json=said("again"), headers=key)) == stored
    assert made(client.post(f"{HERE}/messages", json=said("again", message_id="k-1"), headers=key)) == stored
    refused(client.post(f"{HERE}/messages", json=said("x", message_id="k-2"), headers=key), 422, "one name")
    refused(client.post(f"{HERE}/messages", json=[said("x")], headers=key), 422, "message_id")
    too_long = {"Idempotency-Key": "k" * 65}
    refused(client.post(f"{HERE}/messages", json=said("x"), headers=too_long), 422, "idempotency-key")
    assert contents(client.get(f"{HERE}/messages")) == ["one"]


def test_many_messages_come_at_once_and_twice_adds_nothing(client: httpx.Client) -> None:
    many = [said(str(number), number, message_id=f"m-{number}") for number in range(5)]
    assert made(client.post(f"{HERE}/messages", json=many)) == {"added": 5, "existing": 0}
    assert made(client.post(f"{HERE}/messages", json=[*many, said("5", 5)])) == {"added": 1, "existing": 5}
    assert contents(client.get(f"{HERE}/messages")) == list("012345")
    assert made(client.post(f"{HERE}/messages", json=[])) == {"added": 0, "existing": 0}
    elsewhere = [{**message, "session_id": f"support:{number % 2}"} for number, message in enumerate(many)]
    assert made(client.post(API, json=elsewhere)) == {"added": 5, "existing": 0}
    assert made(client.post(API, json=elsewhere)) == {"added": 0, "existing": 5}
    assert contents(client.get(f"{API}/support%3A1/messages")) == ["1", "3"]


def test_of_many_messages_with_a_bad_one_none_is_taken(client: httpx.Client) -> None:
    bad = client.post(f"{HERE}/messages", json=[said("good"), said("bad\x00")])
    refused(bad, 422, "message 2", "NUL")
    wrong = client.post(f"{HERE}/messages", json=[said("good"), {"role": "user", "text": "x"}])
    refused(wrong, 422, "body[1].content", "body[1].text")
    unnamed = client.post(API, json=[{**said("good"), "session_id": SESSION}, said("of no session")])
    refused(unnamed, 422, "body[1].session_id")
    assert client.get(API).json() == {"items": [], "next": None}


def test_messages_are_read_in_pages_either_way_and_between_instants(client: httpx.Client) -> None:
    many = [said(str(number), number) for number in range(7)]
    made(client.post(f"{HERE}/messages", json=many))

    def read(**chosen: Any) -> str:
        texts: list[str] = []
        while True:
            answer = client.get(f"{HERE}/messages", params=chosen)
            assert len(answer.json()["items"]) <= chosen.get("limit", 200)
            texts += contents(answer)
            if answer.json()["next"] is None:
                return "".join(texts)
            chosen["cursor"] = answer.json()["next"]

    assert read() == "0123456"
    assert read(limit=3) == "0123456"
    assert read(limit=2, newest_first=True) == "6543210"
    assert read(after=many[2]["timestamp"]) == "3456"
    assert read(before=many[2]["timestamp"]) == "01"
    assert read(after=many[1]["timestamp"], before=many[5]["timestamp"], newest_first=True, limit=1) == "432"
    assert read(after="2026-11-21T17:00:04+09:00") == "56"


def test_sessions_are_listed_newest_first_and_by_what_is_asked(client: httpx.Client) -> None:
    names = ["support:1", "discord:1:%_", "discord:1:2", "日本語/会話"]
    for number, name in enumerate(names):
        path = f"{API}/{quote(name, safe='')}/messages"
        made(client.post(path, json=[said("a", number * 60), said("b", number * 60 + 5)]))

    def listed(**chosen: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = client.get(API, params=chosen).json()
            found += [session["session_id"] for session in page["items"]]
            if page["next"] is None:
                return found
            chosen["cursor"] = page["next"]

    assert listed() == names[::-1]
    assert listed(limit=1) == names[::-1]
    assert listed(prefix="discord:") == ["discord:1:2", "discord:1:%_"]
    assert listed(prefix="discord:1:%") == ["discord:1:%_"]
    assert listed(prefix="日本") == ["日本語/会話"]
    assert listed(prefix="nobody") == []
    assert listed(since=said("", 125)["timestamp"]) == ["日本語/会話", "discord:1:2"]
    assert listed(since="2026-11-21T17:02:06+09:00") == ["日本語/会話"]
    newest = client.get(API, params={"limit": 1}).json()["items"][0]
    assert (newest["first_at"], newest["last_at"]) == ("2026-11-21T08:03:00Z", "2026-11-21T08:03:05Z")


NAMES = (
    *("会話 1", "a/b", "a/messages/b", "a/messages-1", "x?y=1"),
    *("50%25", "#1", "a+b", "discord:1:2", "messages"),
)


def test_a_session_is_found_under_whatever_name_it_has(one: httpx.Client) -> None:
    for name in NAMES:
        path = f"{API}/{quote(name, safe='')}"
        assert made(one.post(f"{path}/messages", json=said("x", 0)))["session_id"] == name
        assert one.get(path).json()["session_id"] == name
        assert contents(one.get(f"{path}/messages")) == ["x"]
        with one.stream("GET", f"{path}/events") as response:
            assert next(events(response))[1]["session_id"] == name
        assert one.delete(path).status_code == 204


def test_no_request_reaches_another_session_than_it_seems_to(one_server: Running, sqlite_url: str) -> None:
    """``DELETE /chats/x/messages`` might be meant for the messages of ``x``."""
    with Ledger(sqlite_url) as ledger, one_server.client() as client:
        for name in ("x", "x/messages", "x/events"):
            ledger.chats.append(name, "user", name)
        for end in ("messages", "events"):
            for answer in (
                client.delete(f"{API}/x/{end}"),
                client.delete(f"{API}/x%2F{end}"),
                client.get(f"{API}/x%2F{end}/messages"),
                client.get(f"{API}/x%2F{end}/events"),
                client.post(f"{API}/x%2F{end}/messages", json=said("y")),
            ):
                refused(answer, 422, f"x/{end}: no path can name", "daicho chats")
            many = [{**said("y"), "session_id": name} for name in ("x", f"x/{end}")]
            refused(client.post(API, json=many), 422, f"message 2: x/{end}: no path can name")
        assert contents(client.get(f"{API}/x/messages")) == ["x"]
        assert len(ledger.chats.sessions()) == 3


WRONG_QUESTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    (API, {"limit": 0}, "query.limit"),
    (API, {"limit": 1001}, "query.limit"),
    (API, {"since": "2026-11-21T00:00:00"}, "query.since"),
    (API, {"cursor": "nonsense"}, "cursor"),
    (API, {"prefix": "x" * 251}, "query.prefix"),
    (f"{HERE}/messages", {"limit": 0}, "query.limit"),
    (f"{HERE}/messages", {"before": "yesterday"}, "query.before"),
    (f"{HERE}/messages", {"after": "2026-11-21T00:00:00"}, "query.after"),
    (f"{HERE}/messages", {"after": "0001-01-01T00:00:00+09:00"}, "years 1 to 9999"),
    (f"{HERE}/messages", {"newest_first": "perhaps"}, "query.newest_first"),
    (f"{HERE}/messages", {"cursor": "nonsense"}, "cursor"),
    (f"{HERE}/events", {"after": "soon"}, "query.after"),
    (f"{HERE}/events", {"after": "0001-01-01T00:00:00+09:00"}, "years 1 to 9999"),
    (f"{API}/{'x' * 251}", {}, "path.session_id"),
    (f"{API}/a%00b", {}, "NUL"),
    (f"{API}/a%09b", {}, "control character"),
)


def test_what_cannot_be_asked_is_told(client: httpx.Client) -> None:
    for path, params, told in WRONG_QUESTIONS:
        refused(client.get(path, params=params), 422, told)


WHEN = "body.timestamp: should be a time with its zone"
WRONG_MESSAGES: tuple[tuple[object, str], ...] = (
    ({"content": "x"}, "body.role"),
    ({"role": "user"}, "body.content"),
    ({"role": "", "content": "x"}, "body.role"),
    ({"role": " ", "content": "x"}, "role is empty"),
    ({"role": "r" * 33, "content": "x"}, "body.role"),
    ({"role": "user", "content": 5}, "body.content"),
    ({"role": "user", "content": "x", "author": "a" * 256}, "body.author"),
    ({"role": "user", "content": "x", "message_id": ""}, "body.message_id"),
    ({"role": "user", "content": "x", "message_id": "m" * 65}, "body.message_id"),
    ({"role": "user", "content": "x", "timestamp": "2026-11-21T00:00:00"}, "body.timestamp"),
    ({"role": "user", "content": "x", "timestamp": 1763713105}, WHEN),
    ({"role": "user", "content": "x", "timestamp": 1763713105.5}, WHEN),
    ({"role": "user", "content": "x", "timestamp": " 1763713105 "}, WHEN),
    ({"role": "user", "content": "x", "timestamp": "1969-12-31T23:59:59Z"}, "outside the years 1970 to 9998"),
    ({"role": "user", "content": "x", "text": "y"}, "body.text"),
    ({"role": "user", "content": "x\x00"}, "content has a NUL"),
    ({"role": "user", "content": "x", "details": {"a": "\x00"}}, "details has a NUL"),
    ([5], "body[0]: should be a JSON object"),
    ("hello", "body: send a JSON object or an array of them"),
    (5, "body: send a JSON object or an array of them"),
)


def test_a_message_that_cannot_be_right_is_told_by_its_place(one: httpx.Client) -> None:
    for message, told in WRONG_MESSAGES:
        refused(one.post(f"{HERE}/messages", json=message), 422, told)
    lines = b'{"role": "user", "content": "x"}\n{"role": "user", "content": "y"}\n'
    sent = one.post(f"{HERE}/messages", content=lines, headers={"Content-Type": "application/x-ndjson"})
    refused(sent, 422, "body: send a JSON object or an array of them")
    alone = {**said("x"), "session_id": SESSION}
    refused(one.post(API, json=alone), 422, "body: send a JSON array of messages")
    in_japanese = one.post(API, json=alone, headers={"Accept-Language": "ja"})
    refused(in_japanese, 422, "body: メッセージの JSON 配列を application/json で送ってください")
    assert one.get(HERE).status_code == 404


def test_what_is_too_much_is_refused(one: httpx.Client) -> None:
    refused(one.post(f"{HERE}/messages", json=[said("x")] * 10_001), 422, "body")
    refused(one.post(API, json=[{**said("x"), "session_id": SESSION}] * 10_001), 422, "body")
    refused(one.post(f"{HERE}/messages", json=said("x" * 21_000_000)), 413, "20,971,520")
    as_json = {"Content-Type": "application/json"}
    refused(one.post(f"{HERE}/messages", content=b"{", headers=as_json), 422, "JSON")
    text = "予約🍣" * 1_000_000
    body = json.dumps(said(text, 0), ensure_ascii=False).encode()
    made(one.post(f"{HERE}/messages", content=body, headers=as_json))
    assert contents(one.get(f"{HERE}/messages")) == [text]


def test_what_dynamodb_cannot_hold_is_refused_with_its_size(table: object, sqlite_url: str) -> None:
    with running(sqlite_url) as server, server.client() as client:
        refused(client.post(f"{HERE}/messages", json=said("x" * 500_000)), 422, "500,", "400 KB")
        many = client.post(f"{HERE}/messages", json=[said("fits"), said("x" * 500_000)])
        refused(many, 422, "400 KB")
        assert contents(client.get(f"{HERE}/messages")) == []


def test_while_dynamodb_is_away_the_answer_is_to_come_again(
    table: object, sqlite_url: str, dynamodb: Dynalite
) -> None:
    with running(sqlite_url) as server, server.client() as client:
        made(client.post(f"{HERE}/messages", json=said("kept", 0)))
        dynamodb.kill()
        try:
            for answer in (
                client.get(API, timeout=60),
                client.get(f"{HERE}/events", timeout=60),
                client.post(f"{HERE}/messages", json=said("lost"), timeout=60),
            ):
                refused(answer, 503, dynamodb.endpoint)
                assert "Retry-After" in answer.headers
            assert client.get("/api/v1/calls").status_code == 200
        finally:
            dynamodb.start()
        assert contents(client.get(f"{HERE}/messages")) == ["kept"]


def test_a_stream_outlives_an_outage_of_dynamodb(table: object, sqlite_url: str, dynamodb: Dynalite) -> None:
    with running(sqlite_url) as server, server.client() as client:
        made(client.post(f"{HERE}/messages", json=said("before", 0)))
        with client.stream("GET", f"{HERE}/events", timeout=60) as response:
            stream = events(response)
            assert next(stream)[1]["content"] == "before"
            dynamodb.kill()
            try:
                refused(client.get(API, timeout=60), 503)
            finally:
                dynamodb.start()
            made(client.post(f"{HERE}/messages", json=said("after", 1)))
            assert next(stream)[1]["content"] == "after"


ROUTES = (
    ("GET", API),
    ("POST", API),
    ("GET", HERE),
    ("DELETE", HERE),
    ("GET", f"{HERE}/messages"),
    ("POST", f"{HERE}/messages"),
    ("GET", f"{HERE}/events"),
)


def test_nobody_but_the_operator_reads_or_writes_chats(one_server: Running, sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.chats.append(SESSION, "user", "private")
        tenant = ledger.usage.create_tenant("acme").id
        keys = {ledger.usage.create_key(tenant, scope).key: 403 for scope in ("ingest", "read", "admin")}
    for token, status in {None: 401, "wrong": 401, TOKEN[:-1]: 401, **keys}.items():
        with one_server.client(token) as client:
            for method, path in ROUTES:
                answer = client.request(method, path, json=said("mine") if method == "POST" else None)
                refused(answer, status)
                assert "private" not in answer.text
    with one_server.client() as client:
        assert contents(client.get(f"{HERE}/messages")) == ["private"]


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each message of a stream: its event's id and its data."""
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    number, data = "", ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            assert value == "message"
        elif name == "id":
            number = value
        elif name == "data":
            data = value
        elif line == "" and data:
            yield number, json.loads(data)
            number, data = "", ""


def test_a_session_is_followed_while_another_process_writes_late_ones_too(client: httpx.Client) -> None:
    with client.stream("GET", f"{HERE}/events") as response:
        stream = events(response)
        from_elsewhere("first", 0)  # the session begins here
        number, message = next(stream)
        assert (number, message["content"]) == (f"{int(START.timestamp() * 1_000_000)}.1", "first")
        assert message == client.get(f"{HERE}/messages").json()["items"][0]
        made(client.post(f"{HERE}/messages", json=said("second", 8)))
        assert next(stream)[1]["content"] == "second"
        from_elsewhere("late", 3)
        number, message = next(stream)
        assert (message["content"], message["timestamp"]) == ("late", "2026-11-21T08:00:03Z")
        assert Place.read(number) == Place(START + timedelta(seconds=8), 3)
        made(client.post(f"{HERE}/messages", json=said("third", 9)))
        assert next(stream)[1]["content"] == "third"


def test_a_reader_gets_what_is_there_in_order_and_then_what_comes(client: httpx.Client) -> None:
    count = 510  # more than a page
    many = [said(str(number), number / 100) for number in range(count)]
    made(client.post(f"{HERE}/messages", json=many))
    with client.stream("GET", f"{HERE}/events") as response:
        stream = events(response)
        assert [next(stream)[1]["content"] for _ in many] == [str(number) for number in range(count)]
        made(client.post(f"{HERE}/messages", json=said("late", 4.0005)))
        assert next(stream)[1]["content"] == "late"
        made(client.post(f"{HERE}/messages", json=said("more", 20)))
        assert next(stream)[1]["content"] == "more"
    with client.stream("GET", f"{HERE}/events", params={"after": many[count - 3]["timestamp"]}) as response:
        stream = events(response)
        assert [next(stream)[1]["content"] for _ in range(3)] == [str(count - 2), str(count - 1), "more"]


def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(client: httpx.Client) -> None:
    seen: list[str] = []
    headers: dict[str, str] = {}
    for written in range(0, 40, 5):
        made(client.post(f"{HERE}/messages", json=[said(str(written + number)) for number in range(5)]))
        wanted = 40 if written == 35 else len(seen) + 4
        with client.stream("GET", f"{HERE}/events", headers=headers) as response:
            for number, message in events(response):
                seen.append(message["content"])
                headers = {"Last-Event-ID": number}
                if len(seen) == wanted:
                    break  # the connection goes, in the middle of things
    assert seen == [str(number) for number in range(40)]


def test_a_message_that_comes_late_while_the_reader_is_away_is_not_missed(client: httpx.Client) -> None:
    made(client.post(f"{HERE}/messages", json=[said("long ago", -60), said("a", 0), said("b", 5)]))
    with client.stream("GET", f"{HERE}/events") as response:
        stream = events(response)
        last = [next(stream) for _ in range(3)][-1][0]
    made(client.post(f"{HERE}/messages", json=said("late", 3)))
    made(client.post(f"{HERE}/messages", json=said("next", 7)))
    for place, told in (
        (last, ["a", "late", "b", "next"]),  # which of them is new, nobody can tell
        (last.partition(".")[0], ["next"]),  # who says an instant only has all up to then
        (str(Place(START + timedelta(seconds=7), 4)), []),
    ):
        with client.stream("GET", f"{HERE}/events", headers={"Last-Event-ID": place}) as response:
            stream = events(response)
            assert [next(stream)[1]["content"] for _ in told] == told
            made(client.post(f"{HERE}/messages", json=said("end", 8)))
            assert next(stream)[1]["content"] == "end"


def test_a_reader_of_very_many_goes_on_from_the_newest(
    one: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.chats.following.KEPT", 20)
    made(one.post(f"{HERE}/messages", json=[said(str(number), number / 100) for number in range(60)]))
    with one.stream("GET", f"{HERE}/events") as response:
        stream = events(response)
        told = [next(stream) for _ in range(60)]
    assert [message["content"] for _, message in told] == [str(number) for number in range(60)]
    last = told[-1][0]
    assert last == str(Place(START + timedelta(seconds=0.59), 20, START + timedelta(seconds=0.39)))
    made(one.post(f"{HERE}/messages", json=said("too late", 0.385)))
    for late in ([], ["late"]):
        made(one.post(f"{HERE}/messages", json=[said(text, 0.395) for text in late]))
        again = [*late, *(str(number) for number in range(40, 60))] if late else []
        with one.stream("GET", f"{HERE}/events", headers={"Last-Event-ID": last}) as response:
            stream = events(response)
            assert [next(stream)[1]["content"] for _ in again] == again
            made(one.post(f"{HERE}/messages", json=said("end", 0.6 + len(late) / 10)))
            assert "end" in {next(stream)[1]["content"] for _ in range(1 + len(late))}


BAD_IDS = ("x", "", "1.", "1.x", "1.2.", "1.2.x", "-", "１", "9" * 18, "-62135596800000000", "1 2")


def test_an_event_id_that_is_none_is_told(one: httpx.Client) -> None:
    for text in BAD_IDS:
        with pytest.raises(Invalid):
            Place.read(text)
        refused(one.get(f"{HERE}/events", headers={b"Last-Event-ID": text.encode()}), 422, "Last-Event-ID")
    for text in ("1", "1.2", "1.2.3", "-1.2"):
        assert str(Place.read(text)) == text


def test_a_reader_that_leaves_is_no_failure(one: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        made(one.post(f"{HERE}/messages", json=said("x" * 5_000_000, number)))
    for _ in range(3):
        with one.stream("GET", f"{HERE}/events") as response:
            next(response.iter_raw())
    assert one.get(HERE).status_code == 200
    assert capfd.readouterr().err == ""


def test_the_api_describes_itself_with_examples(one: httpx.Client) -> None:
    described = one.get("/api/openapi.json").json()
    append = described["paths"][f"{API}/{{session_id}}/messages"]["post"]
    assert set(append["requestBody"]["content"]["application/json"]["examples"]) == {"one", "several"}
    assert append["tags"] == ["chats"]
    events_of = described["paths"][f"{API}/{{session_id}}/events"]["get"]["responses"]["200"]
    assert list(events_of["content"]) == ["text/event-stream"]
    assert (
        "application/problem+json"
        in described["paths"][f"{API}/{{session_id}}"]["get"]["responses"]["404"]["content"]
    )
