"""A member's YAML file: what it says, or everything that is wrong with it, by line."""

import time

import pytest

from daicho.members.document import SIZE_MAX, read
from daicho.members.models import HumanMember, VirtualMember
from daicho.members.schemas import Kind, kind_of

PERSON = """\
name: 田中 美咲
role: エンジニア
skills:
  - python
  - 日本語
bio: |
  一行目
  二行目
contact_email: misaki@example.com
github_username: misaki
"""


def problems(text: str | bytes, model: type[HumanMember] | type[VirtualMember] = HumanMember) -> list[str]:
    return [str(one) for one in read(text if isinstance(text, bytes) else text.encode(), model).problems]


def test_a_file_becomes_a_row() -> None:
    document = read(PERSON.encode(), HumanMember)
    assert document.problems == []
    assert document.row == {
        "name": "田中 美咲",
        "role": "エンジニア",
        "skills": ["python", "日本語"],
        "bio": "一行目\n二行目\n",
        "contact_email": "misaki@example.com",
        "github_username": "misaki",
    }


def test_a_virtual_member_needs_a_model_and_may_call_its_prompt_custom() -> None:
    text = "name: 華扇\nllm_model: gpt-5\ncustom_prompt: 仙人です\nexpertise_areas: [茶道]\n"
    document = read(b"\xef\xbb\xbf" + text.encode(), VirtualMember)
    assert document.problems == []
    assert document.row["system_prompt"] == "仙人です"
    assert document.row["personality_traits"] is None
    assert problems("name: x\n", VirtualMember) == ["llm_model: is missing"]


