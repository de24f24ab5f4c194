"""The seed's name-based save, and what the ledger tells of members and their files."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from daicho import Invalid, Ledger, NotFound
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
    ],
)
def test_what_cannot_be_is_invalid(face: Faces, values: dict[str, object], reason: str) -> None:
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
