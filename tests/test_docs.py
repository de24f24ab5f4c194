"""The documents are run: what the READMEs print works as printed."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from tests.processes import python

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.ja.md")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    "name",
    [
        *READMES,
        "docs/tasks.md",
        "docs/tasks.ja.md",
        "docs/usage.md",
        "docs/usage.ja.md",
        "docs/guilds.md",
        "docs/guilds.ja.md",
        "docs/chats.md",
        "docs/chats.ja.md",
        "docs/monitoring.md",
        "docs/monitoring.ja.md",
    ],
)
def test_the_programs_of_the_documents_run(name: str, tmp_path: Path) -> None:
    programs = blocks(name, "python")
    assert programs
    for program in programs:
        done = python("-c", program, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        said = ("お電話ありがとうございます", "予約をお願いします", "サーバーエラー", "completed", "1200")
        assert any(text in done.stdout for text in said)


@cache
def help_of(*command: str) -> str:
    done = python("-m", "daicho", *command, "--help")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", READMES)
def test_the_commands_of_the_readme_exist(name: str) -> None:
    for line in "".join(blocks(name, "sh")).splitlines():
        words = line.split("#")[0].split()
        if words[0] == "daicho":
            command = [word for word in words[1:3] if not word.startswith("-")]
            said = help_of(*command)
            for option in (word for word in words if word.startswith("--")):
                assert option in said
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_policy_for_dynamodb_allows_what_is_asked_of_it_and_nothing_else() -> None:
    rooms = (ROOT / "src/daicho/chats").glob("dynamo*.py")
    asked = {
        name.title().replace("_", "")
        for room in rooms
        for name in re.findall(r"client\.([a-z_]+)\(", room.read_text(encoding="utf-8"))
        if name != "close"
    }
    english, japanese = (json.loads(blocks(f"docs/chats{name}.md", "json")[0]) for name in ("", ".ja"))
    assert english == japanese
    allowed = [action for statement in english["Statement"] for action in statement["Action"]]
    assert sorted(allowed) == sorted(f"dynamodb:{name}" for name in asked)


def test_both_readmes_say_the_same() -> None:
    english, japanese = (blocks(name, "python") for name in READMES)
    strip = re.compile(r" +#.*")
    assert [strip.sub("", block) for block in english] == [strip.sub("", block) for block in japanese]


def test_the_examples_of_the_ledgers_docstrings_run() -> None:
    import doctest

    import daicho.ledger

    assert doctest.testmod(daicho.ledger).failed == 0