def test_scalars_are_texts_as_they_are_written_and_null_is_nothing() -> None:
    document = read(
        b'name: 007\nrole: 2026-01-01\nbio: ~\nskills: [1, yes]\ngithub_username: "null"\n', HumanMember
    )
    assert document.problems == []
    assert [document.row[key] for key in ("name", "role", "bio", "skills", "github_username")] == [
        "007",
        "2026-01-01",
        None,
        ["1", "yes"],
        "null",
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nam: x\n", ["1: nam: unknown key; did you mean 'name'?", "name: is missing"]),
        ("name: x\n\nname: y\n", ["3: name: is given twice; first in line 1"]),
        ("name: x\nskills: python\nrole: [a]\n", ["2: skills: must be a list of texts: [one, two]", "3: role: must be one text"]),
        ("name: x\nskills: [a, {b: c}]\n", ["2: skills: must be a list of texts: [one, two]"]),
        ("name: \n", ["1: name: is missing"]),
        ("name: '  '\n", ["1: name: is missing"]),
        ("", ["name: is missing"]),
        ("# nothing\n", ["name: is missing"]),
        ("- a\n", ["1: is no mapping of keys to values"]),
        ("just text", ["1: is no mapping of keys to values"]),
        ("name: x\n---\nname: y\n", ["2: holds a second document"]),
        ("name: !!python/object:os.system x\n", ["1: tag tag:yaml.org,2002:python/object:os.system is not allowed"]),
        ("? [a]\n: b\nname: x\n", ["1: a key must be a text"]),
        ("id: 5\nname: x\ncreated_at: 2026-01-01\n", ["1: id: unknown key", "3: created_at: unknown key"]),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_line(text: str, wanted: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(wanted), found
    assert all(one.startswith(start) for one, start in zip(found, wanted, strict=True)), found


def test_what_is_no_yaml_or_no_text_says_where() -> None:
    assert problems("name: [\n")[0].startswith("2: not YAML: ")
    assert problems("name: x\nrole: \xff\n".encode("latin-1")) == ["2: is not UTF-8 text"]
    assert problems('name: x\nbio: "\\0"\n') == ["2: bio: bio has a NUL byte at character 1; remove it"]
    assert problems(f"name: {'x' * 256}\n") == ["1: name: name is 256 characters long; at most 255 fit"]


def test_a_billion_laughs_are_one_clear_error_at_once() -> None:
    lines = ["a0: &a0 [lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    began = time.process_time()
    found = problems("\n".join([*lines, "name: *a39"]))
    assert any("aliases" in one for one in found)
    assert time.process_time() - began < 5  # the expansion would take longer than the universe has


@pytest.mark.parametrize("nest", ["[", "{a: "])
def test_deep_nesting_is_an_error_and_no_crash(nest: str) -> None:
    assert problems("name: " + nest * 100_000)


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert problems(b"x" * (SIZE_MAX + 1))[0].startswith(f"is longer than {SIZE_MAX:,} bytes")


def test_an_alias_of_a_text_is_that_text() -> None:
    document = read(b"name: &n Emma\nrole: *n\nskills: [*n, go]\n", HumanMember)
    assert (document.row["role"], document.row["skills"]) == ("Emma", ["Emma", "go"])


@pytest.mark.parametrize(
    "content",
    ["name: a\nrole: " + "[" * 500_000, "name: a\nrole: " + "{a: " * 200_000, "- " * 400_000, "? " * 400_000,
     "name: a\nrole: " + "[" * 400_000 + "]" * 400_000, "name: a\nrole: " + "[\n" * 400_000],
    ids=["flow", "map", "seq", "keys", "closed", "lines"],
)  # fmt: skip
def test_depth_is_limited_before_it_costs_anything(content: str) -> None:
    began = time.process_time()
    found = problems(content)
    assert any("nested deeper than 20 levels" in one or "no mapping" in one for one in found), found
    assert time.process_time() - began < 1  # in full, the parser takes minutes


def test_aliases_do_not_make_a_small_file_a_large_row() -> None:
    text = 'name: a\nbio: &x "' + "x" * 500_000 + '"\nskills: [' + "*x, " * 99 + "]\n"
    assert problems(text) == ["3: its texts are longer than 1,048,576 characters together"]


@pytest.mark.parametrize(
    ("text", "line"),
    [("skills: !!python/object:os.system [a]", 2), ("skills: !foo [a]", 2), ("role: [[!foo {a: b}]]", 2)],
)
def test_tags_are_refused_wherever_they_stand(text: str, line: int) -> None:
    assert problems(f"name: x\n{text}\n")[0].startswith(f"{line}: tag ")
    assert problems("!foo\nname: x\n")[0].endswith("tag !foo is not allowed")
    assert problems("--- !!map\nname: !!str x\nskills: !!seq [a]\n") == []


def test_a_hundred_mistakes_are_told_and_the_others_counted() -> None:
    began = time.process_time()
    found = problems("".join(f"k{number}: 1\n" for number in range(100_000)))
    assert len(found) == 100
    assert found[-1] == "and 99,902 more mistakes"  # with the name, which is missing
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: *q\n", "1: alias *q: no &q stands before it"),
        ("name: x\nskills: &s [*s]\n", "2: alias *s: no &s stands before it"),
        ('name: x\nskills: [a, ""]\n', "2: skills: holds an empty text"),
        ("name: x\nrole: a\x07b\n", "2: has the character U+0007, which YAML does not allow; remove it"),
    ],
)
def test_what_is_wrong_is_said_as_it_is(text: str, wanted: str) -> None:
    assert problems(text) == [wanted]


def test_a_model_of_spaces_is_none() -> None:
    assert problems('name: x\nllm_model: "   "\n', VirtualMember) == ["2: llm_model: is missing"]


def test_hidden_files_are_none_of_the_layout_and_endings_are_read_in_any_case() -> None:
    taken = {"a.yml", "a.yaml", "UP.YML"}
    for name in (*taken, ".hid.yml", "._a.yml", ".yml", "a.txt", "deeper/a.yml"):
        assert (kind_of(f"human_members/{name}") is Kind.HUMAN) == (name in taken)
    assert kind_of("other/a.yml") is None
