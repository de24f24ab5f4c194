"""Reconciling files with the ledger: from a folder and from a real S3 server, on both databases."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daicho import AsyncLedger, Invalid, Ledger, Unavailable
from daicho.core.sections import Storage
from daicho.members import spool, sync
from daicho.members.schemas import Saved
from daicho.members.source import Source
from tests.members.conftest import KEYS, Files, listed_by


def synced(url: str, source: Source, *, prune: bool = False) -> tuple[sync.Plan, list[Saved]]:
    async def run() -> tuple[sync.Plan, list[Saved]]:
        async with AsyncLedger(url) as ledger:
            plan = await sync.plan(ledger.members, source, prune=prune)
            return plan, await sync.carry_out(ledger.members, plan, prune=prune)

    return asyncio.run(run())


def outcomes(done: list[Saved]) -> dict[str, str]:
    return {saved.file_uri.rsplit("/", 1)[1]: str(saved.outcome) for saved in done}


def people(url: str) -> dict[str, str]:
    """Each person's name, by their file's name."""
    with Ledger(url) as ledger:
        return {
            str(one.file_uri).rsplit("/", 1)[1]: one.name for one in ledger.members.list_humans(limit=1000)
        }


def test_a_bucket_is_taken_over_and_not_read_again(url: str, bucket: Files) -> None:
    bucket.put("human_members/emma.yml", "name: Emma\nskills: [go]\n")
    bucket.put("virtual_members/kasen.yaml", "name: 華扇\nllm_model: gpt-5\n")
    bucket.put("human_members/bad.yml", "nam: x\n")
    bucket.put("human_members/notes.txt", "no member")
    bucket.put("human_members/deeper/x.yml", "name: no member")
    bucket.put("other/x.yml", "name: no member")
    plan, done = synced(url, bucket.source)
    assert outcomes(done) == {"emma.yml": "added", "kasen.yaml": "added", "bad.yml": "invalid"}
    with Ledger(url) as ledger:
        emma = ledger.members.get_human("Emma")
        assert (emma.skills, emma.file_uri) == (["go"], bucket.source.uri("human_members/emma.yml"))
        (troubled,) = ledger.members.troubled_files()
        assert troubled.problems is not None
        assert troubled.problems[0]["line"] == 1
    plan, done = synced(url, bucket.source)
    assert (plan.unchanged, len(plan.troubled), done) == (2, 1, [])
    bucket.put("human_members/emma.yml", "name: Emma\nskills: [go, rust]\n")
    plan, done = synced(url, bucket.source)
    assert outcomes(done) == {"emma.yml": "changed"}
    assert plan.changes[0].diff == {"skills": (["go"], ["go", "rust"])}
    with Ledger(url) as ledger:
        changed = ledger.members.get_human("Emma")
    assert (changed.id, changed.created_at) == (emma.id, emma.created_at)
    assert changed.updated_at > emma.updated_at


def test_what_stays_the_same_keeps_its_time(url: str, files: Files) -> None:
    files.put("human_members/emma.yml", "name: Emma\n")
    synced(url, files.source)
    with Ledger(url) as ledger:
        before = ledger.members.get_human("Emma").updated_at
    files.put("human_members/emma.yml", "# a comment\nname: Emma\n")
    _, done = synced(url, files.source)
    assert outcomes(done) == {"emma.yml": "unchanged"}
    with Ledger(url) as ledger:
        assert ledger.members.get_human("Emma").updated_at == before


def test_renaming_a_file_keeps_the_member_and_renaming_the_person_keeps_the_row(
    url: str, files: Files
) -> None:
    files.put("human_members/a.yml", "name: Emma\n")
    synced(url, files.source)
    with Ledger(url) as ledger:
        first = ledger.members.get_human("Emma")
    files.drop("human_members/a.yml")
    files.put("human_members/b.yml", "name: Emma\n")
    plan, _ = synced(url, files.source)
    assert list(plan.renamed) == [files.source.uri("human_members/a.yml")]
    files.put("human_members/b.yml", "name: Emma Clarke\n")
    synced(url, files.source, prune=True)
    with Ledger(url) as ledger:
        last = ledger.members.get_human("Emma Clarke")
    assert (last.id, last.created_at) == (first.id, first.created_at)
    assert people(url) == {"b.yml": "Emma Clarke"}


def test_a_taken_name_is_a_conflict_that_leaves_the_first_untouched(url: str, files: Files) -> None:
    files.put("human_members/a.yml", "name: Emma\nrole: first\n")
    synced(url, files.source)
    files.put("human_members/b.yml", "name: Emma\nrole: second\n")
    _, done = synced(url, files.source)
    assert outcomes(done) == {"b.yml": "conflict"}
    with Ledger(url) as ledger:
        assert ledger.members.get_human("Emma").role == "first"
    files.put("human_members/a.yml", "name: Noah\n")
    synced(url, files.source)
    assert people(url) == {"a.yml": "Noah", "b.yml": "Emma"}


def test_names_may_go_round(url: str, files: Files) -> None:
    for file, name in zip("abc", ("A", "B", "C"), strict=True):
        files.put(f"human_members/{file}.yml", f"name: {name}\n")
    synced(url, files.source)
    for file, name in zip("abc", ("B", "C", "A"), strict=True):
        files.put(f"human_members/{file}.yml", f"name: {name}\n")
    synced(url, files.source)
    assert people(url) == {"a.yml": "B", "b.yml": "C", "c.yml": "A"}


SYNC_THAT_STOPS = """
import asyncio, sys
from daicho import AsyncLedger
from daicho.core.sections import Storage
from daicho.members import sync
from daicho.members.source import Source

