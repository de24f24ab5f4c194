"""Events of files, one by one and at the same time as others look: what is saved is what was read last."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from daicho import AsyncLedger, Ledger, Unavailable
from daicho.core.language import Text
from daicho.core.sections import Storage
from daicho.members import sync
from daicho.members.noticing import Notices, is_later, plain_sequencer
from daicho.members.saving import Saving
from daicho.members.schemas import FileStatus, Kind, SeenFile
from daicho.members.source import Content, Source
from tests.members.conftest import Files

R = TypeVar("R")


def noticed(url: str, source: Source, work: Callable[[AsyncLedger, Notices], Awaitable[R]]) -> R:
    async def run() -> R:
        async with AsyncLedger(url) as ledger:
            return await work(ledger, Notices(ledger.members, source))

    return asyncio.run(run())


def look(url: str, files: Files, *paths: str) -> list[str]:
    """Take files over in this order; ``-a.yml``: it was removed."""

    async def work(_: AsyncLedger, notices: Notices) -> list[str]:
        done = []
        for path in paths:
            if path.startswith("-"):
                done.append(await notices.removed(f"human_members/{path[1:]}"))
            else:
                done.append(await notices.look(f"human_members/{path}"))
        return [str(saved.outcome) for saved in done]

    return noticed(url, files.source, work)


def put(files: Files, **names: str) -> None:
    for file, name in names.items():
        files.put(f"human_members/{file}.yml", f"name: {name}\n")


def people(url: str) -> dict[str, str]:
    with Ledger(url) as ledger:
        found = ledger.members.list_humans(limit=1000)
        return {str(one.file_uri).rsplit("/", 1)[1].removesuffix(".yml"): one.name for one in found}


def ids(url: str) -> dict[str, int]:
    with Ledger(url) as ledger:
        return {one.name: one.id for one in ledger.members.list_humans()}


class HeldSource(Source):
    """A source whose first answer is long on its way."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Storage())
        self.has_read, self.may_go = asyncio.Event(), asyncio.Event()

    async def read(self, path: str) -> Content:
        content = await super().read(path)
        if not self.has_read.is_set():
            self.has_read.set()
            await self.may_go.wait()
        return content


@pytest.mark.parametrize("first", [True, False], ids=["never-read", "known"])
def test_what_was_read_before_a_newer_version_was_saved_is_not_saved(
    url: str, files: Files, first: bool
) -> None:
    files.put("human_members/a.yml", "name: Race\nrole: OLD\n")
    if not first:
        look(url, files, "a.yml")
        files.put("human_members/a.yml", "name: Race\nrole: OLDER\n")

    async def work(ledger: AsyncLedger, notices: Notices) -> tuple[str, str | None, str | None]:
        held = HeldSource(files.source.base)
        slow = asyncio.create_task(Notices(ledger.members, held).look("human_members/a.yml", "01"))
        await held.has_read.wait()
        files.put("human_members/a.yml", "name: Race\nrole: NEW\n")
        await notices.look("human_members/a.yml", "02")
        held.may_go.set()
        outcome = (await slow).outcome
        file = await ledger.members.file(files.source.uri("human_members/a.yml"))
        return outcome, (await ledger.members.get_human("Race")).role, file and file.sequencer

    assert noticed(url, files.source, work) == ("known", "NEW", "02")


def test_a_sync_that_read_before_an_event_was_handled_saves_nothing_older(url: str, files: Files) -> None:
    files.put("human_members/a.yml", "name: Race\nrole: OLD\n")
    files.put("human_members/b.yml", "name: Other\n")

    async def work(ledger: AsyncLedger, notices: Notices) -> None:
        planned = await sync.plan(ledger.members, files.source)
        files.put("human_members/a.yml", "name: Race\nrole: NEW\n")
        await notices.look("human_members/a.yml", "01")
        done = await sync.carry_out(ledger.members, planned)
        assert [saved.outcome for saved in done] == ["known", "added"]
        assert (await ledger.members.get_human("Race")).role == "NEW"
        file = await ledger.members.file(files.source.uri("human_members/a.yml"))
        assert file is not None
        assert file.sequencer == "01"
        files.put("human_members/a.yml", "name: Race\nrole: NEWER\n")
        again = await sync.plan(ledger.members, files.source)
        assert [saved.outcome for saved in await sync.carry_out(ledger.members, again)] == ["changed"]
        file = await ledger.members.file(files.source.uri("human_members/a.yml"))
        assert file is not None
        assert file.sequencer == "01", "a sync knows no sequencer, and leaves the known one"

    noticed(url, files.source, work)


def test_a_file_that_is_there_again_is_not_pruned(url: str, files: Files) -> None:
    put(files, a="Emma", b="Noah")
    look(url, files, "a.yml", "b.yml")
    files.drop("human_members/a.yml")

    async def work(ledger: AsyncLedger, notices: Notices) -> None:
        planned = await sync.plan(ledger.members, files.source, prune=True)
        assert planned.removed == [files.source.uri("human_members/a.yml")]
        put(files, a="Emma")
        await notices.look("human_members/a.yml")
        await sync.carry_out(ledger.members, planned, prune=True)

    noticed(url, files.source, work)
    assert people(url) == {"a": "Emma", "b": "Noah"}


@pytest.mark.parametrize("order", [["a.yml", "b.yml", "c.yml"], ["c.yml"], ["b.yml", "b.yml"]], ids=str)
def test_names_go_round_by_events_in_any_order(url: str, files: Files, order: list[str]) -> None:
    put(files, a="A", b="B", c="C")
    look(url, files, "a.yml", "b.yml", "c.yml")
    before = ids(url)
    put(files, a="B", b="C", c="A")
    assert set(look(url, files, *order)) <= {"changed", "unchanged"}
    assert people(url) == {"a": "B", "b": "C", "c": "A"}
    assert ids(url) == {"B": before["A"], "C": before["B"], "A": before["C"]}


