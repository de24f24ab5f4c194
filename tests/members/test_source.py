"""Places of members' files: one spelling each, and clear words when they do not answer."""

import asyncio
import os
from pathlib import Path

import pytest

from daicho import Invalid, Unavailable
from daicho.core import language
from daicho.core.sections import Storage
from daicho.members.place import reason_of, spelled
from daicho.members.source import Source
from tests.members.conftest import KEYS, Files, listed_by


def test_a_folder_has_one_spelling(tmp_path: Path) -> None:
    folder = tmp_path / "チーム a"
    folder.mkdir()
    base = spelled(str(folder))
    assert spelled(f"{folder}/../{folder.name}//") == base
    assert spelled(f"file://{folder}") == base
    assert spelled(folder.as_uri() + "/") == base
    assert spelled(f"FILE://{folder}/.") == base
    assert Source(str(folder), Storage()).base == base


@pytest.mark.parametrize("url", ["s3://bucket/チーム a", "S3://bucket/%E3%83%81%E3%83%BC%E3%83%A0%20a/", "s3a://bucket//チーム a/./"])  # fmt: skip
def test_a_bucket_has_one_spelling(url: str) -> None:
    assert spelled(url) == "s3://bucket/チーム a"
    storage = Storage.model_validate({"region": "us-east-1", **KEYS})
    assert Source(url, storage).uri("human_members/x.yml") == "s3://bucket/チーム a/human_members/x.yml"


@pytest.mark.parametrize("place", ["", "  "])
def test_no_place_is_no_folder(place: str) -> None:
    with pytest.raises(Invalid, match="no source is given"):
        Source(place, Storage())


def test_keys_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid, match="no keys in the URL") as refused:
        Source("s3://KEY:SECRETPW@bucket/teamA", Storage())
    assert "SECRETPW" not in str(refused.value)
    assert "KEY:" not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "keys", "wanted"),
    [
        ("s3://no-such-bucket", KEYS, "there is no such bucket"),
        ("s3://bucket", {**KEYS, "secret_access_key": "wrong-secret"}, "check AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket", {**KEYS, "access_key_id": "wrong-key-id"}, "check AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_said_with_the_way_out(
    s3: tuple[str, Path], place: str, keys: dict[str, str], wanted: str
) -> None:
    source = Source(place, Storage.model_validate({"endpoint": s3[0], "region": "us-east-1", **keys}))
    for asked in (listed_by(source), source.read("human_members/a.yml")):
        with pytest.raises(Unavailable) as refused:
            asyncio.run(asked)
        assert wanted in str(refused.value)
        assert "<" not in str(refused.value)
    token = language.current.set("ja")
    try:
        assert "確かめてください" in str(refused.value)
    finally:
        language.current.reset(token)


def test_no_key_and_no_server_are_said() -> None:
    said = "Error performing PUT http://169.254.169.254/latest/api/token in 3s - error sending request"
    assert reason_of(OSError(said)).en.startswith("no key is set")
    assert "\n" not in reason_of(OSError('Path "a\nb.yml" is odd\n\nDebug source: x')).en


def test_a_name_that_cannot_be_read_keeps_no_other_from_its_place(files: Files) -> None:
    files.put("human_members/good.yml", "name: Emma\n")
    files.put("human_members/a\nb.yml", "name: Noah\n")
    (files.folder / "human_members" / os.fsdecode(b"\xff.yml")).write_text("name: Olivia\n")
    (files.folder / "human_members" / "folder.yml").mkdir()
    listed = asyncio.run(listed_by(files.source))
    wrong = {one.path.split("/")[1]: one.wrong and one.wrong.en for one in listed.values()}
    assert wrong == {
        "good.yml": None,
        "a\nb.yml": "its name has a control character; give it another",
        "\\xff.yml": "its name is not UTF-8 text; give it another",
    }
    (files.folder / "human_members" / "a\nb.yml").unlink()
    (files.folder / "human_members" / os.fsdecode(b"\xff.yml")).unlink()
    good = files.source.uri("human_members/good.yml")
    assert asyncio.run(listed_by(files.source))[good] == listed[good]


def test_a_file_that_cannot_be_read_keeps_no_other_from_its_place(files: Files) -> None:
    files.put("human_members/good.yml", "name: Emma\n")
    files.put("human_members/odd.yml", "name: Noah\n")
    listed = asyncio.run(listed_by(files.source))
    odd = files.folder / "human_members" / "odd.yml"
    odd.unlink()
    odd.symlink_to(odd)  # a link to itself, which nobody can follow
    found = asyncio.run(
        files.source.read_together(list(listed.values()), lambda file, content: (file, content))
    )
    assert {file.path: (file.wrong is None, file.etag is None, content) for file, content in found} == {
        "human_members/good.yml": (True, False, b"name: Emma\n"),
        "human_members/odd.yml": (False, True, b""),
    }
    with pytest.raises(Unavailable, match=r"odd\.yml"):
        asyncio.run(files.source.read("human_members/odd.yml"))


def test_a_folder_that_is_away_is_not_an_empty_one(files: Files) -> None:
    files.folder.rmdir()
    with pytest.raises(Unavailable, match="no such folder"):
        asyncio.run(listed_by(files.source))
    with pytest.raises(Unavailable, match="no such folder"):
        asyncio.run(files.source.has("human_members/a.yml"))
