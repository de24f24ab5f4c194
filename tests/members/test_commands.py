"""``daicho members``: what is planned, synced, watched, listed, shown and exported from the terminal."""

import json
import os
import signal
import subprocess

import pytest

from daicho import Ledger
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings
from tests.members.conftest import Files

pytestmark = pytest.mark.in_turns


def fill(files: Files) -> None:
    files.put("human_members/emma.yml", "name: Emma\nrole: engineer\nskills: [go]\n")
    files.put("human_members/bad.yml", "nam: x\n")
    files.put("virtual_members/kasen.yml", "name: 華扇\nllm_model: gpt-5\nsystem_prompt: 仙人です\n")


def test_a_plan_says_what_a_sync_would_do_and_does_nothing(here: Here, files: Files) -> None:
    fill(files)
    place = str(files.folder)
    out = here("members", "plan", place, code=1)
    assert f"+ {files.source.uri('human_members/emma.yml')}  Emma\n" in out
    assert "    1: nam: unknown key; did you mean 'name'?\n" in out
    assert out.endswith("2 new, 0 changed, 0 unchanged, 1 invalid, 0 in conflict, 0 vanished\n")
    assert here("members", "list") == ""
    here("members", "sync", place, code=1)
    files.put("human_members/emma.yml", "name: Emma\nrole: lead\nskills: [go, rust]\n")
    files.drop("human_members/bad.yml")
    out = here("members", "plan", place)
    assert "    skills: go → go, rust\n    role: engineer → lead\n" in out
    assert "bad.yml    kept; --prune removes it\n" in out
    change = json.loads(here("members", "plan", place, "--json"))
    assert (change["outcome"], change["diff"]["role"]) == ("changed", ["engineer", "lead"])


def test_a_sync_takes_the_good_over_and_says_what_is_bad(here: Here, files: Files, url: str) -> None:
    fill(files)
    out = here("members", "sync", str(files.folder), code=1)
    assert "! " in out
    assert out.endswith("2 new, 0 changed, 0 unchanged, 1 invalid, 0 in conflict, 0 vanished\n")
    out = here("members", "sync", str(files.folder), code=1)
    assert "bad.yml  as before\n" in out
    assert out.endswith("0 new, 0 changed, 2 unchanged, 1 invalid, 0 in conflict, 0 vanished\n")
    files.put("human_members/bad.yml", "name: Noah\n")
    assert [
        json.loads(line)["outcome"]
        for line in here("members", "sync", str(files.folder), "--json").splitlines()
    ] == ["added"]
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 2


def test_a_sync_that_would_remove_more_than_half_asks_first(files: Files, url: str) -> None:
    for number in range(3):
        files.put(f"human_members/{number}.yml", f"name: P{number}\n")
    assert daicho("members", "sync", str(files.folder), url=url).returncode == 0
    for number in range(2):
        files.drop(f"human_members/{number}.yml")
    asked = daicho("members", "sync", str(files.folder), "--prune", url=url, stdin=b"n\n")
    assert (asked.returncode, asked.stdout.strip()) == (1, "")
    assert "2 of 3 files are no more; remove their members?" in asked.stderr
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 3
    assert daicho("members", "sync", str(files.folder), "--prune", "--yes", url=url).returncode == 0
    with Ledger(url) as ledger:
        assert [one.name for one in ledger.members.list_humans()] == ["P2"]


def test_new_files_do_not_hide_how_many_are_no_more(files: Files, url: str) -> None:
    for number in range(4):
        files.put(f"human_members/{number}.yml", f"name: P{number}\n")
    assert daicho("members", "sync", str(files.folder), url=url).returncode == 0
    for number in range(4):
        files.drop(f"human_members/{number}.yml")
        files.put(f"human_members/new{number}.yml", f"name: New {number}\n")
    files.put("human_members/one-more.yml", "name: One more\n")
    asked = daicho("members", "sync", str(files.folder), "--prune", url=url, stdin=b"")
    assert asked.returncode == 1
    assert "4 of 4 files are no more; remove their members?" in asked.stderr
    with Ledger(url) as ledger:
        assert {one.name for one in ledger.members.list_humans()} == {"P0", "P1", "P2", "P3"}


def test_watching_stops_before_it_removes_more_than_half(files: Files, url: str) -> None:
    for number in range(3):
        files.put(f"human_members/{number}.yml", f"name: P{number}\n")
    assert daicho("members", "sync", str(files.folder), url=url).returncode == 0
    files.drop("human_members/0.yml")
    files.drop("human_members/1.yml")
    stopped = daicho("members", "watch", str(files.folder), "--prune", url=url)
    assert stopped.returncode == 1
    assert "2 of 3 files are no more: nothing was removed" in one_line(stopped.stderr)
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 3


