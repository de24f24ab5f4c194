"""Guilds over HTTP, against a real server on both databases."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import Running

pytestmark = pytest.mark.in_turns

API = "/api/v1/guilds"
GUILD, OTHER = 2**63 - 1, 2**53 + 1
"""Ids that no JavaScript number holds: they would come out as 9223372036854775808 and 9007199254740992."""
USER, MODERATOR, CHANNEL = 555_666_777_000_000_001, 999_888_777_000_000_003, 2**60 + 1
HERE, THERE = f"{API}/{GUILD}", f"{API}/{OTHER}"
TICKET = {"channel_id": str(CHANNEL), "user_id": str(USER), "title": "サーバーエラー"}
TRACK = {
    "title": "A",
    "artist": "B",
    "url": "https://example.com/a",
    "duration": 212,
    "requested_by": str(USER),
}
LOG = {"log_type": "message_delete", "action": "Message Deleted", "user_id": str(USER)}
UNKNOWN = 2**62


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def one(one_server: Running) -> Iterator[httpx.Client]:
    """A client, where the database makes no difference."""
    with one_server.client() as client:
        yield client


def made(answer: httpx.Response) -> Any:
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, *told: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for text in told:
        assert text in answer.json()["detail"]


def test_a_ticket_from_its_opening_to_its_end(client: httpx.Client) -> None:
    ticket = made(client.post(f"{HERE}/tickets", json={**TICKET, "description": "ログインできません"}))
    path = f"{HERE}/tickets/{ticket['id']}"
    assert {name: ticket[name] for name in ("guild_id", "channel_id", "user_id", "assigned_to")} == {
        "guild_id": str(GUILD),
        "channel_id": str(CHANNEL),
        "user_id": str(USER),
        "assigned_to": None,
    }
    assert (ticket["category"], ticket["priority"], ticket["status"]) == ("general", 2, "open")
    assert client.get(path).json() == ticket
    taken = client.patch(
        path, json={"assigned_to": str(MODERATOR), "priority": "high", "status": "in_progress"}
    )
    assert taken.json() == {**ticket, "assigned_to": str(MODERATOR), "priority": 3, "status": "in_progress"}
    assert client.patch(path, json={"assigned_to": None, "priority": 4}).json()["assigned_to"] is None
    closed = client.post(f"{path}/close").json()
    assert (closed["status"], closed["closed_at"] is not None, closed["priority"]) == ("closed", True, 4)
    assert client.post(f"{path}/close").json() == closed == client.get(path).json()
    assert client.patch(path, json={"status": "open"}).json()["closed_at"] is None


def test_a_tickets_messages_are_read_in_pages_either_way(client: httpx.Client) -> None:
    ticket = made(client.post(f"{HERE}/tickets", json=TICKET))["id"]
    path = f"{HERE}/tickets/{ticket}/messages"
    for number in range(5):
        message = {"user_id": str(USER), "message_id": str(OTHER + number), "content": f"メッセージ {number}"}
        first = made(client.post(path, json=message))
        assert first["message_id"] == str(OTHER + number)
        assert made(client.post(path, json={**message, "content": "sent again"})) == first
    made(client.post(path, json={"user_id": 0, "content": "closed", "is_system_message": True}))
    pages = [client.get(path, params={"limit": 4}).json()]
    pages.append(client.get(path, params={"limit": 4, "cursor": pages[0]["next"]}).json())
    texts = [message["content"] for page in pages for message in page["items"]]
    assert texts == [*(f"メッセージ {number}" for number in range(5)), "closed"]
    assert pages[1]["next"] is None
    newest = client.get(path, params={"newest_first": True}).json()["items"]
    assert [message["content"] for message in newest] == texts[::-1]
    assert newest[0]["is_system_message"] is True


def test_tickets_are_filtered_paged_and_counted(client: httpx.Client) -> None:
    for number in range(6):
        ticket = {**TICKET, "title": str(number), "created_at": f"2026-11-2{number}T00:00:00Z"}
        ticket |= {"priority": 1 + number % 4, "category": "technical" if number < 2 else "other"}
        ticket["user_id"] = str(USER + number % 2)
        made(client.post(f"{HERE}/tickets", json=ticket))
    made(client.post(f"{THERE}/tickets", json={**TICKET, "title": "elsewhere"}))

    def titles(**chosen: Any) -> str:
        return "".join(one["title"] for one in client.get(f"{HERE}/tickets", params=chosen).json()["items"])

    numbers = [one["id"] for one in client.get(f"{HERE}/tickets").json()["items"]]
    client.post(f"{HERE}/tickets/{numbers[0]}/close")
    client.patch(
        f"{HERE}/tickets/{numbers[1]}", json={"status": "in_progress", "assigned_to": str(MODERATOR)}
    )
    assert titles() == "543210"
    assert titles(status="open") == "3210"
    assert titles(status=["closed", "in_progress"]) == "54"
    assert titles(user_id=str(USER + 1)) == "531"
    assert titles(assigned_to=MODERATOR) == "4"
    assert titles(category="technical") == "10"
    assert titles(priority="low") == titles(priority=1) == "40"
    assert titles(since="2026-11-22T00:00:00Z", until="2026-11-24T09:00:00+09:00") == "32"
    page = client.get(f"{HERE}/tickets", params={"limit": 4}).json()
    assert titles(cursor=page["next"]) == "10"
    assert client.get(f"{HERE}/tickets/statistics").json() == {
        "status_distribution": {"open": 4, "in_progress": 1, "closed": 1},
        "priority_distribution": {"1": 2, "2": 2, "3": 1, "4": 1},
        "total_tickets": 6,
    }
    assert client.get(f"{API}/{UNKNOWN}/tickets").json() == {"items": [], "next": None}


def test_another_guilds_things_are_not_found_under_a_guilds_path(client: httpx.Client) -> None:
    ticket = made(client.post(f"{HERE}/tickets", json=TICKET))["id"]
    track = made(client.post(f"{HERE}/tracks", json=TRACK))["id"]
    entry = made(client.post(f"{HERE}/queue", json={"track_id": track, "added_by": str(USER)}))["id"]
    client.put(f"{THERE}/session", json={"voice_channel_id": str(CHANNEL), "text_channel_id": str(CHANNEL)})
    message = {"user_id": str(USER), "content": "x"}
    for method, path, body in (
        ("GET", f"tickets/{ticket}", None),
        ("PATCH", f"tickets/{ticket}", {"title": "taken"}),
        ("POST", f"tickets/{ticket}/close", None),
        ("GET", f"tickets/{ticket}/messages", None),
        ("POST", f"tickets/{ticket}/messages", message),
        ("GET", f"tracks/{track}", None),
        ("POST", "queue", {"track_id": track, "added_by": str(USER)}),
        ("DELETE", f"queue/{entry}", None),
        ("POST", f"queue/{entry}/move", {"position": 1}),
        ("PATCH", "session", {"current_track_id": track, "is_paused": True}),
    ):
        refused(client.request(method, f"{THERE}/{path}", json=body), 404, "no such")
    assert client.get(f"{HERE}/tickets/{ticket}").json()["status"] == "open"
    assert client.get(f"{HERE}/tickets/{ticket}/messages").json()["items"] == []
    assert client.get(f"{THERE}/session").json()["is_paused"] is False  # all of a change, or nothing of it
    assert len(client.get(f"{HERE}/queue").json()["items"]) == 1


def test_logs_come_one_by_one_or_many_at_once(client: httpx.Client) -> None:
    details = {"content": "こんにちは", "attachments": [], "id": 2**53 + 1}
    one = made(client.post(f"{HERE}/logs", json={**LOG, "details": details, "channel_id": str(CHANNEL)}))
    assert (one["details"], one["channel_id"], one["moderator_id"]) == (details, str(CHANNEL), None)
    as_text = made(client.post(f"{HERE}/logs", json={**LOG, "details": json.dumps(details)}))
    assert as_text["details"] == details
    assert made(client.post(f"{HERE}/logs", json={**LOG, "details": "no JSON"}))["details"] == "no JSON"
    ban = {"log_type": "member_ban", "action": "Banned", "moderator_id": str(MODERATOR)}
    many = made(client.post(f"{HERE}/logs", json=[{**ban, "request_id": f"ban-{n}"} for n in range(3)]))
    assert [log["log_type"] for log in many] == ["member_ban"] * 3
    again = made(client.post(f"{HERE}/logs", json=[{**ban, "request_id": f"ban-{n}"} for n in range(4)]))
    assert again[:3] == many
    refused(client.post(f"{HERE}/logs", json=[ban, {**ban, "log_type": "x"}]), 422, "body[1].log_type")
    assert made(client.post(f"{HERE}/logs", json=[])) == []

    def found(**chosen: Any) -> int:
        return len(client.get(f"{HERE}/logs", params=chosen).json()["items"])

    assert found() == 7
    assert found(log_type="member_ban") == found(moderator_id=MODERATOR) == 4
    assert found(log_type=["member_ban", "message_delete"]) == 7
    assert found(channel_id=CHANNEL) == 1
    assert found(user_id=str(USER)) == 3
    assert found(until="2026-01-01T00:00:00Z") == found(since="2999-01-01T00:00:00Z") == 0
    page = client.get(f"{HERE}/logs", params={"limit": 5}).json()
    assert found(cursor=page["next"]) == 2


def test_what_is_sent_twice_under_one_key_is_there_once(client: httpx.Client) -> None:
    track = made(client.post(f"{HERE}/tracks", json=TRACK))["id"]
    for path, body, other in (
        (f"{HERE}/tickets", TICKET, {**TICKET, "title": "x"}),
        (f"{HERE}/logs", LOG, {**LOG, "action": "x"}),
        (f"{HERE}/queue", {"track_id": track, "added_by": str(USER)}, {"track_id": track, "added_by": 1}),
        (f"{API}/avatars", {"user_id": str(USER), "history_type": "avatar_change"}, None),
    ):
        key = {"Idempotency-Key": "the same"}
        first = made(client.post(path, json=body, headers=key))
        assert made(client.post(path, json=other or body, headers=key)) == first
        assert made(client.post(path, json=body, headers={"Idempotency-Key": "another"})) != first
        refused(client.post(path, json=body, headers={"Idempotency-Key": "x" * 65}), 422, "idempotency-key")
    refused(client.post(f"{HERE}/logs", json=[LOG], headers=key), 422, "request_id")
    assert client.get(f"{API}/avatars/{USER}").json()["statistics"]["total_avatar_changes"] == 2


def test_settings_are_changed_or_replaced(client: httpx.Client) -> None:
    refused(client.get(f"{HERE}/settings"), 404, str(GUILD))
    changed = client.patch(f"{HERE}/settings", json={"log_channel_id": str(CHANNEL), "prefix": "?"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["guild_id"], changed.json()["log_channel_id"]) == (str(GUILD), str(CHANNEL))
    kept = client.patch(f"{HERE}/settings", json={"auto_role_id": str(OTHER)}).json()
    assert (kept["prefix"], kept["log_channel_id"], kept["auto_role_id"]) == ("?", str(CHANNEL), str(OTHER))
    replaced = client.put(f"{HERE}/settings", json={"features_enabled": "tickets"}).json()
    assert (replaced["prefix"], replaced["log_channel_id"]) == ("!", None)
    assert replaced["features_enabled"] == "tickets"
    assert client.get(f"{HERE}/settings").json() == replaced
    refused(client.patch(f"{HERE}/settings", json={"prefix": None}), 422, "prefix")


def test_guilds_are_listed_at_a_glance(client: httpx.Client) -> None:
    made(client.post(f"{HERE}/tickets", json=TICKET))
    made(client.post(f"{THERE}/logs", json=LOG))
    first = client.get(API, params={"limit": 1}).json()
    rest = client.get(API, params={"cursor": first["next"]}).json()
    assert [one["settings"]["guild_id"] for one in first["items"] + rest["items"]] == [str(OTHER), str(GUILD)]
    assert (first["items"][0]["open_tickets"], first["items"][0]["last_log_at"] is None) == (0, False)
    assert rest["items"][0] == client.get(HERE).json()
    assert (rest["items"][0]["open_tickets"], rest["items"][0]["playing"]) == (1, None)
    refused(client.get(f"{API}/{UNKNOWN}"), 404, "no such guild")


def test_music_from_the_first_track_to_silence(client: httpx.Client) -> None:
    tracks = [made(client.post(f"{HERE}/tracks", json={**TRACK, "title": title})) for title in "ABCD"]
    assert tracks[0]["requested_by"] == str(USER)
    assert client.get(f"{HERE}/tracks/{tracks[1]['id']}").json() == tracks[1]
    assert len(client.get(f"{HERE}/tracks", params={"limit": 3}).json()["items"]) == 3
    refused(client.get(f"{HERE}/session"), 404, "no such music session")
    where = {"voice_channel_id": str(CHANNEL), "text_channel_id": str(OTHER)}
    session = client.put(f"{HERE}/session", json=where).json()
    assert (session["voice_channel_id"], session["is_paused"], session["loop_mode"]) == (
        str(CHANNEL),
        False,
        "none",
    )
    for track in tracks[:3]:
        made(client.post(f"{HERE}/queue", json={"track_id": track["id"], "added_by": str(USER)}))
    new = {"track_id": tracks[3]["id"], "added_by": str(USER), "position": 1}
    entry = made(client.post(f"{HERE}/queue", json=new))
    assert (entry["position"], entry["track"]) == (1, tracks[3])

    def queue() -> str:
        items = client.get(f"{HERE}/queue").json()["items"]
        assert [item["position"] for item in items] == list(range(1, len(items) + 1))
        return "".join(item["track"]["title"] for item in items)

    assert queue() == "DABC"
    assert client.post(f"{HERE}/queue/{entry['id']}/move", json={"position": 99}).status_code == 204
    assert queue() == "ABCD"
    assert client.delete(f"{HERE}/queue/{entry['id']}").status_code == 204
    assert queue() == "ABC"
    taken = client.post(f"{HERE}/queue/next").json()
    assert (taken["track"], taken["entry"]["position"], queue()) == (tracks[0], 1, "BC")
    assert client.get(HERE).json()["playing"]["title"] == "A"
    looped = client.patch(f"{HERE}/session", json={"loop_mode": "track", "is_paused": True}).json()
    assert (looped["loop_mode"], looped["is_paused"]) == ("track", True)
    assert looped["current_track_id"] == tracks[0]["id"]
    assert client.post(f"{HERE}/queue/next").json() == {"track": tracks[0], "entry": None}
    nothing = client.patch(f"{HERE}/session", json={"current_track_id": None, "is_paused": False}).json()
    assert (nothing["current_track_id"], nothing["is_paused"]) == (None, False)
    client.patch(f"{HERE}/session", json={"loop_mode": "none"})
    assert client.post(f"{HERE}/queue/shuffle").json() == {"shuffled": 2}
    assert sorted(queue()) == ["B", "C"]
    assert client.delete(f"{HERE}/queue").json() == {"removed": 2}
    silence = client.post(f"{HERE}/queue/next")
    assert (silence.status_code, silence.content) == (204, b"")
    assert client.delete(f"{HERE}/tracks").json() == {"removed": 4}
    assert client.delete(f"{HERE}/session").status_code == 204
    refused(client.delete(f"{HERE}/session"), 404)


def test_avatars_are_recorded_and_counted(client: httpx.Client) -> None:
    change = {
        "user_id": str(USER),
        "history_type": "avatar_change",
        "old_avatar_url": "https://old.example.com",
        "new_avatar_url": "https://new.example.com",
        "dominant_color": "#ff0000",
        "image_format": "png",
        "image_size": 45_231,
    }
    for day in (20, 22):
        made(client.post(f"{API}/avatars", json={**change, "timestamp": f"2026-11-{day}T00:00:00Z"}))
    banner = {"user_id": str(USER), "history_type": "banner_change", "guild_id": str(GUILD)}
    banner["timestamp"] = "2026-11-23T00:00:00+09:00"
    assert made(client.post(f"{API}/avatars", json=banner))["guild_id"] == str(GUILD)
    known = client.get(f"{API}/avatars/{USER}", params={"limit": 2}).json()
    assert known["statistics"]["user_id"] == str(USER)
    assert known["statistics"]["average_change_frequency"] == 2
    assert [one["history_type"] for one in known["items"]] == ["banner_change", "avatar_change"]
    rest = client.get(f"{API}/avatars/{USER}", params={"cursor": known["next"]}).json()
    assert [one["timestamp"] for one in rest["items"]] == ["2026-11-20T00:00:00Z"]
    for chosen in ({"history_type": "banner_change"}, {"guild_id": GUILD}):
        assert len(client.get(f"{API}/avatars/{USER}", params=chosen).json()["items"]) == 1
    assert client.get(f"{API}/avatars").json()["items"] == [known["statistics"]]
    refused(client.get(f"{API}/avatars/{MODERATOR}"), 404, str(MODERATOR))


IDS: list[tuple[str, str]] = [
    ("1e18", "rounds ids"),
    ("123456789012345678.0", "rounds ids"),
    ("true", "is no Discord id"),
    ("-1", "is no Discord id"),
    (str(2**53), "send it as text"),
    (str(2**63 - 1), "send it as text"),
    (str(2**63), "is no Discord id"),
    (f'"{2**63}"', "is no Discord id"),
    ('""', "is no Discord id"),
    ('" 5"', "is no Discord id"),
    ('"１２３"', "is no Discord id"),
    ('"0x10"', "is no Discord id"),
    ('"1_000"', "is no Discord id"),
    (f'"{"9" * 5000}"', "is no Discord id"),
    ("[]", "is no Discord id"),
    ("null", "is no Discord id"),
]


def test_an_id_that_is_none_or_was_rounded_is_refused(one: httpx.Client) -> None:
    for written, reason in IDS:
        body = f'{{"channel_id": 0, "user_id": {written}, "title": "x"}}'
        answer = one.post(f"{HERE}/tickets", content=body, headers={"Content-Type": "application/json"})
        refused(answer, 422, "body.user_id", reason)
    assert one.get(API).json()["items"] == []
    exact = {"channel_id": 0, "user_id": 2**53 - 1, "title": "x"}
    assert made(one.post(f"{HERE}/tickets", json=exact))["user_id"] == str(2**53 - 1)
    for path in (f"{API}/1.5/tickets", f"{API}/{2**63}/settings", f"{API}/x/queue", f"{API}/avatars/x"):
        refused(one.get(path), 422, "is no Discord id")
    refused(one.get(f"{HERE}/logs", params={"channel_id": "1e3"}), 422, "query.channel_id")
    japanese = one.get(f"{API}/x/queue", headers={"Accept-Language": "ja"})
    refused(japanese, 422, "Discord の ID ではありません")


WRONG: list[tuple[str, str, object, str]] = [
    ("POST", "tickets", {**TICKET, "category": "x"}, "body.category"),
    ("POST", "tickets", {**TICKET, "priority": 5}, "body.priority"),
    ("POST", "tickets", {**TICKET, "priority": True}, "body.priority"),
    ("POST", "tickets", {**TICKET, "priority": "highest"}, "body.priority"),
    ("POST", "tickets", {**TICKET, "status": "closed"}, "body.status"),
    ("POST", "tickets", {**TICKET, "title": "a\x00b"}, "body.title: title has a NUL"),
    ("POST", "tickets", {**TICKET, "created_at": "2026-11-21T00:00:00"}, "body.created_at: 2026-11"),
    ("POST", "tickets", {**TICKET, "created_at": "9999-12-31T23:59:59-10:00"}, "body.created_at"),
    ("POST", "tickets", {"channel_id": 0, "user_id": 0}, "body.title"),
    ("PATCH", "tickets/1", {"titel": "x"}, "body.titel"),
    *(
        ("PATCH", "tickets/1", {name: None}, f"body.{name}")
        for name in ("channel_id", "user_id", "category", "priority", "status", "title")
    ),
    ("PATCH", "tickets/1", {"title": "a\x00b"}, "body.title"),
    ("PATCH", "tickets/1", {"status": "done"}, "body.status"),
    ("PATCH", "tickets/1", {"guild_id": "5"}, "body.guild_id"),
    *(
        (method, path.format(written), None, f"path.{name}: is no number; digits only")
        for written in ("1.0", "+1", "%201", "1_0", "%EF%BC%91", "-1", "x")
        for method, path, name in (
            ("GET", "tickets/{}", "ticket_id"),
            ("GET", "tracks/{}", "track_id"),
            ("DELETE", "queue/{}", "queue_id"),
        )
    ),
    ("GET", "tickets/0", None, "path.ticket_id"),
    ("GET", f"tickets/{2**63}", None, "path.ticket_id"),
    ("GET", "tickets?status=done", None, "query.status"),
    ("GET", "tickets?cursor=rubbish", None, "cursor"),
    ("GET", "tickets?limit=1001", None, "query.limit"),
    *(
        (
            "GET",
            f"{path}?{name}=2026-11-21T00:00:00",
            None,
            f"query.{name}: 2026-11-21T00:00:00 has no time zone",
        )
        for path in ("tickets", "logs")
        for name in ("since", "until")
    ),
    ("POST", "tickets/1/messages", {"user_id": 0}, "body.content"),
    ("POST", "tickets/1/messages", {"user_id": 0, "content": "\x00"}, "body.content: content has a NUL"),
    ("POST", "logs", {**LOG, "log_type": "x"}, "body.log_type"),
    ("POST", "logs", {**LOG, "details": "\ud800"}, "body.details"),
    ("POST", "logs", {**LOG, "details": {"a": ["\x00"]}}, "body.details"),
    ("POST", "logs", [LOG, {"log_type": "member_join"}], "body[1].action"),
    ("POST", "logs", [LOG] * 10_001, "10000"),
    ("POST", "logs", "text", "body"),
    ("GET", "logs?log_type=x", None, "query.log_type"),
    ("POST", "tracks", {**TRACK, "duration": -1}, "body.duration"),
    ("POST", "tracks", {**TRACK, "duration": "212"}, "body.duration"),
    ("POST", "tracks", {**TRACK, "source": "tape"}, "body.source"),
    ("POST", "queue", {"track_id": 1.5, "added_by": 1}, "body.track_id"),
    ("POST", "queue", {"track_id": 1, "added_by": 1, "position": 0}, "body.position"),
    ("POST", "queue/1/move", {"position": True}, "body.position"),
    ("PUT", "session", {"voice_channel_id": "1"}, "body.text_channel_id"),
    ("PATCH", "session", {"loop_mode": "all"}, "body.loop_mode"),
    ("PATCH", "session", {"loop_mode": None}, "body.loop_mode"),
    ("PATCH", "session", {"is_paused": None}, "body.is_paused"),
    ("PUT", "settings", {"prefix": "\x00"}, "body.prefix"),
    ("PUT", "settings", {"prefix": "!", "prefixes": []}, "body.prefixes"),
    ("PUT", "settings", {"guild_id": "5"}, "body.guild_id"),
]


def test_what_cannot_be_is_invalid_and_the_place_is_named(one: httpx.Client) -> None:
    made(one.post(f"{HERE}/tickets", json=TICKET))
    for method, path, body, place in WRONG:
        content = None if body is None else json.dumps(body)
        answer = one.request(
            method, f"{HERE}/{path}", content=content, headers={"Content-Type": "application/json"}
        )
        refused(answer, 422, place)
    nan = one.post(
        f"{HERE}/logs",
        content='{"log_type": "member_join", "action": "x", "details": {"a": NaN}}',
        headers={"Content-Type": "application/json"},
    )
    refused(nan, 422)
    assert len(one.get(f"{HERE}/tickets").json()["items"]) == 1
    assert one.get(f"{HERE}/logs").json()["items"] == []


BAD_LOGS: list[tuple[str, object]] = [
    ("log_type", "x"),
    ("action", "a\x00b"),
    ("action", None),
    ("action", "\ud800"),
    ("user_id", 2**53),
    ("details", {"a": "\x00"}),
    ("details", '{"a": "\\u0000"}'),
    ("timestamp", "2026-11-21T00:00:00"),
    ("timestamp", "0001-01-01T00:00:00+09:00"),
    ("request_id", ""),
    ("request_id", "x" * 65),
    ("request_id", "\x00"),
    ("colour", "red"),
]


@pytest.mark.parametrize(
    ("name", "value"), BAD_LOGS, ids=[f"{at}-{name}" for at, (name, _) in enumerate(BAD_LOGS)]
)
def test_whatever_is_wrong_with_a_log_its_place_is_named(one: httpx.Client, name: str, value: object) -> None:
    bad = {**LOG, name: value}
    for sent, place in ((bad, f"body.{name}"), ([LOG, bad, LOG], f"body[1].{name}")):
        answer = one.post(
            f"{HERE}/logs", content=json.dumps(sent), headers={"Content-Type": "application/json"}
        )
        refused(answer, 422, f"{place}: ")
        assert [error["place"] for error in answer.json()["errors"]] == [place]
    assert one.get(f"{HERE}/logs").json()["items"] == []


def test_a_key_is_honoured_or_refused_but_never_lost(one: httpx.Client) -> None:
    key = {"Idempotency-Key": "one"}
    ticket = made(one.post(f"{HERE}/tickets", json=TICKET))["id"]
    message = {"user_id": str(USER), "content": "x"}
    refused(one.post(f"{HERE}/tracks", json=TRACK, headers=key), 422, "Idempotency-Key is not supported here")
    refused(one.post(f"{HERE}/queue/next", headers=key), 422, "Idempotency-Key is not supported here")
    refused(one.post(f"{HERE}/tickets/{ticket}/messages", json=message, headers=key), 422, "message_id")
    assert one.get(f"{HERE}/tracks").json()["items"] == []
    assert one.get(f"{HERE}/tickets/{ticket}/messages").json()["items"] == []
    refused(
        one.post(f"{HERE}/logs", json={**LOG, "request_id": "two"}, headers=key), 422, "request_id", "differ"
    )
    first = made(one.post(f"{HERE}/logs", json={**LOG, "request_id": "one"}, headers=key))
    for again, header in (({**LOG, "request_id": "one"}, {}), (LOG, key)):
        assert made(one.post(f"{HERE}/logs", json=again, headers=header)) == first


@pytest.mark.parametrize("token", [None, "wrong", "dk_00000000000000000000000000000000"])
def test_without_the_right_key_nothing_is_told(one_server: Running, token: str | None) -> None:
    with one_server.client(token) as client:
        for path in (API, HERE, f"{HERE}/tickets", f"{HERE}/logs", f"{HERE}/queue", f"{API}/avatars/{USER}"):
            refused(client.get(path), 401)
        refused(client.post(f"{HERE}/tickets", json=TICKET), 401)


def test_ids_are_texts_in_the_apis_description_too(one: httpx.Client) -> None:
    schemas = one.get("/api/openapi.json").json()["components"]["schemas"]
    for name in ("Ticket", "TicketMessage", "GuildLog", "Track", "Queue", "MusicSession", "Guild", "Avatar"):
        ids = {
            field: kind
            for field, kind in schemas[f"{name}Out"]["properties"].items()
            if field in {"user_id", "guild_id", "assigned_to", "added_by", "requested_by", "message_id"}
            or field.endswith("channel_id")
        }
        assert ids
        for kind in ids.values():
            assert kind.get("type") == "string" or {"type": "string"} in kind["anyOf"]
    assert not [name for name in schemas if "__" in name]  # two rooms with one name for different things
    assert {"TicketPage", "GuildLogPage", "TicketMessagePage"} <= set(schemas)


def test_the_apis_description_says_what_is_refused(one: httpx.Client) -> None:
    api = one.get("/api/openapi.json").json()
    schemas = api["components"]["schemas"]
    _, as_number = schemas["TicketIn"]["properties"]["user_id"]["anyOf"]
    assert as_number == {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}

    def nullable(name: str) -> set[str]:
        fields = schemas[name]["properties"].items()
        return {field for field, kind in fields if {"type": "null"} in kind.get("anyOf", [])}

    assert nullable("TicketUpdateIn") == {"assigned_to", "description"}
    assert nullable("SessionUpdateIn") == {"current_track_id"}
    for name in ("TicketUpdateIn", "SessionUpdateIn"):
        assert "required" not in schemas[name]
    assert all("examples" in kind for kind in schemas["SessionUpdateIn"]["properties"].values())
    logs = api["paths"]["/api/v1/guilds/{guild_id}/logs"]["post"]["requestBody"]["content"][
        "application/json"
    ]
    (several,) = (kind for kind in logs["schema"]["anyOf"] if kind.get("type") == "array")
    assert several["maxItems"] == 10_000
    for example in logs["examples"].values():  # they are taken as they stand
        made(one.post(f"{HERE}/logs", json=example["value"]))
