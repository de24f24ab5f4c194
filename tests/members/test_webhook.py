"""MinIO's notifications: files are taken over as they are told of, in whatever order and however often."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from daicho import Invalid, Ledger, Settings
from daicho.members.schemas import Kind, SeenFile
from tests.members.conftest import KEYS, Bucket
from tests.serving import running

pytestmark = pytest.mark.in_turns

HOOK = "/webhooks/minio"
TOKEN = "the-webhooks-own-token"


@pytest.fixture
def client(
    url: str, s3: tuple[str, object], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """A client that MinIO could be, with its auth_token."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3[0],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEYS["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret_access_key"],
        "DAICHO_MEMBERS_SOURCE": bucket.source.base,
        "DAICHO_WEBHOOK_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    with running(url) as server, server.client(TOKEN) as client:
        yield client


def event(
    bucket: Bucket, path: str, name: str = "ObjectCreated:Put", sequencer: str | None = None
) -> dict[str, Any]:
    """A record as MinIO sends it."""
    where, _, prefix = bucket.source.base.removeprefix("s3://").partition("/")
    item = {"key": quote_plus(f"{prefix}/{path}"), "size": 1, "eTag": "x"}
    if sequencer is not None:
        item["sequencer"] = sequencer
    return {
        "eventVersion": "2.0",
        "eventName": f"s3:{name}",
        "s3": {"bucket": {"name": where, "arn": "arn:aws:s3:::x"}, "object": item},
    }


def tell(client: httpx.Client, *records: dict[str, Any]) -> httpx.Response:
    return client.post(HOOK, json={"EventName": "s3:ObjectCreated:Put", "Key": "x", "Records": list(records)})


def told(answer: httpx.Response) -> list[str]:
    return [result["outcome"] for result in answer.json()["results"]]


def test_files_are_taken_over_as_they_are_told_of(client: httpx.Client, bucket: Bucket, url: str) -> None:
    bucket.put("human_members/田中 美咲+1.yml", "name: 田中 美咲\n")
    bucket.put("virtual_members/kasen.yml", "name: 華扇\nllm_model: gpt-5\n")
    answer = tell(
        client,
        event(bucket, "human_members/田中 美咲+1.yml"),
        event(bucket, "virtual_members/kasen.yml", "ObjectCreated:Copy"),
        event(bucket, "human_members/readme.txt"),
        event(bucket, "human_members/kasen.yml", "ObjectAccessed:Get"),
    )
    assert (answer.status_code, told(answer)) == (200, ["added", "added", "ignored", "ignored"])
    with Ledger(url) as ledger:
        assert ledger.members.get_human("田中 美咲").file_uri == bucket.source.uri(
            "human_members/田中 美咲+1.yml"
        )
        assert ledger.members.get_virtual("華扇").llm_model == "gpt-5"
    bucket.drop("human_members/田中 美咲+1.yml")
    answer = tell(client, event(bucket, "human_members/田中 美咲+1.yml", "ObjectRemoved:Delete"))
    assert told(answer) == ["removed"]
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 0


def test_a_bad_file_is_400_with_its_errors_and_the_others_are_done(
    client: httpx.Client, bucket: Bucket, url: str
) -> None:
    bucket.put("human_members/bad.yml", "name: x\nrol: y\n")
    bucket.put("human_members/good.yml", "name: Emma\n")
    answer = tell(client, event(bucket, "human_members/bad.yml"), event(bucket, "human_members/good.yml"))
    assert (answer.status_code, told(answer)) == (400, ["invalid", "added"])
    bad, good = answer.json()["results"]
    assert bad["errors"] == ["2: rol: unknown key; did you mean 'role'?"]
    assert good["errors"] == []
    with Ledger(url) as ledger:
        assert ledger.members.get_human("Emma")


def test_repeated_and_late_events_change_nothing(client: httpx.Client, bucket: Bucket, url: str) -> None:
    bucket.put("human_members/a.yml", "name: Emma\nrole: new\n")
    assert told(tell(client, event(bucket, "human_members/a.yml", sequencer="17A2"))) == ["added"]
    assert told(tell(client, event(bucket, "human_members/a.yml", sequencer="17A2"))) == ["known"]
    assert told(tell(client, event(bucket, "human_members/a.yml", sequencer="17A1"))) == ["known"]
    assert told(tell(client, event(bucket, "human_members/a.yml", sequencer="17A3"))) == ["unchanged"]
    late = event(bucket, "human_members/a.yml", "ObjectRemoved:Delete", "17A4")
    assert told(tell(client, late)) == ["unchanged"]  # it is there: removed before it was put again
    bucket.drop("human_members/a.yml")
    assert told(tell(client, event(bucket, "human_members/a.yml", sequencer="17A5"))) == ["removed"]
    assert told(tell(client, event(bucket, "human_members/a.yml", "ObjectRemoved:Delete"))) == ["gone"]


