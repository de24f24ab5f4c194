"""The seed's name-based save, and what the ledger tells of members and their files."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from daicho import Conflict, Invalid, Ledger, NotFound
from daicho.core.page import encode
from daicho.members.models import HumanMember, VirtualMember
from daicho.members.schemas import HumanOut, Kind, SeenFile
from tests.faces import Faces


def test_a_member_is_saved_by_name_and_keeps_what_is_not_given(face: Faces) -> None:
    first = face.members.save_or_update_human_member({"name": "華扇", "skills": ["茶"], "role": "仙人"})
    again = face.members.save_or_update_human_member({"name": "華扇", "role": "先生"})
    assert (again.id, again.skills, again.role) == (first.id, ["茶"], "先生")
    assert again.created_at == first.created_at
    assert again.updated_at > first.updated_at
    same = face.members.save_or_update_human_member({"name": "華扇", "role": "先生"})
    assert same.updated_at == again.updated_at
    assert face.members.save_or_update_human_member({"name": "華扇"}).role == "先生"
    virtual = face.members.save_or_update_virtual_member(
        {"name": "華扇", "llm_model": "gpt-5", "personality_traits": ["厳しい"]}
    )
    assert (virtual.llm_model, virtual.personality_traits) == ("gpt-5", ["厳しい"])
    assert face.members.get_virtual("華扇").id == virtual.id
    assert dict(face.members.counts()) == {"human": 1, "virtual": 1, "troubled": 0}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "name is missing"),
        ({"name": "x", "nme": "y"}, "did you mean 'name'"),
        ({"name": "x" * 256}, "at most 255 fit"),
        ({"name": "x", "id": 5}, "unknown name 'id'"),
        ({"name": "　"}, "name is missing"),
        ({"name": " 田中 "}, "begins or ends with a space"),
        ({"name": "x", "skills": "python"}, "skills must be a list of texts, not str"),
        ({"name": "x", "skills": {"a": 1}}, "skills must be a list of texts, not dict"),
        ({"name": "x", "skills": [1, 2]}, r"skills\[0\] must be text, not int"),
        ({"name": "x", "skills": [["a"], ["b"]]}, r"skills\[0\] must be text, not list"),
        ({"name": "x", "skills": ["a", None]}, r"skills\[1\] must be text"),
        ({"name": "x", "skills": ["a\0"]}, "NUL byte"),
        ({"name": "x", "skills": ["\ud800"]}, "lone surrogate"),
        ({"name": "x", "skills": [""]}, "skills holds an empty text"),
        (5, "a member is a mapping of values or a HumanMember, not int"),
    ],
)
def test_what_cannot_be_is_invalid(face: Faces, values: Any, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        face.members.save_or_update_human_member(values)
    with pytest.raises(Invalid, match="llm_model is missing"):
        face.members.save_or_update_virtual_member({"name": "x"})


def test_many_that_save_one_name_at_once_make_one_member(ledger: Ledger) -> None:
    ledger.members.counts()

    def save(number: int) -> int:
        return ledger.members.save_or_update_human_member({"name": "Emma", "role": str(number)}).id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(save, range(40)))) == 1


def test_members_are_listed_by_name_and_searched(face: Faces) -> None:
    for name, role in (("Noah", "designer"), ("Emma", "Engineer"), ("田中", "engineering manager")):
        face.members.save_or_update_human_member({"name": name, "role": role})
    first = face.members.list_humans(limit=2)
    rest = face.members.list_humans(limit=2, cursor=first.next)
    assert [one.name for one in [*first, *rest]] == sorted(["Noah", "Emma", "田中"])
    assert {one.name for one in face.members.list_humans(text="ENGINEER")} == {"Emma", "田中"}
    assert len(face.members.list_virtual()) == 0
    with pytest.raises(NotFound, match="no such member: nobody"):
        face.members.get_human("nobody")


def test_a_model_is_saved_with_the_values_that_are_set(face: Faces) -> None:
    face.members.save_or_update_human_member({"name": "Emma", "role": "lead", "skills": ("go",)})
    saved = face.members.save_or_update_human_member(HumanMember(name="Emma", bio="x"))
    assert (saved.role, saved.skills, saved.bio) == ("lead", ["go"], "x")
    virtual = VirtualMember(name="華扇", llm_model="gpt-5", personality_traits=["厳しい"])
    assert face.members.save_or_update_virtual_member(virtual).personality_traits == ["厳しい"]
    with pytest.raises(Invalid, match="not VirtualMember"):
        face.members.save_or_update_human_member(virtual)


def test_the_prompt_has_another_name_as_in_files(face: Faces) -> None:
    values = {"name": "華扇", "llm_model": "gpt-5", "custom_prompt": "仙人です"}
    assert face.members.save_or_update_virtual_member(values).system_prompt == "仙人です"
    with pytest.raises(Invalid, match="given twice, also as 'custom_prompt'"):
        face.members.save_or_update_virtual_member({"system_prompt": "x", **values})
    with pytest.raises(Invalid, match="unknown name 'custom_prompt'"):
        face.members.save_or_update_human_member({"name": "x", "custom_prompt": "y"})


def test_none_for_what_is_not_set_is_no_change(face: Faces) -> None:
    first = face.members.save_or_update_human_member({"name": "Emma"})
    again = face.members.save_or_update_human_member({"name": "Emma", "skills": None, "role": None})
    assert again.updated_at == first.updated_at
    uri = "s3://members/human_members/noah.yml"
    row = dict.fromkeys(("role", "skills", "bio", "contact_email", "github_username"))
    face.members.save_file(SeenFile(Kind.HUMAN, uri, "1", None, row={"name": "Noah", **row}))
    first = face.members.get_human("Noah")
    again = face.members.save_or_update_human_member({"name": "Noah", "skills": None})
    assert again.updated_at == first.updated_at


def test_the_file_leads_once_a_member_is_saved_by_name(face: Faces) -> None:
    uri = "s3://members/human_members/emma.yml"
    row = {"name": "Emma", "role": "lead", "skills": None, "bio": None}
    file = SeenFile(Kind.HUMAN, uri, "1", None, row={**row, "contact_email": None, "github_username": None})
    face.members.save_file(file)
    face.members.save_or_update_human_member({"name": "Emma", "role": "lead"})
    assert face.members.known_files("")[uri].etag == "1", "nothing has changed"
    face.members.save_or_update_human_member({"name": "Emma", "role": "edited"})
    assert face.members.known_files("")[uri].etag is None, "the next sync reads it again"


def test_a_file_that_another_member_has_is_a_conflict(face: Faces) -> None:
    face.members.save_or_update_human_member({"name": "Emma", "file_uri": "s3://x/human_members/u.yml"})
    with pytest.raises(Conflict) as refused:
        face.members.save_or_update_human_member({"name": "Noah", "file_uri": "s3://x/human_members/u.yml"})
    assert str(refused.value) == (
        "file_uri 's3://x/human_members/u.yml' belongs to another member; a file describes one"
    )


def test_times_that_are_not_there_are_null(ledger: Ledger) -> None:
    ledger.members.counts()
    with ledger.database.begin() as session:
        session.execute(
            text("INSERT INTO human_members (name, created_at, updated_at) VALUES ('x', NULL, NULL)")
        )
        session.commit()
    assert HumanOut.model_validate(ledger.members.get_human("x")).created_at is None


@pytest.mark.parametrize("value", ["a\0", "\ud800"], ids=["nul", "surrogate"])
def test_a_cursor_that_no_database_takes_is_invalid(face: Faces, value: str) -> None:
    with pytest.raises(Invalid, match="is not a cursor of this list"):
        face.members.list_humans(cursor=encode([value]))