def test_a_name_that_is_given_up_goes_to_the_file_that_waits_for_it(url: str, files: Files) -> None:
    put(files, a="F", b="X", c="Y")
    look(url, files, "a.yml", "b.yml", "c.yml")
    put(files, b="F", c="X")
    assert look(url, files, "b.yml", "c.yml") == ["conflict", "conflict"]
    put(files, a="G")
    assert look(url, files, "a.yml") == ["changed"]
    assert people(url) == {"a": "G", "b": "F", "c": "X"}
    with Ledger(url) as ledger:
        assert ledger.members.counts()["troubled"] == 0


def test_a_name_that_is_removed_goes_to_a_file_that_has_a_member_already(url: str, files: Files) -> None:
    put(files, a="F", b="X")
    look(url, files, "a.yml", "b.yml")
    put(files, b="F")
    assert look(url, files, "b.yml") == ["conflict"]
    files.drop("human_members/a.yml")
    assert look(url, files, "-a.yml") == ["removed"]
    assert people(url) == {"b": "F"}


def test_a_file_that_waits_is_found_behind_any_number_of_others(url: str, files: Files) -> None:
    put(files, a="F", z="F")
    look(url, files, "a.yml", "z.yml")
    wrong = {"line": 1, "key": None, "reason": "x"}
    others = [
        SeenFile(
            Kind.HUMAN,
            files.source.uri(f"human_members/m{number:04}.yml"),
            "1",
            None,
            row={} if number % 2 else {"name": "Somebody"},
            problems=(wrong,) if number % 2 else (),
            conflict=None if number % 2 else Text("taken", "taken"),
        )
        for number in range(2200)
    ]
    with Ledger(url) as ledger:
        Saving(ledger.members.runner).save(others)
        assert len(ledger.members.troubled_files(status=FileStatus.CONFLICT, limit=1000)) == 1000
    put(files, a="G")
    look(url, files, "a.yml")
    assert people(url) == {"a": "G", "z": "F"}


def test_nothing_is_removed_while_the_place_itself_is_away(url: str, files: Files) -> None:
    put(files, a="Emma")
    look(url, files, "a.yml")
    files.folder.rename(files.folder.with_name("elsewhere"))
    for path in ("a.yml", "-a.yml"):
        with pytest.raises(Unavailable, match="no such folder"):
            look(url, files, path)
    assert people(url) == {"a": "Emma"}


def test_a_renamed_file_keeps_its_member_if_the_new_one_is_seen_first(url: str, files: Files) -> None:
    put(files, a="Emma")
    look(url, files, "a.yml")
    before = ids(url)
    files.drop("human_members/a.yml")
    put(files, b="Emma")
    assert look(url, files, "b.yml", "-a.yml") == ["changed", "gone"]
    assert (people(url), ids(url)) == ({"b": "Emma"}, before)


def test_sequencers_are_compared_as_s3_has_them() -> None:
    assert is_later("17A2", "17A1")
    assert is_later("17A21", "17A2")
    assert not is_later("17A2", "17A20")
    assert plain_sequencer("17a2") == "17A2"
    for odd in ("", "x", "a\x00", "F" * 65, None):
        assert plain_sequencer(odd) is None


def test_many_who_look_and_sync_at_once_end_with_what_the_files_say(url: str, files: Files) -> None:
    letters = "abcdef"
    put(files, **dict(zip(letters, "ABCDEF", strict=True)))
    look(url, files, *(f"{letter}.yml" for letter in letters))

    async def busy(ledger: AsyncLedger, seed: int) -> None:
        rng = random.Random(seed)
        notices = Notices(ledger.members, files.source)
        for number in range(15):
            put(files, **{rng.choice(letters): rng.choice("ABCDEFG")})
            await notices.look(f"human_members/{rng.choice(letters)}.yml", f"{number:04X}")
            if number % 5 == seed % 5:
                made = await sync.plan(ledger.members, files.source)
                await sync.carry_out(ledger.members, made)

    async def run() -> None:
        async with AsyncLedger(url) as one, AsyncLedger(url) as two, AsyncLedger(url) as three:
            await asyncio.gather(*(busy(ledger, seed) for seed, ledger in enumerate((one, two, three))))

    asyncio.run(run())
    put(files, **dict(zip(letters, "BCDEFA", strict=True)))
    look(url, files, *(f"{letter}.yml" for letter in letters))
    assert people(url) == dict(zip(letters, "BCDEFA", strict=True))
    with Ledger(url) as ledger:
        assert ledger.members.counts()["troubled"] == 0


def test_a_name_that_was_not_given_up_after_all_is_told_by_the_next_sync(
    url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "AT_ONCE", 1)  # each file in a commit of its own
    put(files, a="A", b="B")
    look(url, files, "a.yml", "b.yml")
    put(files, a="B", b="C")

    async def work(ledger: AsyncLedger, notices: Notices) -> list[str]:
        planned = await sync.plan(ledger.members, files.source)
        put(files, b="B")
        await notices.look("human_members/b.yml")
        done = await sync.carry_out(ledger.members, planned)
        again = await sync.plan(ledger.members, files.source)
        assert [saved.outcome for saved in done] == ["changed", "known"]
        return [change.outcome for change in again.changes]

    assert noticed(url, files.source, work) == ["conflict"]