def test_renaming_a_file_keeps_the_member(client: httpx.Client, bucket: Bucket, url: str) -> None:
    bucket.put("human_members/a.yml", "name: Emma\n")
    tell(client, event(bucket, "human_members/a.yml"))
    with Ledger(url) as ledger:
        before = ledger.members.get_human("Emma").id
    bucket.put("human_members/b.yml", "name: Emma\n")  # MinIO renames by a copy and a removal
    copied = tell(client, event(bucket, "human_members/b.yml", "ObjectCreated:Copy"))
    assert (copied.status_code, told(copied)) == (400, ["conflict"])
    bucket.drop("human_members/a.yml")
    tell(client, event(bucket, "human_members/a.yml", "ObjectRemoved:Delete"))
    with Ledger(url) as ledger:
        after = ledger.members.get_human("Emma")
    assert (after.id, after.file_uri) == (before, bucket.source.uri("human_members/b.yml"))


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], "a-token-for-the-tests-only"])
def test_a_wrong_token_is_refused_before_anything_is_read(client: httpx.Client, token: str) -> None:
    answer = client.post(HOOK, content=b"rubbish", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_rubbish_is_invalid_and_an_empty_notice_is_fine(client: httpx.Client) -> None:
    for body in (b"rubbish", b"[]", b'{"Records": [{}]}', b'{"Records": 5}'):
        assert client.post(HOOK, content=body).status_code == 422
    for empty in ({}, {"Records": None}, {"Records": []}):
        assert client.post(HOOK, json=empty).json() == {"results": []}
    lower = {"Authorization": f"bearer {TOKEN}"}
    assert client.post(HOOK, json={}, headers=lower).status_code == 200
    answer = client.get(HOOK)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_body_waits_for_the_token(client: httpx.Client) -> None:
    """An answer comes before the body does: it is never asked for."""
    head = (
        f"POST {HOOK} HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as stranger:
        stranger.sendall(head.encode())
        assert stranger.recv(4096).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("token", ["", "short-of-16-char"[:15]], ids=["empty", "short"])
def test_a_token_that_lets_anyone_in_is_none(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"members": {"source": "s3://members", "webhook_token": token}}
    if token:
        with pytest.raises(Invalid, match="webhook_token.*at least 16 characters"):
            Settings.of(config)
    else:
        assert Settings.of(config).members.webhook_token is None


def test_a_bad_file_is_400_once_and_then_known_with_its_errors(
    client: httpx.Client, bucket: Bucket, url: str
) -> None:
    bucket.put("human_members/a.yml", "name: Emma\n")
    bucket.put("human_members/bad.yml", "nam: x\n")
    bucket.put("human_members/other.yml", "name: Emma\n")
    events = [event(bucket, f"human_members/{name}.yml", sequencer="17A1") for name in ("a", "bad", "other")]
    first, second = tell(client, *events), tell(client, *events)
    assert (first.status_code, told(first)) == (400, ["added", "invalid", "conflict"])
    assert (second.status_code, told(second)) == (200, ["known", "known", "known"])
    for answer in (first, second):
        assert [len(result["errors"]) for result in answer.json()["results"]] == [0, 2, 1]
    with Ledger(url) as ledger:  # what stood in its way is gone: the event may come again
        ledger.members.remove_files([bucket.source.uri("human_members/a.yml")])
    assert told(tell(client, events[2])) == ["added"]


def test_names_are_exchanged_in_one_delivery(client: httpx.Client, bucket: Bucket, url: str) -> None:
    for names, sequencer in (("XY", "1"), ("YX", "2")):
        bucket.put("human_members/s1.yml", f"name: {names[0]}\n")
        bucket.put("human_members/s2.yml", f"name: {names[1]}\n")
        both = [event(bucket, f"human_members/{file}.yml", sequencer=sequencer) for file in ("s1", "s2")]
        assert tell(client, *both).status_code == 200
    with Ledger(url) as ledger:
        assert str(ledger.members.get_human("Y").file_uri).endswith("/s1.yml")
        assert str(ledger.members.get_human("X").file_uri).endswith("/s2.yml")


def test_a_renamed_file_keeps_its_member_in_whichever_order_a_delivery_tells(
    client: httpx.Client, bucket: Bucket, url: str
) -> None:
    bucket.put("human_members/a.yml", "name: Emma\n")
    tell(client, event(bucket, "human_members/a.yml"))
    with Ledger(url) as ledger:
        before = ledger.members.get_human("Emma")
    bucket.put("human_members/b.yml", "name: Emma\n")
    bucket.drop("human_members/a.yml")
    answer = tell(
        client,
        event(bucket, "human_members/a.yml", "ObjectRemoved:Delete"),
        event(bucket, "human_members/b.yml", "ObjectCreated:Copy"),
    )
    assert (answer.status_code, told(answer)) == (200, ["gone", "changed"])
    with Ledger(url) as ledger:
        after = ledger.members.get_human("Emma")
    assert (after.id, after.created_at) == (before.id, before.created_at)


def test_odd_keys_and_sequencers_are_told_of_one_by_one(
    client: httpx.Client, bucket: Bucket, url: str
) -> None:
    bucket.put("human_members/good.yml", "name: Emma\n")
    _, _, prefix = bucket.source.base.removeprefix("s3://").partition("/")
    long = "x" * 600
    for key, code in {"a%0Ab": 400, "%01": 400, "%7F": 400, "%00": 200, long: 200, "%2E%2E%2Fx": 200}.items():
        odd = event(bucket, "x")
        odd["s3"]["object"]["key"] = f"{prefix}/human_members/{key}.yml"
        answer = tell(client, odd, event(bucket, "human_members/good.yml", sequencer="F" * 100))
        assert (answer.status_code, told(answer)[1]) in {(code, "added"), (code, "unchanged")}
        assert "postgres" not in answer.text
        outcome, *_ = answer.json()["results"]
        assert (outcome["outcome"], len(outcome["errors"])) in {("invalid", 1), ("ignored", 0)}
    odd["s3"]["object"]["key"] = f"{prefix}/human_members/%01.yml"
    assert told(tell(client, {**odd, "eventName": "s3:ObjectRemoved:Delete"})) == ["gone"]
    with Ledger(url) as ledger:
        assert ledger.members.counts() == {"human": 1, "virtual": 0, "troubled": 2}
    nul = event(bucket, "human_members/good.yml", sequencer="a\x00")
    assert told(tell(client, nul)) == ["unchanged"]


def test_a_bucket_that_is_away_is_503_and_removes_nobody(
    url: str, s3: tuple[str, object], client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAICHO_MEMBERS_SOURCE", "s3://no-such-bucket")
    uri = "s3://no-such-bucket/human_members/k.yml"
    with Ledger(url) as ledger, running(url) as server, server.client(TOKEN) as away:
        ledger.members.save_file(SeenFile(Kind.HUMAN, uri, "1", None, row={"name": "K"}))
        for name in ("ObjectCreated:Put", "ObjectRemoved:Delete"):
            place = {"bucket": {"name": "no-such-bucket"}, "object": {"key": "human_members/k.yml"}}
            answer = away.post(HOOK, json={"Records": [{"eventName": name, "s3": place}]})
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert "no-such-bucket" not in answer.text
        assert ledger.members.get_human("K").file_uri == uri


def test_a_deep_file_holds_nobody_up(client: httpx.Client, bucket: Bucket) -> None:
    bucket.put("human_members/deep.yml", "name: a\nrole: " + "[" * 500_000)
    began = time.monotonic()
    answer = tell(client, event(bucket, "human_members/deep.yml"))
    assert (
        json.loads(answer.content)["results"][0]["errors"]
        == [
            "2: is nested deeper than 20 levels",
            "name: is missing",
        ][:1]
    )
    assert time.monotonic() - began < 10


def test_reasons_are_told_in_the_language_that_is_asked_for(
    client: httpx.Client, bucket: Bucket, url: str
) -> None:
    bucket.put("human_members/bad.yml", "nam: x\n")
    tell(client, event(bucket, "human_members/bad.yml"))
    with running(url) as server, server.client(**{"Accept-Language": "ja"}) as reader:
        (file,) = reader.get("/api/v1/members/files/troubled").json()["items"]
    assert file["problems"][0]["reason"].startswith("不明なキーです")
