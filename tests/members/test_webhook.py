"""MinIO's notifications: files are taken over as they are told of, in whatever order and however often."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from daicho import Ledger
from tests.members.conftest import KEYS, Bucket
from tests.serving import running

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
    assert client.post(HOOK, json={}).json() == {"results": []}