def stop(saved):
    print(saved, flush=True)
    sys.stdin.read()  # until it is killed

async def run(url, folder):
    async with AsyncLedger(url) as ledger:
        plan = await sync.plan(ledger.members, Source(folder, Storage()))
        await sync.carry_out(ledger.members, plan, advance=stop)

asyncio.run(run(*sys.argv[1:]))
"""


def test_a_sync_killed_while_names_go_round_is_finished_by_the_next(url: str, files: Files) -> None:
    many = 2 * sync.AT_ONCE + 2
    for number in range(many):
        files.put(f"human_members/{number}.yml", f"name: Person {number}\n")
    synced(url, files.source)
    other = {number: (number + many // 2) % many for number in range(many)}  # pairs, in different commits
    for number in range(many):
        files.put(f"human_members/{number}.yml", f"# of another\nname: Person {other[number]}\n")
    command = [sys.executable, "-c", SYNC_THAT_STOPS, url, str(files.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{sync.AT_ONCE}\n"
        process.kill()
    with Ledger(url) as ledger:
        saved = [one for one in _everybody(ledger) if one[0] == other[one[1]]]
    assert len(saved) == sync.AT_ONCE, "what was committed stays, and no more was done"
    plan, _ = synced(url, files.source)
    assert plan.unchanged == sync.AT_ONCE
    with Ledger(url) as ledger:
        assert sorted(_everybody(ledger)) == sorted((other[number], number) for number in range(many))


def _everybody(ledger: Ledger) -> list[tuple[int | None, int]]:
    """The number in each person's name, None where it is parked, and the number of their file."""
    found: list[tuple[int | None, int]] = []
    cursor = None
    while True:
        page = ledger.members.list_humans(limit=1000, cursor=cursor)
        for one in page:
            number = int(one.name.split()[1]) if one.name.startswith("Person ") else None
            found.append((number, int(Path(str(one.file_uri)).stem)))
        if (cursor := page.next) is None:
            return found