def test_a_source_above_another_is_not_its_owner(here: Here, files: Files, url: str) -> None:
    files.put("teamA/human_members/a.yml", "name: Emma\n")
    files.put("human_members/b.yml", "name: Noah\n")
    here("members", "sync", str(files.folder / "teamA"))
    out = here("members", "sync", str(files.folder), "--prune", "--yes")
    assert out.endswith("1 new, 0 changed, 0 unchanged, 0 invalid, 0 in conflict, 0 vanished\n")
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 2


def test_a_folder_spelled_in_another_way_is_the_same_source(here: Here, files: Files) -> None:
    files.put("human_members/a.yml", "name: Emma\n")
    here("members", "sync", str(files.folder))
    for place in (f"{files.folder}/../{files.folder.name}", f"file://{files.folder}"):
        out = here("members", "plan", place)
        assert out.endswith("0 new, 0 changed, 1 unchanged, 0 invalid, 0 in conflict, 0 vanished\n")


def test_a_member_saved_by_name_goes_back_to_its_file(here: Here, files: Files, url: str) -> None:
    files.put("human_members/a.yml", "name: Emma\nrole: lead\n")
    here("members", "sync", str(files.folder))
    with Ledger(url) as ledger:
        ledger.members.save_or_update_human_member({"name": "Emma", "role": "edited"})
        assert "1 changed" in here("members", "sync", str(files.folder))
        assert ledger.members.get_human("Emma").role == "lead"


def test_a_file_with_an_odd_name_is_one_problem_of_many(here: Here, files: Files, url: str) -> None:
    files.put("human_members/a\nb.yml", "name: Noah\n")
    files.put("human_members/good.yml", "name: Emma\n")
    for new in (1, 0):
        out = here("members", "sync", str(files.folder), code=1)
        assert "its name has a control character; give it another" in out
        assert f"{new} new, 0 changed, {1 - new} unchanged, 1 invalid" in out
    with Ledger(url) as ledger:
        assert [one.name for one in ledger.members.list_humans()] == ["Emma"]


@pytest.mark.parametrize("path", ["human_members/emma.yml", "emma.yml"])
def test_a_path_without_its_bucket_is_taken_over_by_the_file_of_that_name(
    here: Here, files: Files, url: str, path: str
) -> None:
    with Ledger(url) as ledger:
        before = ledger.members.save_or_update_human_member({"name": "Emma", "file_uri": path})
        uri = files.put("human_members/emma.yml", "name: Emma\nrole: lead\n")
        assert "0 new, 1 changed" in here("members", "sync", str(files.folder))
        after = ledger.members.get_human("Emma")
    assert (after.id, after.file_uri, after.role) == (before.id, uri, "lead")


def test_members_are_listed_shown_and_exported(here: Here, files: Files) -> None:
    fill(files)
    here("members", "sync", str(files.folder), code=1)
    assert [line.split()[0] for line in here("members", "list").splitlines()] == ["NAME", "Emma", "華扇"]
    assert here("members", "list", "--kind", "virtual", "--search", "華").count("\n") == 2
    shown = here("members", "show", "華扇")
    assert "llm_model           gpt-5\n" in shown
    assert shown.endswith("\n仙人です\n")
    exported = [json.loads(line) for line in here("members", "export").splitlines()]
    assert [(one["name"], one.get("llm_model")) for one in exported] == [("Emma", None), ("華扇", "gpt-5")]
    assert exported[0]["skills"] == ["go"]
    here("members", "show", "nobody", code=1)
    assert one_line(here.said) == "no such member: nobody"


@pytest.mark.parametrize("place", ["ftp://x/y", "/no/such/folder"])
def test_a_source_that_cannot_be_is_one_line(here: Here, place: str) -> None:
    for command in ("plan", "sync"):
        here("members", command, place, code=1)
        assert place in one_line(here.said)


def test_a_source_is_watched_until_stopped(files: Files, url: str) -> None:
    files.put("human_members/emma.yml", "name: Emma\n")
    with Ledger(url) as ledger:
        ledger.members.counts()
    watching = subprocess.Popen(
        [*COMMAND, "members", "watch", str(files.folder), "--every", "0.2", "--prune", "--yes"],
        env=surroundings(url) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == f"+ {files.source.uri('human_members/emma.yml')}  Emma\n"
        files.put("human_members/emma.yml", "name: Emma\nrole: lead\n")
        assert watching.stdout.readline().startswith("~ ")
        assert watching.stdout.readline() == "    role: - → lead\n"
        files.drop("human_members/emma.yml")
        assert watching.stdout.readline().startswith("- ")
        os.kill(watching.pid, signal.SIGTERM)
        _, said = watching.communicate(timeout=30)
        assert "Traceback" not in said
    finally:
        watching.kill()
        watching.communicate()
    with Ledger(url) as ledger:
        assert len(ledger.members.list_humans()) == 0