def test_a_plan_larger_than_its_memory_is_carried_out(
    url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    for number in range(100):
        files.put(f"human_members/{number}.yml", f"name: Person {number}\nbio: {'長い' * 100}{number}\n")
    synced(url, files.source)
    files.put("human_members/7.yml", "name: Person 7\nbio: short\n")
    plan, done = synced(url, files.source)
    assert outcomes(done) == {"7.yml": "changed"}
    assert plan.changes[0].diff == {"bio": (f"{'長い' * 100}7", "short")}
    with Ledger(url) as ledger:
        assert ledger.members.get_human("Person 42").bio == f"{'長い' * 100}42"


def test_a_file_with_too_long_a_uri_keeps_no_other_from_its_place(url: str, files: Files) -> None:
    room = 512 - len(files.source.uri("human_members/a.yml"))
    deep = files.folder / ("d" * (room // 2 - 1)) / ("d" * (room - room // 2 - 1))
    deep.mkdir(parents=True)
    there = Files(Source(str(deep), Storage()), deep)
    assert len(there.put("human_members/a.yml", "name: Emma\n")) == 512
    there.put("human_members/bb.yml", "name: Noah\n")
    assert outcomes(synced(url, there.source)[1]) == {"a.yml": "added", "bb.yml": "invalid"}
    assert outcomes(synced(url, there.source)[1]) == {"bb.yml": "invalid"}


def test_a_chain_that_ends_at_a_taken_name_moves_nobody(url: str, files: Files) -> None:
    for file, name in zip("abc", ("A", "B", "C"), strict=True):
        files.put(f"human_members/{file}.yml", f"name: {name}\n")
    synced(url, files.source)
    files.put("human_members/a.yml", "name: B\n")
    files.put("human_members/b.yml", "name: C\n")
    _, done = synced(url, files.source)
    assert set(outcomes(done).values()) == {"conflict"}
    assert people(url) == {"a.yml": "A", "b.yml": "B", "c.yml": "C"}


def test_vanished_files_are_reported_and_removed_only_if_asked(url: str, files: Files) -> None:
    files.put("human_members/a.yml", "name: Emma\n")
    synced(url, files.source)
    files.drop("human_members/a.yml")
    plan, _ = synced(url, files.source)
    assert list(plan.vanished.values()) == ["Emma"]
    assert people(url) == {"a.yml": "Emma"}
    synced(url, files.source, prune=True)
    assert people(url) == {}


def test_a_bad_change_keeps_the_last_good_member(url: str, files: Files) -> None:
    files.put("human_members/a.yml", "name: Emma\n")
    synced(url, files.source)
    files.put("human_members/a.yml", "name: [\n")
    synced(url, files.source, prune=True)
    assert people(url) == {"a.yml": "Emma"}


def test_many_files_are_saved_by_two_syncs_at_once(url: str, files: Files) -> None:
    for number in range(150):
        files.put(f"human_members/{number}.yml", f"name: Person {number}\n")

    async def run() -> None:
        async with AsyncLedger(url) as one, AsyncLedger(url) as other:
            await one.members.counts()
            plans = [await sync.plan(ledger.members, files.source) for ledger in (one, other)]
            await asyncio.gather(
                *[
                    sync.carry_out(ledger.members, plan)
                    for ledger, plan in zip((one, other), plans, strict=True)
                ]
            )

    asyncio.run(run())
    assert people(url) == {f"{number}.yml": f"Person {number}" for number in range(150)}


@pytest.mark.parametrize("place", ["ftp://x/y", "s3://", "file:///no/such/folder"])
def test_a_source_that_cannot_be_is_said(place: str) -> None:
    with pytest.raises(Invalid, match=place.split("/")[-1] or "s3"):
        Source(place, Storage())


def test_a_wrong_key_is_said_and_not_repeated(s3: tuple[str, Path]) -> None:
    secret = "not-the-secret"
    storage = Storage.model_validate(
        {"endpoint": s3[0], "region": "us-east-1", **KEYS, "secret_access_key": secret}
    )
    with pytest.raises(Unavailable) as refused:
        asyncio.run(listed_by(Source("s3://bucket", storage)))
    assert secret not in str(refused.value)
    assert "\n" not in str(refused.value)


@contextmanager
def machine_files() -> Iterator[Files]:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "source"
        inside.mkdir()
        yield Files(Source(str(inside), Storage()), inside)


PATHS = st.sampled_from([f"human_members/{name}.yml" for name in "abcd"])
NAMES = st.sampled_from(["A", "B", "C", "D"])


class AgainstFiles(RuleBasedStateMachine):
    """Whatever is put, changed, renamed, deleted, doubled and corrupted: a sync makes the ledger equal."""

    @initialize()
    def begin(self) -> None:
        self.held = machine_files()
        self.files = self.held.__enter__()
        self.ledger = AsyncLedger("sqlite://")
        self.loop = asyncio.new_event_loop()
        self.content: dict[str, dict[str, Any] | None] = {}
        self.number = 0

    @rule(path=PATHS, name=NAMES)
    def put(self, path: str, name: str) -> None:
        self.number += 1
        self.content[path] = {"name": name, "role": str(self.number)}
        self.files.put(path, f"name: {name}\nrole: {self.number}\n")

    @rule(path=PATHS)
    def corrupt(self, path: str) -> None:
        self.number += 1
        self.content[path] = None
        self.files.put(path, f"name: [{self.number}\n")

    @rule(path=PATHS)
    def delete(self, path: str) -> None:
        if path in self.content:
            del self.content[path]
            self.files.drop(path)

    @rule(path=PATHS, to=PATHS)
    def rename(self, path: str, to: str) -> None:
        if path in self.content and to not in self.content:
            self.content[to] = self.content.pop(path)
            (self.files.folder / path).rename(self.files.folder / to)

    @rule(path=PATHS, to=PATHS)
    def duplicate(self, path: str, to: str) -> None:
        if path in self.content and path != to:
            self.content[to] = self.content[path]
            self.files.put(to, (self.files.folder / path).read_bytes())

    def rows(self) -> dict[str, dict[str, Any]]:
        members = self.loop.run_until_complete(self.ledger.members.list_humans(limit=1000))
        return {
            self.files.source.path(str(one.file_uri)): {"name": one.name, "role": one.role} for one in members
        }

    def sync(self, *, prune: bool) -> None:
        async def run() -> None:
            plan = await sync.plan(self.ledger.members, self.files.source, prune=prune)
            told = {change.file.file_uri: change.outcome for change in plan.changes}
            done = await sync.carry_out(self.ledger.members, plan, prune=prune)
            assert {saved.file_uri: saved.outcome for saved in done} == told, "a plan is what happens"

        self.loop.run_until_complete(run())

    @rule()
    def sync_keeping(self) -> None:
        self.sync(prune=False)

    @rule()
    def sync_pruning(self) -> None:
        self.sync(prune=True)
        rows = self.rows()
        assert rows.keys() <= self.content.keys(), "no member without a file"
        names = {row["name"]: path for path, row in rows.items()}
        assert len(names) == len(rows)
        for path, content in self.content.items():
            if content is not None and rows.get(path) != content:
                holder = names.get(content["name"])
                assert holder not in {None, path}, f"{path} was refused a name that nobody has"

    @rule()
    def mend_everything(self) -> None:
        """Every file gets a name of its own: then the ledger is equal to the files, in one sync."""
        for at, path in enumerate(sorted(self.content)):
            self.put(path, "ABCD"[(at + self.number) % 4])
        names = [content["name"] for content in self.content.values() if content]
        self.sync(prune=True)
        if len(set(names)) == len(names):
            assert self.rows() == self.content

    @invariant()
    def nothing_is_parked(self) -> None:
        if hasattr(self, "ledger"):
            assert not [row for row in self.rows().values() if row["name"].startswith("#")]

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.loop.run_until_complete(self.ledger.close())
            self.loop.close()
            self.held.__exit__(None, None, None)


TestAgainstFiles = AgainstFiles.TestCase
TestAgainstFiles.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
